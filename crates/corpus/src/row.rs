//! Rows of a split, whatever the kind of its file.

use longweave_common::{Code, Ctx, Error, Result};
use memchr::memchr_iter;

use crate::arrow_rows::ArrowBatches;
use crate::columns::Cursor;
use crate::fields::{Bad, Fields, KEPT, TOKEN_BYTES, too_many_tokens};
use crate::inventory::{InputFile, Inventory, Kind, Range, Split, split_bytes};
use crate::json;
use crate::layout::Layout;
use crate::lines::{Limits, Line, Lines};
use crate::listing::partition;
use crate::location::{Position, RowLocation};
use crate::packing::{Packing, is_utf16, without_packing};
use crate::parquet_rows::ParquetBatches;
use crate::source::CorpusFile;
use crate::token_files::TokenRows;
use crate::{CorpusOptions, Origin, parts};

/// Most bytes of an id or a source: thousands of them are held at once.
const LONGEST_ID: usize = 8 << 10;
/// The name of a partition whose value is null.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
/// Most bytes of a line that are kept to count it.
const COUNTED: u64 = 1 << 20;

/// A row of the corpus: usable, empty or bad.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its place, the file as its path below the root.
    pub location: RowLocation<'a>,
    /// The document, or why there is none.
    pub content: Content<'a>,
}

/// The content of a row.
#[derive(Debug)]
pub enum Content<'a> {
    /// A usable row.
    Document(Document<'a>),
    /// A text of white space, no token, or a null.
    Empty,
    /// A row that cannot be used.
    Bad(Bad),
}

/// A usable row, lent by its reader.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its id: the id field's, else `path:N`: the path without a suffix of compression, the row
    /// counted from 0 without blank lines.
    pub id: &'a str,
    /// Text, not empty where there are no tokens; empty where there are.
    pub text: &'a str,
    /// Token ids in place of a text, not empty.
    pub tokens: Option<&'a [u32]>,
    /// Its source, where one is asked for and given.
    pub source: Option<&'a str>,
    /// Its queries, where they are asked for.
    pub queries: &'a [String],
    /// Whether lone surrogates of the row were replaced.
    pub replaced_surrogates: bool,
}

/// The numbers of a split's first row, as counts of what comes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Rows of its first file.
    pub rows: u64,
    /// Lines of its first file, blank ones included; 0 for files that are not JSONL.
    pub lines: u64,
    /// All rows, usable or not.
    pub corpus_rows: u64,
}

/// Rows and lines of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Rows, good or bad.
    pub rows: u64,
    /// Lines of JSONL, blank ones included.
    pub lines: u64,
}

enum Source {
    Lines(Lines),
    Columns(Box<Cursor>),
    Tokens(Box<TokenRows>),
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
        if let Some((layout, packing)) = file.kind.lines(&options.text_field) {
            let Range::Part { part, .. } = range else {
                return Ok(Source::Lines(Lines::open(ctx, &listed()?, packing, layout, range)?));
            };
            let spooled = CorpusFile::local(parts::path(options, number, part)?);
            let lines = Lines::open(ctx, &spooled, Packing::Zstd, Layout::Lines, range)?;
            return Ok(Source::Lines(lines));
        }
        Ok(match file.kind {
            Kind::Parquet => {
                Source::Columns(Box::new(ParquetBatches::open(ctx, &listed()?, options, range)?))
            }
            Kind::Arrow => {
                Source::Columns(Box::new(ArrowBatches::open(ctx, &listed()?, options, range)?))
            }
            kind if kind.has_tokens() => {
                Source::Tokens(Box::new(TokenRows::open(ctx, root, file, options, range)?))
            }
            _ => Source::Text(listed()?),
        })
    }
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
    /// Index in `files` of the open file.
    at: usize,
    source: Source,
    /// The rows and lines before the open file, or the part of it.
    before: Before,
    /// Rows read of the open file, or the part of it.
    read: u64,
    limits: Limits,
    /// The source that a directory of the open file's path gives.
    partition: Option<String>,
    /// Bytes of the unpacked JSONL files before the open one.
    unpacked: u64,
    line: Vec<u8>,
    fields: Fields,
}

