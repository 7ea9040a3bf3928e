//! RAKE on strings, by itself.

use std::path::Path;

use longweave_common::Result;
use longweave_keywords::{Rake, RakeOptions, Scratch};
use serde::Deserialize;

use crate::commands::from_json;
use crate::resources::load_stop_words;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExtractorOptions {
    stop_words: String,
    min_score: f64,
}

/// RAKE with buffers that are reused from text to text.
pub struct KeywordExtractor {
    rake: Rake,
    scratch: Scratch,
}

impl KeywordExtractor {
    /// From `{stopWords, minScore}` as JSON.
    pub fn new(options: &str) -> Result<KeywordExtractor> {
        let ExtractorOptions { stop_words, min_score } = from_json("the options of Rake", options)?;
        let rake = Rake::new(
            load_stop_words(&stop_words, Path::new(""))?,
            RakeOptions { min_score, ..RakeOptions::default() },
        );
        let scratch = rake.scratch();
        Ok(KeywordExtractor { rake, scratch })
    }

    /// Normalised phrases with their scores, best first, ties in byte order.
    pub fn extract(&mut self, text: &str) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        self.rake.extract(&mut self.scratch, text, |phrase, score| {
            found.push((phrase.to_owned(), score))
        });
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }
}
