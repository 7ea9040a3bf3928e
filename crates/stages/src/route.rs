//! Route: decides how tokens reach the output, and where they are scattered says which pieces each
//! split hands out, in the order of the plan.
//!
//! Packing gathers where the token store fits into the page cache: pieces are then copied from
//! memory. Where it does not, most pieces cost a random read; packing scatters when those would
//! take longer than writing and reading all tokens once more. Shards deal their pieces to splits
//! side by side; costs 12 bytes a piece in memory.
//!
//! Files: `pieces` (u32, three for each piece: row of the split, first own token, own tokens; split
//! after split), `ends` (u64, one a split, in pieces), `starts` (u64: for each split, the tokens in
//! front of each output shard, those of the main output first, and once more: all).

use longweave_common::Offsets;
use longweave_plan::{Part, Piece, PlanFile};
use longweave_run::Packing;
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, read_offsets, write_array};
use longweave_tokens::RowRun;
use rayon::prelude::*;

use crate::documents::{DOCUMENTS, DocumentCounts};
use crate::ingest::{INGEST, token_bytes};
use crate::plan::{self, PLAN};
use crate::prelude::*;
use crate::scan;

/// Seconds of a random read of a few kilobytes, and bytes a second of sequential reading and
/// writing: of a solid-state disk, about.
const SEEK: f64 = 100e-6;
const STREAM: f64 = 500e6;

/// The counts in the route task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteCounts {
    /// `gather` or `scatter`.
    pub packing: Packing,
    /// Bytes of the token store.
    store_bytes: u64,
    /// Bytes of page cache that the machine could give; unknown on some.
    cache_bytes: Option<u64>,
    /// Pieces of the plan.
    pieces: u64,
}

/// Whether tokens are scattered, as the task has decided.
///
/// Errors: `STAGE_NOT_READY`.
pub fn scatters(run: &RunContext) -> Result<bool> {
    Ok(run.counts::<RouteCounts>(0)?.packing == Packing::Scatter)
}

/// The parts of the output, in the order of their shards.
fn parts(run: &RunContext) -> impl Iterator<Item = Part> {
    [Part::Main, Part::HeldOut]
        .into_iter()
        .filter(|&part| part == Part::Main || run.options().holdout > 0.0)
}

pub const ROUTE: Stage =
    Stage::new("route", "Choosing how to pack", ProgressUnit::Tasks, 1, &RouteStage);

struct RouteStage;

impl StageSpec for RouteStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, DOCUMENTS, PLAN]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.writes_files()
    }

    fn identity(&self, file: &RunFile) -> Value {
        json!({ "packing": file.options.packing })
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(if will_scatter(run, facts)? { facts.pieces * 12.0 } else { 0.0 })
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        facts.pieces * 12.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let plans: Vec<PlanFile> =
            parts(run).map(|part| plan::open(run, part)).collect::<Result<_>>()?;
        let tokens = run.counts::<DocumentCounts>(0)?.tokens;
        let mut decided = RouteCounts {
            packing: run.options().packing,
            store_bytes: tokens * token_bytes(run),
            cache_bytes: page_cache(ctx.budget.limit()),
            pieces: plans.iter().map(|plan| plan.stats().pieces.total).sum(),
        };
        if decided.packing == Packing::Auto {
            decided.packing = choose(&decided);
        }
        let files =
            if decided.packing == Packing::Scatter { write(ctx, run, &plans)? } else { Vec::new() };
        ctx.progress.advance(1);
        (decided).done(files)
    }
}

impl Counts for RouteCounts {
    const STAGE: Stage = ROUTE;
}

/// Whether packing scatters, as the task has decided or would now.
pub fn will_scatter(run: &RunContext, facts: &Facts) -> Result<bool> {
    if let Some(decided) = run.counts_if_done::<RouteCounts>(0)? {
        return Ok(decided.packing == Packing::Scatter);
    }
    let mut packing = run.options().packing;
    if packing == Packing::Auto {
        let store_bytes = (facts.tokens * token_bytes(run) as f64) as u64;
        let (pieces, cache_bytes) = (facts.pieces as u64, page_cache(run.options().memory));
        packing = choose(&RouteCounts { packing, store_bytes, cache_bytes, pieces });
    }
    Ok(packing == Packing::Scatter)
}

/// The faster way to pack.
fn choose(counts: &RouteCounts) -> Packing {
    let Some(cache) = counts.cache_bytes else { return Packing::Gather };
    let missing =
        counts.store_bytes.saturating_sub(cache) as f64 / counts.store_bytes.max(1) as f64;
    let seeks = counts.pieces as f64 * missing * SEEK;
    let passes = 2.0 * counts.store_bytes as f64 / STREAM;
    if seeks > passes { Packing::Scatter } else { Packing::Gather }
}

