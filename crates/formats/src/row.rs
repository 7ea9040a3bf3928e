//! A sequence with what its pieces are, in the words of the Parquet columns.

use serde::{Deserialize, Serialize};

/// A sequence to be written. Lists of pieces are equally long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceRow<'a> {
    /// Token ids, exactly `length`.
    pub input_ids: &'a [u32],
    /// Tokens before padding.
    pub n_tokens: u32,
    /// The document of each piece.
    pub doc_ids: &'a [&'a str],
    /// Where each piece begins in the sequence.
    pub doc_starts: &'a [u32],
    /// Tokens of each piece, separator included.
    pub doc_lens: &'a [u32],
    /// Where each piece begins in its document.
    pub doc_offsets: &'a [u32],
    /// Why each piece is there: a keyword, or the id of the document it is a neighbour of.
    pub reasons: &'a [Option<&'a str>],
    /// The plan's number of the group that brought each piece.
    pub groups: &'a [u32],
}

/// A sequence that was read or assembled. Lists that the output does not tell are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRecord {
    /// See [`SequenceRow`].
    pub input_ids: Vec<u32>,
    /// See [`SequenceRow`].
    pub n_tokens: u32,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub doc_ids: Vec<String>,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub doc_starts: Vec<u32>,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub doc_lens: Vec<u32>,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub doc_offsets: Vec<u32>,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub reasons: Vec<Option<String>>,
    /// See [`SequenceRow`].
    #[serde(default)]
    pub groups: Vec<u32>,
}

impl SequenceRecord {
    /// Calls `with` with the record as a row.
    pub fn as_row<T>(&self, with: impl FnOnce(&SequenceRow<'_>) -> T) -> T {
        let ids: Vec<&str> = self.doc_ids.iter().map(String::as_str).collect();
        let reasons: Vec<Option<&str>> = self.reasons.iter().map(Option::as_deref).collect();
        with(&SequenceRow {
            input_ids: &self.input_ids,
            n_tokens: self.n_tokens,
            doc_ids: &ids,
            doc_starts: &self.doc_starts,
            doc_lens: &self.doc_lens,
            doc_offsets: &self.doc_offsets,
            reasons: &reasons,
            groups: &self.groups,
        })
    }
}
