//! The runs over a work directory, which they share: `WORK/runs/` lists them, so that the results
//! of a running one are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{Lock, digest_of, write_file};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base::Moved;

#[derive(Serialize, Deserialize)]
struct Registration {
    run: PathBuf,
    /// The work directory as the run's machine sees it; empty in lists of older versions.
    #[serde(default)]
    work: PathBuf,
}

/// The folder of the list.
pub fn registry(work: &Path) -> PathBuf {
    work.join("runs")
}

/// Excludes the beginning of a run and the deletion of directories from each other; held for an
/// instant. `None` where the file system does not have locks: nothing is to be deleted then.
pub fn lock_registry(work: &Path) -> Result<Option<Lock>> {
    let path = registry(work).join(".lock");
    loop {
        match Lock::take_if_supported(&path, &format!("the list of runs in {}", work.display())) {
            Err(e) if e.code() == Code::RunLocked => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

/// Adds the run in `out` to the list of the work directory.
pub(crate) fn register(work: &Path, out: &Path) -> Result<()> {
    let run = std::path::absolute(out).at("find", out)?;
    let own = std::path::absolute(work).at("find", work)?;
    let _lock = lock_registry(work)?;
    let path = registry(work).join(format!("{}.json", digest_of(&json!(run))));
    let text = serde_json::to_string(&Registration { run, work: own })
        .map_err(|e| Error::new(Code::Internal, format!("a registration: {e}")))?;
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    write_file(&path, text.as_bytes()).map(drop)
}

/// The output directories of the listed runs, each with the file that lists it.
pub fn registered(work: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut runs = Vec::new();
    let now = std::path::absolute(work).at("find", work)?;
    for entry in fs::read_dir(registry(work)).at("open", work)? {
        let path = entry.at("read", work)?.path();
        let listed = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(Registration { run, work: then }) = listed {
            let run = match Moved::between(&then, &now) {
                Some(moved) => moved.path(run),
                None => run,
            };
            runs.push((run, path));
        }
    }
    Ok(runs)
}
