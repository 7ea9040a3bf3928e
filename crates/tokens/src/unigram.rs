//! A Unigram model as tokenizers 0.23 reads a word: the cut whose scores sum to the most, of equal
//! ones the one found first. In: a word. Out: ids.

use hashbrown::HashMap;

/// The score of an unknown character lies this far below the lowest of a token.
const UNKNOWN_PENALTY: f64 = 10.0;
/// No id.
const NONE: u32 = u32::MAX;
/// Bytes of the longest word that is cut on the stack.
const SHORT: usize = 48;

pub(crate) struct Unigram {
    trie: Trie,
    /// By id.
    scores: Vec<f64>,
    unknown_score: f64,
    unknown: u32,
    /// By byte, the tokens of unknown characters, where there are all that occur.
    bytes: Option<Box<[u32; 256]>>,
}

/// The best cut of the text before a place.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// Where its last token begins, or `NONE` before there is one.
    start: u32,
    id: u32,
}

const NO_CUT: Best = Best { score: 0.0, start: NONE, id: 0 };

impl Unigram {
    /// From tokens with their scores. `None` where a text can fail or the tokens are too many.
    pub(crate) fn new(
        pieces: &[(String, f64)],
        unknown: Option<usize>,
        byte_fallback: bool,
    ) -> Option<Unigram> {
        let unknown = unknown.filter(|&id| id < pieces.len())? as u32;
        // Of a token twice, the last definition counts.
        let ids: HashMap<&str, u32> =
            pieces.iter().enumerate().map(|(id, (token, _))| (&**token, id as u32)).collect();
        let lowest = pieces.iter().map(|&(_, score)| score).fold(f64::INFINITY, f64::min);
        if pieces.iter().any(|(_, score)| !score.is_finite()) {
            return None;
        }
        let bytes = if byte_fallback {
            let table: [u32; 256] = std::array::from_fn(|byte| {
                ids.get(&*format!("<0x{byte:02X}>")).copied().unwrap_or(NONE)
            });
            if table.contains(&NONE) {
                return None;
            }
            Some(Box::new(table))
        } else {
            None
        };
        let mut tokens: Vec<(&[u8], u32)> =
            ids.iter().map(|(token, &id)| (token.as_bytes(), id)).collect();
        tokens.sort_unstable();
        Some(Unigram {
            trie: Trie::new(&tokens)?,
            scores: pieces.iter().map(|&(_, score)| score).collect(),
            unknown_score: lowest - UNKNOWN_PENALTY,
            unknown,
            bytes,
        })
    }

    /// Appends the ids of a word.
    pub(crate) fn tokenize(&self, word: &str, out: &mut Vec<u32>) {
        if word.len() <= SHORT {
            self.cut(word, &mut [NO_CUT; SHORT + 1][..=word.len()], out);
        } else {
            self.cut(word, &mut vec![NO_CUT; word.len() + 1], out);
        }
    }

    /// `best` has a place for each byte of the word and one for its end.
    fn cut(&self, word: &str, best: &mut [Best], out: &mut Vec<u32>) {
        let bytes = word.as_bytes();
        for (start, c) in word.char_indices() {
            let before = best[start].score;
            let single = start + c.len_utf8();
            let mut has_single = false;
            let mut take = |end: usize, id: u32, score: f64| {
                let best = &mut best[end];
                let score = score + before;
                if best.start == NONE || score > best.score {
                    *best = Best { score, start: start as u32, id };
                }
            };
            self.trie.prefixes(&bytes[start..], |length, id| {
                take(start + length, id, self.scores[id as usize]);
                has_single |= start + length == single;
            });
            if !has_single {
                take(single, self.unknown, self.unknown_score);
            }
        }
        // From the end: the ids in reverse, neighbours that are unknown as one.
        let first = out.len();
        let mut end = word.len();
        while end > 0 {
            let Best { mut start, id, .. } = best[end];
            if id == self.unknown {
                while start > 0 && best[start as usize].id == self.unknown {
                    start = best[start as usize].start;
                }
                self.push_unknown(&bytes[start as usize..end], out);
            } else {
                out.push(id);
            }
            end = start as usize;
        }
        out[first..].reverse();
    }

    /// Appends the ids of unknown text, in reverse.
    fn push_unknown(&self, text: &[u8], out: &mut Vec<u32>) {
        match (self.trie.get(text), &self.bytes) {
            (Some(id), _) => out.push(id),
            (None, Some(bytes)) => {
                out.extend(text.iter().rev().map(|&byte| bytes[usize::from(byte)]));
            }
            (None, None) => out.push(self.unknown),
        }
    }
}

/// Tokens by their bytes: a double array. The child of a node for a byte is at the node's base,
/// exclusive or the byte, if that place says so.
struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Node {
    base: u32,
    /// The node that this is a child of, or `NONE` for a free place.
    parent: u32,
    /// The token that ends here, or `NONE`.
    id: u32,
}

const FREE: Node = Node { base: 0, parent: NONE, id: NONE };
/// Free places that are tried for the children of a node before a new block is opened.
const TRIES: usize = 64;

