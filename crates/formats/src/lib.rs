//! Output formats: one file each, with its writer and its reader, behind one trait. A writer makes
//! one output shard.
//!
//! The pieces of a sequence have the same names in every format (the Parquet columns); formats that
//! cannot hold them have `provenance/NNNNN.parquet` next to their shards. FORMATS.md defines every
//! byte.

mod datatrove;
mod ids;
mod jsonl;
mod manifest;
mod mds;
mod megatron;
mod parquet;
mod place;
mod provenance;
mod reader;
mod row;
mod verify;

pub use manifest::{ManifestFile, OutputManifest, write_sums};
pub use place::{Directory, OutputFiles};
pub use reader::SequenceReader;
pub use row::{SequenceRecord, SequenceRow};
pub use verify::{VerifyReport, verify_files, verify_output};

use std::path::Path;

use longweave_common::Result;
use longweave_storage::{FileRecord, Sealed};
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

/// A file that a writer has put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFile {
    /// Its name relative to the output directory, its length, its checksum.
    pub record: FileRecord,
    /// The content of the file.
    pub content: FileContent,
}

/// The content of a shard's file, as its task records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileContent {
    /// Sequences whose tokens are in it.
    pub sequences: u64,
    /// Of a compressed MDS file: what it unpacks to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawFile>,
}

/// The bytes that a compressed file unpacks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// Their number.
    pub bytes: u64,
    /// Their xxh3-64 (seed 0), in 16 hexadecimal digits.
    pub xxh3: String,
}

impl ShardFile {
    pub(crate) fn new(name: String, sealed: Sealed, sequences: u64) -> ShardFile {
        ShardFile {
            record: FileRecord::new(name, sealed),
            content: FileContent { sequences, raw: None },
        }
    }
}

/// Writes the sequences of one shard.
pub trait SequenceWriter: Send {
    /// Appends a sequence.
    fn push(&mut self, row: &SequenceRow<'_>) -> Result<()>;
    /// Puts the shard's files in place, those with sequences in order.
    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>>;
}

/// A writer of shard `shard` in `directory`.
pub fn open_writer(
    options: &WriterOptions,
    directory: &Path,
    shard: u32,
) -> Result<Box<dyn SequenceWriter>> {
    Ok(match options.format {
        Format::Parquet => {
            let name = format!("{shard:05}.parquet");
            Box::new(parquet::ParquetWriter::create(options, directory, name, true)?)
        }
        Format::Mds => Box::new(mds::MdsWriter::create(options, directory, shard)?),
        Format::Megatron => Box::new(megatron::MegatronWriter::create(options, directory, shard)?),
        Format::Datatrove => {
            Box::new(datatrove::DatatroveWriter::create(options, directory, shard)?)
        }
        Format::Jsonl => Box::new(jsonl::JsonlWriter::create(options, directory, shard)?),
    })
}

/// Bytes that a zstd encoder holds, about.
const ZSTD_BYTES: u64 = 4 << 20;

/// Bytes that a writer holds at most for a shard of `sequences` sequences: what is not yet on the
/// disk. Of pieces it allows for one in eight tokens.
pub fn writer_bytes(options: &WriterOptions, sequences: u64) -> u64 {
    let ids = u64::from(options.length) * 4;
    let group = sequences.min(parquet::group_rows_for(options.length));
    let zstd = if options.compression == Compression::Zstd { ZSTD_BYTES } else { 0 };
    // Pieces of a row group as they are encoded.
    let provenance = if options.provenance == Provenance::None { 0 } else { group * ids / 4 };
    match options.format {
        // A row group as it is encoded, and the rows that are collected before they are.
        Format::Parquet => group * ids + 2 * parquet::BATCH_BYTES.max(ids),
        // A sample's offset precedes all samples of its file.
        Format::Mds => {
            let sample = mds::SAMPLE_BYTES
                + ids
                + if options.mds_indices == MdsIndices::Document { ids / 4 } else { 0 };
            let file = options.mds_shard_bytes.map_or(u64::MAX, |most| most.max(sample));
            (sequences * sample).min(file) + zstd + provenance
        }
        Format::Megatron | Format::Datatrove => ids + provenance,
        // Ids as decimal text.
        Format::Jsonl => 3 * ids + zstd,
    }
}

/// Files that describe all shards, by name, from the files of the shards in order.
pub fn index_files(options: &WriterOptions, files: &[ShardFile]) -> Vec<(String, Vec<u8>)> {
    match options.format {
        Format::Mds => vec![("index.json".to_owned(), mds::index(options, files))],
        Format::Parquet | Format::Megatron | Format::Datatrove | Format::Jsonl => Vec::new(),
    }
}
