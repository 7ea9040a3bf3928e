//! How sequences are written.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::ids::Width;

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

impl Format {
    /// The name in options and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Mds => "mds",
            Format::Megatron => "megatron",
            Format::Datatrove => "datatrove",
            Format::Jsonl => "jsonl",
        }
    }

    /// Whether files are compressed unless options say otherwise; `None` where readers take ids
    /// straight from the file, so that it never can be.
    pub fn compresses(self) -> Option<bool> {
        match self {
            Format::Parquet | Format::Jsonl => Some(true),
            Format::Mds => Some(false),
            Format::Megatron | Format::Datatrove => None,
        }
    }

    /// Bytes of a token and of a piece with full provenance, estimated; `id` are those of a
    /// document's id.
    pub fn bytes(self, compression: Compression, max_id: u32, id: f64) -> (f64, f64) {
        // Larger vocabularies pack less well.
        let bits = f64::from(max_id.max(2)).log2();
        match (self, compression) {
            (Format::Parquet, Compression::Zstd) => (1.2 * bits / 15.6, 16.0),
            (Format::Jsonl | Format::Mds, Compression::Zstd) => (1.5 * bits / 15.6, 16.0),
            (Format::Jsonl, Compression::None) => (2.0 + bits * 0.3, 60.0 + id),
            (Format::Parquet | Format::Mds, Compression::None) => (4.0, 16.0),
            (Format::Megatron, _) => (Width::of_megatron(max_id).bytes() as f64, 16.0),
            (Format::Datatrove, _) => (Width::of_datatrove(max_id).bytes() as f64, 16.0),
        }
    }
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
