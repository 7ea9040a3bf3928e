//! BM25 (Robertson and Zaragoza 2009): queries and texts in, the best documents of each query out.
//!
//! Queries are known before documents are read, so that no index of all words is made: a text
//! becomes the counts of those of its words that a query has ([`QueryWords`], [`WordCounter`]).
//! Once all texts are counted, a word of a document brings a whole number of 2⁻²⁰ to each query
//! that has it ([`Bm25`]), and each query keeps the documents of the greatest sums
//! ([`QueryRanking`]). Words are those of [`WordCutter`], neither stemmed nor stopped.

use std::ops::Range;

use longweave_common::Offsets;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::best::Best;
use crate::terms::WordCutter;

/// Changes when counts or scores do for equal texts and queries.
pub const BM25_VERSION: u32 = 1;
/// A score of 1.
const ONE: f64 = (1 << 20) as f64;
/// The largest count of a word in a document; higher counts are cut to it.
const MOST: u32 = 0xFFFF;
/// The greatest score; higher ones are cut to it.
const GREATEST: u32 = i32::MAX as u32;

/// The distinct words of queries by xxh3-64 (seed 0), numbered in rising order of it, and the words
/// of each query. Costs about 24 bytes a distinct word and 8 a word of a query.
pub struct QueryWords {
    hashes: Vec<u64>,
    /// For each slot of a hash table the number of a word, and one more; 0 where it is empty.
    slots: Vec<u32>,
    own: Offsets,
    /// A query's words, rising, each with how often the query has it.
    words: Vec<(u32, u32)>,
}

