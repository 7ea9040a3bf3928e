//! Running a run: stages in order, their tasks by an engine, repair of corrupt results; and what is
//! said of it: events, status, what it will need, what can be deleted.
//!
//! In: a [`RunContext`](longweave_run::RunContext) and the list of stages. Out: finished stages,
//! events, reports. It uses `stages` and `run`, and knows no stage's work. Begin with `driver.rs`
//! and `engine.rs`.

pub mod clean;
mod driver;
mod engine;
mod events;
mod forecast;
mod guarded;
mod history;
mod progress_files;
mod repair;
pub mod status;

pub use driver::{run, run_tasks};
pub use engine::{Engine, Threads};
pub use events::{Event, Events, StageState};
pub use forecast::disk::DiskNeed;
pub use forecast::dry_run::{DryRun, dry_run};
pub use forecast::facts::counted_facts;
pub use guarded::guarded;
pub use progress_files::StageProgress;
pub use repair::{explain, repairing};
