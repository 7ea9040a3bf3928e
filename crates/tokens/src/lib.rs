//! Tokens of texts, and the store that keeps those of a corpus.
//!
//! In: a `tokenizer.json` and texts. Out: the ids that the Python package of tokenizers 0.23 gives, from
//! the fastest code that gives them; files of ids that are read by document, by range, or in the order of a
//! plan. Uses: common, storage.
//! Begin with `encoder.rs` ([`load`]), then `store.rs`.

mod added;
mod bpe;
mod columns;
mod component;
mod cost;
mod encoder;
mod exact;
mod file;
mod forms;
mod ids_only;
mod load;
mod normalizer;
mod pipeline;
mod reserved;
mod scattered;
mod special;
mod store;
mod table;
mod train;
mod unicode;
mod unigram;
mod words;

pub use columns::Ids;
pub use encoder::Encoder;
pub use exact::package_tokenizer;
pub use forms::file_of;
pub use load::{Loaded, load, load_exact};
pub use reserved::Reserved;
pub use scattered::{RowRun, ScatteredTokens, scatter_split};
pub use special::{Choice, ModelFiles, Origin, SpecialOptions, SpecialTokens};
pub use store::{TokenStore, TokenWriter, Width, split_of, width_for};
pub use train::{TrainOptions, train_bpe};
