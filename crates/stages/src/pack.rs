//! Pack: tokens of one output shard into the asked format. Shards of the main output come first,
//! then those of the held-out documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Cancel, Code, DocId, Error, KeywordId};
use longweave_formats::{
    Column, FileContent, Provenance, SequenceBatch, SequenceRecord, WriterOptions, open_writer,
    writer_bytes,
};
use longweave_index::{NODES, PHRASES};
use longweave_pack::{PackSource, ShardTokens, assemble, pack_shard};
use longweave_plan::{Part, PlanFile, PlanStats, PlannedPart, Sequences, Shape};
use longweave_run::result_options;
use longweave_storage::FileRecord;
use longweave_tokens::TokenStore;

use crate::documents::DOCUMENTS;
use crate::index::INDEX;
use crate::ingest::{INGEST, tokens};
use crate::loss_weights::loss_weights;
use crate::names::Names;
use crate::plan::{self, PLAN, PlanCounts, folder};
use crate::prelude::*;
use crate::route::{self, ROUTE};
use crate::scatter::{SCATTER, Scattered};
use crate::topics::{self, TOPICS};
use crate::uploads::{ObjectRecord, Staging, Uploads};

/// The counts in a pack task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackCounts {
    pub part: String,
    pub shard: u32,
    pub sequences: u64,
    /// The content of each of the task's files.
    pub files: Vec<FileContent>,
    /// Where they were sent to a store: the object of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<ObjectRecord>,
}

/// Shards of a plan.
fn shards(run: &RunContext, sequences: u64) -> u32 {
    sequences.div_ceil(run.file.shard_sequences()) as u32
}

/// A task's part, shard, and the sequences of that shard.
fn place(run: &RunContext, task: u32) -> Result<(Part, u32, u64, u64)> {
    let PlanCounts { main, holdout } = run.counts(0)?;
    let size = run.file.shard_sequences();
    let main_shards = shards(run, main.sequences);
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
pub fn sequences(run: &RunContext, tasks: &[u32]) -> Result<u64> {
    let mut total = 0;
    for &task in tasks {
        total += place(run, task)?.3;
    }
    Ok(total)
}

/// The output directory of a part, in that of the run.
pub fn output(out: &Path, part: Part) -> PathBuf {
    match part {
        Part::Main => out.to_owned(),
        Part::HeldOut => out.join(folder(part)),
    }
}

/// How this run's sequences are written, once they are planned; those of both outputs have the
/// weights of the main one.
pub fn writer_options(run: &RunContext) -> Result<WriterOptions> {
    let options = run.options();
    let format = options.output.format.file().expect("memory runs write no files");
    let (columns, output) = (options.output.columns(), &options.output);
    let weights = if columns.contains(&Column::LossWeights) {
        let contexts = run.counts::<PlanCounts>(0)?.main.tokens.by_context;
        let scale = (output.loss_weight_scale, output.loss_weight_limit);
        loss_weights(&contexts, options.length, scale, output.mask_first)
    } else {
        Vec::new()
    };
    Ok(WriterOptions {
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
        columns,
        mask_first: output.mask_first,
        weights,
    })
}

/// Whether sequences are assembled with the ids of their documents, which are read from the disk,
/// or with empty ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Yes,
    No,
}

/// The table of the phrases of groups.
enum Phrases {
    None,
    OfKeywords(PathBuf),
    OfTopics(topics::NamesPlace),
}

/// Everything that sequences of one part are assembled from. Nothing of it grows with the corpus:
/// names are read from the disk for the pieces at hand.
pub struct PartSource {
    plan: PlanFile,
    /// The table of documents' ids.
    ids: PathBuf,
    phrases: Phrases,
    /// The table of the phrases of the hierarchy.
    nodes: Option<PathBuf>,
    separator: Vec<u32>,
    part_end: Vec<u32>,
    part_begin: Vec<u32>,
    bos: Option<u32>,
    pad: Option<u32>,
}

