//! The done records of all tasks of a stage in one file: `{tasks}`, a line `{files, counts}` for each
//! task in order, and last `{xxh3}` of all lines before. It only saves reading: a process that
//! needs all records opens one file in place of thousands. The records themselves decide, so it is written
//! from them, and removed before one of them is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::atomic::write_file;
use crate::done::DoneRecord;
use crate::failpoint;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    tasks: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    /// Of all lines before, in 16 hexadecimal digits.
    xxh3: String,
}

/// The file of a stage's records, read and compared with its checksum.
pub struct RecordList {
    tasks: u32,
    /// The lines of the records.
    lines: Vec<u8>,
}

impl RecordList {
    /// Puts the file of a stage's records, those of all its tasks, at `path`.
    ///
    /// Errors: those of writing.
    pub fn write(path: &Path, records: &[DoneRecord]) -> Result<()> {
        let json =
            |e| Error::new(Code::Internal, format!("cannot write done records as JSON: {e}"));
        let mut text = Vec::new();
        serde_json::to_writer(&mut text, &Head { tasks: records.len() as u32 }).map_err(json)?;
        text.push(b'\n');
        for record in records {
            serde_json::to_writer(&mut text, record).map_err(json)?;
            text.push(b'\n');
        }
        let sum = Sum { xxh3: format!("{:016x}", xxh3_64(&text)) };
        serde_json::to_writer(&mut text, &sum).map_err(json)?;
        text.push(b'\n');
        write_file(path, &text).map(drop)
    }

    /// The file at `path`; `None` where there is none, or it is damaged.
    ///
    /// Errors: those of reading.
    pub fn load(path: &Path) -> Result<Option<RecordList>> {
        match fs::read(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            other => Ok(whole(other.at("read", path)?)),
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
        self.tasks
    }

    /// The records, by task; `None` where they are not as many, or not such.
    pub fn records(&self) -> Option<Vec<DoneRecord>> {
        let lines = self.lines.split(|&b| b == b'\n').filter(|line| !line.is_empty());
        let records: Vec<DoneRecord> =
            lines.map(|line| serde_json::from_slice(line).ok()).collect::<Option<_>>()?;
        (records.len() == self.tasks as usize).then_some(records)
    }
}

fn whole(mut text: Vec<u8>) -> Option<RecordList> {
    let lines = text.strip_suffix(b"\n")?;
    let last = lines.iter().rposition(|&b| b == b'\n')? + 1;
    let sum: Sum = serde_json::from_slice(&lines[last..]).ok()?;
    if sum.xxh3 != format!("{:016x}", xxh3_64(&text[..last])) {
        return None;
    }
    let first = text.iter().position(|&b| b == b'\n')? + 1;
    let Head { tasks } = serde_json::from_slice(&text[..first]).ok()?;
    text.truncate(last);
    text.drain(..first);
    Some(RecordList { tasks, lines: text })
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
        assert_eq!((list.tasks(), list.records()), (5, Some(records)));
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
