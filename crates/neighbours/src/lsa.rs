//! Vectors of texts without a model: latent semantic analysis (Deerwester et al. 1990). Counts of
//! words of a sample of documents in, a projection of words' weights to vectors out.
//!
//! A document is a row of weights of its words, of unit length. The projection is an orthonormal
//! basis of, nearly, the space that the first right singular vectors of the sample's rows span,
//! found by randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4). Each
//! sum of floating-point numbers has an order of its own, whatever the number of threads, and only
//! operations that IEEE 754 rounds correctly are used: the numbers are the same on every machine.

use longweave_common::random::{Key, draw};
use longweave_common::{Ctx, Offsets, Result};
use rayon::prelude::*;

/// A column that loses all but this part of its length to the columns before it is made of rounding
/// errors.
const VANISHED: f64 = 1e-5;
/// Columns that are made orthogonal among each other before all later ones are to them: those then
/// stay in cache.
const PANEL: usize = 16;

/// Rows of (feature, count), features rising, concatenated. 8 bytes a pair.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    rows: Offsets,
    pairs: Vec<(u32, u32)>,
}

impl Counts {
    /// Adds a row, as [`TermCounter::count`](crate::TermCounter::count) gives it.
    pub fn push(&mut self, row: &[(u32, u32)]) {
        self.pairs.extend_from_slice(row);
        self.rows.push(self.pairs.len());
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[(u32, u32)] {
        &self.pairs[self.rows.range(i)]
    }
}

/// Inverse document frequencies of words.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// By feature.
    rarity: Vec<f64>,
}

impl Weights {
    /// From the number of documents that have a feature, for each feature, and the number of all
    /// documents. A feature's rarity is log(all / its document frequency), or 0 where at most one
    /// document has it: such a word relates no documents. log is log₂, linear between powers of
    /// two.
    pub fn new(document_frequency: &[u32], all: u64) -> Weights {
        let rarity = |&document_frequency: &u32| {
            if document_frequency > 1 {
                log2(all as f64 / f64::from(document_frequency)).max(0.0)
            } else {
                0.0
            }
        };
        Weights { rarity: document_frequency.iter().map(rarity).collect() }
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.rarity.len()
    }

    /// The weight of a feature that a document has `count` times: (1 + log(count)) · rarity.
    fn weight(&self, (feature, count): (u32, u32)) -> f64 {
        (1.0 + log2(f64::from(count))) * self.rarity[feature as usize]
    }

    /// A row's features that weigh something, with their weights, the row's length being 1.
    pub fn unit<'a>(&'a self, row: &'a [(u32, u32)]) -> impl Iterator<Item = (u32, f32)> + 'a {
        let weights =
            row.iter().map(|&pair| (pair.0, self.weight(pair))).filter(|&(_, weight)| weight > 0.0);
        let norm = weights.clone().fold(0.0, |sum, (_, weight)| sum + weight * weight).sqrt();
        weights.map(move |(feature, weight)| (feature, (weight / norm) as f32))
    }
}

/// Piecewise linear log₂ of a positive normal number: the exponent plus the fraction of the double,
/// exact at powers of two and at most 0.087 too small between. Library functions differ between
/// machines in the last digit.
fn log2(x: f64) -> f64 {
    const FRACTION: u32 = 52;
    let bits = x.to_bits();
    let exponent = (bits >> FRACTION) as i64 - 1023;
    let fraction = bits & ((1 << FRACTION) - 1);
    exponent as f64 + fraction as f64 / (1u64 << FRACTION) as f64
}

/// The matrix that maps rows of weights to vectors. 4 bytes · features · dims.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    dims: usize,
    matrix: Vec<f32>,
}

