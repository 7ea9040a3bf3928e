//! Sequences of a finished output by number, from a directory or a URL.

use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Result};
use longweave_formats::{OutputManifest, SequenceReader};

use crate::batch::Batch;
use crate::fetched::{FetchedFiles, SharedCancel, location};
use crate::show::{ShowOptions, ShownSequence, show};

/// Tokens of a batch, at most, unless a single sequence has more.
const BATCH_TOKENS: usize = 4 << 20;

/// Reads sequences of a finished output by number.
pub struct OutputReader {
    reader: SequenceReader,
    /// The output's directory; none for a URL.
    directory: Option<PathBuf>,
    /// The flag that requests of a remote output watch.
    requests: Option<SharedCancel>,
}

impl OutputReader {
    /// Opens an output: a directory, a URL, or the directory of a run that sent its output to one.
    ///
    /// Errors: `OUTPUT_NOT_FOUND`, `FILE_CORRUPT`, `CANCELLED`, and those of remote stores.
    pub fn open(out: &Path, cancel: &Cancel) -> Result<OutputReader> {
        cancel.check()?;
        let directory = (!longweave_remote::is_remote(&out.to_string_lossy())).then(|| out.into());
        match location(out) {
            Some(url) => {
                let files = FetchedFiles::open(&url, cancel)?;
                let requests = Some(files.requests());
                let reader = SequenceReader::over(Box::new(files))?;
                Ok(OutputReader { reader, directory, requests })
            }
            None => {
                Ok(OutputReader { reader: SequenceReader::open(out)?, directory, requests: None })
            }
        }
    }

    /// Number of sequences.
    pub fn count(&self) -> u64 {
        self.reader.len()
    }

    /// The manifest, `longweave.json`.
    pub fn manifest(&self) -> &OutputManifest {
        self.reader.manifest()
    }

    fn watch(&self, cancel: &Cancel) -> Result<()> {
        if let Some(requests) = &self.requests {
            *requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = cancel.clone();
        }
        cancel.check()
    }

    /// Sequences `first..`, at most `max` and at least one; `None` behind the last.
    ///
    /// Errors: `FILE_CORRUPT`, `CANCELLED`, and those of remote stores.
    pub fn read(&mut self, first: u64, max: u64, cancel: &Cancel) -> Result<Option<Batch>> {
        self.watch(cancel)?;
        let (mut records, mut tokens) = (Vec::new(), 0);
        for number in first..self.reader.len().min(first.saturating_add(max.max(1))) {
            cancel.check()?;
            let record = self.reader.get(number)?;
            tokens += record.input_ids.len();
            let length = record.input_ids.len();
            records.push(record);
            if tokens + length > BATCH_TOKENS {
                break;
            }
        }
        Ok(Batch::of(records))
    }

    /// A sequence as a person reads it.
    ///
    /// Errors: `SEQUENCE_NOT_FOUND`, `RUN_NOT_PREPARED` for `why` without the run, `CANCELLED`.
    pub fn show(
        &mut self,
        sequence: u64,
        options: &ShowOptions,
        cancel: &Cancel,
    ) -> Result<ShownSequence> {
        self.watch(cancel)?;
        show(&mut self.reader, self.directory.as_deref(), sequence, options)
    }
}
