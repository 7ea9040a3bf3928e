//! RAKE on strings.

use longweave_pipeline::small::{KeywordColumns, KeywordExtractor};
use napi::Env;
use napi::bindgen_prelude::{Float64Array, Object, Uint32Array};
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
    /// Number of phrases up to and with each text.
    pub ends: Uint32Array,
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

    /// Keywords of texts, concatenated in `text` with the given lengths in UTF-16 code
    /// units.
    #[napi(catch_unwind)]
    pub fn extract(&mut self, text: String, lengths: Uint32Array) -> napi::Result<NativeKeywords> {
        call(|| {
            let mut columns = KeywordColumns::default();
            let mut rest = text.as_str();
            // One byte is one unit.
            let ascii = rest.is_ascii();
            for &length in lengths.iter() {
                let bytes = if ascii { length as usize } else { utf16_prefix(rest, length) };
                let (one, others) = rest.split_at(bytes.min(rest.len()));
                self.extractor.extract(one, &mut columns);
                rest = others;
            }
            let KeywordColumns { phrases, scores, ends } = columns;
            Ok(NativeKeywords { phrases, scores: scores.into(), ends: ends.into() })
        })
    }
}

/// Bytes of the first `units` UTF-16 code units of a text; a character that a cut would halve counts
/// as a whole.
fn utf16_prefix(text: &str, units: u32) -> usize {
    let (mut bytes, mut left) = (0, units as usize);
    for character in text.chars() {
        if left == 0 {
            break;
        }
        bytes += character.len_utf8();
        left = left.saturating_sub(character.len_utf16());
    }
    bytes
}
