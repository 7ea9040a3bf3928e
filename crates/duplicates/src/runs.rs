//! Runs of words: the set of features that a text is compared by.

use longweave_language::{Language, is_mark, is_unspaced, words_in};
use xxhash_rust::xxh3::xxh3_64;

/// Hashes of a text's runs of `length` words, as often as they occur. Words are runs of
/// alphanumeric characters and combining marks in lower case, of scripts without spaces those of
/// ICU's dictionaries. A text of fewer words has one run, of all of them; one without words has
/// none. `length` is at least 1.
pub fn runs(text: &str, length: usize) -> Vec<u64> {
    let lower = text.to_lowercase();
    let mut words = Vec::new();
    for part in lower.split(|c: char| !c.is_alphanumeric() && !is_mark(c)) {
        if part.is_ascii() || !part.contains(is_unspaced) {
            words.extend((!part.is_empty()).then(|| xxh3_64(part.as_bytes())));
        } else {
            let of_part = words_in(part, Language::UNKNOWN);
            words.extend(of_part.map(|range| xxh3_64(part[range].as_bytes())));
        }
    }
    let hash = |run: &[u64]| run.iter().fold(0u64, |hash, &word| mix(hash ^ word));
    words.windows(length.min(words.len()).max(1)).map(hash).collect()
}

/// The finaliser of SplitMix64 (Steele et al. 2014): a bijection that mixes all bits.
pub const fn mix(x: u64) -> u64 {
    let x = (x.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (x.wrapping_add(0x9e37_79b9_7f4a_7c15) >> 30))
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_punctuation_do_not_count_and_short_texts_have_one_run() {
        let five = |text: &str| runs(text, 5);
        assert_eq!(five("One, two: THREE four five six"), five("one two three four five six"));
        assert_eq!((five("a b").len(), five("one two three four five six").len()), (1, 2));
        assert_ne!(five("a b"), five("a c"));
        assert!(five(" .,").is_empty());
        assert_eq!((runs("a b c", 1).len(), runs("a b c", 2).len()), (3, 2));
        assert_eq!(five("東京都の人口は多い").len(), 2);
        assert_eq!(five("हिन्दी में लिखा है").len(), 1);
    }
}
