//! Neighbours: the nearest of each document, or of each chunk, by the similarity of their vectors;
//! and the beginnings of documents' texts, where the planner compares them. A task searches for the
//! vectors of some lists, or of some rows where all pairs are compared.
//!
//! Files, `NNNNN` the task: `NNNNN.rows` (u32: the vectors that it searched for), `NNNNN.ids` (u32)
//! and `NNNNN.similarities` (i32), `k` places for each; `NNNNN.heads.arrow`, of its share of the
//! documents.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{DocId, ProgressSink};
use longweave_neighbours::{Query, Recall, Search, VectorSet, nearest_of_lists, nearest_of_rows};
use longweave_plan::{Chunks, Heads};
use longweave_storage::{ArrayWriter, FileRecord, StringTable, StringTableWriter, read_strings};
use rayon::prelude::*;

use crate::centroids::{CENTROIDS, CentroidCounts, OpenCentroids, UsedSearch};
use crate::documents::DOCUMENTS;
use crate::embed::EMBED;
use crate::ingest::{self, INGEST};
use crate::lists::{self, LISTS};
use crate::owners::{NeighbourChunks, SEED};
use crate::prelude::*;
use crate::scan;
use crate::vectors::{self, VECTORS};

/// Characters of a head, and tokens that it is decoded from.
const HEAD: usize = 100;
const HEAD_TOKENS: u32 = 400;
/// Documents whose heads are made at once.
const HEADS: u32 = 16_384;
/// Vectors of a task, about: where all pairs are compared, and where lists are searched. And tasks
/// at most.
const EXACT: u64 = 1 << 12;
const INVERTED: u64 = 1 << 16;
const MOST: u64 = 4096;

/// The counts in a task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeighbourCounts {
    /// Neighbours of each vector at most.
    pub k: u32,
    /// Neighbours found.
    pub found: u64,
    /// Of `inverted`: vectors whose exact lists were made too; neighbours in these; those of them
    /// that were found.
    pub sampled: u64,
    pub expected: u64,
    pub recalled: u64,
}

pub const NEIGHBOURS: Stage =
    Stage::new("neighbours", "Finding neighbours", ProgressUnit::Vectors, 2, &NeighboursStage);

struct NeighboursStage;

impl StageSpec for NeighboursStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, DOCUMENTS, EMBED, VECTORS, CENTROIDS, LISTS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.neighbour_depth().is_some()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let options = &file.options;
        json!({
            "k": options.neighbour_depth(), "heads": options.needs_heads(),
            "version": longweave_neighbours::VERSION,
        })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        let CentroidCounts { search, vectors, lists, .. } = run.counts(0)?;
        let tasks = match search {
            UsedSearch::Exact => vectors::count_units(run)?.div_ceil(EXACT).max(1),
            UsedSearch::Inverted => vectors.div_ceil(INVERTED).min(lists).clamp(1, MOST),
        };
        Ok(Some(u32::try_from(tasks).unwrap_or(u32::MAX)))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let (units, all) = (vectors::count_units(run)?, count(run)?);
        Ok(tasks.iter().map(|&task| share(units, task, all)).map(|own| own.end - own.start).sum())
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let options = run.options();
        let heads = if options.needs_heads() { facts.rows * 110.0 } else { 0.0 };
        Ok(facts.units * (4.0 + 8.0 * f64::from(options.neighbour_depth().unwrap_or(0))) + heads)
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        // Places and checksums of the lists of each part.
        let parts = vectors::part_count(facts.units as u64) as f64;
        4.0 * facts.units.sqrt() * parts * 32.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let k = run.options().neighbour_depth().unwrap_or(1);
        let all = count(run)?;
        let units = share(vectors::count_units(run)?, task, all);
        let mut found = Found::create(run, task, k)?;
        let recall = match run.counts::<CentroidCounts>(0)?.search {
            UsedSearch::Exact => {
                compare_all(ctx, run, units.start as u32..units.end as u32, &mut found)?;
                Recall::default()
            }
            UsedSearch::Inverted => {
                let progress = Arc::new(Progress::new(ctx, units.end - units.start));
                let counted = ctx.with_progress(progress.clone());
                let recall = look(&counted, run, task, all, &progress, &mut found)?;
                progress.finish();
                recall
            }
        };
        ctx.cancel.check()?;
        let counts = NeighbourCounts {
            k,
            found: found.found,
            sampled: recall.sampled,
            expected: recall.expected,
            recalled: recall.found,
        };
        let mut files = found.commit()?;
        if run.options().needs_heads() {
            let own = share(u64::from(scan::rows(run)?.total()), task, all);
            files.push(write_heads(ctx, run, task, own.start as u32..own.end as u32)?);
        }
        counts.done(files)
    }
}

