//! Plan: decides all sequences from metadata, those of the held-out documents as a second plan.

use longweave_common::{Code, Error};
use longweave_plan::{
    Dedup, Heads, MethodName, PLAN_FORMAT, Part, PlanFile, PlanInput, PlanStats, SourceWeight,
    plan, write_plan,
};
use longweave_storage::FileRecord;

use crate::documents::{self, DOCUMENTS, Documents};
use crate::embed::EMBED;
use crate::index::{self, INDEX};
use crate::neighbours::{self, NEIGHBOURS};
use crate::owners;
use crate::prelude::*;

/// The counts in the plan task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCounts {
    /// The main output's plan.
    pub main: PlanStats,
    /// The held-out documents' plan.
    pub holdout: Option<PlanStats>,
}

/// The folder of a part's plan in the stage's directory, and of its output in the output directory.
pub const fn folder(part: Part) -> &'static str {
    match part {
        Part::Main => "main",
        Part::HeldOut => "holdout",
    }
}

pub const PLAN: Stage = Stage::new("plan", "Planning", ProgressUnit::Tasks, 2, &PlanStage);

/// Sources that a message names, at most.
const NAMED: usize = 20;

struct PlanStage;

impl StageSpec for PlanStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![DOCUMENTS, EMBED, INDEX, NEIGHBOURS]
    }

    fn identity(&self, file: &RunFile) -> Value {
        let options = file.options.plan_options(file.tokenizer.separator.len() as u32);
        let mut identity = json!({ "options": options, "shard": file.shard_sequences(),
            "format": PLAN_FORMAT });
        if !file.options.sources.is_empty() {
            identity["sources"] = json!(file.options.sources);
        }
        identity
    }

    fn bytes(&self, _run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(24.0 * facts.sequences + 20.0 * (facts.pieces + facts.groups))
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // As benches/README.md measures for ten million documents.
        let options = run.options();
        let own = match options.method.name() {
            MethodName::Iclm => 253.0,
            MethodName::Nextlong => 156.0,
            MethodName::Quest | MethodName::Standard | MethodName::Long | MethodName::Knn => 91.0,
        };
        let neighbours = options.neighbour_depth().map_or(0.0, |k| 8.0 * f64::from(k));
        facts.rows * own + facts.units * neighbours
    }

    fn tells_sizes(&self) -> bool {
        true
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let options = run.options();
        let plan_options = options.plan_options(run.file.tokenizer.separator.len() as u32);
        let documents = Documents::read(run, options.dedup == Dedup::Exact)?;
        let index = index::open(run)?;
        let (neighbours, heads) = (neighbours::open(run)?, neighbours::open_heads(run)?);
        let chunks = owners::chunks(run)?;
        let weights = weights(run)?;
        let input = PlanInput {
            lens: &documents.lens,
            keys: &documents.keys,
            text_hashes: documents.text_hashes.as_deref(),
            keyword_of: index.as_ref().map(|i| i.keyword_of()),
            keyword_keys: index.as_ref().map_or(&[], |i| i.keyword_keys()),
            forest: index.as_ref().map(|i| i.forest()),
            sources: documents.sources.as_deref(),
            weights: weights.as_deref(),
            neighbours: neighbours.as_ref(),
            chunks: chunks.as_ref(),
            heads: heads.as_ref().map(|heads| heads as &dyn Heads),
        };
        let directory = run.directory(PLAN);
        let mut files: Vec<FileRecord> = Vec::new();
        let mut make = |part: Part| -> Result<PlanStats> {
            let made = plan(ctx, &input, &plan_options, part)?;
            ctx.cancel.check()?;
            let folder = folder(part);
            let folder_path = directory.join(folder);
            let shard = run.file.shard_sequences();
            let written = write_plan(&folder_path, &made, &documents.lens, shard)?;
            files.extend(
                written
                    .into_iter()
                    .map(|f| FileRecord { name: format!("{folder}/{}", f.name), ..f }),
            );
            Ok(made.stats)
        };
        let main = make(Part::Main)?;
        let holdout = if options.holdout > 0.0 { Some(make(Part::HeldOut)?) } else { None };
        ctx.progress.advance(1);
        (PlanCounts { main, holdout }).done(files)
    }
}

impl Counts for PlanCounts {
    const STAGE: Stage = PLAN;
}

/// The weight of each source, where `sources` gives weights.
///
/// Errors: `OPTIONS_INVALID` for a name that no document has.
fn weights(run: &RunContext) -> Result<Option<Vec<SourceWeight>>> {
    let wanted = &run.options().sources;
    if wanted.is_empty() {
        return Ok(None);
    }
    let names = documents::source_names(run)?;
    if let Some(strange) = wanted.keys().find(|&name| !names.contains(name)) {
        let known = names.iter().take(NAMED).map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
        let more = if names.len() > NAMED { " and others" } else { "" };
        let message = format!(
            "`sources` names \"{strange}\", which no document has as its source; the corpus has \
             {}{more}",
            known.join(", ")
        );
        return Err(Error::new(Code::OptionsInvalid, message)
            .with("option", "sources")
            .with("source", strange.as_str()));
    }
    let weight = |name: String| {
        let weight = wanted.get(&name).copied().unwrap_or(0.0);
        SourceWeight { name, weight }
    };
    Ok(Some(names.into_iter().map(weight).collect()))
}

/// The plan of a part.
///
/// Errors: `FILE_CORRUPT`, `STAGE_NOT_READY`.
pub fn open(run: &RunContext, part: Part) -> Result<PlanFile> {
    let folder = folder(part);
    run.check(PLAN, &format!("{folder}/plan.json"))?;
    PlanFile::open(&run.directory(PLAN).join(folder))
}
