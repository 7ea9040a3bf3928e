//! Functions over prepared and finished runs.

use std::path::PathBuf;

use longweave_api::commands;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::promise::{Cancellation, on_thread};

/// Version of the addon, that of the package.
#[napi(catch_unwind)]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Resolves when the directory holds a prepared run.
#[napi(ts_return_type = "Promise<void>", catch_unwind)]
pub fn find_run<'env>(
    env: &'env Env,
    directory: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |_| commands::find_run(&PathBuf::from(directory)))
}

/// The stages of a prepared run; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn tasks<'env>(
    env: &'env Env,
    directory: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |cancel| commands::tasks(&PathBuf::from(directory), cancel))
}

/// The state of a run; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn status<'env>(
    env: &'env Env,
    directory: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |_| commands::status(&PathBuf::from(directory)))
}

/// Asks the driver of a run to stop and waits for it; resolves with the driver as JSON, or null.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn stop_run<'env>(
    env: &'env Env,
    directory: String,
    wait: f64,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |cancel| {
        commands::stop(&PathBuf::from(directory), wait, cancel)
    })
}

/// A dry run with resolved options; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn dry_run<'env>(
    env: &'env Env,
    options: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |cancel| commands::dry_run(&options, cancel))
}

/// Removes results that no run needs from a work directory; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn clean<'env>(
    env: &'env Env,
    work: String,
    options: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |_| commands::clean(&PathBuf::from(work), &options))
}

/// Runs tasks of a stage; resolves with their records as JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn run_tasks<'env>(
    env: &'env Env,
    directory: String,
    options: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |cancel| {
        commands::run_tasks(&PathBuf::from(directory), &options, cancel)
    })
}

/// Checks an output; resolves with a report as JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn verify<'env>(
    env: &'env Env,
    location: String,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |cancel| commands::verify(&PathBuf::from(location), cancel))
}

/// The keywords with most documents of a run; resolves with JSON.
#[napi(ts_return_type = "Promise<string>", catch_unwind)]
pub fn top_keywords<'env>(
    env: &'env Env,
    directory: String,
    n: u32,
    cancellation: &Cancellation,
) -> napi::Result<Object<'env>> {
    on_thread(env, cancellation, move |_| {
        commands::top_keywords(&PathBuf::from(directory), n as usize)
    })
}
