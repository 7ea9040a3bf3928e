//! Predict: queries of each accepted document of a split, replaying ingest's decisions.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Content, RowReader};
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Precomputed, Predictor, Queries};
use longweave_storage::{ArrayWriter, DoneRecord, FileRecord, StringTable, StringTableWriter, read_array};
use rayon::prelude::*;
use serde_json::json;

use super::ingest::{ACCEPTED, Names};
use crate::options::PredictorName;
use crate::{Job, Stage};

/// Bytes of text whose queries are predicted at once, at most a 32nd of the memory bound.
const BATCH_BYTES: u64 = 4 << 20;
/// Bytes that a byte of text may cost meanwhile.
const COST: u64 = 6;

/// A document as it was read.
struct Owned {
    row: u32,
    id: String,
    text: String,
    queries: Vec<String>,
}

/// Makes the predictor that the options ask for.
pub(crate) fn predictor(ctx: &Ctx, job: &Job) -> Result<Box<dyn Predictor>> {
    let options = job.options();
    Ok(match options.queries.predictor {
        PredictorName::Extractive => Box::new(Extractive::new(ExtractiveOptions { segment_tokens: options.queries.segment_tokens })),
        PredictorName::Precomputed => match &options.queries.file {
            Some(file) => Box::new(Precomputed::from_file(ctx, &job.resources.path(file))?),
            None => Box::new(Precomputed::from_column()),
        },
    })
}

pub(crate) fn run(ctx: &Ctx, job: &Job, task: u32) -> Result<DoneRecord> {
    let split = task as usize;
    let rows = job.rows()?;
    let inventory = &job.file.inventory;
    longweave_corpus::check_unchanged(inventory, split)?;
    let predictor = job.predictor(ctx)?;
    let status = read_array::<u8>(&Names::of(&job.directory(Stage::Ingest), task).status)?;
    let mut reader = RowReader::open(ctx, &job.corpus(), inventory, split, rows.first_in_file[split])?;
    let names = QueryNames::of(&job.directory(Stage::Predict), task);
    let mut texts = StringTableWriter::create(&names.texts, "query")?;
    let mut ends = ArrayWriter::<u64>::create(&names.ends)?;
    let mut segments = ArrayWriter::create(&names.segments)?;
    let limit = BATCH_BYTES.min(ctx.budget.limit() / 32);
    let mut held = ctx.budget.reserve(limit * COST, &ctx.cancel)?;
    let mut with_query = 0u64;
    let mut row = 0;
    loop {
        ctx.cancel.check()?;
        let (batch, read) = read_batch(&mut reader, &status, row, limit)?;
        if read == row {
            break;
        }
        let bytes = batch.iter().map(|d| d.text.len() as u64).sum::<u64>();
        held = held.exchange(COST * bytes.max(limit), &ctx.cancel)?;
        let chunk = batch.len().div_ceil(ctx.pool.current_num_threads() * 4).max(1);
        let predicted: Vec<Queries> =
            ctx.pool.install(|| batch.par_chunks(chunk).map(|part| predict(ctx, predictor, part)).collect::<Result<_>>())?;
        let mut documents = predicted.iter().flat_map(|q| (0..q.documents()).map(move |i| q.of(i)));
        let mut expected = batch.iter().peekable();
        for at in row..read {
            if expected.next_if(|d| d.row == at).is_some() {
                let queries =
                    documents.next().ok_or_else(|| Error::new(Code::Internal, "a predictor gave fewer documents than it was given"))?;
                let before = segments.len();
                for (segment, query) in queries {
                    texts.push(query)?;
                    segments.push(&[segment])?;
                }
                with_query += u64::from(segments.len() > before);
            }
            ends.push(&[segments.len()])?;
        }
        ctx.progress.advance(u64::from(read - row));
        row = read;
    }
    let queries = segments.len();
    let files = vec![
        FileRecord::new(format!("{task:05}.queries.arrow"), texts.commit()?),
        FileRecord::new(format!("{task:05}.segments"), segments.commit()?),
        FileRecord::new(format!("{task:05}.ends"), ends.commit()?),
    ];
    Ok(DoneRecord { files, counts: json!({ "documents": with_query, "queries": queries }) })
}

fn predict(ctx: &Ctx, predictor: &dyn Predictor, part: &[Owned]) -> Result<Queries> {
    let mut out = Queries::default();
    let fields: Vec<Vec<&str>> = part.iter().map(|d| d.queries.iter().map(String::as_str).collect()).collect();
    let documents: Vec<DocumentRef<'_>> =
        part.iter().zip(&fields).map(|(d, queries)| DocumentRef { id: &d.id, text: &d.text, queries }).collect();
    predictor.predict(ctx, &documents, &mut out)?;
    Ok(out)
}

/// Accepted documents from row `row` on until their texts reach `limit` bytes, and the row after the last one read.
fn read_batch(reader: &mut RowReader, status: &[u8], row: u32, limit: u64) -> Result<(Vec<Owned>, u32)> {
    let (mut batch, mut bytes, mut at) = (Vec::new(), 0u64, row);
    while bytes < limit && at - row < 1 << 16 {
        let Some(next) = reader.next()? else { break };
        if status.get(at as usize) == Some(&ACCEPTED) {
            let Content::Document(document) = &next.content else {
                let message =
                    format!("{} row {} was a document when it was ingested and is none now; the file changed", next.file, next.number);
                return Err(Error::new(Code::InputChanged, message).with("file", next.file).with("row", next.number));
            };
            bytes += document.text.len() as u64;
            batch.push(Owned {
                row: at,
                id: document.id.to_owned(),
                text: document.text.to_owned(),
                queries: document.queries.iter().map(|q| q.to_string()).collect(),
            });
        }
        at += 1;
    }
    Ok((batch, at))
}

struct QueryNames {
    texts: PathBuf,
    segments: PathBuf,
    ends: PathBuf,
}

impl QueryNames {
    fn of(directory: &Path, task: u32) -> QueryNames {
        QueryNames {
            texts: directory.join(format!("{task:05}.queries.arrow")),
            segments: directory.join(format!("{task:05}.segments")),
            ends: directory.join(format!("{task:05}.ends")),
        }
    }
}

/// The queries of a split by row. Costs 8 bytes a row; texts are read as they are asked for.
pub(crate) struct QueryFiles {
    texts: PathBuf,
    ends: Vec<u64>,
}

/// The queries of some rows.
pub(crate) struct RowQueries {
    texts: Vec<String>,
    /// Where each row's queries end.
    ends: Vec<usize>,
}

impl QueryFiles {
    pub(crate) fn open(directory: &Path, task: u32) -> Result<QueryFiles> {
        let names = QueryNames::of(directory, task);
        Ok(QueryFiles { ends: read_array(&names.ends)?, texts: names.texts })
    }

    pub(crate) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The queries of a run of rows.
    pub(crate) fn read(&self, rows: std::ops::Range<usize>) -> Result<RowQueries> {
        let end = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] as usize };
        let (start, stop) = (end(rows.start), end(rows.end));
        let mut texts = Vec::with_capacity(stop - start);
        StringTable::pick(&self.texts, &(start..stop).collect::<Vec<_>>(), |_, text| texts.push(text.to_owned()))?;
        Ok(RowQueries { texts, ends: rows.map(|row| end(row + 1) - start).collect() })
    }
}

impl RowQueries {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The queries of the `i`-th row.
    pub(crate) fn of(&self, i: usize) -> impl Iterator<Item = &str> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        self.texts[start..self.ends[i]].iter().map(String::as_str)
    }
}
