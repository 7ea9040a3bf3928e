//! Checks a finished output by itself: all files exist and are unchanged, every sequence has the
//! right length, its pieces are contiguous.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Code, Error, Result, ResultExt};
use longweave_storage::checksum_with;
use serde::Serialize;
use ts_rs::TS;

use crate::manifest::{stands_below, sums_text};
use crate::{Directory, OutputFiles, OutputManifest, Provenance, SequenceReader, SequenceRecord};

/// Counts of a verified output. Everything counted was checked and is intact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Files, including `longweave.json` and `SHA256SUMS`.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Sequences, each of exactly the output's length.
    pub sequences: u64,
    /// Tokens of all sequences, padding included.
    pub tokens: u64,
    /// Pieces of documents in sequences. 0 for an output without provenance.
    pub pieces: u64,
    /// The output of the held-out documents, in the folder `holdout`. Null without one.
    pub holdout: Option<Box<VerifyReport>>,
}

fn fail(file: &str, message: impl Into<String>) -> Error {
    Error::new(Code::VerifyFailed, format!("{file}: {}", message.into())).with("file", file)
}

/// Checks an output directory; needs nothing else.
///
/// Errors: `OUTPUT_NOT_FOUND`; `VERIFY_FAILED`, naming the file and the difference; `FILE_CORRUPT`.
pub fn verify_output(directory: &Path) -> Result<VerifyReport> {
    verify_files(Box::new(Directory::new(directory)), &Cancel::new())
}

/// Checks an output, local or remote. Each remote file is fetched once: files with sequences are
/// compared when these are read.
///
/// Errors: as [`verify_output`], and those of fetching; `CANCELLED`.
pub fn verify_files(mut files: Box<dyn OutputFiles>, cancel: &Cancel) -> Result<VerifyReport> {
    cancel.check()?;
    let manifest = OutputManifest::of(&mut *files)?;
    let sums = read_sums(&mut *files)?;
    let mut report = VerifyReport {
        files: 1,
        bytes: sums_text(&sums).len() as u64,
        sequences: 0,
        tokens: 0,
        pieces: 0,
        holdout: None,
    };
    let mut named = BTreeSet::from(["SHA256SUMS".to_owned()]);
    let mut later = BTreeMap::new();
    for (name, sha256) in &sums {
        if !stands_below(name) {
            return Err(fail(
                "SHA256SUMS",
                format!("\"{name}\" is not a file of the output directory"),
            ));
        }
        named.insert(name.clone());
        let listed = manifest.files.iter().find(|f| f.name == *name);
        if files.fetches() && listed.is_some_and(|f| f.sequences > 0) {
            later.insert(name.clone(), sha256.clone());
            continue;
        }
        let (bytes, found) =
            files.checksum(name, cancel)?.ok_or_else(|| fail(name, "the file is missing"))?;
        compare(name, sha256, bytes, &found, &manifest)?;
        report.files += 1;
        report.bytes += bytes;
    }
    if let Some(missing) = manifest.files.iter().find(|f| !named.contains(&f.name)) {
        return Err(fail(&missing.name, "longweave.json names it, SHA256SUMS does not"));
    }
    for name in files.names()? {
        if !named.contains(&name) {
            return Err(fail(&name, "the file belongs to no finished run; remove it"));
        }
    }
    let total = manifest.files.iter().fold(0u64, |sum, f| sum.saturating_add(f.sequences));
    if total != manifest.sequences {
        return Err(fail(
            "longweave.json",
            format!("it says {} sequences, its files hold {total}", manifest.sequences),
        ));
    }
    report.files += later.len() as u64;
    report.bytes +=
        manifest.files.iter().filter(|f| later.contains_key(&f.name)).map(|f| f.bytes).sum::<u64>();
    let holdout = files.holdout().map_err(|e| match e.code() {
        Code::OutputNotFound => fail("holdout", e.message()),
        _ => e,
    })?;
    let mut reader = SequenceReader::over(Box::new(Compared {
        files,
        manifest: manifest.clone(),
        later,
        cancel: cancel.clone(),
    }))?;
    for number in 0..manifest.sequences {
        cancel.check()?;
        let record = reader.get(number)?;
        check(&record, &manifest).map_err(|what| fail(&format!("sequence {number}"), what))?;
        report.sequences += 1;
        report.tokens += record.input_ids.len() as u64;
        report.pieces += record.doc_starts.len() as u64;
    }
    let held_out = manifest
        .rest
        .get("options")
        .and_then(|o| o["holdout"].as_f64())
        .is_some_and(|share| share > 0.0);
    if held_out && manifest.rest.get("part").is_some_and(|part| part == "main") && holdout.is_none()
    {
        return Err(fail("holdout", "the output of the documents that were set aside is missing"));
    }
    if let Some(holdout) = holdout {
        let inside = verify_files(holdout, cancel).map_err(|e| match e.code() {
            Code::Cancelled => e,
            _ => fail("holdout", e.message()),
        })?;
        report.holdout = Some(Box::new(inside));
    }
    Ok(report)
}

