//! Vectors in the order of their lists, so that a list is read at once, from memory or from the
//! disk. Rows are divided range by range: of each range there is a part, which has some rows of
//! every list. Where columns are, and how many parts there are, changes nothing that is found.

use std::ops::Range;
use std::path::{Path, PathBuf};

use longweave_common::{Ctx, Error, Offsets, Result};
use longweave_storage::{ArrayFile, Scalar, Stored, StoredWriter, hash_elements};
use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3Default;

use crate::VectorSet;
use crate::centroids::Centroids;
use crate::set::{pick, read};

/// Rows that one thread reads or writes at once.
const BLOCK: usize = 512;
/// Blocks of each thread that are worked on at once.
const BLOCKS: usize = 32;

/// The folder of columns that are on disk.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) scratch: Option<&'a Path>,
}

impl Space<'_> {
    /// Begins a column, of which an eighth of the memory bound is held.
    pub(crate) fn column<T: Scalar>(self, name: &str) -> StoredWriter<T> {
        let most = self.ctx.budget.limit() / 8 / T::WIDTH as u64;
        StoredWriter::new(most as usize, self.scratch.map(|scratch| scratch.join(name)))
    }
}

/// Bytes of rows that are worked on at once, at most, where memory does not bound them.
const WAVE_BYTES: u64 = 32 << 20;

/// Bytes that a wave of rows takes at most, however many threads there are; two are held.
fn wave_bytes(ctx: &Ctx) -> u64 {
    (ctx.budget.limit() / 16).min(WAVE_BYTES)
}

/// Rows of `bytes` bytes that are worked on at once.
fn wave(ctx: &Ctx, bytes: usize) -> usize {
    let most = (wave_bytes(ctx) / bytes.max(1) as u64) as usize;
    (BLOCK * BLOCKS * ctx.pool.current_num_threads()).min(most).max(BLOCK)
}

/// Gives some rows of a column of rows of `width` to `take`, in their order; in place of number
/// `u32::MAX` what there is for none.
pub(crate) fn in_order<T: Scalar>(
    ctx: &Ctx,
    read: impl Fn(&[u32], &mut Vec<T>) -> Result<()> + Sync,
    width: usize,
    rows: &[u32],
    none: &[T],
    take: &mut (dyn FnMut(&[T]) -> Result<()> + Send),
) -> Result<()> {
    let read = |rows: &[u32]| -> Result<Vec<T>> {
        let mut out = Vec::new();
        for rows in rows.chunk_by(|&a, &b| (a == u32::MAX) == (b == u32::MAX)) {
            if rows[0] == u32::MAX {
                rows.iter().for_each(|_| out.extend_from_slice(none));
            } else {
                read(rows, &mut out)?;
            }
        }
        Ok(out)
    };
    let make = |rows: &[u32]| rows.par_chunks(BLOCK).map(read).collect::<Result<Vec<Vec<T>>>>();
    ctx.make_ahead(rows.chunks(wave(ctx, width * T::WIDTH)), make, |blocks| {
        blocks.iter().try_for_each(|block| take(block))
    })
}

/// Rows of a set, divided into lists. Memory: 12 bytes a row with a vector, an eighth of the memory
/// bound at most for those that are worked on, and 4 · probes bytes a row, which are on disk where
/// they take more than another eighth.
pub struct Division<'a> {
    ctx: &'a Ctx,
    set: &'a VectorSet,
    probes: usize,
    /// The rows with a vector of each list.
    lists: Offsets,
    /// These rows in the order of lists, and their places among those with a vector.
    rows: Vec<u32>,
    places: Vec<u32>,
    /// The `probes` lists nearest to each row with a vector, its own first.
    nearest: Stored<u32>,
}

