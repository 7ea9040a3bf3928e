//! Vectors: of all documents, or of all their chunks, in fixed point, in parts of about a million.
//! Counts of words are projected; the vectors that a model gave are put together; those that a file
//! holds are read.

use std::ops::Range;
use std::path::PathBuf;

use longweave_common::random::Key;
use longweave_common::{Code, Error, ProgressSink};
use longweave_corpus::{VectorRow, VectorRows};
use longweave_neighbours::{Npy, VectorSet, Vectors};
use longweave_run::VectorSource;
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, read_array};
use rayon::prelude::*;

use crate::documents::{self, DOCUMENTS};
use crate::embed::{EMBED, EmbedCounts, Terms, model_vectors};
use crate::prelude::*;
use crate::projection::{OpenProjection, PROJECTION};
use crate::scan;

/// Units that are projected at once.
const BLOCK: usize = 8192;
/// Units that a thread reads at once; divides `BLOCK`.
const READ: usize = 256;
/// Rows of a part, and parts at most: each is divided into lists by a task of its own.
pub(crate) const PART: u64 = 1 << 20;
const MOST_PARTS: u64 = 256;

/// Counts of a task, in its done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VectorCounts {
    /// Units with a vector.
    pub vectors: u64,
    /// Units without one.
    #[serde(rename = "zeroVectors")]
    pub zero_vectors: u64,
    /// Numbers of a vector.
    pub dimensions: u64,
}

pub const VECTORS: Stage =
    Stage::new("vectors", "Making vectors", ProgressUnit::Vectors, 2, &VectorsStage);

struct VectorsStage;

impl StageSpec for VectorsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![DOCUMENTS, EMBED, PROJECTION]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_vectors()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let vectors = &file.options.vectors;
        match vectors.source {
            VectorSource::Tfidf | VectorSource::Onnx => json!({}),
            VectorSource::File => json!({ "file": file.input("vectors") }),
        }
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(match run.options().vectors.source {
            VectorSource::Tfidf | VectorSource::Onnx => parts(run)?.len() as u32,
            // A file is read once.
            VectorSource::File => 1,
        }))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let rows = |&task: &u32| rows_of(run, task).map(|rows| rows.end - rows.start);
        tasks.iter().map(rows).sum()
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(facts.units * run.options().vector_bytes())
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        match run.options().vectors.source {
            VectorSource::Tfidf => {
                // The matrix of the projection.
                let dims = f64::from(run.options().vectors.dimensions);
                longweave_neighbours::FEATURES as f64 * 4.0 * dims
            }
            VectorSource::Onnx => 0.0,
            // A Parquet file is held, and where the vector of each document is.
            VectorSource::File => facts.units * (40.0 + run.options().vector_bytes()),
        }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let rows = rows_of(run, task)?;
        let mut column = Column::create(ctx, run, u64::from(task))?;
        let dims = match run.options().vectors.source {
            VectorSource::Tfidf => project(ctx, run, &rows, &mut column)?,
            VectorSource::Onnx => gather(ctx, run, &rows, &mut column)?,
            VectorSource::File => read(ctx, run, &mut column)?,
        };
        let (expected, rows, none) = (rows.end - rows.start, column.rows, column.none);
        if rows != expected {
            let message = format!(
                "there are {rows} vectors for {expected} documents or chunks; delete the work \
                 directory and run again"
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        (VectorCounts { vectors: rows - none, zero_vectors: none, dimensions: dims as u64 })
            .done(column.finish()?)
    }
}

impl Counts for VectorCounts {
    const STAGE: Stage = VECTORS;
}

/// Documents, or chunks of documents.
pub fn count_units(run: &RunContext) -> Result<u64> {
    match run.options().chunk_chars() {
        Some(_) => Ok(run.all_counts::<EmbedCounts>()?.iter().map(|counts| counts.units).sum()),
        None => Ok(u64::from(scan::rows(run)?.total())),
    }
}

struct Column<'a> {
    directory: PathBuf,
    /// The number of its first part.
    first: u64,
    /// Rows of a part.
    size: u64,
    writer: ArrayWriter<i16>,
    /// The parts before.
    files: Vec<FileRecord>,
    rows: u64,
    /// Rows without a vector.
    none: u64,
    progress: &'a dyn ProgressSink,
}

