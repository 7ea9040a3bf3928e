//! Sequences as typed arrays.

use longweave_api::batch::{Batch, Strings};
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;

/// Sequences end to end, their pieces as columns.
#[napi(object)]
pub struct NativeBatch {
    /// `sequences · sequenceLength` token ids.
    pub input_ids: Uint32Array,
    /// Tokens of a sequence.
    pub sequence_length: u32,
    /// Tokens of each sequence before padding.
    pub token_counts: Uint32Array,
    /// Index of each sequence's first piece, and the number of pieces.
    pub piece_offsets: Uint32Array,
    /// First token of each piece in its sequence.
    pub starts: Uint32Array,
    /// Tokens of each piece, its separator included.
    pub lengths: Uint32Array,
    /// First token of each piece in its document.
    pub doc_offsets: Uint32Array,
    /// The plan's number of each piece's group.
    pub groups: Uint32Array,
    /// The document of each piece.
    pub doc_ids: NativeStrings,
    /// The reason of each piece, or none.
    pub reasons: NativeStrings,
}

/// Strings end to end.
#[napi(object)]
pub struct NativeStrings {
    /// The strings, concatenated.
    pub text: String,
    /// UTF-16 code units of each; 2³²−1 for none.
    pub lengths: Uint32Array,
}

impl From<Strings> for NativeStrings {
    fn from(Strings { text, lengths }: Strings) -> NativeStrings {
        NativeStrings { text, lengths: lengths.into() }
    }
}

impl From<Batch> for NativeBatch {
    fn from(batch: Batch) -> NativeBatch {
        NativeBatch {
            input_ids: batch.input_ids.into(),
            sequence_length: batch.length,
            token_counts: batch.token_counts.into(),
            piece_offsets: batch.piece_offsets.into(),
            starts: batch.starts.into(),
            lengths: batch.lengths.into(),
            doc_offsets: batch.doc_offsets.into(),
            groups: batch.groups.into(),
            doc_ids: batch.doc_ids.into(),
            reasons: batch.reasons.into(),
        }
    }
}
