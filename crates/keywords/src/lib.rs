//! RAKE (Rose, Engel, Cramer, Cowley 2010), stop lists, and the list of boilerplate phrases.
//!
//! In: short texts. Out: their phrases between stop words and punctuation, normalised, with scores:
//! a word has its degree over its frequency, a phrase the sum of its words. On a text that repeats
//! no word, a phrase of n words scores n². Uses: `common`, `language`.
//! Begin with `rake.rs`; `rakes.rs` is for several languages.

mod columns;
mod hash;
mod lists;
mod normalise;
mod rake;
mod rakes;
mod searchable;

pub use columns::{ColumnScratch, Columns};
pub use hash::{hash_bytes, hash_words};
pub use lists::{Boilerplate, StopList};
pub use normalise::{normalise, normalise_into};
pub use rake::{Rake, RakeOptions, Scratch, candidates, strip_possessive};
pub use rakes::Rakes;
pub use searchable::{begins_name, keep_searchable, rank, searchable, singular};
