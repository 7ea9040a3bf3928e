//! The lists of nearest neighbours: vectors in, for each row the most similar others out.

use longweave_common::{Code, Ctx, Error, Result};
use rayon::prelude::*;

use crate::inverted;
use crate::query::{Lists, Query, Search};
use crate::tile::{Rows, TILE, Tile};

/// For each row the `k` others of greatest similarity above 0, falling, ties to the lower number;
/// with [`Search::Inverted`], of those that it is compared with.
///
/// A row without a vector has no neighbours and is not a neighbour. Memory in addition to the
/// lists: [`Search::Exact`] almost none; for [`Search::Inverted`] 16 + 4 · probes bytes a row, 32
/// kB · k a thread, and the centroids. Progress is counted in rows.
///
/// Errors: `CANCELLED`; `PLAN_TOO_LARGE` for more than 2³²−1 rows.
pub fn nearest(ctx: &Ctx, query: &Query<'_>) -> Result<Lists> {
    let rows = query.vectors.rows();
    if rows > u32::MAX as usize {
        let message = format!(
            "{rows} vectors are more than 2³²−1; plan a part of the corpus, or cut documents into \
             larger chunks"
        );
        return Err(Error::new(Code::PlanTooLarge, message).with("found", rows));
    }
    assert!(
        query.owners.is_none_or(|owners| owners.len() == rows),
        "each row has an owner, or none has"
    );
    if query.k == 0 {
        ctx.progress.advance(rows as u64);
        return Ok(Lists::empty(rows, 0));
    }
    match query.search {
        Search::Exact => exact(ctx, query, &(0..rows as u32).collect::<Vec<_>>()),
        Search::Inverted { lists, probes } => inverted::nearest(ctx, query, lists, probes),
    }
}

/// The exact lists of some rows, in their order. `k` is not 0.
pub(crate) fn exact(ctx: &Ctx, query: &Query<'_>, rows: &[u32]) -> Result<Lists> {
    let mut lists = Lists::empty(rows.len(), query.k);
    let all: Vec<u32> = (0..query.vectors.rows() as u32).collect();
    let base = Rows { vectors: query.vectors, numbers: &all };
    let places = lists
        .ids
        .par_chunks_mut(TILE * query.k)
        .zip(lists.similarities.par_chunks_mut(TILE * query.k));
    ctx.pool.install(|| {
        rows.par_chunks(TILE).zip(places).try_for_each_init(
            || Tile::new(query.vectors.dims(), query.k, 1),
            |tile, (numbers, (ids, similarities))| {
                tile.start(numbers.len());
                let rows = Rows { vectors: query.vectors, numbers };
                tile.compare(ctx, rows, &all[..numbers.len()], base, |row, id| {
                    query.apart(row, id)
                })?;
                tile.write(ids, similarities);
                ctx.progress.advance(numbers.len() as u64);
                Ok(())
            },
        )
    })?;
    Ok(lists)
}
