//! The index: which keyword represents each document, and how are keywords related?
//!
//! In: the candidates of all documents ([`CandidateTable`], written split by split by a
//! [`CandidateWriter`]), the documents' keys, and their vectors for one of the hierarchies. Out: an
//! [`Index`]: the keyword of each document, the documents of each keyword, the hierarchy of
//! phrases; the same for any number of threads. May use `common`, `storage`, `keywords`,
//! `neighbours`, and the `Forest` of `plan`.
//!
//! Begin with `build.rs`, which numbers phrases (`numbering/`), chooses and lists; then
//! `hierarchy.rs`.

mod affinity;
mod build;
mod candidates;
mod features;
mod hierarchy;
mod index;
mod lists;
mod numbering;
mod scratch;
mod stored;
mod vector_affinity;

pub use build::{IndexedDocuments, build, build_from_files};
pub use candidates::{CandidateTable, CandidateWriter};
pub use index::{Index, KeywordColumns, NODES, PHRASES};
pub use scratch::sweep_scratch;

use serde::{Deserialize, Serialize};

/// How a document's keyword is chosen among its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Representative {
    /// Uniformly at random by the document's key, among the candidates in byte order: the paper's.
    Random,
    /// The candidate that most documents share and that is not above the cap; ties: the higher rank
    /// or, without [`IndexOptions::searchable`], more words; then byte order. Where all are above it, the one that fewest documents share.
    Common,
}

/// The hierarchy that `fill: related` climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hierarchy {
    /// A phrase's parent is the phrase without its first word; head words have none.
    Suffix,
    /// The same down to ends of two words; these trees join two by two, those first whose
    /// documents' candidates are most alike.
    Affinity,
    /// Documents join two by two, and what they became, those first whose vectors are most alike.
    Vectors,
}

/// How to build an index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexOptions {
    /// Seed of the random choice.
    pub seed: u64,
    /// How keywords are chosen.
    pub representative: Representative,
    /// Whether candidates are those of [`longweave_keywords::keep_searchable`]: a phrase and its
    /// plural are one keyword, and of equally frequent ones that of the higher
    /// [`longweave_keywords::rank`] is chosen.
    pub searchable: bool,
    /// `Common`: largest share of the documents with a candidate that may share a keyword, above 0.
    pub max_keyword_share: f64,
    /// `Common`: number of documents below which the cap never falls.
    pub min_keyword_cap: u32,
    /// The hierarchy that `fill: related` climbs.
    pub hierarchy: Hierarchy,
}

impl IndexOptions {
    /// Whether the keys of documents' ids decide anything.
    pub fn needs_keys(&self) -> bool {
        self.representative == Representative::Random || self.hierarchy == Hierarchy::Vectors
    }
}
