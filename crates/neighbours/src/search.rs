//! The lists of nearest neighbours: vectors in, for each row the most similar others out.

use std::ops::Range;
use std::path::Path;

use longweave_common::{Ctx, Result};
use rayon::prelude::*;

use crate::divided::Divided;
use crate::inverted::{self, TILES};
use crate::progress::counted_in_rows;
use crate::query::{Lists, Query, Search, unpacked};
use crate::tile::{TILE, Tile, wave};

/// Rows with which a tile is compared at once.
const BLOCK: usize = 1024;

/// For each row the `k` others of greatest similarity above 0, falling, ties to the lower number;
/// with [`Search::Inverted`], of those that it is compared with.
///
/// A row without a vector has no neighbours and is not a neighbour. Memory: as
/// [`nearest_in_order`] without `scratch`, and the lists. Progress is counted in rows.
///
/// Errors: `CANCELLED`.
pub fn nearest(ctx: &Ctx, query: &Query<'_>) -> Result<Lists> {
    let mut lists = Lists { k: query.k, ids: Vec::new(), similarities: Vec::new() };
    nearest_in_order(ctx, query, None, |ids, similarities| {
        lists.ids.extend_from_slice(ids);
        lists.similarities.extend_from_slice(similarities);
        Ok(())
    })?;
    Ok(lists)
}

/// Gives the lists that [`nearest`] gives to `take`, some rows' at a time, in the order of rows:
/// numbers and similarities, in `k` places a row.
///
/// Memory, in addition to the vectors that are held: 12 bytes a row, 128 kB · k a thread, and of
/// [`Search::Inverted`] the centroids and up to four columns: the vectors, 4 · probes bytes a row,
/// and 8 · k bytes a row. With the folder `scratch`, a column larger than an eighth of the memory
/// bound is on disk.
///
/// Errors: `CANCELLED`, those of reading and writing, and those of `take`.
pub fn nearest_in_order(
    ctx: &Ctx,
    query: &Query<'_>,
    scratch: Option<&Path>,
    mut take: impl FnMut(&[u32], &[i32]) -> Result<()> + Send,
) -> Result<()> {
    let rows = query.vectors.rows();
    assert!(
        query.owners.is_none_or(|owners| owners.len() == rows),
        "each row has an owner, or none has"
    );
    if query.k == 0 {
        ctx.progress.advance(rows as u64);
        return Ok(());
    }
    let mut take = |found: &[u64]| {
        let (ids, similarities) = columns(found);
        take(&ids, &similarities)
    };
    match query.search {
        Search::Exact => exact(ctx, query, &(0..rows as u32).collect::<Vec<_>>(), take),
        Search::Inverted { lists, probes } => {
            inverted::nearest(ctx, query, lists, probes, scratch, &mut take)
        }
    }
}

/// Gives the exact lists of consecutive rows to `take`, in their order, as [`nearest_in_order`]
/// gives those of all. Progress is counted in rows.
///
/// Errors: as [`nearest_in_order`].
pub fn nearest_of_rows(
    ctx: &Ctx,
    query: &Query<'_>,
    rows: Range<u32>,
    mut take: impl FnMut(&[u32], &[i32]) -> Result<()>,
) -> Result<()> {
    exact(ctx, query, &rows.collect::<Vec<_>>(), |found| {
        let (ids, similarities) = columns(found);
        take(&ids, &similarities)
    })
}

/// Gives the lists of the rows of some inverted `lists` to `take`, some rows' at a time: their
/// numbers, and `k` (at least 1) places of numbers and similarities each. Rows come in the order of
/// lists. Progress is counted in rows. `searches` such searches run side by side. Memory is
/// reserved: an eighth of the bound for what is found, or a tile a thread; and a quarter of it for
/// tiles, or 1.6 MB a thread.
///
/// Errors: `CANCELLED`; `FILE_CORRUPT` for a list that differs from its checksum; those of reading,
/// and those of `take`.
pub fn nearest_of_lists(
    ctx: &Ctx,
    divided: &Divided,
    lists: Range<usize>,
    k: usize,
    searches: usize,
    mut take: impl FnMut(&[u32], &[u32], &[i32]) -> Result<()>,
) -> Result<()> {
    let ctx = &counted_in_rows(ctx, divided.compared());
    let tiles = (TILES * ctx.pool.current_num_threads()).div_ceil(searches.max(1)).max(2);
    inverted::nearest_of_lists(ctx, divided, lists, k, tiles, |rows, found| {
        let (ids, similarities) = columns(found);
        take(rows, &ids, &similarities)
    })
}

/// Numbers and similarities of packed neighbours.
fn columns(found: &[u64]) -> (Vec<u32>, Vec<i32>) {
    found.iter().map(|&found| unpacked(found)).unzip()
}

/// Gives the exact lists of some rows to `take`, in their order. `k` is not 0.
pub(crate) fn exact(
    ctx: &Ctx,
    query: &Query<'_>,
    rows: &[u32],
    mut take: impl FnMut(&[u64]) -> Result<()>,
) -> Result<()> {
    let Query { vectors, k, .. } = *query;
    let places: Vec<u32> = (0..TILE as u32).collect();
    let of_tile = |tile: &mut Tile, rows: &[u32]| -> Result<Vec<u64>> {
        let (mut own, mut buffer) = (Vec::new(), Vec::new());
        vectors.pick(rows, &mut own)?;
        tile.start(rows.len());
        for start in (0..vectors.rows()).step_by(BLOCK) {
            let base = vectors.read(start..vectors.rows().min(start + BLOCK), &mut buffer)?;
            tile.compare(ctx, &own, &places[..rows.len()], base, |place, i| {
                let other = (start + i) as u32;
                Some(other).filter(|&other| !query.apart(rows[place as usize], other))
            })?;
        }
        ctx.progress.advance(rows.len() as u64);
        Ok(tile.found())
    };
    for rows in rows.chunks(TILE * wave(ctx, TILE, k)) {
        let tiles = rows.par_chunks(TILE);
        let tiles = tiles.map_init(|| Tile::new(vectors.dims(), k, 1), of_tile);
        let made: Vec<Vec<u64>> = ctx.pool.install(|| tiles.collect::<Result<_>>())?;
        made.iter().try_for_each(|found| take(found))?;
    }
    Ok(())
}
