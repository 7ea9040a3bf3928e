//! Inverted search: rows are divided into lists around centroids, and each is compared with those
//! of the lists nearest to it only.
//!
//! Centroids are those of spherical k-means (Dhillon and Modha 2001) on a sample, in whole numbers.
//! Rows are drawn by ("centroid", row, 0), the lowest first: [`SAMPLE`] for each list are the
//! sample, and the first of them the centroids to begin with. Then, [`ROUNDS`] times or until
//! nothing moves, each row of the sample goes to the centroid of greatest similarity, ties to the
//! lowest, and each centroid becomes the unit vector of its rows' sum; one without rows, or whose
//! rows sum to nothing, stays.
//!
//! Vectors are then put in the order of their lists, so that a list is read at once, from memory or
//! from the disk. Where columns are changes nothing.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::random::{self, Key, draw};
use longweave_common::{Ctx, NoProgress, Offsets, ProgressSink, Result};
use longweave_storage::{Scalar, Stored, StoredWriter};
use rayon::prelude::*;

use crate::query::{DEFAULT_PROBES, Query, nothing};
use crate::set::{pick, read};
use crate::tile::{self, Tile, wave};
use crate::vectors::push_unit;

/// Rows of the sample for each list.
const SAMPLE: usize = 16;
const ROUNDS: usize = 4;
/// Rows of a tile at most. The larger, the more of them look into the same lists, which are then
/// read once for all of these.
const TILE: usize = 8192;
/// Rows that one thread reads or writes at once.
const BLOCK: usize = 512;
/// Blocks of each thread that are worked on at once.
const BLOCKS: usize = 32;

/// Gives the lists of all rows to `take`, in the order of rows. `k` is not 0.
pub(crate) fn nearest(
    ctx: &Ctx,
    query: &Query<'_>,
    lists: Option<u32>,
    probes: Option<u32>,
    scratch: Option<&Path>,
    take: &mut dyn FnMut(&[u64]) -> Result<()>,
) -> Result<()> {
    let Query { vectors, k, .. } = *query;
    let rows = vectors.present();
    ctx.progress.advance((vectors.rows() - rows.len()) as u64);
    if rows.is_empty() {
        return (0..vectors.rows()).try_for_each(|_| take(&nothing(k)));
    }
    let space = Space { ctx, scratch };
    let lists = lists
        .map_or_else(|| (4.0 * (rows.len() as f64).sqrt()).round() as usize, |lists| lists as usize)
        .clamp(1, rows.len());
    let probes = (probes.unwrap_or(DEFAULT_PROBES) as usize).clamp(1, lists);
    let centroids = centroids(&ctx.with_progress(Arc::new(NoProgress)), query, rows, lists)?;
    // Of a row it is compared with all centroids, then with its share of the rows.
    let compared = (probes * rows.len() / lists) as u64;
    let progress = Compared {
        rows: Arc::clone(&ctx.progress),
        of_row: lists as u64 + compared,
        done: AtomicU64::new(0),
    };
    let counted = &ctx.with_progress(Arc::new(progress));
    let mut nearest = space.column("nearest");
    let mut own = Vec::with_capacity(rows.len());
    for rows in rows.chunks(BLOCK * BLOCKS * ctx.pool.current_num_threads()) {
        let pick = |range: Range<usize>, out: &mut Vec<i16>| vectors.pick(&rows[range], out);
        let of_block = assign(counted, rows.len(), pick, vectors.dims(), &centroids, probes)?;
        own.extend(of_block.chunks(probes).map(|nearest| nearest[0]));
        nearest.push(&of_block)?;
    }
    let (divided, items) = Offsets::sort(lists, own.iter().map(|&list| list as usize).zip(0u32..));
    drop((own, centroids));
    let nearest = space.ordered("nearest_by_list", &nearest.finish()?, probes, &items)?;
    let ordered: Vec<u32> = items.iter().map(|&item| rows[item as usize]).collect();
    drop(items);
    let vectors = space.ordered("vectors_by_list", vectors.items(), vectors.dims(), &ordered)?;
    let parts = Parts { nearest, probes, vectors, lists: divided, rows: ordered, compared };
    let found = look(counted, query, &parts, space)?;
    // The place of each row among those that were searched for.
    let mut place = vec![u32::MAX; query.vectors.rows()];
    (0..).zip(&parts.rows).for_each(|(at, &row)| place[row as usize] = at);
    drop(parts);
    space.in_order(&found, k, &place, &nothing(k), take)
}

