//! The files of a corpus, and their division into splits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use globset::{GlobBuilder, GlobMatcher};
use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_remote::is_remote;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use walkdir::WalkDir;

use crate::CorpusOptions;
use crate::source::CorpusFile;

/// Bytes of text in a byte of a packed file, about: how many parts a large one is spooled into.
const PACKED_RATIO: u64 = 4;
/// Most parts of a packed file.
const MOST_PARTS: u32 = 1 << 16;

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

/// How a file of a corpus is read: as JSON lines with their compression, as Parquet, or as one
/// document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "InputKind")]
pub enum Kind {
    /// One JSON object a line.
    Jsonl(Packing),
    /// `.parquet`: divided by row groups.
    Parquet,
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
    /// Row groups `start..end` of a Parquet file.
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
        } else {
            [".txt", ".md"].iter().any(|e| name.ends_with(e)).then_some(Kind::Text)
        }
    }
}

impl Inventory {
    /// Where a file is: a path, or a URL.
    pub fn path(&self, file: u32) -> PathBuf {
        crate::remote::place(&self.root, &self.files[file as usize].path)
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
    pub fn files_of(&self, split: usize) -> std::ops::Range<u32> {
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

/// Finds the files and divides them.
///
/// Skips hidden files and files of unknown kinds in directories.
///
/// Errors: `INPUT_NOT_FOUND` for a path or glob that matches nothing, `INPUT_UNSUPPORTED` for a named
/// file of an unknown kind, `INPUT_TRUNCATED` for a damaged Parquet file.
pub fn inventory(ctx: &Ctx, options: &CorpusOptions) -> Result<Inventory> {
    options.paths.iter().try_for_each(|path| refuse_other_places(path))?;
    let (root, mut files) = match options.paths.iter().find(|path| is_remote(path)) {
        Some(_) => crate::remote::files(&ctx.cancel, options)?,
        None => local_files(options)?,
    };
    files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let mut inventory = Inventory { root, files, splits: Vec::new() };
    inventory.splits = divide(ctx, &inventory, options.split_bytes)?;
    Ok(inventory)
}

/// The root and the files of a corpus of local paths.
fn local_files(options: &CorpusOptions) -> Result<(String, Vec<InputFile>)> {
    let mut found: BTreeMap<PathBuf, Kind> = BTreeMap::new();
    let mut bases: Vec<PathBuf> = Vec::new();
    for path in &options.paths {
        bases.push(find(path, &mut found)?);
    }
    let root = match &options.root {
        Some(root) => fs::canonicalize(root).at("open", Path::new(root))?,
        None => common(&bases),
    };
    let mut files = Vec::with_capacity(found.len());
    for (path, kind) in found {
        let relative = path.strip_prefix(&root).map_err(|_| {
            let message = format!(
                "{} is not below the corpus root {}; give another `corpusRoot`",
                path.display(),
                root.display()
            );
            Error::new(Code::OptionsInvalid, message).with("option", "corpusRoot")
        })?;
        let parts: Option<Vec<&str>> =
            relative.components().map(|c| c.as_os_str().to_str()).collect();
        let relative = parts.ok_or_else(|| {
            Error::new(
                Code::InputUnsupported,
                format!("the name of {} is not UTF-8; rename it", path.display()),
            )
        })?;
        let (bytes, modified_ns) = stamp(&path)?;
        files.push(InputFile { path: relative.join("/"), kind, bytes, modified_ns, etag: None });
    }
    let named = root.to_str().map(str::to_owned);
    let root = named.ok_or_else(|| {
        let message = format!(
            "the name of the corpus root {} is not UTF-8; rename it, or link to it",
            root.display()
        );
        Error::new(Code::InputUnsupported, message).with("path", root.display().to_string())
    })?;
    Ok((root, files))
}

/// The kinds of files by name.
const KINDS: &str = ".jsonl, .ndjson, .json (each also with .gz or .zst), .parquet, .txt and .md";

/// A path or glob that matches nothing.
pub(crate) fn nothing(path: &str) -> Error {
    let message = format!("{path} matches no file; files are read that end in {KINDS}");
    Error::new(Code::InputNotFound, message).with("path", path)
}

/// A file of an unknown kind.
pub(crate) fn unsupported(path: &str) -> Error {
    let message = format!(
        "{path} is of an unknown kind; convert or rename it: files are read that end in {KINDS}"
    );
    Error::new(Code::InputUnsupported, message).with("path", path)
}

/// Whether a path of a corpus is a path of this machine, not a URL or standard input.
pub fn is_local(path: &str) -> bool {
    path != "-" && !path.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Refuses standard input and URLs of schemes that are not read: they would be taken for paths.
///
/// Errors: `INPUT_UNSUPPORTED`.
fn refuse_other_places(path: &str) -> Result<()> {
    let message = match path.split_once("://") {
        Some(("hf", _)) => format!(
            "{path}: names of a hub are not looked up; download the files (hf download REPOSITORY --repo-type dataset) and give their path"
        ),
        Some(("file", local)) => format!("{path}: give the path alone, {local}"),
        Some((scheme, _)) if is_scheme(scheme) && !is_remote(path) => format!(
            "{path}: URLs of {scheme}:// are not read, only s3://, https:// and http://; copy the files, or give a path"
        ),
        _ if path == "-" => {
            "`corpus`: - is not read as standard input; write the rows to a file, or push them through the API".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::new(Code::InputUnsupported, message).with("path", path))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A glob over paths with `/`; `path` is what the user gave.
pub(crate) fn glob(pattern: &str, path: &str) -> Result<GlobMatcher> {
    let bad = |e: globset::Error| {
        Error::new(Code::OptionsInvalid, format!("`corpus`: {path} is not a valid glob: {e}"))
            .with("option", "corpus")
    };
    Ok(GlobBuilder::new(pattern).literal_separator(true).build().map_err(bad)?.compile_matcher())
}

/// Adds the files that `path` names to `found`; the directory that they start from.
fn find(path: &str, found: &mut BTreeMap<PathBuf, Kind>) -> Result<PathBuf> {
    let nothing = || nothing(path);
    if let Ok(metadata) = fs::metadata(path) {
        if metadata.is_dir() {
            let real = fs::canonicalize(path).at("open", Path::new(path))?;
            let before = found.len();
            walk(&real, None, found)?;
            return if found.len() > before || found.keys().any(|f| f.starts_with(&real)) {
                Ok(real)
            } else {
                Err(nothing())
            };
        }
        let kind = Kind::of(path).ok_or_else(|| unsupported(path))?;
        // A link keeps its own name: what it points to may be called anything.
        let name = Path::new(path).file_name().ok_or_else(nothing)?;
        let parent = Path::new(path)
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let parent = fs::canonicalize(parent).at("open", parent)?;
        found.insert(parent.join(name), kind);
        return Ok(parent);
    }
    // A glob: walk from the longest part without wildcards.
    let fixed: PathBuf = Path::new(path).components().take_while(|c| !has_wildcard(c)).collect();
    if fixed.components().count() == Path::new(path).components().count() {
        return Err(nothing());
    }
    let base = if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed };
    let base = fs::canonicalize(base).map_err(|_| nothing())?;
    let rest: PathBuf = Path::new(path).components().skip_while(|c| !has_wildcard(c)).collect();
    let glob = glob(&rest.to_string_lossy(), path)?;
    let mut matched = BTreeMap::new();
    walk(&base, Some(&glob), &mut matched)?;
    if matched.is_empty() {
        return Err(nothing());
    }
    found.extend(matched);
    Ok(base)
}

fn has_wildcard(component: &Component<'_>) -> bool {
    is_wild(&component.as_os_str().to_string_lossy())
}

/// Whether a step of a path is a pattern.
pub(crate) fn is_wild(step: &str) -> bool {
    step.contains(['*', '?', '[', '{'])
}

fn walk(
    base: &Path,
    glob: Option<&GlobMatcher>,
    found: &mut BTreeMap<PathBuf, Kind>,
) -> Result<()> {
    let hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
    };
    for entry in WalkDir::new(base).follow_links(true).into_iter().filter_entry(|e| !hidden(e)) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.loop_ancestor().is_some() => continue,
            Err(e) => {
                let path = e.path().unwrap_or(base).to_owned();
                return Err(Error::new(Code::Io, format!("cannot read {}: {e}", path.display()))
                    .with("file", path.display().to_string()));
            }
        };
        let relative = entry.path().strip_prefix(base).unwrap_or(entry.path());
        if !entry.file_type().is_file() || glob.is_some_and(|g| !g.is_match(relative)) {
            continue;
        }
        if let Some(kind) = Kind::of(&entry.path().to_string_lossy()) {
            found.insert(entry.path().to_owned(), kind);
        }
    }
    Ok(())
}

/// The longest directory that contains all of `bases`.
fn common(bases: &[PathBuf]) -> PathBuf {
    let mut root = bases.first().cloned().unwrap_or_default();
    for base in bases {
        while !base.starts_with(&root) {
            root.pop();
        }
    }
    root
}

/// (bytes, modification time in nanoseconds).
///
/// Errors: `INPUT_UNSUPPORTED` for a pipe, socket or device: reading it may never end.
fn stamp(path: &Path) -> Result<(u64, u64)> {
    let metadata = fs::metadata(path).at("read", path)?;
    if !metadata.is_file() {
        let message = format!(
            "{} is not a regular file but a directory, pipe, socket or device; copy its contents into a file",
            path.display()
        );
        return Err(
            Error::new(Code::InputUnsupported, message).with("path", path.display().to_string())
        );
    }
    let modified = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), modified.map_or(0, |d| d.as_nanos() as u64)))
}

