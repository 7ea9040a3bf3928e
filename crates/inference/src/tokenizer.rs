//! A model's own tokenizer: text to the ids that the model was trained on, and ids back to text.

use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_tokens::package_tokenizer;
use tokenizers_exact::Tokenizer;

/// Longest text that is tokenized at once, bytes; a longer one is cut where words end, so that its
/// encoding does not hold hundreds of its size.
const PIECE_BYTES: usize = 16 << 10;

/// A tokenizer.json without truncation and padding.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
}

impl TextTokenizer {
    /// Errors: `MODEL_MISSING`, `MODEL_INVALID`, and `MODEL_TOKENIZER` where it has more tokens
    /// than `vocabulary`.
    pub(crate) fn open(directory: &Path, vocabulary: Option<usize>) -> Result<TextTokenizer> {
        let path = directory.join("tokenizer.json");
        let file = path.display().to_string();
        if !path.is_file() {
            let message =
                format!("{file} is missing; a model directory must hold its tokenizer.json");
            return Err(Error::new(Code::ModelMissing, message).with("file", file));
        }
        let invalid = |e: &dyn std::fmt::Display| {
            Error::new(Code::ModelInvalid, format!("{file} is not a supported tokenizer: {e}"))
                .with("file", file.as_str())
        };
        let bytes = std::fs::read(&path).at("read", &path)?;
        let tokenizer = package_tokenizer(&bytes).map_err(|e| invalid(&e))?;
        let largest = tokenizer.get_vocab(true).values().copied().max().unwrap_or(0) as usize;
        if let Some(vocabulary) = vocabulary.filter(|&v| largest >= v) {
            let message = format!(
                "{file} has tokens up to id {largest}, but the model knows ids below {vocabulary}; \
                 the tokenizer belongs to another model"
            );
            return Err(Error::new(Code::ModelTokenizer, message)
                .with("expected", vocabulary)
                .with("found", largest + 1));
        }
        Ok(TextTokenizer { tokenizer })
    }

    /// Ids of a text; `special`: with those that the model expects around it.
    pub(crate) fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, special);
        let encoding = encoding.map_err(|e| {
            Error::new(Code::ModelInvalid, format!("the model's tokenizer refuses a text: {e}"))
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of ids, special tokens left out.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String> {
        let text = self
            .tokenizer
            .decode(ids, true)
            .map_err(|e| Error::new(Code::ModelInvalid, format!("ids cannot be decoded: {e}")))?;
        Ok(text.trim().to_owned())
    }
}

/// A text in pieces of at most [`PIECE_BYTES`], cut after white space where there is some.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if rest.len() <= PIECE_BYTES { rest.len() } else { cut(rest, PIECE_BYTES) };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// The last end of a word at or before `most`, else the last character's.
fn cut(text: &str, most: usize) -> usize {
    let end = (1..=most).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    match text[..end].rfind(char::is_whitespace) {
        Some(space) if space > 0 => space,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_text_and_end_with_words() {
        let words = "wörter und words ".repeat(3_000);
        let cut: Vec<&str> = pieces(&words).collect();
        assert_eq!(cut.concat(), words);
        assert!(cut.len() > 2 && cut.iter().all(|p| p.len() <= PIECE_BYTES));
        assert!(cut[1..].iter().all(|p| p.starts_with(' ')));
        let unbroken = "ß".repeat(PIECE_BYTES);
        assert_eq!(pieces(&unbroken).collect::<String>(), unbroken);
        assert_eq!(pieces("").count(), 0);
    }
}