impl QueryWords {
    /// Cuts queries into words.
    pub fn of<'t>(queries: impl Iterator<Item = &'t str>) -> QueryWords {
        let mut cutter = WordCutter::default();
        let (mut own, mut all) = (Offsets::default(), Vec::new());
        for query in queries {
            cutter.cut(query, &mut |word| all.push(xxh3_64(word)));
            own.push(all.len());
        }
        let mut hashes = all.clone();
        hashes.par_sort_unstable();
        hashes.dedup();
        let mask = (2 * hashes.len()).next_power_of_two() - 1;
        let mut found = QueryWords {
            hashes: Vec::new(),
            slots: vec![0; mask + 1],
            own: Offsets::with_capacity(own.len()),
            words: Vec::new(),
        };
        for (number, &hash) in (1u32..).zip(&hashes) {
            let mut slot = hash as usize & mask;
            while found.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            found.slots[slot] = number;
        }
        found.hashes = hashes;
        for query in 0..own.len() {
            let hashes = &mut all[own.range(query)];
            hashes.sort_unstable();
            for same in hashes.chunk_by(|a, b| a == b) {
                let number = found.find(same[0]).expect("every word of a query is numbered");
                found.words.push((number, same.len() as u32));
            }
            found.own.push(found.words.len());
        }
        found
    }

    /// Number of distinct words.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether no query has a word.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.own.len()
    }

    fn find(&self, hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let number = self.slots[slot].checked_sub(1)?;
            if self.hashes[number as usize] == hash {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Counts words of queries in texts. 4 bytes a distinct word, so keep it.
pub struct WordCounter<'q> {
    queries: &'q QueryWords,
    cutter: WordCutter,
    /// By word; zeros between two texts.
    counts: Vec<u32>,
    seen: Vec<u32>,
}

impl<'q> WordCounter<'q> {
    /// Of the words of `queries`.
    pub fn new(queries: &'q QueryWords) -> WordCounter<'q> {
        let counts = vec![0; queries.len()];
        WordCounter { queries, cutter: WordCutter::default(), counts, seen: Vec::new() }
    }

    /// Replaces `out` by the words of a text that a query has, rising, each with its count. Returns
    /// the number of all words of the text.
    pub fn count(&mut self, text: &str, out: &mut Vec<(u32, u16)>) -> u32 {
        let WordCounter { queries, cutter, counts, seen } = self;
        let mut length = 0u32;
        cutter.cut(text, &mut |word| {
            length = length.saturating_add(1);
            if let Some(number) = queries.find(xxh3_64(word)) {
                let count = &mut counts[number as usize];
                if *count == 0 {
                    seen.push(number);
                }
                *count += 1;
            }
        });
        seen.sort_unstable();
        out.clear();
        for number in seen.drain(..) {
            let count = std::mem::take(&mut counts[number as usize]).min(MOST);
            out.push((number, count as u16));
        }
        length
    }
}

/// The scores that words bring to a query.
pub struct Bm25 {
    k1: f64,
    b: f64,
    /// Mean number of words of a document.
    mean: f64,
    /// By word.
    weights: Vec<f64>,
}

impl Bm25 {
    /// For `documents` documents that have `words` words together, and the number of documents that
    /// have each word of the queries. `k1` is at least 0, `b` from 0 to 1.
    ///
    /// A word's weight is the idf of Robertson and Spärck Jones, ln((N − n + ½) / (n + ½)), or 0
    /// where that is negative: where more than half of the documents have the word.
    pub fn new(k1: f64, b: f64, documents: u64, words: u64, having: &[u32]) -> Bm25 {
        let weight = |&having: &u32| {
            let having = f64::from(having);
            let odds = (documents as f64 - having + 0.5) / (having + 0.5);
            if odds > 1.0 { ln(odds) } else { 0.0 }
        };
        let weights = having.iter().map(weight).collect();
        Bm25 { k1, b, mean: words as f64 / documents.max(1) as f64, weights }
    }

    /// Whether the word weighs something.
    pub fn weighs(&self, word: u32) -> bool {
        self.weights[word as usize] > 0.0
    }

    /// The score that a word brings that a document of `length` words has `count` times, in 2⁻²⁰:
    /// weight · (count / (count + k1 · (1 − b + b · length / mean))).
    pub fn score(&self, word: u32, count: u16, length: u32) -> u32 {
        let Bm25 { k1, b, mean, .. } = *self;
        let count = f64::from(count);
        let share = count / (count + k1 * (1.0 - b + b * f64::from(length) / mean));
        (ONE * self.weights[word as usize] * share).round() as u32
    }
}

/// The natural logarithm of a number above 1, by its own series: library functions differ between
/// machines in the last digit.
fn ln(x: f64) -> f64 {
    const FRACTION: u32 = 52;
    // x = m · 2^e with m from √½ to √2; ln m = 2 artanh s with s = (m − 1) / (m + 1), |s| < 0.172.
    let bits = x.to_bits();
    let mut e = (bits >> FRACTION) as i64 - 1023;
    let mut m = f64::from_bits(bits & ((1 << FRACTION) - 1) | 1023 << FRACTION);
    if m > std::f64::consts::SQRT_2 {
        (m, e) = (m / 2.0, e + 1);
    }
    let s = (m - 1.0) / (m + 1.0);
    let (square, mut sum) = (s * s, 0.0);
    for odd in (0..12).rev().map(|i| f64::from(2 * i + 1)) {
        sum = sum * square + 1.0 / odd;
    }
    e as f64 * std::f64::consts::LN_2 + 2.0 * s * sum
}

/// Documents that follow each other, each with its words of queries.
#[derive(Default)]
pub struct ScoredDocuments {
    own: Offsets,
    /// Word and score.
    words: Vec<(u32, u32)>,
}

impl ScoredDocuments {
    /// Appends a document: its words that weigh something, each once, with their scores.
    pub fn push(&mut self, words: impl Iterator<Item = (u32, u32)>) {
        self.words.extend(words);
        self.own.push(self.words.len());
    }

    /// Appends documents.
    pub fn extend(&mut self, others: &ScoredDocuments) {
        self.own.extend(&others.own);
        self.words.extend_from_slice(&others.words);
    }
}

/// The best documents of some queries. Costs 16 bytes a place of a list, 12 a query and word of it,
/// and 4 a thread and distinct word.
pub struct QueryRanking {
    lanes: Vec<Lane>,
}

/// Some of the queries, which one thread serves.
struct Lane {
    /// For each word, where those of its queries begin that have it; and one more.
    starts: Vec<u32>,
    /// A query, counted from the lane's first, and how often it has the word.
    queries: Vec<(u32, u32)>,
    /// By query, for one document: the sum of its scores, and its words. Zeros between two documents.
    sums: Vec<(u32, u32)>,
    /// Words of each query that a document must have.
    least: Vec<u32>,
    touched: Vec<u32>,
    best: Vec<Best>,
}

impl QueryRanking {
    /// Bytes that a query costs, without its words, with lists of `k` places.
    pub const fn bytes_of_query(k: usize) -> u64 {
        16 * k as u64 + 108
    }

    /// Ranks documents for `queries` of `words`: the best `k` (at least 1) of each. With `all`, a
    /// document must have all words of a query that weigh something, else one of them. Threads share
    /// `lanes` ranges of the queries.
    pub fn new(
        words: &QueryWords,
        bm25: &Bm25,
        queries: Range<usize>,
        k: usize,
        all: bool,
        lanes: usize,
    ) -> QueryRanking {
        let lanes = lanes.clamp(1, queries.len().max(1));
        let bound = |lane: usize| queries.start + queries.len() * lane / lanes;
        let least = |query: usize| {
            let own = words.words[words.own.range(query)].iter();
            if all { own.filter(|&&(word, _)| bm25.weighs(word)).count() as u32 } else { 1 }
        };
        let lane = |lane: usize| {
            let queries = bound(lane)..bound(lane + 1);
            Lane::new(words, queries.clone(), queries.map(least).collect(), k)
        };
        QueryRanking { lanes: (0..lanes).into_par_iter().map(lane).collect() }
    }

    /// Offers documents, numbered from `first` on.
    pub fn offer(&mut self, first: u32, documents: &ScoredDocuments) {
        self.lanes.par_iter_mut().for_each(|lane| lane.offer(first, documents));
    }

    /// The list of each query in order: (score, document), scores falling, ties to the lower
    /// document.
    pub fn lists(&mut self) -> impl Iterator<Item = impl Iterator<Item = (u32, u32)> + '_> + '_ {
        let best = self.lanes.iter_mut().flat_map(|lane| &mut lane.best);
        best.map(|best| best.sorted().map(|(score, document)| (score as u32, document)))
    }
}

impl Lane {
    fn new(words: &QueryWords, queries: Range<usize>, least: Vec<u32>, k: usize) -> Lane {
        let of_query = |query: usize| words.words[words.own.range(query)].iter();
        let mut starts = vec![0u32; words.len() + 1];
        for &(word, _) in queries.clone().flat_map(of_query) {
            starts[word as usize + 1] += 1;
        }
        for word in 0..words.len() {
            starts[word + 1] += starts[word];
        }
        let mut next = starts.clone();
        let mut having = vec![(0, 0); starts[words.len()] as usize];
        for (number, query) in (0u32..).zip(queries.clone()) {
            for &(word, times) in of_query(query) {
                let place = &mut next[word as usize];
                having[*place as usize] = (number, times);
                *place += 1;
            }
        }
        Lane {
            starts,
            queries: having,
            sums: vec![(0, 0); queries.len()],
            least,
            touched: Vec::new(),
            best: queries.map(|_| Best::new(k, 1)).collect(),
        }
    }

    fn offer(&mut self, first: u32, documents: &ScoredDocuments) {
        for (row, document) in (0..documents.own.len()).zip(first..) {
            for &(word, score) in &documents.words[documents.own.range(row)] {
                let word = word as usize;
                let range = self.starts[word] as usize..self.starts[word + 1] as usize;
                for &(query, times) in &self.queries[range] {
                    let (sum, found) = &mut self.sums[query as usize];
                    if *found == 0 {
                        self.touched.push(query);
                    }
                    *sum = sum.saturating_add(score.saturating_mul(times));
                    *found += 1;
                }
            }
            for query in self.touched.drain(..) {
                let query = query as usize;
                let (sum, found) = std::mem::take(&mut self.sums[query]);
                if found >= self.least[query] {
                    self.best[query].offer_one(sum.min(GREATEST) as i32, document);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_library_to_its_last_digits() {
        for i in 1..200_000u64 {
            let x = 1.0 + (i * i) as f64 / 997.0;
            assert!((ln(x) - x.ln()).abs() <= 1e-15 * x.ln().max(1.0), "{x}");
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
