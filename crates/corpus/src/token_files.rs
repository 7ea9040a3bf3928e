//! Rows of token files, of which each document is one: ids end to end, and an index of documents next
//! to them. All numbers are little-endian.
//!
//! - Megatron-LM: `NAME.idx` and `NAME.bin`. The index is `MMIDIDX` and two zero bytes; u64 1; u8 type
//!   of the ids; u64 sequences; u64 documents + 1; i32 tokens of each sequence; i64 byte offset of
//!   each; i64 first sequence of each document, and their number.
//! - datatrove: `NAME.ds` and `NAME.ds.index`, the u64 ends of documents, counted in tokens. The bytes
//!   of an id follow from the sizes.
//! - NumPy: `NAME.npy` and `NAME.csv.gz`, see `numpy.rs`. The bytes of an id follow from the sizes, or
//!   from NumPy's header.
//!
//! Numbers of an index are checked against the sizes of the files before they are used.

use std::path::PathBuf;
use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use parquet::file::reader::Length;

use crate::fields::{Bad, Fields, TOKEN_BYTES, no_token, too_many_tokens};
use crate::id_type::IdType;
use crate::inventory::{InputFile, Kind};
use crate::location::{Position, RowLocation};
use crate::numpy::{Columns, Documents, Ids};
use crate::source::{CorpusFile, Positions};
use crate::{CorpusOptions, Range};

const MAGIC: [u8; 9] = *b"MMIDIDX\0\0";
/// Bytes of Megatron's index before the tokens of sequences.
const HEAD: u64 = 34;
/// Types of ids of a `.npy` file without a header.
const NUMPY: [IdType; 4] = [IdType::U16, IdType::U32, IdType::U8, IdType::I64];
/// Bytes that are read at once.
const WINDOW: u64 = 64 << 10;

/// A file that is read by position.
struct Bytes {
    positions: Positions,
    path: PathBuf,
    length: u64,
}

impl Bytes {
    fn open(file: &CorpusFile) -> Result<Bytes> {
        let positions = file.positions()?;
        let length = positions.len();
        Ok(Bytes { positions, path: file.path().to_owned(), length })
    }

    fn damaged(&self, what: &str) -> Error {
        let file = self.path.display().to_string();
        let message = format!("{file} is truncated or damaged: {what}; fetch or write it again");
        Error::new(Code::InputTruncated, message).with("file", file)
    }

    /// Reads bytes that the file has.
    fn read(&self, at: u64, out: &mut [u8]) -> Result<()> {
        self.positions.read_into(at, out).at("read", &self.path)
    }
}

/// Numbers of 4 or 8 bytes in a file, of which some are held.
struct Numbers {
    bytes: Arc<Bytes>,
    start: u64,
    width: u64,
    count: u64,
    /// The first that is held.
    first: u64,
    held: Vec<u8>,
}

impl Numbers {
    fn new(bytes: &Arc<Bytes>, start: u64, width: u64, count: u64) -> Numbers {
        Numbers { bytes: Arc::clone(bytes), start, width, count, first: 0, held: Vec::new() }
    }

    /// Number `i`, which is below `count`.
    fn get(&mut self, i: u64) -> Result<u64> {
        let held = self.held.len() as u64 / self.width;
        if i < self.first || i >= self.first + held {
            let count = (self.count - i).min(WINDOW / self.width);
            self.held.resize((count * self.width) as usize, 0);
            self.bytes.read(self.start + i * self.width, &mut self.held)?;
            self.first = i;
        }
        let at = ((i - self.first) * self.width) as usize;
        let mut wide = [0; 8];
        wide[..self.width as usize].copy_from_slice(&self.held[at..at + self.width as usize]);
        let value = i64::from_le_bytes(wide);
        let value = if self.width == 4 { i64::from(value as i32) } else { value };
        u64::try_from(value).map_err(|_| self.bytes.damaged(&format!("it holds {value}")))
    }
}

/// The documents of a file.
enum Index {
    Megatron { lens: Numbers, offsets: Numbers, documents: Numbers },
    Datatrove { ends: Numbers },
    Numpy { documents: Box<Documents>, columns: Columns },
}

