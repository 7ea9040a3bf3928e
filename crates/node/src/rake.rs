//! RAKE on strings.

use longweave_pipeline::small::KeywordExtractor;
use napi_derive::napi;

use crate::error::call;

/// A phrase and its score.
#[napi(object)]
pub struct Keyword {
    /// The normalised phrase.
    pub phrase: String,
    /// Sum of its words' degree/frequency.
    pub score: f64,
}

/// A keyword extractor.
#[napi]
pub struct Rake {
    extractor: KeywordExtractor,
}

#[napi]
impl Rake {
    /// An extractor with options as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> napi::Result<Rake> {
        Ok(Rake { extractor: call(|| KeywordExtractor::new(&options))? })
    }

    /// Keywords of a text, best first.
    #[napi(catch_unwind)]
    pub fn extract(&mut self, text: String) -> napi::Result<Vec<Keyword>> {
        call(|| Ok(self.keywords(&text)))
    }

    /// Keywords of each text, best first.
    #[napi(catch_unwind)]
    pub fn extract_batch(&mut self, texts: Vec<String>) -> napi::Result<Vec<Vec<Keyword>>> {
        call(|| Ok(texts.iter().map(|text| self.keywords(text)).collect()))
    }

    fn keywords(&mut self, text: &str) -> Vec<Keyword> {
        self.extractor
            .extract(text)
            .into_iter()
            .map(|(phrase, score)| Keyword { phrase, score })
            .collect()
    }
}
