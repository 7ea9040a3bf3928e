//! Projection: of the words' weights to vectors, without a model. Counts of words are weighed here,
//! where it is known how many documents have a word, and a sample of documents decides the
//! projection.
//!
//! Files: `document_frequency` (u32 by feature), `matrix` (f32: for each feature a row).
//!
//! Costs 12 bytes a document or chunk for the choice of the sample, and 8 bytes a word of each
//! document of the sample.

use std::sync::Arc;

use longweave_common::Error;
use longweave_common::random::{Key, draw, lowest};
use longweave_neighbours::{Counts as WordCounts, Projection, Weights};
use longweave_run::VectorSource;
use longweave_storage::{FileRecord, read_array, write_array};
use rayon::prelude::*;

use crate::documents::{self, DOCUMENTS};
use crate::embed::{EMBED, EmbedCounts, Terms, chunks, document_frequency};
use crate::prelude::*;

/// Rounds of subspace iteration: more made no difference on 20 Newsgroups.
const ITERATIONS: usize = 3;
/// The projection does not depend on the run's seed, so that runs with other seeds share it.
const SEED: u64 = 0;

/// Counts of the task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ProjectionCounts {
    /// Documents or chunks, empty ones too.
    units: u64,
}

pub const PROJECTION: Stage =
    Stage::new("projection", "Fitting vectors", ProgressUnit::Tasks, 1, &ProjectionStage);

struct ProjectionStage;

impl StageSpec for ProjectionStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![DOCUMENTS, EMBED]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_vectors() && options.vectors.source == VectorSource::Tfidf
    }

    fn identity(&self, file: &RunFile) -> Value {
        let vectors = &file.options.vectors;
        json!({ "dimensions": vectors.dimensions, "sample": vectors.sample })
    }

    fn bytes(&self, run: &RunContext, _facts: &Facts) -> Result<f64> {
        let dims = f64::from(run.options().vectors.dimensions);
        Ok(longweave_neighbours::FEATURES as f64 * (4.0 + 4.0 * dims))
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        facts.units * 40.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let options = &run.options().vectors;
        let own: Vec<usize> =
            run.all_counts::<EmbedCounts>()?.iter().map(|counts| counts.units as usize).collect();
        let mut frequency: Vec<u32> = Vec::new();
        for split in 0..own.len() as u32 {
            ctx.cancel.check()?;
            let own = document_frequency(run, split)?;
            frequency.resize(frequency.len().max(own.len()), 0);
            frequency.iter_mut().zip(&own).for_each(|(all, own)| *all += own);
        }
        let units = own.iter().map(|&units| units as u64).sum();
        let weights = Weights::new(&frequency, units);
        let sampled = sampled(run, &own, options.sample as usize)?;
        let read = |(split, units): &(u32, Vec<usize>)| -> Result<Vec<Vec<(u32, u32)>>> {
            ctx.cancel.check()?;
            let terms = Terms::open(run, *split)?;
            let rows =
                units.iter().map(|&unit| terms.read(unit..unit + 1).map(|mut r| r.remove(0)));
            rows.collect()
        };
        let rows: Vec<Vec<Vec<(u32, u32)>>> =
            ctx.pool.install(|| sampled.par_iter().map(read).collect::<Result<_>>())?;
        let mut sample = WordCounts::default();
        rows.iter().flatten().for_each(|row| sample.push(row));
        drop(rows);
        let dims = options.dimensions as usize;
        let projection = Projection::fit(ctx, &sample, &weights, dims, ITERATIONS, SEED)?;
        ctx.cancel.check()?;
        let directory = run.directory(PROJECTION);
        let files = vec![
            FileRecord::new(
                "document_frequency",
                write_array(&directory.join("document_frequency"), &frequency)?,
            ),
            FileRecord::new("matrix", write_array(&directory.join("matrix"), projection.matrix())?),
        ];
        ctx.progress.advance(1);
        ProjectionCounts { units }.done(files)
    }
}

impl Counts for ProjectionCounts {
    const STAGE: Stage = PROJECTION;
}

/// Units of the sample by split, rising: those of the lowest draws, keyed by the document and the
/// unit's place in it. `units` are those of each split.
fn sampled(run: &RunContext, units: &[usize], number: usize) -> Result<Vec<(u32, Vec<usize>)>> {
    let (keys, lens) = (documents::keys(run)?, documents::lens(run)?);
    let counts = if run.options().chunk_chars().is_some() { Some(chunks(run)?.0) } else { None };
    let mut draws: Vec<(u64, u32)> = Vec::new();
    let mut unit = 0;
    for (doc, (&key, &len)) in keys.iter().zip(&lens).enumerate() {
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
    let (mut first, mut rest) = (0, chosen.as_slice());
    let mut sample = Vec::new();
    for (split, &units) in (0..).zip(units) {
        let (own, after) = rest.split_at(rest.partition_point(|&u| (u as usize) < first + units));
        if !own.is_empty() {
            sample.push((split, own.iter().map(|&unit| unit as usize - first).collect()));
        }
        (first, rest) = (first + units, after);
    }
    Ok(sample)
}

/// The projection of a finished stage, and the weights of words.
pub(crate) struct OpenProjection {
    pub(crate) weights: Weights,
    pub(crate) projection: Projection,
}

impl OpenProjection {
    /// Opens it when first needed.
    pub(crate) fn of(run: &RunContext) -> Result<Arc<OpenProjection>> {
        run.shared.get(|| {
            let directory = run.directory(PROJECTION);
            let ProjectionCounts { units } = run.counts(0)?;
            let frequency: Vec<u32> = read_array(&directory.join("document_frequency"))?;
            let (path, dims) = (directory.join("matrix"), run.options().vectors.dimensions);
            let matrix = Projection::from_matrix(dims as usize, read_array(&path)?);
            let projection =
                matrix.filter(|p| p.features() == frequency.len()).ok_or_else(|| {
                    let message = format!(
                        "{} does not fit the words; delete its folder and run again",
                        path.display()
                    );
                    Error::corrupt(&path, message)
                })?;
            Ok(OpenProjection { weights: Weights::new(&frequency, units), projection })
        })
    }
}