impl PartSource {
    /// Opens plan, tokens and names.
    pub fn open(run: &RunContext, part: Part) -> Result<PartSource> {
        let index = run.options().needs_keywords().then(|| run.directory(INDEX));
        Ok(PartSource {
            plan: plan::open(run, part)?,
            ids: run.directory(DOCUMENTS).join("ids.arrow"),
            phrases: match (run.has(TOPICS), &index) {
                (true, _) => Phrases::OfTopics(topics::NamesPlace::of(run)?),
                (false, Some(index)) => Phrases::OfKeywords(index.join(PHRASES)),
                (false, None) => Phrases::None,
            },
            nodes: index.map(|index| index.join(NODES)),
            separator: run.file.tokenizer.separator.clone(),
            part_end: run.file.tokenizer.part_end.clone(),
            part_begin: run.file.tokenizer.part_begin.clone(),
            bos: run.file.tokenizer.bos,
            pad: run.file.tokenizer.pad,
        })
    }

    /// Sequences of the part.
    pub fn sequences(&self) -> u64 {
        self.plan.sequences()
    }

    fn with_source<T>(
        &self,
        ctx: &Ctx,
        planned: &PlannedPart,
        named: Named,
        work: impl FnOnce(&PackSource<'_>) -> Result<T>,
    ) -> Result<T> {
        let PlannedPart { sequences, lens, groups } = planned;
        let own = sequences.pieces().iter().map(|piece| piece.doc);
        let anchors = groups.iter().map(|(_, group)| group.anchor);
        let documents = own.chain(anchors).filter(|doc| !doc.is_none()).map(DocId::index);
        let ids = match named {
            Named::Yes => Some(Names::of(ctx, &self.ids, documents)?),
            Named::No => None,
        };
        let keywords = groups.iter().map(|(_, group)| group.keyword);
        let keywords = keywords.filter(|keyword| !keyword.is_none()).map(KeywordId::index);
        let phrases = match &self.phrases {
            Phrases::None => None,
            Phrases::OfKeywords(table) => Some(Names::of(ctx, table, keywords)?),
            Phrases::OfTopics(place) => Some(Names::of(ctx, &place.file()?, keywords)?),
        };
        let phrase = |keyword: KeywordId| {
            phrases.as_ref().filter(|_| !keyword.is_none()).map(|names| names.get(keyword.index()))
        };
        let id = |doc: DocId| ids.as_ref().map_or("", |ids| ids.get(doc.index()));
        work(&PackSource {
            shape: self.plan.shape(),
            sequences,
            lens,
            groups,
            id: &id,
            phrase: &phrase,
            separator: &self.separator,
            part_end: &self.part_end,
            part_begin: &self.part_begin,
            bos: self.bos,
            pad: self.pad,
        })
    }

    /// Calls `with` with sequences `first..first + n`, in memory.
    pub fn assemble<T>(
        &self,
        ctx: &Ctx,
        tokens: &TokenStore,
        first: u64,
        n: u64,
        with: impl FnOnce(&Sequences, &SequenceBatch<'_>) -> T,
    ) -> Result<T> {
        self.assemble_named(ctx, tokens, (first, n), Named::Yes, with)
    }

    fn assemble_named<T>(
        &self,
        ctx: &Ctx,
        tokens: &TokenStore,
        (first, n): (u64, u64),
        named: Named,
        with: impl FnOnce(&Sequences, &SequenceBatch<'_>) -> T,
    ) -> Result<T> {
        let planned = self.plan.read(first, n)?;
        self.with_source(ctx, &planned, named, |source| {
            let mut batch = SequenceBatch::default();
            assemble(ctx, source, tokens, 0..planned.sequences.len(), &mut batch)?;
            Ok(with(&planned.sequences, &batch))
        })
    }

    /// A sequence as it was planned and as it is written.
    pub fn sequence(
        &self,
        ctx: &Ctx,
        tokens: &TokenStore,
        number: u64,
        named: Named,
    ) -> Result<(Sequences, SequenceRecord)> {
        let taken = |sequences: &Sequences, batch: &SequenceBatch<'_>| {
            batch.records().pop().map(|record| (sequences.clone(), record))
        };
        self.assemble_named(ctx, tokens, (number, 1), named, taken)?
            .ok_or_else(|| Error::new(Code::Internal, "a sequence was not assembled"))
    }

    /// Length, begin tokens, separators, cuts.
    pub fn shape(&self) -> Shape {
        self.plan.shape()
    }

    /// The phrase of a node of the hierarchy.
    pub fn node_phrase(&self, ctx: &Ctx, node: u32) -> Result<Option<String>> {
        let Some(nodes) = &self.nodes else { return Ok(None) };
        let node = node as usize;
        let names = Names::of(ctx, nodes, std::iter::once(node))?;
        Ok(Some(names.get(node).to_owned()))
    }
}

pub const PACK: Stage = Stage {
    place: Place::Output,
    ..Stage::new("pack", "Packing", ProgressUnit::Sequences, 3, &PackStage)
};

struct PackStage;

impl StageSpec for PackStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, DOCUMENTS, INDEX, TOPICS, PLAN]
    }

    fn waits_for(&self) -> &'static [Stage] {
        &[ROUTE, SCATTER]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.writes_files()
    }

    fn identity(&self, file: &RunFile) -> Value {
        output_identity(file)
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        let PlanCounts { main, holdout } = run.counts(0)?;
        let shards = |stats: PlanStats| shards(run, stats.sequences);
        Ok(Some(shards(main) + holdout.map_or(0, shards)))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        sequences(run, tasks)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(output_bytes(run, facts))
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // Gathering needs to know where each document's tokens begin.
        match route::will_scatter(run, facts) {
            Ok(true) => 0.0,
            Ok(false) | Err(_) => facts.rows * 8.0,
        }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        match Uploads::of(&ctx.cancel, run)? {
            Some(uploads) => send(ctx, run, &uploads, task),
            None => {
                let (files, counts) = write(ctx, run, task, run.out())?;
                counts.done(files)
            }
        }
    }

    fn check_run(&self, cancel: &Cancel, run: &RunContext) -> Result<()> {
        match Uploads::of(cancel, run)? {
            Some(uploads) if !run.state(PACK).exists() => uploads.refuse_other_objects(),
            _ => Ok(()),
        }
    }

    fn begin(&self, ctx: &Ctx, run: &RunContext) -> Result<()> {
        let Some(uploads) = Uploads::of(&ctx.cancel, run)? else { return Ok(()) };
        uploads.give_up_others(run, PACK)?;
        uploads.free_staged(run, PACK)?;
        let sent = |record: &DoneRecord| {
            let PackCounts { objects, .. } = PackCounts::of(record)?;
            Some(record.files.iter().zip(objects).map(|(f, o)| (f.clone(), Some(o.etag))).collect())
        };
        uploads.recheck(run, PACK, sent)
    }

    fn after(&self, run: &RunContext, task: u32) {
        if self.is_sent(run.options()) {
            Staging::of(run, PACK, task).remove();
        }
    }

    fn is_sent(&self, options: &RunOptions) -> bool {
        options.output.upload.is_some()
    }
}

