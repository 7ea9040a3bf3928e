//! Output formats: a file each, with its writer and its reader.
//!
//! In: sequences of ids with their pieces. Out: the bytes of FORMATS.md, one shard a writer; the
//! same sequences, read again; the manifest; the verification of an output. Pieces have the names
//! of the Parquet columns in every format; formats that cannot hold them have
//! `provenance/NNNNN.parquet` next to their shards. Uses: common, storage.
//! Begin with `row.rs` and `shard.rs`, then `jsonl.rs`, the shortest format.

mod columns;
mod datasets;
mod datatrove;
mod id_column;
mod id_writer;
mod ids;
mod jsonl;
mod litdata;
mod manifest;
mod mds;
mod megatron;
mod numpy;
mod options;
mod output_file;
mod parquet;
mod place;
mod provenance;
mod reader;
mod row;
mod shard;
mod verify;

pub use manifest::{ManifestFile, OutputManifest, write_sums};
pub use options::{Column, Compression, Format, MdsIndices, Provenance, WriterOptions};
pub use place::{Directory, OutputFiles};
pub use reader::SequenceReader;
pub use row::{PieceRow, SequenceBatch, SequencePlace, SequenceRecord, SequenceRow};
pub use shard::{FileContent, RawFile, SequenceWriter, ShardFile, parts};
pub use verify::{VerifyReport, verify_files, verify_output};

use std::path::Path;

use longweave_common::Result;

/// A writer of shard `shard` in `directory`, whose sequences have these numbers of pieces.
pub fn open_writer(
    options: &WriterOptions,
    directory: &Path,
    shard: u32,
    pieces: &[u32],
) -> Result<Box<dyn SequenceWriter>> {
    Ok(match options.format {
        Format::Parquet => {
            let name = format!("{shard:05}.parquet");
            Box::new(parquet::ParquetWriter::create(options, directory, name, true)?)
        }
        Format::Mds => Box::new(mds::MdsWriter::create(options, directory, shard, pieces)?),
        Format::Megatron => Box::new(megatron::MegatronWriter::create(options, directory, shard)?),
        Format::Datatrove => {
            Box::new(datatrove::DatatroveWriter::create(options, directory, shard)?)
        }
        Format::Numpy => Box::new(numpy::NumpyWriter::create(options, directory, shard)?),
        Format::Datasets => Box::new(datasets::DatasetsWriter::create(options, directory, shard)?),
        Format::Litdata => {
            Box::new(litdata::LitdataWriter::create(options, directory, shard, pieces.len())?)
        }
        Format::Jsonl => Box::new(jsonl::JsonlWriter::create(options, directory, shard)?),
    })
}

/// Bytes that a zstd encoder holds, about.
const ZSTD_BYTES: u64 = 4 << 20;

/// Bytes that a writer holds at most for a shard of `sequences` sequences, in addition to the parts
/// that it is given and what it makes of them. Of pieces it allows for one in eight tokens.
pub fn writer_bytes(options: &WriterOptions, sequences: u64) -> u64 {
    // Of a row group as it is encoded, and of the one before as it is written.
    let group = 2 * sequences.min(shard::group_rows(options.length)) * u64::from(options.length);
    let zstd = if options.compression == Compression::Zstd { ZSTD_BYTES } else { 0 };
    // Pieces take less than a byte a token.
    let pieces = if options.provenance == Provenance::None { 0 } else { group };
    // Of two files, where there are several.
    let files = 2 * output_file::HELD;
    files
        + match options.format {
            // Ids take two bytes, or three where there are very many different ones.
            Format::Parquet => {
                let labels = if options.columns.contains(&Column::Labels) { 3 * group } else { 0 };
                let others = if options.columns.is_empty() { 0 } else { group };
                2 * group + labels + others + pieces
            }
            Format::Mds => zstd + pieces,
            Format::Megatron
            | Format::Datatrove
            | Format::Numpy
            | Format::Datasets
            | Format::Litdata => pieces,
            Format::Jsonl => zstd,
        }
}

/// Files that describe all shards, by name, from the files of the shards in order.
pub fn index_files(options: &WriterOptions, files: &[ShardFile]) -> Vec<(String, Vec<u8>)> {
    match options.format {
        Format::Mds => vec![("index.json".to_owned(), mds::index(options, files))],
        Format::Datasets => datasets::index(options, files),
        Format::Litdata => vec![("index.json".to_owned(), litdata::index(options, files))],
        Format::Parquet | Format::Megatron | Format::Datatrove | Format::Numpy | Format::Jsonl => {
            Vec::new()
        }
    }
}
