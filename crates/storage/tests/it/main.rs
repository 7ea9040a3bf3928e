//! Storage as other processes and other versions see it: failing writes, locks, files of old.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod failing;
mod fixtures;
