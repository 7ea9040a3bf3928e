//! Estimates of a run before it starts: bytes and seconds of each stage, from the facts known of
//! the corpus so far.
//!
//! Before `ingest` is complete, rows, text and tokens are estimated from a sample of the corpus, a
//! few megabytes at several places; after it they are known, and after `plan` so are sequences and
//! pieces. The factors were measured on encyclopedia articles, news and posts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use longweave_common::{Code, Ctx, Result};
use longweave_corpus::{
    Before, Content, Inventory, Kind, Packing, Range, RowReader, Split, count_rows, split_bytes,
};
use longweave_formats::{Compression, Provenance};
use longweave_neighbours::{DEFAULT_PROBES, MOST_EXACT};
use longweave_plan::Method;
use longweave_tokens::width_for;
use serde::Serialize;
use ts_rs::TS;

use crate::counts::counts;
use crate::options::{OutputFormat, PredictorName, SearchName, VectorSource};
use crate::stages::documents::DocumentCounts;
use crate::stages::ingest::IngestCounts;
use crate::stages::plan::PlanCounts;
use crate::{Bos, RunContext, Stage};

/// Places in the corpus that are looked at, and bytes that are read at all of them together.
const PLACES: usize = 8;
const SAMPLE_BYTES: u64 = 2 << 20;
/// Of these, bytes of text that are tokenized.
const TOKENIZED_BYTES: u64 = 512 << 10;
/// Bytes of a done record and the lease, blocks of the file system counted.
const RECORD: f64 = 8192.0;

/// The size of a corpus: counted by an earlier run over the same work directory, or estimated from
/// a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "CorpusFacts")]
pub struct Facts {
    /// Rows of all files.
    pub rows: f64,
    /// Bytes of text in UTF-8.
    pub text_bytes: f64,
    /// Tokens of that text.
    pub tokens: f64,
    /// True for counts, false for estimates.
    pub counted: bool,
    /// Bytes of an id, and of a row's queries in the corpus, in the mean.
    #[serde(skip)]
    id: f64,
    #[serde(skip)]
    queries: f64,
}

/// Means over the rows of a sample, and bytes of the corpus that they stand for.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    rows: f64,
    /// Bytes of these rows in the corpus' files.
    stored: f64,
    text: f64,
    id: f64,
    queries: f64,
    tokenized: f64,
    tokens: f64,
}

/// The facts of the run's corpus; `None` if a sample holds no document or cannot be read: the run
/// then reports the cause.
pub(crate) fn facts(ctx: &Ctx, run: &RunContext) -> Option<Facts> {
    match counted(run) {
        Ok(Some(facts)) => Some(facts),
        _ => run.sampled(|| sample(ctx, run)),
    }
}

/// From the records of a run whose documents are numbered, or whose ingest is complete.
pub(crate) fn counted(run: &RunContext) -> Result<Option<Facts>> {
    let records = match run.all_done(Stage::Ingest) {
        Err(e) if e.code() == Code::StageNotReady => return Ok(None),
        other => other?,
    };
    let mut sum =
        DocumentCounts { rows: u64::from(run.rows()?.total()), ..DocumentCounts::default() };
    let mut ids = 0;
    for record in records {
        let IngestCounts { bytes, tokens, .. } = counts(record)?;
        sum.bytes += bytes;
        sum.tokens += tokens;
        ids += record
            .files
            .iter()
            .filter(|f| f.name.ends_with("ids.arrow"))
            .map(|f| f.bytes)
            .sum::<u64>();
    }
    let rows = sum.rows as f64;
    let id = (ids as f64 / rows.max(1.0) - 8.0).max(0.0);
    Ok(Some(Facts {
        rows,
        text_bytes: sum.bytes as f64,
        tokens: sum.tokens as f64,
        counted: true,
        id,
        queries: 80.0,
    }))
}

fn sample(ctx: &Ctx, run: &RunContext) -> Option<Facts> {
    let inventory = &run.file.inventory;
    let splits = inventory.splits.len();
    let places = PLACES.min(splits);
    let mut sums = Sums::default();
    for place in 0..places {
        // A file that cannot be read is reported by the run, with place and cause.
        let _ = look(ctx, run, place * splits / places, places as u64, &mut sums);
    }
    if sums.text == 0.0 || sums.tokenized == 0.0 {
        return None;
    }
    let stored: u64 = inventory.files.iter().map(|f| f.bytes).sum();
    let mut rows = sums.rows * stored as f64 / sums.stored;
    if let Ok(rows_counted) = run.rows() {
        rows = f64::from(rows_counted.total());
    }
    let text_bytes = sums.text / sums.stored * stored as f64;
    Some(Facts {
        rows,
        text_bytes,
        tokens: text_bytes * sums.tokens / sums.tokenized,
        counted: false,
        id: sums.id / sums.rows,
        queries: sums.queries / sums.rows,
    })
}

