//! A dry run: what a run would do, told without writing anything.

use std::path::{Path, PathBuf};

use longweave_common::{Ctx, Result};
use serde::Serialize;

use crate::disk::{self, DiskNeed};
use crate::estimate::{Facts, facts, held_bytes, seconds, stage_bytes};
use crate::{RunContext, RunOptions, Stage};

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Where the output goes; `None` for `memory`.
    pub directory: Option<String>,
    /// The work directory; `None` where it is made for this run alone.
    pub work: Option<String>,
    /// The files; `None` where documents are pushed.
    pub corpus: Option<CorpusPlan>,
    /// What is known of the corpus, or estimated from a sample.
    pub facts: Option<Facts>,
    /// The stages in order.
    pub stages: Vec<StagePlan>,
    /// Bytes still to be written and the room for them; `None` where documents are pushed, or nothing is written.
    pub disk: Option<DiskNeed>,
    /// Memory.
    pub memory: MemoryPlan,
    /// Seconds, from rates measured on another machine; `None` where that is unknown for a stage.
    pub seconds: Option<f64>,
    /// What cannot be told beforehand, in words.
    pub unknown: Vec<String>,
}

/// The files of a corpus.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorpusPlan {
    /// The directory that paths start from.
    pub root: String,
    /// Files.
    pub files: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// Parts that one task reads alone.
    pub splits: u64,
    /// The encoder that reads the tokenizer.json.
    pub encoder: String,
}

/// What a run would do in a stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StagePlan {
    /// The stage.
    pub stage: Stage,
    /// Its tasks; `None` while its inputs are not complete.
    pub tasks: Option<u32>,
    /// Tasks whose results are there already.
    pub done: u32,
    /// Where its results are, or will be.
    pub directory: Option<String>,
    /// Bytes that it leaves, about.
    pub bytes: Option<u64>,
    /// Seconds for what is left.
    pub seconds: Option<f64>,
}

/// Memory that a run takes.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPlan {
    /// Bytes that tokenizing, predicting and packing may hold together: `memory`.
    pub budget_bytes: u64,
    /// Bytes that numbering, the index, the search for neighbours and planning hold beside, about: metadata and vectors.
    pub metadata_bytes: Option<u64>,
}

/// What a run with these options would do.
///
/// Errors: as the run's own, where it would be refused before it begins; but not for want of room, which is told.
pub fn dry_run(options: RunOptions) -> Result<DryRun> {
    let ctx = Ctx::new(options.threads, options.memory)?;
    let out = options.output.directory.as_ref().map(PathBuf::from);
    let budget_bytes = options.memory;
    if options.corpus.is_none() {
        if let Some(out) = &out {
            RunContext::check_before_input(&options, out)?;
        }
        return Ok(pushed(&options, out.as_deref()));
    }
    let temporary = std::env::temp_dir().join("longweave-dry-run");
    let run = RunContext::resolve_dry(&ctx, options, out.as_deref().unwrap_or(&temporary))?;
    let facts = facts(&ctx, &run);
    let mut stages = Vec::new();
    for stage in run.stages() {
        let tasks = disk::known_tasks(&run, stage)?;
        let mut done = 0;
        for task in 0..tasks.unwrap_or(0) {
            done += u32::from(run.done(stage, task)?.is_some());
        }
        let bytes =
            facts.map(|f| stage_bytes(&run, stage, &f)).transpose()?.map(|b| b.ceil() as u64);
        let seconds = seconds(&ctx, &run, stage, facts.as_ref(), None)?;
        let directory = out.as_ref().map(|_| run.directory(stage).display().to_string());
        stages.push(StagePlan { stage, tasks, done, directory, bytes, seconds });
    }
    let inventory = &run.file.inventory;
    let mut unknown: Vec<String> = Vec::new();
    match &facts {
        None => unknown.push("how many documents and tokens the corpus has: no document could be read from a sample of it".into()),
        Some(facts) if !facts.counted => {
            unknown.push("documents, tokens and bytes exactly: they are estimated from a sample of the corpus".into());
        }
        Some(_) => {}
    }
    for stage in stages.iter().filter(|s| s.seconds.is_none() && facts.is_some()) {
        unknown.push(format!(
            "how long {} takes: that depends on a model, or on the data",
            stage.stage.name()
        ));
    }
    Ok(DryRun {
        directory: out.as_ref().map(|o| o.display().to_string()),
        work: out.as_ref().map(|_| run.work().display().to_string()),
        corpus: Some(CorpusPlan {
            root: inventory.root.clone(),
            files: inventory.files.len() as u64,
            bytes: inventory.files.iter().map(|f| f.bytes).sum(),
            splits: inventory.splits.len() as u64,
            encoder: run.file.tokenizer.encoder.clone(),
        }),
        disk: out.as_ref().map(|_| disk::need(&ctx, &run, Stage::Seal)).transpose()?,
        memory: MemoryPlan {
            budget_bytes,
            metadata_bytes: facts.map(|f| held_bytes(&run, &f) as u64),
        },
        seconds: stages.iter().map(|s| s.seconds).sum(),
        facts,
        stages,
        unknown,
    })
}

/// Of documents that are pushed nothing can be known before they come.
fn pushed(options: &RunOptions, out: Option<&Path>) -> DryRun {
    let stages = Stage::ALL.into_iter().filter(|&s| options.has(s) && s != Stage::Spool);
    DryRun {
        directory: out.map(|o| o.display().to_string()),
        work: options.work.clone().or_else(|| out.map(|o| o.join(".work").display().to_string())),
        corpus: None,
        facts: None,
        stages: stages.map(|stage| StagePlan { stage, tasks: None, done: 0, directory: None, bytes: None, seconds: None }).collect(),
        disk: None,
        memory: MemoryPlan { budget_bytes: options.memory, metadata_bytes: None },
        seconds: None,
        unknown: vec![
            "everything that follows from the documents (tasks, bytes, time, which results are reused): they are pushed, and first written to the \
             work directory"
                .into(),
        ],
    }
}
