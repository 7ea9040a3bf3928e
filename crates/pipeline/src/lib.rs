//! The only room that knows stages, tasks and `run.json`: from options to a finished output
//! directory, resumable at every task.

pub mod batch;
pub mod clean;
pub mod commands;
mod counts;
mod disk;
pub mod driver;
pub mod dry_run;
mod estimate;
mod events;
mod fetched;
mod ids;
mod log;
pub mod models;
mod once;
mod options;
mod progress_files;
pub mod read;
mod repair;
mod resources;
pub mod run;
mod run_context;
pub mod show;
pub mod small;
mod spool;
mod stage;
mod stages;
pub mod status;
pub mod summary;
pub mod tasks;
mod temporary;
#[cfg(test)]
mod typescript;
mod uploads;
mod usage;

pub use events::{Event, Events, StageState};
pub use options::*;
pub use run_context::RunContext;
pub use stage::{ProgressUnit, Stage};
