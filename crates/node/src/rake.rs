//! RAKE on strings.

use std::cell::RefCell;

use longweave_api::rake::{Columns, KeywordExtractor};
use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Float64Array, Object, Uint32Array, Utf16String};
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
    /// The number of its extractor for calls of one text.
    single: Option<u32>,
}

#[napi]
impl NativeRake {
    /// An extractor with a built-in or given list of stop words, by options as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> napi::Result<NativeRake> {
        Ok(NativeRake { extractor: call(|| KeywordExtractor::new(&options))?, single: None })
    }

    /// The same with stop words that are read from a file.
    #[napi(ts_return_type = "Promise<NativeRake>", catch_unwind)]
    pub fn open<'env>(
        env: &'env Env,
        options: String,
        cancellation: &Cancellation,
    ) -> napi::Result<Object<'env>> {
        on_thread(env, cancellation, move |_| {
            Ok(NativeRake { extractor: KeywordExtractor::new(&options)?, single: None })
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

    /// The number of an extractor for calls of one text, `rakeOne`, which goes with this one.
    #[napi(catch_unwind)]
    pub fn single(&mut self) -> u32 {
        let extractor = &self.extractor;
        *self.single.get_or_insert_with(|| {
            SINGLE.with_borrow_mut(|single| {
                let free = single.iter().position(Option::is_none).unwrap_or(single.len());
                single.resize_with(single.len().max(free + 1), || None);
                single[free] = Some(extractor.another());
                free as u32
            })
        })
    }
}

impl Drop for NativeRake {
    fn drop(&mut self) {
        // Collected on the JavaScript thread, perhaps while that ends.
        let Some(number) = self.single else { return };
        let _ = SINGLE.try_with(|single| {
            if let Some(place) = single.borrow_mut().get_mut(number as usize) {
                *place = None;
            }
        });
    }
}

thread_local! {
    /// Extractors for calls of one text, by their numbers.
    static SINGLE: RefCell<Vec<Option<KeywordExtractor>>> = const { RefCell::new(Vec::new()) };
}

/// Replaces a text at the beginning of `room`, `bytes` bytes of UTF-16LE, by its keywords: of each its
/// score, a space, its phrase and a line feed. The number of their bytes in UTF-8; -1 where they do
/// not fit. Neither an object of a class nor a string crosses: either takes
/// half as long as the work.
#[napi(catch_unwind)]
pub fn rake_one(
    extractor: u32,
    #[napi(ts_arg_type = "Uint8Array")] mut room: BufferSlice<'_>,
    bytes: u32,
) -> i32 {
    SINGLE.with_borrow_mut(|single| {
        let Some(Some(extractor)) = single.get_mut(extractor as usize) else { return -1 };
        extractor.extract_in(&mut room, bytes as usize).map_or(-1, |bytes| bytes as i32)
    })
}
