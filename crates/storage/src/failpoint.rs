//! Places where a test can make a step fail or the process die:
//! `LONGWEAVE_FAILPOINT=NAME=ACTION[@N]`, taken at the N-th hit of that name in the process (1 by
//! default); `LONGWEAVE_FAILPOINT_PATH=TEXT` counts only hits whose path contains TEXT.
//! `LONGWEAVE_FAILPOINT_LOG=FILE` appends a line for every hit, the name, a tab and the path, so
//! that a test finds out which there are. Without these variables a hit costs one load.
//!
//! | name | before |
//! | --- | --- |
//! | `task` | a task's work; its lease is held |
//! | `create`, `write`, `sync`, `rename` | an attempt's file is made, bytes go to it, it is
//! fsynced, it gets its name |
//! | `renamed` | the directory of a file that has its name is fsynced |
//! | `done` | the record of a task whose files are all in place |
//! | `read` | bytes of a column or a string table are read |
//! | `remove` | what an attempt left behind, or the record of a damaged result, is removed |
//!
//! ACTION is `abort`, `hang` (for ever), `wait` (until the file that `LONGWEAVE_FAILPOINT_GATE`
//! names exists), or the error that the system gives: `full` (disk), `denied`, `io`, `short` (the
//! file ends early).

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Armed {
    name: String,
    action: String,
    at: u64,
    path: String,
    hits: AtomicU64,
}

struct Points {
    armed: Option<Armed>,
    log: Option<File>,
}

impl Armed {
    fn from_environment() -> Option<Armed> {
        let value = std::env::var("LONGWEAVE_FAILPOINT").ok()?;
        let (name, action) = value.split_once('=')?;
        let (action, at) = match action.split_once('@') {
            Some((action, n)) => (action, n.parse().ok()?),
            None => (action, 1),
        };
        Some(Armed {
            name: name.to_owned(),
            action: action.to_owned(),
            at,
            path: std::env::var("LONGWEAVE_FAILPOINT_PATH").unwrap_or_default(),
            hits: AtomicU64::new(0),
        })
    }

    fn hit(&self, name: &str, path: &Path) -> io::Result<()> {
        if self.name != name || !path.to_string_lossy().contains(&self.path) {
            return Ok(());
        }
        if self.hits.fetch_add(1, Ordering::Relaxed) + 1 != self.at {
            return Ok(());
        }
        match self.action.as_str() {
            "full" => Err(io::Error::from(io::ErrorKind::StorageFull)),
            "denied" => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            "io" => Err(io::Error::other("input/output error")),
            "short" => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            "hang" => loop {
                std::thread::park();
            },
            "wait" => {
                let gate = std::env::var_os("LONGWEAVE_FAILPOINT_GATE").unwrap_or_default();
                while !Path::new(&gate).exists() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            }
            _ => std::process::abort(),
        }
    }
}

fn points() -> Option<&'static Points> {
    static POINTS: OnceLock<Option<Points>> = OnceLock::new();
    POINTS
        .get_or_init(|| {
            let armed = Armed::from_environment();
            let log = std::env::var_os("LONGWEAVE_FAILPOINT_LOG").and_then(|path| {
                File::options().create(true).append(true).open(Path::new(&path)).ok()
            });
            (armed.is_some() || log.is_some()).then_some(Points { armed, log })
        })
        .as_ref()
}

/// A place named `name`, before the operation on `path`. Does nothing unless the environment asks
/// for it.
pub fn hit(name: &str, path: &Path) -> io::Result<()> {
    let Some(points) = points() else { return Ok(()) };
    if let Some(mut log) = points.log.as_ref() {
        // One write for a line: several threads and processes may append.
        log.write_all(format!("{name}\t{}\n", path.display()).as_bytes())?;
    }
    points.armed.as_ref().map_or(Ok(()), |armed| armed.hit(name, path))
}
