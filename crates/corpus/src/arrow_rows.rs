//! Rows of an Arrow file: the IPC format as a stream or a file (`.arrow`, `.ipc`, `.feather`), one
//! record batch at a time.
//!
//! A stream is messages in sequence: schema, dictionaries, record batches. The footer of a file holds
//! the schema and the places of the messages, which need not be in sequence. Of a record batch only
//! the buffers of wanted columns are read, after their declared lengths were compared with the room
//! that there is. The library decodes them from a message that describes nothing else.

use std::collections::HashMap;
use std::io;
use std::ops::Range as Span;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_ipc::{
    Block, BodyCompression, BodyCompressionArgs, CompressionType, DictionaryBatch,
    DictionaryBatchArgs, Endianness, FieldNode, Message, MessageHeader, MetadataVersion,
    RecordBatchArgs, root_as_footer, root_as_message,
};
use arrow_schema::{ArrowError, DataType, Field, Fields as ArrowFields, Schema, SchemaRef};
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use longweave_common::{Code, Ctx, Error, Result, catch_panic};
use parquet::file::reader::Length;

use crate::columns::{Batches, Bytes, Columns, Cursor, as_bytes, below, change};
use crate::location::{Position, RowLocation};
use crate::source::{CorpusFile, Positions};
use crate::{CorpusOptions, Range};

/// The first and last bytes of a file.
const MAGIC: &[u8] = b"ARROW1";
/// Bytes after a file's footer: its length and the magic.
const FILE_END: u64 = 10;
/// The first bytes of a message, and of a stream.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// The first bytes of a Feather file of version 1.
const FEATHER_1: &[u8] = b"FEA1";
/// Most bytes of a footer, and of a message without its buffers.
const MOST_METADATA: u64 = 64 << 20;
/// Buffers begin at multiples of it.
const ALIGNMENT: u64 = 64;
/// Most rows of a batch without bytes: columns of the type null have none.
const MOST_NULLS: u64 = 64 << 10;
/// Arrow's name of the type of UUIDs.
const UUID: &str = "arrow.uuid";

/// A run of record batches.
pub(crate) struct ArrowBatches {
    messages: Messages,
    /// The fields of the whole file.
    whole: ArrowFields,
    /// The wanted columns in the whole file.
    selection: Columns,
    /// The schema of the wanted columns, their strings as bytes.
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// Bytes of the dictionaries by number.
    held: HashMap<i64, u64>,
    /// Bytes that a batch and the dictionaries may take.
    room: u64,
    /// The place of the next message.
    at: u64,
    /// Numbers of the batches that are read.
    run: Span<u64>,
    /// The number of the next batch.
    next: u64,
    /// Rows of the file before that batch.
    before: u64,
}

/// The messages of a stream or a file. A place is the position of a message in a stream, its number in
/// a file.
struct Messages {
    file: Positions,
    path: PathBuf,
    /// Where the messages of a file begin: dictionaries, then record batches.
    blocks: Option<Vec<u64>>,
    /// One after the last byte of a message.
    end: u64,
}

/// A message without its buffers.
struct Head {
    bytes: Vec<u8>,
    /// Where its buffers are.
    body: Span<u64>,
    /// The place of the next message.
    next: u64,
}

impl Head {
    /// The message, which was verified when it was read.
    fn message(&self) -> std::result::Result<Message<'_>, ArrowError> {
        root_as_message(&self.bytes).map_err(|e| ArrowError::ParseError(e.to_string()))
    }
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{} is truncated, damaged or not an Arrow file ({error}); fetch or write it again",
        path.display()
    );
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}

fn unsupported(path: &Path, what: &str) -> Error {
    let message = format!("{} {what}", path.display());
    Error::new(Code::InputUnsupported, message).with("file", path.display().to_string())
}

