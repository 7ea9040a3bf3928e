//! Candidates of a split on disk: `PREFIX.phrases.arrow` (all phrases, row after row) and
//! `PREFIX.ends` (u64, one for each row).

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Offsets, Result, ResultExt};
use longweave_storage::{
    ArrayFile, FileRecord, StringTable, StringTableWriter, read_array, read_strings, with_suffix,
    write_array,
};

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
        let at = |suffix| with_suffix(&self.prefix, suffix);
        let phrases = self.phrases.commit()?;
        let ends = write_array(&at(".ends"), &self.ends)?;
        Ok(vec![FileRecord::at(&at(".phrases.arrow"), phrases), FileRecord::at(&at(".ends"), ends)])
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
    /// The phrases of each row.
    pub(crate) rows: Offsets,
}

impl CandidateTable {
    /// Reads the table of the split whose first row is document `first`.
    ///
    /// Errors: `FILE_CORRUPT` when a file is damaged, or the two disagree.
    pub fn open(prefix: &Path, first: u32) -> Result<CandidateTable> {
        let phrases = read_strings(&with_suffix(prefix, ".phrases.arrow"))?;
        let rows = Offsets::from_ends(read_array(&with_suffix(prefix, ".ends"))?);
        let rows = rows.filter(|rows| rows.end() == phrases.len() as u64).ok_or_else(|| {
            let message = format!(
                "{} has rows that do not fit its {} phrases; delete the work directory and run \
                 again",
                prefix.display(),
                phrases.len()
            );
            Error::new(Code::FileCorrupt, message)
        })?;
        Ok(CandidateTable { first, phrases, rows })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}
