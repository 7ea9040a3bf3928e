//! How many of the neighbours that there are a search found, on a sample of rows.

use std::cmp::Reverse;
use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, NoProgress, Result};
use rayon::prelude::*;

use crate::VectorSet;
use crate::centroids::lowest;
use crate::query::{Lists, NONE, Query, unpacked};
use crate::tile::{TILE, Tile};

/// Rows that a tile is compared with at once.
const BLOCK: usize = 1024;
/// Rows that a thread compares the sample with, at least.
const LEAST: usize = 16_384;

/// The part of the exact lists of some rows that a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recall {
    /// Rows looked at.
    pub sampled: u64,
    /// Neighbours in both lists.
    pub found: u64,
    /// Neighbours in the exact lists.
    pub expected: u64,
}

impl Recall {
    /// Adds a row: its exact list, and the list that a search gave it.
    pub fn add(&mut self, exact: &[u32], found: &[u32]) {
        self.sampled += 1;
        self.expected += exact.len() as u64;
        self.found += exact.iter().filter(|id| found.contains(id)).count() as u64;
    }
}

/// Compares `lists`, which `query` gave, with exact ones on `sample` rows.
///
/// Errors: `CANCELLED`, and those of reading.
pub fn recall(ctx: &Ctx, query: &Query<'_>, lists: &Lists, sample: usize) -> Result<Recall> {
    let mut recall = Recall::default();
    if query.k == 0 {
        return Ok(recall);
    }
    let sample = Sample::draw(ctx, query, sample)?;
    let found = sample.nearest_in(ctx, query.vectors, 0, query.owners, query.k)?;
    for (row, found) in sample.rows().zip(found.chunks_exact(query.k)) {
        let list = lists.get(row as usize).map(|(id, _)| id).collect::<Vec<_>>();
        recall.add(&best_of(query.k, found), &list);
    }
    Ok(recall)
}

/// Rows that are compared with all others.
pub struct Sample {
    dims: usize,
    /// Number and owner of each, by rising numbers.
    numbers: Vec<u32>,
    vectors: Vec<i16>,
}

impl Sample {
    /// Of the rows with a vector, those with the lowest draw("recall", row, 0): `number`, or all.
    pub fn draw(ctx: &Ctx, query: &Query<'_>, number: usize) -> Result<Sample> {
        let mut rows = lowest(ctx, query.seed, "recall", query.vectors.present(), number);
        rows.sort_unstable();
        let mut vectors = Vec::new();
        query.vectors.pick(&rows, &mut vectors)?;
        let numbers = rows.iter().flat_map(|&row| [row, query.owner(row)]).collect();
        Ok(Sample { dims: query.vectors.dims(), numbers, vectors })
    }

    /// From what [`Sample::numbers`] and [`Sample::vectors`] gave.
    ///
    /// Errors: `FILE_CORRUPT` where they disagree.
    pub fn from_parts(dims: usize, numbers: Vec<u32>, vectors: Vec<i16>) -> Result<Sample> {
        if !numbers.len().is_multiple_of(2) || numbers.len() / 2 * dims != vectors.len() {
            let message =
                "the sample of vectors is damaged; delete the work directory and run again";
            return Err(Error::new(Code::FileCorrupt, message));
        }
        Ok(Sample { dims, numbers, vectors })
    }

    /// Number and owner of each row, by rising numbers.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Their vectors, row-major.
    pub fn vectors(&self) -> &[i16] {
        &self.vectors
    }

    /// The number of each row, rising.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.numbers.chunks_exact(2).map(|row| row[0])
    }

    /// The best `k` rows of `set` for each row of the sample: packed, `k` places each. `first` is
    /// the number of the set's first row, whose owner `owners` begins with.
    ///
    /// Errors: `CANCELLED`, and those of reading.
    pub fn nearest_in(
        &self,
        ctx: &Ctx,
        set: &VectorSet,
        first: u32,
        owners: Option<&[u32]>,
        k: usize,
    ) -> Result<Vec<u64>> {
        let ctx = &ctx.with_progress(Arc::new(NoProgress));
        let (dims, all) = (self.dims, self.numbers.len() / 2);
        let places: Vec<u32> = (0..TILE as u32).collect();
        let size = (set.rows() / (4 * ctx.pool.current_num_threads())).max(LEAST);
        let of_part = |(tile, buffer): &mut (Tile, Vec<i16>), start: usize| -> Result<Vec<u64>> {
            let mut found = Vec::with_capacity(all * k);
            for begin in (0..all).step_by(TILE) {
                let end = all.min(begin + TILE);
                tile.start(end - begin);
                let own = &self.vectors[begin * dims..end * dims];
                let stop = set.rows().min(start + size);
                for start in (start..stop).step_by(BLOCK) {
                    let base = set.read(start..stop.min(start + BLOCK), buffer)?;
                    tile.compare(ctx, own, &places[..end - begin], base, |place, i| {
                        let row = start + i;
                        let number = first + row as u32;
                        let owner = owners.map_or(number, |owners| owners[row]);
                        let own = self.numbers[(begin + place as usize) * 2 + 1];
                        Some(number).filter(|_| owner != own)
                    })?;
                }
                found.extend(tile.found());
            }
            Ok(found)
        };
        let starts: Vec<usize> = (0..set.rows()).step_by(size).collect();
        let parts: Vec<Vec<u64>> = ctx.pool.install(|| {
            let parts = starts.par_iter().map_init(
                || (Tile::new(dims, k, 1), Vec::new()),
                |work, &start| of_part(work, start),
            );
            parts.collect::<Result<_>>()
        })?;
        let mut best = Vec::with_capacity(all * k);
        for row in 0..all {
            let own: Vec<u64> =
                parts.iter().flat_map(|part| &part[row * k..][..k]).copied().collect();
            best.extend(merged(k, &own));
            best.resize((row + 1) * k, NONE);
        }
        Ok(best)
    }
}

/// The best `k` of packed neighbours, from the best on.
fn merged(k: usize, found: &[u64]) -> Vec<u64> {
    let mut best: Vec<u64> = found.iter().copied().filter(|&place| place != NONE).collect();
    best.sort_unstable_by_key(|&place| {
        let (number, similarity) = unpacked(place);
        (Reverse(similarity), number)
    });
    best.truncate(k);
    best
}

/// The numbers of the best `k` of packed neighbours, as [`Sample::nearest_in`] gave them.
pub fn best_of(k: usize, found: &[u64]) -> Vec<u32> {
    merged(k, found).into_iter().map(|place| unpacked(place).0).collect()
}
