//! Extract: RAKE phrases of a split's queries, the candidates for each document's keyword.

use longweave_common::{Ctx, Result};
use longweave_index::CandidateWriter;
use longweave_storage::DoneRecord;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::predict::QueryFiles;
use crate::{RunContext, Stage};

/// Documents whose candidates are found at once.
const BATCH: usize = 4096;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ExtractCounts {
    /// Documents with a candidate.
    pub(crate) documents: u64,
    pub(crate) candidates: u64,
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let rake = run.resources.rake(run.options())?;
    let queries = QueryFiles::open(&run.directory(Stage::Predict), task)?;
    let directory = run.directory(Stage::Extract);
    let mut writer = CandidateWriter::create(&directory.join(format!("{task:05}")))?;
    let (mut documents, mut candidates) = (0u64, 0u64);
    for first in (0..queries.rows()).step_by(BATCH) {
        ctx.cancel.check()?;
        let batch = queries.read(first..(first + BATCH).min(queries.rows()))?;
        let rows: Vec<usize> = (0..batch.len()).collect();
        let chunk = rows.len().div_ceil(ctx.pool.current_num_threads() * 4).max(64);
        let found: Vec<Vec<Vec<String>>> = ctx.pool.install(|| {
            rows.par_chunks(chunk)
                .map(|rows| {
                    let mut scratch = rake.scratch();
                    rows.iter()
                        .map(|&row| {
                            longweave_keywords::candidates(&rake, &mut scratch, batch.of(row))
                        })
                        .collect()
                })
                .collect()
        });
        for phrases in found.iter().flatten() {
            documents += u64::from(!phrases.is_empty());
            candidates += phrases.len() as u64;
            writer.push(phrases.iter().map(String::as_str))?;
        }
        ctx.progress.advance(batch.len() as u64);
    }
    Ok(DoneRecord {
        files: writer.commit()?,
        counts: json!(ExtractCounts { documents, candidates }),
    })
}
