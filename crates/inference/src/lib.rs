//! Inference on ONNX Runtime: queries by sequence-to-sequence models of the T5 family, embeddings
//! by encoder models of the BERT family.
//!
//! In: a folder with an exported model, and texts. Out: the texts of queries, or vectors. The
//! library is loaded when first needed ([`Runtime`]). A model belongs to one thread, which runs
//! what others send it. Batches are a pure function of lengths and options ([`batches`]). May use
//! `common`, `storage` and `tokens`.
//!
//! Begin with `queries.rs` ([`QueryModel`]) or `embed.rs` ([`Embedder`]); then `generate.rs`
//! (decoding), `seq2seq.rs` (the seam to layouts of models) and `graph.rs` (one session).

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
pub const VERSION: u32 = 2;