/// Reads a run of documents.
pub(crate) struct TokenRows {
    index: Index,
    ids: Bytes,
    id_type: IdType,
    /// The position of the first id.
    start: u64,
    /// The next document, and the one after the last.
    next: u64,
    end: u64,
    /// Most bytes of a document.
    most: u64,
    /// Bytes of memory that a document may take.
    room: u64,
    buffer: Vec<u8>,
}

impl TokenRows {
    /// Opens the documents of a file, or a range of them.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`; `MISSING_COLUMN` where rows should have ids.
    pub(crate) fn open(
        ctx: &Ctx,
        root: &str,
        file: &InputFile,
        options: &CorpusOptions,
        range: Range,
    ) -> Result<TokenRows> {
        let own = CorpusFile::open(ctx, root, file)?;
        if let (Some(field), Kind::Megatron | Kind::Datatrove) = (&options.id_field, file.kind) {
            let message = format!(
                "{} has no ids of documents; leave out {}, and ids are path:row",
                own.path().display(),
                options.field("idField", field)
            );
            return Err(Error::new(Code::MissingColumn, message)
                .with("file", own.path().display().to_string())
                .with("column", field.as_str()));
        }
        let mut rows = TokenRows::new(ctx, root, file, range)?;
        if let Index::Numpy { columns, .. } = &mut rows.index {
            *columns = Columns::find(own.path(), options)?;
        }
        rows.most = options.max_document_bytes;
        rows.room = ctx.budget.limit() / 4;
        Ok(rows)
    }

    /// Opens documents of any length.
    fn new(ctx: &Ctx, root: &str, file: &InputFile, range: Range) -> Result<TokenRows> {
        let own = CorpusFile::open(ctx, root, file)?;
        let other = CorpusFile::companion(ctx, root, file)?;
        let ids = Bytes::open(if file.kind == Kind::Megatron { &other } else { &own })?;
        let (index, id_type, start, count) = match file.kind {
            Kind::Megatron => megatron(&Arc::new(Bytes::open(&own)?))?,
            Kind::Datatrove => datatrove(&Arc::new(Bytes::open(&other)?), &ids)?,
            _ => numpy(ctx, [&own, &other], &ids, range)?,
        };
        let (next, end) = match range {
            Range::Rows { start, end, .. } => (start, end),
            _ => (0, count),
        };
        if end > count || next > end {
            return Err(ids.damaged("it has fewer documents than when it was listed"));
        }
        let (most, room) = (u64::MAX, u64::MAX);
        Ok(TokenRows { index, ids, id_type, start, next, end, most, room, buffer: Vec::new() })
    }

    /// Documents.
    pub(crate) fn count(&self) -> u64 {
        self.end - self.next
    }

    /// The place of the document that was read last.
    pub(crate) fn position(&self) -> Position {
        Position::Document(self.next.saturating_sub(1))
    }

    /// Tokens of a document, as its index says.
    fn length(&mut self, document: u64) -> Result<u64> {
        match &mut self.index {
            Index::Megatron { lens, documents, .. } => {
                let sequences = sequences(documents, lens.count, document)?;
                let mut sum = 0u64;
                for sequence in sequences {
                    sum = sum.saturating_add(lens.get(sequence)?);
                }
                Ok(sum)
            }
            Index::Datatrove { ends } => {
                let start = if document == 0 { 0 } else { ends.get(document - 1)? };
                let end = ends.get(document)?;
                end.checked_sub(start).ok_or_else(|| {
                    let what = format!("document {document} ends at {end}, before it begins");
                    ends.bytes.damaged(&what)
                })
            }
            Index::Numpy { documents, .. } => {
                while documents.count <= document {
                    if !documents.next()? {
                        let what = "it has fewer documents than when it was listed";
                        return Err(documents.damaged(what));
                    }
                }
                Ok(documents.tokens.end - documents.tokens.start)
            }
        }
    }

    /// Whether the next document has more than `bytes` bytes, and whether there is none.
    pub(crate) fn is_longer(&mut self, bytes: u64) -> Result<(bool, bool)> {
        if self.next == self.end {
            return Ok((false, true));
        }
        Ok((self.length(self.next)?.saturating_mul(TOKEN_BYTES) > bytes, false))
    }