impl<'a> Division<'a> {
    /// Divides all rows of `set`. Progress is counted in rows with centroids that each is compared
    /// with.
    ///
    /// Errors: `CANCELLED`, those of reading and writing.
    pub fn of(
        ctx: &'a Ctx,
        set: &'a VectorSet,
        centroids: &Centroids,
        probes: usize,
        scratch: Option<&Path>,
    ) -> Result<Division<'a>> {
        let present = set.present();
        let mut nearest = Space { ctx, scratch }.column("nearest");
        let mut own = Vec::with_capacity(present.len());
        let make = |rows: &[u32]| {
            let pick = |range: Range<usize>, out: &mut Vec<i16>| set.pick(&rows[range], out);
            centroids.nearest(ctx, rows.len(), pick, probes)
        };
        ctx.make_ahead(present.chunks(wave(ctx, 4 * probes)), make, |of_block| {
            own.extend(of_block.chunks(probes).map(|nearest| nearest[0]));
            nearest.push(&of_block)
        })?;
        let own = own.iter().map(|&list| list as usize);
        let (lists, places) = Offsets::sort(centroids.lists(), own.zip(0u32..));
        let rows = places.iter().map(|&place| present[place as usize]).collect();
        Ok(Division { ctx, set, probes, lists, rows, places, nearest: nearest.finish()? })
    }

    /// Where each list ends, in rows.
    pub fn lists(&self) -> &Offsets {
        &self.lists
    }

    /// The rows in the order of lists.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Gives the lists nearest to each row to `take`, in the order of lists: `probes` numbers a
    /// row.
    pub fn nearest(&self, take: &mut (dyn FnMut(&[u32]) -> Result<()> + Send)) -> Result<()> {
        let read = |rows: &[u32], out: &mut Vec<u32>| pick(&self.nearest, self.probes, rows, out);
        in_order(self.ctx, read, self.probes, &self.places, &[], take)
    }

    /// Gives the vectors to `take`, in the order of lists.
    pub fn vectors(&self, take: &mut (dyn FnMut(&[i16]) -> Result<()> + Send)) -> Result<()> {
        let read = |rows: &[u32], out: &mut Vec<i16>| self.set.pick(rows, out);
        in_order(self.ctx, read, self.set.dims(), &self.rows, &[], take)
    }
}

/// The checksums of the lists of a column, whose rows are given in order.
pub struct ListSums<'a> {
    lists: &'a Offsets,
    width: usize,
    list: usize,
    /// Elements of the list that are still to come.
    rest: usize,
    hash: Xxh3Default,
    sums: Vec<u64>,
}

impl<'a> ListSums<'a> {
    /// Of lists of rows of `width` elements.
    pub fn new(lists: &'a Offsets, width: usize) -> ListSums<'a> {
        let hash = Xxh3Default::new();
        let mut sums = ListSums { lists, width, list: 0, rest: 0, hash, sums: Vec::new() };
        sums.begin();
        sums
    }

    /// Begins the next list that has elements.
    fn begin(&mut self) {
        while self.list < self.lists.len() {
            self.rest = self.lists.range(self.list).len() * self.width;
            if self.rest > 0 {
                return;
            }
            self.end();
        }
    }

    fn end(&mut self) {
        self.sums.push(self.hash.digest());
        self.hash.reset();
        self.list += 1;
    }

    /// Takes the next elements.
    pub fn take<T: Scalar>(&mut self, mut elements: &[T]) {
        while !elements.is_empty() && self.list < self.lists.len() {
            let (own, after) = elements.split_at(elements.len().min(self.rest));
            hash_elements(own, &mut self.hash);
            self.rest -= own.len();
            elements = after;
            if self.rest == 0 {
                self.end();
                self.begin();
            }
        }
    }

    /// The checksum of each list.
    pub fn finish(self) -> Vec<u64> {
        self.sums
    }
}

/// The checksums of a part's lists, each column's by list.
struct PartSums {
    rows: Vec<u64>,
    nearest: Vec<u64>,
    vectors: Vec<u64>,
}

/// A part that is read. Costs 8 bytes a list, and 24 where it has checksums.
pub struct Part {
    lists: Offsets,
    /// For each row its number and its owner's.
    rows: Stored<u32>,
    nearest: Stored<u32>,
    vectors: Stored<i16>,
    /// Checksums, and the files, for messages.
    sums: Option<(PartSums, [PathBuf; 3])>,
}

impl Part {
    /// A part of columns that nobody else could have changed.
    pub(crate) fn held(
        lists: Offsets,
        rows: Stored<u32>,
        nearest: Stored<u32>,
        vectors: Stored<i16>,
    ) -> Part {
        Part { lists, rows, nearest, vectors, sums: None }
    }

