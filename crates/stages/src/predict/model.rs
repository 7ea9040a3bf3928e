//! Predicting with a model: windows of segments, sorted by length into batches, on the device's
//! thread.
//!
//! While the device works on one window, the next is read and tokenized. A window ends at a fixed
//! number of segments or bytes of text, so that batches follow from the split and the options
//! alone. Finished batches are checkpointed (`checkpoint.rs`).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Result};
use longweave_inference::{PendingBatch, QueryModel, Segment};
use longweave_language::Language;
use rayon::prelude::*;

use super::checkpoint::{Checkpoint, Predicted};
use super::documents::{Document, Documents};
use super::files::QueryWriter;
use longweave_run::RunContext;

/// Segments of a window: enough that the lengths of a batch hardly differ.
const WINDOW_SEGMENTS: usize = 4_096;
/// Documents that are tokenized together, and bytes of their text.
const STEP_DOCUMENTS: usize = 256;
const STEP_BYTES: usize = 1 << 20;
/// Bytes of text of a window, after which it ends; its last documents may be larger.
const WINDOW_BYTES: usize = 8 << 20;
/// Bytes that are reserved for a byte of a window's text: tokens of four bytes and their copies for
/// the device, of two windows.
const COST: u64 = 8;

/// Documents that an error of a batch names.
const NAMED: usize = 8;

/// A run of rows that is being predicted.
struct Window {
    rows: std::ops::Range<u32>,
    /// Row of each segment.
    row_of: Vec<u32>,
    /// Ids of the documents, by row.
    ids: HashMap<u32, String>,
    /// Their languages, by row.
    languages: HashMap<u32, Language>,
    segments: Vec<Segment>,
    batches: Vec<Pending>,
}

/// A batch. Its queries are `None` if an earlier attempt predicted them.
struct Pending {
    segments: Vec<usize>,
    queries: Option<PendingBatch>,
}

pub(super) fn run(
    ctx: &Ctx,
    run: &RunContext,
    directory: &Path,
    task: u32,
    model: &QueryModel,
    documents: &mut Documents,
    writer: &mut QueryWriter,
) -> Result<()> {
    let every = Duration::from_secs_f64(run.options().queries.checkpoint_seconds);
    let (mut checkpoint, kept) = Checkpoint::open(directory, task, every)?;
    let kept = by_segment(kept);
    let _held = ctx
        .budget
        .reserve((COST * WINDOW_BYTES as u64).min(ctx.budget.limit() / 2), &ctx.cancel)?;
    let done = checkpoint.batches();
    let mut numbered = 0;
    let mut current = next_window(ctx, model, documents, done, &mut numbered)?;
    while let Some(window) = current {
        current = next_window(ctx, model, documents, done, &mut numbered)?;
        finish(ctx, model, window, &kept, &mut checkpoint, writer)?;
    }
    Ok(())
}

/// Queries of earlier attempts by row and segment.
fn by_segment(kept: Vec<Predicted>) -> HashMap<(u32, u32), Vec<Predicted>> {
    let mut map: HashMap<(u32, u32), Vec<Predicted>> = HashMap::new();
    for predicted in kept {
        map.entry((predicted.row, predicted.segment)).or_default().push(predicted);
    }
    map
}

/// Reads and tokenizes the next window and queues its batches, without those of earlier attempts.
fn next_window(
    ctx: &Ctx,
    model: &QueryModel,
    documents: &mut Documents,
    done: u64,
    numbered: &mut u64,
) -> Result<Option<Window>> {
    let first = documents.row;
    let (mut segments, mut row_of, mut bytes) = (Vec::new(), Vec::new(), 0);
    let (mut ids, mut languages) = (HashMap::new(), HashMap::new());
    let language = documents.language;
    while segments.len() < WINDOW_SEGMENTS && bytes < WINDOW_BYTES {
        ctx.cancel.check()?;
        let before = documents.row;
        let step = read_step(documents)?;
        if documents.row == before {
            break;
        }
        bytes += step.iter().map(|d| d.text.len()).sum::<usize>();
        let cut = |d: &Document| {
            Ok((d.language(language), model.segments().of(Key::of(&d.id), &d.text)?))
        };
        let cut: Vec<(Language, Vec<Segment>)> =
            ctx.pool.install(|| step.par_iter().map(cut).collect::<Result<_>>())?;
        for (document, (language, own)) in step.into_iter().zip(cut) {
            languages.insert(document.row, language);
            row_of.extend(std::iter::repeat_n(document.row, own.len()));
            segments.extend(own);
            ids.insert(document.row, document.id);
        }
    }
    if documents.row == first {
        return Ok(None);
    }
    let batches = model.batches(&segments);
    let batches = batches
        .into_iter()
        .map(|batch| {
            let queries = (*numbered >= done).then(|| model.submit(&ctx.cancel, &segments, &batch));
            *numbered += 1;
            Pending { segments: batch.segments, queries }
        })
        .collect();
    Ok(Some(Window { rows: first..documents.row, row_of, ids, languages, segments, batches }))
}

