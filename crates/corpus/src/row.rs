//! Rows of a split, whatever the kind of its file.

use longweave_common::{Code, Ctx, Error, Result};

use crate::inventory::{InputFile, Inventory, Kind, Packing, Range, Split};
use crate::json::{self, Fields};
use crate::lines::{KEPT, Limits, Line, Lines};
use crate::parquet_rows::ParquetRows;
use crate::source::CorpusFile;
use crate::{CorpusOptions, parts};

/// Most bytes of an id or a source: thousands of them are held at once.
const LONGEST_ID: usize = 8 << 10;
/// Most bytes of a line that scan keeps: it only counts.
const COUNTED: u64 = 1 << 20;

/// A row.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its file's path below the root.
    pub file: &'a str,
    /// Its number in the file, from 0.
    pub number: u64,
    /// What it holds.
    pub content: Content<'a>,
}

/// What a row holds.
#[derive(Debug)]
pub enum Content<'a> {
    /// A document.
    Document(Document<'a>),
    /// A text without anything but white space.
    Empty,
    /// Nothing that can be used.
    Bad(Bad),
}

/// A document.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its id: the id field's, else `path:row`.
    pub id: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Its source, where one is asked for and given.
    pub source: Option<&'a str>,
    /// Its queries, where they are asked for.
    pub queries: &'a [String],
}

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// `BAD_ROW`, `BAD_UTF8` or `DOCUMENT_TOO_LARGE`.
    pub code: Code,
    /// In words.
    pub reason: String,
}

impl Bad {
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Bad {
        Bad { code, reason: reason.into() }
    }
}

enum Source {
    Lines(Lines),
    Parquet(Box<ParquetRows>),
    /// A text file: its one row.
    Text(CorpusFile),
    /// A text file whose row was read.
    Read,
}

impl Source {
    /// Opens file number `number` of a corpus below `root`, or the range of it.
    fn open(
        ctx: &Ctx,
        options: &CorpusOptions,
        root: &str,
        number: u32,
        file: &InputFile,
        range: Range,
    ) -> Result<Source> {
        let listed = || CorpusFile::open(ctx, root, file);
        Ok(match (file.kind, range) {
            (Kind::Jsonl(_), Range::Part { part, .. }) => {
                let spooled = CorpusFile::local(parts::path(options, number, part)?);
                Source::Lines(Lines::open(ctx, &spooled, Packing::Zstd, range)?)
            }
            (Kind::Jsonl(packing), _) => {
                Source::Lines(Lines::open(ctx, &listed()?, packing, range)?)
            }
            (Kind::Parquet, _) => {
                Source::Parquet(Box::new(ParquetRows::open(ctx, &listed()?, options, range)?))
            }
            (Kind::Text, _) => Source::Text(listed()?),
        })
    }
}

/// Bytes that a line may have: a text of `maxDocumentBytes` can take six times as many, escaped, and other fields stand beside it.
pub(crate) fn most_line_bytes(options: &CorpusOptions) -> u64 {
    options.max_document_bytes.saturating_mul(6).saturating_add(1 << 20)
}

/// Lends the rows of one split.
pub struct RowReader {
    ctx: Ctx,
    options: CorpusOptions,
    root: String,
    /// The files of the split, and the number of the first in the corpus.
    files: Vec<InputFile>,
    first_file: u32,
    range: Range,
    /// Place in `files` of the one that is read.
    at: usize,
    source: Source,
    /// Number in the file of the next row.
    number: u64,
    limits: Limits,
    /// Bytes of the unpacked JSONL files before the open one.
    unpacked: u64,
    line: Vec<u8>,
    fields: Fields,
}

impl RowReader {
    /// Opens a split whose first row has the number `first` in its file.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`, `MISSING_COLUMN`, `IO`.
    pub fn open(
        ctx: &Ctx,
        options: &CorpusOptions,
        inventory: &Inventory,
        split: usize,
        first: u64,
    ) -> Result<RowReader> {
        ctx.cancel.check()?;
        let Split { file, range } = inventory.splits[split];
        Ok(RowReader {
            ctx: ctx.clone(),
            options: options.clone(),
            root: inventory.root.clone(),
            files: inventory.files_of(split).map(|f| inventory.files[f as usize].clone()).collect(),
            first_file: file,
            range,
            at: 0,
            source: Source::open(
                ctx,
                options,
                &inventory.root,
                file,
                &inventory.files[file as usize],
                range,
            )?,
            number: first,
            limits: Limits {
                max: most_line_bytes(options),
                room: ctx.budget.limit() / 4,
                wanted: u64::MAX,
            },
            unpacked: 0,
            line: Vec::new(),
            fields: Fields::default(),
        })
    }

