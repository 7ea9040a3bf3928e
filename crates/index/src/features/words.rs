//! Words of phrases as features.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;
use longweave_common::random::Key;

/// log2 of the number of tables that threads lock one by one.
const SHARD_BITS: u32 = 8;

/// A word's key and its number.
type Entry = (u128, u32);

/// Numbers of words, which threads give out together. Which word gets which number depends on who
/// comes first; nothing that an index holds depends on it.
pub(super) struct Words {
    pub(super) first: u32,
    next: AtomicU32,
    shards: Vec<Mutex<HashTable<Entry>>>,
}

impl Words {
    /// None yet; their numbers begin at `first`.
    pub(super) fn after(first: u32) -> Words {
        let shards = (0..1 << SHARD_BITS).map(|_| Mutex::default()).collect();
        Words { first, next: AtomicU32::new(first), shards }
    }

    /// One after the last number.
    pub(super) fn end(&self) -> u32 {
        self.next.load(Relaxed)
    }

    /// The words that a thread meets among some phrases.
    pub(super) fn met(&self) -> Met<'_> {
        Met { all: self, known: HashTable::new() }
    }

    fn number(&self, key: u128) -> u32 {
        let shard = &self.shards[(key >> (u128::BITS - SHARD_BITS)) as usize];
        let mut table = shard.lock().unwrap_or_else(PoisonError::into_inner);
        find_or(&mut table, key, || self.next.fetch_add(1, Relaxed))
    }
}

/// Numbers of words that were asked for before, so that no table is locked for them again.
pub(super) struct Met<'a> {
    all: &'a Words,
    known: HashTable<Entry>,
}

impl Met<'_> {
    /// Calls `visit` with the number of each word of a phrase.
    pub(super) fn of(&mut self, phrase: &str, mut visit: impl FnMut(u32)) {
        for word in phrase.split(' ').filter(|w| !w.is_empty()) {
            let key = Key::of(word).0;
            visit(find_or(&mut self.known, key, || self.all.number(key)));
        }
    }
}

/// The number of a word in a table; where it is not there, `number` gives it.
fn find_or(table: &mut HashTable<Entry>, key: u128, number: impl FnOnce() -> u32) -> u32 {
    let hash = key as u64;
    if let Some(&(_, number)) = table.find(hash, |entry| entry.0 == key) {
        return number;
    }
    let number = number();
    table.insert_unique(hash, (key, number), |entry| entry.0 as u64);
    number
}

/// Sorts features; each once.
pub(super) fn distinct(features: &mut Vec<u32>) {
    features.sort_unstable();
    features.dedup();
}
