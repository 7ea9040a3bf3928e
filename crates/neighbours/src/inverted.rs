//! Inverted search: rows are divided into lists around centroids, and each is compared with those
//! of the lists nearest to it only.

use std::iter::Peekable;
use std::ops::Range;
use std::path::Path;

use longweave_common::{Ctx, Result};
use rayon::prelude::*;

use crate::centroids::Centroids;
use crate::divided::{Check, Column, Divided, Division, Part, Run, Space, cut, in_order};
use crate::progress::counted_in_rows;
use crate::query::{DEFAULT_PROBES, Query, nothing};
use crate::set::pick;
use crate::tile::{self, Tile, wave};

/// Rows of a tile at most. The larger, the more of them look into the same lists, which are then
/// read once for all of these.
const TILE: usize = 32768;
/// Rows of a tile, however little memory there is.
const LEAST: usize = 1024;
/// Tiles for each thread where one search is all there is: they take unequally long.
pub(crate) const TILES: usize = 8;

/// Lists that a row is compared with, of all `lists`.
pub fn probes(probes: Option<u32>, lists: usize) -> usize {
    (probes.unwrap_or(DEFAULT_PROBES) as usize).clamp(1, lists.max(1))
}

/// Gives the lists of all rows to `take`, in the order of rows. `k` is not 0.
pub(crate) fn nearest(
    ctx: &Ctx,
    query: &Query<'_>,
    lists: Option<u32>,
    asked: Option<u32>,
    scratch: Option<&Path>,
    take: &mut (dyn FnMut(&[u64]) -> Result<()> + Send),
) -> Result<()> {
    let Query { vectors: set, k, .. } = *query;
    let present = set.present().len();
    ctx.progress.advance((set.rows() - present) as u64);
    if present == 0 {
        return (0..set.rows()).try_for_each(|_| take(&nothing(k)));
    }
    let centroids = Centroids::fit(ctx, set, lists, query.seed)?;
    let probes = probes(asked, centroids.lists());
    // Of a row it is compared with all centroids, then with its share of the rows.
    let compared = (probes * present / centroids.lists()) as u64;
    let counted = &counted_in_rows(ctx, centroids.lists() as u64 + compared);
    let space = Space { ctx: counted, scratch };
    let division = Division::of(counted, set, &centroids, probes, scratch)?;
    drop(centroids);
    let (mut rows, mut nearest, mut vectors) = (
        space.column("rows_by_list"),
        space.column("nearest_by_list"),
        space.column("vectors_by_list"),
    );
    for some in division.rows().chunks(TILE) {
        let with_owner = |&row: &u32| [row, query.owner(row)];
        rows.push(&some.iter().flat_map(with_owner).collect::<Vec<u32>>())?;
    }
    division.nearest(&mut |rows| nearest.push(rows))?;
    division.vectors(&mut |rows| vectors.push(rows))?;
    let lists = division.lists().clone();
    drop(division);
    let part = Part::held(lists, rows.finish()?, nearest.finish()?, vectors.finish()?);
    let divided = Divided::new(vec![part], set.dims(), probes);
    let mut found = space.column("found");
    // The place of each row among those that were searched for.
    let (mut place, mut at) = (vec![u32::MAX; set.rows()], 0);
    let tiles = TILES * ctx.pool.current_num_threads();
    nearest_of_lists(counted, &divided, 0..divided.lists(), k, tiles, |rows, neighbours| {
        for &row in rows {
            place[row as usize] = at;
            at += 1;
        }
        found.push(neighbours)
    })?;
    drop(divided);
    let found = found.finish()?;
    in_order(ctx, |rows, out| pick(&found, k, rows, out), k, &place, &nothing(k), take)
}

