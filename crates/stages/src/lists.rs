//! Lists: divides a part of the vectors into the lists of the centroids nearest to them, so that
//! the search reads a list at once; and compares the part with the sample.
//!
//! Files, `NNNNN` the part: `NNNNN.ends` (u64 by list, in vectors), and in the order of lists
//! `NNNNN.rows` (u32: number and owner of each vector), `NNNNN.nearest` (u32: the lists nearest to
//! each), `NNNNN.vectors` (i16); `NNNNN.sums` (u64: the checksums of each list's rows, then of its
//! nearest, then of its vectors); `NNNNN.exact` (u64: the best of the part for each vector of the
//! sample).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Error, Offsets};
use longweave_neighbours::{Divided, Division, ListSums, Part, best_of, counted_in_rows};
use longweave_plan::Chunks;
use longweave_storage::{ArrayWriter, FileRecord, Scalar, read_array, read_offsets, write_array};

use crate::centroids::{CENTROIDS, CentroidCounts, OpenCentroids, UsedSearch, will_compare_all};
use crate::embed::EMBED;
use crate::owners::NeighbourChunks;
use crate::prelude::*;
use crate::vectors::{self, VECTORS};

/// Rows that are written at once.
const BLOCK: usize = 8192;

/// The counts in a task's done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ListCounts {
    /// Vectors of the part.
    vectors: u64,
}

pub const LISTS: Stage =
    Stage::new("lists", "Dividing vectors into lists", ProgressUnit::Vectors, 1, &ListsStage);

struct ListsStage;

