//! The small parts that are public by themselves: RAKE on strings, query prediction on documents.

use std::path::Path;

use longweave_common::{Ctx, Result};
use longweave_keywords::{Rake, RakeOptions, Scratch};
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Predictor, Queries};
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
        let rake = Rake::new(load_stop_words(&stop_words, Path::new(""))?, RakeOptions { min_score, ..RakeOptions::default() });
        let scratch = rake.scratch();
        Ok(KeywordExtractor { rake, scratch })
    }

    /// Normalised phrases with their scores, best first, ties in byte order.
    pub fn extract(&mut self, text: &str) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        self.rake.extract(&mut self.scratch, text, |phrase, score| found.push((phrase.to_owned(), score)));
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MakerOptions {
    segment_tokens: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MakerDocument {
    id: String,
    text: String,
}

/// The extractive predictor.
pub struct QueryMaker {
    predictor: Extractive,
    ctx: Ctx,
}

impl QueryMaker {
    /// From `{segmentTokens}` as JSON.
    pub fn new(options: &str) -> Result<QueryMaker> {
        let MakerOptions { segment_tokens } = from_json("the options of QueryPredictor", options)?;
        Ok(QueryMaker { predictor: Extractive::new(ExtractiveOptions { segment_tokens }), ctx: Ctx::new(1, 1 << 30)? })
    }

    /// Queries of documents `[{id, text}]` as a JSON array of arrays of strings.
    pub fn predict(&self, documents: &str) -> Result<String> {
        let documents: Vec<MakerDocument> = from_json("documents", documents)?;
        let refs: Vec<DocumentRef<'_>> = documents.iter().map(|d| DocumentRef { id: &d.id, text: &d.text, queries: &[] }).collect();
        let mut out = Queries::default();
        self.predictor.predict(&self.ctx, &refs, &mut out)?;
        let lists: Vec<Vec<&str>> = (0..documents.len()).map(|i| out.of(i).map(|(_, query)| query).collect()).collect();
        Ok(serde_json::json!(lists).to_string())
    }
}