/// Adds the first rows of a split to the sums.
fn look(ctx: &Ctx, run: &RunContext, split: usize, places: u64, sums: &mut Sums) -> Result<()> {
    let (mut inventory, mut split, corpus) = (&run.file.inventory, split, run.corpus());
    let encoder = run.resources.encoder()?;
    let alone;
    if let Split { file, range: Range::Part { .. } } = inventory.splits[split] {
        // Parts are not there before they are spooled: of their file the beginning is looked at.
        let whole = Split { file: 0, range: Range::Files { end: 1 } };
        alone = Inventory {
            root: inventory.root.clone(),
            files: vec![inventory.files[file as usize].clone()],
            splits: vec![whole],
        };
        (inventory, split) = (&alone, 0);
    }
    let kind = inventory.files[inventory.splits[split].file as usize].kind;
    let mut reader = RowReader::open(ctx, &corpus, inventory, split, Before::default())?;
    let (mut raw, mut bytes, mut of_split) = (Vec::new(), 0, Sums::default());
    let mut ids = Vec::new();
    while bytes + reader.unpacked_bytes() < SAMPLE_BYTES / places {
        let before = raw.len();
        let Some(row) = reader.next()? else { break };
        of_split.rows += 1.0;
        if let Content::Document(document) = &row.content {
            of_split.text += document.text.len() as f64;
            of_split.id += document.id.len() as f64;
            of_split.queries += document.queries.iter().map(|q| q.len() as f64 + 12.0).sum::<f64>();
            bytes += document.text.len() as u64;
            raw.extend_from_slice(head(document.text, TOKENIZED_BYTES as usize).as_bytes());
            if of_split.tokenized < (TOKENIZED_BYTES / places) as f64 {
                encoder.encode(head(document.text, TOKENIZED_BYTES as usize), &mut ids)?;
                of_split.tokenized += head(document.text, TOKENIZED_BYTES as usize).len() as f64;
            }
        }
        let line = reader.line();
        if !line.is_empty() {
            raw.truncate(before);
            raw.extend_from_slice(line);
            raw.push(b'\n');
        }
    }
    of_split.tokens = ids.len() as f64;
    of_split.stored = match kind {
        Kind::Jsonl(Packing::Plain) => reader.unpacked_bytes() as f64,
        Kind::Jsonl(packing) => {
            let file = &inventory.files[inventory.splits[split].file as usize];
            reader.unpacked_bytes() as f64
                / ratio(&inventory.path(inventory.splits[split].file), packing, file.bytes, &raw)
        }
        Kind::Parquet => {
            // Of its row groups a split does not know the bytes, only those of the file.
            let of_file =
                inventory.splits.iter().filter(|s| s.file == inventory.splits[split].file).count();
            let rows = count_rows(ctx, &corpus, inventory, split)?.rows.max(1);
            split_bytes(inventory, split) as f64 / of_file as f64 * of_split.rows / rows as f64
        }
        Kind::Text => of_split.text,
    };
    for (sum, more) in [
        (&mut sums.rows, of_split.rows),
        (&mut sums.stored, of_split.stored),
        (&mut sums.text, of_split.text),
        (&mut sums.id, of_split.id),
        (&mut sums.queries, of_split.queries),
        (&mut sums.tokenized, of_split.tokenized),
        (&mut sums.tokens, of_split.tokens),
    ] {
        *sum += more;
    }
    Ok(())
}

/// How many times as large a packed file is unpacked: where the file itself tells, from what it
/// tells, else as the sample packs.
fn ratio(path: &Path, packing: Packing, bytes: u64, raw: &[u8]) -> f64 {
    let told = declared_size(path, packing)
        .filter(|&size| size > bytes)
        .map(|size| size as f64 / bytes as f64);
    told.unwrap_or_else(|| {
        // zlib at its usual level packs texts about as well as Zstandard's first; higher levels and
        // longer windows do better than a short sample by a fifth or two.
        let (level, better) = if packing == Packing::Gzip { (1, 1.0) } else { (3, 1.2) };
        zstd::bulk::compress(raw, level)
            .map_or(1.0, |packed| better * raw.len() as f64 / packed.len().max(1) as f64)
    })
}

