//! Plan: decides all sequences from metadata, those of the held-out documents as a second plan.

use longweave_common::{Ctx, Result};
use longweave_index::Index;
use longweave_plan::{Dedup, Heads, Part, PlanInput, PlanStats, plan, write_plan};
use longweave_storage::{DoneRecord, FileRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::documents::Documents;
use super::neighbours;
use crate::{Job, Stage};

/// What the plan task leaves in its record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanCounts {
    /// The main output's plan.
    pub(crate) main: PlanStats,
    /// The held-out documents' plan.
    pub(crate) holdout: Option<PlanStats>,
}

/// The folder of a part's plan in the stage's directory, and of its output in the output directory.
pub(crate) const fn folder(part: Part) -> &'static str {
    match part {
        Part::Main => "main",
        Part::HeldOut => "holdout",
    }
}

pub(crate) fn run(ctx: &Ctx, job: &Job) -> Result<DoneRecord> {
    let options = job.options();
    let plan_options = options.plan_options(job.file.tokenizer.separator.len() as u32);
    let documents = Documents::read(job, options.dedup == Dedup::Exact)?;
    let index = if options.needs_keywords() {
        Some(Index::open(&job.directory(Stage::Index))?)
    } else {
        None
    };
    let (neighbours, heads) = (neighbours::open(job)?, neighbours::open_heads(job)?);
    let chunks = neighbours::chunks(job)?;
    let input = PlanInput {
        lens: &documents.lens,
        keys: &documents.keys,
        text_hashes: documents.texts.as_deref(),
        keyword_of: index.as_ref().map(|i| i.keyword_of()),
        keyword_keys: index.as_ref().map_or(&[], |i| i.keyword_keys()),
        forest: index.as_ref().map(|i| i.forest()),
        sources: documents.sources.as_deref(),
        neighbours: neighbours.as_ref(),
        chunks: chunks.as_ref(),
        heads: heads.as_ref().map(|heads| heads as &dyn Heads),
    };
    let directory = job.directory(Stage::Plan);
    let mut files: Vec<FileRecord> = Vec::new();
    let mut make = |part: Part| -> Result<PlanStats> {
        let made = plan(ctx, &input, &plan_options, part)?;
        ctx.cancel.check()?;
        let folder = folder(part);
        let written = write_plan(&directory.join(folder), &made, options.shard_sequences())?;
        files.extend(
            written.into_iter().map(|f| FileRecord { name: format!("{folder}/{}", f.name), ..f }),
        );
        Ok(made.stats)
    };
    let main = make(Part::Main)?;
    let holdout = if options.holdout > 0.0 { Some(make(Part::HeldOut)?) } else { None };
    ctx.progress.advance(1);
    Ok(DoneRecord { files, counts: json!(PlanCounts { main, holdout }) })
}
