//! Diagnostics of sequences that need their text: how alike the documents of a sequence are, how
//! much they repeat each other, how varied their tokens are.
//!
//! In: the documents of a sample of sequences. Out: one number a sequence and measure; the plan
//! counts what needs no text. Uses: language, neighbours. Begin with [`Meter`].
//!
//! | measure | definition |
//! | --- | --- |
//! | similarity | mean cosine over all pairs of a sequence's documents, of their vectors of weighed
//! words ([`Weights`]); rarity from a sample of the corpus, the same for every method |
//! | near-duplicates | share of a sequence's documents that have an earlier one with an estimated
//! Jaccard index of at least 0.5 of their sets of five words in a row ([`MinHash`]) |
//! | distinct-n | distinct runs of n tokens ÷ all runs of n tokens of a sequence, n = 1 … 4 (Li et
//! al. 2016) |
//!
//! A document is all that a sequence holds of it.

mod minhash;

use hashbrown::HashMap;
use longweave_duplicates::runs;
use longweave_neighbours::{FEATURES, TermCounter, Weights};
use serde::{Deserialize, Serialize};

pub use minhash::{MinHash, SIGNATURE};

/// Changes when a measure does for equal input.
pub const VERSION: u32 = 2;

/// Estimated Jaccard index from which documents count as near-duplicates.
const NEAR: f64 = 0.5;

/// The measures of one sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measures {
    /// See the table; none for a sequence with fewer than two documents that have a word that
    /// counts.
    pub similarity: Option<f64>,
    /// See the table; `None` for a sequence of one document.
    pub near_duplicates: Option<f64>,
    /// See the table, n from 1 on; 1 where the sequence is shorter than n.
    pub distinct: [f64; 4],
}

/// Measures sequences; keeps buffers.
pub struct Meter<'a> {
    weights: &'a Weights,
    counter: TermCounter,
    sums: Vec<f64>,
    /// By [`BLOCK`] of `sums`, a bit: whether one of them may not be zero.
    touched: Vec<u64>,
}

/// Sums of a cache line.
const BLOCK: usize = 8;

impl<'a> Meter<'a> {
    /// With what words weigh.
    pub fn new(weights: &'a Weights) -> Meter<'a> {
        Meter {
            weights,
            counter: TermCounter::default(),
            sums: vec![0.0; FEATURES],
            touched: vec![0; FEATURES / BLOCK / 64],
        }
    }

    /// Measures a sequence: the texts of its documents, and its tokens without padding.
    pub fn measure(&mut self, documents: &[&str], tokens: &[u32]) -> Measures {
        Measures {
            similarity: self.similarity(documents),
            near_duplicates: near_duplicates(documents),
            distinct: distinct(tokens),
        }
    }

    /// With unit vectors v the sum over ordered pairs of different ones is |Σv|² − n.
    fn similarity(&mut self, documents: &[&str]) -> Option<f64> {
        let mut row = Vec::new();
        let mut n = 0u64;
        for text in documents {
            self.counter.count(text, &mut row);
            let mut any = false;
            for (feature, weight) in self.weights.unit(&row) {
                self.sums[feature as usize] += f64::from(weight);
                let block = feature as usize / BLOCK;
                self.touched[block / 64] |= 1 << (block % 64);
                any = true;
            }
            n += u64::from(any);
        }
        let (n, all) = (n as f64, self.take_squares());
        (n > 1.0).then(|| ((all - n) / (n * (n - 1.0))).clamp(0.0, 1.0))
    }

    /// The sum of the squares of all sums, in their order; they are zero afterwards.
    fn take_squares(&mut self) -> f64 {
        let mut all = 0.0;
        for (word, bits) in self.touched.iter_mut().enumerate() {
            while *bits != 0 {
                let block = 64 * word + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                for sum in &mut self.sums[block * BLOCK..(block + 1) * BLOCK] {
                    all += *sum * *sum;
                    *sum = 0.0;
                }
            }
        }
        all
    }
}

fn near_duplicates(documents: &[&str]) -> Option<f64> {
    if documents.len() < 2 {
        return None;
    }
    let runs: Vec<Vec<u64>> = documents.iter().map(|text| runs(text, minhash::WORDS)).collect();
    let mut places: Vec<(u64, usize)> = runs
        .iter()
        .enumerate()
        .flat_map(|(document, runs)| runs.iter().map(move |&run| (run, document)))
        .collect();
    places.sort_unstable();
    // Most documents have no run of words in common with another, and need no signature.
    let mut shares = vec![false; documents.len()];
    for pair in places.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1) {
        pair.iter().for_each(|&(_, document)| shares[document] = true);
    }
    let mut earlier: Vec<MinHash> = Vec::new();
    let mut found = 0u32;
    for (runs, _) in runs.iter().zip(shares).filter(|&(_, shares)| shares) {
        if let Some(own) = MinHash::of_runs(runs) {
            found += u32::from(earlier.iter().any(|other| other.similarity(&own) >= NEAR));
            earlier.push(own);
        }
    }
    Some(f64::from(found) / documents.len() as f64)
}

/// A run of n tokens that occurs once, and so do all longer runs that contain it.
const ONCE: u32 = u32::MAX;

