//! Pack: tokens of one output shard into the asked format. Shards of the main output come first,
//! then those of the held-out documents.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Ctx, Error, KeywordId, Result};
use longweave_formats::{FileContent, SequenceRecord, WriterOptions, open_writer, writer_bytes};
use longweave_index::Index;
use longweave_pack::{PackSource, assemble, pack_shard};
use longweave_plan::{Part, PlanFile, Sequences, Shape};
use longweave_storage::{DoneRecord, FileRecord};
use longweave_tokens::TokenStore;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::plan::{PlanCounts, folder};
use crate::counts::counts;
use crate::ids::Ids;
use crate::options::OutputFormat;
use crate::uploads::Uploads;
use crate::{RunContext, RunOptions, Stage};

/// The counts in a pack task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackCounts {
    pub(crate) part: String,
    pub(crate) shard: u32,
    pub(crate) sequences: u64,
    /// The content of each of the task's files.
    pub(crate) files: Vec<FileContent>,
}

/// Shards of a plan.
fn shards(options: &RunOptions, sequences: u64) -> u32 {
    sequences.div_ceil(options.shard_sequences()) as u32
}

/// Number of tasks, from the plan task's record.
///
/// Errors: `FILE_CORRUPT`.
pub(crate) fn tasks(options: &RunOptions, plan: &DoneRecord) -> Result<u32> {
    let PlanCounts { main, holdout } = counts(plan)?;
    Ok(shards(options, main.sequences) + holdout.map_or(0, |h| shards(options, h.sequences)))
}

/// A task's part, shard, and the sequences of that shard.
fn place(run: &RunContext, task: u32) -> Result<(Part, u32, u64, u64)> {
    let PlanCounts { main, holdout } = counts(&run.all_done(Stage::Plan)?[0])?;
    let size = run.options().shard_sequences();
    let main_shards = shards(run.options(), main.sequences);
    let (part, shard, all) = match holdout {
        Some(holdout) if task >= main_shards => {
            (Part::HeldOut, task - main_shards, holdout.sequences)
        }
        _ => (Part::Main, task, main.sequences),
    };
    let first = u64::from(shard) * size;
    Ok((part, shard, first, size.min(all.saturating_sub(first))))
}

/// Sequences in the given tasks.
pub(crate) fn sequences(run: &RunContext, tasks: &[u32]) -> Result<u64> {
    let mut total = 0;
    for &task in tasks {
        total += place(run, task)?.3;
    }
    Ok(total)
}

/// The output directory of a part, in that of the run.
pub(crate) fn output(out: &Path, part: Part) -> PathBuf {
    match part {
        Part::Main => out.to_owned(),
        Part::HeldOut => out.join(folder(part)),
    }
}

/// How this run's sequences are written.
pub(crate) fn writer_options(run: &RunContext) -> Option<WriterOptions> {
    let options = run.options();
    let format = match options.output.format {
        OutputFormat::Parquet => longweave_formats::Format::Parquet,
        OutputFormat::Mds => longweave_formats::Format::Mds,
        OutputFormat::Megatron => longweave_formats::Format::Megatron,
        OutputFormat::Datatrove => longweave_formats::Format::Datatrove,
        OutputFormat::Jsonl => longweave_formats::Format::Jsonl,
        OutputFormat::Memory => return None,
    };
    Some(WriterOptions {
        format,
        length: options.length,
        max_id: run.file.tokenizer.max_id,
        // Not its path, which would make bytes depend on the machine.
        tokenizer: format!("sha256:{}", run.file.tokenizer.digest),
        method: serde_json::to_string(&options.method).unwrap_or_default(),
        domain: options.method.name().as_str().to_owned(),
        provenance: options.output.provenance,
        compression: options.output.compression(),
        mds_indices: options.output.mds_indices,
        mds_shard_bytes: options.output.mds_shard_bytes,
    })
}

/// Everything that sequences of one part are assembled from.
pub(crate) struct PartSource {
    plan: PlanFile,
    ids: Ids,
    index: Option<Index>,
    separator: Vec<u32>,
    bos: Option<u32>,
    pad: Option<u32>,
}