fn read_step(documents: &mut Documents) -> Result<Vec<Document>> {
    let (mut step, mut bytes) = (Vec::new(), 0);
    while step.len() < STEP_DOCUMENTS && bytes < STEP_BYTES {
        let Some((_, document)) = documents.next()? else { break };
        bytes += document.as_ref().map_or(0, |d| d.text.len());
        step.extend(document);
    }
    Ok(step)
}

/// Waits for a window's batches and writes its rows.
fn finish(
    ctx: &Ctx,
    model: &QueryModel,
    window: Window,
    kept: &HashMap<(u32, u32), Vec<Predicted>>,
    checkpoint: &mut Checkpoint,
    writer: &mut QueryWriter,
) -> Result<()> {
    let Window { rows, row_of, ids, languages, segments, batches } = window;
    let mut open = HashMap::<u32, u32>::new();
    row_of.iter().for_each(|&row| *open.entry(row).or_default() += 1);
    ctx.progress.advance(u64::from(rows.len() as u32) - open.len() as u64);
    let mut predicted: Vec<Predicted> = Vec::new();
    for batch in batches {
        let place = |segment: usize| (row_of[segment], segments[segment].number);
        let made = match batch.queries {
            None => batch
                .segments
                .iter()
                .flat_map(|&s| kept.get(&place(s)).cloned().unwrap_or_default())
                .collect(),
            Some(pending) => {
                let generated = pending.wait().map_err(|e| {
                    with_documents(e, batch.segments.iter().map(|&s| row_of[s]), &ids)
                })?;
                let made = generated
                    .into_iter()
                    .map(|g| {
                        let (row, segment) = place(g.segment);
                        Ok(Predicted { row, segment, query: g.query, text: model.text(&g.ids)? })
                    })
                    .collect::<Result<Vec<_>>>()?;
                checkpoint.push(&made)?;
                made
            }
        };
        predicted.extend(made);
        ctx.progress.advance(
            batch.segments.iter().filter(|&&s| closes(&mut open, row_of[s])).count() as u64,
        );
    }
    predicted.sort_by_key(|p| (p.row, p.segment, p.query));
    let mut rest = predicted.as_slice();
    for row in rows {
        let (own, after) = rest.split_at(rest.iter().take_while(|p| p.row == row).count());
        rest = after;
        let language = languages.get(&row).copied();
        writer.row(
            language,
            own.iter().filter(|p| !p.text.is_empty()).map(|p| (p.segment, p.text.as_str())),
        )?;
    }
    Ok(())
}

/// Counts a segment of a row as done. Returns whether it was the row's last.
fn closes(open: &mut HashMap<u32, u32>, row: u32) -> bool {
    let left = open.entry(row).or_insert(1);
    *left -= 1;
    *left == 0
}

/// The error with the ids of the documents of the batch, the first few.
fn with_documents(
    error: Error,
    rows: impl Iterator<Item = u32>,
    ids: &HashMap<u32, String>,
) -> Error {
    if error.code() == Code::Cancelled {
        return error;
    }
    let rows: BTreeSet<u32> = rows.collect();
    let named: Vec<&str> =
        rows.iter().filter_map(|row| ids.get(row)).take(NAMED).map(String::as_str).collect();
    let more = match rows.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("{} (documents {}{more})", error.message(), named.join(", "));
    let documents = Error::new(error.code(), message).with("documents", named);
    error.details().iter().fold(documents, |new, (key, value)| new.with(key, value.clone()))
}
