//! Vectors: of all documents, or of all their chunks, in fixed point, in columns of about a million
//! rows. Counts of words are weighed and projected here, where it is known how many documents have
//! a word; what a model gave is put together; what a file holds is read.
//!
//! Costs 12 bytes a document or chunk for the choice of the sample, and 8 bytes a word of each
//! document of the sample.

use std::ops::Range;
use std::path::PathBuf;

use longweave_common::random::{Key, draw, lowest};
use longweave_common::{Code, Error, ProgressSink};
use longweave_corpus::{VectorRow, VectorRows};
use longweave_neighbours::{Counts, Npy, Projection, VectorSet, Vectors, Weights};
use longweave_run::{Counts as _, VectorSource};
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, read_array};
use rayon::prelude::*;

use crate::documents::{DOCUMENTS, Documents};
use crate::embed::{EMBED, EmbedCounts, Terms, chunks, model_vectors};
use crate::prelude::*;
use crate::scan;

/// Rounds of subspace iteration: more made no difference on 20 Newsgroups.
const ITERATIONS: usize = 3;
/// Units that are projected at once.
const BLOCK: usize = 8192;
/// Vectors do not depend on the run's seed, so that runs with other seeds share them.
const SEED: u64 = 0;
/// Rows of a part, and parts at most: each is divided into lists by a task of its own.
const PART: u64 = 1 << 20;
const MOST_PARTS: u64 = 256;