impl Projection {
    /// Computes the projection to `dims` columns from the documents of `sample`, by that many
    /// iterations: 3 are enough. If the sample has fewer documents, or fewer words that two have,
    /// than columns, the last columns are zeros.
    ///
    /// Memory in addition to the result: 16 bytes a pair of the sample; 12 · dims bytes a feature
    /// that the sample has and a document of it.
    ///
    /// Errors: `CANCELLED`.
    pub fn fit(
        ctx: &Ctx,
        sample: &Counts,
        weights: &Weights,
        dims: usize,
        iterations: usize,
        seed: u64,
    ) -> Result<Projection> {
        assert!(dims > 0, "vectors have components");
        let mut has = vec![false; weights.features()];
        for i in 0..sample.rows() {
            weights.unit(sample.row(i)).for_each(|(feature, _)| has[feature as usize] = true);
        }
        let features: Vec<u32> =
            (0..weights.features() as u32).filter(|&f| has[f as usize]).collect();
        let mut place = vec![0u32; weights.features()];
        (0..).zip(&features).for_each(|(i, &feature)| place[feature as usize] = i);
        let mut documents = Sparse::default();
        for i in 0..sample.rows() {
            documents.push(
                weights
                    .unit(sample.row(i))
                    .map(|(feature, weight)| (place[feature as usize], weight)),
            );
        }
        let words = documents.transposed(features.len());

        let mut basis: Vec<f32> =
            features.iter().flat_map(|&feature| signs(seed, feature, dims)).collect();
        for _ in 0..iterations {
            let mut image = documents.times(ctx, &basis, dims)?;
            orthonormalise(ctx, &mut image, dims)?;
            basis = words.times(ctx, &image, dims)?;
        }
        orthonormalise(ctx, &mut basis, dims)?;
        let mut matrix = vec![0.0; weights.features() * dims];
        for (row, &feature) in basis.chunks_exact(dims).zip(&features) {
            matrix[feature as usize * dims..][..dims].copy_from_slice(row);
        }
        Ok(Projection { dims, matrix })
    }

    /// From the numbers that [`Projection::matrix`] gave; `None` where they do not divide into rows
    /// of `dims`.
    pub fn from_matrix(dims: usize, matrix: Vec<f32>) -> Option<Projection> {
        let fits = dims > 0 && matrix.len().is_multiple_of(dims);
        fits.then_some(Projection { dims, matrix })
    }

    /// The matrix: for each feature a row.
    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.matrix.len() / self.dims
    }

    /// Replaces `out` by the vector of a row: not of unit length; zeros where no word weighs
    /// anything.
    pub fn project(&self, weights: &Weights, row: &[(u32, u32)], out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.dims, 0.0);
        for (feature, weight) in weights.unit(row) {
            add(out, &self.matrix[feature as usize * self.dims..][..self.dims], weight);
        }
    }
}

/// Random signs of a feature: bit c mod 64 of draw("projection", feature, ⌊c / 64⌋) is that of
/// column c, 1 for −1.
fn signs(seed: u64, feature: u32, dims: usize) -> impl Iterator<Item = f32> {
    (0..dims).step_by(64).flat_map(move |first| {
        let bits = draw(seed, "projection", Key(u128::from(feature)), first as u64 / 64);
        (0..64.min(dims - first)).map(move |bit| if bits >> bit & 1 == 1 { -1.0 } else { 1.0 })
    })
}

/// A matrix of few numbers, by rows.
#[derive(Default)]
struct Sparse {
    offsets: Offsets,
    items: Vec<(u32, f32)>,
}

impl Sparse {
    fn push(&mut self, row: impl Iterator<Item = (u32, f32)>) {
        self.items.extend(row);
        self.offsets.push(self.items.len());
    }

    fn rows(&self) -> impl IndexedParallelIterator<Item = &[(u32, f32)]> {
        (0..self.offsets.len()).into_par_iter().map(|i| self.row(i))
    }

    fn row(&self, i: usize) -> &[(u32, f32)] {
        &self.items[self.offsets.range(i)]
    }

    /// The same by columns; in each, rows rise.
    fn transposed(&self, columns: usize) -> Sparse {
        let items = (0..self.offsets.len()).flat_map(|i| {
            self.row(i).iter().map(move |&(column, x)| (column as usize, (i as u32, x)))
        });
        let (offsets, items) = Offsets::sort(columns, items);
        Sparse { offsets, items }
    }

    /// The product with a dense matrix of `dims` columns, both by rows: each of its rows a sum in
    /// the order of this one's.
    fn times(&self, ctx: &Ctx, dense: &[f32], dims: usize) -> Result<Vec<f32>> {
        let mut product = vec![0.0; self.offsets.len() * dims];
        ctx.pool.install(|| {
            product.par_chunks_mut(dims).zip(self.rows()).with_min_len(16).try_for_each(
                |(out, row)| {
                    ctx.cancel.check()?;
                    row.iter().for_each(|&(i, x)| add(out, &dense[i as usize * dims..][..dims], x));
                    Ok(())
                },
            )
        })?;
        Ok(product)
    }
}

