//! What a task of a model has predicted so far, for the case that it is interrupted: files of finished batches, each written whole.
//!
//! `NNNNN.parts/FIRST-END.jsonl` holds the queries of the batches FIRST to END, one object a query: `{row, segment, query, text}`. Batches
//! are numbered within the task; they are the same ones in every attempt, because they follow from the split and the options alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::write_file;
use serde::{Deserialize, Serialize};

/// A query of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Predicted {
    /// Row of the split.
    pub(super) row: u32,
    /// Segment of the document.
    pub(super) segment: u32,
    /// Number of the query of the segment.
    pub(super) query: u32,
    pub(super) text: String,
}

/// The files of a task.
pub(super) struct Checkpoint {
    directory: PathBuf,
    every: Duration,
    last: Instant,
    /// Batches that stand in files.
    written: u64,
    /// Lines of batches since, and how many batches.
    waiting: Vec<u8>,
    waiting_batches: u64,
}

fn directory(stage: &Path, task: u32) -> PathBuf {
    stage.join(format!("{task:05}.parts"))
}

/// Removes the files of a task.
pub(super) fn remove(stage: &Path, task: u32) {
    // What cannot be removed costs space and nothing else: the task is done.
    let _ = std::fs::remove_dir_all(directory(stage, task));
}

impl Checkpoint {
    /// Takes up what an earlier attempt has left: its queries by batch in order. A file that does not follow on those before is ignored and
    /// written anew.
    ///
    /// Errors: `FILE_CORRUPT`, `IO`.
    pub(super) fn open(stage: &Path, task: u32, every: Duration) -> Result<(Checkpoint, Vec<Predicted>)> {
        let directory = directory(stage, task);
        let mut written = 0;
        let mut found = Vec::new();
        while let Some((path, end)) = next_file(&directory, written)? {
            read(&path, &mut found)?;
            written = end;
        }
        Ok((Checkpoint { directory, every, last: Instant::now(), written, waiting: Vec::new(), waiting_batches: 0 }, found))
    }

    /// Batches that need not be predicted again.
    pub(super) fn batches(&self) -> u64 {
        self.written
    }

    /// Takes the queries of the next batch; writes when the time has come.
    pub(super) fn push(&mut self, queries: &[Predicted]) -> Result<()> {
        for query in queries {
            serde_json::to_writer(&mut self.waiting, query).map_err(|e| Error::new(Code::Internal, format!("a query as JSON: {e}")))?;
            self.waiting.push(b'\n');
        }
        self.waiting_batches += 1;
        if self.last.elapsed() < self.every {
            return Ok(());
        }
        let end = self.written + self.waiting_batches;
        write_file(&self.directory.join(format!("{:010}-{end:010}.jsonl", self.written)), &self.waiting)?;
        self.written = end;
        self.waiting.clear();
        self.waiting_batches = 0;
        self.last = Instant::now();
        Ok(())
    }
}

/// The file that begins with batch `first`, and the batch after its last; of several the one that reaches furthest.
fn next_file(directory: &Path, first: u64) -> Result<Option<(PathBuf, u64)>> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.at("open", directory)?,
    };
    let mut best: Option<(PathBuf, u64)> = None;
    for entry in entries {
        let path = entry.at("read", directory)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let range = name.strip_suffix(".jsonl").and_then(|n| n.split_once('-'));
        let range = range.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
        if let Some((begin, end)) = range
            && begin == first
            && end > best.as_ref().map_or(first, |b| b.1)
        {
            best = Some((path, end));
        }
    }
    Ok(best)
}

fn read(path: &Path, found: &mut Vec<Predicted>) -> Result<()> {
    let text = std::fs::read_to_string(path).at("read", path)?;
    for line in text.split('\n').filter(|l| !l.is_empty()) {
        found.push(serde_json::from_str(line).map_err(|e| {
            let message = format!("{} holds a line that is no query ({e}); delete it, and its batches are predicted again", path.display());
            Error::new(Code::FileCorrupt, message).with("file", path.display().to_string())
        })?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(row: u32, text: &str) -> Predicted {
        Predicted { row, segment: 0, query: 0, text: text.into() }
    }

    #[test]
    fn what_was_written_comes_back_and_what_was_waiting_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let open = |every| Checkpoint::open(directory.path(), 3, every).unwrap();
        let (mut first, found) = open(Duration::ZERO);
        assert!(found.is_empty());
        first.push(&[query(0, "a\u{2028}b\n")]).unwrap();
        first.push(&[]).unwrap();
        drop(first);
        let (mut second, found) = open(Duration::from_secs(3_600));
        assert_eq!((second.batches(), found), (2, vec![query(0, "a\u{2028}b\n")]));
        second.push(&[query(1, "lost")]).unwrap();
        drop(second);
        let (third, found) = open(Duration::ZERO);
        assert_eq!((third.batches(), found.len()), (2, 1));
        remove(directory.path(), 3);
        assert_eq!(open(Duration::ZERO).0.batches(), 0);
    }

    #[test]
    fn a_gap_ends_what_is_taken_up_and_a_damaged_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let parts = directory.path().join("00000.parts");
        std::fs::create_dir(&parts).unwrap();
        let line = "{\"row\":0,\"segment\":0,\"query\":0,\"text\":\"a\"}\n";
        std::fs::write(parts.join("0000000000-0000000002.jsonl"), line).unwrap();
        std::fs::write(parts.join("0000000005-0000000006.jsonl"), line).unwrap();
        let (checkpoint, found) = Checkpoint::open(directory.path(), 0, Duration::ZERO).unwrap();
        assert_eq!((checkpoint.batches(), found.len()), (2, 1));
        std::fs::write(parts.join("0000000002-0000000003.jsonl"), "{\"row\":").unwrap();
        let error = Checkpoint::open(directory.path(), 0, Duration::ZERO).err().unwrap();
        assert_eq!(error.code(), Code::FileCorrupt);
        assert!(error.message().contains("0000000002-0000000003.jsonl"));
    }
}