impl Messages {
    /// Opens a stream or a file. Returns its schema and the place of the first message after it.
    fn open(path: &Path, file: Positions) -> Result<(Messages, Schema, u64)> {
        let length = file.len();
        let mut messages = Messages { file, path: path.to_owned(), blocks: None, end: length };
        let head = messages.read(0, length.min(8))?;
        if head.starts_with(FEATHER_1) {
            let what = "is a Feather file of version 1; write it again, for example with \
                        pyarrow.feather.write_feather(table, path, version=2)";
            return Err(unsupported(path, what));
        }
        if head.starts_with(MAGIC) {
            let schema = messages.read_footer()?;
            return Ok((messages, schema, 0));
        }
        let head = messages.head(0)?.ok_or_else(|| damaged(path, &"it is empty"))?;
        let schema = messages.unless_damaged(|| {
            let schema = head.message()?.header_as_schema();
            let not_one = || ArrowError::ParseError("its first message is not a schema".into());
            let schema = schema.ok_or_else(not_one)?;
            Ok((try_fb_to_schema(schema)?, schema.endianness()))
        })?;
        let schema = messages.little_endian(schema)?;
        Ok((messages, schema, head.next))
    }

    /// Reads the footer of a file: the places of messages. Returns the schema.
    fn read_footer(&mut self) -> Result<Schema> {
        let no_footer = || self.damaged(&"it has no footer");
        let end = self.end.checked_sub(FILE_END).ok_or_else(no_footer)?;
        let tail = self.read(end, FILE_END)?;
        let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        let start = end.checked_sub(length).filter(|_| &tail[4..] == MAGIC);
        let start = start.filter(|_| length <= MOST_METADATA).ok_or_else(no_footer)?;
        let bytes = self.read(start, length)?;
        let (schema, blocks) = self.unless_damaged(|| {
            let error = |e: &dyn std::fmt::Display| ArrowError::ParseError(e.to_string());
            let footer = root_as_footer(&bytes).map_err(|e| error(&e))?;
            let schema = footer.schema().ok_or_else(|| error(&"its footer has no schema"))?;
            let blocks = [footer.dictionaries(), footer.recordBatches()];
            let place = |block: &Block| {
                u64::try_from(block.offset()).map_err(|_| error(&"a block before the file"))
            };
            let blocks = blocks.iter().flatten().flat_map(|blocks| blocks.iter()).map(place);
            let blocks = blocks.collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(((try_fb_to_schema(schema)?, schema.endianness()), blocks))
        })?;
        (self.blocks, self.end) = (Some(blocks), start);
        self.little_endian(schema)
    }

    fn little_endian(&self, (schema, endianness): (Schema, Endianness)) -> Result<Schema> {
        if endianness == Endianness::Little {
            return Ok(schema);
        }
        let what = "has numbers in big-endian order, which are not read; write it again on a \
                    little-endian machine";
        Err(unsupported(&self.path, what))
    }

    /// Bytes of the file, of which there are as many.
    fn read(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.read_into(start, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, start: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_into(start, bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(&"it ends early"),
            _ => Error::io(&e, "read", &self.path),
        })
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> Error {
        damaged(&self.path, error)
    }

    /// Runs `work` of the library, which panics on some damage.
    fn unless_damaged<T>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, ArrowError>,
    ) -> Result<T> {
        catch_panic(|| work().map_err(|e| self.damaged(&e)), |what| self.damaged(&what))
    }

    /// The message at a place; `None` after the last.
    fn head(&self, place: u64) -> Result<Option<Head>> {
        let at = match &self.blocks {
            None => place,
            Some(blocks) => {
                let at = usize::try_from(place).ok().and_then(|place| blocks.get(place).copied());
                let Some(at) = at else { return Ok(None) };
                if at >= self.end {
                    return Err(self.damaged(&"a block beyond the file"));
                }
                at
            }
        };
        let left = self.end.saturating_sub(at);
        if left == 0 {
            return Ok(None);
        }
        let start = self.read(at, left.min(8))?;
        let number =
            |at: usize| start.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // Before Arrow 0.15 the length came first.
        let prefix = if start.starts_with(&CONTINUATION) { 8 } else { 4 };
        let Some(length) = number(prefix - 4) else { return Err(self.damaged(&"it ends early")) };
        let (prefix, length) = (prefix as u64, u64::from(length));
        if length == 0 {
            return Ok(None);
        }
        if length > MOST_METADATA || length > left.saturating_sub(prefix) {
            return Err(self.damaged(&format!("a message of {length} bytes at {at}")));
        }
        let bytes = self.read(at + prefix, length)?;
        let body = at + prefix + length;
        let end = self.unless_damaged(|| {
            let message = root_as_message(&bytes);
            let message = message.map_err(|e| ArrowError::ParseError(e.to_string()))?;
            let end = u64::try_from(message.bodyLength()).ok().and_then(|n| n.checked_add(body));
            end.filter(|&end| end <= self.end)
                .ok_or_else(|| ArrowError::ParseError(format!("buffers end beyond it at {at}")))
        })?;
        let next = if self.blocks.is_some() { place + 1 } else { end };
        Ok(Some(Head { bytes, body: body..end, next }))
    }
}

