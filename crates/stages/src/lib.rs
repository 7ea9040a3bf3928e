//! The work of each stage: one module a stage, and the list of them all.
//!
//! In: a [`RunContext`](longweave_run::RunContext) and the number of a task. Out: the task's files
//! and its done record. Nothing here knows of other processes, leases or resuming. It uses every
//! crate that does a stage's work, and `run`. Begin with [`STAGES`], then `scan.rs`, the smallest.

mod attempt;
pub mod centroids;
mod chunks;
pub mod clusters;
pub mod documents;
pub mod embed;
pub mod extract;
pub mod index;
pub mod ingest;
pub mod lists;
mod loss_weights;
pub mod matches;
mod names;
mod neighbour_lists;
pub mod neighbours;
mod owners;
pub mod pack;
pub mod pairs;
pub mod plan;
pub mod postings;
pub mod predict;
mod prelude;
mod pretokenized;
pub mod projection;
pub mod report;
pub mod route;
pub mod scan;
pub mod scatter;
pub mod seal;
pub mod shares;
pub mod signatures;
pub mod spool;
pub mod summary;
pub mod topics;
mod uploads;
pub mod vectors;

pub use centroids::CENTROIDS;
pub use clusters::CLUSTERS;
pub use documents::DOCUMENTS;
pub use embed::EMBED;
pub use extract::EXTRACT;
pub use index::INDEX;
pub use ingest::INGEST;
pub use lists::LISTS;
pub use matches::MATCHES;
pub use neighbours::NEIGHBOURS;
pub use pack::PACK;
pub use pairs::PAIRS;
pub use plan::PLAN;
pub use postings::POSTINGS;
pub use predict::PREDICT;
pub use projection::PROJECTION;
pub use report::REPORT;
pub use route::ROUTE;
pub use scan::SCAN;
pub use scatter::SCATTER;
pub use seal::SEAL;
pub use signatures::SIGNATURES;
pub use spool::SPOOL;
pub use topics::TOPICS;
pub use vectors::VECTORS;

use longweave_run::Stage;

/// All stages, in the order in which they run. A run has those that its options need.
pub const STAGES: &[Stage] = &[
    SPOOL, SCAN, INGEST, DOCUMENTS, SIGNATURES, PAIRS, CLUSTERS, PREDICT, EXTRACT, EMBED,
    PROJECTION, VECTORS, INDEX, CENTROIDS, LISTS, NEIGHBOURS, TOPICS, POSTINGS, MATCHES, PLAN,
    REPORT, ROUTE, SCATTER, PACK, SEAL,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_that_a_module_specifies_is_listed() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = |folder: &std::path::Path| -> Vec<std::path::PathBuf> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        let (folders, mut modules): (Vec<_>, Vec<_>) =
            files(&source).into_iter().partition(|path| path.is_dir());
        modules.extend(folders.iter().flat_map(|folder| files(folder)));
        let specified = modules.iter().map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().filter(|line| line.starts_with("impl StageSpec for ")).count()
        });
        assert_eq!(STAGES.len(), specified.sum::<usize>());
    }

    #[test]
    fn names_differ_and_are_those_that_directories_are_recognized_by() {
        for (at, stage) in STAGES.iter().enumerate() {
            assert!(stage.name.bytes().all(|b| b.is_ascii_lowercase()), "{stage:?}");
            assert!(!STAGES[..at].contains(stage), "{stage:?} is listed twice");
        }
    }
}
