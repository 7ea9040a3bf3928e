//! Texts and numbers that are the same on every machine.

use longweave_common::random::{Key, draw};

pub(crate) fn random(purpose: &str, i: usize, below: usize) -> usize {
    (draw(1, purpose, Key(i as u128), 0) % below as u64) as usize
}

/// A number below `below`, small ones as much more frequent as words are.
pub(crate) fn frequent(purpose: &str, i: usize, below: usize) -> usize {
    let share = random(purpose, i, 1 << 20) as f64 / (1u64 << 20) as f64;
    (((below as f64).powf(share) - 1.0) as usize).min(below - 1)
}

const SYLLABLES: [&str; 24] = [
    "ka", "ro", "min", "tel", "us", "ver", "al", "den", "shi", "por", "gan", "lo", "ri", "est",
    "um", "fa", "bel", "cor", "na", "thi", "ö", "qu", "ze", "ing",
];
const COMMON: [&str; 24] = [
    "the", "of", "and", "in", "to", "a", "is", "was", "for", "on", "that", "by", "with", "as",
    "it", "from", "which", "its", "are", "not", "this", "their", "been", "than",
];

fn word(number: usize) -> String {
    let syllables = 1 + random("syllables", number, 4);
    (0..syllables).map(|s| SYLLABLES[random("syllable", number * 8 + s, SYLLABLES.len())]).collect()
}

/// Texts of some hundred words in sentences and paragraphs, about a few subjects each.
pub(crate) fn texts(count: usize) -> Vec<String> {
    let text = |i: usize| {
        let mut text = String::new();
        for w in 0..120 + random("length", i, 280) {
            let at = i * 1000 + w;
            match random("kind", at, 10) {
                0..5 => text.push_str(COMMON[random("common", at, COMMON.len())]),
                5..8 => text.push_str(&word(frequent("word", at, 20_000))),
                8 => text.push_str(&word(30_000 + i % 40 * 5 + random("subject", at, 5))),
                _ => text.push_str(&(1500 + random("year", at, 500)).to_string()),
            }
            text.push_str(match random("mark", at, 24) {
                0 => ".\n\n",
                1 | 2 => ". ",
                3 => ", ",
                _ => " ",
            });
        }
        text
    };
    (0..count).map(text).collect()
}
