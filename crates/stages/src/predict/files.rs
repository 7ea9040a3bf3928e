//! The queries of a split: written by predict, read by extract.

use std::path::{Path, PathBuf};

use longweave_common::{Offsets, Result};
use longweave_storage::{
    ArrayWriter, DoneRecord, FileRecord, StringTable, StringTableWriter, read_offsets,
};

use crate::attempt::recorded_prefix;

/// Bytes that are kept of a query: thousands are in memory at once, and no real query is longer.
const LONGEST_QUERY: usize = 8 << 10;

pub(super) struct QueryNames {
    texts: PathBuf,
    segments: PathBuf,
    ends: PathBuf,
}

impl QueryNames {
    /// Of the files that begin with a prefix of the task's.
    fn of(directory: &Path, prefix: &str) -> QueryNames {
        QueryNames {
            texts: directory.join(format!("{prefix}.queries.arrow")),
            segments: directory.join(format!("{prefix}.segments")),
            ends: directory.join(format!("{prefix}.ends")),
        }
    }
}

/// Writes the queries of a split, row after row.
pub(super) struct QueryWriter {
    names: QueryNames,
    texts: StringTableWriter,
    segments: ArrayWriter<u32>,
    ends: ArrayWriter<u64>,
    with_query: u64,
}

impl QueryWriter {
    pub(super) fn create(directory: &Path, prefix: &str) -> Result<QueryWriter> {
        let names = QueryNames::of(directory, prefix);
        Ok(QueryWriter {
            texts: StringTableWriter::create(&names.texts, "query")?,
            segments: ArrayWriter::create(&names.segments)?,
            ends: ArrayWriter::create(&names.ends)?,
            with_query: 0,
            names,
        })
    }

    /// The queries of the next row, segments rising; a row without a document has none.
    pub(super) fn row<'q>(&mut self, queries: impl Iterator<Item = (u32, &'q str)>) -> Result<()> {
        let before = self.segments.len();
        for (segment, query) in queries {
            self.texts.push(&query[..query.floor_char_boundary(LONGEST_QUERY)])?;
            self.segments.push(&[segment])?;
        }
        self.with_query += u64::from(self.segments.len() > before);
        self.ends.push(&[self.segments.len()])
    }

    /// The files, and how many documents have a query and how many queries there are.
    pub(super) fn commit(self) -> Result<(Vec<FileRecord>, u64, u64)> {
        let (names, queries) = (self.names, self.segments.len());
        let files = vec![
            FileRecord::at(&names.texts, self.texts.commit()?),
            FileRecord::at(&names.segments, self.segments.commit()?),
            FileRecord::at(&names.ends, self.ends.commit()?),
        ];
        Ok((files, self.with_query, queries))
    }
}

/// The queries of a split by row. Costs 8 bytes a row; texts are read on demand.
pub(crate) struct QueryFiles {
    texts: PathBuf,
    of_rows: Offsets,
}

/// The queries of some rows.
pub(crate) struct RowQueries {
    texts: Vec<String>,
    of_rows: Offsets,
}

impl QueryFiles {
    /// The files of a finished task, by its record.
    pub(crate) fn open(directory: &Path, task: u32, record: &DoneRecord) -> Result<QueryFiles> {
        let names = QueryNames::of(directory, &recorded_prefix(record, task));
        Ok(QueryFiles { of_rows: read_offsets(&names.ends)?, texts: names.texts })
    }

    pub(crate) fn rows(&self) -> usize {
        self.of_rows.len()
    }

    /// The queries of a run of rows.
    pub(crate) fn read(&self, rows: std::ops::Range<usize>) -> Result<RowQueries> {
        let (start, stop) =
            (self.of_rows.begin(rows.start) as usize, self.of_rows.begin(rows.end) as usize);
        let mut texts = Vec::with_capacity(stop - start);
        StringTable::pick(&self.texts, &(start..stop).collect::<Vec<_>>(), |_, text| {
            texts.push(text.to_owned())
        })?;
        let mut of_rows = Offsets::with_capacity(rows.len());
        rows.for_each(|row| of_rows.push(self.of_rows.begin(row + 1) as usize - start));
        Ok(RowQueries { texts, of_rows })
    }
}

impl RowQueries {
    pub(crate) fn len(&self) -> usize {
        self.of_rows.len()
    }

    /// The queries of the `i`-th row.
    pub(crate) fn of(&self, i: usize) -> impl Iterator<Item = &str> {
        self.texts[self.of_rows.range(i)].iter().map(String::as_str)
    }
}
