//! Words of phrases as features.

use hashbrown::HashMap;
use longweave_common::random::Key;

/// Numbers of words.
pub(super) struct Words {
    pub(super) first: u32,
    known: HashMap<[u8; 16], u32>,
}

impl Words {
    /// None yet; their numbers begin at `first`.
    pub(super) fn after(first: u32) -> Words {
        Words { first, known: HashMap::new() }
    }

    /// One after the last number.
    pub(super) fn end(&self) -> u32 {
        self.first + self.known.len() as u32
    }

    /// Calls `visit` with the number of each word of a phrase.
    pub(super) fn of(&mut self, phrase: &str, mut visit: impl FnMut(u32)) {
        for word in phrase.split(' ').filter(|w| !w.is_empty()) {
            let next = self.end();
            visit(*self.known.entry(Key::of(word).0.to_le_bytes()).or_insert(next));
        }
    }
}

/// Sorts features; each once.
pub(super) fn distinct(features: &mut Vec<u32>) {
    features.sort_unstable();
    features.dedup();
}