/// Searches the neighbours of the rows of `lists`, each in the lists nearest to it. `take` is given
/// the numbers of some rows, in the order of lists, and `k` packed places for each. Progress is
/// counted in comparisons. There are at least `tiles` parts of the work, on which threads work side
/// by side, unless these would be small.
pub(crate) fn nearest_of_lists(
    ctx: &Ctx,
    divided: &Divided,
    lists: Range<usize>,
    k: usize,
    tiles: usize,
    mut take: impl FnMut(&[u32], &[u64]) -> Result<()>,
) -> Result<()> {
    divided.check_nearest(ctx, lists.clone())?;
    let rows = divided.rows_of(lists.clone()) as usize;
    // Of a row: its vector and one that it is compared with, the lists that it looks into, and
    // twice its best.
    let row = 4 * divided.dims + 12 * divided.probes + 16 * k;
    let threads = ctx.pool.current_num_threads();
    let most = ctx.budget.limit() as usize / 4 / threads / row;
    // The result does not depend on it.
    let size = (rows / tiles).clamp(tile::TILE, most.clamp(LEAST, TILE));
    let tiles = cut_tiles(lists.flat_map(|list| divided.runs(list)), size);
    let of_tile = |work: &mut Work, runs: &[Run]| -> Result<(Vec<u32>, Vec<u64>)> {
        let Work { tile, visits, places, rows, own, nearest, base_runs, base_rows, base } = work;
        let rows = divided.numbers(runs, rows)?;
        let own = divided.vectors(runs, own)?;
        let nearest = divided.nearest(runs, nearest)?;
        visits.clear();
        for (place, nearest) in (0u32..).zip(nearest.chunks_exact(divided.probes)) {
            visits.extend(nearest.iter().map(|&list| (list, place)));
        }
        visits.sort_unstable();
        tile.start(rows.len() / 2);
        for visits in visits.chunk_by(|a, b| a.0 == b.0) {
            places.clear();
            places.extend(visits.iter().map(|&(_, place)| place));
            // A list may be larger than memory should hold, and have a few rows of many parts.
            let runs = divided.runs(visits[0].0 as usize).flat_map(|run| cut(run, size));
            let mut runs = runs.peekable();
            let (mut row_check, mut check) = (Check::default(), Check::default());
            while next(&mut runs, size, base_runs) {
                let numbers = divided.numbers(base_runs, base_rows)?;
                let vectors = divided.vectors(base_runs, base)?;
                let mut at = 0;
                for run in &*base_runs {
                    let range = at..at + run.rows.len();
                    at = range.end;
                    let numbers = &numbers[range.start * 2..range.end * 2];
                    row_check.take(divided, run, Column::Rows, numbers)?;
                    let vectors = &vectors[range.start * divided.dims..range.end * divided.dims];
                    check.take(divided, run, Column::Vectors, vectors)?;
                }
                tile.compare(ctx, own, places, vectors, |place, i| {
                    let (owner, other) = (rows[place as usize * 2 + 1], &numbers[i * 2..i * 2 + 2]);
                    Some(other[0]).filter(|_| other[1] != owner)
                })?;
            }
        }
        ctx.progress.advance(rows.len() as u64 / 2 * divided.compared());
        Ok((rows.chunks_exact(2).map(|row| row[0]).collect(), tile.found()))
    };
    let wave = wave(ctx, size, k);
    let found = wave.min(tiles.len()) * size * k * size_of::<u64>();
    let bytes = (found + threads.min(tiles.len()) * size * row) as u64;
    let _held = ctx.budget.reserve(bytes.min(ctx.budget.limit()), &ctx.cancel)?;
    for tiles in tiles.chunks(wave) {
        let made = tiles.par_iter().map_init(
            || Work::new(Tile::new(divided.dims, k, 1)),
            |work, runs| of_tile(work, runs),
        );
        let made: Vec<(Vec<u32>, Vec<u64>)> = ctx.pool.install(|| made.collect::<Result<_>>())?;
        made.iter().try_for_each(|(rows, found)| take(rows, found))?;
    }
    Ok(())
}

/// Runs in their order, cut where `size` rows are together.
fn cut_tiles(runs: impl Iterator<Item = Run>, size: usize) -> Vec<Vec<Run>> {
    let (mut tiles, mut tile, mut rows) = (Vec::new(), Vec::<Run>::new(), 0);
    for mut run in runs {
        while rows + run.rows.len() > size {
            let middle = run.rows.start + size - rows;
            let rest = Run { rows: middle..run.rows.end, ..run.clone() };
            run.rows.end = middle;
            join(&mut tile, run);
            tiles.push(std::mem::take(&mut tile));
            (run, rows) = (rest, 0);
        }
        rows += run.rows.len();
        join(&mut tile, run);
    }
    if !tile.is_empty() {
        tiles.push(tile);
    }
    tiles
}

/// Appends a run; one that follows the last in the same part is read with it.
fn join(tile: &mut Vec<Run>, run: Run) {
    match tile.last_mut() {
        Some(last) if last.part == run.part && last.rows.end == run.rows.start => {
            last.rows.end = run.rows.end;
        }
        _ if run.rows.is_empty() => {}
        _ => tile.push(run),
    }
}

/// Replaces `some` by the next runs, as many as have `most` rows together; a larger one comes alone.
/// Whether there are any.
fn next(runs: &mut Peekable<impl Iterator<Item = Run>>, most: usize, some: &mut Vec<Run>) -> bool {
    some.clear();
    some.extend(runs.next());
    let mut rows = some.first().map_or(0, |run| run.rows.len());
    while let Some(run) = runs.next_if(|run| rows + run.rows.len() <= most) {
        rows += run.rows.len();
        some.push(run);
    }
    !some.is_empty()
}

/// The buffers of a thread.
struct Work {
    tile: Tile,
    /// (list, row of the tile).
    visits: Vec<(u32, u32)>,
    places: Vec<u32>,
    rows: Vec<u32>,
    own: Vec<i16>,
    nearest: Vec<u32>,
    base_runs: Vec<Run>,
    base_rows: Vec<u32>,
    base: Vec<i16>,
}

impl Work {
    fn new(tile: Tile) -> Work {
        Work {
            tile,
            visits: Vec::new(),
            places: Vec::new(),
            rows: Vec::new(),
            own: Vec::new(),
            nearest: Vec::new(),
            base_runs: Vec::new(),
            base_rows: Vec::new(),
            base: Vec::new(),
        }
    }
}