/// Makes the columns of a matrix, given by rows, orthogonal to each other and of unit length:
/// modified Gram–Schmidt. A column that lies in the space of those before it becomes zeros.
fn orthonormalise(ctx: &Ctx, matrix: &mut [f32], dims: usize) -> Result<()> {
    let rows = matrix.len() / dims;
    if rows == 0 {
        return Ok(());
    }
    let mut columns = transposed(ctx, matrix, dims);
    let before: Vec<f64> =
        columns.chunks_exact(rows).map(|column| dot(column, column).sqrt()).collect();
    for start in (0..dims).step_by(PANEL) {
        ctx.cancel.check()?;
        let end = dims.min(start + PANEL);
        let (done, later) = columns.split_at_mut(end * rows);
        let panel = &mut done[start * rows..];
        for (i, &before) in (start..end).zip(&before[start..end]) {
            let (column, rest) = panel[(i - start) * rows..].split_at_mut(rows);
            let norm = dot(column, column).sqrt();
            // No more columns than rows can be independent.
            if i < rows && norm > VANISHED * before {
                column.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            } else {
                column.fill(0.0);
            }
            let column = &*column;
            ctx.pool.install(|| {
                rest.par_chunks_mut(rows).for_each(|other| remove(other, column));
            });
        }
        let panel = &*panel;
        ctx.pool.install(|| {
            later
                .par_chunks_mut(rows)
                .for_each(|column| panel.chunks_exact(rows).for_each(|other| remove(column, other)))
        });
    }
    matrix.copy_from_slice(&transposed(ctx, &columns, rows));
    Ok(())
}

/// Takes from a column what of it lies in the direction of another of unit length.
fn remove(column: &mut [f32], unit: &[f32]) {
    add(column, unit, -dot(column, unit) as f32);
}

/// Adds x times a row to another.
fn add(to: &mut [f32], row: &[f32], x: f32) {
    to.iter_mut().zip(row).for_each(|(to, &y)| *to += x * y);
}

/// Sum of products: eight sums, of every eighth each, added up from the first on, then what is left
/// over.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.into_iter().chain(rest).fold(0.0, |sum, x| sum + x)
}

/// The transpose of a matrix of `width` columns, by rows.
fn transposed(ctx: &Ctx, matrix: &[f32], width: usize) -> Vec<f32> {
    const BLOCK: usize = 16;
    let height = matrix.len() / width;
    let mut out = vec![0.0; matrix.len()];
    ctx.pool.install(|| {
        out.par_chunks_mut(BLOCK * height).enumerate().for_each(|(block, out)| {
            for (row, values) in matrix.chunks_exact(width).enumerate() {
                let values = &values[block * BLOCK..];
                for (column, &x) in out.chunks_exact_mut(height).zip(values) {
                    column[row] = x;
                }
            }
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use longweave_common::random::below;

    #[test]
    fn log2_is_exact_at_powers_of_two_and_near_between() {
        for exponent in -20..40 {
            assert_eq!(log2(2f64.powi(exponent)), f64::from(exponent));
        }
        assert_eq!(log2(3.0), 1.5);
        for i in 1..10_000u32 {
            let x = f64::from(i) / 100.0;
            assert!((-1e-12..0.0861).contains(&(x.log2() - log2(x))), "{x}");
        }
    }

    #[test]
    fn columns_become_orthonormal_and_dependent_ones_zeros() {
        let ctx = Ctx::new(2, 1 << 20).unwrap();
        let (rows, dims) = (300, 40);
        let random = |i: usize| below(draw(3, "test", Key(i as u128), 0), 2001) as f32 - 1000.0;
        let mut matrix: Vec<f32> = (0..rows * dims).map(random).collect();
        // Column 7 is a sum of others, column 20 nothing.
        for row in matrix.chunks_exact_mut(dims) {
            row[7] = row[0] - 3.0 * row[5];
            row[20] = 0.0;
        }
        orthonormalise(&ctx, &mut matrix, dims).unwrap();
        let columns = transposed(&ctx, &matrix, dims);
        for a in 0..dims {
            for b in 0..=a {
                let product = dot(&columns[a * rows..][..rows], &columns[b * rows..][..rows]);
                let expected = if a == b && a != 7 && a != 20 { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-5, "columns {a} and {b}: {product}");
            }
        }
        assert!(columns[7 * rows..][..rows].iter().all(|&x| x == 0.0));
    }

    #[test]
    fn more_columns_than_rows_are_zeros() {
        let ctx = Ctx::new(1, 1 << 20).unwrap();
        let mut matrix: Vec<f32> = (0..3u32).flat_map(|feature| signs(1, feature, 8)).collect();
        orthonormalise(&ctx, &mut matrix, 8).unwrap();
        assert!(matrix.chunks_exact(8).all(|row| row[3..].iter().all(|&x| x == 0.0)));
        assert!((matrix.iter().map(|x| x * x).sum::<f32>() - 3.0).abs() < 1e-5);
    }
}
