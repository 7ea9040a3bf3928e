//! MinHash (Broder 1997): a short signature of a text's set of five words in a row, from which the
//! Jaccard index of two sets is estimated.

use longweave_duplicates::{mix, runs};

/// Hashes of a signature. The estimate's standard error is at most 0.0625.
pub const SIGNATURE: usize = 64;
/// Words of a run.
pub(crate) const WORDS: usize = 5;

/// A signature.
pub struct MinHash([u64; SIGNATURE]);

impl MinHash {
    /// Of a text; `None` for one that contains no word. See [`runs`].
    pub fn of(text: &str) -> Option<MinHash> {
        MinHash::of_runs(&runs(text, WORDS))
    }

    /// Of the runs of a text; `None` where it has none. Two texts without a run in common have no
    /// hash in common, because each of a signature's hashes is a bijection of the run's.
    pub(crate) fn of_runs(runs: &[u64]) -> Option<MinHash> {
        let mut least = [u64::MAX; SIGNATURE];
        for run in runs {
            for (least, of) in least.iter_mut().zip(&HASHES) {
                *least = (*least).min(mix(run ^ of));
            }
        }
        (!runs.is_empty()).then_some(MinHash(least))
    }

    /// The estimated Jaccard index, 0 to 1.
    pub fn similarity(&self, other: &MinHash) -> f64 {
        self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count() as f64 / SIGNATURE as f64
    }
}

/// The difference between the hashes of a signature.
const HASHES: [u64; SIGNATURE] = {
    let mut hashes = [0; SIGNATURE];
    let mut i = 0;
    while i < SIGNATURE {
        hashes[i] = mix(i as u64 + 1);
        i += 1;
    }
    hashes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_share_of_common_runs() {
        let words: Vec<String> = (0..400).map(|i| format!("w{i}")).collect();
        let text = |range: std::ops::Range<usize>| words[range].join(" ");
        let of = |a: std::ops::Range<usize>, b: std::ops::Range<usize>| {
            MinHash::of(&text(a)).unwrap().similarity(&MinHash::of(&text(b)).unwrap())
        };
        assert_eq!(of(0..300, 0..300), 1.0);
        assert_eq!(of(0..200, 200..400), 0.0);
        let half = of(0..304, 100..400);
        assert!((half - 196.0 / 396.0).abs() < 0.2, "{half}");
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        let of = |a: &str, b: &str| MinHash::of(a).unwrap().similarity(&MinHash::of(b).unwrap());
        assert_eq!(of("One, two: THREE four five six", "one two three four five six"), 1.0);
        assert_eq!((of("a b", "a b"), of("a b", "a c")), (1.0, 0.0));
        assert!(MinHash::of(" .,").is_none());
    }
}
