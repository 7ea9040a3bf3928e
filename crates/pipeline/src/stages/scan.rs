//! Scan: counts the rows of a split, so that every split knows the number of its first row.

use longweave_common::{Code, Ctx, DocId, Error, Result};
use longweave_storage::DoneRecord;
use longweave_tokens::split_of;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counts::counts;
use crate::{RunContext, Stage};

/// What a scan task leaves in its record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ScanCounts {
    pub(crate) rows: u64,
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let split = task as usize;
    let inventory = &run.file.inventory;
    run.check_split(split)?;
    let rows = longweave_corpus::count_rows(ctx, &run.corpus(), inventory, split)?;
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
    pub(crate) fn of(run: &RunContext) -> Result<Rows> {
        let counted = run
            .all_done(Stage::Scan)?
            .iter()
            .map(|record| counts::<ScanCounts>(record).map(|c| c.rows))
            .collect::<Result<Vec<_>>>()?;
        Rows::from_counts(run.file.inventory.splits.iter().map(|s| s.file).zip(counted))
    }

    /// From the file and the number of rows of each split.
    fn from_counts(splits: impl Iterator<Item = (u32, u64)>) -> Result<Rows> {
        let (mut first, mut first_in_file, mut total) = (vec![0u32], Vec::new(), 0u64);
        let (mut last, mut in_file) = (u32::MAX, 0);
        for (file, rows) in splits {
            if file != last {
                (last, in_file) = (file, 0);
            }
            first_in_file.push(in_file);
            in_file += rows;
            total += rows;
            let end = u32::try_from(total).map_err(|_| {
                let message = format!("the corpus has at least {total} rows; 4294967295 is the most: divide it into several runs");
                Error::new(Code::TooManyRows, message)
            })?;
            first.push(end);
        }
        Ok(Rows { first, first_in_file })
    }

    /// Split and row in it of a document.
    pub(crate) fn place(&self, doc: DocId) -> (usize, u32) {
        let split = split_of(&self.first, doc);
        (split, doc.get() - self.first[split])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_over_the_corpus_and_in_each_file() {
        let rows = Rows::from_counts([(0, 3), (0, 0), (0, 2), (1, 4), (3, 1)].into_iter()).unwrap();
        assert_eq!(
            (rows.first, rows.first_in_file),
            (vec![0, 3, 3, 5, 9, 10], vec![0, 3, 3, 0, 0])
        );
    }

    #[test]
    fn one_row_too_many_is_refused() {
        let most = u64::from(u32::MAX);
        assert_eq!(
            Rows::from_counts([(0, most - 1), (1, 1)].into_iter()).unwrap().total(),
            u32::MAX
        );
        assert_eq!(
            Rows::from_counts([(0, most), (1, 1)].into_iter()).err().unwrap().code(),
            Code::TooManyRows
        );
    }
}
