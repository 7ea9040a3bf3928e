//! Seal: the manifest, checksums and card that make an output directory complete and movable.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use longweave_common::{Code, Error, ResultExt};
use longweave_corpus::InputFile;
use longweave_formats::{Format, ManifestFile, OutputManifest, ShardFile, write_sums};
use longweave_plan::{Part, PlanStats};
use longweave_run::{DedupName, Mode, SpecialToken, result_options};
use longweave_storage::{AtomicFile, FileRecord, Sealed, checksum_file, checksum_with, write_file};
use rayon::prelude::*;
use serde_json::Map;
use ts_rs::TS;
use zstd::stream::write::Encoder;

use crate::documents::DOCUMENTS;
use crate::ingest::{INGEST, IngestPaths};
use crate::names::Names;
use crate::pack::{PACK, PackCounts, output, output_identity, writer_options};
use crate::plan::{LeftOut, PlanCounts, folder, read_duplicates};
use crate::prelude::*;
use crate::report::{self, REPORT};
use crate::summary;
use crate::uploads::Uploads;

/// The task's done record counts nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SealCounts {}

pub const SEAL: Stage = Stage {
    place: Place::Output,
    ..Stage::new("seal", "Sealing", ProgressUnit::Bytes, 1, &SealStage)
};

struct SealStage;

impl StageSpec for SealStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![REPORT, PACK]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.writes_files()
    }

    fn identity(&self, file: &RunFile) -> Value {
        output_identity(file)
    }

    fn units(&self, run: &RunContext, _tasks: &[u32]) -> Result<u64> {
        let records = run.all_done(PACK)?;
        Ok(records.iter().flat_map(|record| &record.files).map(|file| file.bytes).sum())
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        // A copy of the report, manifests, a card, rejected rows; duplicates, as if a fifth of the
        // documents were copies.
        let copies = if run.options().dedup == DedupName::None { 0.0 } else { 0.2 * facts.rows };
        Ok(REPORT.bytes(run, facts)? + 32e3 + copies * (20.0 + facts.id))
    }

    fn needs(&self, _options: &RunOptions) -> Needs {
        Needs { threads: 1, gpus: 0 }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let PlanCounts { main, holdout } = run.counts(0)?;
        let mut files = Vec::new();
        let uploads = Uploads::of(&ctx.cancel, run)?;
        if let Some(holdout) = &holdout {
            files.extend(seal_part(ctx, run, Part::HeldOut, holdout, uploads.as_ref())?);
        }
        files.extend(seal_part(ctx, run, Part::Main, &main, uploads.as_ref())?);
        SealCounts {}.done(files)
    }

    fn begin(&self, ctx: &Ctx, run: &RunContext) -> Result<()> {
        // All shards are done: nobody will finish the half-written files that there are.
        run.sweep_stage(PACK);
        let Some(uploads) = Uploads::of(&ctx.cancel, run)? else { return Ok(()) };
        uploads.give_up_staged(&run.state(PACK))?;
        uploads.recheck(run, SEAL, |record| {
            Some(record.files.iter().map(|f| (f.clone(), None)).collect())
        })
    }
}

impl Counts for SealCounts {
    const STAGE: Stage = SEAL;
}