impl RowReader {
    /// Opens a split.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`, `MISSING_COLUMN`, `IO`.
    pub fn open(
        ctx: &Ctx,
        options: &CorpusOptions,
        inventory: &Inventory,
        split: usize,
        before: Before,
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
            before,
            read: 0,
            limits: Limits {
                max: options.most_line_bytes(),
                room: ctx.budget.limit() / 4,
                wanted: u64::MAX,
            },
            partition: partition_of(options, &inventory.files[file as usize]),
            unpacked: 0,
            line: Vec::new(),
            fields: Fields::default(),
        })
    }

    /// Whether the next row takes more than `bytes` bytes to hold. Asked before it is read where
    /// memory is short.
    ///
    /// Errors: as [`RowReader::next`].
    pub fn next_is_larger(&mut self, bytes: u64) -> Result<bool> {
        loop {
            let (larger, over) = match &mut self.source {
                Source::Lines(lines) => lines.is_longer(&mut self.line, self.limits, bytes)?,
                Source::Columns(rows) => rows.is_longer(bytes)?,
                Source::Tokens(rows) => rows.is_longer(bytes)?,
                Source::Text(_) => (self.files[self.at].bytes > bytes, false),
                Source::Read => (false, true),
            };
            if !over || !self.open_next()? {
                return Ok(larger);
            }
        }
    }

    /// Takes the text of the document that was lent last.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.fields.text)
    }

    /// Takes the tokens of the document that was lent last.
    pub fn take_tokens(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.fields.tokens)
    }

    /// Opens the split's next file. Returns whether there is one.
    fn open_next(&mut self) -> Result<bool> {
        let Some(next) = self.files.get(self.at + 1) else { return Ok(false) };
        self.unpacked = self.unpacked_bytes();
        self.at += 1;
        self.before =
            Before { corpus_rows: self.before.corpus_rows + self.read, ..Before::default() };
        self.read = 0;
        let number = self.first_file + self.at as u32;
        self.source = Source::open(&self.ctx, &self.options, &self.root, number, next, self.range)?;
        self.partition = partition_of(&self.options, next);
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
        self.read += 1;
        let file = &self.files[self.at];
        let content = match bad.or_else(|| self.check(file.kind)) {
            Some(bad) => Content::Bad(bad),
            None if self.fields.is_empty() => Content::Empty,
            None => {
                if self.options.id_field.is_none() || file.kind == Kind::Text {
                    self.fields.id = default_id(file, self.before.rows + self.read - 1);
                }
                let Fields { text, tokens, has_tokens, id, source, has_source, .. } = &self.fields;
                let Fields { queries, replaced, .. } = &self.fields;
                Content::Document(Document {
                    id,
                    text,
                    tokens: has_tokens.then_some(tokens),
                    source: has_source
                        .then_some(source)
                        .or(self.partition.as_ref())
                        .map(String::as_str),
                    queries,
                    replaced_surrogates: *replaced,
                })
            }
        };
        Ok(Some(Row { location: self.location(), content }))
    }

    /// The place of the row that was read last.
    fn location(&self) -> RowLocation<'_> {
        let Before { lines, corpus_rows, .. } = self.before;
        let position = match &self.source {
            _ if self.options.origin == Origin::Pushed => {
                Position::Pushed(corpus_rows + self.read - 1)
            }
            Source::Lines(file) => {
                let number = lines + file.begun_lines();
                match self.files[self.at].kind {
                    Kind::JsonArray(_) => Position::Element(number),
                    Kind::Tar(_) => Position::Sample(number),
                    _ => Position::Line(number),
                }
            }
            Source::Columns(rows) => rows.position(),
            Source::Tokens(tokens) => tokens.position(),
            Source::Text(_) | Source::Read => Position::File,
        };
        RowLocation::new(&self.files[self.at].path, position)
    }

    /// Reads a row of the open file into `fields`. `None` after its last, `Some(Some(bad))` for a bad one.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    fn read(&mut self) -> Result<Option<Option<Bad>>> {
        let max = self.options.max_document_bytes;
        match &mut self.source {
            Source::Lines(lines) => Ok(match lines.next(&mut self.line, self.limits)? {
                None => None,
                Some(Line::NoRoom) => {
                    self.read += 1;
                    return Err(no_room(&self.location(), self.limits.room));
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
                    Ok(line) => json::parse(line, &self.options, &mut self.fields).err(),
                }),
            }),
            Source::Columns(rows) => rows.next(&mut self.fields),
            Source::Tokens(rows) => rows.next(&mut self.fields),
            Source::Text(file) => {
                let bad = read_text(file, max, &mut self.fields)?;
                self.source = Source::Read;
                Ok(Some(bad))
            }
            Source::Read => Ok(None),
        }
    }

    /// The line of the last row, without its end; empty for files that are not JSONL, and for a line
    /// so long that it is not kept.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Bytes of the rows so far in unpacked JSONL files, with blank lines and line ends; 0 for other
    /// kinds.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked + if let Source::Lines(lines) = &self.source { lines.taken() } else { 0 }
    }

    /// Why fields that were read are not a document.
    fn check(&self, kind: Kind) -> Option<Bad> {
        let max = self.options.max_document_bytes;
        if kind == Kind::Text {
            return None;
        }
        match &self.options.tokens_field {
            _ if self.fields.has_tokens => {}
            Some(field) => return Some(self.missing("tokensField", field)),
            None if self.fields.has_text => {}
            None => return Some(self.missing("textField", &self.options.text_field)),
        }
        if self.fields.tokens.len() as u64 > max / TOKEN_BYTES {
            return Some(too_many_tokens(max));
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
                    "the field {} has {} bytes, more than {LONGEST_ID}",
                    self.options.field(option, field),
                    value.len()
                );
                return Some(Bad::new(Code::BadRow, reason));
            }
        }
        match &self.options.id_field {
            Some(field) if !self.fields.has_id => Some(self.missing("idField", field)),
            Some(field) if self.fields.id.is_empty() => Some(Bad::new(
                Code::BadRow,
                format!("the field {} is empty", self.options.field("idField", field)),
            )),
            _ => None,
        }
    }

    /// A row without the field that an option names.
    fn missing(&self, option: &str, field: &str) -> Bad {
        let field = self.options.field(option, field);
        if matches!(self.source, Source::Columns(_)) {
            return Bad::new(Code::BadRow, format!("the column {field} is null"));
        }
        let names = json::names(&self.line);
        let has = if names.is_empty() { String::new() } else { format!(", only {names}") };
        Bad::new(Code::BadRow, format!("there is no field {field}{has}"))
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
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            if is_utf16(e.as_bytes()) {
                return Ok(Some(Bad::new(Code::BadUtf8, "the file is UTF-16, not UTF-8")));
            }
            let line = 1 + memchr_iter(b'\n', &e.as_bytes()[..at]).count();
            let reason = format!("invalid UTF-8 at byte {at} of the file, in line {line}");
            Ok(Some(Bad::new(Code::BadUtf8, reason)))
        }
    }
}

