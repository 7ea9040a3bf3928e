//! An output behind a URL: its files are fetched when they are read, a few at a time, and not kept.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Budget, Cancel, Code, Error, Result, ResultExt};
use longweave_formats::OutputFiles;
use longweave_remote::{Location, ObjectReader, Remote, Stat, is_remote};
use longweave_storage::{AtomicFile, checksum_with};
use tempfile::TempDir;

/// A cancel flag that is replaced from call to call.
pub(crate) type SharedCancel = Arc<Mutex<Cancel>>;

/// Files that are kept at once: those of a shard and its provenance, and the small ones of the
/// output.
const KEPT: usize = 8;
/// Bounds what is read ahead.
const MEMORY: u64 = 256 << 20;

/// The files of a remote output.
pub(crate) struct FetchedFiles {
    remote: Remote,
    /// The flag that requests watch.
    requests: SharedCancel,
    at: Location,
    /// Objects by name.
    listed: BTreeMap<String, Stat>,
    cache: TempDir,
    /// Names of those that are in the cache, the last used first.
    kept: VecDeque<String>,
}

impl FetchedFiles {
    /// The output at a URL.
    ///
    /// Errors: `OUTPUT_NOT_FOUND`, `REMOTE_NOT_BUILT`, `REMOTE_DENIED`, `REMOTE_FAILED`.
    pub(crate) fn open(url: &str, cancel: &Cancel) -> Result<FetchedFiles> {
        let (remote, at) = (Remote::open(cancel)?, Location::parse(url)?);
        FetchedFiles::below(remote, Arc::new(Mutex::new(cancel.clone())), at)
    }

    fn below(remote: Remote, requests: SharedCancel, at: Location) -> Result<FetchedFiles> {
        let listed: BTreeMap<String, Stat> = remote
            .list(&at)?
            .into_iter()
            .filter_map(|(file, stat)| Some((file.below(&at)?.to_owned(), stat)))
            .collect();
        if !listed.contains_key("longweave.json") {
            let message = format!(
                "{at} holds no longweave.json: it is not an output, or its run has not finished"
            );
            return Err(Error::new(Code::OutputNotFound, message)
                .with("file", at.join("longweave.json").to_string()));
        }
        Ok(FetchedFiles {
            remote,
            requests,
            at,
            listed,
            cache: temporary()?,
            kept: VecDeque::new(),
        })
    }

    /// The flag that requests watch, to be replaced from call to call.
    pub(crate) fn requests(&self) -> SharedCancel {
        Arc::clone(&self.requests)
    }

    fn fetch(&mut self, name: &str, stat: &Stat) -> Result<()> {
        if let Some(place) = self.kept.iter().position(|kept| kept == name) {
            self.kept.remove(place);
        } else {
            let (at, path) = (self.at.join(name), self.cache.path().join(name));
            let cancel = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let remote = self.remote.with_cancel(&cancel);
            let mut reader =
                ObjectReader::new(&remote, &at, stat, 0, u64::MAX, &Budget::new(MEMORY), 1);
            let mut file = AtomicFile::create(&path)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                match reader.read(&mut buffer).at("read", &path)? {
                    0 => break,
                    n => file.put(&buffer[..n])?,
                }
            }
            file.commit()?;
        }
        self.kept.push_front(name.to_owned());
        while self.kept.len() > KEPT {
            if let Some(old) = self.kept.pop_back() {
                let path = self.cache.path().join(old);
                std::fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }
}

impl OutputFiles for FetchedFiles {
    fn title(&self) -> String {
        self.at.to_string()
    }

    fn local(&mut self, name: &str) -> Result<PathBuf> {
        if !self.listed.contains_key(name) {
            let message = format!("{}: the file is missing", self.at.join(name));
            return Err(Error::new(Code::VerifyFailed, message).with("file", name));
        }
        let path = Path::new(name);
        let beside = |other: &str| {
            let other = Path::new(other);
            other.parent() == path.parent() && other.file_stem() == path.file_stem()
        };
        let wanted: Vec<(String, Stat)> = self
            .listed
            .iter()
            .filter(|(other, _)| beside(other))
            .map(|(other, stat)| (other.clone(), stat.clone()))
            .collect();
        for (file, stat) in wanted {
            self.fetch(&file, &stat)?;
        }
        Ok(self.cache.path().join(name))
    }

    fn fetches(&self) -> bool {
        true
    }

    fn checksum(&mut self, name: &str, cancel: &Cancel) -> Result<Option<(u64, String)>> {
        let Some(stat) = self.listed.get(name).cloned() else { return Ok(None) };
        self.fetch(name, &stat)?;
        checksum_with(&self.cache.path().join(name), |_| cancel.check())
            .map(|(bytes, _, sha256)| Some((bytes, sha256)))
    }

    fn names(&mut self) -> Result<Vec<String>> {
        Ok(self.listed.keys().filter(|name| !name.starts_with("holdout/")).cloned().collect())
    }

    fn holdout(&mut self) -> Result<Option<Box<dyn OutputFiles>>> {
        if !self.listed.keys().any(|name| name.starts_with("holdout/")) {
            return Ok(None);
        }
        let (remote, requests) = (self.remote.clone(), self.requests());
        FetchedFiles::below(remote, requests, self.at.join("holdout"))
            .map(|files| Some(Box::new(files) as Box<dyn OutputFiles>))
    }
}

/// The URL of an output: `out` itself, or where the run in the directory `out` sent its output.
pub(crate) fn location(out: &Path) -> Option<String> {
    out.to_str().filter(|path| is_remote(path)).map(str::to_owned).or_else(|| uploaded(out))
}

/// Where the run in `out` sent its output; `None` for one that stayed, and for a directory without
/// a run.
fn uploaded(out: &Path) -> Option<String> {
    let text = std::fs::read_to_string(out.join("run.json")).ok()?;
    let run: serde_json::Value = serde_json::from_str(&text).ok()?;
    run["options"]["output"]["upload"].as_str().map(str::to_owned)
}

/// A directory among the system's temporary files, removed when dropped.
pub(crate) fn temporary() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("longweave-{}-", std::process::id()))
        .tempdir()
        .at("create", &std::env::temp_dir())
}
