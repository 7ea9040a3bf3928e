//! Comparing some rows with many: the best of each are kept.

use longweave_common::{Ctx, Result};

use crate::best::Best;
use crate::products::Products;
use crate::query::{NONE, packed};

/// Rows whose neighbours are looked for together.
pub(crate) const TILE: usize = 128;
/// Bytes of rows that they are compared with at once: half of a first-level cache.
const BLOCK_BYTES: usize = 16_384;

/// The work of one thread at a time: the best of each row of a tile.
pub(crate) struct Tile {
    dims: usize,
    k: usize,
    least: i32,
    products: Products,
    best: Vec<Best>,
}

impl Tile {
    /// For rows of `dims` components; each gets its best `k` (at least 1) with a similarity of at
    /// least `least`.
    pub(crate) fn new(dims: usize, k: usize, least: i32) -> Tile {
        Tile { dims, k, least, products: Products::new(dims), best: Vec::new() }
    }

    /// Resets it to this number of rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.best.truncate(rows);
        self.best.iter_mut().for_each(|best| best.reset(self.least));
        self.best.resize_with(rows, || Best::new(self.k, self.least));
    }

    /// Compares those of the tile's `rows` that are at `places` with those of `base`; `number` gives
    /// the number of one of these by its place, none where it does not count for the row at a place.
    pub(crate) fn compare(
        &mut self,
        ctx: &Ctx,
        rows: &[i16],
        places: &[u32],
        base: &[i16],
        number: impl Fn(u32, usize) -> Option<u32>,
    ) -> Result<()> {
        let row = |&place: &u32| &rows[place as usize * self.dims..][..self.dims];
        self.products.queries(places.iter().map(row));
        let block = (BLOCK_BYTES / 2 / self.dims).clamp(4, 64);
        for (first, base) in (0..).step_by(block).zip(base.chunks(block * self.dims)) {
            ctx.cancel.check()?;
            self.products.with(base, |query, similarities| {
                let place = places[query];
                self.best[place as usize].offer(similarities, |i| number(place, first + i));
            });
        }
        Ok(())
    }

    /// The best of each row, from the best on: `k` places each, those that are left over empty.
    pub(crate) fn found(&mut self) -> Vec<u64> {
        let mut found = Vec::with_capacity(self.best.len() * self.k);
        for (row, best) in self.best.iter_mut().enumerate() {
            found.extend(best.sorted().map(|(similarity, number)| packed(number, similarity)));
            found.resize((row + 1) * self.k, NONE);
        }
        found
    }

    /// The numbers of the best of each row, of which each has `k`.
    pub(crate) fn numbers(&mut self) -> Vec<u32> {
        self.best.iter_mut().flat_map(|best| best.sorted().map(|found| found.1)).collect()
    }
}

/// Bytes of lists that are made at once, at most, where memory does not bound them.
const WAVE_BYTES: usize = 64 << 20;

/// Tiles of `rows` rows, whose lists have `k` places, that are worked on at once.
pub(crate) fn wave(ctx: &Ctx, rows: usize, k: usize) -> usize {
    let bytes = (ctx.budget.limit() / 8).min(WAVE_BYTES as u64) as usize;
    (bytes / (rows * k * size_of::<u64>())).max(ctx.pool.current_num_threads())
}