    /// A part in files: of rows (number and owner), of the lists nearest to each, and of vectors,
    /// in the order of lists; `sums` are the checksums of each column's lists, column after column.
    ///
    /// Errors: `FILE_CORRUPT` where sizes disagree, and those of reading.
    pub fn open(
        lists: Offsets,
        [rows, nearest, vectors]: [PathBuf; 3],
        mut sums: Vec<u64>,
        probes: usize,
        dims: usize,
    ) -> Result<Part> {
        let all = lists.end();
        let misfit = |path: &Path, column: u64, width: usize| {
            let message = format!(
                "{} has {column} numbers for {all} vectors, {width} for each; delete its folder \
                 and run again",
                path.display()
            );
            if column == all * width as u64 { Ok(()) } else { Err(Error::corrupt(path, message)) }
        };
        let (r, n, v) =
            (ArrayFile::open(&rows)?, ArrayFile::open(&nearest)?, ArrayFile::open(&vectors)?);
        misfit(&rows, r.len(), 2)?;
        misfit(&nearest, n.len(), probes)?;
        misfit(&vectors, v.len(), dims)?;
        if sums.len() != 3 * lists.len() {
            let message = format!(
                "{} has no checksums of its lists; delete its folder and run again",
                rows.display()
            );
            return Err(Error::corrupt(&rows, message));
        }
        let last = sums.split_off(2 * lists.len());
        let middle = sums.split_off(lists.len());
        let sums = PartSums { rows: sums, nearest: middle, vectors: last };
        Ok(Part {
            lists,
            rows: Stored::File(r),
            nearest: Stored::File(n),
            vectors: Stored::File(v),
            sums: Some((sums, [rows, nearest, vectors])),
        })
    }
}

/// Consecutive rows of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) part: usize,
    pub(crate) list: usize,
    pub(crate) rows: Range<usize>,
}

/// All parts.
pub struct Divided {
    parts: Vec<Part>,
    pub(crate) dims: usize,
    pub(crate) probes: usize,
    lists: usize,
    rows: u64,
}

impl Divided {
    /// Parts that were divided by the same centroids, in the order of their rows.
    pub fn new(parts: Vec<Part>, dims: usize, probes: usize) -> Divided {
        let lists = parts.iter().map(|part| part.lists.len()).min().unwrap_or(0);
        let rows = parts.iter().map(|part| part.lists.end()).sum();
        Divided { parts, dims, probes, lists, rows }
    }

    /// Number of lists.
    pub fn lists(&self) -> usize {
        self.lists
    }

    /// Rows with a vector.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows of some lists.
    pub fn rows_of(&self, lists: Range<usize>) -> u64 {
        let of_part = |part: &Part| part.lists.begin(lists.end) - part.lists.begin(lists.start);
        self.parts.iter().map(of_part).sum()
    }

    /// Rows that one is compared with, on average.
    pub(crate) fn compared(&self) -> u64 {
        self.probes as u64 * self.rows / self.lists.max(1) as u64
    }