    /// Reads the next document into `fields`. `None` after the last, `Some(Some(bad))` for a bad one.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    pub(crate) fn next(&mut self, fields: &mut Fields) -> Result<Option<Option<Bad>>> {
        if self.next == self.end {
            return Ok(None);
        }
        let document = self.next;
        let length = self.length(document)?;
        self.next += 1;
        fields.clear();
        fields.has_tokens = true;
        if length > self.most / TOKEN_BYTES {
            return Ok(Some(Some(too_many_tokens(self.most))));
        }
        if length.saturating_mul(TOKEN_BYTES) > self.room {
            let path = self.ids.path.to_string_lossy();
            return Err(RowLocation::new(&path, Position::Document(document)).error(
                Code::MemoryBudget,
                &format!("the document has {length} tokens, more than a quarter of `memory`"),
                "raise `memory`, or lower `maxDocumentBytes`, which makes it a bad row",
            ));
        }
        let TokenRows { index, ids, id_type, start, buffer, .. } = self;
        let mut append = |at, tokens| append(ids, *id_type, (at, tokens), document, buffer, fields);
        match index {
            Index::Megatron { lens, offsets, documents } => {
                for sequence in sequences(documents, lens.count, document)? {
                    let bad = append(offsets.get(sequence)?, lens.get(sequence)?)?;
                    if bad.is_some() {
                        return Ok(Some(bad));
                    }
                }
                Ok(Some(None))
            }
            Index::Datatrove { ends } => {
                let start = ends.get(document)?.saturating_sub(length);
                append(start.saturating_mul(id_type.bytes()), length).map(Some)
            }
            Index::Numpy { documents, columns } => {
                let at = documents.tokens.start.saturating_mul(id_type.bytes());
                let bad = append(at.saturating_add(*start), length)?;
                Ok(Some(bad.or_else(|| documents.read(*columns, fields))))
            }
        }
    }
}

/// Appends `tokens` ids from byte `at` on. Returns why one is not an id.
fn append(
    ids: &Bytes,
    id_type: IdType,
    (at, tokens): (u64, u64),
    document: u64,
    buffer: &mut Vec<u8>,
    fields: &mut Fields,
) -> Result<Option<Bad>> {
    let end = tokens.checked_mul(id_type.bytes()).and_then(|bytes| bytes.checked_add(at));
    let Some(end) = end.filter(|&end| end <= ids.length) else {
        let what = format!("document {document} (from 0) ends beyond its {} bytes", ids.length);
        return Err(ids.damaged(&what));
    };
    let mut at = at;
    while at < end {
        let bytes = (end - at).min(WINDOW);
        buffer.resize(bytes as usize, 0);
        ids.read(at, buffer)?;
        if let Err(value) = id_type.append(buffer, &mut fields.tokens) {
            return Ok(Some(Bad::new(Code::BadRow, format!("it holds {}", no_token(value)))));
        }
        at += bytes;
    }
    Ok(None)
}

/// The sequences of a document of Megatron.
fn sequences(documents: &mut Numbers, count: u64, at: u64) -> Result<std::ops::Range<u64>> {
    let (start, end) = (documents.get(at)?, documents.get(at + 1)?);
    if start > end || end > count {
        let what = format!("document {at} has the sequences {start} to {end} of {count}");
        return Err(documents.bytes.damaged(&what));
    }
    Ok(start..end)
}

/// An index, the type of ids, the position of the first, and the number of documents.
type Opened = (Index, IdType, u64, u64);