fn seal_part(
    ctx: &Ctx,
    run: &RunContext,
    part: Part,
    stats: &PlanStats,
    uploads: Option<&Uploads>,
) -> Result<Vec<FileRecord>> {
    let directory = output(run.out(), part);
    let prefix = if part == Part::Main { "" } else { "holdout/" };
    let (tasks, shards) = shard_files(run, part, prefix)?;
    let mut sequences_of: BTreeMap<String, u64> =
        shards.iter().map(|f| (f.record.name.clone(), f.content.sequences)).collect();
    let packed: BTreeMap<&str, (u32, &ShardFile)> =
        shards.iter().zip(tasks).map(|(f, task)| (f.record.name.as_str(), (task, f))).collect();
    let options = writer_options(run)?;
    for (name, bytes) in longweave_formats::index_files(&options, &shards) {
        write_file(&directory.join(&name), &bytes)?;
        sequences_of.insert(name, 0);
    }
    if part == Part::Main && write_rejects(run, &directory.join("rejects.jsonl"))? {
        sequences_of.insert("rejects.jsonl".into(), 0);
    }
    if part == Part::Main && write_duplicates(ctx, run, &directory.join(DUPLICATES))? {
        sequences_of.insert(DUPLICATES.into(), 0);
    }
    run.check(REPORT, &report::name(part))?;
    let report = run.directory(REPORT).join(report::name(part));
    write_file(&directory.join("report.json"), &fs::read(&report).at("read", &report)?)?;
    sequences_of.insert("report.json".into(), 0);
    write_file(&directory.join("README.md"), card(run, part, stats).as_bytes())?;
    sequences_of.insert("README.md".into(), 0);
    let named: Vec<(&String, &u64)> = sequences_of.iter().collect();
    let checksum = |&(name, &sequences): &(&String, &u64)| -> Result<ManifestFile> {
        let path = directory.join(name);
        if let Some((task, ShardFile { record, content })) = packed.get(name.as_str())
            && (uploads.is_some() || is_unchanged(&path, record, &run.record(PACK, *task))?)
        {
            ctx.progress.advance(record.bytes);
            return Ok(ManifestFile {
                name: name.clone(),
                bytes: record.bytes,
                sha256: content.sha256.clone(),
                sequences,
            });
        }
        let (bytes, xxh3, sha256) = checksum_with(&path, |bytes| {
            ctx.progress.advance(bytes);
            ctx.cancel.check()
        })?;
        // The files are sealed as they were packed, whatever changed them since.
        if packed.get(name.as_str()).is_some_and(|(_, ShardFile { record, .. })| {
            *record != FileRecord::new(record.name.as_str(), Sealed { bytes, xxh3 })
        }) {
            return Err(corrupt(&path));
        }
        Ok(ManifestFile { name: name.clone(), bytes, sha256, sequences })
    };
    let files: Vec<ManifestFile> =
        ctx.pool.install(|| named.par_iter().map(checksum).collect::<Result<_>>())?;
    let mut sums: Vec<(String, String)> =
        files.iter().map(|f| (f.name.clone(), f.sha256.clone())).collect();
    let manifest = OutputManifest {
        format: options.format,
        length: options.length,
        sequences: stats.sequences,
        provenance: options.provenance,
        files,
        rest: rest(run, part, stats)?,
    };
    let mut text = serde_json::to_string_pretty(&manifest)
        .map_err(|e| Error::new(Code::Internal, format!("longweave.json: {e}")))?;
    text.push('\n');
    let sealed = write_file(&directory.join("longweave.json"), text.as_bytes())?;
    sums.push(("longweave.json".into(), checksum_file(&directory.join("longweave.json"))?.2));
    let sums = write_sums(&directory, &sums)?;
    if let Some(uploads) = uploads {
        // The manifest comes last: where it exists, the output is complete.
        let small =
            sequences_of.keys().map(String::as_str).filter(|name| !packed.contains_key(name));
        let names: Vec<String> = small
            .chain(["SHA256SUMS", "longweave.json"])
            .map(|name| format!("{prefix}{name}"))
            .collect();
        uploads.send(ctx, run.out(), &names)?;
    }
    Ok(vec![
        FileRecord::new(format!("{prefix}longweave.json"), sealed),
        FileRecord::new(format!("{prefix}SHA256SUMS"), sums),
    ])
}

fn corrupt(path: &Path) -> Error {
    let message = format!(
        "{} differs from its done record; delete it and run again; its shard is then packed again",
        path.display()
    );
    Error::corrupt(path, message)
}

