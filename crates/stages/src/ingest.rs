//! Ingest: the one pass that decides which rows are accepted. Per split: the tokens, and by row its
//! status, id, keys, source. Rows that have token ids in place of a text keep them.
//!
//! The task's own thread reads a batch of rows while the pool tokenizes the one before. A document
//! that costs much memory (it is long, or one endless word) is read and tokenized alone, with all the
//! memory that it needs reserved. One that needs more than `memory` is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Offsets, Result};
use longweave_corpus::{Content, RowLocation, RowReader};
use longweave_run::{
    Counts, Facts, ProgressUnit, RunContext, RunFile, RunOptions, SpecialText, Stage, StageSpec,
};
use longweave_storage::{ArrayWriter, AtomicFile, DoneRecord, FileRecord, StringTableWriter};
use longweave_tokens::{Encoder, Reserved, TokenStore, TokenWriter, width_for};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ts_rs::TS;

use crate::pretokenized::{refusal, without_separators};
use crate::scan::{self, SCAN, rows};
use crate::spool::{check_split, corpus};

/// Bytes of text tokenized at once, at most a 32nd of the memory bound; a larger document is tokenized alone.
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes that are reserved for a byte of a batch: its text and that of the next batch, ids of four
/// bytes, the encoder's scratch.
const COST: u64 = 16;
/// The part of `COST` for the encoder's scratch, which threads share. A document that costs more than
/// a thread's share is tokenized alone.
const SCRATCH: u64 = 6;
/// Most bytes that an encoder takes for a byte of text: smaller documents need no estimate.
const MOST_COST: u64 = 512;

/// Status of a row: its text is empty.
pub const EMPTY: u8 = 0;
/// Status of a row: a document.
pub const ACCEPTED: u8 = 1;
/// Status of a row: it is in `rejects.jsonl`.
pub const REJECTED: u8 = 2;

/// Counts of a task, in its done record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IngestCounts {
    pub accepted: u64,
    pub empty: u64,
    pub rejected: u64,
    /// Bytes of accepted text; four for each id of rows that have token ids.
    pub bytes: u64,
    /// Tokens of accepted text.
    pub tokens: u64,
    /// Special tokens in text, that of rejected rows included.
    pub special: SpecialCounts,
    /// Documents with a source.
    pub sources: u64,
    /// Documents in which lone surrogates were replaced.
    pub surrogates: u64,
}

/// Special tokens that are written in the text of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(rename = "SpecialTextCounts")]
pub struct SpecialCounts {
    /// Documents whose text contains one.
    pub documents: u64,
    /// Places where one is written.
    pub occurrences: u64,
    /// Ids of the first ten of these documents, cut after 200 characters.
    pub first: Vec<String>,
}

/// The remedy for ids beyond the vocabulary.
const OTHER_TOKENIZER: &str = "give the tokenizer that made the ids, or set `onBadRow: skip`";
/// The remedy for special tokens in a text.
const SPECIAL_IS_TEXT: &str = "set `specialText: text`, or `onBadRow: skip`";

/// Most documents that are named.
const NAMED: usize = 10;

impl SpecialCounts {
    fn add(&mut self, id: &str, occurrences: u64) {
        self.documents += 1;
        self.occurrences += occurrences;
        if self.first.len() < NAMED {
            self.first.push(id.chars().take(200).collect());
        }
    }

    /// Adds the counts of later documents.
    pub(crate) fn extend(&mut self, later: SpecialCounts) {
        self.documents += later.documents;
        self.occurrences += later.occurrences;
        self.first.extend(later.first);
        self.first.truncate(NAMED);
    }
}

/// The files of a task.
pub struct IngestPaths {
    pub tokens: PathBuf,
    pub lens: PathBuf,
    pub status: PathBuf,
    pub keys: PathBuf,
    pub text_hashes: PathBuf,
    pub ids: PathBuf,
    pub sources: PathBuf,
    pub rejects: PathBuf,
}

impl IngestPaths {
    /// The files of a task in the stage's directory.
    pub fn of(directory: &Path, task: u32) -> IngestPaths {
        let name = |kind: &str| directory.join(format!("{task:05}.{kind}"));
        IngestPaths {
            tokens: name("tokens"),
            lens: name("lens"),
            status: name("status"),
            keys: name("keys"),
            text_hashes: name("text_hashes"),
            ids: name("ids.arrow"),
            sources: name("sources.arrow"),
            rejects: name("rejects.jsonl"),
        }
    }
}

/// Bytes of a stored token.
pub fn token_bytes(run: &RunContext) -> u64 {
    width_for(run.file.tokenizer.max_id).bytes()
}

