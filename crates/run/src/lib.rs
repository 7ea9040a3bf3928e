//! A run on disk: options, `run.json`, the place of each stage's results, done records,
//! leases, the log.
//!
//! In: resolved options, directories, the list of stages. Out: a [`RunContext`], through which
//! tasks run and find each other's results. It calls stages only through [`StageSpec`], and uses
//! the crates below it for the types of options. Begin with `context.rs`.

mod base;
mod context;
mod facts;
mod fence;
mod lines;
mod log;
mod open;
mod options;
mod records;
mod registry;
mod resources;
mod run_file;
mod shared;
mod task;
mod usage;

pub use base::Base;
pub use context::{Counts, Needs, Place, ProgressUnit, RunContext, Stage, StageSpec};
pub use facts::Facts;
pub use fence::{Claim, DriverSeen, Driving, StoppedDriver, driver, is_driven, stop};
pub use log::{Entry, Log, LogRecord, Outcome, TaskState, parse_time, time_of};
pub use open::{WORK_FORMAT, check_work_version};
pub use options::*;
pub use registry::{lock_registry, registered, registry};
pub use resources::{
    InputDigest, Resources, SpecialToken, TokenizerInfo, load_stop_words, read_stop_words,
};
pub use run_file::{RUN_FORMAT, RunFile, add_digest};
pub use shared::Shared;
pub use usage::{Counters, Used, resident};
