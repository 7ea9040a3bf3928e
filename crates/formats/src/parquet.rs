//! Parquet: `input_ids list<int32>`, `n_tokens int32`, and the columns of pieces; zstd; row groups
//! of about 64 MiB of ids.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use ::parquet::basic::{self, Encoding, ZstdLevel};
use ::parquet::errors::Result as Written;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::ColumnPath;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{ArrayRef, Int32Array, ListArray, StringArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use longweave_common::{Code, Error, Result, ResultExt, catch_panic};
use longweave_storage::{PageBudget, Pages, check_parquet_footer};
use rayon::prelude::*;

use crate::id_column::IdColumn;
use crate::ids::corrupt;
use crate::output_file::OutputFile;
use crate::row::PieceRow;
use crate::shard::group_rows;
use crate::{
    Column, Compression, Provenance, SequenceBatch, SequenceRecord, SequenceWriter, ShardFile,
    WriterOptions, columns,
};

/// Bytes that the pages of some rows may unpack to when they are read.
const ROOM: u64 = 1 << 30;
fn element(data_type: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new("element", data_type, nullable))
}

fn list(name: &str, data_type: DataType, nullable: bool) -> Field {
    Field::new(name, DataType::List(element(data_type, nullable)), false)
}

/// The leaf of the column `position_ids`.
fn places() -> ColumnPath {
    let path = [Column::PositionIds.name(), "list", "element"];
    ColumnPath::new(path.map(str::to_owned).to_vec())
}

fn schema(provenance: Provenance, with_ids: bool, columns: &[Column]) -> SchemaRef {
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
    if with_ids {
        fields.extend(columns.iter().map(|column| list(column.name(), column.data_type(), false)));
    }
    Arc::new(Schema::new(fields))
}

/// A column other than `input_ids` of a part.
fn column(field: &Field, options: &WriterOptions, part: &SequenceBatch<'_>) -> ArrayRef {
    let list = |values: ArrayRef| -> ArrayRef {
        let DataType::List(element) = field.data_type() else {
            unreachable!("all columns but n_tokens are lists")
        };
        let lengths = (0..part.len()).map(|row| part.own().range(row).len());
        Arc::new(ListArray::new(element.clone(), OffsetBuffer::from_lengths(lengths), values, None))
    };
    let pieces = part.pieces().iter();
    let numbers = |of: fn(&PieceRow<'_>) -> u32| {
        list(Arc::new(UInt32Array::from_iter_values(part.pieces().iter().map(of))))
    };
    match field.name().as_str() {
        "n_tokens" => {
            Arc::new(Int32Array::from_iter_values(part.n_tokens().iter().map(|&n| n as i32)))
        }
        "doc_ids" => list(Arc::new(StringArray::from_iter_values(pieces.map(|p| p.doc_id)))),
        "doc_starts" => numbers(|p| p.start),
        "doc_lens" => numbers(|p| p.len),
        "doc_offsets" => numbers(|p| p.offset),
        "reasons" => list(Arc::new(StringArray::from_iter(pieces.map(|p| p.reason)))),
        "groups" => numbers(|p| p.group),
        name => {
            let of_trainers = Column::ALL.into_iter().find(|column| column.name() == name);
            let (column, DataType::List(element)) =
                (of_trainers.expect("the schema has no other columns"), field.data_type())
            else {
                unreachable!("all columns but n_tokens are lists")
            };
            Arc::new(columns::list(column, options, part, element))
        }
    }
}

/// A row group as it is encoded.
struct Group {
    ids: Option<IdColumn>,
    /// All columns but that of ids.
    columns: Vec<ArrowColumnWriter>,
    rows: u64,
}