/// The tokens of all documents, opened when first needed.
pub fn tokens(run: &RunContext) -> Result<Arc<TokenStore>> {
    run.shared.get(|| {
        let (directory, rows) = (run.directory(INGEST), scan::rows(run)?);
        let splits = rows.first[..rows.first.len() - 1].iter().zip(0..);
        let path = |(&first, split)| (first, IngestPaths::of(&directory, split).tokens);
        TokenStore::open(splits.map(path).collect())
    })
}

/// A line of `rejects.jsonl`.
#[derive(Serialize)]
struct Reject<'a> {
    #[serde(flatten)]
    location: &'a RowLocation<'a>,
    code: &'a str,
    reason: &'a str,
}

/// Rows read and not yet tokenized: texts end to end, and where each row's ends (empty for rows
/// without one). So for token ids of rows that have them in place of a text.
#[derive(Default)]
struct Batch {
    text: String,
    rows: Offsets,
    ids: Vec<u32>,
    id_rows: Offsets,
}

impl Batch {
    fn text_of(&self, row: usize) -> &str {
        &self.text[self.rows.range(row)]
    }

    fn ids_of(&self, row: usize) -> &[u32] {
        &self.ids[self.id_rows.range(row)]
    }

    fn bytes(&self) -> u64 {
        self.text.len() as u64 + id_bytes(&self.ids)
    }
}

/// Bytes of token ids.
fn id_bytes(ids: &[u32]) -> u64 {
    size_of_val(ids) as u64
}

/// A document that is tokenized alone, or whose token ids are taken alone.
struct OversizedDocument {
    text: String,
    ids: Option<Vec<u32>>,
    /// Bytes of heap for the text and to encode it.
    cost: u64,
    location: RowLocation<'static>,
}

/// A batch, and the oversized document after it, if there is one.
#[derive(Default)]
struct ReadBatch {
    batch: Batch,
    oversized: Option<OversizedDocument>,
}

/// Columns and tables by row of the split, written as rows are read.
struct Tables {
    status: ArrayWriter<u8>,
    keys: ArrayWriter<u128>,
    text_hashes: ArrayWriter<u128>,
    ids: StringTableWriter,
    sources: Option<StringTableWriter>,
    rejects: AtomicFile,
}

pub const INGEST: Stage =
    Stage::new("ingest", "Tokenizing", ProgressUnit::Documents, 2, &IngestStage);

struct IngestStage;

impl StageSpec for IngestStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![SCAN]
    }

    fn identity(&self, file: &RunFile) -> Value {
        let (options, tokenizer) = (&file.options, &file.tokenizer);
        // Separators at the end of rows of token ids are left out.
        let separator = file.has_tokens().then_some(&tokenizer.separator);
        let source = if options.source_by_path() {
            json!({ "paths": options.corpus })
        } else {
            json!(options.source_field)
        };
        json!({
            "tokensField": options.tokens_field, "separator": separator,
            "tokenizer": tokenizer.digest, "encoder": tokenizer.encoder, "maxId": tokenizer.max_id,
            "specialText": options.special_text, "reserved": tokenizer.reserved,
            "textField": options.text_field, "idField": options.id_field, "sourceField": source,
            "textJoin": options.text_join, "loneSurrogates": options.lone_surrogates,
            "skipBadRows": options.skips_bad_rows(), "maxDocumentBytes": options.max_document_bytes,
        })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        scan::rows_in(run, tasks)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let source = if run.options().has_sources() { 24.0 } else { 0.0 };
        Ok(facts.tokens * token_bytes(run) as f64 + facts.rows * (53.0 + facts.id + source))
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        run_task(ctx, run, task)
    }
}

impl Counts for IngestCounts {
    const STAGE: Stage = INGEST;
}

