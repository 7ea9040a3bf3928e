//! One shard: its writer, and the files that it leaves.

use longweave_common::Result;
use longweave_storage::{FileRecord, Sealed};
use serde::{Deserialize, Serialize};

use crate::SequenceRow;

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