/// Bytes of each record batch.
pub(crate) fn batch_bytes(source: &CorpusFile) -> Result<Vec<u64>> {
    let (messages, _, mut at) = Messages::open(source.path(), source.positions()?)?;
    let mut bytes = Vec::new();
    while let Some(head) = messages.head(at)? {
        if messages.unless_damaged(|| head.message())?.header_type() == MessageHeader::RecordBatch {
            bytes.push(head.body.end - head.body.start);
        }
        at = head.next;
    }
    Ok(bytes)
}

/// Which bytes of a field are a UUID, which others hexadecimal, which text.
fn bytes(_: &[usize], field: &Field) -> Bytes {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, value) => value,
        data_type => data_type,
    };
    match data_type {
        DataType::FixedSizeBinary(16) if field.extension_type_name() == Some(UUID) => Bytes::Uuid,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Bytes::Text,
        _ => Bytes::Hex,
    }
}

impl ArrowBatches {
    /// The rows of a file, or of a run of its record batches.
    pub(crate) fn open(
        ctx: &Ctx,
        source: &CorpusFile,
        options: &CorpusOptions,
        range: Range,
    ) -> Result<Cursor> {
        let (messages, schema, at) = Messages::open(source.path(), source.positions()?)?;
        let whole = schema.fields;
        let selection = Columns::find(source.path(), &whole, options, bytes)?;
        let fields = change(&whole, &selection.paths(), true, &as_bytes);
        let schema = Arc::new(Schema::new(fields));
        let run = match range {
            Range::RowGroups { start, end } => u64::from(start)..u64::from(end),
            _ => 0..u64::MAX,
        };
        let columns = selection.clone().projected(&schema);
        let mut batches = ArrowBatches {
            messages,
            whole,
            selection,
            schema,
            dictionaries: HashMap::new(),
            held: HashMap::new(),
            room: ctx.budget.limit() / 4,
            at,
            run,
            next: 0,
            before: 0,
        };
        while batches.next < batches.run.start {
            let Some((head, length)) = batches.record_batch()? else { return Err(batches.fewer()) };
            batches.at = head.next;
            batches.next += 1;
            batches.before = batches.before.saturating_add(length);
        }
        let before = batches.before;
        Ok(Cursor::new(batches, columns, before))
    }

    fn fewer(&self) -> Error {
        self.messages.damaged(&"it has fewer record batches than when it was listed")
    }

    /// The rows of a message that is a record batch.
    fn length(&self, head: &Head) -> Result<Option<u64>> {
        let length = self.messages.unless_damaged(|| {
            Ok(head.message()?.header_as_record_batch().map(|batch| batch.length()))
        })?;
        let Some(length) = length else { return Ok(None) };
        let length = u64::try_from(length)
            .map_err(|_| self.messages.damaged(&"a record batch of a negative length"))?;
        Ok(Some(length))
    }

    /// The next record batch and its rows; `None` after the last. Dictionaries before it are read.
    fn record_batch(&mut self) -> Result<Option<(Head, u64)>> {
        while let Some(head) = self.messages.head(self.at)? {
            if let Some(length) = self.length(&head)? {
                return Ok(Some((head, length)));
            }
            self.at = head.next;
            self.dictionary(&head)?;
        }
        Ok(None)
    }