    /// Whether the next row takes more than `bytes` bytes to hold: to be asked before it is read where memory is short.
    ///
    /// Errors: as [`RowReader::next`].
    pub fn next_is_larger(&mut self, bytes: u64) -> Result<bool> {
        loop {
            let (larger, over) = match &mut self.source {
                Source::Lines(lines) => lines.is_longer(&mut self.line, self.limits, bytes)?,
                Source::Parquet(rows) => rows.is_longer(bytes)?,
                Source::Text(_) => (self.files[self.at].bytes > bytes, false),
                Source::Read => (false, true),
            };
            if !over || !self.open_next()? {
                return Ok(larger);
            }
        }
    }

    /// The text of the document that was lent last; it is lent no more.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.fields.text)
    }

    /// Opens the split's next file; whether there is one.
    fn open_next(&mut self) -> Result<bool> {
        let Some(next) = self.files.get(self.at + 1) else { return Ok(false) };
        self.unpacked = self.unpacked_bytes();
        self.at += 1;
        self.number = 0;
        let number = self.first_file + self.at as u32;
        self.source = Source::open(&self.ctx, &self.options, &self.root, number, next, self.range)?;
        Ok(true)
    }

    /// The next row; `None` after the last.
    ///
    /// Errors: `INPUT_TRUNCATED`, `MISSING_COLUMN`, `IO`, `MEMORY_BUDGET`, which end the reading.
    #[allow(clippy::should_implement_trait)] // it lends
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let bad = loop {
            if let Some(bad) = self.read()? {
                break bad;
            }
            if !self.open_next()? {
                return Ok(None);
            }
        };
        if self.line.capacity() > KEPT {
            self.line = Vec::new();
        }
        let file = &self.files[self.at];
        let number = self.number;
        self.number += 1;
        let content = match bad.or_else(|| self.check(file.kind)) {
            Some(bad) => Content::Bad(bad),
            None if self.fields.text.trim().is_empty() => Content::Empty,
            None => {
                if self.options.id_field.is_none() || file.kind == Kind::Text {
                    self.fields.id = default_id(file, number);
                }
                let Fields { text, id, source, has_source, queries, .. } = &self.fields;
                Content::Document(Document {
                    id,
                    text,
                    source: has_source.then_some(source.as_str()),
                    queries,
                })
            }
        };
        Ok(Some(Row { file: &file.path, number, content }))
    }

    /// Reads a row of the open file into `fields`; `None` after its last, `Some(Some(bad))` for one that cannot be used.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    fn read(&mut self) -> Result<Option<Option<Bad>>> {
        let max = self.options.max_document_bytes;
        match &mut self.source {
            Source::Lines(lines) => Ok(match lines.next(&mut self.line, self.limits)? {
                None => None,
                Some(Line::NoRoom) => {
                    return Err(no_room(&self.files[self.at].path, self.number, self.limits.room));
                }
                Some(Line::TooLong) => Some(Some(Bad::new(
                    Code::DocumentTooLarge,
                    format!("the line is longer than a document of {max} bytes can be"),
                ))),
                Some(Line::Whole) => Some(match std::str::from_utf8(&self.line) {
                    Err(e) => Some(Bad::new(
                        Code::BadUtf8,
                        format!("invalid UTF-8 at byte {} of the line", e.valid_up_to()),
                    )),
                    Ok(line) => json::parse(line, &self.options, &mut self.fields)
                        .err()
                        .map(|reason| Bad::new(Code::BadRow, reason)),
                }),
            }),
            Source::Parquet(rows) => rows.next(&mut self.fields),
            Source::Text(file) => {
                let bad = read_text(file, max, &mut self.fields)?;
                self.source = Source::Read;
                Ok(Some(bad))
            }
            Source::Read => Ok(None),
        }
    }

    /// The last row as it stands in an unpacked JSONL file, without its line end; empty for other kinds, and for a line so long that it is not kept.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Bytes that the rows so far take up in unpacked JSONL files, blank lines and line ends counted; 0 for other kinds.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked + if let Source::Lines(lines) = &self.source { lines.taken() } else { 0 }
    }

    /// What is wrong with fields that were read.
    fn check(&self, kind: Kind) -> Option<Bad> {
        let max = self.options.max_document_bytes;
        if kind == Kind::Text {
            return None;
        }
        if !self.fields.has_text {
            return Some(Bad::new(
                Code::BadRow,
                format!("there is no field \"{}\" (`textField`)", self.options.text_field),
            ));
        }
        if self.fields.text.len() as u64 > max {
            let reason = format!(
                "the text has {} bytes, more than `maxDocumentBytes` ({max})",
                self.fields.text.len()
            );
            return Some(Bad::new(Code::DocumentTooLarge, reason));
        }
        for (option, field, value) in [
            ("idField", &self.options.id_field, &self.fields.id),
            ("sourceField", &self.options.source_field, &self.fields.source),
        ] {
            if let Some(field) = field
                && value.len() > LONGEST_ID
            {
                let reason = format!(
                    "the field \"{field}\" (`{option}`) has {} bytes, more than {LONGEST_ID}",
                    value.len()
                );
                return Some(Bad::new(Code::BadRow, reason));
            }
        }
        match &self.options.id_field {
            Some(field) if !self.fields.has_id => {
                Some(Bad::new(Code::BadRow, format!("there is no field \"{field}\" (`idField`)")))
            }
            Some(field) if self.fields.id.is_empty() => {
                Some(Bad::new(Code::BadRow, format!("the field \"{field}\" (`idField`) is empty")))
            }
            _ => None,
        }
    }
}

