//! Functions over finished and prepared runs, and small parts.

use std::path::PathBuf;

use longweave_common::{CATALOGUE, Code, Error};
use longweave_pipeline::{RunOptions, commands};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use serde_json::json;

use crate::error::call;
use crate::promise::on_thread;

/// The version.
#[napi(catch_unwind)]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Every error code with its description, as a JSON array.
#[napi(catch_unwind)]
pub fn error_catalogue() -> String {
    let codes: Vec<_> = CATALOGUE
        .iter()
        .map(|(code, text)| json!({ "code": code.name(), "description": text }))
        .collect();
    json!(codes).to_string()
}

/// Parses resolved options and prints them back: the façade's schema and the core's types agree when nothing changes.
#[napi(catch_unwind)]
pub fn options_round_trip(options: String) -> napi::Result<String> {
    call(|| {
        let options = RunOptions::parse(&options)?;
        serde_json::to_string(&options).map_err(|e| Error::new(Code::Internal, e.to_string()))
    })
}

/// The stages of a prepared run, as JSON.
#[napi(catch_unwind)]
pub fn tasks(directory: String) -> napi::Result<String> {
    call(|| commands::tasks(&PathBuf::from(directory)))
}

/// How a run is going, told from its directories; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn status<'env>(env: &'env Env, directory: String) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::status(&PathBuf::from(directory)))
}

/// What a run with these resolved options would do, told without writing anything; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn dry_run<'env>(env: &'env Env, options: String) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::dry_run(&options))
}

/// Takes away what no run needs from a work directory; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn clean<'env>(env: &'env Env, work: String, options: String) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::clean(&PathBuf::from(work), &options))
}

/// Runs tasks of a stage; resolves with their records as JSON. Cancelled only by ending the process: what is finished is kept.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn run_stage<'env>(
    env: &'env Env,
    directory: String,
    stage: String,
    tasks: String,
    options: String,
) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::run_stage(&PathBuf::from(directory), &stage, &tasks, &options))
}

/// A sequence as a person reads it, as JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn show<'env>(
    env: &'env Env,
    directory: String,
    sequence: f64,
    options: String,
) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::show(&PathBuf::from(directory), sequence as u64, &options))
}

/// Checks an output; resolves with a report as JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn verify<'env>(env: &'env Env, directory: String) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::verify(&PathBuf::from(directory)))
}

/// The keywords with most documents of a run, as a JSON array of `{keyword, documents}`.
#[napi(catch_unwind)]
pub fn top_keywords(directory: String, n: u32) -> napi::Result<String> {
    call(|| commands::top_keywords(&PathBuf::from(directory), n as usize))
}

/// Trains a byte-level BPE tokenizer on a corpus and writes its tokenizer.json.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn train_tokenizer<'env>(env: &'env Env, options: String) -> napi::Result<Object<'env>> {
    on_thread(env, move || commands::train_tokenizer(&options))
}
