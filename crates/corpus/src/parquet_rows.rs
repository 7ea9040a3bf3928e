//! Rows of a Parquet file's row groups. Only the wanted columns are read, without the annotation that
//! their bytes are strings. These stay in their pages, so that a value of a dictionary is held once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, Field, Schema};
use longweave_common::{Code, Ctx, Error, Result, catch_panic};
use longweave_storage::{
    PageBudget, Pages, ParquetEncryption, check_parquet_footer, parquet_encryption,
};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ProjectionMask, parquet_to_arrow_schema};
use parquet::basic::{Compression, ConvertedType, Encoding, LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use crate::columns::{Batches, Bytes, Columns, Cursor, at, below, change};
use crate::location::{Position, RowGroups, RowLocation};
use crate::source::{CorpusFile, Positions};
use crate::{CorpusOptions, Range};

/// Bytes of rows read at once, about.
const BATCH_BYTES: i64 = 4 << 20;

/// The batches of a run of row groups.
pub(crate) struct ParquetBatches {
    reader: ParquetRecordBatchReader,
    source: BatchSource,
    path: PathBuf,
    /// The row groups, with the rows that they claim to have.
    groups: RowGroups,
    selection: Selection,
}

/// The source of batches, read again where the first reader takes too many rows at once.
struct BatchSource {
    pages: Pages<Positions>,
    file: Positions,
    room: Arc<PageBudget>,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    groups: Vec<usize>,
    batch_rows: usize,
}

impl BatchSource {
    /// A reader of all but the first `skip` rows.
    fn reader(&self, path: &Path, skip: u64) -> Result<ParquetRecordBatchReader> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.pages.clone(),
            self.metadata.clone(),
        );
        let builder = builder
            .with_projection(self.mask.clone())
            .with_row_groups(self.groups.clone())
            .with_batch_size(self.batch_rows);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        unless_failed(path, &self.file, || {
            if skip > 0 { builder.with_offset(skip).build() } else { builder.build() }
        })
    }
}

/// A Parquet file that cannot be read.
pub(crate) fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{} is truncated, damaged or not a Parquet file ({error}); fetch or write it again",
        path.display()
    );
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}

/// Runs `work` of the library, which panics on some damage.
pub(crate) fn unless_damaged<T, E: std::fmt::Display>(
    path: &Path,
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    catch_panic(|| work().map_err(|e| damaged(path, &e)), |what| damaged(path, &what))
}

/// As [`unless_damaged`], but an error of reading `file` stays what it was, and an encrypted file is
/// `INPUT_UNSUPPORTED`.
pub(crate) fn unless_failed<T, E: std::fmt::Display>(
    path: &Path,
    file: &Positions,
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    unless_damaged(path, work).map_err(|damage| {
        file.failure().unwrap_or_else(|| match parquet_encryption(file) {
            Ok(ParquetEncryption::Footer) => unsupported(path, "is encrypted", DECRYPT),
            Ok(ParquetEncryption::Columns(columns)) if columns.is_empty() => {
                unsupported(path, "is encrypted", DECRYPT)
            }
            _ => damage,
        })
    })
}

/// The way round an encrypted file.
const DECRYPT: &str = "write it again without encryption";

/// A file that is sound, but cannot be read.
fn unsupported(path: &Path, what: &str, remedy: &str) -> Error {
    let message = format!("{} {what}, which is not supported; {remedy}", path.display());
    Error::new(Code::InputUnsupported, message).with("file", path.display().to_string())
}

pub(crate) fn open(
    path: &Path,
    file: &Positions,
) -> Result<ParquetRecordBatchReaderBuilder<Positions>> {
    unless_failed(path, file, || check_parquet_footer(file))?;
    unless_failed(path, file, || {
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), skipping())
    })
}

/// Bytes of each row group, compressed.
pub(crate) fn group_bytes(source: &CorpusFile) -> Result<Vec<u64>> {
    let (path, file) = (source.path(), source.positions()?);
    unless_failed(path, &file, || check_parquet_footer(&file))?;
    let reader = unless_failed(path, &file, || SerializedFileReader::new(file.clone()))?;
    Ok(reader.metadata().row_groups().iter().map(|g| g.compressed_size().max(0) as u64).collect())
}

/// The file's own schema, not the one that its writer embedded: dictionaries come as plain strings.
pub(crate) fn skipping() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// The columns that a reader wants of a file.
struct Selection {
    columns: Columns,
    /// Numbers of the leaves below them: of all columns that hold values.
    leaves: Vec<usize>,
}

