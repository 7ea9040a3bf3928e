//! Scan: counts the rows of a split, so that every split knows the number of its first row.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_storage::DoneRecord;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counts::counts;
use crate::{Job, Stage};

/// What a scan task leaves in its record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ScanCounts {
    pub(crate) rows: u64,
}

pub(crate) fn run(ctx: &Ctx, job: &Job, task: u32) -> Result<DoneRecord> {
    let split = task as usize;
    let inventory = &job.file.inventory;
    longweave_corpus::check_unchanged(inventory, split)?;
    let rows = longweave_corpus::count_rows(ctx, &job.corpus(), inventory, split)?;
    Ok(DoneRecord { files: vec![], counts: json!(ScanCounts { rows }) })
}

/// Where the rows of each split stand.
pub(crate) struct Rows {
    /// `DocId` of the first row of each split, and one more: the number of rows.
    pub(crate) first: Vec<u32>,
    /// Number in its file of the first row of each split.
    pub(crate) first_in_file: Vec<u64>,
}

impl Rows {
    /// From the records of all scan tasks.
    ///
    /// Errors: `TOO_MANY_ROWS`, `STAGE_NOT_READY`.
    pub(crate) fn of(job: &Job) -> Result<Rows> {
        let (mut first, mut first_in_file, mut total) = (vec![0u32], Vec::new(), 0u64);
        let (mut file, mut in_file) = (u32::MAX, 0);
        for (split, record) in job.file.inventory.splits.iter().zip(job.all_done(Stage::Scan)?) {
            let ScanCounts { rows } = counts(record)?;
            if split.file != file {
                (file, in_file) = (split.file, 0);
            }
            first_in_file.push(in_file);
            in_file += rows;
            total += rows;
            let end = u32::try_from(total).ok().filter(|&n| n < u32::MAX).ok_or_else(|| {
                Error::new(
                    Code::TooManyRows,
                    format!("the corpus has at least {total} rows; 4294967295 is the most: divide it into several runs"),
                )
            })?;
            first.push(end);
        }
        Ok(Rows { first, first_in_file })
    }

    /// Rows of a split.
    pub(crate) fn count(&self, split: usize) -> u32 {
        self.first[split + 1] - self.first[split]
    }

    /// Rows of the corpus.
    pub(crate) fn total(&self) -> u32 {
        *self.first.last().expect("there is always the 0 of the first split")
    }
}
