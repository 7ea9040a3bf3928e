//! Sequences of a finished output by number, whatever its format.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result};

use crate::jsonl::JsonlReader;
use crate::{Format, OutputManifest, Provenance, SequenceRecord, mds, parquet};

/// Reads sequences by number; fastest in rising order.
pub struct SequenceReader {
    directory: PathBuf,
    manifest: OutputManifest,
    /// Data files with the number of their first sequence.
    files: Vec<(u64, String)>,
    /// The run of sequences that was read last: where it begins, and its records.
    held: Option<(PathBuf, u64, Vec<SequenceRecord>)>,
    /// An open JSONL file, and the number of its next sequence.
    open: Option<(usize, u64, JsonlReader)>,
}

impl SequenceReader {
    /// Opens an output directory.
    pub fn open(directory: &Path) -> Result<SequenceReader> {
        let manifest = OutputManifest::read(directory)?;
        let mut first = 0;
        let mut files = Vec::new();
        for file in manifest.files.iter().filter(|f| f.sequences > 0) {
            files.push((first, file.name.clone()));
            first += file.sequences;
        }
        if first != manifest.sequences {
            let message =
                format!("{} says {} sequences, its files hold {first}", directory.join("longweave.json").display(), manifest.sequences);
            return Err(Error::new(Code::FileCorrupt, message).with("file", "longweave.json"));
        }
        Ok(SequenceReader { directory: directory.to_owned(), manifest, files, held: None, open: None })
    }

    /// Number of sequences.
    pub fn len(&self) -> u64 {
        self.manifest.sequences
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The manifest.
    pub fn manifest(&self) -> &OutputManifest {
        &self.manifest
    }

    /// A sequence.
    ///
    /// Errors: `SEQUENCE_UNKNOWN`, `FILE_CORRUPT`.
    pub fn get(&mut self, number: u64) -> Result<SequenceRecord> {
        if number >= self.len() {
            let message =
                format!("{} has {} sequences, numbered from 0; there is no sequence {number}", self.directory.display(), self.len());
            return Err(Error::new(Code::SequenceUnknown, message).with("sequence", number));
        }
        let file = self.files.partition_point(|(first, _)| *first <= number) - 1;
        let (first, name) = self.files[file].clone();
        let (path, row) = (self.directory.join(&name), number - first);
        match self.manifest.format {
            Format::Parquet => self.parquet_row(&path, row),
            Format::Jsonl => self.jsonl_row(file, &path, number - first),
            Format::Mds => {
                let input_ids = mds::read_ids(&path, row)?;
                if self.manifest.provenance == Provenance::None {
                    return Ok(SequenceRecord { n_tokens: input_ids.len() as u32, input_ids, ..SequenceRecord::default() });
                }
                let number = name.trim_start_matches("shard.").trim_end_matches(".mds");
                let record = self.parquet_row(&self.directory.join(format!("provenance/{number}.parquet")), row)?;
                Ok(SequenceRecord { input_ids, ..record })
            }
        }
    }

    fn parquet_row(&mut self, path: &Path, row: u64) -> Result<SequenceRecord> {
        if let Some((held, first, records)) = &self.held
            && let Some(record) = row.checked_sub(*first).and_then(|i| records.get(i as usize)).filter(|_| held == path)
        {
            return Ok(record.clone());
        }
        let mut first = 0;
        for (group, rows) in parquet::group_rows(path)?.into_iter().enumerate() {
            if row < first + rows {
                let records = parquet::read_group(path, group)?;
                let record = records.get((row - first) as usize).cloned().ok_or_else(|| short(path))?;
                self.held = Some((path.to_owned(), first, records));
                return Ok(record);
            }
            first += rows;
        }
        Err(short(path))
    }

    fn jsonl_row(&mut self, file: usize, path: &Path, row: u64) -> Result<SequenceRecord> {
        let (mut next, mut reader) = match self.open.take() {
            Some((open, next, reader)) if open == file && next <= row => (next, reader),
            _ => (0, JsonlReader::open(path)?),
        };
        while next < row {
            if !reader.skip()? {
                return Err(short(path));
            }
            next += 1;
        }
        let record = reader.next()?.ok_or_else(|| short(path))?;
        self.open = Some((file, next + 1, reader));
        Ok(record)
    }
}

fn short(path: &Path) -> Error {
    let message = format!("{} has fewer sequences than the manifest says; make the output again", path.display());
    Error::new(Code::FileCorrupt, message).with("file", path.display().to_string())
}