impl Counts for NeighbourCounts {
    const STAGE: Stage = NEIGHBOURS;
}

/// Tasks of the stage.
pub(crate) fn count(run: &RunContext) -> Result<u32> {
    Ok(NeighboursStage.tasks(run)?.unwrap_or(1))
}

/// A task's share of some things in order.
pub(crate) fn share(things: u64, task: u32, tasks: u32) -> Range<u64> {
    let before =
        |task: u64| (u128::from(things) * u128::from(task) / u128::from(tasks.max(1))) as u64;
    before(task.into())..before(u64::from(task) + 1)
}

/// Progress of a task in vectors: it counts as its share of all, however many its lists have.
struct Progress {
    outer: Arc<dyn ProgressSink>,
    share: u64,
    /// Vectors of its lists, those that are done, and those reported.
    own: AtomicU64,
    done: AtomicU64,
    reported: AtomicU64,
}

impl Progress {
    fn new(ctx: &Ctx, share: u64) -> Progress {
        let [own, done, reported] = [1, 0, 0].map(AtomicU64::new);
        Progress { outer: Arc::clone(&ctx.progress), share, own, done, reported }
    }

    fn report(&self, units: u64) {
        let before = self.reported.fetch_max(units, Ordering::Relaxed);
        self.outer.advance(units.saturating_sub(before));
    }

    fn finish(&self) {
        self.report(self.share);
    }
}

impl ProgressSink for Progress {
    fn advance(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        let own = self.own.load(Ordering::Relaxed).max(1);
        self.report((u128::from(done.min(own)) * u128::from(self.share) / u128::from(own)) as u64);
    }
}

/// The files of a task.
struct Found {
    prefix: PathBuf,
    rows: ArrayWriter<u32>,
    ids: ArrayWriter<u32>,
    similarities: ArrayWriter<i32>,
    found: u64,
    k: usize,
}

/// The files of a task's lists.
pub(crate) fn names(run: &RunContext, task: u32) -> [PathBuf; 3] {
    let directory = run.directory(NEIGHBOURS);
    ["rows", "ids", "similarities"].map(|kind| directory.join(format!("{task:05}.{kind}")))
}

fn heads_name(run: &RunContext, task: u32) -> PathBuf {
    run.directory(NEIGHBOURS).join(format!("{task:05}.heads.arrow"))
}

impl Found {
    fn create(run: &RunContext, task: u32, k: u32) -> Result<Found> {
        let [rows, ids, similarities] = names(run, task);
        Ok(Found {
            rows: ArrayWriter::create(&rows)?,
            ids: ArrayWriter::create(&ids)?,
            similarities: ArrayWriter::create(&similarities)?,
            prefix: rows,
            found: 0,
            k: k as usize,
        })
    }

    /// Takes the lists of some rows.
    fn push(&mut self, rows: &[u32], ids: &[u32], similarities: &[i32]) -> Result<()> {
        self.found += ids.iter().filter(|&&id| id != u32::MAX).count() as u64;
        self.rows.push(rows)?;
        self.ids.push(ids)?;
        self.similarities.push(similarities)
    }

    fn commit(self) -> Result<Vec<FileRecord>> {
        let at = |kind: &str| self.prefix.with_extension(kind);
        let (ids, similarities) = (at("ids"), at("similarities"));
        Ok(vec![
            FileRecord::at(&self.prefix, self.rows.commit()?),
            FileRecord::at(&ids, self.ids.commit()?),
            FileRecord::at(&similarities, self.similarities.commit()?),
        ])
    }
}

/// All vectors, as tasks of a process share them.
struct AllVectors(VectorSet);

