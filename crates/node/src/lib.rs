//! The napi binding: types in, types out, no logic. Options, events and summaries cross as JSON text, token ids as `Uint32Array`,
//! errors as JSON (see `error.rs`). The generated JavaScript is private to the package (`#binding`); `ts/` is the public API.

// napi's derived registration functions are public and carry no documentation of their own.
#![allow(missing_docs, unreachable_pub)]
// Its registration, the only caller of functions, is left out of test builds, which clippy makes even of a crate without tests.
#![cfg_attr(test, allow(dead_code))]

mod error;
mod functions;
mod models;
mod promise;
mod rake;
mod run;
mod sequences;
