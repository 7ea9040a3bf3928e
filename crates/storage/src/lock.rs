//! Exclusive locks held by a process: the operating system gives them back when the process ends,
//! however it ends.
//!
//! A lock's file names its holder, `process PID on HOST`, and is empty once the lock was given
//! back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};

/// A held lock; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Who a lock's file names, and whether it still holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub process: u32,
    /// The machine it runs on.
    pub host: String,
    /// Whether the process is alive; `None` for a process of another machine, which cannot be
    /// checked from here.
    pub alive: Option<bool>,
}

impl Lock {
    /// Takes the lock at `path` or fails at once. `what` names what is locked ("the run in out/").
    ///
    /// Errors: `RUN_LOCKED`, naming the process that holds it.
    pub fn take(path: &Path, what: &str) -> Result<Lock> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).at("create", directory)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .at("create", path)?;
        match file.try_lock() {
            Ok(()) => {
                let holder = format!("process {} on {}", std::process::id(), host());
                file.set_len(0)
                    .and_then(|()| file.write_all(holder.as_bytes()))
                    .at("write", path)?;
                Ok(Lock { file })
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

    /// The holder that the lock's file names, read without touching the lock; `None` for a lock
    /// that nobody holds or that was released.
    pub fn holder(path: &Path) -> Option<Holder> {
        let text = fs::read_to_string(path).ok()?;
        let (process, host) = text.strip_prefix("process ")?.split_once(" on ")?;
        let process = process.parse().ok()?;
        let alive = (host == self::host()).then(|| holds_any_lock(process));
        Some(Holder { process, host: host.to_owned(), alive })
    }

    /// Whether a process on any machine that shares the file system holds the lock. It is taken for
    /// an instant to find out.
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
        matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, the file names a process that is found to be gone.
        let _ = self.file.set_len(0);
    }
}

/// The name of this machine, as its kernel has it.
pub fn host() -> String {
    #[cfg(unix)]
    {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        std::env::var("COMPUTERNAME").unwrap_or_default()
    }
}

/// Whether a process of this machine is alive and, where the kernel lists locks, holds any lock. A
/// process that got a reused number does not count.
pub fn holds_any_lock(process: u32) -> bool {
    if let Ok(list) = fs::read_to_string("/proc/locks") {
        let process = process.to_string();
        return list.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.contains(&"FLOCK") && fields.contains(&process.as_str())
        });
    }
    lives(process)
}

#[cfg(unix)]
fn lives(process: u32) -> bool {
    let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    // Another user's process may not be signalled, but it lives.
    pid.is_some_and(|pid| {
        matches!(rustix::process::test_kill_process(pid), Ok(()) | Err(rustix::io::Errno::PERM))
    })
}

#[cfg(not(unix))]
fn lives(_process: u32) -> bool {
    true
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

    #[test]
    fn the_holder_is_told_without_taking_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        assert_eq!(Lock::holder(&path), None);
        let held = Lock::take(&path, "the run").unwrap();
        assert_eq!(
            Lock::holder(&path),
            Some(Holder { process: std::process::id(), host: host(), alive: Some(true) })
        );
        assert!(Lock::is_held(&path));
        drop(held);
        assert_eq!(Lock::holder(&path), None);
        assert!(!Lock::is_held(&path));
        // The file of a killed process, and of a process of another machine.
        fs::write(&path, format!("process {} on {}", u32::MAX - 1, host())).unwrap();
        assert_eq!(Lock::holder(&path).unwrap().alive, Some(false));
        fs::write(&path, "process 7 on elsewhere").unwrap();
        assert_eq!(Lock::holder(&path).unwrap().alive, None);
    }
}
