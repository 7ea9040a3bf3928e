//! Signatures: for each of many hash functions the least hash of a text's runs. The share of equal
//! least hashes of two texts estimates the Jaccard index of their sets of runs.

use crate::runs::mix;

/// Hash functions whose least hashes are kept in registers at once.
const LANES: usize = 16;

/// Hash functions x ↦ ⌊(a · x + b mod 2⁶⁴) / 2³²⌋ of the upper 32 bits of a run (multiply-shift,
/// Dietzfelbinger 1996). They are the same in every run of the program.
pub struct Hashes {
    number: usize,
    functions: Vec<[(u64, u64); LANES]>,
}

impl Hashes {
    /// The first `number` functions.
    pub fn new(number: usize) -> Hashes {
        let function = |i: u64| (mix(2 * i + 1) | 1, mix(2 * i + 2));
        let block = |block: usize| std::array::from_fn(|i| function((LANES * block + i) as u64));
        Hashes { number, functions: (0..number.div_ceil(LANES)).map(block).collect() }
    }

    /// The least hash by each function, for a text that has runs.
    pub fn least(&self, runs: &[u64]) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.functions.len() * LANES);
        for block in &self.functions {
            all.extend(least_of(block, runs));
        }
        all.truncate(self.number);
        all
    }

    /// A signature: a byte of each least hash, which differ by chance in 255 of 256 cases where the
    /// hashes do.
    pub fn signature(least: &[u32]) -> impl Iterator<Item = u8> + '_ {
        // Least hashes are small numbers; multiplication brings their low bits to the top.
        least.iter().map(|hash| (hash.wrapping_mul(0x9e37_79b1) >> 24) as u8)
    }
}

/// With the instructions that the machine has.
fn least_of(functions: &[(u64, u64); LANES], runs: &[u64]) -> [u32; LANES] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has AVX2.
        #[allow(unsafe_code)]
        return unsafe { with_avx2(functions, runs) };
    }
    with_any(functions, runs)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(functions: &[(u64, u64); LANES], runs: &[u64]) -> [u32; LANES] {
    with_any(functions, runs)
}

#[inline(always)]
fn with_any(functions: &[(u64, u64); LANES], runs: &[u64]) -> [u32; LANES] {
    let (factors, terms) = (functions.map(|f| f.0), functions.map(|f| f.1));
    let mut least = [u32::MAX; LANES];
    for run in runs {
        let x = run >> 32;
        for i in 0..LANES {
            let hash = (factors[i].wrapping_mul(x).wrapping_add(terms[i]) >> 32) as u32;
            least[i] = least[i].min(hash);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs;

    #[test]
    fn least_hashes_are_those_of_the_definition() {
        let (hashes, runs) = (Hashes::new(20), [1u64 << 40, u64::MAX, 12345 << 33]);
        let least = hashes.least(&runs);
        assert_eq!(least.len(), 20);
        for (i, &least) in (0..).zip(&least) {
            let (a, b) = (mix(2 * i + 1) | 1, mix(2 * i + 2));
            let hash = |x: u64| (a.wrapping_mul(x >> 32).wrapping_add(b) >> 32) as u32;
            assert_eq!(Some(least), runs.iter().map(|&run| hash(run)).min());
        }
    }

    #[test]
    fn hashes_are_the_same_on_every_machine() {
        let hashes = Hashes::new(LANES);
        let runs: Vec<u64> = (0..1000).map(mix).collect();
        let functions = &hashes.functions[0];
        assert_eq!(least_of(functions, &runs), with_any(functions, &runs));
    }

    #[test]
    fn equal_least_hashes_estimate_the_jaccard_index() {
        let words: Vec<String> = (0..4000).map(|i| format!("w{i}")).collect();
        let hashes = Hashes::new(256);
        let of = |range: std::ops::Range<usize>| hashes.least(&runs(&words[range].join(" "), 5));
        let mut error = 0.0;
        for step in 0..20 {
            let (start, size) = (step * 150, 300 + 20 * step);
            let shift = 10 * (step + 1);
            let (a, b) = (of(start..start + size), of(start + shift..start + size + shift));
            let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / 256.0;
            let (common, all) = ((size - shift - 4) as f64, (size + shift - 4) as f64);
            assert!((equal - common / all).abs() < 0.13, "{equal} {}", common / all);
            error += equal - common / all;
        }
        assert!((error / 20.0).abs() < 0.02, "{error}");
    }
}
