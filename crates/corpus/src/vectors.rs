//! Vectors by id from a Parquet file: columns `id` (strings) and `vector` (lists of floats, fixed or variable).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use longweave_common::{Code, Error, Result};
use longweave_storage::{PageBudget, Pages};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::location::{RowGroups, RowLocation};
use crate::parquet_rows::{open, skipping, unless_failed};
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
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    row: usize,
    /// Rows of earlier batches.
    before: u64,
    id: String,
    vector: Vec<f64>,
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
        let types = places
            .iter()
            .map(|&place| builder.schema().field(place).data_type())
            .collect::<Vec<_>>();
        let strings = matches!(types[0], DataType::Utf8 | DataType::LargeUtf8);
        let floats = match types[1] {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                matches!(
                    item.data_type(),
                    DataType::Float16 | DataType::Float32 | DataType::Float64
                )
            }
            _ => false,
        };
        if !strings || !floats {
            return Err(invalid(
                path,
                &format!(
                    "its columns are {} and {}, not strings and lists of floats",
                    types[0], types[1]
                ),
            ));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), places);
        let (room, metadata) = (
            PageBudget::new(ROOM),
            ArrowReaderMetadata::try_new(Arc::clone(builder.metadata()), skipping()),
        );
        let metadata = unless_failed(path, &file, || metadata)?;
        let rows = metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        let groups = RowGroups::new(rows, 0..metadata.metadata().num_row_groups());
        let pages = Pages::new(file.clone(), true, Arc::clone(&room));
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
        while self.batch.as_ref().is_none_or(|batch| self.row == batch.num_rows()) {
            let reader = &mut self.reader;
            self.room.free();
            let batch = unless_failed(&self.path, &self.file, || reader.next().transpose())?;
            let Some(batch) = batch else { return Ok(None) };
            self.before += self.batch.take().map_or(0, |b| b.num_rows() as u64);
            (self.batch, self.row) = (Some(batch), 0);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| invalid(&self.path, "a column is missing"))
        };
        let (ids, vectors) = (column("id")?, column("vector")?);
        let row = self.row;
        let location = RowLocation::new(&self.name, self.groups.position(self.before + row as u64));
        let invalid_row = |reason| {
            location.error(Code::VectorsInvalid, reason, "give each row an id and a vector")
        };
        if ids.is_null(row) {
            return Err(invalid_row("the id is null"));
        }
        if vectors.is_null(row) {
            return Err(invalid_row("the vector is null"));
        }
        self.id.clear();
        self.id.push_str(match ids.data_type() {
            DataType::LargeUtf8 => ids.as_string::<i64>().value(row),
            _ => ids.as_string::<i32>().value(row),
        });
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
    match item.data_type() {
        DataType::Float64 => out.extend(item.as_primitive::<Float64Type>().values()),
        DataType::Float16 => {
            out.extend(item.as_primitive::<Float16Type>().values().iter().map(|x| x.to_f64()));
        }
        _ => out.extend(item.as_primitive::<Float32Type>().values().iter().map(|&x| f64::from(x))),
    }
}

fn invalid(path: &Path, what: &str) -> Error {
    let message = format!("{} does not hold vectors: {what}", path.display());
    Error::new(Code::VectorsInvalid, message).with("file", path.display().to_string())
}
