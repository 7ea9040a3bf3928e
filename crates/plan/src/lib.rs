//! Metadata in, plan out: which pieces of which documents stand together in which sequence, before any token is copied.
//!
//! A method (`quest`, `standard`) is a pure function that gives rounds of groups of pieces; one arranger turns groups into
//! sequences; one file format keeps the result. `docs/planning.md` says exactly what is decided, this crate decides it.

mod arrange;
mod file;
mod forest;
mod input;
mod methods;
mod options;
mod partition;
mod planner;
mod pool;
mod sequences;
mod stats;

pub use file::{PlanFile, write_plan};
pub use forest::Forest;
pub use input::{Part, PlanInput};
pub use options::{
    Dedup, Fill, LastFill, Method, Overflow, PlanOptions, Policies, Pool, PoolOptions, QuestOptions, SplitBy, StandardOptions,
};
pub use planner::plan;
pub use sequences::{Groups, Piece, Plan, Rule, Sequence, Sequences, Shape};
pub use stats::{DroppedTokens, Excluded, Histogram, KeywordCounts, PlanStats, RuleCounts, Spread, TokenCounts};