impl Selection {
    fn new(
        path: &Path,
        builder: &ParquetRecordBatchReaderBuilder<Positions>,
        options: &CorpusOptions,
    ) -> Result<Selection> {
        let root = builder.parquet_schema().root_schema();
        let file = builder.metadata().file_metadata();
        let bytes = |place: &[usize], _: &Field| bytes(root, place, file);
        let columns = Columns::find(path, builder.schema().fields(), options, bytes)?;
        let below = |place: &&[usize]| leaves(root, place);
        let leaves = columns.paths().iter().flat_map(below).collect();
        Ok(Selection { columns, leaves })
    }

    /// The file's metadata with the wanted columns' strings as mere bytes.
    fn as_bytes(&self, metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
        let file = metadata.file_metadata();
        let root = file.schema_descr().root_schema_ptr();
        let schema = SchemaDescriptor::new(bare(&root, &self.columns.paths(), true)?);
        let file = FileMetaData::new(
            file.version(),
            file.num_rows(),
            file.created_by().map(str::to_owned),
            None,
            Arc::new(schema),
            None,
        );
        Ok(ParquetMetaData::new(file, metadata.row_groups().to_vec()))
    }

    /// The metadata that the reader takes: wanted bytes stay in the pages that they came in.
    fn metadata(&self, whole: &ParquetMetaData) -> Result<ArrowReaderMetadata, ParquetError> {
        let bytes = Arc::new(self.as_bytes(whole)?);
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&bytes), skipping())?;
        let fields = change(plain.schema().fields(), &self.columns.paths(), false, &viewed);
        let schema = Arc::new(Schema::new(fields));
        ArrowReaderMetadata::try_new(bytes, ArrowReaderOptions::new().with_schema(schema))
    }

    /// The path of a leaf, for messages.
    fn shown(&self, metadata: &ParquetMetaData, leaf: usize) -> String {
        let root = metadata.file_metadata().schema_descr().root_schema();
        let place = |place: &&&[usize]| leaves(root, place).contains(&leaf);
        let paths = self.columns.paths();
        paths.iter().find(place).map_or("", |place| self.columns.shown(place)).to_owned()
    }

    /// Refuses columns with a codec that is not known.
    fn check_codecs(
        &self,
        path: &Path,
        metadata: &ParquetMetaData,
        groups: &[usize],
    ) -> Result<()> {
        for &group in groups {
            for &leaf in &self.leaves {
                let codec = metadata.row_group(group).column(leaf).compression();
                if codec == Compression::LZO {
                    let column = self.shown(metadata, leaf);
                    let what = format!("has the column {column} in LZO in row group {group}");
                    let remedy = "write it again with another codec, such as zstd";
                    return Err(unsupported(path, &what, remedy)
                        .with("column", column)
                        .with("rowGroup", group));
                }
            }
        }
        Ok(())
    }

    /// The error of pages that cannot be read, from the damage that the library speaks of.
    fn explain(
        &self,
        path: &Path,
        file: &Positions,
        metadata: &ParquetMetaData,
        damage: Error,
    ) -> Error {
        if damage.code() != Code::InputTruncated {
            return damage;
        }
        if let Ok(ParquetEncryption::Columns(encrypted)) = parquet_encryption(file)
            && let Some(&leaf) = self.leaves.iter().find(|leaf| encrypted.contains(leaf))
        {
            let column = self.shown(metadata, leaf);
            let what = format!("is encrypted in the column {column}");
            return unsupported(path, &what, DECRYPT).with("column", column);
        }
        let says = |what: &str| damage.message().contains(what);
        let with = |encoding: Encoding, physical: &[Physical]| {
            self.leaves.iter().copied().find(|&leaf| {
                let columns = metadata.row_groups().iter().map(|group| group.column(leaf));
                let mut chunks = columns.filter(|c| physical.contains(&c.column_type()));
                chunks.any(|chunk| chunk.encodings().any(|used| used == encoding))
            })
        };
        let integers = [Physical::INT32, Physical::INT64];
        if (says("Invalid delta bit width") || says("'min_delta' too large"))
            && let Some(leaf) = with(Encoding::DELTA_BINARY_PACKED, &integers)
        {
            let column = self.shown(metadata, leaf);
            let what = format!(
                "has the column {column} in DELTA_BINARY_PACKED pages with differences of more \
                 bits than its type has, as DuckDB writes with PARQUET_VERSION V2"
            );
            let remedy =
                "write it again with PARQUET_VERSION V1, or the column as a 64-bit integer";
            return unsupported(path, &what, remedy).with("column", column);
        }
        if says("encoding") || says("Encoding") {
            for encoding in UNREAD {
                if says(&encoding.to_string()) {
                    let leaf = self.leaves.iter().copied().find(|&leaf| {
                        let columns = metadata.row_groups().iter().map(|g| g.column(leaf));
                        columns.flat_map(|c| c.encodings()).any(|used| used == encoding)
                    });
                    let column = leaf.map_or_else(String::new, |leaf| self.shown(metadata, leaf));
                    let what = format!("has the column {column} in {encoding} pages");
                    let remedy = "write it again with another encoding, such as PLAIN";
                    return unsupported(path, &what, remedy).with("column", column);
                }
            }
        }
        damage
    }
}

