//! Special text: what in a document is written like a special token, and ids that no document's
//! text may have.

use aho_corasick::AhoCorasick;
use longweave_common::Result;

use crate::added::longest;
use crate::file::Vocabulary;

/// Tokens that documents may not contain: those that are marked special, the separator, the begin
/// and the padding token.
pub struct Reserved {
    /// By id, whether the token is one of them.
    ids: Vec<bool>,
    /// The token for unknown text: the model also gives it to text that was not written like it.
    unknown: Option<u32>,
    texts: Option<AhoCorasick>,
}

impl Reserved {
    /// The special tokens of a file, and `more` ids.
    pub(crate) fn new(vocabulary: &Vocabulary, more: &[u32]) -> Result<Reserved> {
        let largest = vocabulary.max_id.max(more.iter().copied().max().unwrap_or(0));
        let mut ids = vec![false; largest as usize + 1];
        let special = vocabulary.added.iter().filter(|token| token.special).map(|token| token.id);
        special.chain(more.iter().copied()).for_each(|id| ids[id as usize] = true);
        let is_reserved = |id: u32| ids.get(id as usize).is_some_and(|&is| is);
        let mut texts = vocabulary.texts(is_reserved);
        texts.sort();
        let texts = (!texts.is_empty()).then(|| longest(&texts)).transpose()?;
        Ok(Reserved { ids, unknown: vocabulary.unknown, texts })
    }

    /// How often a text contains what is written like a reserved token.
    pub fn count(&self, text: &str) -> u64 {
        self.texts.iter().map(|texts| texts.find_iter(text).count() as u64).sum()
    }

    /// The first such place.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.texts.as_ref()?.find(text)?;
        Some(&text[found.range()])
    }

    pub(crate) fn is_reserved(&self, id: u32) -> bool {
        self.ids.get(id as usize).is_some_and(|&is| is)
    }

    /// Whether ids of a model contain a reserved one.
    pub(crate) fn are_in(&self, ids: &[u32]) -> bool {
        ids.iter().any(|&id| self.is_reserved(id) && Some(id) != self.unknown)
    }

    /// Appends the ids of a word. Where the model takes part of it for a reserved token, that part
    /// is cut after its first character.
    pub(crate) fn encode_apart(
        &self,
        word: &str,
        out: &mut Vec<u32>,
        encode: impl Fn(&str, &mut Vec<u32>) -> Result<()> + Copy,
    ) -> Result<()> {
        let before = out.len();
        encode(word, out)?;
        if !self.are_in(&out[before..]) {
            return Ok(());
        }
        let after_first = |start: usize| {
            word[start..]
                .chars()
                .next()
                .map(|c| start + c.len_utf8())
                .filter(|&end| end < word.len())
        };
        let found = self.texts.iter().flat_map(|texts| texts.find_iter(word));
        let mut cuts: Vec<usize> = found.filter_map(|found| after_first(found.start())).collect();
        if cuts.is_empty() {
            let middle =
                (word.len() / 2..word.len()).find(|&at| at > 0 && word.is_char_boundary(at));
            let Some(middle) = middle else { return Ok(()) };
            cuts.push(middle);
        }
        out.truncate(before);
        cuts.push(word.len());
        let mut start = 0;
        for end in cuts {
            self.encode_apart(&word[start..end], out, encode)?;
            start = end;
        }
        Ok(())
    }
}
