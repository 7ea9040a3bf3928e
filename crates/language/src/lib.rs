//! Languages: which language a text is in, its stop words, and its words.
//!
//! In: texts. Out: a [`Language`], stop words, byte ranges of words. English is read as always:
//! letters between spaces. Other languages also have words in scripts without spaces, elisions, and
//! joiners inside words. Uses: no crate of ours. Begin with `languages.rs`.

mod common;
mod detect;
mod languages;
mod masks;
mod segment;
mod words;

pub use common::common_english;
pub use detect::detect;
pub use languages::Language;
pub use segment::{BOUNDARY, is_unspaced};
pub use words::{Words, continues_phrase, is_mark, words, words_in};
