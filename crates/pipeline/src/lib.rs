//! The only room that knows stages, tasks and `run.json`: from options to a finished output directory, resumable at every task.

pub mod commands;
mod counts;
pub mod driver;
mod events;
mod ids;
mod job;
pub mod memory;
pub mod models;
mod once;
mod options;
pub mod read;
mod resources;
pub mod session;
pub mod show;
pub mod small;
mod spool;
mod stage;
mod stages;
pub mod summary;
pub mod tasks;

pub use events::{Event, Events, StageState};
pub use job::Job;
pub use options::*;
pub use stage::Stage;