/// Whether a file has the length that its task recorded, and nobody wrote to it since.
///
/// Errors: `FILE_CORRUPT` where it is gone or has another length.
fn is_unchanged(path: &Path, file: &FileRecord, record: &Path) -> Result<bool> {
    let found = match fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(corrupt(path)),
        other => other.at("read", path)?,
    };
    if found.len() != file.bytes {
        return Err(corrupt(path));
    }
    let recorded = fs::metadata(record).and_then(|record| record.modified());
    Ok(matches!((found.modified(), recorded), (Ok(written), Ok(recorded)) if written < recorded))
}

/// The files of a part's shards in order, named relative to its directory, each after the task that
/// made it.
fn shard_files(run: &RunContext, part: Part, prefix: &str) -> Result<(Vec<u32>, Vec<ShardFile>)> {
    let mut files = Vec::new();
    let counts = run.all_counts::<PackCounts>()?;
    for ((task, record), PackCounts { part: of, files: contents, .. }) in
        (0..).zip(run.all_done(PACK)?.iter()).zip(counts)
    {
        if of == folder(part) {
            files.extend(record.files.iter().zip(contents).map(|(file, content)| {
                let record = FileRecord { name: own_name(file, prefix), ..file.clone() };
                (task, ShardFile { record, content })
            }));
        }
    }
    Ok(files.into_iter().unzip())
}

fn own_name(file: &FileRecord, prefix: &str) -> String {
    file.name.strip_prefix(prefix).unwrap_or(&file.name).to_owned()
}

/// The part of `longweave.json` that is about the run.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRun {
    /// The version of longweave that made the output.
    pub version: &'static str,
    /// `main`, or `holdout` for the output of the held-out documents.
    #[ts(type = "'main' | 'holdout'")]
    pub part: &'static str,
    /// The options of the run that decide results. Options on threads, memory and places are left
    /// out.
    #[ts(type = "Record<string, unknown>")]
    pub options: Value,
    /// The files of the corpus, in byte order of path. Empty where documents were handed over.
    pub inputs: Vec<InputFile>,
    /// The tokenizer that made the tokens.
    pub tokenizer: ManifestTokenizer,
    /// Counts of the output's plan.
    pub plan: PlanStats,
    /// The part of the run's summary that is the same for equal runs.
    #[ts(
        type = "Omit<Summary, 'version' | 'method' | 'directory' | 'format' | 'length' | 'encoder' \
                | 'specialTokens' | 'seconds' | 'warnings'>"
    )]
    pub counts: Value,
}

/// The tokenizer of an output.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTokenizer {
    /// SHA-256 of the tokenizer.json, in lower-case hexadecimal.
    pub sha256: String,
    /// Ids of the separator after each document. Empty without one.
    pub separator: Vec<u32>,
    /// Id of the begin token. Null without one.
    pub bos: Option<u32>,
    /// Id of the padding token. Null where none is known or needed.
    pub pad: Option<u32>,
    /// How these were found.
    pub special_tokens: Vec<SpecialToken>,
}

/// The manifest without what readers need.
fn rest(run: &RunContext, part: Part, stats: &PlanStats) -> Result<Map<String, Value>> {
    let tokenizer = &run.file.tokenizer;
    let about = ManifestRun {
        version: env!("CARGO_PKG_VERSION"),
        part: folder(part),
        options: result_options(run.options()),
        inputs: run.file.inventory.files.clone(),
        tokenizer: ManifestTokenizer {
            sha256: tokenizer.digest.clone(),
            separator: tokenizer.separator.clone(),
            bos: tokenizer.bos,
            pad: tokenizer.pad,
            special_tokens: tokenizer.special.clone(),
        },
        plan: stats.clone(),
        counts: summary::lasting_counts(&summary::summary(run, Mode::Plan, 0.0)?),
    };
    match serde_json::to_value(about) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(Error::new(Code::Internal, "the manifest is not an object")),
    }
}

