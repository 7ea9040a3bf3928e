//! Where a row is, as messages, `rejects.jsonl` and the details of errors name it.
//!
//! Lines of text files count from 1 over the whole unpacked file, blank lines included, as editors
//! count them. Row groups, record batches and rows
//! of Parquet and Arrow files count from 0, as pyarrow counts them. Pushed
//! documents count from 0, as their default ids do. Default ids (`path:N`) are not locations: they number
//! the rows of a file from 0 and pass over blank lines.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use longweave_common::{Code, Error, Offsets};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::fields::Bad;

/// The place of a row.
///
/// Displays as `a.jsonl:2`,
/// `a.parquet: row group 3, row 17 (row 1200017 of the file; all from 0)`,
/// `a.arrow: record batch 3, row 17 (row 1200017 of the file; all from 0)` or
/// `document 5 of the pushed corpus (counted from 0)`; serializes as the details of an error:
/// `{file, line}`, `{file, rowGroup, row, fileRow}`, `{file, recordBatch, row, fileRow}`,
/// `{file, document}`, `{document}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLocation<'a> {
    file: Cow<'a, str>,
    position: Position,
}

/// The position of a row in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The whole file.
    File,
    /// A line of a text file, from 1.
    Line(u64),
    /// An element of an array in a file, from 1.
    Element(u64),
    /// A sample of a tar archive, from 1.
    Sample(u64),
    /// A row of a Parquet file, from 0.
    Parquet {
        row_group: u64,
        /// Of the row group.
        row: u64,
        file_row: u64,
    },
    /// A row of an Arrow file, from 0.
    Arrow {
        batch: u64,
        /// Of the record batch.
        row: u64,
        file_row: u64,
    },
    /// A document of a token file, from 0.
    Document(u64),
    /// A pushed document, from 0. Its file is internal.
    Pushed(u64),
}

impl<'a> RowLocation<'a> {
    pub(crate) fn new(file: &'a str, position: Position) -> RowLocation<'a> {
        RowLocation { file: Cow::Borrowed(file), position }
    }

    /// The same, owning the path.
    pub fn into_owned(self) -> RowLocation<'static> {
        RowLocation { file: Cow::Owned(self.file.into_owned()), position: self.position }
    }

    /// The same row of a file that is known by another path.
    pub fn in_file(self, file: &'a str) -> RowLocation<'a> {
        RowLocation { file: Cow::Borrowed(file), ..self }
    }

    /// The error about a bad row; `skip` is the option that would skip it, where there is one.
    pub fn bad(&self, bad: &Bad, skip: Option<&str>) -> Error {
        let skip = skip.map_or_else(String::new, |option| format!(", or set {option}"));
        self.error(bad.code, &bad.reason, &format!("{}{skip}", bad.remedy()))
    }

    /// An error about the row: `LOCATION: REASON; REMEDY`, and as details the location and the
    /// reason.
    pub fn error(&self, code: Code, reason: &str, remedy: &str) -> Error {
        let semicolon = if remedy.is_empty() { "" } else { "; " };
        let error = Error::new(code, format!("{self}: {reason}{semicolon}{remedy}"));
        self.details()
            .into_iter()
            .fold(error, |error, (key, value)| error.with(key, value))
            .with("reason", reason)
    }

    /// The keys and values that programs get.
    fn details(&self) -> Vec<(&'static str, Value)> {
        let file = ("file", Value::from(&*self.file));
        match self.position {
            Position::File => vec![file],
            Position::Line(line) => vec![file, ("line", line.into())],
            Position::Element(element) => vec![file, ("element", element.into())],
            Position::Sample(sample) => vec![file, ("sample", sample.into())],
            Position::Parquet { row_group, row, file_row } => vec![
                file,
                ("rowGroup", row_group.into()),
                ("row", row.into()),
                ("fileRow", file_row.into()),
            ],
            Position::Arrow { batch, row, file_row } => vec![
                file,
                ("recordBatch", batch.into()),
                ("row", row.into()),
                ("fileRow", file_row.into()),
            ],
            Position::Document(document) => vec![file, ("document", document.into())],
            Position::Pushed(document) => vec![("document", document.into())],
        }
    }
}

impl fmt::Display for RowLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match self.position {
            Position::File => f.write_str(file),
            Position::Line(line) => write!(f, "{file}:{line}"),
            Position::Element(element) => write!(f, "{file}: element {element} (from 1)"),
            Position::Sample(sample) => write!(f, "{file}: sample {sample} (from 1)"),
            Position::Parquet { row_group, row, file_row } => write!(
                f,
                "{file}: row group {row_group}, row {row} (row {file_row} of the file; all from 0)"
            ),
            Position::Arrow { batch, row, file_row } => write!(
                f,
                "{file}: record batch {batch}, row {row} (row {file_row} of the file; all from 0)"
            ),
            Position::Document(document) => write!(f, "{file}: document {document} (from 0)"),
            Position::Pushed(document) => {
                write!(f, "document {document} of the pushed corpus (counted from 0)")
            }
        }
    }
}

