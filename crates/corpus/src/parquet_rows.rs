//! Rows of a Parquet file's row groups, columns by name.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use longweave_common::{Code, Error, Result, ResultExt, caught};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::json::Fields;
use crate::row::Bad;
use crate::{CorpusOptions, Range};

/// Bytes of rows read at once, about.
const BATCH_BYTES: i64 = 4 << 20;

/// Reads the rows of a run of row groups.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    path: PathBuf,
    batch: Option<RecordBatch>,
    row: usize,
    rows: u64,
    text: String,
    id: Option<String>,
    source: Option<String>,
    queries: Option<String>,
}

/// A Parquet file that cannot be read on.
pub(crate) fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let what = error.to_string();
    if what.contains("UTF-8") || what.contains("utf8") {
        let message = format!("{} has a string that is not valid UTF-8 ({what}); write the column again", path.display());
        return Error::new(Code::BadUtf8, message).with("file", path.display().to_string());
    }
    let message = format!("{} is truncated, damaged or no Parquet file ({what}); fetch or write it again", path.display());
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}

/// Runs `work` of the library, which panics on some damage.
pub(crate) fn unless_damaged<T, E: std::fmt::Display>(path: &Path, work: impl FnOnce() -> std::result::Result<T, E>) -> Result<T> {
    caught(|| work().map_err(|e| damaged(path, &e)), |what| damaged(path, &what))
}

pub(crate) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).at("open", path)?;
    // The file's own schema, not the one that its writer embedded: dictionaries come as plain strings.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    unless_damaged(path, || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options))
}

fn wanted(options: &CorpusOptions) -> Vec<(&'static str, &String)> {
    let optional = [("idField", &options.id_field), ("sourceField", &options.source_field), ("queryField", &options.query_field)];
    let mut wanted = vec![("textField", &options.text_field)];
    wanted.extend(optional.into_iter().filter_map(|(name, field)| field.as_ref().map(|f| (name, f))));
    wanted
}

fn check_columns(path: &Path, builder: &ParquetRecordBatchReaderBuilder<File>, options: &CorpusOptions) -> Result<()> {
    let schema = builder.schema();
    for (option, column) in wanted(options) {
        let Ok(field) = schema.field_with_name(column) else {
            let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let message = format!("{} has no column \"{column}\" (`{option}`); it has {}", path.display(), columns.join(", "));
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
            let message = format!("the column \"{column}\" (`{option}`) of {} holds {}, not {expected}", path.display(), field.data_type());
            return Err(Error::new(Code::MissingColumn, message).with("file", path.display().to_string()).with("column", column.as_str()));
        }
    }
    Ok(())
}

impl ParquetRows {
    pub(crate) fn open(path: &Path, options: &CorpusOptions, range: Range) -> Result<ParquetRows> {
        let builder = open(path)?;
        check_columns(path, &builder, options)?;
        let columns: Vec<usize> = builder
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| wanted(options).iter().any(|(_, name)| *name == f.name()))
            .map(|(i, _)| i)
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
        let groups: Vec<usize> = match range {
            Range::RowGroups { start, end } => (start as usize..end as usize).collect(),
            _ => (0..builder.metadata().num_row_groups()).collect(),
        };
        let metadata = builder.metadata().row_groups();
        let rows = groups.iter().map(|&i| metadata.get(i).map_or(0, |g| g.num_rows().max(0) as u64)).sum();
        let of = |i: &usize| metadata.get(*i).map_or(0, |g| g.total_byte_size().max(0) / g.num_rows().max(1));
        let row_bytes = groups.iter().map(of).max().unwrap_or(0).max(1);
        let batch = (BATCH_BYTES / row_bytes).clamp(1, 4096) as usize;
        let builder = builder.with_projection(mask).with_row_groups(groups).with_batch_size(batch);
        let reader = unless_damaged(path, || builder.build())?;
        Ok(ParquetRows {
            reader,
            path: path.to_owned(),
            batch: None,
            row: 0,
            rows,
            text: options.text_field.clone(),
            id: options.id_field.clone(),
            source: options.source_field.clone(),
            queries: options.query_field.clone(),
        })
    }

    /// Rows in all, as the file says.
    pub(crate) fn count(&self) -> u64 {
        self.rows
    }

    /// Reads the next row into `fields`; `None` after the last, `Some(Some(bad))` for one that cannot be used.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    pub(crate) fn next(&mut self, fields: &mut Fields) -> Result<Option<Option<Bad>>> {
        while self.batch.as_ref().is_none_or(|b| self.row >= b.num_rows()) {
            match unless_damaged(&self.path, || self.reader.next().transpose())? {
                None => return Ok(None),
                batch => self.batch = batch,
            }
            self.row = 0;
        }
        let row = self.row;
        self.row += 1;
        fields.clear();
        let column = |name: &Option<String>| name.as_ref().and_then(|n| self.batch.as_ref()?.column_by_name(n)).filter(|c| !c.is_null(row));
        match column(&Some(self.text.clone())) {
            Some(text) => {
                fields.text.push_str(string(text, row));
                fields.has_text = true;
            }
            None => return Ok(Some(Some(Bad::new(Code::BadRow, format!("the column \"{}\" (`textField`) is null", self.text))))),
        }
        if let Some(id) = column(&self.id) {
            fields.has_id = true;
            macro_rules! integer {
                ($($variant:ident $kind:ident),*) => {
                    match id.data_type() {
                        $(DataType::$variant => fields.id = id.as_primitive::<$kind>().value(row).to_string(),)*
                        _ => fields.id.push_str(string(id, row)),
                    }
                };
            }
            integer!(
                Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type,
                UInt8 UInt8Type, UInt16 UInt16Type, UInt32 UInt32Type, UInt64 UInt64Type
            );
        }
        if let Some(source) = column(&self.source) {
            fields.source.push_str(string(source, row));
            fields.has_source = true;
        }
        if let Some(queries) = column(&self.queries) {
            match queries.data_type() {
                DataType::List(_) => {
                    let list = queries.as_list::<i32>().value(row);
                    fields.queries.extend((0..list.len()).filter(|&i| !list.is_null(i)).map(|i| string(&list, i).to_owned()));
                }
                _ => fields.queries.push(string(queries, row).to_owned()),
            }
        }
        Ok(Some(None))
    }
}

/// A string of a column whose type was checked.
fn string(column: &ArrayRef, row: usize) -> &str {
    match column.data_type() {
        DataType::LargeUtf8 => column.as_string::<i64>().value(row),
        _ => column.as_string::<i32>().value(row),
    }
}
