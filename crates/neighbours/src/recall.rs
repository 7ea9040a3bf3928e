//! How many of the neighbours that there are a search found, on a sample of rows.

use std::sync::Arc;

use longweave_common::{Ctx, NoProgress, Result};

use crate::inverted::lowest;
use crate::query::{Lists, NONE, Query, unpacked};
use crate::search::exact;

/// The part of the exact lists of some rows that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Rows looked at.
    pub sampled: u64,
    /// Neighbours in both lists.
    pub found: u64,
    /// Neighbours in the exact lists.
    pub expected: u64,
}

/// Compares `lists`, which `query` gave, with exact ones on `sample` rows.
///
/// Errors: `CANCELLED`, and those of reading.
pub fn recall(ctx: &Ctx, query: &Query<'_>, lists: &Lists, sample: usize) -> Result<Recall> {
    let mut sample = RecallSample::new(ctx, query, sample);
    sample.take(&lists.ids);
    sample.finish(ctx, query)
}

/// The lists that a search gave some of the rows.
pub struct RecallSample {
    k: usize,
    /// Rising.
    rows: Vec<u32>,
    /// Their lists, as far as they were taken.
    ids: Vec<u32>,
    /// Rows that were taken.
    taken: usize,
}

impl RecallSample {
    /// For `sample` rows: those with the lowest draw("recall", row, 0) of the rows with a vector.
    pub fn new(ctx: &Ctx, query: &Query<'_>, sample: usize) -> RecallSample {
        let mut rows = lowest(ctx, query.seed, "recall", query.vectors.present(), sample);
        rows.sort_unstable();
        RecallSample { k: query.k, rows, ids: Vec::new(), taken: 0 }
    }

    /// Takes the lists of the next rows, in `k` places a row.
    pub fn take(&mut self, ids: &[u32]) {
        let Some(lists) = ids.len().checked_div(self.k) else { return };
        while let Some(&row) = self.rows.get(self.ids.len() / self.k)
            && (row as usize) < self.taken + lists
        {
            let place = (row as usize - self.taken) * self.k;
            self.ids.extend_from_slice(&ids[place..][..self.k]);
        }
        self.taken += lists;
    }

    /// Compares the lists, which `query` gave, with exact ones.
    ///
    /// Errors: `CANCELLED`, and those of reading.
    pub fn finish(self, ctx: &Ctx, query: &Query<'_>) -> Result<Recall> {
        let mut recall = Recall { sampled: self.rows.len() as u64, found: 0, expected: 0 };
        if self.k > 0 {
            let mut lists = self.ids.chunks_exact(self.k);
            exact(&ctx.with_progress(Arc::new(NoProgress)), query, &self.rows, |exact| {
                for (exact, found) in exact.chunks_exact(self.k).zip(&mut lists) {
                    let exact = exact.iter().filter(|&&place| place != NONE);
                    recall.expected += exact.clone().count() as u64;
                    recall.found +=
                        exact.filter(|&&place| found.contains(&unpacked(place).0)).count() as u64;
                }
                Ok(())
            })?;
        }
        Ok(recall)
    }
}
