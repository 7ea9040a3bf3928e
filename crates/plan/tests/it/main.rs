//! The laws of plans, on random small corpora with random options.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod file;
mod golden;
mod laws;
mod world;