/// Encodings that are not read, or not for every type.
const UNREAD: [Encoding; 5] = [
    Encoding::BYTE_STREAM_SPLIT,
    Encoding::DELTA_BINARY_PACKED,
    Encoding::DELTA_LENGTH_BYTE_ARRAY,
    Encoding::DELTA_BYTE_ARRAY,
    Encoding::RLE,
];

/// How the bytes of the column at a path become an id or a source. Bytes without an annotation are
/// strings, as Hive, Impala and Spark write them, unless the writer's Arrow schema says otherwise.
pub(crate) fn bytes(root: &Type, place: &[usize], file: &FileMetaData) -> Bytes {
    let column = place.iter().fold(root, |group, &step| &group.get_fields()[step]);
    let info = column.get_basic_info();
    match info.logical_type_ref() {
        Some(LogicalType::Uuid) => return Bytes::Uuid,
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => return Bytes::Text,
        Some(_) => return Bytes::Hex,
        None => {}
    }
    if column.is_group() || column.get_physical_type() != Physical::BYTE_ARRAY {
        return Bytes::Hex;
    }
    match info.converted_type() {
        ConvertedType::NONE => {}
        ConvertedType::BSON => return Bytes::Hex,
        _ => return Bytes::Text,
    }
    let embedded = file.key_value_metadata().filter(|pairs| {
        pairs.iter().any(|pair| pair.key == ARROW_SCHEMA_META_KEY && pair.value.is_some())
    });
    let Some(embedded) = embedded else { return Bytes::Text };
    let schema = parquet_to_arrow_schema(file.schema_descr(), Some(embedded));
    let of_bytes = |schema: Schema| {
        use DataType::{Binary, BinaryView, LargeBinary};
        matches!(at(schema.fields(), place).data_type(), Binary | LargeBinary | BinaryView)
    };
    if schema.is_ok_and(of_bytes) { Bytes::Hex } else { Bytes::Text }
}

/// The leaves below the column at a path.
fn leaves(root: &Type, place: &[usize]) -> std::ops::Range<usize> {
    fn count(column: &Type) -> usize {
        if column.is_group() {
            column.get_fields().iter().map(|field| count(field)).sum()
        } else {
            1
        }
    }
    let (mut column, mut first) = (root, 0);
    for &step in place {
        let fields = column.get_fields();
        first += fields[..step].iter().map(|field| count(field)).sum::<usize>();
        column = &fields[step];
    }
    first..first + count(column)
}

/// A column, whose wanted strings are without the annotation that their bytes are text.
fn bare(column: &TypePtr, paths: &[&[usize]], root: bool) -> Result<TypePtr, ParquetError> {
    let info = column.get_basic_info();
    let made = if column.is_group() {
        let whole = !root && paths.iter().any(|path| path.is_empty());
        let field = |(i, field): (usize, &TypePtr)| {
            let below: Vec<&[usize]> = if whole { vec![&[]] } else { below(paths, i).collect() };
            if below.is_empty() { Ok(Arc::clone(field)) } else { bare(field, &below, false) }
        };
        let fields =
            column.get_fields().iter().enumerate().map(field).collect::<Result<Vec<_>, _>>()?;
        let group = Type::group_type_builder(info.name()).with_fields(fields);
        if root {
            group.build()?
        } else {
            group
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .build()?
        }
    } else if column.get_physical_type() == Physical::BYTE_ARRAY
        && info.converted_type() != ConvertedType::DECIMAL
        && !matches!(info.logical_type_ref(), Some(LogicalType::Decimal(_) | LogicalType::Unknown))
    {
        Type::primitive_type_builder(info.name(), Physical::BYTE_ARRAY)
            .with_repetition(info.repetition())
            .build()?
    } else {
        return Ok(Arc::clone(column));
    };
    Ok(Arc::new(made))
}

