//! The heap bytes that encoding a text needs, from its length and its runs. Measured with BERT's,
//! GPT-2's, Pythia's and T5's files on words, one character a million times, digits, ideographs,
//! punctuation and control characters; rounded up.

use serde_json::Value;

/// Bytes for a byte of text: tokens of the encoder's own type, ids.
const FAST: u64 = 16;
/// Bytes for a byte of the longest piece that is merged as one: its symbols and the pairs of them.
const FAST_RUN: u64 = 48;
/// Bytes for a byte of text: alignments, symbols, tokens.
const EXACT: u64 = 150;
/// Bytes for each change from one kind of character to another: what is kept of a piece.
const EXACT_PIECE: u64 = 180;

/// Where a tokenizer cuts a text before it merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// Between letters, digits, white space and others.
    Kinds,
    /// At white space.
    Words,
    /// Nowhere.
    Whole,
}

impl Runs {
    /// From the section `pre_tokenizer` of a file.
    pub(crate) fn of(pre_tokenizer: &Value) -> Runs {
        let text = pre_tokenizer.to_string();
        if pre_tokenizer.is_null() {
            Runs::Whole
        } else if text.contains("\\\\p{L}")
            || text.contains("\"ByteLevel\"") && !text.contains("\"use_regex\":false")
        {
            Runs::Kinds
        } else {
            Runs::Words
        }
    }
}

/// Letters, digits, white space, others.
fn kind(character: char) -> u8 {
    if character.is_alphabetic() {
        0
    } else if character.is_numeric() {
        1
    } else if character.is_whitespace() {
        2
    } else {
        3
    }
}

/// Bytes of the longest run of characters that `same` takes for one piece, and how many runs there
/// are.
fn runs(text: &str, same: impl Fn(char) -> u8) -> (u64, u64) {
    let (mut longest, mut count, mut start, mut last) = (0, 0, 0, None);
    for (at, character) in text.char_indices() {
        let now = Some(same(character));
        if now != last {
            longest = longest.max(at - start);
            (start, last) = (at, now);
            count += 1;
        }
    }
    (longest.max(text.len() - start) as u64, count)
}

/// Bytes of the longest piece that is merged as one.
fn longest(text: &str, cut: Runs) -> u64 {
    match cut {
        Runs::Kinds => runs(text, kind).0,
        Runs::Words => runs(text, |c| u8::from(c.is_whitespace())).0,
        Runs::Whole => text.len() as u64,
    }
}

/// Of the fast encoder.
pub(crate) fn fast_cost(text: &str, cut: Runs) -> u64 {
    FAST * text.len() as u64 + FAST_RUN * longest(text, cut)
}

/// Of the fast encoder with the exact one's model.
pub(crate) fn kept_cost(text: &str, cut: Runs) -> u64 {
    FAST * text.len() as u64 + (EXACT + EXACT_PIECE) * longest(text, cut)
}

/// Of the exact encoder.
pub(crate) fn exact_cost(text: &str) -> u64 {
    EXACT * text.len() as u64 + EXACT_PIECE * runs(text, kind).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_longest_run_is_told_by_where_the_tokenizer_cuts() {
        let text = "abc123 déf!! ";
        assert_eq!(runs(text, kind), (4, 6));
        let longest = |cut| (fast_cost(text, cut) - FAST * text.len() as u64) / FAST_RUN;
        assert_eq!([Runs::Kinds, Runs::Words, Runs::Whole].map(longest), [4, 6, text.len() as u64]);
        assert_eq!(fast_cost("", Runs::Whole), 0);
        assert_eq!(exact_cost("a b"), 3 * EXACT + 3 * EXACT_PIECE);
    }

    #[test]
    fn cuts_follow_from_the_file() {
        assert_eq!(Runs::of(&Value::Null), Runs::Whole);
        assert_eq!(Runs::of(&json!({ "type": "WhitespaceSplit" })), Runs::Words);
        assert_eq!(Runs::of(&json!({ "type": "ByteLevel", "use_regex": true })), Runs::Kinds);
        assert_eq!(Runs::of(&json!({ "type": "ByteLevel", "use_regex": false })), Runs::Words);
        let split = json!({ "type": "Split", "pattern": { "Regex": "\\p{N}{1,3}|\\p{L}+" }, "behavior": "Isolated" });
        let split = json!({ "type": "Sequence", "pretokenizers": [split, { "type": "ByteLevel", "use_regex": false }] });
        assert_eq!(Runs::of(&split), Runs::Kinds);
    }
}