fn megatron(index: &Arc<Bytes>) -> Result<Opened> {
    let mut head = [0; HEAD as usize];
    if index.length < HEAD {
        return Err(index.damaged("it is shorter than the head of an index of Megatron-LM"));
    }
    index.read(0, &mut head)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    if head[..9] != MAGIC || number(9) != 1 {
        return Err(index.damaged("it is not an index of Megatron-LM, version 1"));
    }
    let id_type = IdType::of_code(head[17]).ok_or_else(|| {
        index.damaged(&format!("its ids are of type {}, which is not one of integers", head[17]))
    })?;
    let (sequences, ends) = (number(18), number(26));
    let size = |count: u64, bytes: u64| count.saturating_mul(bytes);
    let needed = HEAD.saturating_add(size(sequences, 12)).saturating_add(size(ends, 8));
    if needed > index.length || ends == 0 {
        return Err(index.damaged(&format!(
            "it has {} bytes, too few for {sequences} sequences and {} documents",
            index.length,
            ends.saturating_sub(1)
        )));
    }
    let offsets = HEAD + 4 * sequences;
    let documents = Numbers::new(index, offsets + 8 * sequences, 8, ends);
    let lens = Numbers::new(index, HEAD, 4, sequences);
    let offsets = Numbers::new(index, offsets, 8, sequences);
    Ok((Index::Megatron { lens, offsets, documents }, id_type, 0, ends - 1))
}

fn datatrove(index: &Arc<Bytes>, ids: &Bytes) -> Result<Opened> {
    let count = index.length / 8;
    if !index.length.is_multiple_of(8) {
        return Err(index.damaged(&format!("its {} bytes are not ends of 8 bytes", index.length)));
    }
    let mut ends = Numbers::new(index, 0, 8, count);
    let tokens = if count == 0 { 0 } else { ends.get(count - 1)? };
    let id_type = fitting(&[IdType::U16, IdType::U32], ids, 0, tokens)?;
    Ok((Index::Datatrove { ends }, id_type, 0, count))
}

/// The documents of an array of ids and its csv: of all of them, or of a range, which is read from the
/// first document on.
fn numpy(ctx: &Ctx, [own, csv]: [&CorpusFile; 2], ids: &Bytes, range: Range) -> Result<Opened> {
    let Ids { start, header } = Ids::of(own, ids.length)?;
    let documents = || Documents::open(ctx, csv).map(Box::new);
    let (id_type, count) = if let Range::Rows { end, width, .. } = range {
        let of_range = || {
            let is = |id_type: &IdType| Some(id_type.bytes()) == width.map(u64::from);
            NUMPY
                .into_iter()
                .find(is)
                .ok_or_else(|| ids.damaged("the bytes of an id are not known"))
        };
        (header.map_or_else(of_range, |(id_type, _)| Ok(id_type))?, end)
    } else {
        let mut all = documents()?;
        while all.next()? {}
        let tokens = all.tokens.end;
        if let Some((_, n)) = header.filter(|(_, n)| *n != tokens) {
            return Err(ids.damaged(&format!("its header has {n} ids, its csv {tokens}")));
        }
        let types = header.map_or(NUMPY.to_vec(), |(id_type, _)| vec![id_type]);
        (fitting(&types, ids, start, tokens)?, all.count)
    };
    let index = Index::Numpy { documents: documents()?, columns: Columns::default() };
    Ok((index, id_type, start, count))
}

/// The type that makes `tokens` ids from byte `start` on end where the file does.
fn fitting(types: &[IdType], ids: &Bytes, start: u64, tokens: u64) -> Result<IdType> {
    let end = |id_type: IdType| tokens.checked_mul(id_type.bytes())?.checked_add(start);
    let fits = types.iter().copied().find(|&id_type| end(id_type) == Some(ids.length));
    fits.ok_or_else(|| {
        let widths: Vec<String> = types.iter().map(|one| one.bytes().to_string()).collect();
        ids.damaged(&format!(
            "its {} bytes are not the {tokens} tokens of its index, of {} bytes",
            ids.length,
            widths.join(" or ")
        ))
    })
}

/// Ranges of documents of about `size` bytes.
pub(crate) fn ranges(ctx: &Ctx, root: &str, file: &InputFile, size: u64) -> Result<Vec<Range>> {
    let mut rows = TokenRows::new(ctx, root, file, Range::Files { end: 0 })?;
    let id_bytes = rows.id_type.bytes();
    let width = (file.kind == Kind::Numpy).then_some(id_bytes as u8);
    let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0u64);
    for document in 0..rows.end {
        bytes = bytes.saturating_add(rows.length(document)?.saturating_mul(id_bytes));
        if bytes >= size || document + 1 == rows.end {
            ranges.push(Range::Rows { start, end: document + 1, width });
            (start, bytes) = (document + 1, 0);
        }
    }
    Ok(ranges)
}
