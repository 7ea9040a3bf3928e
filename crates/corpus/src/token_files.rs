//! Rows of token files, of which each document is one: ids end to end, and an index of documents next
//! to them. All numbers are little-endian.
//!
//! - Megatron-LM: `NAME.idx` and `NAME.bin`. The index is `MMIDIDX` and two zero bytes; u64 1; u8 type
//!   of the ids; u64 sequences; u64 documents + 1; i32 tokens of each sequence; i64 byte offset of
//!   each; i64 first sequence of each document, and their number.
//! - datatrove: `NAME.ds` and `NAME.ds.index`, the u64 ends of documents, counted in tokens. The bytes
//!   of an id follow from the sizes.
//!
//! Numbers of an index are checked against the sizes of the files before they are used.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_storage::read_exact_at;

use crate::fields::{Bad, Fields, TOKEN_BYTES, no_token, too_many_tokens};
use crate::inventory::Kind;
use crate::location::{Position, RowLocation};
use crate::{CorpusOptions, Range};

const MAGIC: [u8; 9] = *b"MMIDIDX\0\0";
/// Bytes of Megatron's index before the tokens of sequences.
const HEAD: u64 = 34;
/// Bytes that are read at once.
const WINDOW: u64 = 64 << 10;

/// How an id is stored.
#[derive(Clone, Copy, Debug)]
enum IdType {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
}

impl IdType {
    /// The type of a code of Megatron.
    fn of_code(code: u8) -> Option<IdType> {
        Some(match code {
            1 => IdType::U8,
            2 => IdType::I8,
            3 => IdType::I16,
            4 => IdType::I32,
            5 => IdType::I64,
            8 => IdType::U16,
            _ => return None,
        })
    }

    fn bytes(self) -> u64 {
        match self {
            IdType::U8 | IdType::I8 => 1,
            IdType::I16 | IdType::U16 => 2,
            IdType::I32 | IdType::U32 => 4,
            IdType::I64 => 8,
        }
    }

    /// Appends ids; the first number that is not one.
    fn append(self, bytes: &[u8], out: &mut Vec<u32>) -> Result<(), i64> {
        for id in bytes.chunks_exact(self.bytes() as usize) {
            let mut wide = [0; 8];
            wide[..id.len()].copy_from_slice(id);
            let value = i64::from_le_bytes(wide);
            let value = match self {
                IdType::I8 => i64::from(value as i8),
                IdType::I16 => i64::from(value as i16),
                IdType::I32 => i64::from(value as i32),
                IdType::U8 | IdType::U16 | IdType::U32 | IdType::I64 => value,
            };
            out.push(u32::try_from(value).map_err(|_| value)?);
        }
        Ok(())
    }
}

/// A file that is read by position.
struct Bytes {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Bytes {
    fn open(path: PathBuf) -> Result<Bytes> {
        let file = File::open(&path).at("open", &path)?;
        let length = file.metadata().at("read", &path)?.len();
        Ok(Bytes { file, path, length })
    }

    fn damaged(&self, what: &str) -> Error {
        let file = self.path.display().to_string();
        let message = format!("{file} is truncated or damaged: {what}; fetch or write it again");
        Error::new(Code::InputTruncated, message).with("file", file)
    }

    /// Reads bytes that the file has.
    fn read(&self, at: u64, out: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, out, at).at("read", &self.path)
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
}

/// Reads a run of documents.
pub(crate) struct TokenRows {
    index: Index,
    ids: Bytes,
    id_type: IdType,
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
        path: &Path,
        kind: Kind,
        options: &CorpusOptions,
        range: Range,
    ) -> Result<TokenRows> {
        if let Some(field) = &options.id_field {
            let message = format!(
                "{} has no ids of documents; leave out {}, and ids are path:row",
                path.display(),
                options.field("idField", field)
            );
            return Err(Error::new(Code::MissingColumn, message)
                .with("file", path.display().to_string())
                .with("column", field.as_str()));
        }
        let mut rows = TokenRows::whole(path, kind)?;
        rows.most = options.max_document_bytes;
        rows.room = ctx.budget.limit() / 4;
        if let Range::Rows { start, end } = range {
            if end > rows.end || start > end {
                return Err(rows.ids.damaged("it has fewer documents than when it was listed"));
            }
            (rows.next, rows.end) = (start, end);
        }
        Ok(rows)
    }

    /// Opens all documents.
    fn whole(path: &Path, kind: Kind) -> Result<TokenRows> {
        let other = kind.companion(path).unwrap_or_default();
        let (index, id_type, end, ids) = if kind == Kind::Megatron {
            let (index, id_type, documents) = megatron(&Arc::new(Bytes::open(path.to_owned())?))?;
            (index, id_type, documents, Bytes::open(other)?)
        } else {
            let ids = Bytes::open(path.to_owned())?;
            let (index, id_type, documents) = datatrove(&Arc::new(Bytes::open(other)?), &ids)?;
            (index, id_type, documents, ids)
        };
        let (most, room) = (u64::MAX, u64::MAX);
        Ok(TokenRows { index, ids, id_type, next: 0, end, most, room, buffer: Vec::new() })
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
        let TokenRows { index, ids, id_type, buffer, .. } = self;
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

fn megatron(index: &Arc<Bytes>) -> Result<(Index, IdType, u64)> {
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
    Ok((Index::Megatron { lens, offsets, documents }, id_type, ends - 1))
}

fn datatrove(index: &Arc<Bytes>, ids: &Bytes) -> Result<(Index, IdType, u64)> {
    let count = index.length / 8;
    if !index.length.is_multiple_of(8) {
        return Err(index.damaged(&format!("its {} bytes are not ends of 8 bytes", index.length)));
    }
    let mut ends = Numbers::new(index, 0, 8, count);
    let tokens = if count == 0 { 0 } else { ends.get(count - 1)? };
    let types = [IdType::U16, IdType::U32];
    let fits = |id_type: &IdType| tokens.checked_mul(id_type.bytes()) == Some(ids.length);
    let id_type = types.into_iter().find(fits).ok_or_else(|| {
        ids.damaged(&format!(
            "its {} bytes are not the {tokens} tokens of its index, of 2 or 4 bytes",
            ids.length
        ))
    })?;
    Ok((Index::Datatrove { ends }, id_type, count))
}

/// Ranges of documents of about `size` bytes.
pub(crate) fn ranges(path: &Path, kind: Kind, size: u64) -> Result<Vec<Range>> {
    let mut rows = TokenRows::whole(path, kind)?;
    let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0u64);
    for document in 0..rows.end {
        let tokens = rows.length(document)?;
        bytes = bytes.saturating_add(tokens.saturating_mul(rows.id_type.bytes()));
        if bytes >= size || document + 1 == rows.end {
            ranges.push(Range::Rows { start, end: document + 1 });
            (start, bytes) = (document + 1, 0);
        }
    }
    Ok(ranges)
}
