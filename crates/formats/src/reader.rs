//! Sequences of a finished output by number, whatever its format.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result};

use crate::ids::{corrupt, read_flat};
use crate::jsonl::JsonlReader;
use crate::mds::ZippedReader;
use crate::{
    Directory, Format, OutputFiles, OutputManifest, Provenance, SequenceRecord, datasets, litdata,
    mds, megatron, parquet, provenance,
};

/// Reads sequences by number; fastest in rising order.
pub struct SequenceReader {
    place: Box<dyn OutputFiles>,
    manifest: OutputManifest,
    /// Files with sequences, in order.
    files: Vec<DataFile>,
    /// The run of sequences that was read last: where it begins, and its records.
    held: Option<(PathBuf, u64, Vec<SequenceRecord>)>,
    /// A file that is read from its beginning: which, its next sequence, its reader.
    open: Option<(usize, u64, Sequential)>,
}

/// A file with sequences.
#[derive(Clone)]
struct DataFile {
    name: String,
    /// The number of its first sequence.
    first: u64,
    sequences: u64,
    /// The number of its shard.
    shard: u64,
    /// Sequences of the shard's files before it.
    before: u64,
}

/// Readers of files that have to be unpacked or parsed from the beginning.
enum Sequential {
    Jsonl(JsonlReader),
    Mds(ZippedReader),
}

impl Sequential {
    fn open(path: &Path) -> Result<Sequential> {
        if mds::is_zipped(path) {
            ZippedReader::open(path).map(Sequential::Mds)
        } else {
            JsonlReader::open(path).map(Sequential::Jsonl)
        }
    }

    /// Skips a sequence. Returns whether there was one.
    fn skip(&mut self) -> Result<bool> {
        match self {
            Sequential::Jsonl(reader) => reader.skip(),
            Sequential::Mds(reader) => reader.skip().map(|()| true),
        }
    }

    /// The next sequence, of `length` tokens; of MDS its ids alone.
    fn next(&mut self, length: u32) -> Result<Option<SequenceRecord>> {
        match self {
            Sequential::Jsonl(reader) => reader.next(),
            Sequential::Mds(reader) => reader
                .next(length)
                .map(|input_ids| Some(SequenceRecord { input_ids, ..SequenceRecord::default() })),
        }
    }
}

/// The numbers in a file's name: of its shard, and of the file among those of the shard.
fn numbers(name: &str) -> (u64, u64) {
    let mut numbers =
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Files with sequences in the order of shards: from 100,000 on that is not the order of names.
fn data_files(manifest: &OutputManifest) -> Vec<DataFile> {
    let mut listed: Vec<_> = manifest.files.iter().filter(|f| f.sequences > 0).collect();
    listed.sort_by_key(|file| numbers(&file.name));
    let mut files: Vec<DataFile> = Vec::with_capacity(listed.len());
    for file in listed {
        let shard = numbers(&file.name).0;
        let (first, before) = files.last().map_or((0, 0), |last| {
            let before =
                if last.shard == shard { last.before.saturating_add(last.sequences) } else { 0 };
            (last.first.saturating_add(last.sequences), before)
        });
        files.push(DataFile {
            name: file.name.clone(),
            first,
            sequences: file.sequences,
            shard,
            before,
        });
    }
    files
}

impl SequenceReader {
    /// Opens an output directory.
    pub fn open(directory: &Path) -> Result<SequenceReader> {
        SequenceReader::over(Box::new(Directory::new(directory)))
    }

    /// Reads an output wherever it is.
    pub fn over(mut place: Box<dyn OutputFiles>) -> Result<SequenceReader> {
        let manifest = OutputManifest::of(&mut *place)?;
        let files = data_files(&manifest);
        let first = files.last().map_or(0, |last| last.first.saturating_add(last.sequences));
        if first != manifest.sequences {
            let message = format!(
                "longweave.json of {} says {} sequences, its files hold {first}",
                place.title(),
                manifest.sequences
            );
            return Err(Error::new(Code::FileCorrupt, message).with("file", "longweave.json"));
        }
        Ok(SequenceReader { place, manifest, files, held: None, open: None })
    }

    /// Number of sequences.
    pub fn len(&self) -> u64 {
        self.manifest.sequences
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn manifest(&self) -> &OutputManifest {
        &self.manifest
    }

    /// A sequence.
    ///
    /// Errors: `SEQUENCE_NOT_FOUND`, `FILE_CORRUPT`.
    pub fn get(&mut self, number: u64) -> Result<SequenceRecord> {
        if number >= self.len() {
            let message = format!(
                "{} has {} sequences, numbered from 0; there is no sequence {number}",
                self.place.title(),
                self.len()
            );
            return Err(Error::new(Code::SequenceNotFound, message).with("sequence", number));
        }
        let at = self.files.partition_point(|file| file.first <= number) - 1;
        let file = self.files[at].clone();
        let (path, row) = (self.place.local(&file.name)?, number - file.first);
        let length = self.manifest.length;
        let input_ids = match self.manifest.format {
            Format::Parquet => return self.parquet_row(&path, row),
            Format::Jsonl => return self.sequential_row(at, &path, row),
            Format::Mds if mds::is_zipped(&path) => self.sequential_row(at, &path, row)?.input_ids,
            Format::Mds => mds::read_ids(&path, row)?,
            Format::Megatron => megatron::read_ids(&path, row)?,
            Format::Datatrove | Format::Numpy => read_flat(&path, row, file.sequences, length)?,
            Format::Datasets => datasets::read_ids(&path, row)?,
            Format::Litdata => litdata::read_ids(&path, row, length)?,
        };
        if self.manifest.provenance == Provenance::None {
            return Ok(SequenceRecord {
                n_tokens: input_ids.len() as u32,
                input_ids,
                ..SequenceRecord::default()
            });
        }
        let beside = self.place.local(&provenance::name(file.shard))?;
        let record = self.parquet_row(&beside, file.before.saturating_add(row))?;
        Ok(SequenceRecord { input_ids, ..record })
    }

    fn parquet_row(&mut self, path: &Path, row: u64) -> Result<SequenceRecord> {
        if let Some((held, first, records)) = &self.held
            && let Some(record) = row
                .checked_sub(*first)
                .and_then(|i| records.get(i as usize))
                .filter(|_| held == path)
        {
            return Ok(record.clone());
        }
        let mut first = 0;
        for (group, rows) in parquet::groups(path)?.into_iter().enumerate() {
            if row < first + rows {
                let records = parquet::read_group(path, group)?;
                let record =
                    records.get((row - first) as usize).cloned().ok_or_else(|| short(path))?;
                self.held = Some((path.to_owned(), first, records));
                return Ok(record);
            }
            first += rows;
        }
        Err(short(path))
    }

    /// A sequence of a file that is read from its beginning; the open reader continues unless it
    /// has passed the sequence.
    fn sequential_row(&mut self, file: usize, path: &Path, row: u64) -> Result<SequenceRecord> {
        let (mut next, mut reader) = match self.open.take() {
            Some((open, next, reader)) if open == file && next <= row => (next, reader),
            _ => (0, Sequential::open(path)?),
        };
        while next < row {
            if !reader.skip()? {
                return Err(short(path));
            }
            next += 1;
        }
        let record = reader.next(self.manifest.length)?.ok_or_else(|| short(path))?;
        self.open = Some((file, next + 1, reader));
        Ok(record)
    }
}

fn short(path: &Path) -> Error {
    corrupt(path, &"it has fewer sequences than the manifest says; make the output again")
}
