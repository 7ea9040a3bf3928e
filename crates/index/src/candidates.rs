//! Candidates of a split on disk: `PREFIX.phrases.arrow` (all phrases, row after row) and
//! `PREFIX.ends` (u64, one for each row).

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{
    ArrayFile, FileRecord, StringTable, StringTableWriter, read_array, read_strings, write_array,
};

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the candidates of a split.
pub struct CandidateWriter {
    phrases: StringTableWriter,
    ends: Vec<u64>,
    prefix: PathBuf,
}

impl CandidateWriter {
    /// Begins the table of a split.
    pub fn create(prefix: &Path) -> Result<CandidateWriter> {
        let phrases = StringTableWriter::create(&with_suffix(prefix, ".phrases.arrow"), "phrase")?;
        Ok(CandidateWriter { phrases, ends: Vec::new(), prefix: prefix.to_owned() })
    }

    /// Appends a row: its distinct, normalised phrases in byte order.
    pub fn push<'a>(&mut self, phrases: impl IntoIterator<Item = &'a str>) -> Result<()> {
        for phrase in phrases {
            self.phrases.push(phrase)?;
        }
        self.ends.push(self.phrases.rows());
        Ok(())
    }

    /// Puts the files in place.
    pub fn commit(self) -> Result<Vec<FileRecord>> {
        let name = |suffix| {
            with_suffix(&self.prefix, suffix)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let (phrases, ends) = (name(".phrases.arrow"), name(".ends"));
        let sealed = self.phrases.commit()?;
        Ok(vec![
            FileRecord::new(phrases, sealed),
            FileRecord::new(ends, write_array(&with_suffix(&self.prefix, ".ends"), &self.ends)?),
        ])
    }
}

/// Bytes of a table's phrases on disk, and how many there are.
pub(crate) fn sizes(prefix: &Path) -> Result<(u64, u64)> {
    let phrases = with_suffix(prefix, ".phrases.arrow");
    let bytes = std::fs::metadata(&phrases).at("read", &phrases)?.len();
    let ends = ArrayFile::<u64>::open(&with_suffix(prefix, ".ends"))?;
    let mut last = Vec::new();
    if !ends.is_empty() {
        ends.read_into(ends.len() - 1, 1, &mut last)?;
    }
    Ok((bytes, last.first().copied().unwrap_or(0)))
}

/// The candidates of a split in memory.
pub struct CandidateTable {
    /// `DocId` of the first row.
    pub(crate) first: u32,
    pub(crate) phrases: StringTable,
    pub(crate) ends: Vec<u64>,
}

impl CandidateTable {
    /// Reads the table of the split whose first row is document `first`.
    ///
    /// Errors: `FILE_CORRUPT` when a file is damaged, or the two disagree.
    pub fn open(prefix: &Path, first: u32) -> Result<CandidateTable> {
        let phrases = read_strings(&with_suffix(prefix, ".phrases.arrow"))?;
        let ends: Vec<u64> = read_array(&with_suffix(prefix, ".ends"))?;
        if !ends.is_sorted() || ends.last().copied().unwrap_or(0) != phrases.len() as u64 {
            let message = format!(
                "{} has rows that do not fit its {} phrases; delete the work directory and run again",
                prefix.display(),
                phrases.len()
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        Ok(CandidateTable { first, phrases, ends })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }
}