fn run_task(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let split = task as usize;
    let rows = rows(run)?;
    let inventory = &run.file.inventory;
    check_split(run, split)?;
    let encoder = run.resources.encoder()?;
    let special = Special {
        reserved: encoder.reserve(&run.file.tokenizer.reserved)?,
        mode: run.options().special_text,
    };
    let directory = run.directory(INGEST);
    let paths = IngestPaths::of(&directory, task);
    let mut reader = RowReader::open(ctx, &corpus(run), inventory, split, rows.before(split))?;
    let mut tables = Tables {
        status: ArrayWriter::create(&paths.status)?,
        keys: ArrayWriter::create(&paths.keys)?,
        text_hashes: ArrayWriter::create(&paths.text_hashes)?,
        ids: StringTableWriter::create(&paths.ids, "id")?,
        sources: run
            .options()
            .has_sources()
            .then(|| StringTableWriter::create(&paths.sources, "source"))
            .transpose()?,
        rejects: AtomicFile::create(&paths.rejects)?,
    };
    let mut tokens = Tokens {
        ids: TokenWriter::create(&paths.tokens, width_for(run.file.tokenizer.max_id))?,
        lens: ArrayWriter::create(&paths.lens)?,
        total: 0,
    };
    let mut totals = IngestCounts::default();
    let limit = BATCH_BYTES.min(ctx.budget.limit() / 32);
    let threads = ctx.pool.current_num_threads();
    let most = (SCRATCH * limit / threads as u64).max(1);
    let mut held = ctx.budget.reserve(COST * limit, &ctx.cancel)?;

    let mut read = |reader: &mut RowReader, patient: bool| {
        let limits = Limits { bytes: limit, cost: most, patient };
        read_batch(ctx, run, (&*encoder, &special), reader, limits, &mut tables, &mut totals)
    };
    let mut now = read(&mut reader, true)?;
    loop {
        ctx.cancel.check()?;
        let ReadBatch { batch, oversized } = std::mem::take(&mut now);
        let rows = batch.rows.len() + usize::from(oversized.is_some());
        if oversized.is_some() || rows == 0 {
            // Nothing is read while an oversized document is tokenized.
            tokens.push(ctx.pool.install(|| encode((&*encoder, &special), &batch, threads))?)?;
            drop(batch);
            if let Some(document) = oversized {
                held = held.exchange(document.cost.max(COST * limit), &ctx.cancel)?;
                tokens.push_one(&encode_oversized(ctx, (&*encoder, &special), document)?)?;
            } else if !reader.next_is_larger(limit)? {
                break;
            } else {
                // The memory that it needs is known once it has been read.
                held = held.exchange(ctx.budget.limit(), &ctx.cancel)?;
                now = read(&mut reader, false)?;
                continue;
            }
            held = held.exchange(COST * limit, &ctx.cancel)?;
            now = read(&mut reader, true)?;
        } else {
            held = held.exchange(COST * limit, &ctx.cancel)?;
            // The pool tokenizes this batch while this thread reads the next.
            let work = || ctx.pool.install(|| encode((&*encoder, &special), &batch, threads));
            let (encoded, next) = std::thread::scope(|scope| {
                let encoding = scope.spawn(work);
                let next = read(&mut reader, true);
                let encoded = encoding
                    .join()
                    .unwrap_or_else(|_| Err(Error::new(Code::Panic, "the tokenizer panicked")));
                (encoded, next)
            });
            tokens.push(encoded?)?;
            now = next?;
        }
        ctx.progress.advance(rows as u64);
    }
    drop(held);
    totals.tokens = tokens.total;
    if tables.status.len() != u64::from(rows.count(split)) {
        let file = &inventory.files[inventory.splits[split].file as usize].path;
        let message = format!(
            "{file} had {} rows when it was scanned and has {} now: it changed during the run; run again",
            rows.count(split),
            tables.status.len()
        );
        return Err(Error::new(Code::InputChanged, message).with("file", file.as_str()));
    }
    let mut files = tokens.ids.commit()?;
    files.push(FileRecord::at(&paths.lens, tokens.lens.commit()?));
    files.push(FileRecord::at(&paths.status, tables.status.commit()?));
    files.push(FileRecord::at(&paths.keys, tables.keys.commit()?));
    files.push(FileRecord::at(&paths.text_hashes, tables.text_hashes.commit()?));
    files.push(FileRecord::at(&paths.ids, tables.ids.commit()?));
    if let Some(sources) = tables.sources {
        files.push(FileRecord::at(&paths.sources, sources.commit()?));
    }
    files.push(FileRecord::at(&paths.rejects, tables.rejects.commit()?));
    (totals).done(files)
}

/// Tokens of the split and the lengths of its rows.
struct Tokens {
    ids: TokenWriter,
    lens: ArrayWriter<u32>,
    total: u64,
}

impl Tokens {
    fn push(&mut self, encoded: Vec<Encoded>) -> Result<()> {
        for part in encoded {
            let mut start = 0;
            for &len in &part.lens {
                self.ids.push(&part.ids[start..start + len as usize])?;
                start += len as usize;
            }
            self.lens.push(&part.lens)?;
            self.total += start as u64;
        }
        Ok(())
    }

    /// One document's.
    fn push_one(&mut self, ids: &[u32]) -> Result<()> {
        self.ids.push(ids)?;
        self.lens.push(&[length(ids.len())?])?;
        self.total += ids.len() as u64;
        Ok(())
    }
}

