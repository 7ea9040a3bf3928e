//! How many of the neighbours that there are a search found, on a sample of rows.

use std::sync::Arc;

use longweave_common::{Ctx, NoProgress, Result};

use crate::inverted::lowest;
use crate::query::{Lists, Query};
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

/// Compares `lists`, which `query` gave, with exact ones on `sample` rows: those with the lowest
/// draw("recall", row, 0) of the rows with a vector.
///
/// Errors: `CANCELLED`.
pub fn recall(ctx: &Ctx, query: &Query<'_>, lists: &Lists, sample: usize) -> Result<Recall> {
    let rows: Vec<u32> = (0..query.vectors.rows() as u32)
        .filter(|&row| !query.vectors.is_none(row as usize))
        .collect();
    let rows = lowest(ctx, query.seed, "recall", &rows, sample);
    let mut recall = Recall { sampled: rows.len() as u64, found: 0, expected: 0 };
    if query.k > 0 {
        let exact = exact(&ctx.with_progress(Arc::new(NoProgress)), query, &rows)?;
        for (i, &row) in rows.iter().enumerate() {
            let found: Vec<u32> = lists.get(row as usize).map(|(id, _)| id).collect();
            recall.expected += exact.get(i).count() as u64;
            recall.found += exact.get(i).filter(|(id, _)| found.contains(id)).count() as u64;
        }
    }
    Ok(recall)
}
