//! A dry run: the tasks, bytes and memory of a run, found without writing anything.

use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Ctx, Result};
use longweave_corpus::{InputFile, Inventory, Unread};
use longweave_run::{Facts, RunContext, RunOptions, Stage};
use longweave_stages::{SEAL, STAGES};
use serde::Serialize;
use ts_rs::TS;

use super::disk::{self, DiskNeed};
use super::facts::facts;

/// The tasks, bytes and memory of a run. A dry run writes nothing.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "DryRunResult")]
pub struct DryRun {
    /// The output directory. Null for the format `memory`.
    pub directory: Option<String>,
    /// The work directory. Null where a temporary one is made for the run.
    pub work: Option<String>,
    /// The files of the corpus. Null where documents are handed over.
    pub corpus: Option<CorpusPlan>,
    /// The size of the corpus, counted or estimated. Null where no document could be read.
    pub facts: Option<Facts>,
    /// The run's stages in order.
    pub stages: Vec<StagePlan>,
    /// Bytes to be written and the space for them. Null where documents are handed over, and for
    /// the format `memory`.
    pub disk: Option<DiskNeed>,
    /// Memory that the run will hold.
    pub memory: MemoryPlan,
    /// Sentences on what cannot be known before the run.
    pub unknown: Vec<String>,
}

/// The files of a corpus, as found for a run.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CorpusPlan {
    /// The directory or URL that relative paths start from.
    pub root: String,
    /// Files that will be read.
    pub files: u64,
    /// Bytes of these files, as stored.
    pub bytes: u64,
    /// Parts of the corpus, each read by one task.
    pub splits: u64,
    /// Files and directories below the corpus that will not be read, by reason and name.
    pub unread: Vec<Unread>,
    /// The encoder that reads the tokenizer.json.
    pub encoder: String,
}

/// The tasks and bytes of one stage.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StagePlan {
    /// The stage's name.
    pub stage: Stage,
    /// Tasks that the stage is divided into. Null while its inputs are not complete.
    pub tasks: Option<u32>,
    /// Tasks whose results exist and will be reused.
    pub done: u32,
    /// The directory of its results. Null where a temporary one is made.
    pub directory: Option<String>,
    /// Bytes of its results, estimated. Null where the size of the corpus is unknown.
    pub bytes: Option<u64>,
}

/// Memory that a run will hold.
#[derive(Clone, Copy, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPlan {
    /// The option `memory`: bytes for tokenizing, predicting and packing.
    pub budget_bytes: u64,
    /// Bytes of metadata and vectors that the stage with most of them holds in addition, estimated.
    /// Null where the size of the corpus is unknown.
    pub metadata_bytes: Option<u64>,
}

/// The tasks, bytes and memory of a run with these options.
///
/// Errors: as the run's own, where it would be refused before it begins; lack of disk space is
/// reported, not an error.
pub fn dry_run(options: RunOptions, cancel: &Cancel) -> Result<DryRun> {
    let ctx = Ctx { cancel: cancel.clone(), ..Ctx::new(options.threads, options.memory)? };
    let out = options.output.directory.as_ref().map(PathBuf::from);
    let budget_bytes = options.memory;
    if options.corpus.is_none() {
        if let Some(out) = &out {
            RunContext::check_before_input(&options, out)?;
        }
        return Ok(pushed(&options, out.as_deref()));
    }
    let temporary = std::env::temp_dir().join("longweave-dry-run");
    let run = RunContext::resolve_dry(STAGES, &ctx, options, out.as_deref().unwrap_or(&temporary))?;
    let facts = facts(&ctx, &run)?;
    let mut stages = Vec::new();
    for stage in run.stages() {
        ctx.cancel.check()?;
        let (tasks, done) = run.progress(stage)?;
        let done = done.len() as u32;
        let bytes = facts.map(|f| disk::stage_bytes(&run, stage, &f)).transpose()?;
        let bytes = bytes.map(|bytes| bytes.ceil() as u64);
        let directory = out.as_ref().map(|_| run.directory(stage).display().to_string());
        stages.push(StagePlan { stage, tasks, done, directory, bytes });
    }
    let inventory = &run.file.inventory;
    let mut unknown: Vec<String> = Vec::new();
    match &facts {
        None => unknown.push(
            "how many documents and tokens the corpus has: no document could be read from a sample \
             of it"
                .into(),
        ),
        Some(facts) if !facts.counted => {
            unknown.push(
                "documents, tokens and bytes exactly: they are estimated from a sample of the \
                 corpus"
                    .into(),
            );
        }
        Some(_) => {}
    }
    Ok(DryRun {
        directory: out.as_ref().map(|o| o.display().to_string()),
        work: out.as_ref().map(|_| run.work().display().to_string()),
        corpus: Some(CorpusPlan {
            root: inventory.root.clone(),
            files: inventory.files.len() as u64,
            bytes: inventory.files.iter().map(InputFile::all_bytes).sum(),
            splits: inventory.splits.len() as u64,
            unread: inventory.unread.clone(),
            encoder: run.file.tokenizer.encoder.clone(),
        }),
        disk: out.as_ref().map(|_| disk::need(&ctx, &run, SEAL)).transpose()?,
        memory: MemoryPlan {
            budget_bytes,
            metadata_bytes: facts
                .map(|f| run.stages().map(|stage| stage.held(&run, &f)).fold(0.0, f64::max) as u64),
        },
        facts,
        stages,
        unknown,
    })
}

/// Of documents that are pushed nothing can be known before they come.
fn pushed(options: &RunOptions, out: Option<&Path>) -> DryRun {
    let none = Inventory::default();
    let stages = STAGES.iter().copied().filter(|stage| stage.needed(options, &none));
    DryRun {
        directory: out.map(|o| o.display().to_string()),
        work: options.work.clone().or_else(|| out.map(|o| o.join(".work").display().to_string())),
        corpus: None,
        facts: None,
        stages: stages
            .map(|stage| StagePlan { stage, tasks: None, done: 0, directory: None, bytes: None })
            .collect(),
        disk: None,
        memory: MemoryPlan { budget_bytes: options.memory, metadata_bytes: None },
        unknown: vec![
            "everything that follows from the documents (tasks, bytes, which results are reused): \
             they are pushed, and first written to the work directory"
                .into(),
        ],
    }
}
