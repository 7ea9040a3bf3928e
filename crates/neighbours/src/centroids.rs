//! Centroids of inverted lists: those of spherical k-means (Dhillon and Modha 2001) on a sample, in
//! whole numbers.
//!
//! Rows are drawn by ("centroid", row, 0), the lowest first: [`SAMPLE`] for each list are the
//! sample, and the first of them the centroids to begin with. Then, [`ROUNDS`] times or until
//! nothing moves, each row of the sample goes to the centroid of greatest similarity, ties to the
//! lowest, and each centroid becomes the unit vector of its rows' sum; one without rows, or whose
//! rows sum to nothing, stays.

use std::ops::Range;
use std::sync::Arc;

use longweave_common::random::{self, Key, draw};
use longweave_common::{Code, Ctx, Error, NoProgress, Offsets, Result};
use rayon::prelude::*;

use crate::VectorSet;
use crate::tile::{self, Tile};
use crate::vectors::{fits, push_unit};

/// Rows of the sample for each list.
const SAMPLE: usize = 16;
const ROUNDS: usize = 4;

/// The centroid of each list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centroids {
    dims: usize,
    /// Row-major.
    data: Vec<i16>,
}

impl Centroids {
    /// For the vectors of `set`; `lists` counts as 4 · √n, rounded, for n rows with a vector if it
    /// is not given, and as at least 1 and at most n. Memory: 12 bytes a row, and 16 vectors a
    /// list.
    ///
    /// Errors: `CANCELLED`, those of reading.
    pub fn fit(ctx: &Ctx, set: &VectorSet, lists: Option<u32>, seed: u64) -> Result<Centroids> {
        let ctx = &ctx.with_progress(Arc::new(NoProgress));
        let (rows, dims) = (set.present(), set.dims());
        let lists = lists
            .map_or_else(|| (4.0 * (rows.len() as f64).sqrt()).round() as usize, |n| n as usize)
            .clamp(1, rows.len().max(1));
        let size = rows.len().min(lists.saturating_mul(SAMPLE));
        let sample = lowest(ctx, seed, "centroid", rows, size);
        let mut sampled = Vec::new();
        set.pick(&sample, &mut sampled)?;
        let mut data = sampled[..lists.min(sample.len()) * dims].to_vec();
        let mut before = Vec::new();
        for _ in 0..ROUNDS {
            let pick = |range: Range<usize>, out: &mut Vec<i16>| {
                out.extend_from_slice(&sampled[range.start * dims..range.end * dims]);
                Ok(())
            };
            let centroids = Centroids { dims, data };
            let nearest = centroids.nearest(ctx, sample.len(), pick, 1)?;
            data = centroids.data;
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
            for (centroid, moved) in data.chunks_exact_mut(dims).zip(moved) {
                if let Some(moved) = moved {
                    centroid.copy_from_slice(&moved);
                }
            }
            before = nearest;
        }
        Ok(Centroids { dims, data })
    }

    /// Centroids of `dims` components, row-major, as [`Centroids::data`] gave them.
    ///
    /// Errors: `FILE_CORRUPT` for numbers that do not divide into unit vectors.
    pub fn from_data(dims: usize, data: Vec<i16>) -> Result<Centroids> {
        if dims == 0
            || data.is_empty()
            || !data.len().is_multiple_of(dims)
            || !data.chunks_exact(dims).all(fits)
        {
            let message = "the centroids are damaged; delete the work directory and run again";
            return Err(Error::new(Code::FileCorrupt, message));
        }
        Ok(Centroids { dims, data })
    }

    /// All of them, row-major.
    pub fn data(&self) -> &[i16] {
        &self.data
    }

    /// Number of lists.
    pub fn lists(&self) -> usize {
        self.data.len() / self.dims
    }

    /// For each of some rows, which `pick` appends, the `number` centroids of greatest similarity,
    /// ties to the lowest; the nearest first.
    pub(crate) fn nearest(
        &self,
        ctx: &Ctx,
        rows: usize,
        pick: impl Fn(Range<usize>, &mut Vec<i16>) -> Result<()> + Sync,
        number: usize,
    ) -> Result<Vec<u32>> {
        let places: Vec<u32> = (0..tile::TILE as u32).collect();
        let of_tile = |(tile, own): &mut (Tile, Vec<i16>), first: usize| -> Result<Vec<u32>> {
            let range = first..rows.min(first + tile::TILE);
            let all = range.len();
            own.clear();
            pick(range, own)?;
            tile.start(all);
            tile.compare(ctx, own, &places[..all], &self.data, |_, i| Some(i as u32))?;
            ctx.progress.advance((all * self.lists()) as u64);
            Ok(tile.numbers())
        };
        let tiles = (0..rows.div_ceil(tile::TILE)).into_par_iter().map_init(
            || (Tile::new(self.dims, number, i32::MIN), Vec::new()),
            |work, tile| of_tile(work, tile * tile::TILE),
        );
        let made: Vec<Vec<u32>> = ctx.pool.install(|| tiles.collect::<Result<_>>())?;
        Ok(made.concat())
    }
}

/// The `number` of `rows` with the lowest draws for this purpose, lowest first; equal ones by
/// number.
pub(crate) fn lowest(ctx: &Ctx, seed: u64, purpose: &str, rows: &[u32], number: usize) -> Vec<u32> {
    let drawn = ctx.pool.install(|| {
        rows.par_iter().map(|&row| (draw(seed, purpose, Key(u128::from(row)), 0), row)).collect()
    });
    random::lowest(drawn, number)
}
