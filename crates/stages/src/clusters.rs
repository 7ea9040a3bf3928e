//! Clusters: documents that pairs connect are near-duplicates of each other.
//!
//! File: `first` (u32 by document: the first document of its cluster). Costs 4 bytes a document, and
//! the pairs of one task of `pairs`.

use longweave_common::Error;
use longweave_duplicates::Clusters;
use longweave_storage::{FileRecord, read_array, write_array};

use crate::pairs::{self, PAIRS};
use crate::prelude::*;
use crate::scan::{self, SCAN};

/// Counts of the stage, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClusterCounts {
    /// Clusters of at least two documents.
    pub clusters: u64,
    /// Documents in them.
    pub documents: u64,
}

pub const CLUSTERS: Stage =
    Stage::new("clusters", "Joining near-duplicates", ProgressUnit::Tasks, 1, &ClustersStage);

struct ClustersStage;

impl StageSpec for ClustersStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![SCAN, PAIRS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_signatures()
    }

    fn identity(&self, _file: &RunFile) -> Value {
        json!({})
    }

    fn bytes(&self, _run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(facts.rows * 4.0)
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        facts.rows * 4.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let rows = scan::rows(run)?.total();
        let mut clusters = Clusters::new(rows);
        for task in 0..run.all_done(PAIRS)?.len() as u32 {
            ctx.cancel.check()?;
            let pairs = pairs::read(run, task)?;
            for pair in pairs.chunks_exact(2) {
                if pair[0].max(pair[1]) >= rows {
                    let path = run.directory(PAIRS);
                    let message = format!(
                        "{} names document {}, but there are {rows}; delete the folder and run \
                         again",
                        path.display(),
                        pair[0].max(pair[1])
                    );
                    return Err(Error::corrupt(&path, message));
                }
                clusters.join(pair[0], pair[1]);
            }
        }
        let first = clusters.first();
        let mut counts = ClusterCounts { clusters: 0, documents: 0 };
        let mut begun = vec![false; first.len()];
        for (doc, &first) in first.iter().enumerate().filter(|&(doc, &first)| doc != first as usize)
        {
            let new = !std::mem::replace(&mut begun[first as usize], true);
            counts.clusters += u64::from(new);
            counts.documents += 1 + u64::from(new);
            debug_assert!((first as usize) < doc);
        }
        let path = run.directory(CLUSTERS).join("first");
        let files = vec![FileRecord::at(&path, write_array(&path, &first)?)];
        ctx.progress.advance(1);
        counts.done(files)
    }
}

impl Counts for ClusterCounts {
    const STAGE: Stage = CLUSTERS;
}

/// The first document of each document's cluster; `None` where the run looks for no near-duplicates.
pub(crate) fn first(run: &RunContext) -> Result<Option<Vec<u32>>> {
    let path = || run.directory(CLUSTERS).join("first");
    run.has(CLUSTERS).then(|| read_array(&path())).transpose()
}
