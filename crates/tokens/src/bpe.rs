//! Byte-pair encoding of a word over bytes as tokenizers 0.23 merges it: of all neighbours the pair
//! of the lowest rank, of equal ones the first. For the files whose words tokenizers 1.0 does not
//! read. In: a word. Out: ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use hashbrown::HashMap;

use crate::file::Model;
use crate::train::byte_letters;

/// No rank and no id.
const NONE: u32 = u32::MAX;
/// Bytes of the longest word that is merged in place, on the stack.
const SHORT: usize = 64;

pub(crate) struct Bpe {
    /// By byte, the token from which merging starts.
    inner: [u32; 256],
    /// By byte, the one at the end of a word.
    last: [u32; 256],
    pairs: HashMap<(u32, u32), Merge>,
    /// Of words that are written with a letter for each byte: by letter, the byte.
    bytes: Option<Vec<u8>>,
}

/// The rank of a pair and the token that it becomes.
#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    id: u32,
}

const NO_MERGE: Merge = Merge { rank: NONE, id: NONE };

impl Bpe {
    /// A model whose tokens are written with a letter for each byte; `letters` says whether its
    /// words are, too. `None` where a word can contain what is not a token, or tokenizers does
    /// not read the file.
    pub(crate) fn new(model: &Model, letters: bool) -> Option<Bpe> {
        let tokens = model.vocab.as_ref()?;
        let merges = model.merges.as_ref()?;
        let is_set = |affix: &Option<String>| affix.as_ref().is_some_and(|a| !a.is_empty());
        if is_set(&model.continuing_subword_prefix) || model.ignore_merges == Some(true) {
            return None;
        }
        // Of a token twice, the last definition counts.
        let ids: HashMap<&str, u32> = tokens.ids.iter().map(|(t, id)| (&**t, *id)).collect();
        // A byte without a token is the unknown one.
        let is_apart = model.fuse_unk != Some(true) && model.byte_fallback != Some(true);
        let unknown = model.unk_token.as_ref().filter(|_| is_apart);
        let unknown = unknown.and_then(|token| ids.get(&**token).copied()).unwrap_or(NONE);
        let letter_of = byte_letters();
        let table = |suffix: &str| -> [u32; 256] {
            std::array::from_fn(|byte| {
                ids.get(&*format!("{}{suffix}", letter_of[byte])).copied().unwrap_or(unknown)
            })
        };
        let inner = table("");
        let last = table(model.end_of_word_suffix.as_deref().unwrap_or_default());
        // The others occur in no text. Without an unknown token, a byte that is not a token has no
        // id, and its neighbours meet.
        let mut occurring = (0..=0xf4).filter(|byte| !matches!(byte, 0xc0 | 0xc1));
        let drops = model.unk_token.is_none()
            && model.byte_fallback != Some(true)
            && !is_set(&model.end_of_word_suffix);
        if !drops && !occurring.all(|byte| inner[byte] != NONE && last[byte] != NONE) {
            return None;
        }
        let mut pairs = HashMap::with_capacity(merges.0.len());
        for (rank, (a, b)) in merges.0.iter().enumerate() {
            let merge = Merge { rank: rank as u32, id: *ids.get(&*format!("{a}{b}"))? };
            // Of a pair twice, the last merge counts.
            pairs.insert((*ids.get(&**a)?, *ids.get(&**b)?), merge);
        }
        let bytes = letters.then(|| {
            let mut bytes = vec![0; 512];
            for (byte, &letter) in (0..=255).zip(&letter_of) {
                bytes[letter as usize] = byte;
            }
            bytes
        });
        Some(Bpe { inner, last, pairs, bytes })
    }

    fn merge(&self, a: u32, b: u32) -> Merge {
        self.pairs.get(&(a, b)).copied().unwrap_or(NO_MERGE)
    }

    /// The token from which merging of a byte starts, if it has one.
    fn symbol(&self, byte: u8) -> Option<u32> {
        Some(self.inner[usize::from(byte)]).filter(|&id| id != NONE)
    }

