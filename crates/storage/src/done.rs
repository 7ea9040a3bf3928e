//! The record that a task is complete: one small JSON file, renamed into place after the task's results.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::corrupt;
use crate::atomic::{Sealed, write_file};
use crate::failpoint;

/// One result file of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Path relative to the stage's directory, with `/`.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Checksum as [`Sealed`] gives it, in 16 hexadecimal digits.
    pub xxh3: String,
}

impl FileRecord {
    /// The record of a committed file.
    pub fn new(name: impl Into<String>, sealed: Sealed) -> FileRecord {
        FileRecord { name: name.into(), bytes: sealed.bytes, xxh3: format!("{:016x}", sealed.xxh3) }
    }
}

/// What a task leaves behind when all its results are in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneRecord {
    /// Files written, in the task's order.
    pub files: Vec<FileRecord>,
    /// Counts that later stages and the summary read.
    pub counts: Value,
}

impl DoneRecord {
    /// Puts the record at `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        failpoint::hit("done").at("write", path)?;
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(Code::Internal, format!("cannot write a done record as JSON: {e}")))?;
        text.push('\n');
        write_file(path, text.as_bytes()).map(|_| ())
    }

    /// The record at `path`; `None` where there is none. The files it names must exist below `directory` with their lengths,
    /// else the task counts as not done.
    pub fn read(path: &Path, directory: &Path) -> Result<Option<DoneRecord>> {
        let text = match fs::read_to_string(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.at("read", path)?,
        };
        let record: DoneRecord = serde_json::from_str(&text).map_err(|e| corrupt(path, &format!("is no done record ({e})")))?;
        let whole = record.files.iter().all(|f| fs::metadata(directory.join(&f.name)).is_ok_and(|m| m.len() == f.bytes));
        Ok(whole.then_some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_counts_only_while_its_files_are_whole() {
        let directory = tempfile::tempdir().unwrap();
        let done = directory.path().join("done/0.json");
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), None);
        let sealed = write_file(&directory.path().join("a"), b"abc").unwrap();
        let record = DoneRecord { files: vec![FileRecord::new("a", sealed)], counts: json!({"rows": 3}) };
        record.write(&done).unwrap();
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), Some(record));
        fs::write(directory.path().join("a"), b"ab").unwrap();
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), None);
        fs::write(&done, b"{").unwrap();
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap_err().code(), Code::FileCorrupt);
    }
}