impl Serialize for RowLocation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let details = self.details();
        let mut map = serializer.serialize_map(Some(details.len()))?;
        for (key, value) in details {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

/// Where the rows of a run of row groups are.
pub(crate) struct RowGroups {
    /// Number of the first row group.
    first: u64,
    /// Rows of the file before it.
    before: u64,
    /// Rows of the run by row group.
    rows: Offsets,
}

impl RowGroups {
    /// Row groups `run` of a file, from the rows that the file claims for each of its row groups.
    pub(crate) fn new(claimed: impl IntoIterator<Item = i64>, run: Range<usize>) -> RowGroups {
        let (mut before, mut own) = (0u64, Offsets::default());
        for (group, rows) in claimed.into_iter().enumerate().take(run.end) {
            let rows = rows.max(0) as u64;
            if group < run.start {
                before = before.saturating_add(rows);
            } else {
                own.push(own.end().saturating_add(rows) as usize);
            }
        }
        RowGroups { first: run.start as u64, before, rows: own }
    }

    /// Rows in all, as the file says.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.end()
    }

    /// The position of row `row` of the run.
    pub(crate) fn position(&self, row: u64) -> Position {
        let group = self.rows.ends().partition_point(|&end| end <= row);
        Position::Parquet {
            row_group: self.first + group as u64,
            row: row - self.rows.begin(group),
            file_row: self.before.saturating_add(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_one_thing_to_people_and_to_programs() {
        let groups = RowGroups::new([600, 400, 100, 0, 50, 9], 2..5);
        assert_eq!(groups.rows(), 150);
        let parquet = |row| groups.position(row);
        for (location, shown, details) in [
            (RowLocation::new("a.txt", Position::File), "a.txt", r#"{"file":"a.txt"}"#),
            (
                RowLocation::new("d/a.jsonl", Position::Line(2)),
                "d/a.jsonl:2",
                r#"{"file":"d/a.jsonl","line":2}"#,
            ),
            (
                RowLocation::new("a.parquet", parquet(99)),
                "a.parquet: row group 2, row 99 (row 1099 of the file; all from 0)",
                r#"{"file":"a.parquet","rowGroup":2,"row":99,"fileRow":1099}"#,
            ),
            (
                RowLocation::new("a.parquet", parquet(100)),
                "a.parquet: row group 4, row 0 (row 1100 of the file; all from 0)",
                r#"{"file":"a.parquet","rowGroup":4,"row":0,"fileRow":1100}"#,
            ),
            (
                RowLocation::new("a.arrow", Position::Arrow { batch: 2, row: 1, file_row: 21 }),
                "a.arrow: record batch 2, row 1 (row 21 of the file; all from 0)",
                r#"{"file":"a.arrow","recordBatch":2,"row":1,"fileRow":21}"#,
            ),
            (
                RowLocation::new("a.idx", Position::Document(5)),
                "a.idx: document 5 (from 0)",
                r#"{"file":"a.idx","document":5}"#,
            ),
            (
                RowLocation::new("spool/00000.jsonl.zst", Position::Pushed(5)),
                "document 5 of the pushed corpus (counted from 0)",
                r#"{"document":5}"#,
            ),
        ] {
            assert_eq!(location.to_string(), shown);
            assert_eq!(serde_json::to_string(&location).unwrap(), details);
            let error = location.error(Code::BadRow, "it is bad", "fix it");
            assert_eq!(error.message(), format!("{shown}: it is bad; fix it"));
            let mut expected: Value = serde_json::from_str(details).unwrap();
            expected["reason"] = "it is bad".into();
            assert_eq!(Value::Object(error.details().clone()), expected);
        }
    }
}