impl StageSpec for ListsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![EMBED, VECTORS, CENTROIDS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.neighbour_depth().is_some()
    }

    fn identity(&self, file: &RunFile) -> Value {
        // Exact lists of the sample are as long as those that are sought.
        json!({ "k": file.options.neighbour_depth() })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(match run.counts::<CentroidCounts>(0)?.search {
            UsedSearch::Exact => 0,
            UsedSearch::Inverted => vectors::parts(run)?.len() as u32,
        }))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let parts = vectors::parts(run)?;
        Ok(tasks.iter().map(|&task| rows_of(&parts, task)).sum())
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let options = run.options();
        if will_compare_all(run.options(), facts.units) {
            return Ok(0.0);
        }
        let probes = options.neighbours.probes.unwrap_or(longweave_neighbours::DEFAULT_PROBES);
        Ok(facts.units * (options.vector_bytes() + 8.0 + 4.0 * f64::from(probes)))
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        // The rows of a part in two orders; four parts at once, as memory is reserved.
        facts.units.min(4.0 * vectors::PART as f64) * 16.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        // Rows that are worked on, and the lists nearest to each.
        let _held = ctx.budget.reserve(ctx.budget.limit() / 4, &ctx.cancel)?;
        let open = OpenCentroids::of(run)?;
        let CentroidCounts { probes, .. } = run.counts(0)?;
        let probes = probes as usize;
        let rows = vectors::parts(run)?[task as usize].clone();
        let chunks = NeighbourChunks::open(run)?;
        let owners = chunks.0.as_ref().map(Chunks::owners);
        let owners = owners.map(|owners| &owners[rows.start as usize..rows.end as usize]);
        let (first, part) = (rows.start as u32, task as usize..task as usize + 1);
        let set = vectors::open_parts(ctx, run, part)?;
        let names = PartNames::of(run, task);
        let lists = open.centroids.lists() as u64;
        let counted = counted_in_rows(ctx, lists);
        let directory = run.directory(LISTS);
        let division = Division::of(&counted, &set, &open.centroids, probes, Some(&directory))?;
        ctx.progress.advance(set.rows() as u64 - set.present().len() as u64);
        let write = || {
            let lists = division.lists();
            let mut rows = SummedColumn::create(&names.rows, lists, 2)?;
            for some in division.rows().chunks(BLOCK) {
                let number = |&row: &u32| {
                    let number = first + row;
                    [number, owners.map_or(number, |owners| owners[row as usize])]
                };
                rows.push(&some.iter().flat_map(number).collect::<Vec<u32>>())?;
            }
            let mut nearest = SummedColumn::create(&names.nearest, lists, probes)?;
            division.nearest(&mut |some| nearest.push(some))?;
            let mut vectors = SummedColumn::create(&names.vectors, lists, set.dims())?;
            division.vectors(&mut |some| vectors.push(some))?;
            let columns = [
                rows.commit(&names.rows)?,
                nearest.commit(&names.nearest)?,
                vectors.commit(&names.vectors)?,
            ];
            let sums = columns.iter().flat_map(|(_, sums)| sums).copied().collect::<Vec<u64>>();
            let mut files = vec![
                FileRecord::at(&names.ends, write_array(&names.ends, lists.ends())?),
                FileRecord::at(&names.sums, write_array(&names.sums, &sums)?),
            ];
            files.extend(columns.into_iter().map(|(file, _)| file));
            Ok(files)
        };
        let k = run.options().neighbour_depth().unwrap_or(1) as usize;
        // One thread writes while the others compare.
        let compare = || open.sample.nearest_in(ctx, &set, first, owners, k);
        let (written, exact) = ctx.pool.install(|| rayon::join(write, compare));
        let (mut files, exact): (Vec<FileRecord>, _) = (written?, exact?);
        files.push(FileRecord::at(&names.exact, write_array(&names.exact, &exact)?));
        ListCounts { vectors: division.rows().len() as u64 }.done(files)
    }

    fn reopen(&self, run: &RunContext, _task: u32) {
        if let Some(open) = run.shared.made::<OpenLists>() {
            *open.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Counts for ListCounts {
    const STAGE: Stage = LISTS;
}

fn rows_of(parts: &[std::ops::Range<u64>], task: u32) -> u64 {
    parts.get(task as usize).map_or(0, |rows| rows.end - rows.start)
}

/// A column that is written with the checksums of its lists.
struct SummedColumn<'a, T> {
    writer: ArrayWriter<T>,
    sums: ListSums<'a>,
}

impl<'a, T: Scalar> SummedColumn<'a, T> {
    fn create(path: &Path, lists: &'a Offsets, width: usize) -> Result<SummedColumn<'a, T>> {
        Ok(SummedColumn { writer: ArrayWriter::create(path)?, sums: ListSums::new(lists, width) })
    }

    fn push(&mut self, elements: &[T]) -> Result<()> {
        rayon::join(|| self.sums.take(elements), || self.writer.push(elements)).1
    }

    fn commit(self, path: &Path) -> Result<(FileRecord, Vec<u64>)> {
        Ok((FileRecord::at(path, self.writer.commit()?), self.sums.finish()))
    }
}

/// The files of a part.
struct PartNames {
    ends: PathBuf,
    rows: PathBuf,
    nearest: PathBuf,
    vectors: PathBuf,
    sums: PathBuf,
    exact: PathBuf,
}

impl PartNames {
    fn of(run: &RunContext, part: u32) -> PartNames {
        let directory = run.directory(LISTS);
        let name = |kind: &str| directory.join(format!("{part:05}.{kind}"));
        PartNames {
            ends: name("ends"),
            rows: name("rows"),
            nearest: name("nearest"),
            vectors: name("vectors"),
            sums: name("sums"),
            exact: name("exact"),
        }
    }
}

/// The lists of a finished stage, until one of its tasks is repeated.
#[derive(Default)]
struct OpenLists(Mutex<Option<Arc<Divided>>>);

/// The lists of a finished stage. Costs 32 bytes a list and part.
pub(crate) fn open(run: &RunContext) -> Result<Arc<Divided>> {
    let shared = run.shared.get(|| Ok(OpenLists::default()))?;
    let mut held = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(divided) = &*held {
        return Ok(Arc::clone(divided));
    }
    let CentroidCounts { probes, lists: all, .. } = run.counts(0)?;
    let (probes, dims) = (probes as usize, vectors::dimensions(run)?);
    let open = |part: u32| -> Result<Part> {
        let names = PartNames::of(run, part);
        let (lists, sums) = (read_offsets(&names.ends)?, read_array(&names.sums)?);
        if lists.len() as u64 != all {
            let message = format!(
                "{} has {} lists, but there are {all} centroids; delete its folder and run again",
                names.ends.display(),
                lists.len()
            );
            return Err(Error::corrupt(&names.ends, message));
        }
        Part::open(lists, [names.rows, names.nearest, names.vectors], sums, probes, dims)
    };
    let parts = (0..vectors::parts(run)?.len() as u32).map(open).collect::<Result<_>>()?;
    let divided = Arc::new(Divided::new(parts, dims, probes));
    *held = Some(Arc::clone(&divided));
    Ok(divided)
}

/// The exact lists of the vectors of the sample, `k` places at most.
pub(crate) fn exact(run: &RunContext, k: usize) -> Result<Vec<Vec<u32>>> {
    let rows = OpenCentroids::of(run)?.sample.rows().count();
    let mut found: Vec<Vec<u64>> = vec![Vec::new(); rows];
    for part in 0..vectors::parts(run)?.len() as u32 {
        let best = read_array::<u64>(&PartNames::of(run, part).exact)?;
        found.iter_mut().zip(best.chunks_exact(k)).for_each(|(all, own)| all.extend(own));
    }
    Ok(found.iter().map(|found| best_of(k, found)).collect())
}