/// Equal runs of n tokens have equal numbers: those of the two runs of n − 1 tokens in it say which.
/// Most longer runs contain a run that occurs once, and are looked up nowhere.
fn distinct(tokens: &[u32]) -> [f64; 4] {
    // By place, the number of the run of n − 1 tokens that begins there.
    let mut numbers = tokens.to_vec();
    let mut known = HashMap::with_capacity(tokens.len());
    // By number, how often the run occurs.
    let mut counts: Vec<u32> = Vec::new();
    [1, 2, 3, 4].map(|n| {
        let all = (tokens.len() + 1).saturating_sub(n);
        known.clear();
        counts.clear();
        let mut once = 0;
        for at in 0..all {
            let (first, last) = (numbers[at], numbers[at + usize::from(n > 1)]);
            if n > 1 && (first == ONCE || last == ONCE) {
                once += 1;
                numbers[at] = ONCE;
                continue;
            }
            let number = *known.entry((first, last)).or_insert(counts.len() as u32);
            match counts.get_mut(number as usize) {
                Some(count) => *count += 1,
                None => counts.push(1),
            }
            numbers[at] = number;
        }
        numbers.truncate(all);
        for number in numbers.iter_mut().filter(|number| **number != ONCE) {
            if counts[*number as usize] == 1 {
                *number = ONCE;
            }
        }
        if all == 0 { 1.0 } else { (once + known.len()) as f64 / all as f64 }
    })
}

/// The divergence of two mixes of sources, given as tokens of each: Jensen–Shannon, in bits, 0 for
/// equal mixes, 1 for disjoint ones.
pub fn divergence(a: &[u64], b: &[u64]) -> f64 {
    let share = |mix: &[u64]| {
        let all = mix.iter().sum::<u64>().max(1) as f64;
        mix.iter().map(|&n| n as f64 / all).collect::<Vec<_>>()
    };
    let (a, b) = (share(a), share(b));
    let part = |p: f64, q: f64| if p > 0.0 { p * (2.0 * p / (p + q)).log2() } else { 0.0 };
    let sum: f64 = a.iter().zip(&b).map(|(&p, &q)| (part(p, q) + part(q, p)) / 2.0).sum();
    // Rounded, because library functions differ between machines in the last digits.
    (sum * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(corpus: &[&str]) -> Weights {
        let (mut counter, mut row, mut document_frequency) =
            (TermCounter::default(), Vec::new(), vec![0; FEATURES]);
        for text in corpus {
            counter.count(text, &mut row);
            row.iter().for_each(|&(feature, _)| document_frequency[feature as usize] += 1);
        }
        Weights::new(&document_frequency, corpus.len() as u64)
    }

    const A: &str = "the grey whale swims far to the north in summer and back again";
    const B: &str = "roman aqueducts carried water over long arches of stone to the towns";
    const C: &str = "a whale of the north eats grey krill in summer far from the coast";

    #[test]
    fn similarity_is_the_mean_cosine_of_pairs() {
        let weights = weights(&[A, A, B, B, C, "tin", "tin", "whistle", "whistle"]);
        let of = |documents: &[&str]| Meter::new(&weights).measure(documents, &[]).similarity;
        assert!((of(&[A, A]).unwrap() - 1.0).abs() < 1e-6);
        let (ab, ac, bc) = (of(&[A, B]).unwrap(), of(&[A, C]).unwrap(), of(&[B, C]).unwrap());
        assert!(ac > ab && ac < 1.0, "{ac} {ab}");
        assert!((of(&[A, B, C]).unwrap() - (ab + ac + bc) / 3.0).abs() < 1e-6);
        assert_eq!((of(&[A]), of(&[]), of(&[A, "unknown"])), (None, None, None));
    }

    #[test]
    fn a_meter_measures_each_sequence_as_a_new_one_does() {
        let weights = weights(&[A, B, C]);
        let mut meter = Meter::new(&weights);
        for documents in [&[A, B, C][..], &[B], &[A, C], &[B, C]] {
            let (kept, new) =
                (meter.measure(documents, &[]), Meter::new(&weights).measure(documents, &[]));
            assert_eq!(kept, new);
        }
    }

    #[test]
    fn near_duplicates_are_counted_once_each() {
        let edited = A.replace("again", "home");
        assert_eq!(near_duplicates(&[A, B, &edited, C]), Some(0.25));
        assert_eq!(near_duplicates(&[A, A, A, B]), Some(0.5));
        assert_eq!(near_duplicates(&[A]), None);
        assert_eq!(
            near_duplicates(&["", ""]),
            Some(0.0),
            "texts that contain no word are not duplicates"
        );
    }

    #[test]
    fn distinct_runs_are_those_of_a_set() {
        let tokens: Vec<u32> =
            (0..900u32).map(|i| i * i % 7 + i % 3 + u32::from(i > 700)).collect();
        let mixed: Vec<u32> = (0..900u32).map(|i| i * i % 61 * (i % 5 % 2) + i * i % 47).collect();
        for tokens in [&tokens[..], &mixed, &tokens[..3], &tokens[..1]] {
            let set = |n| tokens.windows(n).collect::<std::collections::HashSet<_>>().len();
            let all = |n: usize| (tokens.len() + 1).saturating_sub(n);
            let of = |n| if all(n) == 0 { 1.0 } else { set(n) as f64 / all(n) as f64 };
            assert_eq!(distinct(tokens), [1, 2, 3, 4].map(of));
        }
    }

    #[test]
    fn distinct_n_falls_with_repetition() {
        assert_eq!(distinct(&[1, 2, 3, 4]), [1.0; 4]);
        assert_eq!(distinct(&[7, 7, 7, 7]), [0.25, 1.0 / 3.0, 0.5, 1.0]);
        assert_eq!(distinct(&[]), [1.0; 4]);
    }

    #[test]
    fn mixes_diverge_from_nothing_to_one_bit() {
        assert_eq!(divergence(&[1, 3], &[10, 30]), 0.0);
        assert_eq!(divergence(&[5, 0], &[0, 9]), 1.0);
        let between = divergence(&[1, 1], &[3, 1]);
        assert!((between - 0.048_794_94).abs() < 1e-6, "{between}");
    }
}
