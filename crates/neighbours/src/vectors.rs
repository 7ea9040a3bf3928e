//! Unit vectors in fixed point: rows of floating-point numbers in, rows of 16-bit numbers out, in
//! units of 2⁻¹⁴. Sums of products of whole numbers are equal on every machine in any order, so
//! that neighbours are too.

use longweave_common::{Code, Error, Result};

/// The fixed-point value of a component of 1.
const UNIT: f64 = 16_384.0;

/// Rows of equal length, each a unit vector times 2¹⁴ or, where there is none, zeros. 2 bytes a
/// component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vectors {
    dims: usize,
    data: Vec<i16>,
}

impl Vectors {
    /// No rows yet of `dims` components (at least 1), with room for `rows`.
    pub fn with_capacity(dims: usize, rows: usize) -> Vectors {
        assert!(dims > 0, "vectors have components");
        Vectors { dims, data: Vec::with_capacity(dims * rows) }
    }

    /// Rows of `dims` components, row-major, as [`Vectors::data`] gave them.
    ///
    /// Errors: `FILE_CORRUPT` when these do not divide into rows, or a row is longer than a unit
    /// vector can be.
    pub fn from_data(dims: usize, data: Vec<i16>) -> Result<Vectors> {
        if dims == 0 || !data.len().is_multiple_of(dims) {
            let message = format!(
                "{} numbers do not divide into vectors of {dims} components; make the vectors \
                 again",
                data.len()
            );
            return Err(Error::new(Code::FileCorrupt, message)
                .with("expected", dims)
                .with("found", data.len()));
        }
        if let Some(row) = data.chunks_exact(dims).position(|row| !fits(row)) {
            let message =
                format!("vector {row} is longer than a unit vector; make the vectors again");
            return Err(Error::new(Code::FileCorrupt, message).with("row", row));
        }
        Ok(Vectors { dims, data })
    }

    /// Adds the vector of these components.
    pub fn push(&mut self, vector: &[f32]) {
        assert_eq!(
            vector.len(),
            self.dims,
            "vectors of one set have the same number of components"
        );
        push_unit(vector.iter().map(|&x| f64::from(x)), &mut self.data);
    }

    /// Adds the vector of these components: each becomes round(x / √Σx² · 2¹⁴), halves away from
    /// zero, Σ from the first component on. It counts as none where Σx² is zero, subnormal (below
    /// 2⁻¹⁰²²) or not finite.
    pub fn push_f64(&mut self, vector: &[f64]) {
        assert_eq!(
            vector.len(),
            self.dims,
            "vectors of one set have the same number of components"
        );
        push_unit(vector.iter().copied(), &mut self.data);
    }

    /// Adds finished rows, as [`Vectors::row`] or [`Vectors::data`] of another set with as many
    /// components gave them.
    pub fn push_fixed(&mut self, rows: &[i16]) {
        assert!(rows.len().is_multiple_of(self.dims), "rows are whole");
        debug_assert!(rows.chunks_exact(self.dims).all(fits), "rows are unit vectors");
        self.data.extend_from_slice(rows);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.dims
    }

    /// Number of components of a row.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[i16] {
        &self.data[i * self.dims..(i + 1) * self.dims]
    }

    /// Whether row `i` stands for no vector.
    pub fn is_none(&self, i: usize) -> bool {
        self.row(i).iter().all(|&x| x == 0)
    }

    /// All rows, row-major.
    pub fn data(&self) -> &[i16] {
        &self.data
    }

    pub(crate) fn into_data(self) -> Vec<i16> {
        self.data
    }
}

/// Adds the unit vector of `values` to `out`, or zeros.
pub(crate) fn push_unit(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<i16>) {
    let squares = values.clone().fold(0.0, |sum, x| sum + x * x);
    // Squares that sink below the normal numbers lose digits: the row might come out longer than a
    // unit vector.
    if squares.is_normal() {
        let norm = squares.sqrt();
        out.extend(values.map(|x| (x / norm * UNIT).round() as i16));
    } else {
        out.extend(values.map(|_| 0));
    }
}

/// Whether Σx² of a row is below 2³¹, which is what [`similarity`] asks for.
pub(crate) fn fits(row: &[i16]) -> bool {
    row.iter().map(|&x| u64::from(x.unsigned_abs()).pow(2)).sum::<u64>() <= i32::MAX as u64
}

/// Sum of products of two rows of equal length: cosine · 2²⁸.
///
/// It fits: rounding adds at most ½ to a component, so a row of d components has a length of at
/// most 2¹⁴ + √d / 2. By the inequality of Cauchy and Schwarz no sum over some of the components,
/// in whatever order, exceeds the square of that: 2²⁸ · 1.13 for d = 2²⁰.
pub fn similarity(a: &[i16], b: &[i16]) -> i32 {
    debug_assert_eq!(a.len(), b.len());
    // Wrapping, though nothing wraps: with overflow checks the loop would not become vector
    // instructions.
    a.iter()
        .zip(b)
        .fold(0, |sum: i32, (&a, &b)| sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(vector: &[f64]) -> Vec<i16> {
        let mut vectors = Vectors::with_capacity(vector.len(), 1);
        vectors.push_f64(vector);
        vectors.data
    }

    #[test]
    fn components_are_rounded_away_from_zero() {
        assert_eq!(fixed(&[3.0, -4.0]), [9830, -13_107]); // 9830.4, 13107.2
        assert_eq!(fixed(&[5.0]), [16_384]);
        assert_eq!(fixed(&[-1e-9, 0.0]), [-16_384, 0]);
        // Σx² is 2³⁰: each odd number comes to a half.
        assert_eq!(fixed(&[32_767.0, -255.0, 22.0, -5.0, 1.0]), [16_384, -128, 11, -3, 1]);
    }

    #[test]
    fn what_has_no_direction_is_none() {
        let rows: [&[f64]; 7] = [
            &[0.0, 0.0],
            &[f64::NAN, 1.0],
            &[1.0, f64::INFINITY],
            &[f64::NEG_INFINITY, 0.0],
            &[1e200, 1e200],
            &[1e-170, 0.0],
            &[1e-160, 1e-160],
        ];
        for row in rows {
            assert_eq!(fixed(row), [0, 0], "{row:?}");
        }
        assert_ne!(fixed(&[1e-150, 0.0]), [0, 0]);
        let mut vectors = Vectors::with_capacity(2, 2);
        vectors.push(&[0.0, 0.0]);
        vectors.push(&[f32::MIN_POSITIVE, 0.0]);
        assert!(vectors.is_none(0) && !vectors.is_none(1));
    }

    #[test]
    fn data_that_is_no_vectors_is_refused() {
        let code =
            |dims, data: &[i16]| Vectors::from_data(dims, data.to_vec()).map_err(|e| e.code());
        assert_eq!(code(0, &[]).unwrap_err(), Code::FileCorrupt);
        assert_eq!(code(2, &[1, 2, 3]).unwrap_err(), Code::FileCorrupt);
        assert_eq!(code(2, &[0, 16_384, -32_768, -32_768]).unwrap_err(), Code::FileCorrupt);
        let vectors = code(2, &[0, 16_384, 16_384, 0]).unwrap();
        assert_eq!((vectors.rows(), vectors.dims(), vectors.row(1)), (2, 2, &[16_384, 0][..]));
    }
}
