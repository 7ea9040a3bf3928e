//! Tokens: text → ids by a `tokenizer.json`, and the store that keeps a corpus' ids.
//!
//! [`load`] gives the fastest encoder whose ids are those of tokenizers 0.23; one that it does not
//! cover is read by 0.23 itself.

mod columns;
mod cost;
mod encoder;
mod scattered;
mod special;
mod store;
mod train;

pub use columns::Ids;
pub use encoder::{Encoder, Loaded, load, load_exact, load_fast};
pub use scattered::{RowRun, ScatteredTokens, scatter_split};
pub use special::{SpecialOptions, SpecialTokens};
pub use store::{TokenStore, TokenWriter, Width, split_of, width_for};
pub use train::{TrainOptions, train_bpe};
