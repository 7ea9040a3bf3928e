//! Scan: counts the rows and lines of a split, so that every split knows the numbers of its first
//! row.

use std::sync::Arc;

use longweave_common::{Code, DocId, Error};
use longweave_corpus::{Before, Counted};
use longweave_tokens::split_of;

use crate::prelude::*;
use crate::spool::{SPOOL, check_split, corpus};

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScanCounts {
    pub rows: u64,
    /// Lines of JSONL, blank ones included.
    pub lines: u64,
}

pub const SCAN: Stage = Stage::new("scan", "Counting rows", ProgressUnit::Bytes, 1, &ScanStage);

struct ScanStage;

impl StageSpec for ScanStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![SPOOL]
    }

    fn identity(&self, file: &RunFile) -> Value {
        json!({ "files": file.inventory.files, "splits": file.inventory.splits })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let bytes = |&task: &u32| longweave_corpus::split_bytes(&run.file.inventory, task as usize);
        Ok(tasks.iter().map(bytes).sum())
    }

    fn bytes(&self, _run: &RunContext, _facts: &Facts) -> Result<f64> {
        Ok(0.0)
    }

    fn needs(&self, _options: &RunOptions) -> Needs {
        Needs { threads: 1, gpus: 0 }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let split = task as usize;
        let inventory = &run.file.inventory;
        check_split(run, split)?;
        let Counted { rows, lines } =
            longweave_corpus::count_rows(ctx, &corpus(run), inventory, split)?;
        (ScanCounts { rows, lines }).done(vec![])
    }
}

impl Counts for ScanCounts {
    const STAGE: Stage = SCAN;
}

/// The place of each split's rows, once all are counted.
pub fn rows(run: &RunContext) -> Result<Arc<Rows>> {
    run.shared.get(|| Rows::of(run))
}

/// Rows of some splits, as far as they are counted.
pub fn rows_in(run: &RunContext, splits: &[u32]) -> Result<u64> {
    // Records of a complete stage are read once, not one by one for each stage that asks.
    let complete = run.is_complete(SCAN)?;
    let mut rows = 0;
    for &split in splits {
        let counts = if complete {
            Some(run.counts::<ScanCounts>(split)?)
        } else {
            run.counts_if_done::<ScanCounts>(split)?
        };
        rows += counts.map_or(0, |counts| counts.rows);
    }
    Ok(rows)
}

/// The numbers of the rows of each split.
pub struct Rows {
    /// `DocId` of the first row of each split, and one more: the number of rows.
    pub first: Vec<u32>,
    before: Vec<Before>,
}

impl Rows {
    /// From the records of all scan tasks.
    ///
    /// Errors: `TOO_MANY_ROWS`, `STAGE_NOT_READY`.
    fn of(run: &RunContext) -> Result<Rows> {
        let counted = run.all_counts::<ScanCounts>()?;
        Rows::from_counts(run.file.inventory.splits.iter().map(|s| s.file).zip(counted))
    }

    /// From the file and the counts of each split.
    fn from_counts(splits: impl Iterator<Item = (u32, ScanCounts)>) -> Result<Rows> {
        let (mut first, mut before, mut total) = (vec![0u32], Vec::new(), 0u64);
        let (mut last, mut rows_of_file, mut lines_of_file) = (u32::MAX, 0, 0);
        for (file, ScanCounts { rows, lines }) in splits {
            if file != last {
                (last, rows_of_file, lines_of_file) = (file, 0, 0);
            }
            before.push(Before { rows: rows_of_file, lines: lines_of_file, corpus_rows: total });
            rows_of_file += rows;
            lines_of_file += lines;
            total += rows;
            let end = u32::try_from(total).map_err(|_| {
                let message = format!(
                    "the corpus has at least {total} rows; the most are 4294967295: divide it into \
                     several runs"
                );
                Error::new(Code::TooManyRows, message)
            })?;
            first.push(end);
        }
        Ok(Rows { first, before })
    }

    /// The numbers of a split's first row.
    pub fn before(&self, split: usize) -> Before {
        self.before[split]
    }

    /// Split and row in it of a document.
    pub fn place(&self, doc: DocId) -> (usize, u32) {
        let split = split_of(&self.first, doc);
        (split, doc.get() - self.first[split])
    }

    /// Rows of a split.
    pub fn count(&self, split: usize) -> u32 {
        self.first[split + 1] - self.first[split]
    }

    /// Rows of the corpus.
    pub fn total(&self) -> u32 {
        *self.first.last().expect("there is always the 0 of the first split")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_lines_are_numbered_over_the_corpus_and_in_each_file() {
        let splits = [(0, 3), (0, 0), (0, 2), (1, 4), (3, 1)]
            .map(|(file, rows)| (file, ScanCounts { rows, lines: 10 * rows + 1 }));
        let rows = Rows::from_counts(splits.into_iter()).unwrap();
        let before = |rows, lines, corpus_rows| Before { rows, lines, corpus_rows };
        assert_eq!(rows.first, [0, 3, 3, 5, 9, 10]);
        assert_eq!(
            rows.before,
            [before(0, 0, 0), before(3, 31, 3), before(3, 32, 3), before(0, 0, 5), before(0, 0, 9)]
        );
    }

    #[test]
    fn one_row_too_many_is_refused() {
        let most = u64::from(u32::MAX);
        let of = |first| {
            let counts = |rows| ScanCounts { rows, lines: 0 };
            Rows::from_counts([(0, counts(first)), (1, counts(1))].into_iter())
        };
        assert_eq!(of(most - 1).unwrap().total(), u32::MAX);
        assert_eq!(of(most).err().unwrap().code(), Code::TooManyRows);
    }
}
