//! Temporary files on a disk of the machine itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use longweave_common::{Result, ResultExt};

use crate::atomic::process_token;
use crate::lock::Lock;

const PREFIX: &str = "longweave-";

/// A directory for files that no other process reads. A process can have several. It is removed when
/// dropped; the next process with the same parent removes that of a process that was killed.
pub struct LocalDirectory {
    path: PathBuf,
    lock_file: PathBuf,
    _lock: Lock,
}

impl LocalDirectory {
    /// Makes one below `parent`, which is made where it is missing.
    pub fn create(parent: &Path) -> Result<LocalDirectory> {
        fs::create_dir_all(parent).at("create", parent)?;
        sweep(parent);
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", process_token()));
        let lock_file = path.with_extension("lock");
        let lock = Lock::take(&lock_file, &format!("the directory {}", path.display()))?;
        fs::create_dir_all(&path).at("create", &path)?;
        Ok(LocalDirectory { path, lock_file, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalDirectory {
    fn drop(&mut self) {
        // The next process removes a directory that stays.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_file);
    }
}

/// Removes the directories of processes that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_str().unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(".lock") && !Lock::is_held(&path) {
            // One that cannot be removed costs only space.
            let _ = fs::remove_dir_all(path.with_extension(""));
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_processes_that_are_gone_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("local");
        let own = LocalDirectory::create(&parent).unwrap();
        fs::write(own.path().join("file"), "x").unwrap();
        // A killed process leaves its directory and a lock that nobody holds.
        let killed = parent.join("longweave-0123");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("file"), "x").unwrap();
        fs::write(killed.with_extension("lock"), "").unwrap();
        fs::write(parent.join("mine.txt"), "x").unwrap();
        sweep(&parent);
        assert!(!killed.exists() && own.path().join("file").exists());
        drop(own);
        let left: Vec<_> =
            fs::read_dir(&parent).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }
}
