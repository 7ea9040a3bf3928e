//! RAKE on strings, by itself.

use std::path::Path;

use longweave_common::{Code, Error, Result};
use longweave_keywords::{Rake, RakeOptions, Scratch, StopList};
use serde::Deserialize;

use crate::commands::from_json;
use crate::resources::load_stop_words;

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

/// RAKE with buffers that are reused from text to text.
pub struct KeywordExtractor {
    rake: Rake,
    scratch: Scratch,
    /// The phrases of one text, concatenated, and where each ends.
    text: String,
    found: Vec<(u32, u32, f64)>,
}

/// Keywords of texts as columns.
#[derive(Debug, Default)]
pub struct KeywordColumns {
    /// Normalised phrases, each followed by a line feed, which no phrase holds.
    pub phrases: String,
    /// The score of each phrase.
    pub scores: Vec<f64>,
    /// Number of phrases up to and with each text.
    pub ends: Vec<u32>,
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
        let scratch = rake.scratch();
        Ok(KeywordExtractor { rake, scratch, text: String::new(), found: Vec::new() })
    }

    /// Appends the keywords of a text: best first, ties in byte order.
    pub fn extract(&mut self, text: &str, columns: &mut KeywordColumns) {
        let KeywordExtractor { rake, scratch, text: phrases, found } = self;
        phrases.clear();
        found.clear();
        rake.extract(scratch, text, |phrase, score| {
            let start = phrases.len() as u32;
            phrases.push_str(phrase);
            found.push((start, phrases.len() as u32, score));
        });
        let phrase = |&(start, end, _): &(u32, u32, f64)| &phrases[start as usize..end as usize];
        found.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then_with(|| phrase(a).cmp(phrase(b))));
        for keyword in &*found {
            columns.phrases.push_str(phrase(keyword));
            columns.phrases.push('\n');
            columns.scores.push(keyword.2);
        }
        columns.ends.push(columns.scores.len() as u32);
    }
}
