//! Some rows of a table of texts on disk: ids of documents, phrases of keywords. Nothing is held of
//! the rows that are not asked for.

use std::path::Path;

use longweave_common::{Ctx, Offsets, Result};
use longweave_storage::StringTable;
use rayon::prelude::*;

/// Texts by their rows.
#[derive(Default)]
pub(crate) struct Names {
    rows: Vec<usize>,
    text: String,
    ends: Offsets,
}

impl Names {
    /// Reads `rows` of the table at `path`; a row may be named several times.
    ///
    /// Errors: `FILE_CORRUPT`, also for a row beyond the end.
    pub(crate) fn of(ctx: &Ctx, path: &Path, rows: impl Iterator<Item = usize>) -> Result<Names> {
        let mut rows: Vec<usize> = rows.collect();
        ctx.pool.install(|| rows.par_sort_unstable());
        rows.dedup();
        let (mut text, mut ends) = (String::new(), Offsets::with_capacity(rows.len()));
        if !rows.is_empty() {
            StringTable::pick(path, &rows, |_, name| {
                text.push_str(name);
                ends.push(text.len());
            })?;
        }
        Ok(Names { rows, text, ends })
    }

    /// The text of a row that was asked for; panics for another.
    pub(crate) fn get(&self, row: usize) -> &str {
        let place = self.rows.binary_search(&row).expect("only named rows are asked for");
        &self.text[self.ends.range(place)]
    }
}
