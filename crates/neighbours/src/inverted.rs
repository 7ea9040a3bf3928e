//! Inverted search: rows are divided into lists around centroids, and each is compared with those
//! of the lists nearest to it only.
//!
//! Centroids are those of spherical k-means (Dhillon and Modha 2001) on a sample, in whole numbers.
//! Rows are drawn by ("centroid", row, 0), the lowest first: [`SAMPLE`] for each list are the
//! sample, and the first of them the centroids to begin with. Then, [`ROUNDS`] times or until
//! nothing moves, each row of the sample goes to the centroid of greatest similarity, ties to the
//! lowest, and each centroid becomes the unit vector of its rows' sum; one without rows, or whose
//! rows sum to nothing, stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::random::{self, Key, draw};
use longweave_common::{Ctx, NoProgress, Offsets, ProgressSink, Result};
use rayon::prelude::*;

use crate::Vectors;
use crate::query::{DEFAULT_PROBES, Lists, Query};
use crate::tile::{self, Rows, Tile};
use crate::vectors::push_unit;

/// Rows of the sample for each list.
const SAMPLE: usize = 16;
const ROUNDS: usize = 4;
/// Rows of a tile at most. The larger, the more of them look into the same lists, which are then
/// read once for all of these.
const TILE: usize = 2048;

/// The lists of all rows. `k` is not 0.
pub(crate) fn nearest(
    ctx: &Ctx,
    query: &Query<'_>,
    lists: Option<u32>,
    probes: Option<u32>,
) -> Result<Lists> {
    let mut found = Lists::empty(query.vectors.rows(), query.k);
    let (rows, without): (Vec<u32>, Vec<u32>) =
        (0..query.vectors.rows() as u32).partition(|&row| !query.vectors.is_none(row as usize));
    ctx.progress.advance(without.len() as u64);
    if rows.is_empty() {
        return Ok(found);
    }
    let lists = lists
        .map_or_else(|| (4.0 * (rows.len() as f64).sqrt()).round() as usize, |lists| lists as usize)
        .clamp(1, rows.len());
    let probes = (probes.unwrap_or(DEFAULT_PROBES) as usize).clamp(1, lists);
    let centroids = centroids(&ctx.with_progress(Arc::new(NoProgress)), query, &rows, lists)?;
    // Of a row it is compared with all centroids, then with its share of the rows.
    let compared = (probes * rows.len() / lists) as u64;
    let progress = Compared {
        rows: Arc::clone(&ctx.progress),
        of_row: lists as u64 + compared,
        done: AtomicU64::new(0),
    };
    let ctx = &ctx.with_progress(Arc::new(progress));
    let nearest = assign(ctx, Rows { vectors: query.vectors, numbers: &rows }, &centroids, probes)?;
    let own_lists = nearest.chunks(probes).map(|nearest| nearest[0] as usize);
    let (divided, items) = Offsets::sort(lists, own_lists.zip(0u32..));
    let mut ordered: Vec<u32> = items.iter().map(|&item| rows[item as usize]).collect();
    look(
        ctx,
        query,
        &Parts {
            nearest: &nearest,
            probes,
            lists: &divided,
            items: &items,
            ordered: &ordered,
            compared,
        },
        &mut found,
    )?;
    ordered.extend(without);
    restore(&mut ordered, query.k, &mut found);
    Ok(found)
}

/// Rows with a vector, divided into lists.
struct Parts<'a> {
    /// For each row, as an item, the `probes` lists nearest to it, its own first.
    nearest: &'a [u32],
    probes: usize,
    /// Rows by list, as items and as numbers.
    lists: &'a Offsets,
    items: &'a [u32],
    ordered: &'a [u32],
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

/// Searches the neighbours of each row in the lists nearest to it; the results in `found` are in
/// the order of `ordered`.
fn look(ctx: &Ctx, query: &Query<'_>, parts: &Parts<'_>, found: &mut Lists) -> Result<()> {
    let Query { vectors, k, .. } = *query;
    // Enough tiles for all threads; what is found does not depend on it.
    let size = (parts.ordered.len() / (8 * ctx.pool.current_num_threads())).clamp(tile::TILE, TILE);
    let places =
        found.ids.par_chunks_mut(size * k).zip(found.similarities.par_chunks_mut(size * k));
    let tiles = parts.ordered.par_chunks(size).zip(parts.items.par_chunks(size)).zip(places);
    ctx.pool.install(|| {
        tiles.try_for_each_init(
            || (Tile::new(vectors.dims(), k, 1), Vec::new(), Vec::new()),
            |(tile, visits, places), ((numbers, items), (ids, similarities))| {
                visits.clear();
                for (place, &item) in (0u32..).zip(items) {
                    visits.extend(
                        parts.nearest[item as usize * parts.probes..][..parts.probes]
                            .iter()
                            .map(|&list| (list, place)),
                    );
                }
                visits.sort_unstable();
                tile.start(numbers.len());
                for visits in visits.chunk_by(|a, b| a.0 == b.0) {
                    places.clear();
                    places.extend(visits.iter().map(|&(_, place)| place));
                    let list = Rows {
                        vectors,
                        numbers: &parts.ordered[parts.lists.range(visits[0].0 as usize)],
                    };
                    tile.compare(ctx, Rows { vectors, numbers }, places, list, |row, other| {
                        query.apart(row, other)
                    })?;
                }
                tile.write(ids, similarities);
                ctx.progress.advance(numbers.len() as u64 * parts.compared);
                Ok(())
            },
        )
    })
}