/// The folder of columns that are on disk.
#[derive(Clone, Copy)]
struct Space<'a> {
    ctx: &'a Ctx,
    scratch: Option<&'a Path>,
}

impl Space<'_> {
    /// Begins a column, of which an eighth of the memory bound is held.
    fn column<T: Scalar>(self, name: &str) -> StoredWriter<T> {
        let most = self.ctx.budget.limit() / 8 / T::WIDTH as u64;
        StoredWriter::new(most as usize, self.scratch.map(|scratch| scratch.join(name)))
    }

    /// A column of some rows of another, in their order.
    fn ordered<T: Scalar>(
        self,
        name: &str,
        items: &Stored<T>,
        width: usize,
        rows: &[u32],
    ) -> Result<Stored<T>> {
        let mut column = self.column(name);
        self.in_order(items, width, rows, &[], &mut |rows| column.push(rows))?;
        column.finish()
    }

    /// Gives some rows of a column to `take`, in their order; in place of number `u32::MAX` what
    /// there is for none.
    fn in_order<T: Scalar>(
        self,
        items: &Stored<T>,
        width: usize,
        rows: &[u32],
        none: &[T],
        take: &mut dyn FnMut(&[T]) -> Result<()>,
    ) -> Result<()> {
        let read = |rows: &[u32]| -> Result<Vec<T>> {
            let mut out = Vec::with_capacity(rows.len() * width);
            for rows in rows.chunk_by(|&a, &b| (a == u32::MAX) == (b == u32::MAX)) {
                if rows[0] == u32::MAX {
                    rows.iter().for_each(|_| out.extend_from_slice(none));
                } else {
                    pick(items, width, rows, &mut out)?;
                }
            }
            Ok(out)
        };
        for rows in rows.chunks(BLOCK * BLOCKS * self.ctx.pool.current_num_threads()) {
            self.ctx.cancel.check()?;
            let blocks: Vec<Vec<T>> = self
                .ctx
                .pool
                .install(|| rows.par_chunks(BLOCK).map(read).collect::<Result<_>>())?;
            blocks.iter().try_for_each(|block| take(block))?;
        }
        Ok(())
    }
}

