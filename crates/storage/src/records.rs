//! The done records of all tasks of a stage in one file: `{tasks, bytes}`, a line `{files, counts}` for each
//! task in order, and a checksum ([`summed_lines`]). It only saves reading: a process that
//! needs all records opens one file in place of thousands. The records themselves decide, so it is written
//! from them, and removed before one of them is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use longweave_common::{Result, ResultExt};
use serde::{Deserialize, Serialize};

use crate::atomic::write_file;
use crate::done::DoneRecord;
use crate::failpoint;
use crate::summed_lines::{push_line, push_sum, summed_lines};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    tasks: u32,
    /// Bytes of the files of all tasks.
    bytes: u64,
}

/// The file of a stage's records, compared with its checksum.
pub struct RecordList {
    text: Vec<u8>,
    head: Head,
}

impl RecordList {
    /// Puts the file of a stage's records, those of all its tasks, at `path`.
    ///
    /// Errors: those of writing.
    pub fn write(path: &Path, records: &[DoneRecord]) -> Result<()> {
        let mut text = Vec::new();
        let bytes = records.iter().flat_map(|record| &record.files).map(|file| file.bytes).sum();
        push_line(&mut text, &Head { tasks: records.len() as u32, bytes })?;
        records.iter().try_for_each(|record| push_line(&mut text, record))?;
        push_sum(&mut text)?;
        write_file(path, &text).map(drop)
    }

    /// The file at `path`; `None` where there is none, or it is damaged.
    ///
    /// Errors: those of reading.
    pub fn load(path: &Path) -> Result<Option<RecordList>> {
        match fs::read(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            other => {
                let text = other.at("read", path)?;
                Ok(head(&text).map(|head| RecordList { text, head }))
            }
        }
    }

    /// Takes the file at `path` away, if there is one.
    ///
    /// Errors: those of removing.
    pub fn remove(path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        match failpoint::hit("remove", path).and_then(|()| fs::remove_file(path)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other.at("remove", path),
        }
    }

    /// Tasks whose records it holds.
    pub fn tasks(&self) -> u32 {
        self.head.tasks
    }

    /// Bytes of the files of all tasks.
    pub fn bytes(&self) -> u64 {
        self.head.bytes
    }

    /// The records, by task; `None` where they are not as many, or not such.
    pub fn records(&self) -> Option<Vec<DoneRecord>> {
        let lines = summed_lines(&self.text)?.skip(1);
        let records: Vec<DoneRecord> =
            lines.map(|line| serde_json::from_slice(line).ok()).collect::<Option<_>>()?;
        (records.len() == self.head.tasks as usize).then_some(records)
    }
}

/// The first of the lines.
fn head(text: &[u8]) -> Option<Head> {
    serde_json::from_slice(summed_lines(text)?.next()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::done::FileRecord;

    #[test]
    fn records_come_back_and_a_damaged_file_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("done.jsonl");
        assert!(RecordList::load(&path).unwrap().is_none());
        let record = |n: u64| DoneRecord {
            files: vec![FileRecord { name: format!("{n}.a"), bytes: n, xxh3: "00".into() }],
            counts: json!({ "rows": n, "text": "a\nb" }),
        };
        let records: Vec<DoneRecord> = (0..5).map(record).collect();
        RecordList::write(&path, &records).unwrap();
        let list = RecordList::load(&path).unwrap().unwrap();
        assert_eq!((list.tasks(), list.bytes(), list.records()), (5, 10, Some(records)));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(RecordList::load(&path).unwrap().is_none(), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(RecordList::load(&path).unwrap().is_none(), "{at} bytes");
        }
        RecordList::write(&path, &[]).unwrap();
        let empty = RecordList::load(&path).unwrap().unwrap();
        assert_eq!((empty.tasks(), empty.records()), (0, Some(Vec::new())));
        RecordList::remove(&path).unwrap();
        RecordList::remove(&path).unwrap();
    }
}
