//! Sequences of a finished output, batch by batch, whatever its format.

use std::path::Path;

use longweave_common::{Cancel, Result};
use longweave_formats::SequenceReader;
use longweave_remote::is_remote;

use crate::commands::uploaded;
use crate::fetched::FetchedFiles;
use crate::memory::{MemoryBatch, Pieces};

/// Tokens of a batch, at most, unless a single sequence has more.
const BATCH_TOKENS: usize = 4 << 20;

/// A reader of an output.
pub struct OutputReader {
    reader: SequenceReader,
    next: u64,
}

impl OutputReader {
    /// Opens an output: a directory, a URL, or the directory of a run that sent its output to one.
    pub fn open(out: &Path) -> Result<OutputReader> {
        let url = out
            .to_str()
            .filter(|path| is_remote(path))
            .map(str::to_owned)
            .or_else(|| uploaded(out));
        let reader = match url {
            Some(url) => SequenceReader::over(Box::new(FetchedFiles::open(&url, &Cancel::new())?))?,
            None => SequenceReader::open(out)?,
        };
        Ok(OutputReader { reader, next: 0 })
    }

    /// Number of sequences.
    pub fn count(&self) -> u64 {
        self.reader.len()
    }

    /// The manifest as JSON.
    pub fn info(&self) -> String {
        serde_json::to_string(self.reader.manifest()).unwrap_or_default()
    }

    /// Goes on at sequence `n`.
    pub fn seek(&mut self, n: u64) {
        self.next = n;
    }

    /// The next sequences, at most `max` and at least one; `None` after the last.
    pub fn next(&mut self, max: usize) -> Result<Option<MemoryBatch>> {
        let (mut input_ids, mut pieces, mut length) = (Vec::new(), Vec::new(), 0);
        while self.next < self.reader.len()
            && pieces.len() < max.max(1)
            && input_ids.len() + length <= BATCH_TOKENS.max(length)
        {
            let record = self.reader.get(self.next)?;
            length = record.input_ids.len();
            input_ids.extend_from_slice(&record.input_ids);
            pieces.push(Pieces::of_record(&record));
            self.next += 1;
        }
        MemoryBatch::new(input_ids, length as u32, pieces)
    }
}