/// Limits of a batch.
#[derive(Clone, Copy)]
struct Limits {
    /// Most bytes of text.
    bytes: u64,
    /// Most bytes of heap to encode one of its documents.
    cost: u64,
    /// Whether to stop before a row that is larger than a batch.
    patient: bool,
}

/// Reads rows until their texts fill a batch or a document is oversized. Decides everything but the
/// tokens.
fn read_batch(
    ctx: &Ctx,
    run: &RunContext,
    (encoder, special): (&dyn Encoder, &Special),
    reader: &mut RowReader,
    limits: Limits,
    tables: &mut Tables,
    totals: &mut IngestCounts,
) -> Result<ReadBatch> {
    let mut read = ReadBatch::default();
    let batch = &mut read.batch;
    while batch.bytes() < limits.bytes && batch.rows.len() < 1 << 16 {
        if batch.rows.len() % 1024 == 0 {
            ctx.cancel.check()?;
        }
        let is_large = reader.next_is_larger(limits.bytes)?;
        if is_large && (limits.patient || !batch.rows.is_empty()) {
            break;
        }
        let Some(row) = reader.next()? else { break };
        let mut oversized = None;
        let mut refused: Option<(String, &str)> = None;
        let mut own_ids: Option<&[u32]> = None;
        if let Content::Document(document) = &row.content
            && let Some(ids) = document.tokens
        {
            let ids = without_separators(&run.file.tokenizer.separator, ids);
            refused = refusal(run, ids).map(|reason| (reason, OTHER_TOKENIZER));
            own_ids = Some(ids);
        } else if let Content::Document(document) = &row.content {
            let occurrences = special.reserved.count(document.text);
            if occurrences > 0 {
                totals.special.add(document.id, occurrences);
                refused = special.refusal(document.text).map(|reason| (reason, SPECIAL_IS_TEXT));
            }
        }
        let own_length = own_ids.map(<[u32]>::len);
        let (status, key, text_hash) = match &row.content {
            Content::Document(document) if refused.is_none() && own_length != Some(0) => {
                let id = document.id;
                let bytes = own_ids.map_or(document.text.len() as u64, id_bytes);
                let cost = if own_ids.is_some() {
                    if bytes > limits.bytes { u64::MAX } else { 0 }
                } else if bytes * MOST_COST > limits.cost {
                    encoder.cost(document.text)
                } else {
                    0
                };
                if cost > limits.cost {
                    oversized = Some(OversizedDocument {
                        text: String::new(),
                        ids: None,
                        cost: if own_ids.is_some() { 2 * bytes } else { cost + bytes },
                        location: row.location.clone().into_owned(),
                    });
                } else {
                    batch.text.push_str(document.text);
                    batch.ids.extend_from_slice(own_ids.unwrap_or_default());
                }
                tables.ids.push(id)?;
                if let Some(sources) = &mut tables.sources {
                    sources.push(document.source.unwrap_or(""))?;
                }
                totals.accepted += 1;
                totals.bytes += bytes;
                totals.sources += u64::from(document.source.is_some());
                totals.surrogates += u64::from(document.replaced_surrogates);
                let content = own_ids.map_or_else(|| Key::of(document.text), Key::of_ids);
                (ACCEPTED, Key::of(id).0, content.0)
            }
            other => {
                let mut status = REJECTED;
                tables.ids.push("")?;
                if let Some(sources) = &mut tables.sources {
                    sources.push("")?;
                }
                let skips = run.options().skips_bad_rows();
                let reject = |tables: &mut Tables, code, reason: &str| {
                    reject(run, tables, &row.location, (code, reason), totals.rejected + 1)
                };
                match (other, refused) {
                    (_, Some((reason, remedy))) if !skips => {
                        return Err(row.location.error(Code::BadRow, &reason, remedy));
                    }
                    (_, Some((reason, _))) => reject(tables, Code::BadRow, &reason)?,
                    (Content::Bad(bad), None) if !skips => {
                        return Err(row.location.bad(bad, Some("`onBadRow: skip`")));
                    }
                    (Content::Bad(bad), None) => {
                        reject(tables, bad.code, &bad.reason)?;
                    }
                    _ => {
                        totals.empty += 1;
                        status = EMPTY;
                    }
                }
                totals.rejected += u64::from(status == REJECTED);
                (status, 0, 0)
            }
        };
        tables.status.push(&[status])?;
        tables.keys.push(&[key])?;
        tables.text_hashes.push(&[text_hash])?;
        if let Some(document) = oversized {
            let ids = own_length.map(|length| {
                let mut ids = reader.take_tokens();
                ids.truncate(length);
                ids
            });
            read.oversized = Some(OversizedDocument { text: reader.take_text(), ids, ..document });
            break;
        }
        batch.rows.push(batch.text.len());
        batch.id_rows.push(batch.ids.len());
        if is_large {
            break; // the row was long, but its text is not oversized
        }
    }
    Ok(read)
}

