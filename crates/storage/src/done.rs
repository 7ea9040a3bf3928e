//! The record that a task is complete: one small JSON file, renamed into place after the task's
//! results.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use longweave_common::{Code, Error, Result, ResultExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ts_rs::TS;

use crate::array::{corrupt, sealed_of};
use crate::atomic::{Sealed, sync_directory, write_file, write_new_file};
use crate::digest::{Digest, digest_of};
use crate::failpoint;

/// How often, and after which pause, a record is looked for that another attempt has put: network
/// file systems keep the answer that a file is missing for some seconds.
const LOOKS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A result file of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Path below the stage's directory, with `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3 checksum of the file, 16 hexadecimal digits.
    pub xxh3: String,
}

impl FileRecord {
    /// The record of a committed file.
    pub fn new(name: impl Into<String>, sealed: Sealed) -> FileRecord {
        FileRecord { name: name.into(), bytes: sealed.bytes, xxh3: format!("{:016x}", sealed.xxh3) }
    }

    /// The record of the committed file at `path`, in the stage's directory itself.
    pub fn at(path: &Path, sealed: Sealed) -> FileRecord {
        FileRecord::new(path.file_name().unwrap_or_default().to_string_lossy(), sealed)
    }

    /// Reads the whole file below `directory` and compares it with the record.
    ///
    /// Errors: `FILE_CORRUPT` when it differs.
    pub fn check(&self, directory: &Path) -> Result<()> {
        let path = directory.join(&self.name);
        let (sealed, whole) = sealed_of(&path)?;
        if !whole || FileRecord::new(self.name.as_str(), sealed) != *self {
            return Err(corrupt(&path, "is not what its done record says"));
        }
        Ok(())
    }
}

/// The result of a task whose files are all in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneRecord {
    /// Files written, in the task's order.
    pub files: Vec<FileRecord>,
    /// Counts that later stages and the summary read.
    pub counts: Value,
}

/// A record as its file holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    files: Vec<FileRecord>,
    counts: Value,
    /// Of `files` and `counts`.
    digest: Digest,
}

impl DoneRecord {
    fn digest(&self) -> Digest {
        digest_of(&json!({ "files": self.files, "counts": self.counts }))
    }

    /// Puts the record at `path`, in place of one that is there.
    pub fn write(&self, path: &Path) -> Result<()> {
        failpoint::hit("done", path).at("write", path)?;
        write_file(path, self.stored()?.as_bytes()).map(|_| ())
    }

    /// Puts the record at `path`, unless another attempt's is there: the record that counts, which
    /// names its own files.
    ///
    /// Errors: those of writing; `FILE_CORRUPT` where another is there and damaged.
    pub fn put(self, path: &Path) -> Result<DoneRecord> {
        failpoint::hit("done", path).at("write", path)?;
        let text = self.stored()?;
        for _ in 0..LOOKS {
            if write_new_file(path, text.as_bytes())? {
                return Ok(self);
            }
            if let Some(record) = DoneRecord::load(path)? {
                return Ok(record);
            }
            // It was taken away meanwhile, or this machine does not see it yet.
            sleep(PAUSE);
        }
        let message = format!(
            "{} is there and cannot be read: this machine sees files of others late; run the task \
             again",
            path.display()
        );
        Err(Error::new(Code::Io, message).with_file(path))
    }

    /// The text of the record's file.
    fn stored(&self) -> Result<String> {
        let stored = Stored {
            files: self.files.clone(),
            counts: self.counts.clone(),
            digest: self.digest(),
        };
        let mut text = serde_json::to_string_pretty(&stored).map_err(|e| {
            Error::new(Code::Internal, format!("cannot write a done record as JSON: {e}"))
        })?;
        text.push('\n');
        Ok(text)
    }

    /// The record at `path`; `None` where there is none. The files it names must exist below
    /// `directory` with their lengths, else the task counts as not done.
    ///
    /// Errors: `FILE_CORRUPT` for a record that is damaged.
    pub fn read(path: &Path, directory: &Path) -> Result<Option<DoneRecord>> {
        let record = DoneRecord::load(path)?;
        let whole = |f: &FileRecord| {
            fs::metadata(directory.join(&f.name)).is_ok_and(|m| m.len() == f.bytes)
        };
        Ok(record.filter(|record| record.files.iter().all(whole)))
    }

