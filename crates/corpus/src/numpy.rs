//! The documents of NumPy's token files, as dolma writes them: `NAME.npy` has the ids end to end,
//! with or without NumPy's header, and `NAME.csv.gz` a row `start,end,id,src,loc` for each document,
//! without a header, in tokens. A gzip file is read in order alone.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

use csv_core::{ReadRecordResult, Reader};
use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use longweave_storage::{NPY_MAGIC, NpyDefect, NpyHeader};
use memchr::memchr_iter;

use crate::CorpusOptions;
use crate::fields::{Bad, Fields};
use crate::id_type::IdType;
use crate::packing::{BUFFER, Packing, Unpacking};
use crate::source::CorpusFile;

/// The columns of a row. Only the first two are needed.
pub(crate) const COLUMNS: [&str; 5] = ["start", "end", "id", "src", "loc"];
/// Most columns of a row.
const MOST_COLUMNS: usize = 64;
/// Most bytes of a row.
const LONGEST_ROW: usize = 64 << 10;

/// Reads the rows of a `.csv.gz`.
pub(crate) struct Documents {
    input: Box<dyn BufRead + Send>,
    unpacking: Unpacking,
    path: PathBuf,
    cancel: Cancel,
    csv: Reader,
    /// The row that was read last, its columns end to end, and their ends.
    row: Vec<u8>,
    ends: [usize; MOST_COLUMNS],
    columns: usize,
    /// The line, from 1, that it begins in.
    line: u64,
    /// Line feeds so far.
    lines: u64,
    /// Rows that were read.
    pub(crate) count: u64,
    /// Tokens of the document that was read last.
    pub(crate) tokens: Range<u64>,
}

impl Documents {
    pub(crate) fn open(ctx: &Ctx, source: &CorpusFile) -> Result<Documents> {
        let path = source.path();
        let mut packed = BufReader::with_capacity(BUFFER, source.read_from(0, u64::MAX)?);
        let packing = Packing::of_bytes(packed.fill_buf().at("read", path)?);
        let unpacking = Unpacking::new(ctx, packing);
        Ok(Documents {
            input: unpacking.unpacked(packed).at("read", path)?,
            unpacking,
            path: path.to_owned(),
            cancel: ctx.cancel.clone(),
            csv: Reader::new(),
            row: vec![0; LONGEST_ROW],
            ends: [0; MOST_COLUMNS],
            columns: 0,
            line: 0,
            lines: 0,
            count: 0,
            tokens: 0..0,
        })
    }

    /// Reads the next row. Returns whether there is one.
    ///
    /// Errors: `INPUT_TRUNCATED` for a row that does not continue the one before.
    pub(crate) fn next(&mut self) -> Result<bool> {
        self.skip_line_ends()?;
        self.line = self.lines + 1;
        let (mut bytes, mut columns) = (0, 0);
        loop {
            let input = self.input.fill_buf();
            let input = input.map_err(|e| self.unpacking.unreadable(&e, &self.path))?;
            let (row, ends) = (&mut self.row[bytes..], &mut self.ends[columns..]);
            let (result, read, written, ended) = self.csv.read_record(input, row, ends);
            self.lines += memchr_iter(b'\n', &input[..read]).count() as u64;
            self.input.consume(read);
            (bytes, columns) = (bytes + written, columns + ended);
            match result {
                ReadRecordResult::InputEmpty => self.cancel.check()?,
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(self.damaged(&format!(
                        "it has more than {LONGEST_ROW} bytes or {MOST_COLUMNS} columns"
                    )));
                }
            }
        }
        self.columns = columns;
        let (start, end, before) = (self.number(0)?, self.number(1)?, self.tokens.end);
        if start != before || end < start {
            return Err(self.damaged(&format!(
                "its document has the tokens {start} to {end}, but the one before ends at {before}"
            )));
        }
        (self.tokens, self.count) = (start..end, self.count + 1);
        Ok(true)
    }

    /// Skips line ends before a row: the parser leaves one after a carriage return.
    fn skip_line_ends(&mut self) -> Result<()> {
        loop {
            let input = self.input.fill_buf();
            let input = input.map_err(|e| self.unpacking.unreadable(&e, &self.path))?;
            let ends = input.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.lines += memchr_iter(b'\n', &input[..ends]).count() as u64;
            let more = ends > 0 && ends == input.len();
            self.input.consume(ends);
            if !more {
                return Ok(());
            }
            self.cancel.check()?;
        }
    }

    /// A column of the row; `None` where it has fewer.
    fn column(&self, i: usize) -> Option<&[u8]> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        (i < self.columns).then(|| &self.row[start..self.ends[i]])
    }

    fn number(&self, i: usize) -> Result<u64> {
        let text = String::from_utf8_lossy(self.column(i).unwrap_or_default());
        text.trim().parse().map_err(|_| {
            let what = format!("its {} is {:?}, not a number of tokens", COLUMNS[i], &*text);
            self.damaged(&what)
        })
    }

    /// Reads columns into `id` and `source`. Returns why the row is bad, if it is.
    pub(crate) fn read(&self, columns: Columns, fields: &mut Fields) -> Option<Bad> {
        let of = |column: Option<usize>| column.and_then(|i| Some((i, self.column(i)?)));
        let Fields { id, has_id, source, has_source, .. } = fields;
        for (column, value, has) in
            [(of(columns.id), id, has_id), (of(columns.source), source, has_source)]
        {
            let Some((i, bytes)) = column.filter(|(_, bytes)| !bytes.is_empty()) else { continue };
            let Ok(text) = std::str::from_utf8(bytes) else {
                let reason = format!("the column {} of its csv is not UTF-8", COLUMNS[i]);
                return Some(Bad::new(Code::BadUtf8, reason));
            };
            value.push_str(text);
            *has = true;
        }
        None
    }

    /// A row that cannot be right.
    pub(crate) fn damaged(&self, what: &str) -> Error {
        let (file, line) = (self.path.display().to_string(), self.line);
        let message =
            format!("{file}:{line} is truncated or damaged: {what}; fetch or write it again");
        Error::new(Code::InputTruncated, message).with("file", file).with("line", line)
    }
}