    /// Reads a dictionary that a wanted column has. Other messages are passed over.
    fn dictionary(&mut self, head: &Head) -> Result<()> {
        let message = self.messages.unless_damaged(|| head.message())?;
        let Some(dictionary) = message.header_as_dictionary_batch() else { return Ok(()) };
        let (id, is_delta) = (dictionary.id(), dictionary.isDelta());
        #[expect(deprecated, reason = "the library knows dictionaries by number only here")]
        let value =
            self.schema.fields_with_dict_id(id).first().and_then(|field| match field.data_type() {
                DataType::Dictionary(_, value) => Some(value.as_ref().clone()),
                _ => None,
            });
        let Some(value) = value else { return Ok(()) };
        let data = dictionary
            .data()
            .ok_or_else(|| self.messages.damaged(&"a dictionary without values"))?;
        let old = self.held.remove(&id).unwrap_or(0);
        let kept = if is_delta { old } else { 0 };
        if !is_delta {
            self.dictionaries.remove(&id);
        }
        let fields = ArrowFields::from(vec![Field::new("", value, true)]);
        let picked = self.pick(&fields, &[&[0]], data, message.version())?;
        // Appending copies the old values, and while it does both are there.
        let body = self.load(head, &picked, kept.saturating_mul(2))?;
        self.held.insert(id, kept.saturating_add(body.taken));
        let mut builder = FlatBufferBuilder::new();
        let data = Some(picked.record(&mut builder, &body, data.length()));
        let arguments = DictionaryBatchArgs { id, data, isDelta: is_delta };
        let root = DictionaryBatch::create(&mut builder, &arguments);
        builder.finish_minimal(root);
        let (schema, dictionaries) = (Arc::clone(&self.schema), &mut self.dictionaries);
        self.messages.unless_damaged(|| {
            let root = flatbuffers::root::<DictionaryBatch<'_>>(builder.finished_data())
                .map_err(|e| ArrowError::ParseError(e.to_string()))?;
            read_dictionary(&body.buffer, root, &schema, dictionaries, &message.version())
        })
    }

    /// The nodes and buffers of wanted columns that a record batch describes.
    fn pick(
        &self,
        fields: &ArrowFields,
        paths: &[&[usize]],
        batch: arrow_ipc::RecordBatch<'_>,
        version: MetadataVersion,
    ) -> Result<Picked> {
        let short = || self.messages.damaged(&"a record batch does not fit its schema");
        let compression = batch.compression().map(|compression| compression.codec());
        if let Some(codec) = compression
            && codec != CompressionType::LZ4_FRAME
            && codec != CompressionType::ZSTD
        {
            let what = format!(
                "is compressed in a way that is not read ({codec:?}); write it again with zstd"
            );
            return Err(unsupported(&self.messages.path, &what));
        }
        let mut picker = Picker {
            nodes: batch.nodes().ok_or_else(short)?.iter().copied().collect(),
            buffers: batch.buffers().ok_or_else(short)?.iter().copied().collect(),
            counts: batch.variadicBufferCounts().into_iter().flatten().collect(),
            at: [0; 3],
            unions_have_nulls: version < MetadataVersion::V5,
            picked: Picked { compression, ..Picked::default() },
        };
        for (i, field) in fields.iter().enumerate() {
            picker.field(field, &below(paths, i).collect::<Vec<_>>()).ok_or_else(short)?;
        }
        Ok(picker.picked)
    }

