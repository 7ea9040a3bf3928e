//! Patterns in paths of a corpus, and the errors of those that name no file.

use globset::{GlobBuilder, GlobMatcher};
use longweave_common::{Code, Error, Result};

use crate::inventory::Kind;

/// The kinds of files by name.
const KINDS: &str = ".jsonl, .ndjson, .json, .tar (each also with .gz, .zst, .bz2, .xz or .lz4), .parquet, .arrow, .feather, .ipc, .idx (with its .bin), .ds (with its .ds.index), .npy (with its .csv.gz), .txt and .md";

/// A path or glob that matches nothing.
pub(super) fn nothing(path: &str) -> Error {
    let message = format!("{path} matches no file; files are read that end in {KINDS}");
    Error::new(Code::InputNotFound, message).with("path", path)
}

/// A file of an unknown kind.
pub(super) fn unsupported(path: &str) -> Error {
    let message = format!(
        "{path} is of an unknown kind; convert or rename it: files are read that end in {KINDS}"
    );
    Error::new(Code::InputUnsupported, message).with("path", path)
}

/// A token file without the file next to it.
pub(super) fn without_companion(path: &str, kind: Kind) -> Error {
    let other = kind.companion(path).unwrap_or_default();
    let holds = match kind {
        Kind::Megatron => "its token ids",
        Kind::Numpy => "a row `start,end,id,src,loc` for each of its documents",
        _ => "the ends of its documents",
    };
    let message = format!("{path} needs {other}, which holds {holds}; copy it there");
    Error::new(Code::InputNotFound, message).with("path", other)
}

/// A glob over paths with `/`; `path` is what the user gave.
pub(super) fn glob(pattern: &str, path: &str) -> Result<GlobMatcher> {
    let bad = |e: globset::Error| {
        Error::new(Code::OptionsInvalid, format!("`corpus`: {path} is not a valid glob: {e}"))
            .with("option", "corpus")
    };
    Ok(GlobBuilder::new(pattern).literal_separator(true).build().map_err(bad)?.compile_matcher())
}

/// Whether a step of a path is a pattern.
pub(super) fn is_wild(step: &str) -> bool {
    step.contains(['*', '?', '[', '{'])
}
