//! Pairs: documents that share a band and whose signatures are near. A task compares those of one
//! band whose hashes are in some ranges.
//!
//! File, `NNNNN` the task: `NNNNN.pairs` (u32: a document and the earlier one that it is near). All
//! tasks together depend on neither the number of tasks nor that of splits.

use longweave_duplicates::{Bucket, Nearness};
use longweave_storage::{ArrayWriter, FileRecord, read_array};

use crate::prelude::*;
use crate::scan::{self, SCAN};
use crate::signatures::{RANGES, SIGNATURES, check_share, read_band, read_signatures};

/// Documents of a task, about.
const DOCUMENTS: u64 = 1 << 20;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PairCounts {
    /// Documents that share a band with another one.
    pub compared: u64,
    /// Documents that are near an earlier one.
    pub pairs: u64,
}

pub const PAIRS: Stage =
    Stage::new("pairs", "Comparing documents", ProgressUnit::Tasks, 1, &PairsStage);

struct PairsStage;

impl StageSpec for PairsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![SCAN, SIGNATURES]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_signatures()
    }

    fn identity(&self, file: &RunFile) -> Value {
        json!({ "threshold": file.options.near.threshold })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.options().near.bands().number * parts(scan::rows(run)?.total())))
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        // As if a fifth of the documents were copies.
        let bands = f64::from(run.options().near.bands().number);
        Ok(facts.rows * 0.2 * 8.0 * bands)
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let near = &run.options().near;
        let rows = scan::rows(run)?;
        let parts = parts(rows.total());
        check_share(ctx, run, task, near.bands().number * parts)?;
        let (band, part) = (task / parts, task % parts);
        let ranges = part * (RANGES / parts)..(part + 1) * (RANGES / parts);
        let all = (u64::from(rows.total()) / u64::from(parts) + 1) * 16;
        let limit = ctx.budget.limit();
        let _held = ctx.budget.reserve(all.min(limit / 2) + limit / 8, &ctx.cancel)?;
        let mut entries = Vec::new();
        read_band(ctx, run, &rows, band, ranges, &mut entries)?;
        entries.sort_unstable();
        // Members of buckets, and whether each begins one.
        let mut members: Vec<(u32, bool)> = Vec::new();
        for bucket in entries.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
            members.extend(bucket.iter().enumerate().map(|(i, &(_, doc))| (doc, i == 0)));
        }
        drop(entries);
        let counts = |pairs| PairCounts { compared: members.len() as u64, pairs };

        let hashes = near.hashes as usize;
        let nearness = Nearness::new(near.threshold, hashes);
        let path = run.directory(PAIRS).join(format!("{task:05}.pairs"));
        let mut writer = ArrayWriter::create(&path)?;
        let at_once = (limit / 8 / (hashes as u64 + 16)).max(1);
        let (mut bucket, mut pairs) = (Bucket::default(), 0);
        for some in members.chunks(at_once as usize) {
            let mut documents: Vec<u32> = some.iter().map(|&(doc, _)| doc).collect();
            documents.sort_unstable();
            let signatures = read_signatures(ctx, run, &rows, &documents)?;
            for &(doc, begins) in some {
                if begins {
                    bucket.clear();
                }
                let place = documents.partition_point(|&other| other < doc);
                let signature = &signatures[place * hashes..][..hashes];
                if let Some(leader) = bucket.take(nearness, doc, signature) {
                    writer.push(&[doc, leader])?;
                    pairs += 1;
                }
            }
        }
        ctx.progress.advance(1);
        counts(pairs).done(vec![FileRecord::at(&path, writer.commit()?)])
    }
}

impl Counts for PairCounts {
    const STAGE: Stage = PAIRS;
}

/// Tasks of a band: so that each has about a million documents.
fn parts(documents: u32) -> u32 {
    (u64::from(documents).div_ceil(DOCUMENTS).max(1) as u32).next_power_of_two().min(RANGES)
}

/// The pairs that a finished task found, one after the other.
pub(crate) fn read(run: &RunContext, task: u32) -> Result<Vec<u32>> {
    read_array(&run.directory(PAIRS).join(format!("{task:05}.pairs")))
}