    /// Reads the buffers that were picked. `taken`: bytes that are taken in addition to those of
    /// dictionaries.
    fn load(&self, head: &Head, picked: &Picked, taken: u64) -> Result<Body> {
        let beyond = || self.messages.damaged(&"a buffer lies beyond its message");
        let (mut places, mut end) = (Vec::with_capacity(picked.buffers.len()), 0u64);
        for buffer in &picked.buffers {
            let number = |n: i64| u64::try_from(n).map_err(|_| beyond());
            let (offset, length) = (number(buffer.offset())?, number(buffer.length())?);
            let start = head.body.start.checked_add(offset).ok_or_else(beyond)?;
            if length > 0 && start.checked_add(length).is_none_or(|end| end > head.body.end) {
                return Err(beyond());
            }
            places.push((start, end, length));
            end = end.saturating_add(length).saturating_add(ALIGNMENT) / ALIGNMENT * ALIGNMENT;
        }
        let taken = self.held.values().fold(taken, |sum, &bytes| sum.saturating_add(bytes));
        let fits = |bytes: u64| bytes.saturating_add(taken) <= self.room;
        if !fits(end) {
            return Err(self.no_room(end));
        }
        let mut buffer = MutableBuffer::from_len_zeroed(end as usize);
        for &(start, at, length) in places.iter().filter(|place| place.2 > 0) {
            self.messages.read_into(start, &mut buffer[at as usize..(at + length) as usize])?;
        }
        let mut unpacked = end;
        if picked.compression.is_some() {
            for &(_, at, length) in places.iter().filter(|place| place.2 > 0) {
                let size = buffer.get(at as usize..at as usize + 8).filter(|_| length >= 8);
                let size = size.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes);
                // −1 says that the buffer is not compressed.
                let size = size.ok_or_else(beyond)?.max(0) as u64;
                unpacked = unpacked.saturating_add(size);
            }
            if !fits(unpacked) {
                return Err(self.no_room(unpacked));
            }
        }
        let places = places.into_iter().map(|(_, at, length)| (at as i64, length as i64)).collect();
        Ok(Body { buffer: buffer.into(), places, taken: unpacked })
    }

    fn no_room(&self, bytes: u64) -> Error {
        let place = Position::Arrow { batch: self.next, row: 0, file_row: self.before };
        RowLocation::new(&self.messages.path.to_string_lossy(), place).error(
            Code::MemoryBudget,
            &format!("its columns take {bytes} bytes, more than a quarter of `memory`"),
            "raise `memory`, or write the file again with fewer rows in a record batch",
        )
    }

    fn decode(&self, head: &Head, length: u64) -> Result<RecordBatch> {
        let message = self.messages.unless_damaged(|| head.message())?;
        let record = message
            .header_as_record_batch()
            .ok_or_else(|| self.messages.damaged(&"a message is not a record batch"))?;
        let picked = self.pick(&self.whole, &self.selection.paths(), record, message.version())?;
        let body = self.load(head, &picked, 0)?;
        let bits = body.taken.max(head.body.end - head.body.start).saturating_mul(8);
        if length > bits.max(MOST_NULLS) {
            let what = format!("a record batch that claims {length} rows in {} bytes", bits / 8);
            return Err(self.messages.damaged(&what));
        }
        let mut builder = FlatBufferBuilder::new();
        let root = picked.record(&mut builder, &body, length as i64);
        builder.finish_minimal(root);
        self.messages.unless_damaged(|| {
            let record = flatbuffers::root::<arrow_ipc::RecordBatch<'_>>(builder.finished_data())
                .map_err(|e| ArrowError::ParseError(e.to_string()))?;
            let (schema, version) = (Arc::clone(&self.schema), message.version());
            let dictionaries = &self.dictionaries;
            RecordBatchDecoder::try_new(&body.buffer, record, schema, dictionaries, &version)?
                .read_record_batch()
        })
    }
}

impl Batches for ArrowBatches {
    fn next(&mut self, before: u64) -> Result<Option<RecordBatch>> {
        self.before = before;
        if self.next >= self.run.end {
            return Ok(None);
        }
        let Some((head, length)) = self.record_batch()? else {
            return if self.run.end == u64::MAX { Ok(None) } else { Err(self.fewer()) };
        };
        let batch = self.decode(&head, length)?;
        (self.at, self.next) = (head.next, self.next + 1);
        Ok(Some(batch))
    }

    fn position(&self, before: u64, row: u64) -> Position {
        let batch = self.next.saturating_sub(1);
        Position::Arrow { batch, row, file_row: before.saturating_add(row) }
    }

    fn count(&self) -> Result<u64> {
        let (mut at, mut number, mut rows) = (self.at, self.next, 0u64);
        while number < self.run.end {
            let Some(head) = self.messages.head(at)? else { break };
            at = head.next;
            if let Some(length) = self.length(&head)? {
                number += 1;
                rows = rows.saturating_add(length);
            }
        }
        Ok(rows)
    }
}