fn read_text(file: &CorpusFile, max: u64, fields: &mut Fields) -> Result<Option<Bad>> {
    fields.clear();
    let bytes = match file.read_whole(max)? {
        Ok(bytes) => bytes,
        Err(length) => {
            let reason =
                format!("the file has {length} bytes, more than `maxDocumentBytes` ({max})");
            return Ok(Some(Bad::new(Code::DocumentTooLarge, reason)));
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => {
            fields.text = text;
            if fields.text.starts_with('\u{feff}') {
                fields.text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(None)
        }
        Err(e) => Ok(Some(Bad::new(
            Code::BadUtf8,
            format!("invalid UTF-8 at byte {}", e.utf8_error().valid_up_to()),
        ))),
    }
}

fn no_room(file: &str, row: u64, room: u64) -> Error {
    let message = format!(
        "{file} row {row} has more than {room} bytes, a quarter of `memory`; give a larger `memory`, or say a smaller `maxDocumentBytes`, which makes \
         it a row that cannot be used"
    );
    Error::new(Code::MemoryBudget, message).with("file", file).with("row", row)
}

/// The id of a document without one: `path:row`, the path without a suffix of compression.
pub fn default_id(file: &InputFile, row: u64) -> String {
    let path = match file.kind {
        Kind::Jsonl(Packing::Gzip) => without(&file.path, ".gz"),
        Kind::Jsonl(Packing::Zstd) => without(&file.path, ".zst"),
        _ => &file.path,
    };
    format!("{path}:{row}")
}

/// `path` without a suffix, which may be in capitals.
fn without<'a>(path: &'a str, suffix: &str) -> &'a str {
    match path.len().checked_sub(suffix.len()).and_then(|at| path.split_at_checked(at)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(suffix) => stem,
        _ => path,
    }
}

/// Counts the rows of a split, good or bad.
///
/// Errors: as [`RowReader::open`] and [`RowReader::next`].
pub fn count_rows(
    ctx: &Ctx,
    options: &CorpusOptions,
    inventory: &Inventory,
    split: usize,
) -> Result<u64> {
    let range = inventory.splits[split].range;
    let mut rows = 0;
    for file in inventory.files_of(split) {
        rows += match Source::open(
            ctx,
            options,
            &inventory.root,
            file,
            &inventory.files[file as usize],
            range,
        )? {
            Source::Lines(lines) => count_lines(options, lines)?,
            Source::Parquet(rows) => rows.count(),
            Source::Text(_) | Source::Read => 1,
        };
    }
    ctx.progress.advance(crate::split_bytes(inventory, split));
    Ok(rows)
}

fn count_lines(options: &CorpusOptions, mut lines: Lines) -> Result<u64> {
    let (mut line, mut rows) = (Vec::new(), 0u64);
    while lines
        .next(&mut line, Limits { max: most_line_bytes(options), room: u64::MAX, wanted: COUNTED })?
        .is_some()
    {
        rows += 1;
    }
    Ok(rows)
}
