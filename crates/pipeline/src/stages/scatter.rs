//! Scatter: the tokens of one split, in the order in which the plan asks for them.

use longweave_common::{Ctx, Result};
use longweave_storage::DoneRecord;
use longweave_tokens::scatter_split;
use serde_json::json;

use super::ingest::{IngestCounts, IngestPaths};
use super::route::runs_of;
use crate::counts::counts;
use crate::{RunContext, Stage};

/// Bytes of a run in memory.
const RUN_BYTES: u64 = 24;

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let (runs, shards) = runs_of(run, task as usize)?;
    let _held = ctx
        .budget
        .reserve((runs.len() as u64 * RUN_BYTES).min(ctx.budget.limit() / 2), &ctx.cancel)?;
    let store = IngestPaths::of(&run.directory(Stage::Ingest), task).tokens;
    let prefix = run.directory(Stage::Scatter).join(format!("{task:05}"));
    let tokens = shards.last().copied().unwrap_or(0);
    let files = scatter_split(ctx, &store, runs.into_iter(), &shards, &prefix)?;
    ctx.progress
        .advance(counts::<IngestCounts>(&run.all_done(Stage::Ingest)?[task as usize])?.tokens);
    Ok(DoneRecord { files, counts: json!({ "tokens": tokens }) })
}
