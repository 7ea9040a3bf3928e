//! Ingest: the one pass that decides which rows are accepted. Per split: the tokens, and by row its status, id, keys, source.
//!
//! Reads batches of rows on the task's own thread while the pool tokenizes the batch before.

use std::path::{Path, PathBuf};

use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Content, RowReader};
use longweave_storage::{ArrayWriter, AtomicFile, DoneRecord, FileRecord, StringTableWriter};
use longweave_tokens::{Encoder, TokenWriter, width_for};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::options::OnBadRow;
use crate::{Job, Stage};

/// Bytes of text tokenized at once, at most a 32nd of the memory bound; a larger document is tokenized alone.
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes that a byte of text may cost while it is tokenized: text, ids of four bytes, the encoder's scratch.
const COST: u64 = 8;

/// Status of a row: no text.
pub(crate) const EMPTY: u8 = 0;
/// Status of a row: a document.
pub(crate) const ACCEPTED: u8 = 1;
/// Status of a row: it stands in `rejects.jsonl`.
pub(crate) const REJECTED: u8 = 2;

/// What an ingest task leaves in its record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct IngestCounts {
    pub(crate) accepted: u64,
    pub(crate) empty: u64,
    pub(crate) rejected: u64,
    /// Bytes of accepted text.
    pub(crate) bytes: u64,
    /// Tokens of accepted text.
    pub(crate) tokens: u64,
}

/// The files of a task.
pub(crate) struct Names {
    pub(crate) tokens: PathBuf,
    pub(crate) lens: PathBuf,
    pub(crate) status: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) texts: PathBuf,
    pub(crate) ids: PathBuf,
    pub(crate) sources: PathBuf,
    pub(crate) rejects: PathBuf,
}

impl Names {
    pub(crate) fn of(directory: &Path, task: u32) -> Names {
        let name = |kind: &str| directory.join(format!("{task:05}.{kind}"));
        Names {
            tokens: name("tokens"),
            lens: name("lens"),
            status: name("status"),
            keys: name("keys"),
            texts: name("texts"),
            ids: name("ids.arrow"),
            sources: name("sources.arrow"),
            rejects: name("rejects.jsonl"),
        }
    }
}

/// A line of `rejects.jsonl`.
#[derive(Serialize)]
struct Reject<'a> {
    file: &'a str,
    row: u64,
    code: &'a str,
    reason: &'a str,
}

/// Rows read and not yet tokenized: texts end to end, and where each row's ends (empty for rows without a document).
#[derive(Default)]
struct Batch {
    text: String,
    ends: Vec<usize>,
}

impl Batch {
    fn text_of(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start..self.ends[row]]
    }
}

/// Columns and tables by row of the split, written as rows are read.
struct Tables {
    status: ArrayWriter<u8>,
    keys: ArrayWriter<u128>,
    texts: ArrayWriter<u128>,
    ids: StringTableWriter,
    sources: Option<StringTableWriter>,
    rejects: AtomicFile,
}

pub(crate) fn run(ctx: &Ctx, job: &Job, task: u32) -> Result<DoneRecord> {
    let split = task as usize;
    let rows = job.rows()?;
    let inventory = &job.file.inventory;
    job.check_split(split)?;
    let encoder = job.resources.encoder()?;
    let directory = job.directory(Stage::Ingest);
    let names = Names::of(&directory, task);
    let mut reader = RowReader::open(ctx, &job.corpus(), inventory, split, rows.first_in_file[split])?;
    let mut tables = Tables {
        status: ArrayWriter::create(&names.status)?,
        keys: ArrayWriter::create(&names.keys)?,
        texts: ArrayWriter::create(&names.texts)?,
        ids: StringTableWriter::create(&names.ids, "id")?,
        sources: job.options().source_field.as_ref().map(|_| StringTableWriter::create(&names.sources, "source")).transpose()?,
        rejects: AtomicFile::create(&names.rejects)?,
    };
    let mut tokens = TokenWriter::create(&names.tokens, width_for(job.file.tokenizer.max_id))?;
    let mut lens = ArrayWriter::create(&names.lens)?;
    let mut totals = IngestCounts::default();
    let limit = BATCH_BYTES.min(ctx.budget.limit() / 32);
    let mut held = ctx.budget.reserve(2 * limit * COST, &ctx.cancel)?;

    let mut batch = read_batch(ctx, job, &mut reader, limit, &mut tables, &mut totals)?;
    while !batch.ends.is_empty() {
        ctx.cancel.check()?;
        // A document larger than a batch has its share, and nothing is read beside it.
        let bytes = batch.text.len() as u64;
        held = held.exchange(2 * COST * bytes.max(limit), &ctx.cancel)?;
        let work = || ctx.pool.install(|| encode(&*encoder, &batch, ctx.pool.current_num_threads()));
        let (encoded, next) = if bytes > 2 * limit {
            (work(), None)
        } else {
            // The pool tokenizes this batch while this thread reads the next.
            std::thread::scope(|scope| {
                let encoding = scope.spawn(work);
                let next = read_batch(ctx, job, &mut reader, limit, &mut tables, &mut totals);
                let encoded = encoding.join().unwrap_or_else(|_| Err(Error::new(Code::Panic, "the tokenizer panicked")));
                (encoded, Some(next))
            })
        };
        for chunk in encoded? {
            let mut start = 0;
            for &len in &chunk.lens {
                tokens.push(&chunk.ids[start..start + len as usize])?;
                start += len as usize;
                totals.tokens += u64::from(len);
            }
            lens.push(&chunk.lens)?;
        }
        ctx.progress.advance(batch.ends.len() as u64);
        batch = match next {
            Some(next) => next?,
            None => {
                drop(batch); // before the next is read
                read_batch(ctx, job, &mut reader, limit, &mut tables, &mut totals)?
            }
        };
    }
    if tables.status.len() != u64::from(rows.count(split)) {
        let file = &inventory.files[inventory.splits[split].file as usize].path;
        let message = format!(
            "{file} had {} rows when it was scanned and has {} now; it changed while the run was going on",
            rows.count(split),
            tables.status.len()
        );
        return Err(Error::new(Code::InputChanged, message).with("file", file.as_str()));
    }
    let named = |path: &Path, sealed| FileRecord::new(path.file_name().unwrap_or_default().to_string_lossy(), sealed);
    let mut files = tokens.commit()?;
    files.push(named(&names.lens, lens.commit()?));
    files.push(named(&names.status, tables.status.commit()?));
    files.push(named(&names.keys, tables.keys.commit()?));
    files.push(named(&names.texts, tables.texts.commit()?));
    files.push(named(&names.ids, tables.ids.commit()?));
    if let Some(sources) = tables.sources {
        files.push(named(&names.sources, sources.commit()?));
    }
    files.push(named(&names.rejects, tables.rejects.commit()?));
    Ok(DoneRecord { files, counts: json!(totals) })
}