/// Compares some rows with all.
fn compare_all(ctx: &Ctx, run: &RunContext, rows: Range<u32>, found: &mut Found) -> Result<()> {
    let set = run
        .shared
        .get(|| vectors::open_parts(ctx, run, 0..vectors::parts(run)?.len()).map(AllVectors))?;
    let chunks = NeighbourChunks::open(run)?;
    let owners = chunks.0.as_ref().map(Chunks::owners);
    let k = found.k;
    let query = Query { vectors: &set.0, owners, k, search: Search::Exact, seed: SEED };
    let mut at = rows.start;
    nearest_of_rows(ctx, &query, rows, |ids, similarities| {
        let rows: Vec<u32> = (at..).take(ids.len() / k).collect();
        at += rows.len() as u32;
        found.push(&rows, ids, similarities)
    })
}

/// Searches for the rows of the task's lists.
fn look(
    ctx: &Ctx,
    run: &RunContext,
    task: u32,
    tasks: u32,
    progress: &Progress,
    found: &mut Found,
) -> Result<Recall> {
    let (divided, sample) = (lists::open(run)?, OpenCentroids::of(run)?);
    let sampled: Vec<u32> = sample.sample.rows().collect();
    let own = share(divided.lists() as u64, task, tasks);
    let own = own.start as usize..own.end as usize;
    progress.own.store(divided.rows_of(own.clone()).max(1), Ordering::Relaxed);
    let k = found.k;
    let exact = if sampled.is_empty() { Vec::new() } else { lists::exact(run, k)? };
    let mut recall = Recall::default();
    nearest_of_lists(ctx, &divided, own, k, tasks as usize, |rows, ids, similarities| {
        for (row, ids) in rows.iter().zip(ids.chunks_exact(k)) {
            if let Ok(place) = sampled.binary_search(row) {
                recall.add(&exact[place], ids);
            }
        }
        found.push(rows, ids, similarities)
    })?;
    Ok(recall)
}

fn write_heads(
    ctx: &Ctx,
    run: &RunContext,
    task: u32,
    documents: Range<u32>,
) -> Result<FileRecord> {
    let encoder = run.resources.encoder()?;
    let tokens = ingest::tokens(run)?;
    let path = heads_name(run, task);
    let mut writer = StringTableWriter::create(&path, "head")?;
    let head = |ids: &mut Vec<u32>, doc: u32| -> Result<String> {
        let doc = DocId::new(doc);
        ids.clear();
        tokens.read_into(doc, 0, tokens.len(doc).min(HEAD_TOKENS), ids)?;
        let mut text = encoder.decode(ids)?;
        let end = text.char_indices().nth(HEAD).map_or(text.len(), |(at, _)| at);
        text.truncate(end);
        Ok(text)
    };
    for start in documents.clone().step_by(HEADS as usize) {
        ctx.cancel.check()?;
        let some = start..documents.end.min(start.saturating_add(HEADS));
        let heads: Vec<String> = ctx
            .pool
            .install(|| some.into_par_iter().map_init(Vec::new, head).collect::<Result<_>>())?;
        heads.iter().try_for_each(|head| writer.push(head))?;
    }
    Ok(FileRecord::at(&path, writer.commit()?))
}

/// Beginnings of documents' texts, a table for each share of them.
pub struct HeadTable {
    first: Vec<u32>,
    tables: Vec<StringTable>,
}

impl std::fmt::Debug for HeadTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let heads: usize = self.tables.iter().map(StringTable::len).sum();
        write!(f, "heads of {heads} documents")
    }
}

impl Heads for HeadTable {
    fn head(&self, doc: DocId) -> &str {
        let table = self.first.partition_point(|&first| first <= doc.get()) - 1;
        self.tables[table].get((doc.get() - self.first[table]) as usize)
    }
}

/// The heads of a finished stage; `None` where the method asks for none.
pub fn open_heads(run: &RunContext) -> Result<Option<HeadTable>> {
    if !run.options().needs_heads() {
        return Ok(None);
    }
    let mut heads = HeadTable { first: Vec::new(), tables: Vec::new() };
    let mut first = 0;
    for task in 0..count(run)? {
        let table = read_strings(&heads_name(run, task))?;
        heads.first.push(first);
        first += table.len() as u32;
        heads.tables.push(table);
    }
    Ok(Some(heads))
}
