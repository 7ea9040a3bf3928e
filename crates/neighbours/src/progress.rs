//! Progress of a search: work is counted in comparisons, and reported in rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{Ctx, ProgressSink};

/// Progress in comparisons becomes progress in rows, each of which is compared so often.
pub fn counted_in_rows(ctx: &Ctx, comparisons: u64) -> Ctx {
    ctx.with_progress(Arc::new(Compared {
        rows: Arc::clone(&ctx.progress),
        of_row: comparisons.max(1),
        done: AtomicU64::new(0),
    }))
}

/// Counts comparisons and reports progress in rows.
struct Compared {
    rows: Arc<dyn ProgressSink>,
    of_row: u64,
    done: AtomicU64,
}

impl ProgressSink for Compared {
    fn advance(&self, comparisons: u64) {
        let before = self.done.fetch_add(comparisons, Ordering::Relaxed);
        self.rows.advance((before + comparisons) / self.of_row - before / self.of_row);
    }
}
