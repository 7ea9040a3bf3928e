//! Vectors among which neighbours are sought: held in memory, or a column that is read in parts.

use std::ops::Range;

use longweave_common::{Code, Ctx, Error, Result};
use longweave_storage::{ArrayFile, Scalar, Stored};
use rayon::prelude::*;

use crate::Vectors;
use crate::vectors::fits;

/// Rows that are read at once.
const BLOCK: usize = 1024;

/// Vectors of a search. Costs 4 bytes a row in memory, in addition to those that are held.
pub struct VectorSet {
    dims: usize,
    items: Stored<i16>,
    rows: usize,
    /// Rows that have a vector, rising.
    present: Vec<u32>,
}

impl VectorSet {
    /// Vectors that are held.
    ///
    /// Errors: `PLAN_TOO_LARGE` for more than 2³²−1 rows.
    pub fn held(ctx: &Ctx, vectors: Vectors) -> Result<VectorSet> {
        VectorSet::new(ctx, vectors.dims(), Stored::Held(vectors.into_data()))
    }

    /// A column of rows of `dims` components, row-major, as [`Vectors::data`] gave them.
    ///
    /// Errors: `FILE_CORRUPT` when the column does not match its checksum or does not divide into
    /// rows, or a row is longer than a unit vector can be; `PLAN_TOO_LARGE` for more than 2³²−1
    /// rows.
    pub fn open(ctx: &Ctx, dims: usize, column: ArrayFile<i16>) -> Result<VectorSet> {
        column.check()?;
        VectorSet::new(ctx, dims, Stored::File(column))
    }

    fn new(ctx: &Ctx, dims: usize, items: Stored<i16>) -> Result<VectorSet> {
        if dims == 0 || !items.len().is_multiple_of(dims as u64) {
            let message = format!(
                "{} numbers do not divide into vectors of {dims} components; make the vectors \
                 again",
                items.len()
            );
            return Err(Error::new(Code::FileCorrupt, message)
                .with("expected", dims)
                .with("found", items.len()));
        }
        let rows = (items.len() / dims as u64) as usize;
        if rows > u32::MAX as usize {
            let message = format!(
                "{rows} vectors are more than 2³²−1; plan a part of the corpus, or cut documents \
                 into larger chunks"
            );
            return Err(Error::new(Code::PlanTooLarge, message).with("found", rows));
        }
        let mut set = VectorSet { dims, items, rows, present: Vec::new() };
        let starts = (0..rows).step_by(BLOCK).collect::<Vec<_>>();
        let present = |&start: &usize| -> Result<Vec<u32>> {
            ctx.cancel.check()?;
            let (mut present, mut buffer) = (Vec::new(), Vec::new());
            let block = set.read(start..rows.min(start + BLOCK), &mut buffer)?;
            for (row, vector) in (start..).zip(block.chunks_exact(dims)) {
                if !fits(vector) {
                    let message = format!(
                        "vector {row} is longer than a unit vector; make the vectors again"
                    );
                    return Err(Error::new(Code::FileCorrupt, message).with("row", row));
                }
                if vector.iter().any(|&x| x != 0) {
                    present.push(row as u32);
                }
            }
            Ok(present)
        };
        let present: Vec<Vec<u32>> =
            ctx.pool.install(|| starts.par_iter().map(present).collect::<Result<_>>())?;
        set.present = present.concat();
        Ok(set)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of components of a row.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The rows that have a vector, rising.
    pub fn present(&self) -> &[u32] {
        &self.present
    }

    /// Consecutive rows, in `buffer` unless they are held.
    pub(crate) fn read<'b>(
        &'b self,
        rows: Range<usize>,
        buffer: &'b mut Vec<i16>,
    ) -> Result<&'b [i16]> {
        read(&self.items, self.dims, rows, buffer)
    }

    pub(crate) fn items(&self) -> &Stored<i16> {
        &self.items
    }

    /// Appends some rows.
    ///
    /// Errors: those of reading.
    pub fn pick(&self, rows: &[u32], out: &mut Vec<i16>) -> Result<()> {
        pick(&self.items, self.dims, rows, out)
    }
}

/// Consecutive rows of a column of rows of `width`, in `buffer` unless they are held.
pub(crate) fn read<'b, T: Scalar>(
    items: &'b Stored<T>,
    width: usize,
    rows: Range<usize>,
    buffer: &'b mut Vec<T>,
) -> Result<&'b [T]> {
    items.get((rows.start * width) as u64..(rows.end * width) as u64, buffer)
}

/// Appends rows of a column of rows of `width`; those that follow each other are read at once.
pub(crate) fn pick<T: Scalar>(
    items: &Stored<T>,
    width: usize,
    rows: &[u32],
    out: &mut Vec<T>,
) -> Result<()> {
    let mut buffer = Vec::new();
    for run in rows.chunk_by(|&a, &b| a.checked_add(1) == Some(b)) {
        let start = run[0] as usize;
        out.extend_from_slice(read(items, width, start..start + run.len(), &mut buffer)?);
    }
    Ok(())
}
