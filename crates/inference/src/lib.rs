//! Inference on ONNX Runtime: queries by sequence-to-sequence models of the T5 family, embeddings
//! by encoder models of the BERT family.
//!
//! The library is loaded when first needed ([`Runtime`]). A model belongs to one thread
//! ([`Worker`]), which runs what others send it. Tokens go in and come out as ids; batches are a
//! pure function of lengths and options ([`batches`]).

mod batches;
mod device;
mod embed;
mod files;
mod generate;
mod graph;
mod optimum;
mod queries;
mod rows;
mod runtime;
mod sampling;
mod seq2seq;
mod stop;
mod tokenizer;
mod two_graph;
mod worker;

pub use batches::{Batch, BatchOptions, batches};
pub use device::{Device, DeviceOptions, Provider};
pub use embed::{Embedder, EmbedderOptions, Pooling};
pub use files::model_digest;
pub use generate::{Generated, Timing};
pub use queries::{PendingBatch, QueryModel, QueryModelOptions, Segment, Segments};
pub use runtime::{Runtime, RuntimeOptions, offer_packaged};
pub use sampling::Decoding;

/// Changes when equal models, options and texts give other queries: it enters the digest of the
/// predict stage.
pub const VERSION: u32 = 1;