/// Decompressed bytes that a Zstandard frame's header or a gzip member's end declares. Of a file of
/// several, only those of the first or last; a length modulo 2³² is detected by being less than the
/// file's.
fn declared_size(path: &Path, packing: Packing) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    match packing {
        Packing::Plain => None,
        Packing::Zstd => {
            let mut header = [0; 18];
            let n = file.read(&mut header).ok()?;
            zstd::zstd_safe::get_frame_content_size(&header[..n]).ok()?
        }
        Packing::Gzip => {
            let mut end = [0; 4];
            file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end)).ok()?;
            Some(u64::from(u32::from_le_bytes(end)))
        }
    }
}

/// The first bytes of a text, at most `most`.
fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Sequences, pieces and groups of a plan, main and held out together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Planned {
    sequences: f64,
    pieces: f64,
    groups: f64,
}

fn planned(run: &RunContext, facts: &Facts) -> Result<Planned> {
    if let Some(record) = run.done(Stage::Plan, 0)? {
        let PlanCounts { main, holdout } = counts(&record)?;
        let stats = [Some(main), holdout].into_iter().flatten();
        let none = Planned { sequences: 0.0, pieces: 0.0, groups: 0.0 };
        return Ok(stats.fold(none, |sum, s| Planned {
            sequences: sum.sequences + s.sequences as f64,
            pieces: sum.pieces + s.pieces.total as f64,
            groups: sum.groups + s.groups as f64,
        }));
    }
    let options = run.options();
    let length = f64::from(options.length);
    let special = run.file.tokenizer.separator.len() as f64
        + if options.bos == Bos::Document { 1.0 } else { 0.0 };
    // Of an epoch of quest, the short set comes again: about a tenth of the tokens.
    let again = match &options.method.own {
        Method::Quest(quest) => 1.0 + 0.1 * (quest.oversample - 1.0).min(4.0),
        _ => 1.0,
    };
    let epoch = (facts.tokens + facts.rows * special) * again;
    let tokens = options.tokens.map_or(epoch, |tokens| tokens as f64);
    let sequences = (tokens / length).ceil();
    let chunks = options.chunk_chars().map_or(0.0, |chars| facts.text_bytes / f64::from(chars));
    let pieces = (facts.rows + chunks) * tokens / epoch.max(1.0) * again + sequences;
    Ok(Planned { sequences, pieces, groups: facts.rows * again })
}

/// Documents or chunks that have vectors.
fn units(run: &RunContext, facts: &Facts) -> f64 {
    run.options()
        .chunk_chars()
        .map_or(facts.rows, |chars| (facts.text_bytes / f64::from(chars)).max(facts.rows))
}

fn vector_bytes(run: &RunContext) -> f64 {
    let options = &run.options().vectors;
    2.0 * if options.source == VectorSource::Tfidf {
        f64::from(options.dimensions)
    } else {
        ONNX_DIMENSIONS
    }
}

/// Most bytes held at once in addition to `memory`: of documents lengths, keys, hashes, keywords,
/// lists, pieces; and all vectors with their lists of neighbours.
pub(crate) fn held_bytes(run: &RunContext, facts: &Facts) -> f64 {
    const DOCUMENT: f64 = 140.0;
    const SEARCHED: f64 = 16.0;
    let options = run.options();
    let probes = f64::from(options.neighbours.probes.unwrap_or(DEFAULT_PROBES));
    let depth = options.neighbour_depth().map_or(0.0, |k| 8.0 * f64::from(k));
    let unit = if options.needs_vectors() {
        vector_bytes(run) + SEARCHED + 4.0 * probes + depth
    } else {
        0.0
    };
    facts.rows * DOCUMENT + units(run, facts) * unit
}

