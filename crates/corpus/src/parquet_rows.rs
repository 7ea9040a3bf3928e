//! Rows of a Parquet file's row groups, columns by name. Strings are read as bytes and checked row by
//! row, so that invalid UTF-8 costs its row and not the file. They stay in their pages, so that a
//! value of a dictionary is held once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use longweave_common::{Code, Ctx, Error, Result, catch_panic};
use longweave_storage::{PageBudget, Pages, check_parquet_footer, is_parquet_encrypted};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use crate::fields::{Bad, Fields};
use crate::location::{Position, RowGroups, RowLocation};
use crate::source::{CorpusFile, Positions};
use crate::{CorpusOptions, Range};

/// Bytes of rows read at once, about.
const BATCH_BYTES: i64 = 4 << 20;

/// Reads the rows of a run of row groups.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    source: BatchSource,
    path: PathBuf,
    batch: Option<RecordBatch>,
    row: usize,
    /// Rows of earlier batches.
    before: u64,
    /// The row groups, with the rows that they claim to have.
    groups: RowGroups,
    text: String,
    /// The text's column in words.
    text_name: String,
    id: Option<String>,
    source_column: Option<String>,
    queries: Option<String>,
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
        file.failure().unwrap_or_else(|| match is_parquet_encrypted(file) {
            Ok(true) => encrypted(path),
            _ => damage,
        })
    })
}

fn encrypted(path: &Path) -> Error {
    let message = format!(
        "{} is encrypted, which is not supported; write it again without encryption",
        path.display()
    );
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

/// The file's metadata with the wanted columns' strings as mere bytes.
fn as_bytes(
    metadata: &ParquetMetaData,
    wanted: &[&String],
) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let root = file.schema_descr().root_schema();
    let field = |field: &TypePtr| {
        if wanted.iter().any(|name| *name == field.name()) {
            bare(field)
        } else {
            Ok(Arc::clone(field))
        }
    };
    let fields = root.get_fields().iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = SchemaDescriptor::new(Arc::new(
        Type::group_type_builder(root.name()).with_fields(fields).build()?,
    ));
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

/// A column without the annotation that its bytes are text.
fn bare(column: &TypePtr) -> Result<TypePtr, ParquetError> {
    let info = column.get_basic_info();
    let repetition = info.repetition();
    let made = if column.is_group() {
        let fields = column.get_fields().iter().map(bare).collect::<Result<Vec<_>, _>>()?;
        Type::group_type_builder(info.name())
            .with_repetition(repetition)
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields)
            .build()?
    } else if column.get_physical_type() == Physical::BYTE_ARRAY {
        Type::primitive_type_builder(info.name(), Physical::BYTE_ARRAY)
            .with_repetition(repetition)
            .build()?
    } else {
        return Ok(Arc::clone(column));
    };
    Ok(Arc::new(made))
}

