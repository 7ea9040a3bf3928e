//! Pushed documents are spooled to files, which then are the corpus.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use longweave_common::{Result, ResultExt};
use longweave_corpus::SpoolWriter;
use longweave_run::RunOptions;
use longweave_storage::{Lock, checksum_file};

/// The spool of a run.
pub(crate) struct Spool {
    writer: SpoolWriter,
    directory: PathBuf,
}

impl Spool {
    fn work(options: &RunOptions, out: &Path) -> PathBuf {
        options.work.as_ref().map_or_else(|| out.join(".work"), PathBuf::from)
    }

    /// Keeps other runs from replacing the spool while this one reads it.
    ///
    /// Errors: `RUN_LOCKED`.
    pub(crate) fn lock(options: &RunOptions, out: &Path) -> Result<Lock> {
        let work = Self::work(options, out);
        Lock::take(&work.join(".spool.lock"), &format!("the spool in {}", work.display()))
    }

    /// Begins in `spool` of the run's work directory. Deletes the spool of an earlier attempt.
    pub(crate) fn create(options: &RunOptions, out: &Path) -> Result<Spool> {
        let directory = Self::work(options, out).join("spool");
        if directory.exists() {
            fs::remove_dir_all(&directory).at("remove", &directory)?;
        }
        Ok(Spool { writer: SpoolWriter::create(&directory)?, directory })
    }

    /// Appends rows: JSON, one a line.
    pub(crate) fn push(&mut self, rows: &str) -> Result<()> {
        self.writer.push(rows)
    }

    /// Puts the files in place and makes them the corpus of `options`. Their times follow from
    /// their content, so that the same documents pushed again are the same corpus, and a run can
    /// resume.
    pub(crate) fn finish(self, options: &mut RunOptions) -> Result<()> {
        for path in self.writer.finish()? {
            let (_, xxh3, _) = checksum_file(&path)?;
            let time = UNIX_EPOCH
                + Duration::from_secs(1_000_000_000 + (xxh3 >> 36))
                + Duration::from_nanos(xxh3 & 0x1fff_ffff);
            File::options()
                .append(true)
                .open(&path)
                .and_then(|f| f.set_modified(time))
                .at("write", &path)?;
        }
        options.corpus = Some(vec![self.directory.to_string_lossy().into_owned()]);
        options.corpus_root = None;
        options.text_field = "text".into();
        options.tokens_field = None;
        options.id_field = Some("id".into());
        options.source_field = Some("source".into());
        options.query_field = Some("queries".into());
        Ok(())
    }
}
