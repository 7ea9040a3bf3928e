//! Neighbours against plain loops; vectors of texts; files of vectors.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod bm25;
mod divided;
mod lsa;
mod npy;
mod search;
mod terms;
mod vectors;

use std::sync::OnceLock;

use longweave_common::Ctx;
use longweave_common::random::{Key, draw};

/// A context with 1, 2 or 5 threads.
fn ctx(threads: usize) -> &'static Ctx {
    static ALL: [OnceLock<Ctx>; 5] = [const { OnceLock::new() }; 5];
    ALL[threads - 1].get_or_init(|| Ctx::new(threads, 1 << 30).unwrap())
}

/// A number from −1 to 1.
fn random(purpose: &str, row: usize, counter: usize) -> f64 {
    draw(7, purpose, Key(row as u128), counter as u64) as f64 / 2f64.powi(63) - 1.0
}
