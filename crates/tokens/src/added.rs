//! Added tokens in a text, found as tokenizers 0.23 finds them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use longweave_common::{Code, Error, Result};
use regex::Regex;

use crate::file::AddedToken;

/// The added tokens of a file.
pub(crate) struct AddedTokens {
    /// Those that are looked for in the text as it is.
    raw: Finder,
    /// Those that are looked for once it is normalized.
    normalized: Finder,
}

struct Finder {
    automaton: Option<AhoCorasick>,
    /// In the order of the automaton's patterns.
    tokens: Vec<AddedToken>,
}

impl AddedTokens {
    /// The tokens of a file; `normalize` is what its normalizer does.
    ///
    /// Errors: those of `normalize`; `TOKENIZER_INVALID` for too many tokens.
    pub(crate) fn new(
        tokens: &[AddedToken],
        normalize: impl Fn(&str) -> Result<String>,
    ) -> Result<AddedTokens> {
        let (mut raw, mut normalized) = (vec![], vec![]);
        for token in tokens {
            if token.normalized {
                normalized.push((normalize(&token.content)?, token.clone()));
            } else {
                raw.push((token.content.clone(), token.clone()));
            }
        }
        Ok(AddedTokens { raw: Finder::new(raw)?, normalized: Finder::new(normalized)? })
    }

    /// Appends the added tokens of a text to `out`, and calls `each` with `out` for each text between
    /// them and where it begins, in order. Tokens that `skip` names stay text.
    pub(crate) fn split<'t>(
        &self,
        text: &'t str,
        normalized: bool,
        skip: impl Fn(u32) -> bool,
        out: &mut Vec<u32>,
        each: impl FnMut(&'t str, usize, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let finder = if normalized { &self.normalized } else { &self.raw };
        finder.split(text, skip, out, each)
    }
}

impl Finder {
    fn new(tokens: Vec<(String, AddedToken)>) -> Result<Finder> {
        let (patterns, tokens): (Vec<String>, Vec<AddedToken>) =
            tokens.into_iter().filter(|(pattern, _)| !pattern.is_empty()).unzip();
        let automaton = (!patterns.is_empty()).then(|| longest(&patterns)).transpose()?;
        Ok(Finder { automaton, tokens })
    }

    fn split<'t>(
        &self,
        text: &'t str,
        skip: impl Fn(u32) -> bool,
        out: &mut Vec<u32>,
        mut each: impl FnMut(&'t str, usize, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        for found in self.automaton.iter().flat_map(|automaton| automaton.find_iter(text)) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (mut start, mut end) = (found.start(), found.end());
            if skip(token.id) || token.single_word && !is_word(&text[..start], &text[end..]) {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                each(&text[done..start], done, out)?;
            }
            out.push(token.id);
            done = end;
        }
        if done < text.len() {
            each(&text[done..], done, out)?;
        }
        Ok(())
    }
}

/// An automaton that finds the longest of the leftmost matches.
///
/// Errors: `TOKENIZER_INVALID`.
pub(crate) fn longest(patterns: &[String]) -> Result<AhoCorasick> {
    let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    built.map_err(|e| {
        let message = format!("the added tokens of the tokenizer are too many: {e}");
        Error::new(Code::TokenizerInvalid, message)
    })
}

/// Whether words end on both sides.
fn is_word(before: &str, after: &str) -> bool {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\w$").expect("the pattern is constant"));
    let part_of_word =
        |c: Option<char>| c.is_some_and(|c| WORD.is_match(c.encode_utf8(&mut [0; 4])));
    !part_of_word(before.chars().next_back()) && !part_of_word(after.chars().next())
}