impl PartSource {
    /// Opens plan, tokens and names.
    pub(crate) fn open(run: &RunContext, part: Part) -> Result<PartSource> {
        Ok(PartSource {
            plan: run.plan(part)?,
            ids: Ids::new(run.directory(Stage::Documents).join("ids.arrow")),
            index: super::index::open(run)?,
            separator: run.file.tokenizer.separator.clone(),
            bos: run.file.tokenizer.bos,
            pad: run.file.tokenizer.pad,
        })
    }

    /// Sequences of the part.
    pub(crate) fn sequences(&self) -> u64 {
        self.plan.sequences()
    }

    fn phrase(&self, keyword: KeywordId) -> Option<&str> {
        self.index.as_ref().filter(|_| !keyword.is_none()).map(|i| i.phrase(keyword))
    }

    fn with_source<T>(
        &self,
        tokens: &TokenStore,
        sequences: &Sequences,
        work: impl FnOnce(&PackSource<'_>) -> Result<T>,
    ) -> Result<T> {
        let anchors = &self.plan.groups().anchors;
        let named = sequences
            .pieces()
            .iter()
            .flat_map(|p| [p.doc, anchors[p.group.index()]])
            .filter(|doc| !doc.is_none());
        let ids = self.ids.of(named)?;
        let reason = |keyword: KeywordId| self.phrase(keyword);
        let id = |doc| ids.get(doc);
        work(&PackSource {
            shape: self.plan.shape(),
            sequences,
            groups: self.plan.groups(),
            tokens,
            id: &id,
            phrase: &reason,
            separator: &self.separator,
            bos: self.bos,
            pad: self.pad,
        })
    }

    /// Sequences `first..first + n`, in memory.
    pub(crate) fn assemble(
        &self,
        ctx: &Ctx,
        tokens: &TokenStore,
        first: u64,
        n: u64,
    ) -> Result<Vec<SequenceRecord>> {
        let sequences = self.plan.read(first, n)?;
        self.with_source(tokens, &sequences, |source| assemble(ctx, source, 0..sequences.len()))
    }

    /// A sequence as it was planned and as it is written.
    pub(crate) fn sequence(
        &self,
        ctx: &Ctx,
        tokens: &TokenStore,
        number: u64,
    ) -> Result<(Sequences, SequenceRecord)> {
        let sequences = self.plan.read(number, 1)?;
        let mut records =
            self.with_source(tokens, &sequences, |source| assemble(ctx, source, 0..1))?;
        let record = records
            .pop()
            .ok_or_else(|| Error::new(Code::Internal, "a sequence was not assembled"))?;
        Ok((sequences, record))
    }

    /// Length, begin tokens, separators.
    pub(crate) fn shape(&self) -> Shape {
        self.plan.shape()
    }

    /// The phrase of a node of the hierarchy.
    pub(crate) fn node_phrase(&self, node: u32) -> Option<&str> {
        self.index.as_ref().map(|index| index.node_phrase(node))
    }
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    match Uploads::of(ctx, run)? {
        Some(uploads) => uploads.pack(ctx, run, task),
        None => write(ctx, run, task, run.out()),
    }
}

/// Writes the shard of a task into `out`; the record's names are relative to it.
pub(crate) fn write(ctx: &Ctx, run: &RunContext, task: u32, out: &Path) -> Result<DoneRecord> {
    let (part, shard, first, n) = place(run, task)?;
    let source = run.part(part)?;
    let sequences = source.plan.read(first, n)?;
    let options = writer_options(run).expect("memory runs have no pack stage");
    let mut writer = open_writer(&options, &output(out, part), shard)?;
    let held = writer_bytes(&options, n);
    let placement = run.scattered()?.map(|scattered| scattered.placement(task as usize));
    source.with_source(run.tokens()?, &sequences, |source| {
        pack_shard(ctx, source, &mut *writer, held, placement)
    })?;
    let prefix = if part == Part::Main { "" } else { "holdout/" };
    let named = |file: FileRecord| FileRecord { name: format!("{prefix}{}", file.name), ..file };
    let (records, files): (Vec<_>, Vec<_>) =
        writer.finish()?.into_iter().map(|file| (named(file.record), file.content)).unzip();
    Ok(DoneRecord {
        files: records,
        counts: json!(PackCounts { part: folder(part).to_owned(), shard, sequences: n, files }),
    })
}
