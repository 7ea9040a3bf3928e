//! The files of a corpus, and the splits that they are divided into.

use std::path::{Component, Path, PathBuf};

use longweave_remote::is_remote;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The files and splits of a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory {
    /// The directory, or URL, that files' paths start from.
    pub root: String,
    /// Files in byte order of path.
    pub files: Vec<InputFile>,
    /// Splits in order of file and place in it.
    pub splits: Vec<Split>,
}

/// A file of a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputFile {
    /// Path below the corpus' root, with `/`.
    pub path: String,
    /// How the file is read.
    pub kind: Kind,
    /// Length in bytes, as stored.
    pub bytes: u64,
    /// Modification time in nanoseconds since 1970. Absent for a remote file.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[ts(optional, as = "Option<u64>")]
    pub modified_ns: u64,
    /// The entity tag of a remote file. Absent for a local one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub etag: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How a file of a corpus is read: as JSON lines with their compression, as Parquet, as Arrow, or as
/// one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "InputKind")]
pub enum Kind {
    /// One JSON object a line.
    Jsonl(Packing),
    /// `.parquet`: divided by row groups.
    Parquet,
    /// `.arrow`, `.feather`, `.ipc`: an Arrow stream or file, divided by record batches.
    Arrow,
    /// The whole file is one document.
    Text,
}

/// How a JSONL file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "InputCompression")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

/// A part of the corpus that one task reads alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Split {
    /// Its (first) file.
    pub file: u32,
    /// Which part of it.
    pub range: Range,
}

/// The part of a file, or the files, that a split covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Range {
    /// Whole files, from the split's file to before `end`: small ones share a split.
    Files {
        /// One after the last.
        end: u32,
    },
    /// The lines whose first byte is in `start..end` of a plain JSONL file.
    Bytes {
        /// First byte.
        start: u64,
        /// One after the last.
        end: u64,
    },
    /// Row groups `start..end` of a Parquet file, or record batches of an Arrow file.
    RowGroups {
        /// First row group.
        start: u32,
        /// One after the last.
        end: u32,
    },
    /// One of the parts that a large packed file is spooled into, see [`crate::spool_file`].
    Part {
        /// Which, from 0.
        part: u32,
        /// How many there are.
        of: u32,
    },
}

impl Kind {
    /// The kind of a file by its name.
    pub fn of(path: &str) -> Option<Kind> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let jsonl = |name: &str| [".jsonl", ".ndjson", ".json"].iter().any(|e| name.ends_with(e));
        if let Some(inner) = name.strip_suffix(".gz") {
            jsonl(inner).then_some(Kind::Jsonl(Packing::Gzip))
        } else if let Some(inner) = name.strip_suffix(".zst") {
            jsonl(inner).then_some(Kind::Jsonl(Packing::Zstd))
        } else if jsonl(&name) {
            Some(Kind::Jsonl(Packing::Plain))
        } else if name.ends_with(".parquet") {
            Some(Kind::Parquet)
        } else if [".arrow", ".feather", ".ipc"].iter().any(|e| name.ends_with(e)) {
            Some(Kind::Arrow)
        } else {
            [".txt", ".md"].iter().any(|e| name.ends_with(e)).then_some(Kind::Text)
        }
    }
}

impl Inventory {
    /// Where a file is: a path, or a URL.
    pub fn path(&self, file: u32) -> PathBuf {
        place(&self.root, &self.files[file as usize].path)
    }

    /// The files that are spooled into parts, in order.
    pub fn spooled(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.splits.iter().filter_map(|split| match split.range {
            Range::Part { part: 0, of } => Some((split.file, of)),
            _ => None,
        })
    }

    /// Whether splits name files that exist in the list, and paths stay below the root: the list may come
    /// from an untrusted file.
    pub fn is_sound(&self) -> bool {
        let below = |path: &str| {
            Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
                && !path.is_empty()
        };
        let rises = |range: Range| match range {
            Range::Bytes { start, end } => start <= end,
            Range::RowGroups { start, end } => start <= end,
            _ => true,
        };
        let exist =
            |split: &Split| u64::from(split.file) < self.files.len() as u64 && rises(split.range);
        let within = |files: std::ops::Range<u32>| {
            !files.is_empty() && u64::from(files.end) <= self.files.len() as u64
        };
        self.files.iter().all(|file| below(&file.path))
            && self
                .splits
                .iter()
                .enumerate()
                .all(|(i, split)| exist(split) && within(self.files_of(i)))
    }

    /// The files of a split.
    pub(crate) fn files_of(&self, split: usize) -> std::ops::Range<u32> {
        let Split { file, range } = self.splits[split];
        match range {
            Range::Files { end } => file..end,
            _ => file..file + 1,
        }
    }
}

/// Bytes of the files, or the part of a file, that a split covers. Packed files count as packed.
pub fn split_bytes(inventory: &Inventory, split: usize) -> u64 {
    match inventory.splits[split].range {
        Range::Bytes { start, end } => end - start,
        Range::Part { of, .. } => {
            inventory.files[inventory.splits[split].file as usize].bytes / u64::from(of.max(1))
        }
        _ => inventory.files_of(split).map(|f| inventory.files[f as usize].bytes).sum(),
    }
}

/// The URL of a file below a root. A root that is only a scheme holds buckets or servers.
pub(crate) fn url(root: &str, path: &str) -> String {
    let slash = if root.ends_with('/') { "" } else { "/" };
    format!("{root}{slash}{path}")
}

/// Where a file below a root is: a path, or a URL.
pub(crate) fn place(root: &str, path: &str) -> PathBuf {
    if is_remote(root) { url(root, path).into() } else { Path::new(root).join(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_url_is_its_path_below_the_root() {
        assert_eq!(url("s3://b/x", "y.jsonl"), "s3://b/x/y.jsonl");
        assert_eq!(url("s3://", "b/y.jsonl"), "s3://b/y.jsonl");
    }
}
