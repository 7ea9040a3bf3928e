//! The napi binding: types in, types out, no logic. JSON options go in; JSON records and typed
//! arrays come out. Begin reading with `promise.rs`: all that waits runs on threads of its own,
//! and a promise is settled from there. The generated JavaScript is private to the package
//! (`#binding`); `ts/` is the public API.

// napi's derived registration functions are public and carry no documentation of their own.
#![allow(missing_docs, unreachable_pub)]
// Its registration, the only caller of functions, is left out of test builds, which clippy makes
// even of a crate without tests.
#![cfg_attr(test, allow(dead_code))]

mod batch;
mod error;
mod functions;
mod models;
mod output;
mod promise;
mod rake;
mod run;
#[cfg(feature = "testing")]
mod testing;
mod threads;