impl Column<'_> {
    fn create<'a>(ctx: &'a Ctx, run: &RunContext, first: u64) -> Result<Column<'a>> {
        let directory = run.directory(VECTORS);
        Ok(Column {
            size: part_rows(count_units(run)?),
            writer: ArrayWriter::create(&directory.join(name(first)))?,
            first,
            directory,
            files: Vec::new(),
            rows: 0,
            none: 0,
            progress: &*ctx.progress,
        })
    }

    fn push(&mut self, mut rows: &[i16], dims: usize) -> Result<()> {
        self.none +=
            rows.chunks_exact(dims).filter(|row| row.iter().all(|&x| x == 0)).count() as u64;
        while !rows.is_empty() {
            let part = self.rows / self.size;
            if part as usize > self.files.len() {
                let next = ArrayWriter::create(&self.directory.join(name(self.first + part)))?;
                let sealed = std::mem::replace(&mut self.writer, next).commit()?;
                self.files.push(FileRecord::new(name(self.first + part - 1), sealed));
            }
            let room = (self.size * (part + 1) - self.rows) as usize;
            let (own, after) = rows.split_at(rows.len().min(room.saturating_mul(dims)));
            self.writer.push(own)?;
            self.rows += (own.len() / dims) as u64;
            self.progress.advance((own.len() / dims) as u64);
            rows = after;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<FileRecord>> {
        let sealed = self.writer.commit()?;
        let part = self.first + self.files.len() as u64;
        self.files.push(FileRecord::new(name(part), sealed));
        Ok(self.files)
    }
}

fn name(part: u64) -> String {
    format!("{part:05}.vectors")
}

/// Parts of a number of rows.
pub(crate) fn part_count(rows: u64) -> u64 {
    rows.div_ceil(PART).clamp(1, MOST_PARTS)
}

/// Rows of each part but the last.
fn part_rows(rows: u64) -> u64 {
    rows.div_ceil(part_count(rows)).max(1)
}

/// The rows of each part.
pub fn parts(run: &RunContext) -> Result<Vec<Range<u64>>> {
    let rows = count_units(run)?;
    let size = part_rows(rows);
    Ok((0..rows.max(1)).step_by(size as usize).map(|start| start..rows.min(start + size)).collect())
}

/// The rows of a task.
fn rows_of(run: &RunContext, task: u32) -> Result<Range<u64>> {
    Ok(match run.options().vectors.source {
        VectorSource::Tfidf | VectorSource::Onnx => {
            parts(run)?.get(task as usize).cloned().unwrap_or_default()
        }
        VectorSource::File => 0..count_units(run)?,
    })
}

/// The counts of all tasks of a finished stage.
pub fn counted(run: &RunContext) -> Result<VectorCounts> {
    let tasks = run.all_counts::<VectorCounts>()?;
    Ok(VectorCounts {
        vectors: tasks.iter().map(|counts| counts.vectors).sum(),
        zero_vectors: tasks.iter().map(|counts| counts.zero_vectors).sum(),
        dimensions: tasks.first().map_or(0, |counts| counts.dimensions),
    })
}

/// Numbers of a vector of a finished stage.
pub fn dimensions(run: &RunContext) -> Result<usize> {
    Ok(counted(run)?.dimensions as usize)
}

/// The vectors of a finished stage.
pub fn open(run: &RunContext) -> Result<Vectors> {
    let mut data = Vec::new();
    for part in 0..parts(run)?.len() as u64 {
        data.extend(read_array::<i16>(&run.directory(VECTORS).join(name(part)))?);
    }
    Vectors::from_data(dimensions(run)?, data)
}

/// The vectors of some parts of a finished stage, read where they are needed.
pub fn open_parts(ctx: &Ctx, run: &RunContext, parts: Range<usize>) -> Result<VectorSet> {
    let directory = run.directory(VECTORS);
    let open = |part: usize| ArrayFile::open(&directory.join(name(part as u64)));
    VectorSet::open(ctx, dimensions(run)?, parts.map(open).collect::<Result<_>>()?)
}

/// The splits of some rows, with those of each, numbered in the split.
fn splits(run: &RunContext, rows: &Range<u64>) -> Result<Vec<(u32, Range<usize>)>> {
    let units = run.all_counts::<EmbedCounts>()?;
    Ok(overlaps(units.iter().map(|counts| counts.units), rows))
}

fn overlaps(units: impl Iterator<Item = u64>, rows: &Range<u64>) -> Vec<(u32, Range<usize>)> {
    let (mut first, mut splits) = (0, Vec::new());
    for (split, units) in (0..).zip(units) {
        let (start, end) = (rows.start.max(first), rows.end.min(first + units));
        if start < end {
            splits.push((split, (start - first) as usize..(end - first) as usize));
        }
        first += units;
    }
    splits
}

fn project(
    ctx: &Ctx,
    run: &RunContext,
    rows: &Range<u64>,
    column: &mut Column<'_>,
) -> Result<usize> {
    let open = OpenProjection::of(run)?;
    let OpenProjection { weights, projection } = &*open;
    let dims = run.options().vectors.dimensions as usize;
    let project = |rows: &[Vec<(u32, u32)>]| {
        let mut vectors = Vectors::with_capacity(dims, rows.len());
        let mut vector = Vec::new();
        for row in rows {
            projection.project(weights, row, &mut vector);
            vectors.push(&vector);
        }
        vectors
    };
    for (split, units) in splits(run, rows)? {
        let terms = Terms::open(run, split)?;
        let make = |start: usize| -> Result<Vec<Vectors>> {
            let starts = (start..units.end.min(start + BLOCK)).into_par_iter().step_by(READ);
            let read = |start: usize| terms.read(start..units.end.min(start + READ));
            starts.map(|start| Ok(project(&read(start)?))).collect()
        };
        ctx.make_ahead(units.clone().step_by(BLOCK), make, |made| {
            made.iter().try_for_each(|vectors| column.push(vectors.data(), dims))
        })?;
    }
    Ok(dims)
}

fn gather(
    ctx: &Ctx,
    run: &RunContext,
    rows: &Range<u64>,
    column: &mut Column<'_>,
) -> Result<usize> {
    let counts = run.all_counts::<EmbedCounts>()?;
    let dims = counts.iter().find_map(|counts| counts.dimensions).unwrap_or(0) as usize;
    for (task, units) in splits(run, rows)? {
        ctx.cancel.check()?;
        let own = counts[task as usize].dimensions.unwrap_or(0) as usize;
        let vectors = model_vectors(run, task)?;
        let place = units.start * own..units.end * own;
        let Some(vectors) = vectors.get(place).filter(|_| own > 0 && own == dims) else {
            let message = format!(
                "task {task} of stage embed made vectors of {own} numbers, others of {dims}; \
                 delete its folder and run again"
            );
            return Err(Error::new(Code::FileCorrupt, message));
        };
        column.push(vectors, dims)?;
    }
    Ok(dims)
}

fn read(ctx: &Ctx, run: &RunContext, column: &mut Column<'_>) -> Result<usize> {
    let Some(file) = &run.options().vectors.file else {
        return Err(Error::new(Code::Internal, "`vectors.file` is not given"));
    };
    let path = run.resources.path(file);
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        read_npy(ctx, run, path, column)
    } else {
        read_parquet(ctx, run, path, column)
    }
}