/// Bytes that the system could use to cache files in addition to `memory` bytes of heap: the
/// available memory, at most the control group's limit.
fn page_cache(memory: u64) -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    Some(group.map_or(available, |group| group.min(available)).saturating_sub(memory))
}

/// The pieces that an output shard takes, by split, each as the row of the split, its first own
/// token, own tokens; and the tokens that these are of each split.
struct Dealt {
    own: Offsets,
    pieces: Vec<[u32; 3]>,
    tokens: Vec<u64>,
}

fn write(ctx: &Ctx, run: &RunContext, plans: &[PlanFile]) -> Result<Vec<FileRecord>> {
    let rows = scan::rows(run)?;
    let splits = rows.first.len() - 1;
    let size = run.file.shard_sequences();
    let deal = |(plan, first): (&PlanFile, u64)| -> Result<Dealt> {
        ctx.cancel.check()?;
        let shape = plan.shape();
        let planned = plan.read(first, size.min(plan.sequences() - first))?;
        let place = |(&piece, &len): (&Piece, &u32)| {
            let own = shape.tokens(piece, len).own;
            let (split, row) = rows.place(piece.doc);
            (!own.is_empty()).then(|| (split, [row, own.start, own.end - own.start]))
        };
        let pieces = planned.sequences.pieces().iter().zip(&planned.lens);
        let placed: Vec<(usize, [u32; 3])> = pieces.filter_map(place).collect();
        let (own, pieces) = Offsets::sort(splits, placed.into_iter());
        let tokens = |split| pieces[own.range(split)].iter().map(|piece| u64::from(piece[2])).sum();
        Ok(Dealt { tokens: (0..splits).map(tokens).collect(), own, pieces })
    };
    let shards: Vec<(&PlanFile, u64)> = plans
        .iter()
        .flat_map(|plan| (0..plan.sequences()).step_by(size as usize).map(move |at| (plan, at)))
        .collect();
    let dealt: Vec<Dealt> =
        ctx.pool.install(|| shards.into_par_iter().map(deal).collect::<Result<_>>())?;
    let directory = run.directory(ROUTE);
    let (mut ends, mut starts) = (Offsets::with_capacity(splits), Vec::new());
    let mut pieces = ArrayWriter::create(&directory.join("pieces"))?;
    for split in 0..splits {
        let mut before = 0;
        for shard in &dealt {
            pieces.push(shard.pieces[shard.own.range(split)].as_flattened())?;
            starts.push(before);
            before += shard.tokens[split];
        }
        starts.push(before);
        ends.push(pieces.len() as usize / 3);
    }
    Ok(vec![
        FileRecord::new("pieces", pieces.commit()?),
        FileRecord::new("ends", write_array(&directory.join("ends"), ends.ends())?),
        FileRecord::new("starts", write_array(&directory.join("starts"), &starts)?),
    ])
}

/// The runs of all splits match their checksums.
struct Checked;

/// The runs that a split hands out, in the order of the plan, and the tokens in front of each
/// output shard.
pub fn runs_of(run: &RunContext, split: usize) -> Result<(Vec<RowRun>, Vec<u64>)> {
    let directory = run.directory(ROUTE);
    let splits = read_offsets(&directory.join("ends"))?;
    let own = splits.span(split);
    let mut flat = Vec::new();
    let pieces = ArrayFile::<u32>::open(&directory.join("pieces"))?;
    pieces.read_into(own.start * 3, (own.end - own.start) as usize * 3, &mut flat)?;
    let starts = ArrayFile::<u64>::open(&directory.join("starts"))?;
    // Once: tasks read them in parts.
    run.shared.get(|| pieces.check().and_then(|()| starts.check()).map(|()| Checked))?;
    let shards = starts.len() / splits.len() as u64;
    let mut own = Vec::new();
    starts.read_into(split as u64 * shards, shards as usize, &mut own)?;
    let runs = flat
        .chunks_exact(3)
        .map(|run| RowRun { row: run[0], start: run[1], len: run[2] })
        .collect();
    Ok((runs, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_beyond_the_page_cache_is_scattered_unless_its_pieces_are_large() {
        let counts = |store_bytes, cache_bytes, pieces| RouteCounts {
            packing: Packing::Auto,
            store_bytes,
            cache_bytes,
            pieces,
        };
        for (given, expected) in [
            (counts(1 << 30, Some(2 << 30), 1_000_000), Packing::Gather),
            (counts(8 << 30, Some(2 << 30), 4_000_000), Packing::Scatter),
            (counts(8 << 30, Some(2 << 30), 1_000), Packing::Gather),
            (counts(8 << 30, None, 4_000_000), Packing::Gather),
            (counts(0, Some(0), 0), Packing::Gather),
        ] {
            assert_eq!(choose(&given), expected, "{given:?}");
        }
    }
}
