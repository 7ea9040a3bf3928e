//! Parquet: `input_ids list<int32>`, `n_tokens int32`, and the columns of pieces; zstd; row groups
//! of about 64 MiB of ids.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::{self, ZstdLevel};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use longweave_common::{Code, Error, Result, ResultExt, catch_panic};
use longweave_storage::{AtomicFile, PageBudget, Pages, check_parquet_footer};

use crate::ids::corrupt;
use crate::{
    Compression, Provenance, SequenceRecord, SequenceRow, SequenceWriter, ShardFile, WriterOptions,
};

/// Bytes of token ids in a row group.
const ROW_GROUP_BYTES: u64 = 64 << 20;
/// Bytes that the pages of some rows may unpack to when they are read.
const ROOM: u64 = 1 << 30;
/// Bytes of token ids that are collected before they are encoded; pages depend on it.
pub(crate) const BATCH_BYTES: u64 = 4 << 20;

pub(crate) fn group_rows_for(length: u32) -> u64 {
    (ROW_GROUP_BYTES / (4 * u64::from(length))).max(1)
}

fn element(data_type: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new("element", data_type, nullable))
}

fn list(name: &str, data_type: DataType, nullable: bool) -> Field {
    Field::new(name, DataType::List(element(data_type, nullable)), false)
}

fn schema(provenance: Provenance, with_ids: bool) -> SchemaRef {
    let mut fields = Vec::new();
    if with_ids {
        fields.push(list("input_ids", DataType::Int32, false));
    }
    fields.push(Field::new("n_tokens", DataType::Int32, false));
    if provenance != Provenance::None {
        fields.push(list("doc_ids", DataType::Utf8, false));
    }
    if provenance == Provenance::Full {
        fields.push(list("doc_starts", DataType::UInt32, false));
        fields.push(list("doc_lens", DataType::UInt32, false));
        fields.push(list("doc_offsets", DataType::UInt32, false));
        fields.push(list("reasons", DataType::Utf8, true));
        fields.push(list("groups", DataType::UInt32, false));
    }
    Arc::new(Schema::new(fields))
}

/// Columns of the rows that are being collected.
struct Columns {
    input_ids: ListBuilder<Int32Builder>,
    n_tokens: Int32Builder,
    doc_ids: ListBuilder<StringBuilder>,
    numbers: [ListBuilder<UInt32Builder>; 4],
    reasons: ListBuilder<StringBuilder>,
}

impl Columns {
    fn new() -> Columns {
        let strings = |nullable| {
            ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8, nullable))
        };
        let numbers =
            || ListBuilder::new(UInt32Builder::new()).with_field(element(DataType::UInt32, false));
        Columns {
            input_ids: ListBuilder::new(Int32Builder::new())
                .with_field(element(DataType::Int32, false)),
            n_tokens: Int32Builder::new(),
            doc_ids: strings(false),
            numbers: [numbers(), numbers(), numbers(), numbers()],
            reasons: strings(true),
        }
    }
}

/// Writes one file, with or without the token ids.
pub(crate) struct ParquetWriter {
    writer: ArrowWriter<AtomicFile>,
    columns: Columns,
    schema: SchemaRef,
    provenance: Provenance,
    with_ids: bool,
    /// Rows of the batch that is being collected, and rows of those before.
    rows: u64,
    written: u64,
    batch_rows: u64,
    name: String,
    path: PathBuf,
}

impl ParquetWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        name: String,
        with_ids: bool,
    ) -> Result<ParquetWriter> {
        let path = directory.join(&name);
        let schema = schema(options.provenance, with_ids);
        let group_rows = group_rows_for(options.length);
        let batch_rows = (BATCH_BYTES / (4 * u64::from(options.length))).max(1);
        let metadata = vec![
            KeyValue::new("longweave.method".to_owned(), options.method.clone()),
            KeyValue::new("longweave.length".to_owned(), options.length.to_string()),
        ];
        // Provenance of another format's files is compressed whatever those are.
        let compression = match options.compression {
            Compression::None if with_ids => basic::Compression::UNCOMPRESSED,
            Compression::None | Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
        };
        let properties = WriterProperties::builder()
            .set_created_by(concat!("longweave ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression)
            .set_max_row_group_row_count(Some(group_rows as usize))
            .set_key_value_metadata(Some(metadata))
            .build();
        let file = AtomicFile::create(&path)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|e| failed(&path, &e))?;
        let provenance = options.provenance;
        Ok(ParquetWriter {
            writer,
            columns: Columns::new(),
            schema,
            provenance,
            with_ids,
            rows: 0,
            written: 0,
            batch_rows,
            name,
            path,
        })
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = &mut self.columns;
        let mut arrays: Vec<ArrayRef> = Vec::new();
        if self.with_ids {
            arrays.push(Arc::new(columns.input_ids.finish()));
        }
        arrays.push(Arc::new(columns.n_tokens.finish()));
        if self.provenance != Provenance::None {
            arrays.push(Arc::new(columns.doc_ids.finish()));
        }
        if self.provenance == Provenance::Full {
            let [starts, lens, offsets, groups] = &mut columns.numbers;
            arrays.push(Arc::new(starts.finish()));
            arrays.push(Arc::new(lens.finish()));
            arrays.push(Arc::new(offsets.finish()));
            arrays.push(Arc::new(columns.reasons.finish()));
            arrays.push(Arc::new(groups.finish()));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| {
            Error::new(Code::Internal, format!("columns of {}: {e}", self.path.display()))
        })?;
        self.writer.write(&batch).map_err(|e| failed(&self.path, &e))?;
        self.written += std::mem::take(&mut self.rows);
        Ok(())
    }
}

