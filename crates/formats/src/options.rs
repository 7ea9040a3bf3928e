//! How sequences are written.

use arrow_schema::DataType;
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
    /// `NNNNN.npy` without a header and `NNNNN.csv.gz`, for OLMo-core.
    Numpy,
    /// `NNNNN.arrow`, `dataset_info.json` and `state.json`, as `save_to_disk` of Hugging Face's
    /// datasets leaves them.
    Datasets,
    /// `chunk-NNNNN-0.bin` and `index.json`, for LitData's `TokensLoader`.
    Litdata,
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
            Format::Numpy => "numpy",
            Format::Datasets => "datasets",
            Format::Litdata => "litdata",
            Format::Jsonl => "jsonl",
        }
    }

    /// Tokens of a shard that its files can hold for certain: offsets of 32 bits end at 4 GiB.
    pub fn most_shard_tokens(self) -> Option<u64> {
        matches!(self, Format::Mds | Format::Litdata).then_some(1 << 29)
    }

    /// Whether files are compressed unless options say otherwise; `None` where readers take ids
    /// straight from the file, so that it never can be.
    pub fn compresses(self) -> Option<bool> {
        match self {
            Format::Parquet | Format::Jsonl => Some(true),
            Format::Mds => Some(false),
            Format::Megatron
            | Format::Datatrove
            | Format::Numpy
            | Format::Datasets
            | Format::Litdata => None,
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
            (Format::Datatrove | Format::Litdata, _) => {
                (Width::narrowest(max_id).bytes() as f64, 16.0)
            }
            // A row of the csv takes about half of its bytes once it is packed.
            (Format::Numpy, _) => (Width::narrowest(max_id).bytes() as f64, 26.0 + id / 2.0),
            (Format::Datasets, _) => (4.0, 16.0),
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

/// How files are compressed; those of formats whose ids readers map into memory never are.
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

/// Columns for trainers in addition to the ids, as in the option `output.columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Tokens of each document of the sequence, which sum to its length.
    SeqLengths,
    /// A number for each token: its place in its document.
    PositionIds,
    /// A number for each token: that of its document in the sequence, from 1; 0 for padding.
    AttentionMask,
    /// A number for each token: its id, or -100 for padding.
    Labels,
    /// A number for each token: 0 for padding, else 1. Of `numpy` a file of its own.
    LabelMask,
    /// A weight for each token, by the number of tokens of its document before it; 0 for padding.
    LossWeights,
}

impl Column {
    pub const ALL: [Column; 6] = [
        Column::SeqLengths,
        Column::PositionIds,
        Column::AttentionMask,
        Column::Labels,
        Column::LabelMask,
        Column::LossWeights,
    ];

    /// The name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Column::SeqLengths => "seq_lengths",
            Column::PositionIds => "position_ids",
            Column::AttentionMask => "attention_mask",
            Column::Labels => "labels",
            Column::LabelMask => "label_mask",
            Column::LossWeights => "loss_weights",
        }
    }

    /// Whether files of `format` can have it.
    pub fn goes_with(self, format: Format) -> bool {
        match format {
            Format::Parquet | Format::Datasets => true,
            Format::Numpy => self == Column::LabelMask,
            Format::Mds
            | Format::Megatron
            | Format::Datatrove
            | Format::Litdata
            | Format::Jsonl => false,
        }
    }

    /// The type of its numbers.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Column::LossWeights => DataType::Float32,
            Column::SeqLengths
            | Column::PositionIds
            | Column::AttentionMask
            | Column::Labels
            | Column::LabelMask => DataType::Int32,
        }
    }

    /// Bytes that it adds for a token and for a piece, estimated.
    pub fn bytes(self, format: Format) -> (f64, f64) {
        match (self, format) {
            (Column::SeqLengths, _) => (0.0, 4.0),
            (_, Format::Numpy) => (1.0, 0.0),
            (_, Format::Datasets) => (4.0, 0.0),
            (Column::Labels, _) => (2.5, 0.0),
            // Of places, the differences are kept; of the others, the runs.
            (Column::PositionIds | Column::AttentionMask | Column::LabelMask, _)
            | (Column::LossWeights, _) => (0.1, 0.0),
        }
    }
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
    /// Columns for trainers that go with the format, in rising order.
    pub columns: Vec<Column>,
    /// Whether labels, masks and weights leave out the first token of each document, too.
    pub mask_first: bool,
    /// Of `loss_weights`, in thousandths: entry n is the weight of a token that 2ⁿ − 1 to 2ⁿ⁺¹ − 2
    /// tokens of its document precede in the sequence.
    pub weights: Vec<u32>,
}