/// Bytes that a stage leaves when all its tasks are done.
pub(crate) fn stage_bytes(run: &RunContext, stage: Stage, facts: &Facts) -> Result<f64> {
    let options = run.options();
    let Facts { rows, tokens, id, .. } = *facts;
    let width = width_for(run.file.tokenizer.max_id).bytes() as f64;
    let segments = rows + tokens / f64::from(options.queries.segment_tokens);
    let units = units(run, facts);
    let source = if options.source_field.is_some() { 24.0 } else { 0.0 };
    let splits = run.file.inventory.splits.len() as f64;
    let files = match stage {
        // Parts are packed a little less than files that were packed to be kept.
        Stage::Spool => spooled_bytes(run) * 1.3,
        Stage::Scan => 0.0,
        Stage::Ingest => tokens * width + rows * (53.0 + id + source),
        Stage::Documents => rows * (44.0 + id + source / 6.0),
        Stage::Predict => match options.queries.predictor {
            PredictorName::Extractive => segments * 75.0 + rows * 8.0,
            PredictorName::Precomputed => rows * (facts.queries + 8.0),
            PredictorName::Onnx => {
                segments * f64::from(options.queries.queries_per_segment) * 80.0 + rows * 8.0
            }
        },
        Stage::Extract => segments * 90.0,
        Stage::Embed => match options.vectors.source {
            VectorSource::Tfidf => tokens * 1.1 + units * 8.0 + splits * f64::from(1 << 18),
            VectorSource::Onnx => units * 2.0 * ONNX_DIMENSIONS,
            VectorSource::File => units * 8.0,
        },
        Stage::Vectors => units * vector_bytes(run),
        Stage::Index => rows * 42.0,
        Stage::Neighbours => {
            units * 8.0 * f64::from(options.neighbour_depth().unwrap_or(0))
                + if options.needs_heads() { rows * 110.0 } else { 0.0 }
        }
        Stage::Plan => {
            let plan = planned(run, facts)?;
            24.0 * plan.sequences + 16.0 * (plan.pieces + plan.groups)
        }
        Stage::Report => {
            (planned(run, facts)?.sequences.min(256.0) * f64::from(options.length) * 0.6).min(3.6e6)
        }
        Stage::Route if scatters(run, facts)? => planned(run, facts)?.pieces * 12.0,
        Stage::Scatter if scatters(run, facts)? => {
            planned(run, facts)?.sequences * f64::from(options.length) * width
        }
        Stage::Route | Stage::Scatter => 0.0,
        Stage::Pack => output_bytes(run, facts)?,
        // A copy of the report, manifests, a card, rejected rows.
        Stage::Seal => stage_bytes(run, Stage::Report, facts)? + 32e3,
    };
    Ok(files + RECORD * f64::from(run.tasks(stage)?.unwrap_or(1)))
}

/// Whether packing scatters, as the route task has decided or would now.
fn scatters(run: &RunContext, facts: &Facts) -> Result<bool> {
    if let Some(record) = run.done(Stage::Route, 0)? {
        return crate::stages::route::scatters(&record);
    }
    let width = width_for(run.file.tokenizer.max_id).bytes() as f64;
    Ok(crate::stages::route::foreseen(
        run,
        (facts.tokens * width) as u64,
        planned(run, facts)?.pieces as u64,
    ))
}

/// Bytes of the files that are spooled.
fn spooled_bytes(run: &RunContext) -> f64 {
    let inventory = &run.file.inventory;
    inventory.spooled().map(|(file, _)| inventory.files[file as usize].bytes as f64).sum()
}

/// Numbers of an encoder's vector, of the usual size.
const ONNX_DIMENSIONS: f64 = 768.0;

/// Bytes of the data files of one output shard.
pub(crate) fn shard_bytes(run: &RunContext, facts: &Facts) -> Result<f64> {
    let sequences = planned(run, facts)?.sequences.max(1.0);
    Ok(output_bytes(run, facts)? * (run.options().shard_sequences() as f64 / sequences).min(1.0))
}

/// Bytes of the output's data files.
fn output_bytes(run: &RunContext, facts: &Facts) -> Result<f64> {
    let (output, plan) = (&run.options().output, planned(run, facts)?);
    let tokens = plan.sequences * f64::from(run.options().length);
    // Larger vocabularies pack less well.
    let bits = f64::from(run.file.tokenizer.max_id.max(2)).log2();
    let packed = 1.5 * bits / 15.6;
    let width = width_for(run.file.tokenizer.max_id).bytes() as f64;
    let (token, piece) = match (output.format, output.compression()) {
        (OutputFormat::Parquet | OutputFormat::Jsonl | OutputFormat::Mds, Compression::Zstd) => {
            (packed, 16.0)
        }
        (OutputFormat::Jsonl, Compression::None) => (2.0 + bits * 0.3, 60.0 + facts.id),
        (OutputFormat::Parquet | OutputFormat::Mds, Compression::None) => (4.0, 16.0),
        (OutputFormat::Megatron | OutputFormat::Datatrove, _) => (width, 16.0),
        (OutputFormat::Memory, _) => (0.0, 0.0),
    };
    let told = match output.provenance {
        Provenance::Full => 1.0,
        Provenance::Ids => 0.5,
        Provenance::None => 0.0,
    };
    Ok(tokens * token + plan.pieces * piece * told)
}