/// The ids of an oversized document, whose cost is reserved.
fn encode_oversized(
    ctx: &Ctx,
    (encoder, special): (&dyn Encoder, &Special),
    document: OversizedDocument,
) -> Result<Vec<u32>> {
    let OversizedDocument { text, ids, cost, location } = document;
    if let Some(ids) = ids {
        return Ok(ids);
    }
    let limit = ctx.budget.limit();
    if cost > limit {
        let reason = format!(
            "tokenizing this document of {} bytes may take {cost} bytes, but `memory` is {limit}",
            text.len()
        );
        return Err(location.error(
            Code::MemoryBudget,
            &reason,
            "raise `memory`, or lower `maxDocumentBytes`, which makes it a bad row",
        ));
    }
    ctx.pool.install(|| {
        let mut ids = Vec::new();
        encoder.encode(&text, special.reserved(), &mut ids)?;
        Ok(ids)
    })
}

/// The remedy for more bad rows than are allowed.
pub(crate) const RAISE: &str = "fix the rows, or raise `maxBadRows`";

/// More bad rows than are allowed, in words.
pub(crate) fn too_many_bad_rows(rejected: u64, rows: u64, most: u64) -> String {
    format!("{rejected} of {rows} rows are bad, and `maxBadRows` allows {most}")
}

/// Lists a bad row, of which this is number `rejected` of the task.
fn reject(
    run: &RunContext,
    tables: &mut Tables,
    location: &RowLocation<'_>,
    (code, reason): (Code, &str),
    rejected: u64,
) -> Result<()> {
    let rows = u64::from(rows(run)?.total());
    if let Some(most) = run.options().most_bad_rows(rows).filter(|&most| rejected > most) {
        let many = too_many_bad_rows(rejected, rows, most);
        return Err(location.error(code, &format!("{reason}; {many}"), RAISE));
    }
    let reject = Reject { location, code: code.name(), reason };
    let line = serde_json::to_string(&reject)
        .map_err(|e| Error::new(Code::Internal, format!("a reject as JSON: {e}")))?;
    tables.rejects.put(line.as_bytes())?;
    tables.rejects.put(b"\n")
}

/// The treatment of special tokens that are written in a text.
struct Special {
    reserved: Reserved,
    mode: SpecialText,
}

impl Special {
    /// Tokens that no text gets.
    fn reserved(&self) -> Option<&Reserved> {
        (self.mode != SpecialText::Token).then_some(&self.reserved)
    }

    /// Why a text that contains one makes a bad row.
    fn refusal(&self, text: &str) -> Option<String> {
        let found = self.reserved.find(text).filter(|_| self.mode == SpecialText::Fail)?;
        Some(format!("its text contains the special token \"{found}\""))
    }
}

/// Tokens of a run of rows.
struct Encoded {
    ids: Vec<u32>,
    lens: Vec<u32>,
}

fn encode(
    (encoder, special): (&dyn Encoder, &Special),
    batch: &Batch,
    threads: usize,
) -> Result<Vec<Encoded>> {
    let share = (batch.text.len() / (threads * 4)).max(16 << 10) as u64;
    let mut bounds = vec![0];
    let mut start = 0;
    for (row, &end) in batch.rows.ends().iter().enumerate() {
        if end - start >= share {
            bounds.push(row + 1);
            start = end;
        }
    }
    bounds.push(batch.rows.len());
    bounds
        .par_windows(2)
        .map(|range| {
            let mut out =
                Encoded { ids: Vec::new(), lens: Vec::with_capacity(range[1] - range[0]) };
            for row in range[0]..range[1] {
                let before = out.ids.len();
                let text = batch.text_of(row);
                out.ids.extend_from_slice(batch.ids_of(row));
                if !text.is_empty() {
                    encoder.encode(text, special.reserved(), &mut out.ids)?;
                }
                out.lens.push(length(out.ids.len() - before)?);
            }
            Ok(out)
        })
        .collect()
}

/// A document's number of tokens.
fn length(tokens: usize) -> Result<u32> {
    let length = u32::try_from(tokens).ok().filter(|&n| n < 1 << 31);
    length.ok_or_else(|| {
        Error::new(Code::PlanTooLarge, "a document has more than 2³¹−1 tokens; divide it")
    })
}