impl SequenceWriter for ParquetWriter {
    fn push(&mut self, row: &SequenceRow<'_>) -> Result<()> {
        let columns = &mut self.columns;
        if self.with_ids {
            // Ids are below 2³¹: vocabularies are.
            columns.input_ids.values().extend(row.input_ids.iter().map(|&id| Some(id as i32)));
            columns.input_ids.append(true);
        }
        columns.n_tokens.append_value(row.n_tokens as i32);
        if self.provenance != Provenance::None {
            row.doc_ids.iter().for_each(|id| columns.doc_ids.values().append_value(id));
            columns.doc_ids.append(true);
        }
        if self.provenance == Provenance::Full {
            for (column, values) in columns.numbers.iter_mut().zip([
                row.doc_starts,
                row.doc_lens,
                row.doc_offsets,
                row.groups,
            ]) {
                column.values().append_slice(values);
                column.append(true);
            }
            row.reasons.iter().for_each(|reason| columns.reasons.values().append_option(*reason));
            columns.reasons.append(true);
        }
        self.rows += 1;
        if self.rows == self.batch_rows { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>> {
        self.flush()?;
        let path = self.path;
        let sealed = self.writer.into_inner().map_err(|e| failed(&path, &e))?.commit()?;
        Ok(vec![ShardFile::new(self.name, sealed, self.written)])
    }
}

fn failed(path: &Path, error: &::parquet::errors::ParquetError) -> Error {
    use ::parquet::errors::ParquetError;
    if let ParquetError::External(source) = error
        && let Some(io) = source.downcast_ref::<std::io::Error>()
    {
        return Error::io(io, "write", path);
    }
    Error::io(&std::io::Error::other(error.to_string()), "write", path)
}

/// Reads the rows of one row group.
pub(crate) fn read_group(path: &Path, group: usize) -> Result<Vec<SequenceRecord>> {
    // The library panics on some damage.
    catch_panic(|| read_group_inside(path, group), |what| corrupt(path, &what))
}

fn read_group_inside(path: &Path, group: usize) -> Result<Vec<SequenceRecord>> {
    let (file, room) = (File::open(path).at("open", path)?, PageBudget::new(ROOM));
    let metadata = metadata(&file, path)?;
    let pages = Pages::new(file, metadata.metadata(), Arc::clone(&room));
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata);
    for field in builder.schema().fields() {
        let known = schema(Provenance::Full, true);
        if known
            .field_with_name(field.name())
            .is_ok_and(|known| known.data_type() != field.data_type())
        {
            return Err(corrupt(
                path,
                &format!("its column {} holds {}", field.name(), field.data_type()),
            ));
        }
    }
    let reader = builder
        .with_row_groups(vec![group])
        .with_batch_size(1024)
        .build()
        .map_err(|e| corrupt(path, &e))?;
    let mut records = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| corrupt(path, &e))?;
        room.free();
        let column = |name: &str| batch.column_by_name(name);
        let u32s = |name: &str, row: usize| -> Vec<u32> {
            column(name).map_or_else(Vec::new, |c| {
                c.as_list::<i32>().value(row).as_primitive::<UInt32Type>().values().to_vec()
            })
        };
        let strings = |name: &str, row: usize| -> Vec<Option<String>> {
            column(name).map_or_else(Vec::new, |c| {
                let list = c.as_list::<i32>().value(row);
                list.as_string::<i32>().iter().map(|s| s.map(str::to_owned)).collect()
            })
        };
        for row in 0..batch.num_rows() {
            records.push(SequenceRecord {
                input_ids: column("input_ids").map_or_else(Vec::new, |c| {
                    let list = c.as_list::<i32>().value(row);
                    list.as_primitive::<Int32Type>().values().iter().map(|&id| id as u32).collect()
                }),
                n_tokens: column("n_tokens")
                    .map_or(0, |c| c.as_primitive::<Int32Type>().value(row) as u32),
                doc_ids: strings("doc_ids", row).into_iter().flatten().collect(),
                doc_starts: u32s("doc_starts", row),
                doc_lens: u32s("doc_lens", row),
                doc_offsets: u32s("doc_offsets", row),
                reasons: strings("reasons", row),
                groups: u32s("groups", row),
            });
        }
    }
    Ok(records)
}

/// The file's metadata, looked at before the library reads it.
fn metadata(file: &File, path: &Path) -> Result<ArrowReaderMetadata> {
    check_parquet_footer(file).map_err(|e| corrupt(path, &e))?;
    ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(|e| corrupt(path, &e))
}

/// Rows of each row group.
pub(crate) fn group_rows(path: &Path) -> Result<Vec<u64>> {
    let file = File::open(path).at("open", path)?;
    let metadata = catch_panic(|| metadata(&file, path), |what| corrupt(path, &what))?;
    Ok(metadata.metadata().row_groups().iter().map(|g| g.num_rows().max(0) as u64).collect())
}
