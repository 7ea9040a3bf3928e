//! Output formats: one file each, the writer beside its reader, behind one trait. A writer makes one output shard.
//!
//! What a sequence is made of is told in the same words everywhere (the Parquet columns); formats that cannot hold it have
//! `provenance/NNNNN.parquet` beside their shards. FORMATS.md says every byte.

mod jsonl;
mod manifest;
mod mds;
mod parquet;
mod reader;
mod row;
mod verify;

pub use manifest::{ManifestFile, OutputManifest, write_sums};
pub use reader::SequenceReader;
pub use row::{SequenceRecord, SequenceRow};
pub use verify::{VerifyReport, verify_output};

use std::collections::BTreeMap;
use std::path::Path;

use longweave_common::Result;
use longweave_storage::FileRecord;
use serde::{Deserialize, Serialize};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// `NNNNN.parquet`.
    Parquet,
    /// `shard.NNNNN.mds` and `index.json`, for mosaicml-streaming.
    Mds,
    /// `NNNNN.jsonl.zst`.
    Jsonl,
}

/// What is told of each sequence's pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provenance {
    /// Everything.
    Full,
    /// Documents' ids.
    Ids,
    /// Nothing.
    None,
}

/// Compression of `jsonl`; Parquet is always zstd, MDS never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// None.
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
    /// The format.
    pub format: Format,
    /// Tokens of a sequence.
    pub length: u32,
    /// The method with its options, as JSON: in a Parquet file's metadata.
    pub method: String,
    /// MDS's `domain`.
    pub domain: String,
    /// What is told of pieces.
    pub provenance: Provenance,
    /// Of `jsonl`.
    pub compression: Compression,
    /// Of `mds`.
    pub mds_indices: MdsIndices,
}

/// Writes the sequences of one shard.
pub trait SequenceWriter: Send {
    /// Appends a sequence.
    fn push(&mut self, row: &SequenceRow<'_>) -> Result<()>;
    /// Puts the shard's files in place: the one with the sequences first, names relative to the output directory.
    fn finish(self: Box<Self>) -> Result<Vec<FileRecord>>;
}

/// A writer of shard `shard` in `directory`.
pub fn open_writer(options: &WriterOptions, directory: &Path, shard: u32) -> Result<Box<dyn SequenceWriter>> {
    Ok(match options.format {
        Format::Parquet => {
            let name = format!("{shard:05}.parquet");
            Box::new(parquet::ParquetWriter::create(options, directory, name, true)?)
        }
        Format::Mds => Box::new(mds::MdsWriter::create(options, directory, shard)?),
        Format::Jsonl => Box::new(jsonl::JsonlWriter::create(options, directory, shard)?),
    })
}

/// Bytes that a writer holds at most for a shard of `sequences` sequences: what is not yet on the disk.
pub fn writer_bytes(options: &WriterOptions, sequences: u64) -> u64 {
    let ids = u64::from(options.length) * 4;
    match options.format {
        // A row group as it is encoded, and the rows that are collected before they are.
        Format::Parquet => sequences.min(parquet::group_rows_for(options.length)) * ids + 2 * parquet::BATCH_BYTES.max(ids),
        // A sample's offset stands before all samples.
        Format::Mds => sequences * ids,
        // Ids as decimal text.
        Format::Jsonl => ids * 2,
    }
}

/// Files that stand beside all shards, by name; `sequences` says how many each file of the output holds.
pub fn index_files(options: &WriterOptions, directory: &Path, sequences: &BTreeMap<String, u64>) -> Result<Vec<(String, Vec<u8>)>> {
    match options.format {
        Format::Mds => mds::index(directory, sequences).map(|bytes| vec![("index.json".to_owned(), bytes)]),
        Format::Parquet | Format::Jsonl => Ok(Vec::new()),
    }
}
