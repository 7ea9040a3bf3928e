//! The files of a corpus of local paths: single files, directories, globs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use globset::GlobMatcher;
use longweave_common::{Code, Error, Result, ResultExt};
use longweave_remote::is_remote;
use walkdir::WalkDir;

use super::patterns::{glob, is_wild, nothing, unsupported};
use crate::CorpusOptions;
use crate::inventory::{InputFile, Inventory, Kind};

/// The root and the files.
pub(super) fn files(options: &CorpusOptions) -> Result<(String, Vec<InputFile>)> {
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
