//! Rows of a split, whatever the kind of its file.

use std::fs::{self, File};
use std::io::Read;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};

use crate::CorpusOptions;
use crate::inventory::{InputFile, Inventory, Kind, Packing, Range};
use crate::json::{self, Fields};
use crate::lines::{Line, Lines};
use crate::parquet_rows::{self, ParquetRows};

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
    Texts,
}

/// Lends the rows of one split.
pub struct RowReader {
    options: CorpusOptions,
    files: Vec<InputFile>,
    root: std::path::PathBuf,
    source: Source,
    /// Place in `files` of the next text file.
    file: usize,
    /// Number in the file of the next row.
    number: u64,
    line: Vec<u8>,
    fields: Fields,
}

impl RowReader {
    /// Opens a split whose first row has the number `first` in its file.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`, `MISSING_COLUMN`, `IO`.
    pub fn open(ctx: &Ctx, options: &CorpusOptions, inventory: &Inventory, split: usize, first: u64) -> Result<RowReader> {
        ctx.cancel.check()?;
        let file = inventory.splits[split].file;
        let range = inventory.splits[split].range;
        let path = inventory.path(file);
        let source = match inventory.files[file as usize].kind {
            Kind::Jsonl(packing) => Source::Lines(Lines::open(&path, packing, range)?),
            Kind::Parquet => Source::Parquet(Box::new(ParquetRows::open(&path, options, range)?)),
            Kind::Text => Source::Texts,
        };
        let files = inventory.files_of(split).map(|f| inventory.files[f as usize].clone()).collect();
        Ok(RowReader {
            options: options.clone(),
            files,
            root: inventory.root.clone().into(),
            source,
            file: 0,
            number: first,
            line: Vec::new(),
            fields: Fields::default(),
        })
    }

    /// The next row; `None` after the last.
    ///
    /// Errors: `INPUT_TRUNCATED`, `IO`, which end the reading.
    #[allow(clippy::should_implement_trait)] // it lends
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let max = self.options.max_document_bytes;
        let bad = match &mut self.source {
            Source::Lines(lines) => {
                // A text of `max` bytes can take six times as many, escaped, and other fields stand beside it.
                match lines.next(&mut self.line, max.saturating_mul(6).saturating_add(1 << 20))? {
                    None => return Ok(None),
                    Some(Line::TooLong) => {
                        Some(Bad::new(Code::DocumentTooLarge, format!("the line is longer than a document of {max} bytes can be")))
                    }
                    Some(Line::Whole) => match std::str::from_utf8(&self.line) {
                        Err(e) => Some(Bad::new(Code::BadUtf8, format!("invalid UTF-8 at byte {} of the line", e.valid_up_to()))),
                        Ok(line) => json::parse(line, &self.options, &mut self.fields).err().map(|reason| Bad::new(Code::BadRow, reason)),
                    },
                }
            }
            Source::Parquet(rows) => match rows.next(&mut self.fields)? {
                None => return Ok(None),
                Some(bad) => bad,
            },
            Source::Texts => {
                let Some(file) = self.files.get(self.file) else { return Ok(None) };
                self.file += 1;
                self.number = 0;
                read_text(&self.root.join(&file.path), max, &mut self.fields)?
            }
        };
        let at = if matches!(self.source, Source::Texts) { self.file - 1 } else { 0 };
        let number = self.number;
        self.number += 1;
        let content = match bad.or_else(|| self.check(max)) {
            Some(bad) => Content::Bad(bad),
            None if self.fields.text.trim().is_empty() => Content::Empty,
            None => {
                if self.options.id_field.is_none() || matches!(self.source, Source::Texts) {
                    self.fields.id = default_id(&self.files[at], number);
                }
                let Fields { text, id, source, has_source, queries, .. } = &self.fields;
                Content::Document(Document { id, text, source: has_source.then_some(source.as_str()), queries })
            }
        };
        Ok(Some(Row { file: &self.files[at].path, number, content }))
    }

    /// What is wrong with fields that were read.
    fn check(&self, max: u64) -> Option<Bad> {
        if matches!(self.source, Source::Texts) {
            return None;
        }
        if !self.fields.has_text {
            return Some(Bad::new(Code::BadRow, format!("there is no field \"{}\" (`textField`)", self.options.text_field)));
        }
        if self.fields.text.len() as u64 > max {
            let reason = format!("the text has {} bytes, more than `maxDocumentBytes` ({max})", self.fields.text.len());
            return Some(Bad::new(Code::DocumentTooLarge, reason));
        }
        match &self.options.id_field {
            Some(field) if !self.fields.has_id => Some(Bad::new(Code::BadRow, format!("there is no field \"{field}\" (`idField`)"))),
            Some(field) if self.fields.id.is_empty() => Some(Bad::new(Code::BadRow, format!("the field \"{field}\" (`idField`) is empty"))),
            _ => None,
        }
    }
}

fn read_text(path: &std::path::Path, max: u64, fields: &mut Fields) -> Result<Option<Bad>> {
    fields.clear();
    let length = fs::metadata(path).at("read", path)?.len();
    if length > max {
        return Ok(Some(Bad::new(Code::DocumentTooLarge, format!("the file has {length} bytes, more than `maxDocumentBytes` ({max})"))));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    File::open(path).at("open", path)?.read_to_end(&mut bytes).at("read", path)?;
    match String::from_utf8(bytes) {
        Ok(text) => {
            fields.text = text;
            if fields.text.starts_with('\u{feff}') {
                fields.text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(None)
        }
        Err(e) => Ok(Some(Bad::new(Code::BadUtf8, format!("invalid UTF-8 at byte {}", e.utf8_error().valid_up_to())))),
    }
}

/// The id of a document without one: `path:row`, the path without a suffix of compression.
pub fn default_id(file: &InputFile, row: u64) -> String {
    let path = match file.kind {
        Kind::Jsonl(Packing::Gzip) => &file.path[..file.path.len() - ".gz".len()],
        Kind::Jsonl(Packing::Zstd) => &file.path[..file.path.len() - ".zst".len()],
        _ => &file.path,
    };
    format!("{path}:{row}")
}

/// Counts the rows of a split, good or bad.
///
/// Errors: as [`RowReader::open`] and [`RowReader::next`].
pub fn count_rows(ctx: &Ctx, options: &CorpusOptions, inventory: &Inventory, split: usize) -> Result<u64> {
    let file = inventory.splits[split].file;
    let range = inventory.splits[split].range;
    let path = inventory.path(file);
    let bytes = crate::split_bytes(inventory, split);
    let rows = match (inventory.files[file as usize].kind, range) {
        (Kind::Jsonl(packing), _) => {
            let mut lines = Lines::open(&path, packing, range)?;
            let (mut line, mut rows) = (Vec::new(), 0u64);
            while lines.next(&mut line, options.max_document_bytes.saturating_mul(6).saturating_add(1 << 20))?.is_some() {
                rows += 1;
                if rows.is_multiple_of(1024) {
                    ctx.cancel.check()?;
                }
            }
            rows
        }
        (Kind::Parquet, Range::RowGroups { start, end }) => parquet_rows::count(&path, options, start, end)?,
        (Kind::Parquet, _) => return Err(Error::new(Code::Internal, "a Parquet split without row groups")),
        (Kind::Text, _) => inventory.files_of(split).len() as u64,
    };
    ctx.progress.advance(bytes);
    Ok(rows)
}