/// A field whose bytes are read in the pages that they came in.
fn viewed(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(Arc::new(viewed(item))),
        _ => return field.clone(),
    };
    field.clone().with_data_type(data_type)
}

impl ParquetBatches {
    /// The rows of a file, or of a run of its row groups.
    pub(crate) fn open(
        ctx: &Ctx,
        source: &CorpusFile,
        options: &CorpusOptions,
        range: Range,
    ) -> Result<Cursor> {
        let (path, file) = (source.path(), source.positions()?);
        let builder = open(path, &file)?;
        let selection = Selection::new(path, &builder, options)?;
        let mask = ProjectionMask::leaves(builder.parquet_schema(), selection.leaves.clone());
        let all = builder.metadata().row_groups();
        let groups: Vec<usize> = match range {
            Range::RowGroups { start, end } => (start as usize..end as usize).collect(),
            _ => (0..all.len()).collect(),
        };
        if groups.last().is_some_and(|&last| last >= all.len()) {
            return Err(damaged(path, &"it has fewer row groups than when it was listed"));
        }
        let of = |&i: &usize| all[i].total_byte_size().max(0) / all[i].num_rows().max(1);
        let row_bytes = groups.iter().map(of).max().unwrap_or(0).max(1);
        let batch_rows = (BATCH_BYTES / row_bytes).clamp(1, 4096) as usize;
        let run = groups.first().map_or(0..0, |&first| first..first + groups.len());
        let claimed = RowGroups::new(all.iter().map(RowGroupMetaData::num_rows), run);
        selection.check_codecs(path, builder.metadata(), &groups)?;
        let metadata = unless_damaged(path, || selection.metadata(builder.metadata()))?;
        let room = PageBudget::new(ctx.budget.limit() / 4);
        let pages = Pages::new(file.clone(), builder.metadata(), Arc::clone(&room));
        let source = BatchSource { pages, file, room, metadata, mask, groups, batch_rows };
        let reader = source.reader(path, 0)?;
        let columns = selection.columns.clone().projected(&reader.schema());
        let path = path.to_owned();
        let batches = ParquetBatches { reader, source, path, groups: claimed, selection };
        Ok(Cursor::new(batches, columns, 0))
    }

    fn no_room(&self, before: u64) -> Error {
        RowLocation::new(&self.path.to_string_lossy(), self.groups.position(before)).error(
            Code::MemoryBudget,
            "the row's pages unpack to more than a quarter of `memory`",
            "raise `memory`, or write the file again with smaller pages",
        )
    }
}

impl Batches for ParquetBatches {
    fn next(&mut self, before: u64) -> Result<Option<RecordBatch>> {
        let claimed = self.groups.rows();
        loop {
            self.source.room.free();
            let read =
                unless_failed(&self.path, &self.source.file, || self.reader.next().transpose());
            let found = match read {
                Err(_) if self.source.room.was_exceeded() => {
                    if self.source.batch_rows == 1 {
                        return Err(self.no_room(before));
                    }
                    self.source.batch_rows = 1;
                    self.source.room.free();
                    self.reader = self.source.reader(&self.path, before)?;
                    continue;
                }
                Err(damage) => {
                    let BatchSource { file, metadata, .. } = &self.source;
                    let metadata = metadata.metadata();
                    return Err(self.selection.explain(&self.path, file, metadata, damage));
                }
                Ok(None) if before == claimed => return Ok(None),
                Ok(None) => before.to_string(),
                Ok(Some(batch)) if before + batch.num_rows() as u64 <= claimed => {
                    return Ok(Some(batch));
                }
                Ok(Some(_)) => "more".to_owned(),
            };
            let what = format!("its footer claims {claimed} rows, but there are {found}");
            return Err(damaged(&self.path, &what));
        }
    }

    fn position(&self, before: u64, row: u64) -> Position {
        self.groups.position(before + row)
    }

    fn count(&self) -> Result<u64> {
        Ok(self.groups.rows())
    }
}