/// The centroids of `lists` lists, by k-means on a sample of `rows`.
fn centroids(ctx: &Ctx, query: &Query<'_>, rows: &[u32], lists: usize) -> Result<Vectors> {
    let size = rows.len().min(lists.saturating_mul(SAMPLE));
    let sample = lowest(ctx, query.seed, "centroid", rows, size);
    let mut centroids = Vectors::with_capacity(query.vectors.dims(), lists);
    sample[..lists].iter().for_each(|&row| centroids.push_fixed(query.vectors.row(row as usize)));
    let mut before = Vec::new();
    for _ in 0..ROUNDS {
        let nearest =
            assign(ctx, Rows { vectors: query.vectors, numbers: &sample }, &centroids, 1)?;
        if nearest == before {
            break;
        }
        let own = nearest.iter().map(|&list| list as usize);
        let (divided, items) = Offsets::sort(lists, own.zip(0u32..));
        let moved: Vec<Option<Vec<i16>>> = ctx.pool.install(|| {
            (0..lists)
                .into_par_iter()
                .map(|list| {
                    let mut sum = vec![0i64; centroids.dims()];
                    for &i in &items[divided.range(list)] {
                        let row = query.vectors.row(sample[i as usize] as usize);
                        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += i64::from(x));
                    }
                    let mut unit = Vec::with_capacity(sum.len());
                    push_unit(sum.iter().map(|&x| x as f64), &mut unit);
                    unit.iter().any(|&x| x != 0).then_some(unit)
                })
                .collect()
        });
        let mut next = Vectors::with_capacity(centroids.dims(), lists);
        for (list, moved) in moved.iter().enumerate() {
            next.push_fixed(moved.as_deref().unwrap_or(centroids.row(list)));
        }
        (centroids, before) = (next, nearest);
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

/// For each row the `number` centroids of greatest similarity, ties to the lowest; the nearest
/// first.
fn assign(ctx: &Ctx, rows: Rows<'_>, centroids: &Vectors, number: usize) -> Result<Vec<u32>> {
    let all: Vec<u32> = (0..centroids.rows().max(tile::TILE) as u32).collect();
    let base = Rows { vectors: centroids, numbers: &all[..centroids.rows()] };
    let mut nearest = vec![0; rows.numbers.len() * number];
    ctx.pool.install(|| {
        rows.numbers
            .par_chunks(tile::TILE)
            .zip(nearest.par_chunks_mut(tile::TILE * number))
            .try_for_each_init(
                || Tile::new(centroids.dims(), number, i32::MIN),
                |tile, (numbers, nearest)| {
                    tile.start(numbers.len());
                    tile.compare(
                        ctx,
                        Rows { numbers, ..rows },
                        &all[..numbers.len()],
                        base,
                        |_, _| false,
                    )?;
                    tile.write_numbers(nearest);
                    ctx.progress.advance((numbers.len() * centroids.rows()) as u64);
                    Ok(())
                },
            )
    })?;
    Ok(nearest)
}

/// Permutes the lists in place from the order of `rows`, each of which comes once, to the order of
/// their numbers.
fn restore(rows: &mut [u32], k: usize, lists: &mut Lists) {
    for i in 0..rows.len() {
        while rows[i] as usize != i {
            let to = rows[i] as usize;
            swap(&mut lists.ids, i, to, k);
            swap(&mut lists.similarities, i, to, k);
            rows.swap(i, to);
        }
    }
}

/// Exchanges the `k` places of two rows.
fn swap<T>(places: &mut [T], a: usize, b: usize, k: usize) {
    let (low, high) = places.split_at_mut(a.max(b) * k);
    low[a.min(b) * k..][..k].swap_with_slice(&mut high[..k]);
}
