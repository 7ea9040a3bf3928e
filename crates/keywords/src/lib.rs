//! Keywords: RAKE (Rose, Engel, Cramer, Cowley 2010) over short texts, stop lists, and the list of
//! boilerplate phrases.
//!
//! A text is split into phrases at stop words and punctuation; the score of a word is its degree
//! over its frequency, the score of a phrase the sum of its words' scores. On a text that repeats
//! no word, a phrase of n words scores n².

mod classic;
mod columns;
mod hash;
mod lists;
mod normalise;
mod rake;

pub use classic::{Classic, classic};
pub use columns::{ColumnScratch, Columns};
pub use hash::{hash_bytes, hash_words};
pub use lists::{Boilerplate, StopList};
pub use normalise::{normalise, normalise_into};
pub use rake::{Keyword, Rake, RakeOptions, Scratch, candidates, strip_possessive, words};