/// A field whose bytes are read in the pages that they came in.
fn viewed(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(viewed(item)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

fn wanted(options: &CorpusOptions) -> Vec<(&'static str, &String)> {
    let optional = [
        ("idField", &options.id_field),
        ("sourceField", &options.source_field),
        ("queryField", &options.query_field),
    ];
    let mut wanted = vec![("textField", &options.text_field)];
    wanted
        .extend(optional.into_iter().filter_map(|(name, field)| field.as_ref().map(|f| (name, f))));
    wanted
}

fn check_columns(
    path: &Path,
    builder: &ParquetRecordBatchReaderBuilder<Positions>,
    options: &CorpusOptions,
) -> Result<()> {
    let schema = builder.schema();
    for (option, column) in wanted(options) {
        let Ok(field) = schema.field_with_name(column) else {
            let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let message = format!(
                "{} has no column {}; it has {}",
                path.display(),
                options.field(option, column),
                columns.join(", ")
            );
            return Err(Error::new(Code::MissingColumn, message)
                .with("file", path.display().to_string())
                .with("column", column.as_str())
                .with("columns", columns));
        };
        let string = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8);
        let fits = match (option, field.data_type()) {
            ("idField", data_type) if data_type.is_integer() => true,
            ("queryField", DataType::List(item)) => string(item.data_type()),
            (_, data_type) => string(data_type),
        };
        if !fits {
            let expected = match option {
                "idField" => "strings or integers",
                "queryField" => "strings or lists of strings",
                _ => "strings",
            };
            let message = format!(
                "the column {} of {} holds {}, not {expected}",
                options.field(option, column),
                path.display(),
                field.data_type()
            );
            return Err(Error::new(Code::MissingColumn, message)
                .with("file", path.display().to_string())
                .with("column", column.as_str()));
        }
    }
    Ok(())
}

impl ParquetRows {
    pub(crate) fn open(
        ctx: &Ctx,
        source: &CorpusFile,
        options: &CorpusOptions,
        range: Range,
    ) -> Result<ParquetRows> {
        let (path, file) = (source.path(), source.positions()?);
        let builder = open(path, &file)?;
        check_columns(path, &builder, options)?;
        let names: Vec<&String> = wanted(options).into_iter().map(|(_, name)| name).collect();
        let is_wanted = |name: &str| names.iter().any(|wanted| *wanted == name);
        let columns = builder
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| is_wanted(f.name()))
            .map(|(i, _)| i);
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
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
        let gzip = all
            .iter()
            .flat_map(|group| group.columns())
            .any(|column| matches!(column.compression(), Compression::GZIP(_)));
        let run = groups.first().map_or(0..0, |&first| first..first + groups.len());
        let claimed = RowGroups::new(all.iter().map(RowGroupMetaData::num_rows), run);
        let metadata = unless_damaged(path, || {
            let bytes = Arc::new(as_bytes(builder.metadata(), &names)?);
            let plain = ArrowReaderMetadata::try_new(Arc::clone(&bytes), skipping())?;
            let field = |field: &FieldRef| {
                if is_wanted(field.name()) { viewed(field) } else { Arc::clone(field) }
            };
            let fields: Vec<FieldRef> = plain.schema().fields().iter().map(field).collect();
            ArrowReaderMetadata::try_new(
                bytes,
                ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields))),
            )
        })?;
        let room = PageBudget::new(ctx.budget.limit() / 4);
        let pages = Pages::new(file.clone(), gzip, Arc::clone(&room));
        let source = BatchSource { pages, file, room, metadata, mask, groups, batch_rows };
        Ok(ParquetRows {
            reader: source.reader(path, 0)?,
            source,
            path: path.to_owned(),
            batch: None,
            row: 0,
            before: 0,
            groups: claimed,
            text: options.text_field.clone(),
            text_name: options.field("textField", &options.text_field),
            id: options.id_field.clone(),
            source_column: options.source_field.clone(),
            queries: options.query_field.clone(),
        })
    }

    /// Rows in all, as the file says.
    pub(crate) fn count(&self) -> u64 {
        self.groups.rows()
    }

    /// The position of row `row` of these row groups.
    pub(crate) fn position(&self, row: u64) -> Position {
        self.groups.position(row)
    }

    /// Reads the next batch where this one is at its end. Returns whether there is a row.
    fn fill(&mut self) -> Result<bool> {
        while self.batch.as_ref().is_none_or(|b| self.row >= b.num_rows()) {
            self.before += self.batch.take().map_or(0, |b| b.num_rows() as u64);
            self.row = 0;
            self.source.room.free();
            let read =
                unless_failed(&self.path, &self.source.file, || self.reader.next().transpose());
            match read {
                Err(_) if self.source.room.was_exceeded() => {
                    if self.source.batch_rows == 1 {
                        return Err(self.no_room());
                    }
                    self.source.batch_rows = 1;
                    self.source.room.free();
                    self.reader = self.source.reader(&self.path, self.before)?;
                }
                Err(e) => return Err(e),
                Ok(None) if self.before < self.groups.rows() => {
                    let what = format!(
                        "its footer claims {} rows, but there are {}",
                        self.groups.rows(),
                        self.before
                    );
                    return Err(damaged(&self.path, &what));
                }
                Ok(None) => return Ok(false),
                Ok(batch) => self.batch = batch,
            }
        }
        Ok(true)
    }

    fn no_room(&self) -> Error {
        RowLocation::new(&self.path.to_string_lossy(), self.position(self.before)).error(
            Code::MemoryBudget,
            "the row's pages unpack to more than a quarter of `memory`",
            "raise `memory`, or write the file again with smaller pages",
        )
    }

    /// Whether the next row's strings have more than `bytes` bytes, and whether the rows are at
    /// their end.
    pub(crate) fn is_longer(&mut self, bytes: u64) -> Result<(bool, bool)> {
        if !self.fill()? {
            return Ok((false, true));
        }
        let names = [Some(&self.text), self.id.as_ref(), self.source_column.as_ref()];
        let column = |name: &String| self.batch.as_ref()?.column_by_name(name);
        let columns = names.into_iter().flatten().filter_map(column);
        let length = |column: &ArrayRef| {
            column
                .as_binary_view_opt()
                .filter(|c| !c.is_null(self.row))
                .map_or(0, |c| c.value(self.row).len() as u64)
        };
        Ok((columns.map(length).sum::<u64>() > bytes, false))
    }

    /// Reads the next row into `fields`. `None` after the last, `Some(Some(bad))` for a bad one.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    pub(crate) fn next(&mut self, fields: &mut Fields) -> Result<Option<Option<Bad>>> {
        if !self.fill()? {
            return Ok(None);
        }
        let row = self.row;
        self.row += 1;
        fields.clear();
        let column = |name: &Option<String>| {
            name.as_ref()
                .and_then(|n| self.batch.as_ref()?.column_by_name(n))
                .filter(|c| !c.is_null(row))
        };
        let Some(text) = column(&Some(self.text.clone())) else {
            return Ok(Some(Some(Bad::new(
                Code::BadRow,
                format!("the column {} is null", self.text_name),
            ))));
        };
        let not_utf8 = |what: Invalid, name: &Option<String>| {
            let column = name.as_ref().unwrap_or(&self.text);
            Some(Bad::new(
                Code::BadUtf8,
                format!("invalid UTF-8 at byte {} of the column \"{column}\"", what.0),
            ))
        };
        fields.has_text = true;
        if let Err(what) = string(text, row, &mut fields.text) {
            return Ok(Some(not_utf8(what, &None)));
        }
        if let Some(id) = column(&self.id) {
            fields.has_id = true;
            macro_rules! integer {
                ($($variant:ident $kind:ident),*) => {
                    match id.data_type() {
                        $(DataType::$variant => fields.id = id.as_primitive::<$kind>().value(row).to_string(),)*
                        _ => if let Err(what) = string(id, row, &mut fields.id) {
                            return Ok(Some(not_utf8(what, &self.id)));
                        },
                    }
                };
            }
            integer!(
                Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type,
                UInt8 UInt8Type, UInt16 UInt16Type, UInt32 UInt32Type, UInt64 UInt64Type
            );
        }
        if let Some(source) = column(&self.source_column) {
            fields.has_source = true;
            if let Err(what) = string(source, row, &mut fields.source) {
                return Ok(Some(not_utf8(what, &self.source_column)));
            }
        }
        if let Some(queries) = column(&self.queries) {
            let list = match queries.data_type() {
                DataType::List(_) => queries.as_list::<i32>().value(row),
                _ => queries.slice(row, 1),
            };
            for i in (0..list.len()).filter(|&i| !list.is_null(i)) {
                let mut query = String::new();
                if let Err(what) = string(&list, i, &mut query) {
                    return Ok(Some(not_utf8(what, &self.queries)));
                }
                fields.queries.push(query);
            }
        }
        Ok(Some(None))
    }
}

/// The first byte that is not valid UTF-8.
struct Invalid(usize);

/// Appends a string of a column whose type was checked.
fn string(column: &ArrayRef, row: usize, out: &mut String) -> Result<(), Invalid> {
    match std::str::from_utf8(column.as_binary_view().value(row)) {
        Ok(text) => {
            out.push_str(text);
            Ok(())
        }
        Err(e) => Err(Invalid(e.valid_up_to())),
    }
}
