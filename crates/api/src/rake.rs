//! RAKE on strings, by itself.

use std::fmt::Write;
use std::path::Path;

use longweave_common::{Code, Error, Result};
pub use longweave_keywords::Columns;
use longweave_keywords::{ColumnScratch, Rake, RakeOptions, StopList};
use longweave_run::load_stop_words;
use serde::Deserialize;

use crate::json::from_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExtractorOptions {
    stop_words: StopWordSource,
    min_score: f64,
}

/// Where stop words come from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum StopWordSource {
    /// A built-in list, by name.
    Builtin(String),
    /// The words themselves.
    Words(Vec<String>),
    /// A file with one word a line.
    File(String),
}

/// RAKE with buffers that are reused from call to call.
pub struct KeywordExtractor {
    rake: Rake,
    scratch: ColumnScratch,
}

impl KeywordExtractor {
    /// From `{stopWords: {builtin} | {words} | {file}, minScore}` as JSON. Only `file` reads a
    /// file.
    ///
    /// Errors: `OPTIONS_INVALID`, `INPUT_NOT_FOUND`.
    pub fn new(options: &str) -> Result<KeywordExtractor> {
        let ExtractorOptions { stop_words, min_score } = from_json("the options of Rake", options)?;
        let words = match stop_words {
            StopWordSource::Builtin(name) => StopList::named(&name).ok_or_else(|| {
                let message = format!("`stopWords` is smart, fox or a list of words, not {name}");
                Error::new(Code::OptionsInvalid, message).with("option", "stopWords")
            })?,
            StopWordSource::Words(words) => StopList::from_words(words.iter().map(String::as_str)),
            StopWordSource::File(path) => load_stop_words(&path, Path::new(""))?,
        };
        let rake = Rake::new(words, RakeOptions { min_score, ..RakeOptions::default() });
        Ok(KeywordExtractor { rake, scratch: ColumnScratch::default() })
    }

    /// Keywords of texts, concatenated in `text` with the given lengths in UTF-16 code units.
    pub fn extract(&mut self, text: &[u16], lengths: &[u32]) -> Columns {
        self.rake.columns(&mut self.scratch, text, lengths)
    }

    /// Keywords of one text: of each its score, a space, its phrase and a line feed.
    pub fn extract_one(&mut self, text: &[u16]) -> String {
        let Columns { phrases, scores, .. } = self.extract(text, &[text.len() as u32]);
        let mut out = String::with_capacity(phrases.len() + 8 * scores.len());
        for (phrase, score) in phrases.split_terminator('\n').zip(scores) {
            // Most scores are whole, and whole numbers are written sooner.
            let whole = score as u32;
            let written = if f64::from(whole) == score {
                writeln!(out, "{whole} {phrase}")
            } else {
                writeln!(out, "{score} {phrase}")
            };
            written.expect("a string takes what is written");
        }
        out
    }
}
