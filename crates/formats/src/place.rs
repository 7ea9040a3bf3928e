//! Where the files of an output are: in a directory, or wherever they have to be fetched from
//! first.

use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Result, ResultExt};
use longweave_storage::checksum_with;

/// The files of an output. Names are relative to it, with `/`.
pub trait OutputFiles: Send {
    /// The name of the output in messages.
    fn title(&self) -> String;
    /// The path of a local copy of a file, fetched if necessary, with the files that differ from it
    /// in their last extension alone. It exists until a few more are requested.
    fn local(&mut self, name: &str) -> Result<PathBuf>;
    /// Whether [`OutputFiles::local`] has to fetch.
    fn fetches(&self) -> bool;
    /// Length and SHA-256 of a file; `None` where it is missing. Watches `cancel` while it reads.
    fn checksum(&mut self, name: &str, cancel: &Cancel) -> Result<Option<(u64, String)>>;
    /// All files; the run's own and those of the held-out documents' output are not the output's.
    fn names(&mut self) -> Result<Vec<String>>;
    /// The held-out documents' output, where there is one.
    fn holdout(&mut self) -> Result<Option<Box<dyn OutputFiles>>>;
}

/// An output in a directory.
pub struct Directory(PathBuf);

impl Directory {
    /// The output in `directory`.
    pub fn new(directory: &Path) -> Directory {
        Directory(directory.to_owned())
    }
}

impl OutputFiles for Directory {
    fn title(&self) -> String {
        self.0.display().to_string()
    }

    fn local(&mut self, name: &str) -> Result<PathBuf> {
        Ok(self.0.join(name))
    }

    fn fetches(&self) -> bool {
        false
    }

    fn checksum(&mut self, name: &str, cancel: &Cancel) -> Result<Option<(u64, String)>> {
        let path = self.0.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        checksum_with(&path, |_| cancel.check()).map(|(bytes, _, sha256)| Some((bytes, sha256)))
    }

    fn names(&mut self) -> Result<Vec<String>> {
        files_below(&self.0, "")
    }

    fn holdout(&mut self) -> Result<Option<Box<dyn OutputFiles>>> {
        let holdout = self.0.join("holdout");
        Ok(holdout.is_dir().then(|| Box::new(Directory(holdout)) as Box<dyn OutputFiles>))
    }
}

/// Files of an output: hidden ones, `run.json` and the folder of the held-out documents' output are
/// not its own.
fn files_below(directory: &Path, prefix: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).at("read", directory)? {
        let entry = entry.at("read", directory)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || (prefix.is_empty() && (name == "run.json" || name == "holdout"))
        {
            continue;
        }
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path(), &format!("{prefix}{name}/"))?);
        } else {
            files.push(format!("{prefix}{name}"));
        }
    }
    Ok(files)
}
