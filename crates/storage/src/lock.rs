//! Exclusive locks held by a process: the operating system gives them back when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};

/// A held lock; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path` or fails at once. `what` names what is locked ("the run in out/").
    ///
    /// Errors: `RUN_LOCKED`, naming the process that holds it.
    pub fn take(path: &Path, what: &str) -> Result<Lock> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).at("create", directory)?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).at("create", path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id())).at("write", path)?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                let message = format!("{what} is held by {holder}; wait for it to end, or stop it");
                Err(Error::new(Code::RunLocked, message).with("file", path.display().to_string()))
            }
            Err(TryLockError::Error(e)) => Err(Error::io(&e, "lock", path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_free_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks/run");
        let held = Lock::take(&path, "the run").unwrap();
        let error = Lock::take(&path, "the run").unwrap_err();
        assert_eq!(error.code(), Code::RunLocked);
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
        drop(held);
        Lock::take(&path, "the run").unwrap();
    }
}