    /// The runs of the rows of a list, in the order of parts.
    pub(crate) fn runs(&self, list: usize) -> impl Iterator<Item = Run> + '_ {
        let run =
            move |(part, own): (usize, &Part)| Run { part, list, rows: own.lists.range(list) };
        self.parts.iter().enumerate().map(run).filter(|run| !run.rows.is_empty())
    }

    /// Number and owner of each row of some runs.
    pub(crate) fn numbers<'b>(
        &'b self,
        runs: &[Run],
        buffer: &'b mut Vec<u32>,
    ) -> Result<&'b [u32]> {
        gather(&self.parts, |part| &part.rows, 2, runs, buffer)
    }

    /// The lists nearest to each row of some runs.
    pub(crate) fn nearest<'b>(
        &'b self,
        runs: &[Run],
        buffer: &'b mut Vec<u32>,
    ) -> Result<&'b [u32]> {
        gather(&self.parts, |part| &part.nearest, self.probes, runs, buffer)
    }

    /// The vectors of some runs.
    pub(crate) fn vectors<'b>(
        &'b self,
        runs: &[Run],
        buffer: &'b mut Vec<i16>,
    ) -> Result<&'b [i16]> {
        gather(&self.parts, |part| &part.vectors, self.dims, runs, buffer)
    }

    /// Compares the checksums of the lists nearest to the rows of some lists, which are read in
    /// parts later.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub(crate) fn check_nearest(&self, ctx: &Ctx, lists: Range<usize>) -> Result<()> {
        let check = |list: usize| -> Result<()> {
            ctx.cancel.check()?;
            let (mut check, mut buffer) = (Check::default(), Vec::new());
            for run in self.runs(list) {
                for run in cut(run, BLOCK) {
                    let nearest = self.nearest(std::slice::from_ref(&run), &mut buffer)?;
                    check.take(self, &run, Column::Nearest, nearest)?;
                }
            }
            Ok(())
        };
        if self.parts.iter().all(|part| part.sums.is_none()) {
            return Ok(());
        }
        ctx.pool.install(|| lists.into_par_iter().try_for_each(check))
    }
}

/// Parts of a run of at most `most` rows.
pub(crate) fn cut(run: Run, most: usize) -> impl Iterator<Item = Run> {
    let Run { part, list, rows } = run;
    rows.clone().step_by(most).map(move |start| Run {
        part,
        list,
        rows: start..rows.end.min(start + most),
    })
}

/// The rows of some runs of a column, in `buffer` unless they are held and follow each other.
fn gather<'b, T: Scalar>(
    parts: &'b [Part],
    column: impl Fn(&Part) -> &Stored<T>,
    width: usize,
    runs: &[Run],
    buffer: &'b mut Vec<T>,
) -> Result<&'b [T]> {
    if let [run] = runs {
        return read(column(&parts[run.part]), width, run.rows.clone(), buffer);
    }
    buffer.clear();
    for run in runs {
        let range = (run.rows.start * width) as u64..(run.rows.end * width) as u64;
        column(&parts[run.part]).append(range, buffer)?;
    }
    Ok(buffer)
}

#[derive(Clone, Copy)]
pub(crate) enum Column {
    Rows,
    Nearest,
    Vectors,
}

/// Compares the checksum of a list of a part, whose rows are given in order.
#[derive(Default)]
pub(crate) struct Check(Xxh3Default);

impl Check {
    /// Takes the elements of a run.
    ///
    /// Errors: `FILE_CORRUPT` at the end of a list that differs.
    pub(crate) fn take<T: Scalar>(
        &mut self,
        divided: &Divided,
        run: &Run,
        column: Column,
        elements: &[T],
    ) -> Result<()> {
        let part = &divided.parts[run.part];
        let Some((sums, paths)) = &part.sums else { return Ok(()) };
        hash_elements(elements, &mut self.0);
        if run.rows.end == part.lists.range(run.list).end {
            let (sums, path) = match column {
                Column::Rows => (&sums.rows, &paths[0]),
                Column::Nearest => (&sums.nearest, &paths[1]),
                Column::Vectors => (&sums.vectors, &paths[2]),
            };
            if sums[run.list] != self.0.digest() {
                let message = format!(
                    "{}: list {} does not match its checksum; delete its folder and run again",
                    path.display(),
                    run.list
                );
                return Err(Error::corrupt(path, message));
            }
            self.0.reset();
        }
        Ok(())
    }
}