/// Writes one file, with or without the token ids.
pub(crate) struct ParquetWriter {
    file: SerializedFileWriter<OutputFile>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    compression: basic::Compression,
    options: WriterOptions,
    with_ids: bool,
    group: Option<Group>,
    /// A complete row group, which is written while the next one is encoded.
    complete: Option<Group>,
    groups: usize,
    rows: u64,
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
        let schema = schema(options.provenance, with_ids, &options.columns);
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
            .set_key_value_metadata(Some(metadata))
            // Places rise by one: their differences take almost nothing.
            .set_column_dictionary_enabled(places(), false)
            .set_column_encoding(places(), Encoding::DELTA_BINARY_PACKED)
            .build();
        let file = OutputFile::create(&path)?;
        let (file, factory) = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(|e| failed(&path, &e))?;
        Ok(ParquetWriter {
            file,
            factory,
            schema,
            compression,
            options: options.clone(),
            with_ids,
            group: None,
            complete: None,
            groups: 0,
            rows: 0,
            name,
            path,
        })
    }

    fn begin(&self) -> Written<Group> {
        let mut columns = self.factory.create_column_writers(self.groups)?;
        let descr = self.file.schema_descr().column(0);
        let ids = self.with_ids.then(|| {
            // Its place in the library's list is taken by our own.
            drop(columns.remove(0));
            IdColumn::new(self.options.length, descr, self.compression)
        });
        Ok(Group { ids, columns, rows: 0 })
    }

    /// Appends parts of one row group, and writes the row group before meanwhile.
    fn push_parts(&mut self, parts: &[SequenceBatch<'_>]) -> Written<()> {
        let mut group = match self.group.take() {
            Some(group) => group,
            None => self.begin()?,
        };
        let complete = self.complete.take();
        let fields = &self.schema.fields()[usize::from(self.with_ids)..];
        let Group { ids, columns, rows } = &mut group;
        let (file, options) = (&mut self.file, &self.options);
        let (written, (of_ids, of_columns)) = rayon::join(
            || complete.map_or(Ok(()), |group| write_group(file, group)),
            || {
                rayon::join(
                    || {
                        let parts: Vec<&[u32]> = parts.iter().map(|p| p.input_ids()).collect();
                        ids.as_mut().map_or(Ok(()), |column| column.push(&parts))
                    },
                    || {
                        columns.par_iter_mut().zip(fields.par_iter()).try_for_each(
                            |(writer, field)| {
                                let mut leaves = parts.iter().map(|part| {
                                    compute_leaves(field, &column(field, options, part))
                                });
                                leaves.try_for_each(|leaves| {
                                    leaves?.iter().try_for_each(|leaf| writer.write(leaf))
                                })
                            },
                        )
                    },
                )
            },
        );
        *rows += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        written.and(of_ids).and(of_columns)?;
        if group.rows < group_rows(self.options.length) {
            self.group = Some(group);
        } else {
            self.groups += 1;
            self.complete = Some(group);
        }
        Ok(())
    }
}

/// Writes a complete row group, its last pages packed side by side.
fn write_group(file: &mut SerializedFileWriter<OutputFile>, group: Group) -> Written<()> {
    let Group { ids, columns, .. } = group;
    let chunks: Vec<ArrowColumnChunk> =
        columns.into_par_iter().map(ArrowColumnWriter::close).collect::<Written<_>>()?;
    let mut writer = file.next_row_group()?;
    if let Some(ids) = ids {
        let (chunk, close) = ids.finish()?;
        writer.append_column(&chunk, close)?;
    }
    chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut writer))?;
    writer.close().map(drop)
}

impl SequenceWriter for ParquetWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let mut rest = parts;
        while !rest.is_empty() {
            let open = self.group.as_ref().map_or(0, |group| group.rows);
            let mut room = group_rows(self.options.length) - open;
            let fits = |part: &&SequenceBatch<'_>| {
                let fits = part.len() as u64 <= room;
                room = room.saturating_sub(part.len() as u64);
                fits
            };
            let n = rest.iter().take_while(fits).count();
            if n == 0 {
                let message = format!("a part of {} has rows of two row groups", self.name);
                return Err(Error::new(Code::Internal, message));
            }
            let (now, later) = rest.split_at(n);
            self.push_parts(now).map_err(|e| failed(&self.path, &e))?;
            self.rows += now.iter().map(|part| part.len() as u64).sum::<u64>();
            rest = later;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let ParquetWriter { mut file, group, complete, rows, name, path, .. } = *self;
        let mut left = complete.into_iter().chain(group);
        let file = left
            .try_for_each(|group| write_group(&mut file, group))
            .and_then(|()| file.into_inner())
            .map_err(|e| failed(&path, &e))?;
        Ok(vec![ShardFile::new(name, file.commit()?, rows)])
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
    let known = schema(Provenance::Full, true, &[]);
    let mut read = Vec::new();
    for (at, field) in builder.schema().fields().iter().enumerate() {
        let Ok(known) = known.field_with_name(field.name()) else { continue };
        if known.data_type() != field.data_type() {
            return Err(corrupt(
                path,
                &format!("its column {} holds {}", field.name(), field.data_type()),
            ));
        }
        read.push(at);
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), read);
    let reader = builder
        .with_projection(mask)
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
pub(crate) fn groups(path: &Path) -> Result<Vec<u64>> {
    let file = File::open(path).at("open", path)?;
    let metadata = catch_panic(|| metadata(&file, path), |what| corrupt(path, &what))?;
    Ok(metadata.metadata().row_groups().iter().map(|g| g.num_rows().max(0) as u64).collect())
}
