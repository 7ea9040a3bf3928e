//! Query prediction without a neural network: which queries would a document answer?
//!
//! In: a batch of documents ([`DocumentRef`]). Out: short texts, one or more for each segment of a
//! long document, in one flat buffer ([`Queries`]); a segment is numbered from 0 within its
//! document. May use `common`, `storage`, `language`, `keywords` and `corpus`.
//!
//! Begin with `predictor.rs`, the seam; then `extractive/`, which picks phrases, or
//! `precomputed.rs`, which reads queries.

mod extractive;
mod precomputed;
mod predictor;
mod queries;

pub use extractive::{Extractive, ExtractiveOptions, Weighed};
pub use precomputed::Precomputed;
pub use predictor::{DocumentRef, Predictor};
pub use queries::Queries;

/// Changes when a predictor gives other queries for equal options and documents: it enters the
/// digest of the predict stage.
pub const VERSION: u32 = 1;
