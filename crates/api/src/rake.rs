//! RAKE on strings, by itself.

use std::fmt::Write;
use std::sync::Arc;

use longweave_common::{Code, Error, Result};
pub use longweave_keywords::Columns;
use longweave_keywords::{ColumnScratch, RakeOptions, Rakes, StopList};
use longweave_run::{Base, language, read_stop_words};
use serde::Deserialize;

use crate::json::from_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExtractorOptions {
    stop_words: StopWordSource,
    /// A code, or `auto`.
    language: String,
    min_score: f64,
}

/// Where stop words come from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum StopWordSource {
    /// A built-in list, by name; `auto` for the list of each text's language.
    Builtin(String),
    /// The words themselves.
    Words(Vec<String>),
    /// A file with one word a line.
    File(String),
}

/// RAKE with buffers that are reused from call to call.
pub struct KeywordExtractor {
    rakes: Arc<Rakes>,
    scratch: ColumnScratch,
    units: Vec<u16>,
    columns: Columns,
    out: String,
}

impl KeywordExtractor {
    /// From `{stopWords: {builtin} | {words} | {file}, language, minScore}` as JSON. Only `file`
    /// reads a file.
    ///
    /// Errors: `OPTIONS_INVALID`, `INPUT_NOT_FOUND`.
    pub fn new(options: &str) -> Result<KeywordExtractor> {
        let ExtractorOptions { stop_words, language: code, min_score } =
            from_json("the options of Rake", options)?;
        let language = language(&code, "language")?;
        let words = match stop_words {
            StopWordSource::Builtin(name) if name == "auto" => None,
            StopWordSource::Builtin(name) => Some(StopList::named(&name).ok_or_else(|| {
                let message = format!(
                    "`stopWords`: there is no list \"{name}\"; give a list of words, `auto`, or one \
                     of {}",
                    StopList::names()
                );
                Error::new(Code::OptionsInvalid, message).with("option", "stopWords")
            })?),
            StopWordSource::Words(words) => {
                Some(StopList::from_words(words.iter().map(String::as_str)))
            }
            StopWordSource::File(path) => Some(read_stop_words(&path, &Base::default())?),
        };
        let options = RakeOptions { min_score, ..RakeOptions::default() };
        Ok(KeywordExtractor::of(Arc::new(Rakes::new(words, language, options))))
    }

    fn of(rakes: Arc<Rakes>) -> KeywordExtractor {
        let (scratch, units, columns, out) = Default::default();
        KeywordExtractor { rakes, scratch, units, columns, out }
    }

    /// Another one with the same stop words and options, and buffers of its own.
    pub fn another(&self) -> KeywordExtractor {
        KeywordExtractor::of(Arc::clone(&self.rakes))
    }

    /// Keywords of texts, concatenated in `text` with the given lengths in UTF-16 code units.
    pub fn extract(&mut self, text: &[u16], lengths: &[u32]) -> Columns {
        self.rakes.columns(&mut self.scratch, text, lengths)
    }

    /// Replaces a text at the beginning of `room`, in UTF-16 of little-endian byte order, by its
    /// keywords in UTF-8: of each its score, a space, its phrase and a line feed. Returns the number
    /// of bytes; `None` where they do not fit.
    pub fn extract_in(&mut self, room: &mut [u8], bytes: usize) -> Option<usize> {
        let text = &room[..bytes.min(room.len())];
        self.units.clear();
        self.units.extend(text.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])));
        let lengths = [self.units.len() as u32];
        self.rakes.columns_into(&mut self.scratch, &self.units, &lengths, &mut self.columns);
        let Columns { phrases, scores, .. } = &self.columns;
        let out = &mut self.out;
        out.clear();
        for (phrase, &score) in phrases.split_terminator('\n').zip(scores) {
            // Most scores are whole and small, and such numbers are written sooner.
            let whole = score as u8;
            if f64::from(whole) == score && whole < 10 {
                out.push(char::from(b'0' + whole));
            } else {
                write!(out, "{score}").expect("a string takes what is written");
            }
            out.push(' ');
            out.push_str(phrase);
            out.push('\n');
        }
        room.get_mut(..out.len())?.copy_from_slice(out.as_bytes());
        Some(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_a_text_replace_it_unless_there_is_too_little_room() {
        let options = r#"{"stopWords":{"builtin":"smart"},"language":"en","minScore":0}"#;
        let mut extractor = KeywordExtractor::new(options).unwrap().another();
        let mut of = |text: &str, room: usize| {
            let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = bytes.len();
            bytes.resize(room, 0);
            let written = extractor.extract_in(&mut bytes, length);
            Some(std::str::from_utf8(&bytes[..written?]).unwrap().to_owned())
        };
        assert_eq!(
            of("the linear constraint solver is a proof", 99).unwrap(),
            "9 linear constraint solver\n1 proof\n"
        );
        assert_eq!(of("grüne bäume", 99).unwrap(), "4 grüne bäume\n");
        assert_eq!(of("", 0).unwrap(), "");
        // Of one letter NFKC makes eighteen.
        assert_eq!(of("\u{fdfa}", 2), None);
    }
}
