//! Exclusive locks held by a process: the operating system gives them back when the process ends,
//! however it ends.
//!
//! A lock's file names its holder, `process PID on HOST`, and is empty once the lock was given
//! back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use longweave_common::{Code, Error, Result, ResultExt, is_no_locks};

/// How often, and after which pause, a taken lock is tried again: [`Lock::is_held`] takes it for an
/// instant.
const PROBES: usize = 20;
const PROBE: Duration = Duration::from_millis(1);

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
    /// Whether it holds the lock; `None` for a process of another machine, whose locks need not be
    /// visible from here.
    pub alive: Option<bool>,
}

impl Lock {
    /// Takes the lock at `path` or fails at once. `what` names what is locked ("the run in out/").
    ///
    /// Errors: `RUN_LOCKED`, naming the process that holds it.
    pub fn take(path: &Path, what: &str) -> Result<Lock> {
        Lock::take_or(path, what).and_then(|taken| taken.map_err(|e| Error::io(&e, "lock", path)))
    }

    /// As [`Lock::take`]; `None` where the file system does not have locks.
    ///
    /// Errors: `RUN_LOCKED`.
    pub fn take_if_supported(path: &Path, what: &str) -> Result<Option<Lock>> {
        match Lock::take_or(path, what)? {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if is_no_locks(&error) => Ok(None),
            Err(error) => Err(Error::io(&error, "lock", path)),
        }
    }

    /// The lock, or why the system cannot lock the file.
    fn take_or(path: &Path, what: &str) -> Result<io::Result<Lock>> {
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
        let mut taken = file.try_lock();
        for _ in 0..PROBES {
            if matches!(taken, Err(TryLockError::WouldBlock)) {
                sleep(PROBE);
                taken = file.try_lock();
            }
        }
        match taken {
            Ok(()) => {
                let holder = format!("process {} on {}", std::process::id(), host());
                file.set_len(0)
                    .and_then(|()| file.write_all(holder.as_bytes()))
                    .at("write", path)?;
                Ok(Ok(Lock { file }))
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                let message = format!("{what} is held by {holder}; wait for it to end, or stop it");
                Err(Error::new(Code::RunLocked, message).with_file(path))
            }
            Err(TryLockError::Error(error)) => Ok(Err(error)),
        }
    }

    /// The holder that the lock's file names; `None` for a lock that was never taken or was
    /// released.
    pub fn holder(path: &Path) -> Option<Holder> {
        let text = fs::read_to_string(path).ok()?;
        let (process, host) = text.strip_prefix("process ")?.split_once(" on ")?;
        let process = process.parse().ok()?;
        let alive = (host == self::host()).then(|| Lock::is_held(path));
        Some(Holder { process, host: host.to_owned(), alive })
    }

    /// Whether a process on any machine that shares the file system holds the lock. The lock is
    /// taken for an instant, which [`Lock::take`] waits for.
    pub fn is_held(path: &Path) -> bool {
        let probe = File::open(path).map(|file| file.try_lock_shared());
        matches!(probe, Ok(Err(TryLockError::WouldBlock)))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

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
    fn the_holder_is_the_process_that_holds_the_lock() {
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
        // The file of a killed process, whose number a living process has now, and of a process of
        // another machine.
        fs::write(&path, format!("process {} on {}", std::process::id(), host())).unwrap();
        assert_eq!(Lock::holder(&path).unwrap().alive, Some(false));
        fs::write(&path, "process 7 on elsewhere").unwrap();
        assert_eq!(Lock::holder(&path).unwrap().alive, None);
    }

    #[test]
    fn a_lock_that_is_only_looked_at_can_be_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Lock::is_held(&path);
                }
            });
            let refused = (0..1000).filter(|_| Lock::take(&path, "the run").is_err()).count();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
    }
}
