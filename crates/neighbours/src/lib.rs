//! Nearest neighbours: vectors of documents or chunks in, the most similar others of each out.
//! Vectors without a model by latent semantic analysis of texts, and a reader of vectors that
//! others made. The same bits for any number of threads, on any machine.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod best;
mod inverted;
mod lsa;
mod npy;
mod products;
mod query;
mod recall;
mod search;
mod terms;
mod tile;
mod vectors;

pub use lsa::{Counts, Projection, Weights};
pub use npy::Npy;
pub use query::{DEFAULT_PROBES, Lists, MOST_EXACT, Query, Search};
pub use recall::{Recall, recall};
pub use search::nearest;
pub use terms::{FEATURES, TermCounter};
pub use vectors::{Vectors, similarity};

/// Changes when vectors or lists do for equal input and options.
pub const VERSION: u32 = 1;
