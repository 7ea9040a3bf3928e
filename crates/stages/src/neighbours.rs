//! Neighbours: the nearest of each document, or of each chunk, by the similarity of their vectors;
//! and the beginnings of documents' texts, where the planner compares them.

use longweave_common::DocId;
use longweave_neighbours::{Query, RecallSample, Search, nearest_in_order};
use longweave_plan::{Chunks, Heads, Neighbours};
use longweave_run::SearchName;
use longweave_storage::{
    ArrayWriter, FileRecord, StringTable, StringTableWriter, read_array, read_strings,
};
use ts_rs::TS;

use crate::documents::DOCUMENTS;
use crate::embed::{self, EMBED};
use crate::ingest::{self, INGEST};
use crate::prelude::*;
use crate::scan;
use crate::vectors::{self, VECTORS};

/// Neighbours do not depend on the run's seed, so that runs with other seeds share them.
const SEED: u64 = 0;
/// Characters of a head, and tokens that it is decoded from.
const HEAD: usize = 100;
const HEAD_TOKENS: u32 = 400;

/// The counts in the task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeighbourCounts {
    /// `exact` or `inverted`.
    pub search: UsedSearch,
    /// Vectors that neighbours were looked for, and among.
    pub vectors: u64,
    /// Neighbours of each at most.
    pub k: u32,
    /// Neighbours found.
    pub found: u64,
    /// Of `inverted`: vectors whose exact lists were made too; neighbours in these; those of them
    /// that were found.
    pub sampled: u64,
    pub expected: u64,
    pub recalled: u64,
}

/// How neighbours were searched: over all pairs, or over inverted lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "NeighbourSearch")]
pub enum UsedSearch {
    /// All pairs were compared.
    Exact,
    /// Only the nearest inverted lists were compared.
    Inverted,
}

/// Chunks of all documents; `None` where the method knows no chunks.
pub fn chunks(run: &RunContext) -> Result<Option<Chunks>> {
    if run.options().chunk_chars().is_none() {
        return Ok(None);
    }
    let (counts, lens) = embed::chunks(run)?;
    Chunks::new(counts, &lens).map(Some)
}

pub const NEIGHBOURS: Stage =
    Stage::new("neighbours", "Finding neighbours", ProgressUnit::Vectors, 1, &NeighboursStage);

struct NeighboursStage;

impl StageSpec for NeighboursStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, DOCUMENTS, EMBED, VECTORS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.neighbour_depth().is_some()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let (options, neighbours) = (&file.options, &file.options.neighbours);
        json!({
            "k": options.neighbour_depth(), "search": neighbours.search, "lists": neighbours.lists,
            "probes": neighbours.probes,
            "recallSample": neighbours.recall_sample, "heads": options.needs_heads(),
            "version": longweave_neighbours::VERSION,
        })
    }

    fn units(&self, run: &RunContext, _tasks: &[u32]) -> Result<u64> {
        vectors::count_units(run)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let options = run.options();
        let heads = if options.needs_heads() { facts.rows * 110.0 } else { 0.0 };
        Ok(facts.units * 8.0 * f64::from(options.neighbour_depth().unwrap_or(0)) + heads)
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // Each vector's list and place, and a sample that grows with the root of their number.
        facts.units * 16.0 + 64.0 * facts.units.sqrt() * run.options().vector_bytes()
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let options = run.options();
        let vectors = vectors::open_column(ctx, run)?;
        let chunks = chunks(run)?;
        let present = vectors.present().len();
        let given = &options.neighbours;
        let exact = given.search == SearchName::Exact
            || (given.search == SearchName::Auto && present <= longweave_neighbours::MOST_EXACT);
        let search = if exact {
            Search::Exact
        } else {
            Search::Inverted { lists: given.lists, probes: given.probes }
        };
        let k = options.neighbour_depth().unwrap_or(1);
        let query = Query {
            vectors: &vectors,
            owners: chunks.as_ref().map(Chunks::owners),
            k: k as usize,
            search,
            seed: SEED,
        };
        let directory = run.directory(NEIGHBOURS);
        let mut ids = ArrayWriter::create(&directory.join("ids"))?;
        let mut similarities = ArrayWriter::create(&directory.join("similarities"))?;
        let sampled = if exact { 0 } else { given.recall_sample as usize };
        let (mut found, mut sample) = (0, RecallSample::new(ctx, &query, sampled));
        nearest_in_order(ctx, &query, Some(&directory), |own, their_similarities| {
            found += own.iter().filter(|&&id| id != u32::MAX).count() as u64;
            sample.take(own);
            ids.push(own)?;
            similarities.push(their_similarities)
        })?;
        let recall = sample.finish(ctx, &query)?;
        let counts = NeighbourCounts {
            search: if exact { UsedSearch::Exact } else { UsedSearch::Inverted },
            vectors: present as u64,
            k,
            found,
            sampled: recall.sampled,
            expected: recall.expected,
            recalled: recall.found,
        };
        ctx.cancel.check()?;
        let mut files = vec![
            FileRecord::new("ids", ids.commit()?),
            FileRecord::new("similarities", similarities.commit()?),
        ];
        if options.needs_heads() {
            files.push(FileRecord::new("heads.arrow", write_heads(ctx, run)?));
        }
        (counts).done(files)
    }
}

impl Counts for NeighbourCounts {
    const STAGE: Stage = NEIGHBOURS;
}

fn write_heads(ctx: &Ctx, run: &RunContext) -> Result<longweave_storage::Sealed> {
    let encoder = run.resources.encoder()?;
    let tokens = ingest::tokens(run)?;
    let mut writer =
        StringTableWriter::create(&run.directory(NEIGHBOURS).join("heads.arrow"), "head")?;
    let mut ids = Vec::new();
    for row in 0..scan::rows(run)?.total() {
        if row % 1024 == 0 {
            ctx.cancel.check()?;
        }
        let doc = DocId::new(row);
        ids.clear();
        tokens.read_into(doc, 0, tokens.len(doc).min(HEAD_TOKENS), &mut ids)?;
        let text = encoder.decode(&ids)?;
        let end = text.char_indices().nth(HEAD).map_or(text.len(), |(at, _)| at);
        writer.push(&text[..end])?;
    }
    writer.commit()
}

/// The lists of a finished stage; `None` where the method asks for none.
pub fn open(run: &RunContext) -> Result<Option<Neighbours>> {
    let Some(k) = run.options().neighbour_depth() else { return Ok(None) };
    let directory = run.directory(NEIGHBOURS);
    Neighbours::new(
        k as usize,
        read_array(&directory.join("ids"))?,
        read_array(&directory.join("similarities"))?,
    )
    .map(Some)
}

/// Beginnings of documents' texts.
pub struct HeadTable(StringTable);

impl std::fmt::Debug for HeadTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "heads of {} documents", self.0.len())
    }
}

impl Heads for HeadTable {
    fn head(&self, doc: DocId) -> &str {
        self.0.get(doc.index())
    }
}

/// The heads of a finished stage; `None` where the method asks for none.
pub fn open_heads(run: &RunContext) -> Result<Option<HeadTable>> {
    if !run.options().needs_heads() {
        return Ok(None);
    }
    read_strings(&run.directory(NEIGHBOURS).join("heads.arrow")).map(|table| Some(HeadTable(table)))
}
