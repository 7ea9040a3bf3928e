//! How sequences are written.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The format of an output's files, as in the option `output.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "FileFormat")]
pub enum Format {
    /// `NNNNN.parquet`.
    Parquet,
    /// `shard.NNNNN.mds` and `index.json`, for mosaicml-streaming.
    Mds,
    /// `shard_NNNNN.bin` and `.idx`, for Megatron-LM.
    Megatron,
    /// `NNNNN.ds` and its companions, for datatrove's datasets.
    Datatrove,
    /// `NNNNN.jsonl.zst`.
    Jsonl,
}

/// Columns on the pieces of each sequence: all of them, the documents' ids alone, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Provenance {
    /// Everything.
    Full,
    /// Documents' ids.
    Ids,
    /// Nothing.
    None,
}

/// How files are compressed; those of `megatron` and `datatrove` never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    Zstd,
    None,
}

/// Attention spans that readers of `indices` see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MdsIndices {
    /// One: the sequence.
    Sequence,
    /// One for each piece.
    Document,
}

/// How sequences are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    pub format: Format,
    /// Tokens of a sequence.
    pub length: u32,
    /// The largest id that can occur: decides how wide ids are.
    pub max_id: u32,
    /// The name of the tokenizer in datatrove's metadata.
    pub tokenizer: String,
    /// The method with its options, as JSON: in a Parquet file's metadata.
    pub method: String,
    /// MDS's `domain`.
    pub domain: String,
    /// The detail kept of pieces.
    pub provenance: Provenance,
    /// Of the files with sequences.
    pub compression: Compression,
    pub mds_indices: MdsIndices,
    /// Of `mds`: most bytes of a file before compression, unless a single sequence has more.
    pub mds_shard_bytes: Option<u64>,
}
