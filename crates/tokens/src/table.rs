//! Words and their ids, which a thread keeps so that a model reads each word once. In: bytes of a
//! word. Out: exactly the ids that were kept for these bytes. At most 3.9 MiB.

use xxhash_rust::xxh3::xxh3_64;

/// Bytes of heap that a table takes at most.
#[cfg(test)]
const BYTES: usize = SHORT * size_of::<Short>() + LONG * size_of::<Long>() + TEXT + IDS * 4;
/// Bytes of the longest word that is kept.
pub(crate) const LONGEST: usize = 255;

/// Short words: up to 15 bytes with up to three ids, in pairs of places.
const SHORT: usize = 1 << 16;
/// Other words, in pairs of places, their bytes and their ids. Once `TEXT` or `IDS` is full, all of
/// them are dropped.
const LONG: usize = 1 << 14;
const TEXT: usize = 1 << 19;
const IDS: usize = 1 << 18;

/// A word, zeros after it, its length in the last byte. No word: zero.
type Key = u128;

#[derive(Clone, Copy, Default)]
struct Short {
    key: Key,
    ids: [u32; 3],
    count: u32,
}

#[derive(Clone, Copy, Default)]
struct Long {
    hash: u64,
    /// Where the word begins in `text`, and its ids in `ids`.
    text: u32,
    ids: u32,
    /// Zero where there is no word.
    length: u16,
    count: u16,
}

/// The kept words of one tokenizer.
pub(crate) struct WordTable {
    short: Vec<Short>,
    long: Vec<Long>,
    text: Vec<u8>,
    ids: Vec<u32>,
}

impl WordTable {
    pub(crate) fn new() -> WordTable {
        WordTable {
            short: vec![Short::default(); SHORT],
            long: vec![Long::default(); LONG],
            text: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Appends the ids of the word `text[start..end]` if it is kept.
    #[inline]
    pub(crate) fn push(&self, text: &[u8], start: usize, end: usize, out: &mut Vec<u32>) -> bool {
        if let Some(key) = key(text, start, end) {
            let at = place(key);
            let first = &self.short[at];
            let second = &self.short[at | 1];
            let found = if first.key == key { first } else { second };
            if found.key == key {
                // A copy of fixed size is quicker than one of `count` ids.
                let length = out.len() + found.count as usize;
                out.extend_from_slice(&found.ids);
                out.truncate(length);
                return true;
            }
        }
        self.push_long(&text[start..end], out)
    }

    fn push_long(&self, word: &[u8], out: &mut Vec<u32>) -> bool {
        if word.len() > LONGEST {
            return false;
        }
        let hash = xxh3_64(word);
        let at = long_place(hash);
        for found in &self.long[at..at + 2] {
            if found.hash == hash && usize::from(found.length) == word.len() {
                let text = found.text as usize;
                if self.text[text..text + word.len()] == *word {
                    let ids = found.ids as usize;
                    out.extend_from_slice(&self.ids[ids..ids + usize::from(found.count)]);
                    return true;
                }
            }
        }
        false
    }

    /// Keeps a word that was not found.
    pub(crate) fn insert(&mut self, word: &[u8], ids: &[u32]) {
        if let Some(key) = key(word, 0, word.len()).filter(|_| ids.len() <= 3) {
            let at = place(key);
            self.short[at | 1] = self.short[at];
            let mut kept = Short { key, count: ids.len() as u32, ids: [0; 3] };
            kept.ids[..ids.len()].copy_from_slice(ids);
            self.short[at] = kept;
        } else if word.len() <= LONGEST && ids.len() <= LONGEST {
            if self.text.len() + word.len() > TEXT || self.ids.len() + ids.len() > IDS {
                self.long.fill(Long::default());
                self.text.clear();
                self.ids.clear();
            } else if self.text.is_empty() {
                self.text.reserve_exact(TEXT);
                self.ids.reserve_exact(IDS);
            }
            let hash = xxh3_64(word);
            let at = long_place(hash);
            self.long[at + 1] = self.long[at];
            self.long[at] = Long {
                hash,
                text: self.text.len() as u32,
                ids: self.ids.len() as u32,
                length: word.len() as u16,
                count: ids.len() as u16,
            };
            self.text.extend_from_slice(word);
            self.ids.extend_from_slice(ids);
        }
    }
}

/// The key of a short word.
#[inline]
fn key(text: &[u8], start: usize, end: usize) -> Option<Key> {
    const MASKS: [u128; 16] = {
        let mut masks = [0; 16];
        let mut length = 0;
        while length < 16 {
            masks[length] = (1 << (8 * length)) - 1;
            length += 1;
        }
        masks
    };
    let length = end - start;
    let mask = *MASKS.get(length)?;
    let bytes = match text.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("the slice has 16 bytes")),
        None => {
            let mut bytes = [0; 16];
            bytes[..length].copy_from_slice(&text[start..end]);
            u128::from_le_bytes(bytes)
        }
    };
    Some(bytes & mask | (length as u128) << 120)
}

/// The first place of the pair where a word is kept.
#[inline]
fn place(key: Key) -> usize {
    let low = key as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let high = (key >> 64) as u64 ^ 0xd6e8_feb8_6659_fd93;
    let product = u128::from(low) * u128::from(high);
    let hash = (product >> 64) as u64 ^ product as u64;
    (hash >> 32) as usize & (SHORT - 2)
}

fn long_place(hash: u64) -> usize {
    (hash >> 32) as usize & (LONG - 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_kept_word_has_its_ids_and_no_other_has(
            words in prop::collection::vec((prop::collection::vec(0u8..4, 1..300), prop::collection::vec(any::<u32>(), 0..300)), 1..200)
        ) {
            let mut table = WordTable::new();
            let mut expected = std::collections::HashMap::new();
            for (word, ids) in &words {
                let mut found = Vec::new();
                let is_kept = table.push(word, 0, word.len(), &mut found);
                match expected.get(word) {
                    Some(ids) if is_kept => prop_assert_eq!(&found, ids),
                    _ => prop_assert!(!is_kept || expected.contains_key(word)),
                }
                if !is_kept {
                    table.insert(word, ids);
                    expected.insert(word.clone(), ids.clone());
                    let kept = table.push(word, 0, word.len(), &mut found);
                    prop_assert_eq!(kept, word.len() <= LONGEST && ids.len() <= LONGEST);
                    if kept {
                        prop_assert_eq!(&found, ids);
                    }
                }
            }
        }
    }

    #[test]
    fn words_are_found_within_a_text_and_in_a_full_table() {
        let mut table = WordTable::new();
        let word = |i: u32| format!("{i:x}{}", "long".repeat(i as usize % 9));
        for i in 0..200_000u32 {
            table.insert(word(i).as_bytes(), &vec![i; i as usize % 6]);
        }
        let mut found = 0;
        for i in 0..200_000u32 {
            let text = format!("before {} after", word(i));
            let mut ids = Vec::new();
            if table.push(text.as_bytes(), 7, 7 + word(i).len(), &mut ids) {
                assert_eq!(ids, vec![i; i as usize % 6]);
                found += 1;
            }
        }
        assert!((40_000..200_000).contains(&found), "{found} words are kept");
        let heap = table.short.capacity() * size_of::<Short>()
            + table.long.capacity() * size_of::<Long>()
            + table.text.capacity()
            + table.ids.capacity() * 4;
        assert_eq!(heap, BYTES);
    }
}
