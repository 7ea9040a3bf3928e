//! Metadata in, plan out: decides the pieces of documents that form each sequence, before any token
//! is copied.
//!
//! A method (`methods/`) is a pure function that gives rounds of groups of pieces; one arranger
//! turns groups into sequences; one file format keeps the result. `docs/planning.md` says exactly
//! what is decided, this crate decides it.

mod arrange;
mod file;
mod forest;
mod input;
mod methods;
mod neighbours;
mod options;
mod planner;
mod pool;
mod sequences;
mod stats;

pub use file::{FORMAT as PLAN_FORMAT, PlanFile, write_plan};
pub use forest::Forest;
pub use input::{Heads, Part, PlanInput};
pub use neighbours::{Chunks, Neighbours};
pub use options::{
    Dedup, Fill, IclmOptions, IclmVariant, Incomplete, KnnOptions, LongMode, LongOptions, Method,
    MethodName, NextlongOptions, Overflow, PlanOptions, Policies, Pool, PoolOptions, QuestOptions,
    Reuse, SplitBy, StandardOptions,
};
pub use planner::{Plan, plan};
pub use sequences::{Groups, Piece, Rule, Sequence, Sequences, Shape};
pub use stats::{
    CountDistribution, DroppedTokens, ExcludedDocuments, Histogram, KeywordListCounts, ListSizes,
    LongCounts, PieceCounts, PlanStats, RuleCounts, SourceTokens, TokenCounts,
};
