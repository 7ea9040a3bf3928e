//! Vectors by id from a Parquet file: columns `id` (as ids of a corpus) and `vector` (lists of numbers,
//! fixed or variable).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use longweave_common::{Code, Error, Result};
use longweave_storage::{PageBudget, Pages};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::columns::{Bytes, Column, Role, item};
use crate::location::{RowGroups, RowLocation};
use crate::parquet_rows::{bytes, open, skipping, unless_failed};
use crate::source::Positions;

/// Most bytes that the pages of some rows unpack to.
const ROOM: u64 = 1 << 30;

/// A row of a file of vectors.
pub struct VectorRow<'a> {
    /// Its place.
    pub location: RowLocation<'a>,
    /// The document's id.
    pub id: &'a str,
    /// The numbers.
    pub vector: &'a [f64],
}

/// Reads ids and vectors row by row.
pub struct VectorRows {
    reader: ParquetRecordBatchReader,
    room: Arc<PageBudget>,
    path: PathBuf,
    /// The path as messages show it.
    name: String,
    file: Positions,
    groups: RowGroups,
    /// How an id of bytes is written.
    form: Bytes,
    batch: Option<VectorBatch>,
    /// The next row of the batch.
    row: usize,
    /// Rows of earlier batches.
    before: u64,
    id: String,
    vector: Vec<f64>,
}

struct VectorBatch {
    rows: usize,
    ids: Column,
    vectors: ArrayRef,
}

impl VectorRows {
    /// Opens a file.
    ///
    /// Errors: `VECTORS_INVALID` where it lacks a column or one is of another type; `INPUT_TRUNCATED`.
    pub fn open(path: &Path) -> Result<VectorRows> {
        let file = Positions::of(path)?;
        let builder = open(path, &file)?;
        let columns: Vec<&str> =
            builder.schema().fields().iter().map(|f| f.name().as_str()).collect();
        let mut places = Vec::new();
        for name in ["id", "vector"] {
            places.push(columns.iter().position(|column| *column == name).ok_or_else(|| {
                invalid(
                    path,
                    &format!("it has no column \"{name}\"; it has {}", columns.join(", ")),
                )
                .with("columns", columns.clone())
            })?);
        }
        let types: Vec<DataType> =
            places.iter().map(|&place| builder.schema().field(place).data_type().clone()).collect();
        let numbers = item(&types[1]).is_some_and(|item| item.is_floating() || item.is_integer());
        if !Role::Id.fits(&types[0]) || !numbers {
            return Err(invalid(
                path,
                &format!(
                    "its columns are {} and {}, not ids ({}) and lists of numbers",
                    types[0],
                    types[1],
                    Role::Id.expected()
                ),
            ));
        }
        let schema = builder.parquet_schema().root_schema();
        let form = bytes(schema, &places[..1], builder.metadata().file_metadata());
        let mask = ProjectionMask::roots(builder.parquet_schema(), places);
        let (room, metadata) = (
            PageBudget::new(ROOM),
            ArrowReaderMetadata::try_new(Arc::clone(builder.metadata()), skipping()),
        );
        let metadata = unless_failed(path, &file, || metadata)?;
        let rows = metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        let groups = RowGroups::new(rows, 0..metadata.metadata().num_row_groups());
        let pages = Pages::new(file.clone(), metadata.metadata(), Arc::clone(&room));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata)
            .with_projection(mask)
            .with_batch_size(1024);
        let reader = unless_failed(path, &file, || builder.build())?;
        Ok(VectorRows {
            reader,
            room,
            path: path.to_owned(),
            name: path.display().to_string(),
            file,
            groups,
            form,
            batch: None,
            row: 0,
            before: 0,
            id: String::new(),
            vector: Vec::new(),
        })
    }

    /// The next row; `None` after the last.
    ///
    /// Errors: `VECTORS_INVALID` for a row without an id or a number; `INPUT_TRUNCATED`.
    #[expect(clippy::should_implement_trait, reason = "it lends")]
    pub fn next(&mut self) -> Result<Option<VectorRow<'_>>> {
        while self.batch.as_ref().is_none_or(|batch| self.row == batch.rows) {
            let reader = &mut self.reader;
            self.room.free();
            let batch = unless_failed(&self.path, &self.file, || reader.next().transpose())?;
            let Some(batch) = batch else { return Ok(None) };
            self.before += self.batch.take().map_or(0, |b| b.rows as u64);
            let column = |name: &str| {
                batch.column_by_name(name).ok_or_else(|| invalid(&self.path, "a column is missing"))
            };
            let (ids, vectors) = (Column::new(column("id")?, self.form), column("vector")?.clone());
            self.batch = Some(VectorBatch { rows: batch.num_rows(), ids, vectors });
            self.row = 0;
        }
        let Some(VectorBatch { ids, vectors, .. }) = &self.batch else { return Ok(None) };
        let row = self.row;
        let location = RowLocation::new(&self.name, self.groups.position(self.before + row as u64));
        let invalid_row = |reason: &str| {
            location.error(Code::VectorsInvalid, reason, "give each row an id and a vector")
        };
        if ids.is_null(row) {
            return Err(invalid_row("the id is null"));
        }
        if vectors.is_null(row) {
            return Err(invalid_row("the vector is null"));
        }
        self.id.clear();
        ids.value_of_id(row, &mut self.id).map_err(|what| invalid_row(&what))?;
        let item = match vectors.data_type() {
            DataType::List(_) => vectors.as_list::<i32>().value(row),
            DataType::LargeList(_) => vectors.as_list::<i64>().value(row),
            _ => vectors.as_fixed_size_list().value(row),
        };
        if item.null_count() > 0 {
            return Err(invalid_row("a number of the vector is null"));
        }
        self.vector.clear();
        numbers(&item, &mut self.vector);
        self.row += 1;
        Ok(Some(VectorRow { location, id: &self.id, vector: &self.vector }))
    }
}

fn numbers(item: &ArrayRef, out: &mut Vec<f64>) {
    macro_rules! copy {
        ($kind:ident) => {
            out.extend(item.as_primitive::<$kind>().values().iter().map(|&x| f64::from(x)))
        };
    }
    match item.data_type() {
        DataType::Float64 => out.extend(item.as_primitive::<Float64Type>().values()),
        DataType::Float32 => copy!(Float32Type),
        DataType::Float16 => copy!(Float16Type),
        DataType::Int8 => copy!(Int8Type),
        DataType::Int16 => copy!(Int16Type),
        DataType::Int32 => copy!(Int32Type),
        DataType::UInt8 => copy!(UInt8Type),
        DataType::UInt16 => copy!(UInt16Type),
        DataType::UInt32 => copy!(UInt32Type),
        DataType::Int64 => {
            out.extend(item.as_primitive::<Int64Type>().values().iter().map(|&x| x as f64));
        }
        _ => out.extend(item.as_primitive::<UInt64Type>().values().iter().map(|&x| x as f64)),
    }
}

fn invalid(path: &Path, what: &str) -> Error {
    let message = format!("{} does not hold vectors: {what}", path.display());
    Error::new(Code::VectorsInvalid, message).with("file", path.display().to_string())
}
