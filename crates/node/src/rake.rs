//! RAKE on strings.

use longweave_api::rake::{Columns, KeywordExtractor};
use napi::Env;
use napi::bindgen_prelude::{Float64Array, Object, Uint32Array, Utf16String};
use napi_derive::napi;

use crate::error::call;
use crate::promise::{Cancellation, on_thread};

/// Keywords of texts as columns.
#[napi(object)]
pub struct NativeKeywords {
    /// Normalised phrases, each followed by a line feed.
    pub phrases: String,
    /// The score of each phrase: the sum of its words' degree/frequency.
    pub scores: Float64Array,
    /// Index of the first phrase of each text, and the number of phrases.
    pub offsets: Uint32Array,
}

/// A keyword extractor.
#[napi]
pub struct NativeRake {
    extractor: KeywordExtractor,
}

#[napi]
impl NativeRake {
    /// An extractor with a built-in or given list of stop words, by options as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> napi::Result<NativeRake> {
        Ok(NativeRake { extractor: call(|| KeywordExtractor::new(&options))? })
    }

    /// The same with stop words that are read from a file.
    #[napi(ts_return_type = "Promise<NativeRake>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |_| {
            Ok(NativeRake { extractor: KeywordExtractor::new(&options)? })
        })
    }

    /// Keywords of texts, concatenated in `text` with the given lengths in UTF-16 code units.
    #[napi(catch_unwind)]
    pub fn extract(
        &mut self,
        #[napi(ts_arg_type = "string")] text: Utf16String,
        lengths: Uint32Array,
    ) -> napi::Result<NativeKeywords> {
        call(|| {
            let Columns { phrases, scores, offsets } = self.extractor.extract(&text, &lengths);
            Ok(NativeKeywords { phrases, scores: scores.into(), offsets: offsets.into() })
        })
    }

    /// Keywords of one text as one string, which crosses sooner than columns: of each its score, a
    /// space, its phrase and a line feed.
    #[napi(catch_unwind)]
    pub fn extract_one(
        &mut self,
        #[napi(ts_arg_type = "string")] text: Utf16String,
    ) -> napi::Result<String> {
        call(|| Ok(self.extractor.extract_one(&text)))
    }
}