/// Rows with a vector, divided into lists; all columns in the order of lists.
struct Parts {
    /// The `probes` lists nearest to each row, its own first.
    nearest: Stored<u32>,
    probes: usize,
    vectors: Stored<i16>,
    lists: Offsets,
    /// The number of each row.
    rows: Vec<u32>,
    /// Rows that one is compared with, on average.
    compared: u64,
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

/// Searches the neighbours of each row in the lists nearest to it. The result is in the order of
/// lists.
fn look(ctx: &Ctx, query: &Query<'_>, parts: &Parts, space: Space<'_>) -> Result<Stored<u64>> {
    let (k, dims, all) = (query.k, query.vectors.dims(), parts.rows.len());
    // Enough tiles for all threads; what is found does not depend on it.
    let size = (all / (8 * ctx.pool.current_num_threads())).clamp(tile::TILE, TILE);
    let of_tile = |work: &mut Work, first: usize| -> Result<Vec<u64>> {
        let Work { tile, visits, places, own, nearest, base } = work;
        let range = first..all.min(first + size);
        let rows = &parts.rows[range.clone()];
        let own = read(&parts.vectors, dims, range.clone(), own)?;
        let nearest = read(&parts.nearest, parts.probes, range, nearest)?;
        visits.clear();
        for (place, nearest) in (0u32..).zip(nearest.chunks_exact(parts.probes)) {
            visits.extend(nearest.iter().map(|&list| (list, place)));
        }
        visits.sort_unstable();
        tile.start(rows.len());
        for visits in visits.chunk_by(|a, b| a.0 == b.0) {
            places.clear();
            places.extend(visits.iter().map(|&(_, place)| place));
            let list = parts.lists.range(visits[0].0 as usize);
            let numbers = &parts.rows[list.clone()];
            // A list may be larger than memory should hold.
            for (numbers, start) in numbers.chunks(TILE).zip(list.step_by(TILE)) {
                let base = read(&parts.vectors, dims, start..start + numbers.len(), base)?;
                tile.compare(ctx, own, places, base, |place, i| {
                    Some(numbers[i]).filter(|&other| !query.apart(rows[place as usize], other))
                })?;
            }
        }
        ctx.progress.advance(rows.len() as u64 * parts.compared);
        Ok(tile.found())
    };
    let mut found = space.column("found");
    let tiles: Vec<usize> = (0..all).step_by(size).collect();
    for tiles in tiles.chunks(wave(ctx, size, k)) {
        let made = tiles
            .par_iter()
            .map_init(|| Work::new(Tile::new(dims, k, 1)), |work, &first| of_tile(work, first));
        let made: Vec<Vec<u64>> = ctx.pool.install(|| made.collect::<Result<_>>())?;
        made.iter().try_for_each(|made| found.push(made))?;
    }
    found.finish()
}

/// The buffers of a thread.
struct Work {
    tile: Tile,
    /// (list, row of the tile).
    visits: Vec<(u32, u32)>,
    places: Vec<u32>,
    own: Vec<i16>,
    nearest: Vec<u32>,
    base: Vec<i16>,
}

impl Work {
    fn new(tile: Tile) -> Work {
        Work {
            tile,
            visits: Vec::new(),
            places: Vec::new(),
            own: Vec::new(),
            nearest: Vec::new(),
            base: Vec::new(),
        }
    }
}

/// The centroids of that many lists, row-major.
fn centroids(ctx: &Ctx, query: &Query<'_>, rows: &[u32], lists: usize) -> Result<Vec<i16>> {
    let size = rows.len().min(lists.saturating_mul(SAMPLE));
    let sample = lowest(ctx, query.seed, "centroid", rows, size);
    let (dims, mut sampled) = (query.vectors.dims(), Vec::new());
    query.vectors.pick(&sample, &mut sampled)?;
    let mut centroids = sampled[..lists * dims].to_vec();
    let mut before = Vec::new();
    for _ in 0..ROUNDS {
        let pick = |range: Range<usize>, out: &mut Vec<i16>| {
            out.extend_from_slice(&sampled[range.start * dims..range.end * dims]);
            Ok(())
        };
        let nearest = assign(ctx, sample.len(), pick, dims, &centroids, 1)?;

        if nearest == before {
            break;
        }
        let own = nearest.iter().map(|&list| list as usize);
        let (divided, items) = Offsets::sort(lists, own.zip(0u32..));
        let moved: Vec<Option<Vec<i16>>> = ctx.pool.install(|| {
            (0..lists)
                .into_par_iter()
                .map(|list| {
                    let mut sum = vec![0i64; dims];
                    for &i in &items[divided.range(list)] {
                        let row = &sampled[i as usize * dims..][..dims];
                        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += i64::from(x));
                    }
                    let mut unit = Vec::with_capacity(sum.len());
                    push_unit(sum.iter().map(|&x| x as f64), &mut unit);
                    unit.iter().any(|&x| x != 0).then_some(unit)
                })
                .collect()
        });
        for (centroid, moved) in centroids.chunks_exact_mut(dims).zip(moved) {
            if let Some(moved) = moved {
                centroid.copy_from_slice(&moved);
            }
        }
        before = nearest;
    }
    Ok(centroids)
}

/// The `number` of `rows` with the lowest draws for this purpose, lowest first; equal ones by
/// number.
pub(crate) fn lowest(ctx: &Ctx, seed: u64, purpose: &str, rows: &[u32], number: usize) -> Vec<u32> {
    let drawn = ctx.pool.install(|| {
        rows.par_iter().map(|&row| (draw(seed, purpose, Key(u128::from(row)), 0), row)).collect()
    });
    random::lowest(drawn, number)
}

/// For each of some rows, which `pick` appends, the `number` centroids of greatest similarity, ties
/// to the lowest; the nearest first.
fn assign(
    ctx: &Ctx,
    rows: usize,
    pick: impl Fn(Range<usize>, &mut Vec<i16>) -> Result<()> + Sync,
    dims: usize,
    centroids: &[i16],
    number: usize,
) -> Result<Vec<u32>> {
    let places: Vec<u32> = (0..tile::TILE as u32).collect();
    let of_tile = |(tile, own): &mut (Tile, Vec<i16>), first: usize| -> Result<Vec<u32>> {
        let range = first..rows.min(first + tile::TILE);
        let all = range.len();
        own.clear();
        pick(range, own)?;
        tile.start(all);
        tile.compare(ctx, own, &places[..all], centroids, |_, i| Some(i as u32))?;
        ctx.progress.advance((all * (centroids.len() / dims)) as u64);
        Ok(tile.numbers())
    };
    let tiles = (0..rows.div_ceil(tile::TILE)).into_par_iter().map_init(
        || (Tile::new(dims, number, i32::MIN), Vec::new()),
        |work, tile| of_tile(work, tile * tile::TILE),
    );
    let made: Vec<Vec<u32>> = ctx.pool.install(|| tiles.collect::<Result<_>>())?;
    Ok(made.concat())
}
