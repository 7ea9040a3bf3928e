//! Nearest neighbours: which documents or chunks are most similar, with equal bits for any number
//! of threads, on any machine.
//!
//! In: vectors, row by row, of a `.npy` file ([`Npy`]) or made here by latent semantic analysis of
//! texts ([`Projection`]). Out: the most similar others of each row, as [`Lists`]. Documents are
//! also found for queries, by the words of both ([`Bm25`]). May use `common`, `storage` and
//! `language`.
//!
//! Begin with `vectors.rs` (fixed point) and `search.rs` (comparing all pairs). `inverted.rs`
//! compares fewer, in steps that several machines can share: [`Centroids`] once, a [`Division`] for
//! each range of rows, [`nearest_of_lists`] for each range of lists. `lsa.rs` needs no model.

#[cfg(target_arch = "x86_64")]
mod avx;
mod best;
mod bm25;
mod centroids;
mod divided;
mod inverted;
mod lsa;
mod npy;
mod products;
mod progress;
mod query;
mod recall;
mod search;
mod set;
mod terms;
mod tile;
mod vectors;

pub use bm25::{BM25_VERSION, Bm25, QueryRanking, QueryWords, ScoredDocuments, WordCounter};
pub use centroids::Centroids;
pub use divided::{Divided, Division, ListSums, Part};
pub use inverted::probes;
pub use lsa::{Counts, Projection, Weights};
pub use npy::Npy;
pub use progress::counted_in_rows;
pub use query::{DEFAULT_PROBES, Lists, MOST_EXACT, Query, Search};
pub use recall::{Recall, Sample, best_of, recall};
pub use search::{nearest, nearest_in_order, nearest_of_lists, nearest_of_rows};
pub use set::VectorSet;
pub use terms::{FEATURES, TermCounter, WordCutter};
pub use vectors::{Vectors, similarity};

/// Changes when vectors or lists do for equal input and options.
pub const VERSION: u32 = 2;
