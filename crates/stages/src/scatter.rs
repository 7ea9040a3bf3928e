//! Scatter: the tokens of one split, in the order in which the plan asks for them.

use std::sync::Arc;

use longweave_pack::Placement;
use longweave_storage::read_array;
use longweave_tokens::{ScatteredTokens, scatter_split};

use crate::ingest::{INGEST, IngestCounts, IngestPaths, token_bytes};
use crate::prelude::*;
use crate::route::{self, ROUTE, runs_of};
use crate::scan;

/// Bytes of a run in memory.
const RUN_BYTES: u64 = 24;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScatterCounts {
    tokens: u64,
}

pub const SCATTER: Stage =
    Stage::new("scatter", "Scattering tokens", ProgressUnit::Tokens, 1, &ScatterStage);

struct ScatterStage;

impl StageSpec for ScatterStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, ROUTE]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.writes_files()
    }

    fn identity(&self, _file: &RunFile) -> Value {
        json!({})
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        let splits = run.file.inventory.splits.len() as u32;
        Ok(Some(if route::scatters(run)? { splits } else { 0 }))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let mut tokens = 0;
        for &task in tasks {
            tokens += run.counts::<IngestCounts>(task)?.tokens;
        }
        Ok(tokens)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let tokens = facts.sequences * f64::from(run.options().length);
        Ok(if route::will_scatter(run, facts)? { tokens * token_bytes(run) as f64 } else { 0.0 })
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let (runs, shards) = runs_of(run, task as usize)?;
        let _held = ctx
            .budget
            .reserve((runs.len() as u64 * RUN_BYTES).min(ctx.budget.limit() / 2), &ctx.cancel)?;
        let store = IngestPaths::of(&run.directory(INGEST), task).tokens;
        let prefix = run.directory(SCATTER).join(format!("{task:05}"));
        let tokens = shards.last().copied().unwrap_or(0);
        let files = scatter_split(ctx, &store, runs.into_iter(), &shards, &prefix)?;
        ctx.progress.advance(run.counts::<IngestCounts>(task)?.tokens);
        ScatterCounts { tokens }.done(files)
    }

    fn reopen(&self, run: &RunContext, task: u32) {
        if let Some(Scattered(Some(tokens))) = run.shared.made::<Scattered>().as_deref() {
            tokens.store.forget(task as usize);
        }
    }
}

impl Counts for ScatterCounts {
    const STAGE: Stage = SCATTER;
}

/// Tokens in the order of the plan, opened when first needed; `None` where packing gathers.
pub struct Scattered(Option<OrderedTokens>);

struct OrderedTokens {
    store: ScatteredTokens,
    starts: Vec<u64>,
}

impl Scattered {
    /// The tokens of a finished stage.
    pub fn open(run: &RunContext) -> Result<Arc<Scattered>> {
        run.shared.get(|| {
            if !route::scatters(run)? {
                return Ok(Scattered(None));
            }
            let (rows, directory) = (scan::rows(run)?, run.directory(SCATTER));
            let splits = rows.first[..rows.first.len() - 1]
                .iter()
                .enumerate()
                .map(|(split, &first)| (first, directory.join(format!("{split:05}"))));
            let store = ScatteredTokens::new(splits.collect());
            let starts = read_array(&run.directory(ROUTE).join("starts"))?;
            Ok(Scattered(Some(OrderedTokens { store, starts })))
        })
    }

    /// The place of an output shard's tokens, by its number among those of all parts.
    pub fn placement(&self, shard: usize) -> Option<Placement<'_>> {
        let OrderedTokens { store, starts } = self.0.as_ref()?;
        let shards = starts.len() / store.splits();
        let starts = starts.iter().skip(shard).step_by(shards).copied().collect();
        Some(Placement { store, shard, starts })
    }
}