impl Counts for PackCounts {
    const STAGE: Stage = PACK;
}

struct Main(Arc<PartSource>);
struct HeldOut(Arc<PartSource>);

/// The source of a part's sequences, opened when first needed.
///
/// Errors: `STAGE_NOT_READY`, `FILE_CORRUPT`.
pub fn part(run: &RunContext, part: Part) -> Result<Arc<PartSource>> {
    let open = || PartSource::open(run, part).map(Arc::new);
    Ok(match part {
        Part::Main => run.shared.get(|| open().map(Main))?.0.clone(),
        Part::HeldOut => run.shared.get(|| open().map(HeldOut))?.0.clone(),
    })
}

/// Writes a shard to its staging directory, unless an earlier attempt did, and sends its files.
fn send(ctx: &Ctx, run: &RunContext, uploads: &Uploads, task: u32) -> Result<DoneRecord> {
    let staging = Staging::of(run, PACK, task);
    staging.take_over(run, PACK, task)?;
    let sent = send_from(ctx, run, uploads, &staging, task);
    if sent.is_err() {
        staging.leave(run, PACK, task);
    }
    sent
}

fn send_from(
    ctx: &Ctx,
    run: &RunContext,
    uploads: &Uploads,
    staging: &Staging,
    task: u32,
) -> Result<DoneRecord> {
    let staged = staging.read()?.and_then(|record| Some((PackCounts::of(&record)?, record.files)));
    let (mut counts, files) = match staged {
        Some(staged) => {
            ctx.progress.advance(sequences(run, &[task])?);
            staged
        }
        None => {
            staging.clear()?;
            let (files, mut counts) = write(ctx, run, task, &staging.files())?;
            counts.objects = vec![ObjectRecord::default(); files.len()];
            staging.save(&counts.done(files.clone())?)?;
            (counts, files)
        }
    };
    for (i, file) in files.iter().enumerate() {
        if counts.objects[i].etag.is_empty() {
            counts.objects[i].etag = uploads.send_staged(ctx, staging, i, file)?;
            staging.save(&counts.done(files.clone())?)?;
        }
    }
    counts.done(files)
}

