//! `longweave.json` and `SHA256SUMS`: what an output directory holds.

use std::path::{Component, Path};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{Sealed, write_file};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

use crate::{Directory, Format, OutputFiles, Provenance};

/// The part of `longweave.json` that readers need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct OutputManifest {
    /// Format of the files that hold sequences.
    pub format: Format,
    /// Tokens of a sequence.
    pub length: u32,
    /// Sequences of the output.
    pub sequences: u64,
    /// Columns on pieces that the output has.
    pub provenance: Provenance,
    /// Every file except `longweave.json` and `SHA256SUMS`, in byte order of name.
    pub files: Vec<ManifestFile>,
    /// Options, inputs and counts of the run that made the output.
    #[serde(flatten)]
    #[ts(skip)]
    pub rest: Map<String, Value>,
}

/// A file of an output, as `longweave.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ManifestFile {
    /// Path below the output directory, with `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Sequences whose tokens it holds. 0 for indexes, provenance and reports.
    pub sequences: u64,
}

impl OutputManifest {
    /// Reads the manifest of an output directory.
    ///
    /// Errors: `OUTPUT_NOT_FOUND` without a manifest (the run has not finished), `FILE_CORRUPT`.
    pub fn read(directory: &Path) -> Result<OutputManifest> {
        OutputManifest::of(&mut Directory::new(directory))
    }

    /// The manifest of an output wherever it is.
    ///
    /// Errors: as [`OutputManifest::read`], and those of fetching.
    pub fn of(files: &mut dyn OutputFiles) -> Result<OutputManifest> {
        let path = files.local("longweave.json")?;
        if !path.exists() {
            let message = format!(
                "{} holds no longweave.json: it is not an output, or its run has not finished",
                files.title()
            );
            return Err(Error::new(Code::OutputNotFound, message).with_file(&path));
        }
        let text = std::fs::read(&path).at("read", &path)?;
        let bad = |what: &str| {
            Error::new(Code::FileCorrupt, format!("{} is not a manifest: {what}", path.display()))
                .with_file(&path)
        };
        let manifest: OutputManifest =
            serde_json::from_slice(&text).map_err(|e| bad(&e.to_string()))?;
        match manifest.files.iter().find(|f| !stands_below(&f.name)) {
            Some(file) => {
                Err(bad(&format!("the file \"{}\" is outside the output directory", file.name)))
            }
            None => Ok(manifest),
        }
    }
}

/// Whether a file's name leads to a place below the directory that it is joined to, and nowhere
/// else.
pub(crate) fn stands_below(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|c| matches!(c, Component::Normal(_)))
}

/// Writes `SHA256SUMS` for files with their sums, as `sha256sum -c` reads it.
pub fn write_sums(directory: &Path, sums: &[(String, String)]) -> Result<Sealed> {
    write_file(&directory.join("SHA256SUMS"), sums_text(sums).as_bytes())
}

/// The text of `SHA256SUMS`: a line for each name with its sum, in byte order of name.
pub(crate) fn sums_text(sums: &[(String, String)]) -> String {
    let mut sums: Vec<&(String, String)> = sums.iter().collect();
    sums.sort();
    sums.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect()
}
