//! One shard: its writer, and the files that it leaves.

use std::ops::Range;

use longweave_common::Result;
use longweave_storage::FileRecord;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use crate::SequenceBatch;
use crate::output_file::Sums;

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
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
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
    pub(crate) fn new(name: String, Sums { sealed, sha256 }: Sums, sequences: u64) -> ShardFile {
        ShardFile {
            record: FileRecord::new(name, sealed),
            content: FileContent { sequences, sha256, raw: None },
        }
    }
}

/// 16 hexadecimal digits that change with the content of the files.
pub(crate) fn fingerprint<'f>(files: impl Iterator<Item = &'f ShardFile>) -> String {
    let mut hash = Xxh3Default::new();
    for file in files {
        hash.update(file.record.name.as_bytes());
        hash.update(file.record.xxh3.as_bytes());
    }
    format!("{:016x}", hash.digest())
}

/// Writes the sequences of one shard.
pub trait SequenceWriter: Send {
    /// Appends the next parts of the shard, divided as [`parts`] says. The threads of the pool that
    /// this is called on share the work.
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()>;
    /// Puts the shard's files in place, those with sequences in order.
    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>>;
}

/// Bytes of token ids in a row group of a Parquet file, and parts of a row group.
const GROUP_BYTES: u64 = 64 << 20;
const GROUP_PARTS: u64 = 16;

/// Rows of a row group of sequences of `length` tokens.
pub(crate) fn group_rows(length: u32) -> u64 {
    (GROUP_BYTES / (4 * u64::from(length))).max(1)
}

/// The parts of a shard of `sequences` sequences of `length` tokens: of about a million tokens, at
/// least one sequence, and of one row group each. They are encoded side by side, and some bytes
/// depend on them.
pub fn parts(length: u32, sequences: usize) -> impl Iterator<Item = Range<usize>> {
    let group = usize::try_from(group_rows(length)).unwrap_or(usize::MAX);
    let rows = group.div_ceil(GROUP_PARTS as usize);
    (0..sequences).step_by(group).flat_map(move |first| {
        let end = sequences.min(first.saturating_add(group));
        (first..end).step_by(rows).map(move |at| at..end.min(at + rows))
    })
}

/// Encodes each part into bytes of its own, side by side; `kept` keeps the memory for the next.
pub(crate) fn encode<'k>(
    kept: &'k mut Vec<Vec<u8>>,
    parts: &[SequenceBatch<'_>],
    encode: impl Fn(&SequenceBatch<'_>, &mut Vec<u8>) -> Result<()> + Sync,
) -> Result<&'k [Vec<u8>]> {
    if kept.len() < parts.len() {
        kept.resize_with(parts.len(), Vec::new);
    }
    kept.par_iter_mut().zip(parts).try_for_each(|(bytes, part)| {
        bytes.clear();
        encode(part, bytes)
    })?;
    Ok(&kept[..parts.len()])
}
