//! Centroids: whether neighbours are sought over all pairs or in inverted lists, and of lists the
//! centroids; and a sample of vectors, to say how many neighbours the lists find.
//!
//! Files, unless all pairs are compared: `centroids` (i16, a vector for each list), `sample` (u32:
//! number and owner of each vector of the sample), `sample_vectors` (i16).

use std::sync::Arc;

use longweave_neighbours::{Centroids, Query, Sample, Search, probes};
use longweave_plan::Chunks;
use longweave_run::SearchName;
use longweave_storage::{FileRecord, read_array, write_array};
use ts_rs::TS;

use crate::embed::EMBED;
use crate::owners::{NeighbourChunks, SEED};
use crate::prelude::*;
use crate::vectors::{self, VECTORS, VectorCounts};

/// The counts in the task's done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CentroidCounts {
    /// `exact` or `inverted`.
    pub search: UsedSearch,
    /// Vectors that neighbours are looked for, and among.
    pub vectors: u64,
    /// Of `inverted`: lists, and those that a vector is compared with.
    pub lists: u64,
    pub probes: u64,
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

pub const CENTROIDS: Stage =
    Stage::new("centroids", "Choosing centroids", ProgressUnit::Tasks, 1, &CentroidsStage);

struct CentroidsStage;

impl StageSpec for CentroidsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![EMBED, VECTORS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.neighbour_depth().is_some()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let neighbours = &file.options.neighbours;
        json!({
            "search": neighbours.search, "lists": neighbours.lists, "probes": neighbours.probes,
            "recallSample": neighbours.recall_sample, "version": longweave_neighbours::VERSION,
        })
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        if will_compare_all(run.options(), facts.units) {
            return Ok(0.0);
        }
        let lists = 4.0 * facts.units.sqrt();
        let sample = f64::from(run.options().neighbours.recall_sample);
        Ok((lists + sample) * run.options().vector_bytes())
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // A draw of each vector, and a sample that grows with the root of their number.
        facts.units * 20.0 + 64.0 * facts.units.sqrt() * run.options().vector_bytes()
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let given = &run.options().neighbours;
        let VectorCounts { vectors, .. } = vectors::counted(run)?;
        if vectors == 0 || will_compare_all(run.options(), vectors as f64) {
            ctx.progress.advance(1);
            let search = UsedSearch::Exact;
            return CentroidCounts { search, vectors, lists: 0, probes: 0 }.done(Vec::new());
        }
        let set = vectors::open_parts(ctx, run, 0..vectors::parts(run)?.len())?;
        let centroids = Centroids::fit(ctx, &set, given.lists, SEED)?;
        let chunks = NeighbourChunks::open(run)?;
        let query = Query {
            vectors: &set,
            owners: chunks.0.as_ref().map(Chunks::owners),
            k: 1,
            search: Search::Inverted { lists: given.lists, probes: given.probes },
            seed: SEED,
        };
        let sample = Sample::draw(ctx, &query, given.recall_sample as usize)?;
        ctx.cancel.check()?;
        let directory = run.directory(CENTROIDS);
        let lists = centroids.lists();
        let counts = CentroidCounts {
            search: UsedSearch::Inverted,
            vectors,
            lists: lists as u64,
            probes: probes(given.probes, lists) as u64,
        };
        let files = vec![
            FileRecord::new(
                "centroids",
                write_array(&directory.join("centroids"), centroids.data())?,
            ),
            FileRecord::new("sample", write_array(&directory.join("sample"), sample.numbers())?),
            FileRecord::new(
                "sample_vectors",
                write_array(&directory.join("sample_vectors"), sample.vectors())?,
            ),
        ];
        ctx.progress.advance(1);
        counts.done(files)
    }
}

impl Counts for CentroidCounts {
    const STAGE: Stage = CENTROIDS;
}

/// Whether all pairs of `vectors` vectors are compared.
pub(crate) fn will_compare_all(options: &RunOptions, vectors: f64) -> bool {
    match options.neighbours.search {
        SearchName::Exact => true,
        SearchName::Inverted => false,
        SearchName::Auto => vectors <= longweave_neighbours::MOST_EXACT as f64,
    }
}

/// The centroids of a finished stage, and the sample.
pub(crate) struct OpenCentroids {
    pub(crate) centroids: Centroids,
    pub(crate) sample: Sample,
}

impl OpenCentroids {
    /// Opens them when first needed.
    pub(crate) fn of(run: &RunContext) -> Result<Arc<OpenCentroids>> {
        run.shared.get(|| {
            let (directory, dims) = (run.directory(CENTROIDS), vectors::dimensions(run)?);
            let [numbers, vectors] = ["sample", "sample_vectors"].map(|name| directory.join(name));
            Ok(OpenCentroids {
                centroids: Centroids::from_data(dims, read_array(&directory.join("centroids"))?)?,
                sample: Sample::from_parts(dims, read_array(&numbers)?, read_array(&vectors)?)?,
            })
        })
    }
}
