//! The queries of a split, and the languages of its documents: written by predict, read by extract.

use std::path::{Path, PathBuf};

use longweave_common::{Offsets, Result};
use longweave_language::Language;
use longweave_storage::{
    ArrayWriter, DoneRecord, FileRecord, StringTable, StringTableWriter, read_array, read_offsets,
};

use crate::attempt::recorded_prefix;

/// Bytes that are kept of a query: thousands are in memory at once, and no real query is longer.
const LONGEST_QUERY: usize = 8 << 10;

/// The language of a row without a document.
const NO_LANGUAGE: u8 = u8::MAX;

pub(super) struct QueryNames {
    texts: PathBuf,
    segments: PathBuf,
    ends: PathBuf,
    languages: PathBuf,
}

impl QueryNames {
    /// Of the files that begin with a prefix of the task's.
    fn of(directory: &Path, prefix: &str) -> QueryNames {
        QueryNames {
            texts: directory.join(format!("{prefix}.queries.arrow")),
            segments: directory.join(format!("{prefix}.segments")),
            ends: directory.join(format!("{prefix}.ends")),
            languages: directory.join(format!("{prefix}.languages")),
        }
    }
}

/// Writes the queries of a split, row after row.
pub(super) struct QueryWriter {
    names: QueryNames,
    texts: StringTableWriter,
    segments: ArrayWriter<u32>,
    ends: ArrayWriter<u64>,
    languages: ArrayWriter<u8>,
    with_query: u64,
}

impl QueryWriter {
    pub(super) fn create(directory: &Path, prefix: &str) -> Result<QueryWriter> {
        let names = QueryNames::of(directory, prefix);
        Ok(QueryWriter {
            texts: StringTableWriter::create(&names.texts, "query")?,
            segments: ArrayWriter::create(&names.segments)?,
            ends: ArrayWriter::create(&names.ends)?,
            languages: ArrayWriter::create(&names.languages)?,
            with_query: 0,
            names,
        })
    }

    /// The language of the next row, and its queries, segments rising. A row without a document has
    /// neither.
    pub(super) fn row<'q>(
        &mut self,
        language: Option<Language>,
        queries: impl Iterator<Item = (u32, &'q str)>,
    ) -> Result<()> {
        let before = self.segments.len();
        for (segment, query) in queries {
            self.texts.push(&query[..query.floor_char_boundary(LONGEST_QUERY)])?;
            self.segments.push(&[segment])?;
        }
        self.with_query += u64::from(self.segments.len() > before);
        self.languages.push(&[language.map_or(NO_LANGUAGE, Language::number)])?;
        self.ends.push(&[self.segments.len()])
    }

    /// The files, and how many documents have a query and how many queries there are.
    pub(super) fn commit(self) -> Result<(Vec<FileRecord>, u64, u64)> {
        let (names, queries) = (self.names, self.segments.len());
        let files = vec![
            FileRecord::at(&names.texts, self.texts.commit()?),
            FileRecord::at(&names.segments, self.segments.commit()?),
            FileRecord::at(&names.ends, self.ends.commit()?),
            FileRecord::at(&names.languages, self.languages.commit()?),
        ];
        Ok((files, self.with_query, queries))
    }
}

/// The queries of a split by row. Costs 9 bytes a row; texts are read on demand.
pub(crate) struct QueryFiles {
    texts: PathBuf,
    of_rows: Offsets,
    languages: Vec<u8>,
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
        Ok(QueryFiles {
            of_rows: read_offsets(&names.ends)?,
            languages: read_array(&names.languages)?,
            texts: names.texts,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.of_rows.len()
    }

    /// The language of a row's document; `None` for a row without one.
    pub(crate) fn language(&self, row: usize) -> Option<Language> {
        Language::of_number(*self.languages.get(row)?)
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