/// Seconds that one core of the machine that the factors were measured on needs for a stage; `None`
/// where nothing fair can be said: a model at work, a search whose cost depends on the data, a
/// stage that is done once and not in proportion.
pub(crate) fn stage_seconds(run: &RunContext, stage: Stage, facts: &Facts) -> Result<Option<f64>> {
    let options = run.options();
    let (gigabytes, million) = (facts.text_bytes / 1e9, facts.rows / 1e6);
    let pack = match options.output.format {
        OutputFormat::Jsonl => PACK_JSONL,
        // Ids as memory holds them, without compression.
        OutputFormat::Mds | OutputFormat::Megatron | OutputFormat::Datatrove => PACK_MDS,
        OutputFormat::Parquet | OutputFormat::Memory => PACK_PARQUET,
    };
    let plan = planned(run, facts)?;
    let written = plan.sequences * f64::from(options.length) / 1e9;
    Ok(match stage {
        Stage::Spool => Some(spooled_bytes(run) / 1e9 * SPOOL),
        Stage::Scan => Some(gigabytes * SCAN),
        Stage::Ingest => Some(gigabytes * INGEST),
        Stage::Documents => Some(million * DOCUMENTS),
        Stage::Predict => {
            (options.queries.predictor == PredictorName::Extractive).then_some(gigabytes * PREDICT)
        }
        Stage::Extract => Some(million * EXTRACT),
        Stage::Embed => {
            (options.vectors.source == VectorSource::Tfidf).then_some(gigabytes * EMBED)
        }
        Stage::Vectors => (options.vectors.source != VectorSource::Onnx)
            .then_some(f64::from(options.vectors.sample) / 8192.0 * PROJECTION + million * VECTORS),
        Stage::Index => Some(million * INDEX),
        Stage::Neighbours
            if options.neighbours.search == SearchName::Inverted
                || facts.rows > MOST_EXACT as f64 =>
        {
            None
        }
        Stage::Neighbours => {
            Some(million * million * NEIGHBOURS * f64::from(options.vectors.dimensions) / 256.0)
        }
        Stage::Plan => (options.neighbour_depth().is_none()).then_some(million * PLAN),
        Stage::Report => Some(REPORT),
        Stage::Route | Stage::Scatter if !scatters(run, facts)? => Some(0.0),
        Stage::Route => Some(plan.pieces / 1e6 * ROUTE),
        Stage::Scatter => Some(written * SCATTER),
        Stage::Pack => Some(written * pack),
        Stage::Seal => Some(stage_bytes(run, Stage::Pack, facts)? / 1e9 * SEAL),
    })
}

/// Seconds that the open tasks of a stage, or this number of tasks, need with the run's threads;
/// `None` as in [`stage_seconds`].
pub(crate) fn seconds(
    ctx: &Ctx,
    run: &RunContext,
    stage: Stage,
    facts: Option<&Facts>,
    these: Option<usize>,
) -> Result<Option<f64>> {
    let (mut tasks, mut open) = (1, 1);
    if let Some(known) = crate::disk::known_tasks(run, stage)? {
        tasks = known.max(1);
        open = 0;
        for task in 0..known {
            open += u32::from(run.done(stage, task)?.is_none());
        }
    }
    let open = these.unwrap_or(open as usize);
    if open == 0 {
        return Ok(Some(0.0));
    }
    let Some(facts) = facts else { return Ok(None) };
    // A stage whose tasks work alone cannot use more threads than it has tasks.
    let alone = matches!(
        stage,
        Stage::Spool | Stage::Scan | Stage::Scatter | Stage::Predict | Stage::Extract | Stage::Pack
    );
    let threads =
        ctx.pool.current_num_threads().min(if alone { tasks as usize } else { usize::MAX }) as f64;
    Ok(stage_seconds(run, stage, facts)?.map(|s| s / threads * open as f64 / f64::from(tasks)))
}

/// Seconds of a core for a gigabyte of text (of packed files, to spool them), a million rows or
/// pieces, their square, a billion tokens, a gigabyte of output; of the projection of words and the
/// report, in all.
const SPOOL: f64 = 25.0;
const SCAN: f64 = 3.0;
const INGEST: f64 = 25.0;
const DOCUMENTS: f64 = 0.5;
const PREDICT: f64 = 40.0;
const EXTRACT: f64 = 2.5;
const EMBED: f64 = 16.0;
const PROJECTION: f64 = 4.0;
const VECTORS: f64 = 50.0;
const INDEX: f64 = 20.0;
const NEIGHBOURS: f64 = 5e3;
const PLAN: f64 = 1.0;
const REPORT: f64 = 1.5;
const ROUTE: f64 = 0.5;
const SCATTER: f64 = 10.0;
const PACK_PARQUET: f64 = 45.0;
const PACK_JSONL: f64 = 70.0;
const PACK_MDS: f64 = 10.0;
const SEAL: f64 = 2.0;
