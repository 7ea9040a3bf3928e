//! A directory that is gone when nobody needs it any more.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{Error, Result};

/// A directory among the system's temporary files, removed when dropped.
pub(crate) struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// A new, empty one.
    pub(crate) fn create() -> Result<TemporaryDirectory> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        let path =
            std::env::temp_dir().join(format!("longweave-{}-{number}-{time}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| Error::io(&e, "create", &path))?;
        Ok(TemporaryDirectory { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Files that cannot be removed are left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