    /// Appends the ids of a word.
    pub(crate) fn tokenize(&self, word: &str, out: &mut Vec<u32>) {
        let start = out.len();
        match &self.bytes {
            None => out.extend(word.bytes().filter_map(|byte| self.symbol(byte))),
            Some(bytes) => {
                let byte = |letter: char| bytes.get(letter as usize).copied().unwrap_or(0);
                out.extend(word.chars().filter_map(|letter| self.symbol(byte(letter))));
            }
        }
        if self.bytes.is_none()
            && let (Some(id), Some(&byte)) = (out.last_mut(), word.as_bytes().last())
            && self.last[usize::from(byte)] != NONE
        {
            *id = self.last[usize::from(byte)];
        }
        let merged = match out.len() - start {
            0 | 1 => return,
            2..=SHORT => self.merge_short(&mut out[start..]),
            _ => self.merge_long(&mut out[start..]),
        };
        out.truncate(start + merged);
    }

    /// Merges symbols in place, and says how many are left.
    fn merge_short(&self, ids: &mut [u32]) -> usize {
        // Symbols, each with the merge of it and the next one.
        let mut symbols = [(0, NO_MERGE); SHORT];
        let mut length = ids.len();
        for (at, &id) in ids.iter().enumerate() {
            let merge = ids.get(at + 1).map_or(NO_MERGE, |&next| self.merge(id, next));
            symbols[at] = (id, merge);
        }
        loop {
            let (mut at, mut lowest) = (0, NONE);
            for (i, (_, merge)) in symbols[..length].iter().enumerate() {
                if merge.rank < lowest {
                    (at, lowest) = (i, merge.rank);
                }
            }
            if lowest == NONE {
                break;
            }
            let merged = symbols[at].1.id;
            symbols.copy_within(at + 2..length, at + 1);
            length -= 1;
            let after = symbols[at + 1].0;
            let merge = if at + 1 < length { self.merge(merged, after) } else { NO_MERGE };
            symbols[at] = (merged, merge);
            if at > 0 {
                symbols[at - 1].1 = self.merge(symbols[at - 1].0, merged);
            }
        }
        for (id, symbol) in ids.iter_mut().zip(&symbols[..length]) {
            *id = symbol.0;
        }
        length
    }

    /// As `merge_short`, in time that grows with the length times its logarithm.
    fn merge_long(&self, ids: &mut [u32]) -> usize {
        let length = ids.len();
        let merges = ids.windows(2).map(|pair| self.merge(pair[0], pair[1])).enumerate();
        let mut heap: BinaryHeap<Reverse<(u32, u32)>> = merges
            .filter(|(_, merge)| merge.rank != NONE)
            .map(|(at, merge)| Reverse((merge.rank, at as u32)))
            .collect();
        // By place, those of the symbols before and after it. A merged symbol has the first place
        // of the two, the other has no id any more.
        let mut next: Vec<u32> = (1..=length as u32).collect();
        let mut before: Vec<u32> = (0..length as u32).map(|at| at.wrapping_sub(1)).collect();
        let merge_at = |ids: &[u32], next: &[u32], at: u32| {
            let right = next[at as usize] as usize;
            let is_pair = ids[at as usize] != NONE && right < length;
            if is_pair { self.merge(ids[at as usize], ids[right]) } else { NO_MERGE }
        };
        while let Some(Reverse((rank, at))) = heap.pop() {
            let merge = merge_at(ids, &next, at);
            if merge.rank != rank {
                continue;
            }
            let right = next[at as usize];
            ids[at as usize] = merge.id;
            ids[right as usize] = NONE;
            let after = next[right as usize];
            next[at as usize] = after;
            if let Some(before) = before.get_mut(after as usize) {
                *before = at;
            }
            let left = before[at as usize];
            for at in [left, at].into_iter().filter(|&at| at != NONE) {
                let merge = merge_at(ids, &next, at);
                if merge.rank != NONE {
                    heap.push(Reverse((merge.rank, at)));
                }
            }
        }
        let mut left = 0;
        for at in 0..length {
            if ids[at] != NONE {
                ids[left] = ids[at];
                left += 1;
            }
        }
        left
    }
}