    /// The record at `path`, whatever has become of its files; `None` where there is none.
    ///
    /// Errors: `FILE_CORRUPT` for a record that is damaged.
    pub fn load(path: &Path) -> Result<Option<DoneRecord>> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.at("read", path)?,
        };
        let Stored { files, counts, digest } = serde_json::from_slice(&bytes)
            .map_err(|e| corrupt(path, &format!("is not a done record ({e})")))?;
        let record = DoneRecord { files, counts };
        if record.digest() == digest {
            Ok(Some(record))
        } else {
            Err(corrupt(path, "does not match its checksum"))
        }
    }

    /// Takes the record at `path` away: the task counts as not done from then on.
    pub fn remove(path: &Path) -> Result<()> {
        failpoint::hit("remove", path).and_then(|()| fs::remove_file(path)).at("remove", path)?;
        sync_directory(path.parent().unwrap_or(Path::new(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_only_while_its_files_are_whole() {
        let directory = tempfile::tempdir().unwrap();
        let done = directory.path().join("done/0.json");
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), None);
        let sealed = write_file(&directory.path().join("a"), b"abc").unwrap();
        let record =
            DoneRecord { files: vec![FileRecord::new("a", sealed)], counts: json!({"rows": 3}) };
        record.write(&done).unwrap();
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), Some(record));
        fs::write(directory.path().join("a"), b"ab").unwrap();
        assert_eq!(DoneRecord::read(&done, directory.path()).unwrap(), None);
        assert!(DoneRecord::load(&done).unwrap().is_some());
        fs::write(&done, b"{").unwrap();
        assert_eq!(
            DoneRecord::read(&done, directory.path()).unwrap_err().code(),
            Code::FileCorrupt
        );
        DoneRecord::remove(&done).unwrap();
        assert_eq!(DoneRecord::load(&done).unwrap(), None);
    }

    #[test]
    fn the_record_that_was_put_first_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("done/0.json");
        let record = |n: u64| DoneRecord { files: Vec::new(), counts: json!({ "rows": n }) };
        assert_eq!(record(1).put(&path).unwrap(), record(1));
        assert_eq!(record(2).put(&path).unwrap(), record(1));
        assert_eq!(DoneRecord::load(&path).unwrap(), Some(record(1)));
        DoneRecord::remove(&path).unwrap();
        assert_eq!(record(2).put(&path).unwrap(), record(2));
        fs::write(&path, b"{").unwrap();
        assert_eq!(record(3).put(&path).unwrap_err().code(), Code::FileCorrupt);
    }

    #[test]
    fn a_changed_byte_that_changes_what_a_record_says_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.json");
        let files = vec![FileRecord { name: "a\u{fc}".into(), bytes: 10, xxh3: "00".into() }];
        let record = DoneRecord { files, counts: json!({"rows": 3, "mean": 0.1, "name": null}) };
        record.write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        let mut found = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(&path, &bad).unwrap();
                match DoneRecord::load(&path) {
                    Ok(same) => assert_eq!(same.as_ref(), Some(&record), "bit {bit} of byte {at}"),
                    Err(error) => {
                        assert_eq!(error.code(), Code::FileCorrupt);
                        found += 1;
                    }
                }
            }
        }
        // The remaining changes replace white space by other white space.
        assert!(found > good.len() * 7, "{found} of {}", good.len() * 8);
    }

    #[test]
    fn a_file_is_compared_with_its_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        type Write = fn(&Path) -> Result<Sealed>;
        let column: Write = |path| crate::write_array(path, &[1u32, 2, 3]);
        let table: Write = |path| crate::write_strings(path, "id", ["a", "b"]);
        for write in [column, table, |path| write_file(path, b"short")] {
            let record = FileRecord::new("x", write(&path).unwrap());
            record.check(directory.path()).unwrap();
            let good = fs::read(&path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 4;
                fs::write(&path, &bad).unwrap();
                assert_eq!(
                    record.check(directory.path()).unwrap_err().code(),
                    Code::FileCorrupt,
                    "byte {at}"
                );
            }
            fs::write(&path, &good[..good.len() - 1]).unwrap();
            assert_eq!(record.check(directory.path()).unwrap_err().code(), Code::FileCorrupt);
        }
    }
}