/// The source that the place of a file gives: the path that names it, or a directory
/// `SOURCE_FIELD=VALUE` above it, as Hive writes partitions: the last one, its value with `%XX`
/// decoded.
fn partition_of(options: &CorpusOptions, file: &InputFile) -> Option<String> {
    if let Some(number) = file.named_by {
        return options.source_names.get(number as usize).cloned();
    }
    let field = options.source_field.as_ref()?;
    let (directories, _) = file.path.rsplit_once('/')?;
    let (_, value) =
        directories.rsplit('/').filter_map(partition).find(|(column, _)| column == field)?;
    (value != NULL_PARTITION).then(|| unescaped(value))
}

/// A value of a partition with `%XX` decoded; as it is where that is not UTF-8.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

fn no_room(location: &RowLocation<'_>, room: u64) -> Error {
    location.error(
        Code::MemoryBudget,
        &format!("the line has more than {room} bytes, a quarter of `memory`"),
        "raise `memory`, or lower `maxDocumentBytes`, which makes it a bad row",
    )
}

/// The id of a document without one: `path:row`, the path without a suffix of compression, the row
/// counted from 0 without blank lines.
pub(crate) fn default_id(file: &InputFile, row: u64) -> String {
    format!("{}:{row}", without_packing(&file.path))
}

/// Counts the rows and lines of a split.
///
/// Errors: as [`RowReader::open`] and [`RowReader::next`].
pub fn count_rows(
    ctx: &Ctx,
    options: &CorpusOptions,
    inventory: &Inventory,
    split: usize,
) -> Result<Counted> {
    let range = inventory.splits[split].range;
    let mut all = Counted::default();
    for file in inventory.files_of(split) {
        let Counted { rows, lines } = match Source::open(
            ctx,
            options,
            &inventory.root,
            file,
            &inventory.files[file as usize],
            range,
        )? {
            Source::Lines(lines) => count_lines(options, lines)?,
            Source::Columns(rows) => Counted { rows: rows.count()?, lines: 0 },
            Source::Tokens(rows) => Counted { rows: rows.count(), lines: 0 },
            Source::Text(_) | Source::Read => Counted { rows: 1, lines: 0 },
        };
        all.rows += rows;
        all.lines += lines;
    }
    ctx.progress.advance(split_bytes(inventory, split));
    Ok(all)
}

fn count_lines(options: &CorpusOptions, mut lines: Lines) -> Result<Counted> {
    let (mut line, mut rows) = (Vec::new(), 0u64);
    while lines
        .next(
            &mut line,
            Limits { max: options.most_line_bytes(), room: u64::MAX, wanted: COUNTED },
        )?
        .is_some()
    {
        rows += 1;
    }
    Ok(Counted { rows, lines: lines.begun_lines() })
}
