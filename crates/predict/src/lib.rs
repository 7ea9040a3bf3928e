//! Query prediction: documents in, short query texts out, one or more per segment of a long document.
//!
//! [`Predictor`] works on batches; what it predicts goes into one flat [`Queries`] buffer.
//! A segment is numbered from 0 within its document.

mod predictor;
mod queries;

pub use predictor::{DocumentRef, Predictor};
pub use queries::{Queries, QueryRef};