/// Writes the shard of a task into `out`; the names of its files are relative to it.
fn write(
    ctx: &Ctx,
    run: &RunContext,
    task: u32,
    out: &Path,
) -> Result<(Vec<FileRecord>, PackCounts)> {
    let (of, shard, first, n) = place(run, task)?;
    let source = part(run, of)?;
    let planned = source.plan.read(first, n)?;
    let sequences = &planned.sequences;
    let options = writer_options(run)?;
    let pieces: Vec<u32> = (0..sequences.len()).map(|i| sequences.range(i).len() as u32).collect();
    let mut writer = open_writer(&options, &output(out, of), shard, &pieces)?;
    let held = writer_bytes(&options, n);
    let scattered = Scattered::open(run)?;
    source.with_source(ctx, &planned, Named::Yes, |source| {
        match scattered.placement(task as usize) {
            Some(placement) => {
                pack_shard(ctx, source, &mut *writer, held, ShardTokens::Place(placement))
            }
            None => {
                let tokens = tokens(run)?;
                pack_shard(ctx, source, &mut *writer, held, ShardTokens::Gather(&*tokens))
            }
        }
    })?;
    let prefix = if of == Part::Main { "" } else { "holdout/" };
    let named = |file: FileRecord| FileRecord { name: format!("{prefix}{}", file.name), ..file };
    let (records, files): (Vec<_>, Vec<_>) =
        writer.finish()?.into_iter().map(|file| (named(file.record), file.content)).unzip();
    let part = folder(of).to_owned();
    Ok((records, PackCounts { part, shard, sequences: n, files, objects: Vec::new() }))
}

/// The options that decide the bytes of an output, and where they go: work that is done for one
/// place is not done for another.
pub fn output_identity(file: &RunFile) -> Value {
    let (options, tokenizer) = (&file.options, &file.tokenizer);
    json!({
        "output": result_options(options)["output"], "upload": options.output.upload,
        "separator": tokenizer.separator, "bos": tokenizer.bos, "pad": tokenizer.pad,
        "partEnd": tokenizer.part_end, "partBegin": tokenizer.part_begin,
    })
}

/// Bytes of the output's data files, estimated.
fn output_bytes(run: &RunContext, facts: &Facts) -> f64 {
    let output = &run.options().output;
    let tokens = facts.sequences * f64::from(run.options().length);
    let Some(format) = output.format.file() else { return 0.0 };
    let (token, piece) = format.bytes(output.compression(), run.file.tokenizer.max_id, facts.id);
    let kept = match output.provenance {
        Provenance::Full => 1.0,
        Provenance::Ids => 0.5,
        Provenance::None => 0.0,
    };
    let own = tokens * token + facts.pieces * piece * kept;
    let of_column = |column: Column| {
        let (token, piece) = column.bytes(format);
        tokens * token + facts.pieces * piece
    };
    own + output.columns().into_iter().map(of_column).sum::<f64>()
}
