//! The functions that the binding calls: runs on a thread of their own, commands over directories,
//! readers of outputs, models, RAKE.
//!
//! In: options and paths, as JSON where they come from JavaScript. Out: JSON, sequences, callbacks.
//! Nothing here knows Node or a stage's work. It uses `driver`, `stages` and `run`, and readers of
//! outputs. Begin with `run.rs`.

pub mod batch;
pub mod commands;
pub mod drive;
mod fetched;
mod job;
mod json;
pub mod models;
mod places;
pub mod rake;
pub mod read;
pub mod run;
pub mod show;
mod spool;
pub mod tasks;
#[cfg(test)]
mod typescript;
mod wire;
pub mod worker;

pub use longweave_driver::{Event, guarded};
pub use longweave_run::RunOptions;
