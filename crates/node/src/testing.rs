//! Functions that only tests and the demo call; left out of a released addon.

use longweave_api::{RunOptions, commands};
use longweave_common::{Code, Error};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::call;
use crate::promise::{Cancellation, on_thread};

/// Parses resolved options and prints them back: the schema and the core's types agree when nothing
/// changes.
#[napi(catch_unwind)]
pub fn options_round_trip(options: String) -> napi::Result<String> {
    call(|| {
        let options = RunOptions::parse(&options)?;
        serde_json::to_string(&options).map_err(|e| Error::new(Code::Internal, e.to_string()))
    })
}

/// Trains a byte-level BPE tokenizer on a corpus and writes its tokenizer.json.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn train_tokenizer<'env>(
    env: &'env Env,
    options: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |_| commands::train_tokenizer(&options))
}