/// The columns that are read as id and source.
#[derive(Clone, Copy, Default)]
pub(crate) struct Columns {
    id: Option<usize>,
    source: Option<usize>,
}

impl Columns {
    /// The columns that options name. A column that is not there is no source.
    ///
    /// Errors: `MISSING_COLUMN` for the id.
    pub(crate) fn find(path: &Path, options: &CorpusOptions) -> Result<Columns> {
        let find = |field: &String| COLUMNS.iter().position(|column| column == field);
        let id = options.id_field.as_ref().map(|field| {
            find(field).ok_or_else(|| {
                let message = format!(
                    "{} has no column {}, only {}",
                    path.display(),
                    options.field("idField", field),
                    COLUMNS.join(", ")
                );
                Error::new(Code::MissingColumn, message)
                    .with("file", path.display().to_string())
                    .with("column", field.as_str())
            })
        });
        Ok(Columns { id: id.transpose()?, source: options.source_field.as_ref().and_then(find) })
    }
}

/// How a `.npy` file holds ids.
pub(crate) struct Ids {
    /// The position of the first.
    pub(crate) start: u64,
    /// Their type, and their number, where NumPy's header says them.
    pub(crate) header: Option<(IdType, u64)>,
}

impl Ids {
    /// Reads NumPy's header, if there is one.
    ///
    /// Errors: `INPUT_UNSUPPORTED` for an array of other than little-endian integers, or of several axes;
    /// `INPUT_TRUNCATED` for a header that is damaged.
    pub(crate) fn of(source: &CorpusFile, size: u64) -> Result<Ids> {
        let path = source.path();
        let mut file = BufReader::new(source.read_from(0, 0)?);
        if !file.fill_buf().at("read", path)?.starts_with(NPY_MAGIC) {
            return Ok(Ids { start: 0, header: None });
        }
        let name = path.display().to_string();
        let header = NpyHeader::read(&mut file, size).at("read", path)?.map_err(|defect| {
            let NpyDefect { found, expected } = defect;
            let message = format!(
                "{name} is truncated or damaged: found {found}, expected {expected}; fetch or write \
                 it again"
            );
            Error::new(Code::InputTruncated, message).with("file", name.as_str())
        })?;
        let unsupported = |what: String, remedy: &str| {
            let message = format!("{name} has {what}; {remedy}");
            Error::new(Code::InputUnsupported, message).with("file", name.as_str())
        };
        let id_type = match header.descr.trim_matches(['\'', '"']) {
            "|u1" => IdType::U8,
            "|i1" => IdType::I8,
            "<u2" => IdType::U16,
            "<i2" => IdType::I16,
            "<u4" => IdType::U32,
            "<i4" => IdType::I32,
            "<u8" | "<i8" => IdType::I64,
            _ => {
                let what = format!("numbers of type {}", header.descr);
                return Err(unsupported(what, "save token ids as '<u2' or '<u4'"));
            }
        };
        let Some(&[count]) = header.axes().as_deref() else {
            let what = format!("an array of shape ({})", header.shape);
            return Err(unsupported(what, "save the ids end to end: array.reshape(-1)"));
        };
        Ok(Ids { start: header.start, header: Some((id_type, count)) })
    }
}