fn read_npy(ctx: &Ctx, run: &RunContext, path: PathBuf, column: &mut Column<'_>) -> Result<usize> {
    let mut file = Npy::open(&path)?;
    let (dims, expected) = (file.dims(), count_units(run)?);
    if file.rows() != expected {
        let what = if run.options().chunk_chars().is_some() {
            "chunks of documents"
        } else {
            "rows, empty and rejected ones counted"
        };
        let message = format!(
            "{} holds {} vectors, but the corpus has {expected} {what}; it needs a vector for each",
            path.display(),
            file.rows()
        );
        return Err(Error::new(Code::VectorsInvalid, message)
            .with_file(&path)
            .with("found", file.rows())
            .with("expected", expected));
    }
    let mut numbers = Vec::new();
    loop {
        ctx.cancel.check()?;
        numbers.clear();
        let rows = file.read(BLOCK, &mut numbers)?;
        if rows == 0 {
            return Ok(dims);
        }
        let mut vectors = Vectors::with_capacity(dims, rows);
        numbers.chunks_exact(dims).for_each(|row| vectors.push_f64(row));
        column.push(vectors.data(), dims)?;
    }
}

/// Vectors by id. All are held, 2 bytes a number, because the file's order need not be the corpus'.
fn read_parquet(
    ctx: &Ctx,
    run: &RunContext,
    path: PathBuf,
    column: &mut Column<'_>,
) -> Result<usize> {
    let invalid = |what: String| {
        Error::new(Code::VectorsInvalid, format!("{}: {what}", path.display())).with_file(&path)
    };
    if run.options().chunk_chars().is_some() {
        return Err(invalid(
            "vectors of chunks have no ids; give them as .npy, a row for each chunk in order"
                .into(),
        ));
    }
    let (keys, lens) = (documents::keys(run)?, documents::lens(run)?);
    let by_key = keys.iter().copied().zip(0..);
    let mut by_key: Vec<(u128, u32)> = by_key.filter(|&(_, doc)| lens[doc as usize] > 0).collect();
    ctx.pool.install(|| by_key.par_sort_unstable());
    let mut rows = VectorRows::open(&path)?;
    let (mut vectors, mut place) = (Vectors::with_capacity(1, 0), vec![u32::MAX; keys.len()]);
    let (mut dims, mut found) = (0, 0);
    while let Some(VectorRow { location, id, vector }) = rows.next()? {
        if dims == 0 {
            dims = vector.len();
            vectors = Vectors::with_capacity(dims, by_key.len());
        }
        if vector.len() != dims || dims == 0 {
            let reason = format!(
                "the vector of \"{id}\" has {} numbers, the first row's {dims}",
                vector.len()
            );
            return Err(location.error(
                Code::VectorsInvalid,
                &reason,
                "give every vector the same length",
            ));
        }
        let Ok(at) = by_key.binary_search_by_key(&Key::of(id).0, |&(key, _)| key) else { continue };
        let doc = by_key[at].1 as usize;
        if place[doc] != u32::MAX {
            return Err(location.error(
                Code::VectorsInvalid,
                &format!("the id \"{id}\" occurs a second time"),
                "make ids unique",
            ));
        }
        place[doc] = found;
        found += 1;
        vectors.push_f64(vector);
        if found % 4096 == 0 {
            ctx.cancel.check()?;
        }
    }
    if found == 0 {
        return Err(invalid("none of its ids is in the corpus; check `idField`".into()));
    }
    let none = vec![0; dims];
    for place in place {
        column.push(if place == u32::MAX { &none } else { vectors.row(place as usize) }, dims)?;
    }
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use longweave_common::NoProgress;

    use super::*;

    #[test]
    fn parts_hold_all_rows_in_order_however_they_come() {
        let folder = tempfile::tempdir().unwrap();
        for lengths in [vec![0], vec![3], vec![7], vec![2, 1, 3], vec![1, 9, 2], vec![1; 6]] {
            let mut column = Column {
                directory: folder.path().to_owned(),
                first: 4,
                size: 3,
                writer: ArrayWriter::create(&folder.path().join(name(4))).unwrap(),
                files: Vec::new(),
                rows: 0,
                none: 0,
                progress: &NoProgress,
            };
            let (mut all, mut next) = (Vec::new(), 0i16);
            for length in lengths {
                let rows: Vec<i16> = (next..next + 2 * length).collect();
                next += 2 * length;
                column.push(&rows, 2).unwrap();
                all.extend(rows);
            }
            let files = column.finish().unwrap();
            assert_eq!(files.len(), (all.len() / 2).div_ceil(3).max(1));
            let mut read = Vec::new();
            for (i, file) in files.iter().enumerate() {
                assert_eq!(file.name, name(4 + i as u64));
                let part = read_array::<i16>(&folder.path().join(&file.name)).unwrap();
                assert!(i + 1 == files.len() || part.len() == 6);
                read.extend(part);
            }
            assert_eq!(read, all);
        }
    }

    #[test]
    fn parts_are_at_most_256_and_of_equal_size() {
        for (rows, size) in [(0, 1), (1, 1), (1 << 20, 1 << 20), ((1 << 20) + 1, (1 << 19) + 1)] {
            assert_eq!(part_rows(rows), size, "{rows}");
        }
        assert_eq!(u64::from(u32::MAX).div_ceil(part_rows(u32::MAX.into())), 256);
    }

    #[test]
    fn rows_of_a_part_are_found_in_the_splits_that_have_them() {
        let units = [3, 0, 4, 2];
        let of = |rows: Range<u64>| overlaps(units.into_iter(), &rows);
        assert_eq!(of(0..9), [(0, 0..3), (2, 0..4), (3, 0..2)]);
        assert_eq!(of(2..4), [(0, 2..3), (2, 0..1)]);
        assert_eq!(of(3..7), [(2, 0..4)]);
        assert_eq!(of(5..5), []);
    }
}
