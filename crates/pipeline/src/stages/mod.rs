//! One file per stage: what a task reads, does and leaves behind. Nothing here knows of other
//! processes, leases or resuming.

use longweave_common::{Ctx, Result};
use longweave_storage::DoneRecord;

use crate::{RunContext, Stage};

mod chunks;
pub(crate) mod documents;
pub(crate) mod embed;
pub(crate) mod extract;
pub(crate) mod index;
pub(crate) mod ingest;
pub(crate) mod neighbours;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod route;
pub(crate) mod scan;
mod scatter;
pub(crate) mod seal;
mod spool;
pub(crate) mod vectors;

/// Runs one task and gives its record, not yet written.
pub(crate) fn run(ctx: &Ctx, run: &RunContext, stage: Stage, task: u32) -> Result<DoneRecord> {
    match stage {
        Stage::Spool => spool::run(ctx, run, task),
        Stage::Scan => scan::run(ctx, run, task),
        Stage::Ingest => ingest::run(ctx, run, task),
        Stage::Documents => documents::run(ctx, run),
        Stage::Predict => predict::run(ctx, run, task),
        Stage::Extract => extract::run(ctx, run, task),
        Stage::Embed => embed::run(ctx, run, task),
        Stage::Vectors => vectors::run(ctx, run),
        Stage::Index => index::run(ctx, run),
        Stage::Neighbours => neighbours::run(ctx, run),
        Stage::Plan => plan::run(ctx, run),
        Stage::Report => report::run(ctx, run),
        Stage::Route => route::run(ctx, run),
        Stage::Scatter => scatter::run(ctx, run, task),
        Stage::Pack => pack::run(ctx, run, task),
        Stage::Seal => seal::run(ctx, run),
    }
}

/// Clears away what finished tasks left because their process was killed before it could.
pub(crate) fn sweep(run: &RunContext, stage: Stage) {
    if stage == Stage::Predict {
        predict::sweep(run);
    }
}

/// Deletes the leftovers of a task once its done record exists.
pub(crate) fn after(run: &RunContext, stage: Stage, task: u32) {
    match stage {
        Stage::Predict => predict::after(run, task),
        Stage::Pack => crate::uploads::after(run, task),
        _ => {}
    }
}