/// The lines of `SHA256SUMS`: names with their sums.
///
/// Errors: `VERIFY_FAILED` for a file that is not, byte for byte, what is written for such lines.
fn read_sums(files: &mut dyn OutputFiles) -> Result<Vec<(String, String)>> {
    let path = files.local("SHA256SUMS")?;
    if !path.exists() {
        return Err(fail("SHA256SUMS", "the file is missing"));
    }
    let bytes = std::fs::read(&path).at("read", &path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| fail("SHA256SUMS", "it is no text"))?;
    let line = |line: &str| {
        line.split_once("  ").map(|(sha256, name)| (name.to_owned(), sha256.to_owned()))
    };
    let sums: Option<Vec<_>> = text.lines().map(line).collect();
    let sums = sums.ok_or_else(|| fail("SHA256SUMS", "a line is not a checksum and a name"))?;
    if sums_text(&sums) != text {
        return Err(fail("SHA256SUMS", "its lines are not in order, or one is cut"));
    }
    Ok(sums)
}

/// Compares what a file is with what sums and manifest say.
fn compare(
    name: &str,
    sha256: &str,
    bytes: u64,
    found: &str,
    manifest: &OutputManifest,
) -> Result<()> {
    if found != sha256 {
        return Err(fail(
            name,
            format!("its content differs: SHA-256 is {found}, SHA256SUMS says {sha256}"),
        ));
    }
    match manifest.files.iter().find(|f| f.name == name) {
        Some(listed) if (listed.bytes, listed.sha256.as_str()) != (bytes, sha256) => {
            Err(fail(name, "longweave.json and SHA256SUMS disagree about it"))
        }
        _ => Ok(()),
    }
}

/// Files of which some are compared with their sums when they come.
struct Compared {
    files: Box<dyn OutputFiles>,
    manifest: OutputManifest,
    /// Sums of those that were not compared yet.
    later: BTreeMap<String, String>,
    cancel: Cancel,
}

impl OutputFiles for Compared {
    fn title(&self) -> String {
        self.files.title()
    }

    fn local(&mut self, name: &str) -> Result<PathBuf> {
        let path = self.files.local(name)?;
        if let Some(sha256) = self.later.remove(name) {
            let (bytes, _, found) = checksum_with(&path, |_| self.cancel.check())?;
            compare(name, &sha256, bytes, &found, &self.manifest)?;
        }
        Ok(path)
    }

    fn fetches(&self) -> bool {
        self.files.fetches()
    }

    fn checksum(&mut self, name: &str, cancel: &Cancel) -> Result<Option<(u64, String)>> {
        self.files.checksum(name, cancel)
    }

    fn names(&mut self) -> Result<Vec<String>> {
        self.files.names()
    }

    fn holdout(&mut self) -> Result<Option<Box<dyn OutputFiles>>> {
        self.files.holdout()
    }
}

fn check(record: &SequenceRecord, manifest: &OutputManifest) -> Result<(), String> {
    let length = manifest.length as usize;
    if record.input_ids.len() != length {
        return Err(format!("it has {} tokens, not {length}", record.input_ids.len()));
    }
    if record.n_tokens as usize > length || record.n_tokens == 0 {
        return Err(format!("n_tokens is {}", record.n_tokens));
    }
    if manifest.provenance != Provenance::Full {
        return Ok(());
    }
    let pieces = record.doc_ids.len();
    let columns = [
        record.doc_starts.len(),
        record.doc_lens.len(),
        record.doc_offsets.len(),
        record.reasons.len(),
        record.groups.len(),
    ];
    if pieces == 0 || columns.iter().any(|&n| n != pieces) {
        return Err(format!(
            "it has {pieces} documents' ids, but {columns:?} starts, lengths, offsets, reasons and \
             groups"
        ));
    }
    // A begin token of the sequence precedes the first piece.
    let mut at = record.doc_starts[0];
    if at > 1 {
        return Err(format!("its first piece begins at {at}"));
    }
    for (start, len) in record.doc_starts.iter().zip(&record.doc_lens) {
        if *start != at || *len == 0 {
            return Err(format!(
                "a piece of {len} tokens begins at {start} where {at} is expected"
            ));
        }
        at = at.checked_add(*len).ok_or_else(|| format!("a piece has {len} tokens"))?;
    }
    if at != record.n_tokens {
        return Err(format!("its pieces end at {at}, n_tokens is {}", record.n_tokens));
    }
    Ok(())
}