impl Trie {
    /// `tokens` are in order, each once.
    fn new(tokens: &[(&[u8], u32)]) -> Option<Trie> {
        let mut trie = Trie { nodes: vec![FREE; 256] };
        // Place 0 is the root, which is nobody's child.
        trie.nodes[0].parent = 0;
        let mut open = vec![(0, 0, 0..tokens.len())];
        let mut first_free = 1;
        let mut children: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
        while let Some((node, depth, mut range)) = open.pop() {
            if let Some(&(token, id)) = tokens.get(range.start)
                && token.len() == depth
                && !range.is_empty()
            {
                trie.nodes[node].id = id;
                range.start += 1;
            }
            children.clear();
            while let Some((token, _)) = tokens.get(range.start).filter(|_| !range.is_empty()) {
                let byte = token[depth];
                let rest = &tokens[range.clone()];
                let end = range.start + rest.partition_point(|(token, _)| token[depth] == byte);
                children.push((byte, range.start..end));
                range.start = end;
            }
            let Some(&(least, _)) = children.first() else { continue };
            while trie.nodes.get(first_free).is_some_and(|node| node.parent != NONE) {
                first_free += 1;
            }
            let is_free = |base: usize| {
                children.iter().all(|&(byte, _)| {
                    trie.nodes.get(base ^ usize::from(byte)).is_some_and(|n| n.parent == NONE)
                })
            };
            let free = (first_free..trie.nodes.len()).filter(|&at| trie.nodes[at].parent == NONE);
            let mut bases = free.take(TRIES).map(|at| at ^ usize::from(least));
            let base = bases.find(|&base| is_free(base)).unwrap_or(trie.nodes.len());
            if base >= trie.nodes.len() {
                trie.nodes.resize(base + 256, FREE);
            }
            trie.nodes[node].base = u32::try_from(base).ok()?;
            for (byte, range) in children.drain(..) {
                let child = base ^ usize::from(byte);
                trie.nodes[child].parent = node as u32;
                open.push((child, depth + 1, range));
            }
        }
        Some(trie)
    }

    #[inline]
    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let child = self.nodes[node as usize].base ^ u32::from(byte);
        // The root is its own parent and no child.
        (child != 0 && self.nodes[child as usize].parent == node).then_some(child)
    }

    /// Calls `each` with the length and the id of each token that the text begins with, the
    /// shortest first.
    #[inline]
    fn prefixes(&self, text: &[u8], mut each: impl FnMut(usize, u32)) {
        let mut node = 0;
        for (at, &byte) in text.iter().enumerate() {
            let Some(child) = self.child(node, byte) else { return };
            let id = self.nodes[child as usize].id;
            if id != NONE {
                each(at + 1, id);
            }
            node = child;
        }
    }

    fn get(&self, text: &[u8]) -> Option<u32> {
        let node = text.iter().try_fold(0, |node, &byte| self.child(node, byte))?;
        Some(self.nodes[node as usize].id).filter(|&id| id != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers_exact::Model as _;

    fn scores() -> impl Strategy<Value = f64> {
        // Halves, whose sums tie often, and others.
        prop_oneof![(-12..0).prop_map(|n| f64::from(n) / 2.0), -9.0..-1.0]
    }

    proptest! {
        #[test]
        fn the_ids_are_those_of_the_exact_model(
            tokens in prop::collection::vec(("[ab▁é]{1,4}|<unk>|u", scores()), 1..40),
            bytes in any::<bool>(),
            words in prop::collection::vec("([abcé▁x😀]|<unk>){1,60}", 1..20),
        ) {
            let mut pieces = vec![("<unk>".to_owned(), 0.0)];
            pieces.extend(tokens);
            pieces.extend((0..256).filter(|_| bytes).map(|b| (format!("<0x{b:02X}>"), -20.0)));
            let model = Unigram::new(&pieces, Some(0), bytes).unwrap();
            let exact = tokenizers_exact::models::unigram::Unigram::from(pieces, Some(0), bytes).unwrap();
            for word in &words {
                let expected: Vec<u32> = exact.tokenize(word).unwrap().iter().map(|t| t.id).collect();
                let mut ids = Vec::new();
                model.tokenize(word, &mut ids);
                prop_assert_eq!(ids, expected);
            }
        }

        #[test]
        fn a_trie_finds_its_tokens_and_no_other(
            tokens in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..4), 0..400),
            others in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..100),
        ) {
            let list: Vec<(&[u8], u32)> = tokens.iter().enumerate().map(|(i, t)| (&t[..], i as u32)).collect();
            let trie = Trie::new(&list).unwrap();
            for &(token, id) in &list {
                prop_assert_eq!(trie.get(token), Some(id));
            }
            for text in &others {
                prop_assert_eq!(trie.get(text).is_some(), tokens.contains(text));
                let mut found = Vec::new();
                trie.prefixes(text, |length, _| found.push(length));
                let expected: Vec<usize> =
                    (1..=text.len()).filter(|&n| tokens.contains(&text[..n])).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
