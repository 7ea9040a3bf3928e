//! One file per stage: what a task reads, does and leaves behind. Nothing here knows of other processes, leases or resuming.

use longweave_common::{Ctx, Result};
use longweave_storage::DoneRecord;

use crate::{Job, Stage};

mod chunks;
pub(crate) mod documents;
mod embed;
mod extract;
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
mod seal;
mod spool;
pub(crate) mod vectors;

/// Runs one task and gives its record, not yet written.
pub(crate) fn run(ctx: &Ctx, job: &Job, stage: Stage, task: u32) -> Result<DoneRecord> {
    match stage {
        Stage::Spool => spool::run(ctx, job, task),
        Stage::Scan => scan::run(ctx, job, task),
        Stage::Ingest => ingest::run(ctx, job, task),
        Stage::Documents => documents::run(ctx, job),
        Stage::Predict => predict::run(ctx, job, task),
        Stage::Extract => extract::run(ctx, job, task),
        Stage::Embed => embed::run(ctx, job, task),
        Stage::Vectors => vectors::run(ctx, job),
        Stage::Index => index::run(ctx, job),
        Stage::Neighbours => neighbours::run(ctx, job),
        Stage::Plan => plan::run(ctx, job),
        Stage::Report => report::run(ctx, job),
        Stage::Route => route::run(ctx, job),
        Stage::Scatter => scatter::run(ctx, job, task),
        Stage::Pack => pack::run(ctx, job, task),
        Stage::Seal => seal::run(ctx, job),
    }
}

/// Clears away what finished tasks left because their process was killed before it could.
pub(crate) fn sweep(job: &Job, stage: Stage) {
    if stage == Stage::Predict {
        predict::sweep(job);
    }
}

/// What a task leaves to be cleared away once its record stands.
pub(crate) fn after(job: &Job, stage: Stage, task: u32) {
    match stage {
        Stage::Predict => predict::after(job, task),
        Stage::Pack => crate::uploads::after(job, task),
        _ => {}
    }
}
