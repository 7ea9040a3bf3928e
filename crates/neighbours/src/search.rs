//! The lists of nearest neighbours: vectors in, for each row the most similar others out.

use longweave_common::{Code, Ctx, Error, Result};
use rayon::prelude::*;

use crate::Vectors;
use crate::best::Best;
use crate::inverted;
use crate::products::Products;

/// Rows whose neighbours are looked for together.
pub(crate) const TILE: usize = 128;
/// Bytes of rows that they are compared with at once: half of a first-level cache.
const BLOCK_BYTES: usize = 16_384;

/// How neighbours are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Each row is compared with each other: time grows with the square of their number.
    Exact,
    /// Rows are divided into lists around centroids; each row is compared with those of the lists
    /// nearest to it, its own among them. Finds most neighbours; time grows with the power 1.5 of
    /// the number of rows.
    Inverted {
        /// Number of lists; none: 4 · √n, rounded, for n rows with a vector. At most n and at least
        /// 1 count.
        lists: Option<u32>,
        /// Lists that a row is compared with; none: [`DEFAULT_PROBES`]. At least 1 counts.
        probes: Option<u32>,
    },
}

/// Rows up to which comparing all pairs is what a caller wants who does not care how neighbours are
/// looked for.
pub const MOST_EXACT: usize = 20_000;
/// Lists that a row is compared with unless said otherwise. With it and 4 · √n lists, of the ten
/// nearest neighbours by latent semantic analysis (256 components) those were found: 97 % for
/// 19,310 posts of 20 Newsgroups, 98 % for 50,000 articles of the Simple English Wikipedia, 99 %
/// for all its 125,708, of which a row was compared with 2.8 %.
pub const DEFAULT_PROBES: u32 = 32;

/// The query of a search.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// All rows; each is a neighbour of others and has neighbours.
    pub vectors: &'a Vectors,
    /// The owner of each row, for example a chunk's document; rows with equal owners are not
    /// neighbours.
    pub owners: Option<&'a [u32]>,
    /// Length of the longest list.
    pub k: usize,
    /// How to look.
    pub search: Search,
    /// Seed of the choice of centroids and of samples.
    pub seed: u64,
}

impl Query<'_> {
    /// Whether a row can be no neighbour of another.
    pub(crate) fn apart(&self, a: u32, b: u32) -> bool {
        a == b || self.owners.is_some_and(|owners| owners[a as usize] == owners[b as usize])
    }
}

/// For each row its neighbours, nearest first: `k` places, those of `ids` that are left over hold
/// `u32::MAX`, those of `similarities` 0. 8 bytes a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Places of a row.
    pub k: usize,
    /// Numbers of rows.
    pub ids: Vec<u32>,
    /// Their similarities: cosine · 2²⁸, above 0.
    pub similarities: Vec<i32>,
}

impl Lists {
    pub(crate) fn empty(rows: usize, k: usize) -> Lists {
        Lists { k, ids: vec![u32::MAX; rows * k], similarities: vec![0; rows * k] }
    }

    /// The neighbours of a row with their similarities, nearest first.
    pub fn get(&self, row: usize) -> impl Iterator<Item = (u32, i32)> + '_ {
        let places = row * self.k..(row + 1) * self.k;
        self.ids[places.clone()]
            .iter()
            .copied()
            .zip(self.similarities[places].iter().copied())
            .take_while(|&(id, _)| id != u32::MAX)
    }
}

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
            "{rows} vectors are more than 2³²−1; plan a part of the corpus, or cut documents into larger chunks"
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
