//! Query prediction: documents in, short query texts out, one or more for each segment of a long
//! document.
//!
//! [`Predictor`] works on batches; what it predicts goes into one flat [`Queries`] buffer. A
//! segment is numbered from 0 within its document.

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
