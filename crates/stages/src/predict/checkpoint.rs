//! Checkpoints of a task that predicts with a model: files of finished batches, each written whole.
//!
//! `NNNNN.parts/FIRST-END.jsonl` holds the queries of the batches FIRST to END, one object a query:
//! `{row, segment, query, text}`, and last a checksum. Batches are numbered
//! within the task. They are the same in every attempt, because they follow from the split and the
//! options.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longweave_common::{Result, ResultExt};
use longweave_storage::{push_line, push_sum, summed_lines, write_file};
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
    /// Batches that are in files.
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
    // The task is done: files that cannot be removed only cost space.
    let _ = std::fs::remove_dir_all(directory(stage, task));
}

/// Tasks that have files.
pub(super) fn tasks(stage: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(stage).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".parts")?.parse().ok())
        .collect()
}

impl Checkpoint {
    /// Resumes an earlier attempt: its queries by batch in order. A file that leaves a gap after
    /// those before it, or is damaged, is ignored, and its batches are predicted again.
    ///
    /// Errors: `IO`.
    pub(super) fn open(
        stage: &Path,
        task: u32,
        every: Duration,
    ) -> Result<(Checkpoint, Vec<Predicted>)> {
        let directory = directory(stage, task);
        let mut written = 0;
        let mut found = Vec::new();
        while let Some((queries, end)) = next_file(&directory, written)? {
            found.extend(queries);
            written = end;
        }
        Ok((
            Checkpoint {
                directory,
                every,
                last: Instant::now(),
                written,
                waiting: Vec::new(),
                waiting_batches: 0,
            },
            found,
        ))
    }

    /// Batches that need not be predicted again.
    pub(super) fn batches(&self) -> u64 {
        self.written
    }

    /// Takes the queries of the next batch; writes them once the interval has passed.
    pub(super) fn push(&mut self, queries: &[Predicted]) -> Result<()> {
        queries.iter().try_for_each(|query| push_line(&mut self.waiting, query))?;
        self.waiting_batches += 1;
        if self.last.elapsed() < self.every {
            return Ok(());
        }
        push_sum(&mut self.waiting)?;
        let end = self.written + self.waiting_batches;
        write_file(
            &self.directory.join(format!("{:010}-{end:010}.jsonl", self.written)),
            &self.waiting,
        )?;
        self.written = end;
        self.waiting.clear();
        self.waiting_batches = 0;
        self.last = Instant::now();
        Ok(())
    }
}

/// The queries of the file that begins with batch `first`, and the batch after its last. Of several
/// whole files, the one with the most batches.
fn next_file(directory: &Path, first: u64) -> Result<Option<(Vec<Predicted>, u64)>> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.at("open", directory)?,
    };
    let mut best: Option<(Vec<Predicted>, u64)> = None;
    for entry in entries {
        let path = entry.at("read", directory)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let range = name.strip_suffix(".jsonl").and_then(|n| n.split_once('-'));
        let range = range.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
        if let Some((begin, end)) = range
            && begin == first
            && end > best.as_ref().map_or(first, |b| b.1)
            && let Some(queries) = queries(&std::fs::read(&path).at("read", &path)?)
        {
            best = Some((queries, end));
        }
    }
    Ok(best)
}

/// The queries of a file; `None` for one that does not match its checksum.
fn queries(bytes: &[u8]) -> Option<Vec<Predicted>> {
    summed_lines(bytes)?.map(|line| serde_json::from_slice(line).ok()).collect()
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
        assert_eq!(tasks(directory.path()), [3]);
        remove(directory.path(), 3);
        assert_eq!(open(Duration::ZERO).0.batches(), 0);
        assert!(tasks(directory.path()).is_empty());
    }

    #[test]
    fn a_gap_or_a_damaged_file_ends_what_is_taken_up() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Checkpoint::open(directory.path(), 0, Duration::ZERO).unwrap();
        let (mut checkpoint, _) = open();
        checkpoint.push(&[query(0, "a")]).unwrap();
        checkpoint.push(&[query(1, "b"), query(2, "c")]).unwrap();
        checkpoint.push(&[]).unwrap();
        let taken_up = || {
            let (checkpoint, found) = open();
            (checkpoint.batches(), found.len())
        };
        assert_eq!(taken_up(), (3, 3));
        let middle = directory.path().join("00000.parts/0000000001-0000000002.jsonl");
        let good = std::fs::read(&middle).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&middle, &bad).unwrap();
            // The checksum's own line and the queries' lines alike: they no longer match.
            assert_eq!(taken_up(), (1, 1), "byte {at}");
        }
        std::fs::write(&middle, &good[..good.len() - 1]).unwrap();
        assert_eq!(taken_up(), (1, 1));
        std::fs::remove_file(&middle).unwrap();
        assert_eq!(taken_up(), (1, 1));
        // A whole file is used although a damaged one claims more batches.
        std::fs::write(middle.with_file_name("0000000001-0000000009.jsonl"), "{\"row\":").unwrap();
        std::fs::write(&middle, &good).unwrap();
        assert_eq!(taken_up(), (3, 3));
    }
}