/// Checks that the files of a split are as they were listed.
///
/// Errors: `INPUT_CHANGED`, `INPUT_NOT_FOUND`.
pub fn check_unchanged(inventory: &Inventory, split: usize) -> Result<()> {
    inventory.files_of(split).try_for_each(|file| check_file_unchanged(inventory, file))
}

/// Checks that a file is as it was listed. A remote file needs no check: each read requires its etag.
///
/// Errors: `INPUT_CHANGED`, `INPUT_NOT_FOUND`.
pub fn check_file_unchanged(inventory: &Inventory, file: u32) -> Result<()> {
    if is_remote(&inventory.root) {
        return Ok(());
    }
    let path = inventory.path(file);
    let then = &inventory.files[file as usize];
    if stamp(&path)? != (then.bytes, then.modified_ns) {
        let message = format!(
            "{} has changed since the run was prepared; start again in another output directory",
            path.display()
        );
        return Err(Error::new(Code::InputChanged, message).with("file", then.path.as_str()));
    }
    Ok(())
}

/// Splits of about `split_bytes`: large files are divided, small files in sequence share one.
fn divide(ctx: &Ctx, inventory: &Inventory, split_bytes: u64) -> Result<Vec<Split>> {
    let size = split_bytes.max(1);
    let mut splits: Vec<Split> = Vec::new();
    let mut shared = 0;
    for (number, file) in inventory.files.iter().enumerate() {
        let number = u32::try_from(number)
            .map_err(|_| Error::new(Code::TooManyRows, "the corpus has more than 2³²−1 files"))?;
        let split = |range: Range| Split { file: number, range };
        match file.kind {
            _ if file.bytes <= size => match splits.last_mut() {
                Some(Split { range: Range::Files { end }, .. })
                    if *end == number && shared + file.bytes <= size =>
                {
                    *end = number + 1;
                    shared += file.bytes;
                }
                _ => {
                    splits.push(split(Range::Files { end: number + 1 }));
                    shared = file.bytes;
                }
            },
            Kind::Text => splits.push(split(Range::Files { end: number + 1 })),
            Kind::Jsonl(Packing::Plain) => {
                let parts = file.bytes.div_ceil(size);
                let at =
                    |i: u64| (u128::from(file.bytes) * u128::from(i) / u128::from(parts)) as u64;
                splits.extend(
                    (0..parts).map(|i| split(Range::Bytes { start: at(i), end: at(i + 1) })),
                );
            }
            Kind::Jsonl(_) => {
                let of = u32::try_from(file.bytes.div_ceil((size / PACKED_RATIO).max(1)))
                    .unwrap_or(u32::MAX)
                    .min(MOST_PARTS);
                splits.extend((0..of).map(|part| split(Range::Part { part, of })));
            }
            Kind::Parquet => {
                let (mut start, mut bytes) = (0, 0);
                let groups = crate::parquet_rows::group_bytes(&CorpusFile::open(
                    ctx,
                    &inventory.root,
                    file,
                )?)?;
                for (i, group) in groups.iter().enumerate() {
                    bytes += group;
                    if bytes >= size || i + 1 == groups.len() {
                        let end = i as u32 + 1;
                        splits.push(split(Range::RowGroups { start, end }));
                        (start, bytes) = (end, 0);
                    }
                }
            }
        }
    }
    Ok(splits)
}
