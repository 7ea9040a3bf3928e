//! The files of a corpus, and the splits that they are divided into.

use std::path::{Component, Path, PathBuf};

use longweave_remote::is_remote;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::layout::Layout;
use crate::packing::{PACKINGS, Packing};

/// The files and splits of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory {
    /// The directory, or URL, that files' paths start from.
    pub root: String,
    /// Files in byte order of path.
    pub files: Vec<InputFile>,
    /// Splits in order of file and place in it.
    pub splits: Vec<Split>,
    /// Files below the corpus' directories that are not read.
    pub unread: Vec<Unread>,
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
    /// The number of the path of the corpus that names the file; kept where that is its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub named_by: Option<u32>,
    /// The other file of a token file, next to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub companion: Option<Box<InputFile>>,
}

impl InputFile {
    /// Bytes with those of its companion.
    pub fn all_bytes(&self) -> u64 {
        self.bytes + self.companion.as_ref().map_or(0, |other| other.bytes)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How a file of a corpus is read: as JSON or an archive with its compression, as Parquet or Arrow,
/// or as one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "InputKind")]
pub enum Kind {
    /// One JSON object a line.
    Jsonl(Packing),
    /// One array of JSON objects.
    JsonArray(Packing),
    /// A tar archive of text and JSON files.
    Tar(Packing),
    /// `.parquet`: divided by row groups.
    Parquet,
    /// `.arrow`, `.feather`, `.ipc`: an Arrow stream or file, divided by record batches.
    Arrow,
    /// `.idx`, an index of Megatron-LM, with its `.bin`: divided by documents.
    Megatron,
    /// `.ds`, token ids of datatrove, with its `.ds.index`: divided by documents.
    Datatrove,
    /// `.npy`, token ids of NumPy, with its `.csv.gz`: divided by documents.
    Numpy,
    /// The whole file is one document.
    Text,
}

/// Files and directories below the corpus that are not read for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unread {
    /// Why they are not read.
    pub reason: UnreadReason,
    /// The pattern that they match, the ending of their names (empty for none), or nothing.
    pub name: String,
    /// How many there are; a directory counts once.
    pub count: u64,
    /// The first of their paths below the root.
    pub examples: Vec<String>,
}

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum UnreadReason {
    /// It belongs to this run: its output, work directory, tokenizer or side files.
    OwnFile,
    /// It is the output directory of another run.
    Output,
    /// Its name matches a pattern of `corpusSkip`.
    Skipped,
    /// It is the card or licence of a directory with data.
    Card,
    /// Files of its kind are not read.
    Kind,
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
    /// Documents `start..end` of a token file.
    Rows {
        /// First document.
        start: u64,
        /// One after the last.
        end: u64,
        /// Bytes of an id, where neither file says it alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<u8>,
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
        if let Some(stem) = name.strip_suffix(".tgz") {
            return (!stem.is_empty()).then_some(Kind::Tar(Packing::Gzip));
        }
        let (inner, packing) = PACKINGS
            .into_iter()
            .find_map(|(ending, packing)| Some((name.strip_suffix(ending)?, packing)))
            .unwrap_or((&name, Packing::Plain));
        let ends = |endings: &[&str]| endings.iter().any(|ending| inner.ends_with(ending));
        if ends(&[".jsonl", ".ndjson", ".json"]) {
            Some(Kind::Jsonl(packing))
        } else if ends(&[".tar"]) {
            Some(Kind::Tar(packing))
        } else if packing != Packing::Plain {
            None
        } else if ends(&[".parquet"]) {
            Some(Kind::Parquet)
        } else if ends(&[".arrow", ".feather", ".ipc"]) {
            Some(Kind::Arrow)
        } else if ends(&[".idx"]) {
            Some(Kind::Megatron)
        } else if ends(&[".ds"]) {
            Some(Kind::Datatrove)
        } else if ends(&[".npy"]) {
            Some(Kind::Numpy)
        } else {
            ends(&[".txt", ".md"]).then_some(Kind::Text)
        }
    }

    /// Whether rows have token ids in place of a text.
    pub fn has_tokens(self) -> bool {
        matches!(self, Kind::Megatron | Kind::Datatrove | Kind::Numpy)
    }

    /// The other file of a token file of this kind.
    pub(crate) fn companion(self, path: &str) -> Option<String> {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        match self {
            Kind::Megatron => Some(format!("{stem}.bin")),
            Kind::Datatrove => Some(format!("{path}.index")),
            Kind::Numpy => Some(format!("{stem}.csv.gz")),
            _ => None,
        }
    }

    /// The token file that a file of this name belongs to, if there is one.
    pub(crate) fn owner(path: &str) -> Option<String> {
        let endings =
            [(".bin", ".idx"), (".ds.index", ".ds"), (".ds.metadata", ".ds"), (".csv.gz", ".npy")];
        endings.iter().find_map(|(ending, of)| Some(format!("{}{of}", path.strip_suffix(ending)?)))
    }

    /// How the file is compressed as a whole; `None` where it is not read as lines.
    pub fn packing(self) -> Option<Packing> {
        self.lines("").map(|(_, packing)| packing)
    }

    /// How rows follow each other in the file's unpacked bytes, and how it is packed; `None` where it
    /// is not read as lines.
    pub(crate) fn lines(self, text_field: &str) -> Option<(Layout<'_>, Packing)> {
        match self {
            Kind::Jsonl(packing) => Some((Layout::Lines, packing)),
            Kind::JsonArray(packing) => Some((Layout::Array, packing)),
            Kind::Tar(packing) => Some((Layout::Tar { text_field }, packing)),
            _ => None,
        }
    }
}

impl Inventory {
    /// Where a file is: a path, or a URL.
    pub fn path(&self, file: u32) -> PathBuf {
        place(&self.root, &self.files[file as usize].path)
    }

    /// Whether the files and their splits are the same, whatever other files are near them.
    pub fn is_same(&self, other: &Inventory) -> bool {
        let Inventory { root, files, splits, unread: _ } = self;
        (root, files, splits) == (&other.root, &other.files, &other.splits)
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
            Range::Rows { start, end, .. } => start <= end,
            _ => true,
        };
        let exist =
            |split: &Split| u64::from(split.file) < self.files.len() as u64 && rises(split.range);
        let within = |files: std::ops::Range<u32>| {
            !files.is_empty() && u64::from(files.end) <= self.files.len() as u64
        };
        let named = |file: &InputFile| {
            below(&file.path)
                && file.kind.has_tokens() == file.companion.is_some()
                && file.companion.iter().all(|other| below(&other.path))
        };
        self.files.iter().all(named)
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
        _ => inventory.files_of(split).map(|f| inventory.files[f as usize].all_bytes()).sum(),
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