/// Gathers the rejects of all splits; whether there are any.
fn write_rejects(run: &RunContext, path: &Path) -> Result<bool> {
    let directory = run.directory(INGEST);
    let mut file: Option<AtomicFile> = None;
    for (task, record) in run.all_done(INGEST)?.iter().enumerate() {
        let part = IngestPaths::of(&directory, task as u32).rejects;
        let own = |f: &&FileRecord| part.file_name().is_some_and(|name| *f.name == *name);
        record.files.iter().filter(own).try_for_each(|f| f.check(&directory))?;
        let bytes = fs::read(&part).at("read", &part)?;
        if !bytes.is_empty() {
            if file.is_none() {
                file = Some(AtomicFile::create(path)?);
            }
            if let Some(file) = &mut file {
                file.write_all(&bytes).at("write", path)?;
            }
        }
    }
    match file {
        Some(file) => file.commit().map(|_| true),
        None => Ok(false),
    }
}

/// The list of documents that were left out as duplicates.
const DUPLICATES: &str = "duplicates.jsonl.zst";

/// A line of it. The format's page describes the fields.
#[derive(Serialize)]
struct DuplicateLine<'a> {
    id: &'a str,
    kept: &'a str,
    kind: &'a str,
    similarity: f64,
}

/// Lists the duplicates of a run; whether there are any.
fn write_duplicates(ctx: &Ctx, run: &RunContext, path: &Path) -> Result<bool> {
    let ids = run.directory(DOCUMENTS).join("ids.arrow");
    let mut file: Option<Encoder<'_, AtomicFile>> = None;
    read_duplicates(run, |duplicates| {
        ctx.cancel.check()?;
        let rows = duplicates.iter().flat_map(|d| [d.doc, d.kept]);
        let names = Names::of(ctx, &ids, rows.map(|row| row as usize))?;
        let mut lines = Vec::new();
        for LeftOut { doc, kept, similarity } in duplicates {
            let line = DuplicateLine {
                id: names.get(*doc as usize),
                kept: names.get(*kept as usize),
                kind: if similarity.is_none() { "exact" } else { "near" },
                similarity: similarity.map_or(1.0, |millionths| f64::from(millionths) / 1e6),
            };
            serde_json::to_writer(&mut lines, &line)
                .map_err(|e| Error::new(Code::Internal, format!("a duplicate as JSON: {e}")))?;
            lines.push(b'\n');
        }
        if file.is_none() {
            file = Some(Encoder::new(AtomicFile::create(path)?, 3).at("write", path)?);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(&lines).at("write", path))
    })?;
    match file {
        Some(file) => file.finish().at("write", path)?.commit().map(|_| true),
        None => Ok(false),
    }
}

/// The dataset card: what Hugging Face shows, to be completed before publishing.
fn card(run: &RunContext, part: Part, stats: &PlanStats) -> String {
    let options = run.options();
    // Without the pattern `datasets` takes longweave.json and report.json for data, too.
    let pattern = match options.output.format.file() {
        Some(Format::Parquet) => "*.parquet",
        Some(Format::Jsonl) => "[0-9]*.jsonl*",
        Some(Format::Datasets) => "*.arrow",
        _ => "",
    };
    let files = match pattern {
        "" => String::new(),
        _ => format!("configs:\n- config_name: default\n  data_files: \"{pattern}\"\n"),
    };
    format!(
        "---\ntask_categories:\n- text-generation\ntags:\n- long-context\n- longweave\n{files}---\n\n\
         # Long-context sequences ({part})\n\n\
         {sequences} sequences of {length} tokens, made by longweave {version} with the method `{method}`.\n{sentence}\n\n\
         - tokens of documents in sequences: {own}\n- separators: {separators}\n- padding: {padding}\n- documents in the pool: {pool}\n\n\
         `longweave.json` holds all options, input digests and counts; `SHA256SUMS` is checked by `sha256sum -c` or `longweave verify`.\n\
         The licence of the sequences is that of the documents they are made of; add it, and their source, before publishing.\n",
        part = folder(part),
        sequences = stats.sequences,
        length = options.length,
        version = env!("CARGO_PKG_VERSION"),
        method = options.method.name().as_str(),
        sentence = options.method.name().sentence(),
        own = stats.tokens.in_sequences,
        separators = stats.tokens.separators,
        padding = stats.tokens.padding,
        pool = stats.pool_documents,
    )
}
