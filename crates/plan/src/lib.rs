//! Decides the pieces of documents that form each sequence, before any token is copied.
//!
//! In: metadata of documents ([`PlanInput`]) and options; never text or tokens. Out: a [`Plan`],
//! and its file. A method (`methods/`) is a pure function that gives rounds of groups of pieces;
//! one arranger turns groups into sequences. docs/planning.md defines both. Uses: common, storage.
//! Begin with `planner.rs`, then `methods/context.rs` and `methods/standard.rs`; `options.rs` has
//! the options of the methods.

mod arrange;
mod file;
mod forest;
mod input;
mod methods;
mod mix;
mod neighbours;
mod options;
mod planner;
mod pool;
mod sequences;
mod stats;
mod topics;

pub use file::{FORMAT as PLAN_FORMAT, PlanFile, PlannedPart, write_plan};
pub use forest::Forest;
pub use input::{Heads, Part, PlanInput, SourceWeight};
pub use neighbours::{Chunks, NeighbourIds, NeighbourLists, Neighbours};
pub use options::{
    Dedup, Fill, IclmOptions, IclmVariant, Incomplete, InterleaveOptions, Keep, KnnOptions,
    LengthShare, LongMode, LongOptions, Method, MethodName, NextlongOptions, Overflow, PartOrder,
    PlanOptions, Policies, Pool, PoolOptions, QuestOptions, Reuse, SplitBy, StandardOptions,
    TopicOrder, TopicsOptions, Within,
};
pub use planner::{Plan, plan};
pub use pool::{Duplicate, Likeness};
pub use sequences::{
    Cuts, Group, Groups, NamedGroups, OrderedSequences, Piece, PieceTokens, Rule, Sequence,
    Sequences, Shape,
};
pub use stats::{
    CountDistribution, DroppedTokens, ExcludedDocuments, Histogram, KeywordListCounts, ListSizes,
    LongCounts, PieceCounts, PlanStats, RuleCounts, SourceTokens, TokenCounts, TopicCounts,
};
pub use topics::TopicLists;
