//! Comparing some rows with many: the best of each are kept.

use longweave_common::{Ctx, Result};

use crate::Vectors;
use crate::best::Best;
use crate::products::Products;

/// Rows whose neighbours are looked for together.
pub(crate) const TILE: usize = 128;
/// Bytes of rows that they are compared with at once: half of a first-level cache.
const BLOCK_BYTES: usize = 16_384;

/// Some rows of a set.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) vectors: &'a Vectors,
    pub(crate) numbers: &'a [u32],
}

impl<'a> Rows<'a> {
    fn row(&self, i: usize) -> &'a [i16] {
        self.vectors.row(self.numbers[i] as usize)
    }
}

/// The work of one thread at a time: the best of each row of a tile.
pub(crate) struct Tile {
    k: usize,
    least: i32,
    products: Products,
    best: Vec<Best>,
}

impl Tile {
    /// For rows of `dims` components; each gets its best `k` (at least 1) with a similarity of at
    /// least `least`.
    pub(crate) fn new(dims: usize, k: usize, least: i32) -> Tile {
        Tile { k, least, products: Products::new(dims), best: Vec::new() }
    }

    /// Resets it to this number of rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.best.truncate(rows);
        self.best.iter_mut().for_each(|best| best.reset(self.least));
        self.best.resize_with(rows, || Best::new(self.k, self.least));
    }

    /// Compares the tile's `rows` at `places` with `base`; pairs of numbers that are `apart` do not
    /// count.
    pub(crate) fn compare(
        &mut self,
        ctx: &Ctx,
        rows: Rows<'_>,
        places: &[u32],
        base: Rows<'_>,
        apart: impl Fn(u32, u32) -> bool,
    ) -> Result<()> {
        self.products.queries(places.iter().map(|&place| rows.row(place as usize)));
        for numbers in base.numbers.chunks((BLOCK_BYTES / 2 / base.vectors.dims()).clamp(4, 64)) {
            ctx.cancel.check()?;
            self.products.with(
                numbers.iter().map(|&number| base.vectors.row(number as usize)),
                |query, similarities| {
                    let place = places[query] as usize;
                    let row = rows.numbers[place];
                    self.best[place].offer(similarities, |i| {
                        Some(numbers[i]).filter(|&number| !apart(row, number))
                    });
                },
            );
        }
        Ok(())
    }

    /// Writes the numbers of the best of each row to its `k` places in `ids`, from the best on, and
    /// their similarities.
    pub(crate) fn write(&mut self, ids: &mut [u32], similarities: &mut [i32]) {
        for ((ids, similarities), best) in
            ids.chunks_mut(self.k).zip(similarities.chunks_mut(self.k)).zip(&mut self.best)
        {
            for ((id, similarity), found) in ids.iter_mut().zip(similarities).zip(best.sorted()) {
                (*similarity, *id) = found;
            }
        }
    }

    /// As [`Tile::write`], without similarities.
    pub(crate) fn write_numbers(&mut self, ids: &mut [u32]) {
        for (ids, best) in ids.chunks_mut(self.k).zip(&mut self.best) {
            for (id, (_, number)) in ids.iter_mut().zip(best.sorted()) {
                *id = number;
            }
        }
    }
}
