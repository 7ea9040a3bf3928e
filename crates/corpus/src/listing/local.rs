//! The files of a corpus of local paths: single files, directories, globs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use globset::GlobMatcher;
use longweave_common::{Code, Error, Result, ResultExt};
use longweave_remote::is_remote;
use walkdir::WalkDir;

use super::patterns::{glob, is_wild, nothing, unsupported, without_companion};
use super::rules::{Rules, UnreadFiles, partition, without_cards};
use crate::CorpusOptions;
use crate::inventory::{InputFile, Inventory, Kind, UnreadReason, place};

/// The root and the files.
pub(super) fn files(
    options: &CorpusOptions,
    unread: &mut UnreadFiles,
) -> Result<(String, Vec<InputFile>)> {
    let rules = Rules::new(options)?;
    let mut found: BTreeMap<PathBuf, (Kind, u32)> = BTreeMap::new();
    let mut bases: Vec<PathBuf> = Vec::new();
    for (number, path) in (0..).zip(&options.paths) {
        let mut own = BTreeMap::new();
        let mut base = find(path, &rules, &mut own, unread)?;
        for (file, kind) in own {
            found.entry(file).or_insert((kind, number));
        }
        // A partition belongs to the path of its files: its name is a column.
        while base.file_name().and_then(|name| partition(name.to_str()?)).is_some() && base.pop() {}
        bases.push(base);
    }
    let root = match &options.root {
        Some(root) => fs::canonicalize(root).at("open", Path::new(root))?,
        None => common(&bases),
    };
    let mut files = Vec::with_capacity(found.len());
    for (path, (kind, number)) in found {
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
        let listed = |path: String, companion| -> Result<InputFile> {
            let (bytes, modified_ns) = stamp(&root.join(&path))?;
            let named_by = (!options.source_names.is_empty()).then_some(number);
            Ok(InputFile { path, kind, bytes, modified_ns, etag: None, named_by, companion })
        };
        let path = relative.join("/");
        let other = kind.companion(&path).map(|other| {
            if !root.join(&other).exists() {
                return Err(without_companion(&root.join(&path).display().to_string(), kind));
            }
            Ok(Box::new(listed(other, None)?))
        });
        files.push(listed(path, other.transpose()?)?);
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
fn find(
    path: &str,
    rules: &Rules,
    found: &mut BTreeMap<PathBuf, Kind>,
    unread: &mut UnreadFiles,
) -> Result<PathBuf> {
    let nothing = || nothing(path);
    if let Ok(metadata) = fs::metadata(path) {
        if metadata.is_dir() {
            let real = fs::canonicalize(path).at("open", Path::new(path))?;
            let mut below = BTreeMap::new();
            walk(&real, None, rules, &mut below, unread)?;
            if below.is_empty() {
                return Err(nothing());
            }
            let name = |file: &PathBuf| relative(file, &real);
            without_cards(&mut below, |kind| *kind, name, unread);
            found.extend(below);
            return Ok(real);
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
    walk(&base, Some(&glob), rules, &mut matched, unread)?;
    if matched.is_empty() {
        return Err(nothing());
    }
    found.extend(matched);
    Ok(base)
}

fn has_wildcard(component: &Component<'_>) -> bool {
    is_wild(&component.as_os_str().to_string_lossy())
}

/// A path below a directory, with `/`, for people.
fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn walk(
    base: &Path,
    glob: Option<&GlobMatcher>,
    rules: &Rules,
    found: &mut BTreeMap<PathBuf, Kind>,
    unread: &mut UnreadFiles,
) -> Result<()> {
    let mut entries = WalkDir::new(base).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.loop_ancestor().is_some() => continue,
            Err(e) => {
                let path = e.path().unwrap_or(base).to_owned();
                return Err(Error::new(Code::Io, format!("cannot read {}: {e}", path.display()))
                    .with("file", path.display().to_string()));
            }
        };
        if entry.depth() == 0 {
            continue;
        }
        let (path, is_directory) = (entry.path(), entry.file_type().is_dir());
        let name = entry.file_name().to_string_lossy();
        let left_out = if rules.is_own(path, base) {
            Some((UnreadReason::OwnFile, ""))
        } else if let Some(pattern) = rules.skipped(&name) {
            Some((UnreadReason::Skipped, pattern))
        } else if is_directory && is_output(path) {
            Some((UnreadReason::Output, ""))
        } else {
            None
        };
        let shown = relative(path, base);
        if let Some((reason, pattern)) = left_out {
            if is_directory {
                entries.skip_current_dir();
            }
            // A pattern says which files are meant: others are not counted.
            if glob.is_none() {
                let slash = if is_directory { "/" } else { "" };
                unread.add(reason, pattern, &format!("{shown}{slash}"));
            }
            continue;
        }
        let below = path.strip_prefix(base).unwrap_or(path);
        if !entry.file_type().is_file() || glob.is_some_and(|g| !g.is_match(below)) {
            continue;
        }
        let name = path.to_string_lossy();
        let is_file = |path: String| Path::new(&path).is_file();
        match Kind::of(&name) {
            Some(kind) if kind.companion(&name).is_none_or(is_file) => {
                found.insert(path.to_owned(), kind);
            }
            None if Kind::owner(&name).is_some_and(is_file) => {}
            _ => unread.add_kind(&shown),
        }
    }
    Ok(())
}

/// Whether a directory is the output of a run.
fn is_output(path: &Path) -> bool {
    path.join("run.json").is_file() && path.join(".state").is_dir()
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
    let file = &inventory.files[file as usize];
    for then in [Some(file), file.companion.as_deref()].into_iter().flatten() {
        let path = place(&inventory.root, &then.path);
        if stamp(&path)? != (then.bytes, then.modified_ns) {
            let message = format!(
                "{} has changed since the run was prepared; start again in another output directory",
                path.display()
            );
            return Err(Error::new(Code::InputChanged, message).with("file", then.path.as_str()));
        }
    }
    Ok(())
}
