//! Plan: decides all sequences from metadata, those of the held-out documents as a second plan.

use longweave_common::{Ctx, Result};
use longweave_index::Index;
use longweave_plan::{Dedup, Heads, Part, PlanInput, PlanStats, plan, write_plan};
use longweave_storage::{DoneRecord, FileRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::documents::Documents;
use super::neighbours;
use crate::{RunContext, Stage};

/// The counts in the plan task's done record.
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

pub(crate) fn run(ctx: &Ctx, run: &RunContext) -> Result<DoneRecord> {
    let options = run.options();
    let plan_options = options.plan_options(run.file.tokenizer.separator.len() as u32);
    let documents = Documents::read(run, options.dedup == Dedup::Exact)?;
    let index = if options.needs_keywords() {
        Some(Index::open(&run.directory(Stage::Index))?)
    } else {
        None
    };
    let (neighbours, heads) = (neighbours::open(run)?, neighbours::open_heads(run)?);
    let chunks = neighbours::chunks(run)?;
    let input = PlanInput {
        lens: &documents.lens,
        keys: &documents.keys,
        text_hashes: documents.text_hashes.as_deref(),
        keyword_of: index.as_ref().map(|i| i.keyword_of()),
        keyword_keys: index.as_ref().map_or(&[], |i| i.keyword_keys()),
        forest: index.as_ref().map(|i| i.forest()),
        sources: documents.sources.as_deref(),
        neighbours: neighbours.as_ref(),
        chunks: chunks.as_ref(),
        heads: heads.as_ref().map(|heads| heads as &dyn Heads),
    };
    let directory = run.directory(Stage::Plan);
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