/// Characters before `mark` in what merges make. A text may be cut before a mark that follows any
/// other character, since no token of it reaches over the cut. `None` where `mark` is not a token or
/// a merge has the token of a byte, which is not written as what it stands for.
pub(crate) fn joined_to(mark: char, model: &Model) -> Option<HashSet<char>> {
    let tokens = &model.vocab.as_ref()?.ids;
    tokens.iter().find(|(token, _)| token.chars().eq([mark]))?;
    let mut joined = HashSet::new();
    for (a, b) in &model.merges.as_ref()?.0 {
        if [a, b].iter().any(|token| token.len() == 6 && token.starts_with("<0x")) {
            return None;
        }
        let mut last = None;
        for c in a.chars().chain(b.chars()) {
            if c == mark {
                joined.extend(last.filter(|&last| last != mark));
            }
            last = Some(c);
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};
    use tokenizers_exact::Model as _;
    use tokenizers_exact::models::bpe::BPE;

    /// Merges of which some make a pair of a lower rank, with `</w>` after the last byte if asked.
    /// `Z` is unknown, or has no token at all.
    fn model(suffix: bool, unknown: bool) -> serde_json::Value {
        let mut vocab = Map::new();
        for letter in byte_letters().map(|letter| if letter == 'Z' { '?' } else { letter }) {
            vocab.insert(letter.to_string(), json!(vocab.len()));
            vocab.insert(format!("{letter}</w>"), json!(vocab.len()));
        }
        let mut merges = Vec::new();
        for (a, b) in [
            ("abb", "a"),
            ("ab", "ab"),
            ("b", "a"),
            ("ab", "b"),
            ("a", "a"),
            ("a", "b"),
            ("aa", "aa"),
            ("ba", "ba"),
            ("a", "b</w>"),
            ("Ġ", "a"),
            ("c", "ab</w>"),
            ("Ã", "©"),
        ] {
            vocab.entry(format!("{a}{b}")).or_insert(json!(512 + merges.len()));
            merges.push(json!([a, b]));
        }
        json!({
            "type": "BPE", "vocab": vocab, "merges": merges,
            "unk_token": if unknown { json!("?") } else { json!(null) },
            "end_of_word_suffix": if suffix { "</w>" } else { "" },
        })
    }

    fn both(suffix: bool, unknown: bool, letters: bool) -> (Bpe, BPE) {
        let model = model(suffix, unknown);
        let exact = serde_json::from_str(&model.to_string()).unwrap();
        (Bpe::new(&serde_json::from_value(model).unwrap(), letters).unwrap(), exact)
    }

    proptest! {
        #[test]
        fn the_ids_are_those_of_the_exact_model(word in "[abcZ é]{1,200}", of in 0usize..3) {
            thread_local! {
                static MODELS: [(Bpe, BPE); 3] =
                    [both(false, true, false), both(true, true, false), both(false, false, false)];
                static LETTERS: [(Bpe, BPE); 2] =
                    [both(false, true, true), both(false, false, true)];
            }
            let letters = byte_letters();
            let written: String = word.bytes().map(|byte| letters[usize::from(byte)]).collect();
            let expected = |exact: &BPE| -> Vec<u32> {
                exact.tokenize(&written).unwrap().iter().map(|token| token.id).collect()
            };
            MODELS.with(|models| {
                let (model, exact) = &models[of];
                let mut ids = Vec::new();
                model.tokenize(&word, &mut ids);
                prop_assert_eq!(ids, expected(exact));
                Ok(())
            })?;
            LETTERS.with(|models| {
                let (model, exact) = &models[of / 2];
                let mut ids = Vec::new();
                model.tokenize(&written, &mut ids);
                prop_assert_eq!(ids, expected(exact));
                Ok(())
            })?;
        }
    }

    #[test]
    fn a_vocabulary_without_every_byte_is_not_covered_where_words_end_in_a_suffix() {
        let mut model = json!({ "type": "BPE", "vocab": { "a": 0 }, "merges": [] });
        assert!(Bpe::new(&serde_json::from_value(model.clone()).unwrap(), false).is_some());
        model["end_of_word_suffix"] = "</w>".into();
        assert!(Bpe::new(&serde_json::from_value(model).unwrap(), false).is_none());
    }

    #[test]
    fn characters_before_a_mark_within_merges_are_found() {
        let found = |vocab, merges| {
            let model = json!({ "type": "BPE", "vocab": vocab, "merges": merges });
            let joined = joined_to('▁', &serde_json::from_value(model).unwrap())?;
            let mut joined: Vec<char> = joined.into_iter().collect();
            joined.sort_unstable();
            Some(joined)
        };
        let marks = json!({ "▁": 0 });
        let merges = json!([["▁", "▁"], ["▁a", "b"], [">", "▁<"], ["x▁", "y"]]);
        assert_eq!(found(marks.clone(), merges.clone()), Some(vec!['>', 'x']));
        assert_eq!(found(json!({ "a": 0 }), merges), None);
        assert_eq!(found(marks, json!([["<0xE2>", "▁"]])), None);
    }
}