/// Counts of the task, in its done record.
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
        vec![DOCUMENTS, EMBED]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_vectors()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let vectors = &file.options.vectors;
        match vectors.source {
            VectorSource::Tfidf => {
                json!({ "dimensions": vectors.dimensions, "sample": vectors.sample })
            }
            VectorSource::Onnx => json!({}),
            VectorSource::File => json!({ "file": file.input("vectors") }),
        }
    }

    fn units(&self, run: &RunContext, _tasks: &[u32]) -> Result<u64> {
        count_units(run)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(facts.units * run.options().vector_bytes())
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        facts.units * 40.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let mut column = Column::create(ctx, run)?;
        let dims = match run.options().vectors.source {
            VectorSource::Tfidf => project(ctx, run, &mut column)?,
            VectorSource::Onnx => gather(run, &mut column)?,
            VectorSource::File => read(ctx, run, &mut column)?,
        };
        let expected = count_units(run)?;
        let Column { rows, none, .. } = column;
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

impl longweave_run::Counts for VectorCounts {
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
    fn create<'a>(ctx: &'a Ctx, run: &RunContext) -> Result<Column<'a>> {
        let directory = run.directory(VECTORS);
        Ok(Column {
            size: part_rows(count_units(run)?),
            writer: ArrayWriter::create(&directory.join(name(0)))?,
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
                let next = ArrayWriter::create(&self.directory.join(name(part)))?;
                let sealed = std::mem::replace(&mut self.writer, next).commit()?;
                self.files.push(FileRecord::new(name(part - 1), sealed));
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
        self.files.push(FileRecord::new(name(self.files.len() as u64), sealed));
        Ok(self.files)
    }
}

fn name(part: u64) -> String {
    format!("{part:05}.vectors")
}

/// Rows of each part but the last.
fn part_rows(rows: u64) -> u64 {
    rows.div_ceil(rows.div_ceil(PART).clamp(1, MOST_PARTS)).max(1)
}

/// The rows of each part of a finished stage.
pub fn parts(run: &RunContext) -> Result<Vec<Range<u64>>> {
    let VectorCounts { vectors, zero_vectors, .. } = run.counts(0)?;
    let rows = vectors + zero_vectors;
    let size = part_rows(rows);
    Ok((0..rows.max(1)).step_by(size as usize).map(|start| start..rows.min(start + size)).collect())
}

/// Numbers of a vector of a finished stage.
pub fn dimensions(run: &RunContext) -> Result<usize> {
    let VectorCounts { dimensions, .. } = run.counts(0)?;
    Ok(dimensions as usize)
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

fn project(ctx: &Ctx, run: &RunContext, column: &mut Column<'_>) -> Result<usize> {
    let options = &run.options().vectors;
    let splits = (0..run.all_done(EMBED)?.len() as u32)
        .map(|task| Terms::open(run, task))
        .collect::<Result<Vec<_>>>()?;
    let mut document_frequency =
        vec![0u32; splits.first().map_or(0, |s| s.document_frequency.len())];
    for split in &splits {
        document_frequency
            .iter_mut()
            .zip(&split.document_frequency)
            .for_each(|(all, own)| *all += own);
    }
    let all = splits.iter().map(|s| s.units() as u64).sum();
    let weights = Weights::new(&document_frequency, all);
    let mut sample = Counts::default();
    for (split, units) in sampled(run, &splits, options.sample as usize)? {
        for unit in units {
            sample.push(&splits[split].read(unit..unit + 1)?[0]);
        }
    }
    let dims = options.dimensions as usize;
    let projection = Projection::fit(ctx, &sample, &weights, dims, ITERATIONS, SEED)?;
    drop(sample);
    for split in &splits {
        let mut start = 0;
        while start < split.units() {
            ctx.cancel.check()?;
            let end = (start + BLOCK).min(split.units());
            let rows = split.read(start..end)?;
            let part = |rows: &[Vec<(u32, u32)>]| {
                let mut vectors = Vectors::with_capacity(dims, rows.len());
                let mut vector = Vec::new();
                for row in rows {
                    vector.clear();
                    projection.project(&weights, row, &mut vector);
                    vectors.push(&vector);
                }
                vectors
            };
            let made: Vec<Vectors> = ctx.pool.install(|| rows.par_chunks(256).map(part).collect());
            for vectors in made {
                column.push(vectors.data(), dims)?;
            }
            start = end;
        }
    }
    Ok(dims)
}

/// Units of the sample by split, rising: those of the lowest draws, keyed by the document and the
/// unit's place in it.
fn sampled(run: &RunContext, splits: &[Terms], number: usize) -> Result<Vec<(usize, Vec<usize>)>> {
    let documents = Documents::read(run, false)?;
    let counts = if run.options().chunk_chars().is_some() { Some(chunks(run)?.0) } else { None };
    let mut draws: Vec<(u64, u32)> = Vec::new();
    let mut unit = 0;
    for (doc, (&key, &len)) in documents.keys.iter().zip(&documents.lens).enumerate() {
        let own = counts.as_ref().map_or(1, |counts| counts[doc]);
        // A document without a token has no say, but keeps its place.
        if len > 0 {
            draws
                .extend((0..own).map(|n| (draw(SEED, "sample", Key(key), u64::from(n)), unit + n)));
        }
        unit += own;
    }
    let mut chosen = lowest(draws, number);
    chosen.sort_unstable();
    let mut first = 0;
    let mut sample = Vec::new();
    for (number, split) in splits.iter().enumerate() {
        let end = first + split.units();
        let own = chosen
            .iter()
            .map(|&unit| unit as usize)
            .filter(|unit| (first..end).contains(unit))
            .map(|unit| unit - first)
            .collect();
        sample.push((number, own));
        first = end;
    }
    Ok(sample)
}

fn gather(run: &RunContext, column: &mut Column<'_>) -> Result<usize> {
    let mut dims = 0;
    for (task, counts) in (0..).zip(run.all_counts::<EmbedCounts>()?) {
        let own = counts.dimensions.unwrap_or(0) as usize;
        let vectors = model_vectors(run, task)?;
        if own == 0 || (dims != 0 && own != dims) || vectors.len() % own != 0 {
            let message = format!(
                "task {task} of stage embed made vectors of {own} numbers, others of {dims}; \
                 delete its folder and run again"
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        dims = own;
        column.push(&vectors, dims)?;
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
    let documents = Documents::read(run, false)?;
    let mut by_key: Vec<(u128, u32)> = documents
        .keys
        .iter()
        .copied()
        .zip(0..)
        .filter(|&(_, doc)| documents.lens[doc as usize] > 0)
        .collect();
    ctx.pool.install(|| by_key.par_sort_unstable());
    let mut rows = VectorRows::open(&path)?;
    let (mut vectors, mut place) =
        (Vectors::with_capacity(1, 0), vec![u32::MAX; documents.keys.len()]);
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