/// The nodes and buffers of wanted columns.
#[derive(Default)]
struct Picked {
    nodes: Vec<FieldNode>,
    buffers: Vec<arrow_ipc::Buffer>,
    counts: Vec<i64>,
    compression: Option<CompressionType>,
}

/// The buffers of wanted columns, one after another.
struct Body {
    buffer: Buffer,
    /// Offset and length of each.
    places: Vec<(i64, i64)>,
    /// Bytes that they take, unpacked ones too.
    taken: u64,
}

impl Picked {
    /// Writes the record batch of only these columns.
    fn record<'a>(
        &self,
        builder: &mut FlatBufferBuilder<'a>,
        body: &Body,
        length: i64,
    ) -> WIPOffset<arrow_ipc::RecordBatch<'a>> {
        let buffer = |&(offset, length): &(i64, i64)| arrow_ipc::Buffer::new(offset, length);
        let buffers: Vec<arrow_ipc::Buffer> = body.places.iter().map(buffer).collect();
        let arguments = RecordBatchArgs {
            length,
            nodes: Some(builder.create_vector(&self.nodes)),
            buffers: Some(builder.create_vector(&buffers)),
            variadicBufferCounts: Some(builder.create_vector(&self.counts)),
            compression: self.compression.map(|codec| {
                let arguments = BodyCompressionArgs { codec, ..BodyCompressionArgs::default() };
                BodyCompression::create(builder, &arguments)
            }),
        };
        arrow_ipc::RecordBatch::create(builder, &arguments)
    }
}

/// Goes through the nodes and buffers of a record batch along the fields of its schema.
struct Picker {
    nodes: Vec<FieldNode>,
    buffers: Vec<arrow_ipc::Buffer>,
    counts: Vec<i64>,
    /// The next node, buffer and count.
    at: [usize; 3],
    unions_have_nulls: bool,
    picked: Picked,
}

impl Picker {
    /// Takes a field's nodes and buffers, and keeps those below `paths`: of all its fields where a
    /// path is empty, of none without a path. `None` where there are too few.
    fn field(&mut self, field: &Field, paths: &[&[usize]]) -> Option<()> {
        let keep = !paths.is_empty();
        let node = *self.nodes.get(self.at[0])?;
        self.at[0] += 1;
        if keep && !matches!(field.data_type(), DataType::RunEndEncoded(..)) {
            self.picked.nodes.push(node);
        }
        match field.data_type() {
            DataType::Null => {}
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
                self.buffers(3, keep)?;
            }
            DataType::Utf8View | DataType::BinaryView => {
                let count = *self.counts.get(self.at[2])?;
                self.at[2] += 1;
                if keep {
                    self.picked.counts.push(count);
                }
                self.buffers(usize::try_from(count).ok()?.checked_add(2)?, keep)?;
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                self.buffers(2, keep)?;
                self.field(item, paths)?;
            }
            DataType::ListView(item) | DataType::LargeListView(item) => {
                self.buffers(3, keep)?;
                self.field(item, paths)?;
            }
            DataType::FixedSizeList(item, _) => {
                self.buffers(1, keep)?;
                self.field(item, paths)?;
            }
            DataType::Struct(fields) => {
                self.buffers(1, keep)?;
                for (i, inner) in fields.iter().enumerate() {
                    self.field(inner, &below(paths, i).collect::<Vec<_>>())?;
                }
            }
            DataType::RunEndEncoded(ends, values) => {
                self.field(ends, &[])?;
                self.field(values, &[])?;
            }
            DataType::Union(fields, mode) => {
                let dense = usize::from(*mode == arrow_schema::UnionMode::Dense);
                self.buffers(usize::from(self.unions_have_nulls) + 1 + dense, keep)?;
                fields.iter().try_for_each(|(_, inner)| self.field(inner, &[]))?;
            }
            _ => self.buffers(2, keep)?,
        }
        Some(())
    }

    fn buffers(&mut self, count: usize, keep: bool) -> Option<()> {
        let end = self.at[1].checked_add(count)?;
        let buffers = self.buffers.get(self.at[1]..end)?;
        if keep {
            self.picked.buffers.extend_from_slice(buffers);
        }
        self.at[1] = end;
        Some(())
    }
}