/// Reads rows until their texts reach `limit` bytes; everything but tokens is decided here.
fn read_batch(ctx: &Ctx, job: &Job, reader: &mut RowReader, limit: u64, tables: &mut Tables, totals: &mut IngestCounts) -> Result<Batch> {
    let mut batch = Batch::default();
    while (batch.text.len() as u64) < limit && batch.ends.len() < 1 << 16 {
        if batch.ends.len() % 1024 == 0 {
            ctx.cancel.check()?;
        }
        let Some(row) = reader.next()? else { break };
        let (status, key, text_hash) = match &row.content {
            Content::Document(document) => {
                let id = document.id;
                batch.text.push_str(document.text);
                tables.ids.push(id)?;
                if let Some(sources) = &mut tables.sources {
                    sources.push(document.source.unwrap_or(""))?;
                }
                totals.accepted += 1;
                totals.bytes += document.text.len() as u64;
                (ACCEPTED, Key::of(id).0, Key::of(document.text).0)
            }
            other => {
                tables.ids.push("")?;
                if let Some(sources) = &mut tables.sources {
                    sources.push("")?;
                }
                if let Content::Bad(bad) = other {
                    reject(job, tables, row.file, row.number, bad.code, &bad.reason)?;
                    totals.rejected += 1;
                    (REJECTED, 0, 0)
                } else {
                    totals.empty += 1;
                    (EMPTY, 0, 0)
                }
            }
        };
        batch.ends.push(batch.text.len());
        tables.status.push(&[status])?;
        tables.keys.push(&[key])?;
        tables.texts.push(&[text_hash])?;
    }
    Ok(batch)
}

fn reject(job: &Job, tables: &mut Tables, file: &str, row: u64, code: Code, reason: &str) -> Result<()> {
    if job.options().on_bad_row == OnBadRow::Fail {
        let message = format!("{file} row {row}: {reason}; mend the row, or say `onBadRow: skip` to leave such rows out");
        return Err(Error::new(code, message).with("file", file).with("row", row).with("reason", reason));
    }
    let line = serde_json::to_string(&Reject { file, row, code: code.name(), reason })
        .map_err(|e| Error::new(Code::Internal, format!("a reject as JSON: {e}")))?;
    tables.rejects.put(line.as_bytes())?;
    tables.rejects.put(b"\n")
}

/// Tokens of a run of rows.
struct Encoded {
    ids: Vec<u32>,
    lens: Vec<u32>,
}

fn encode(encoder: &dyn Encoder, batch: &Batch, threads: usize) -> Result<Vec<Encoded>> {
    let share = (batch.text.len() / (threads * 4)).max(16 << 10);
    let mut bounds = vec![0];
    for (row, &end) in batch.ends.iter().enumerate() {
        let start = bounds.last().map_or(0, |&b: &usize| if b == 0 { 0 } else { batch.ends[b - 1] });
        if end - start >= share {
            bounds.push(row + 1);
        }
    }
    bounds.push(batch.ends.len());
    bounds
        .par_windows(2)
        .map(|range| {
            let mut out = Encoded { ids: Vec::new(), lens: Vec::with_capacity(range[1] - range[0]) };
            for row in range[0]..range[1] {
                let before = out.ids.len();
                let text = batch.text_of(row);
                if !text.is_empty() {
                    encoder.encode(text, &mut out.ids)?;
                }
                let len = u32::try_from(out.ids.len() - before).ok().filter(|&n| n < 1 << 31);
                out.lens.push(len.ok_or_else(|| Error::new(Code::PlanTooLarge, "a document has more than 2³¹−1 tokens; divide it"))?);
            }
            Ok(out)
        })
        .collect()
}
