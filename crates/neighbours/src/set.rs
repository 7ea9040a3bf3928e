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
    /// Rows one after the other; each part but the last has `part_rows`.
    parts: Vec<Stored<i16>>,
    part_rows: usize,
    rows: usize,
    /// Rows that have a vector, rising.
    present: Vec<u32>,
}

impl VectorSet {
    /// Vectors that are held.
    ///
    /// Errors: `PLAN_TOO_LARGE` for more than 2³²−1 rows.
    pub fn held(ctx: &Ctx, vectors: Vectors) -> Result<VectorSet> {
        VectorSet::new(ctx, vectors.dims(), vec![Stored::Held(vectors.into_data())])
    }

    /// Columns of rows of `dims` components, row-major, as [`Vectors::data`] gave them: each but
    /// the last has as many rows as the first.
    ///
    /// Errors: `FILE_CORRUPT` when a column does not match its checksum or does not divide into
    /// rows, or a row is longer than a unit vector can be; `PLAN_TOO_LARGE` for more than 2³²−1
    /// rows.
    pub fn open(ctx: &Ctx, dims: usize, columns: Vec<ArrayFile<i16>>) -> Result<VectorSet> {
        ctx.pool.install(|| {
            columns.par_iter().try_for_each(|column| {
                ctx.cancel.check()?;
                column.check()
            })
        })?;
        VectorSet::new(ctx, dims, columns.into_iter().map(Stored::File).collect())
    }

    fn new(ctx: &Ctx, dims: usize, parts: Vec<Stored<i16>>) -> Result<VectorSet> {
        let size = parts.first().map_or(0, Stored::len);
        let last = parts.len().saturating_sub(1);
        let equal = parts
            .iter()
            .enumerate()
            .all(|(i, part)| if i < last { part.len() == size } else { part.len() <= size });
        let items: u64 = parts.iter().map(Stored::len).sum();
        if dims == 0 || !equal || parts.iter().any(|p| !p.len().is_multiple_of(dims as u64)) {
            let message = format!(
                "{items} numbers do not divide into vectors of {dims} components; make the vectors \
                 again"
            );
            return Err(Error::new(Code::FileCorrupt, message)
                .with("expected", dims)
                .with("found", items));
        }
        let (part_rows, rows) =
            (((size / dims as u64) as usize).max(1), (items / dims as u64) as usize);
        if rows > u32::MAX as usize {
            let message = format!(
                "{rows} vectors are more than 2³²−1; plan a part of the corpus, or cut documents \
                 into larger chunks"
            );
            return Err(Error::new(Code::PlanTooLarge, message).with("found", rows));
        }
        let mut set = VectorSet { dims, parts, part_rows, rows, present: Vec::new() };
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
        let (part, start) = (rows.start / self.part_rows, rows.start % self.part_rows);
        let end = start + rows.len();
        if rows.is_empty() {
            return Ok(&[]);
        }
        if end <= self.part_rows {
            return read(&self.parts[part], self.dims, start..end, buffer);
        }
        buffer.clear();
        let mut own = Vec::new();
        let mut at = rows.start;
        while at < rows.end {
            let (part, start) = (at / self.part_rows, at % self.part_rows);
            let end = (start + rows.end - at).min(self.part_rows);
            buffer.extend_from_slice(read(&self.parts[part], self.dims, start..end, &mut own)?);
            at += end - start;
        }
        Ok(buffer)
    }

    /// Appends some rows.
    ///
    /// Errors: those of reading.
    pub fn pick(&self, rows: &[u32], out: &mut Vec<i16>) -> Result<()> {
        let mut buffer = Vec::new();
        for run in runs(rows) {
            out.extend_from_slice(self.read(run, &mut buffer)?);
        }
        Ok(())
    }
}

/// Rows that follow each other are read at once.
fn runs(rows: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    rows.chunk_by(|&a, &b| a.checked_add(1) == Some(b)).map(|run| {
        let start = run[0] as usize;
        start..start + run.len()
    })
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
    for run in runs(rows) {
        out.extend_from_slice(read(items, width, run, &mut buffer)?);
    }
    Ok(())
}
