//! Tables whose first column is a string and whose others are numbers, as Arrow IPC files: LargeUtf8, uncompressed, batches of
//! [`STRING_BATCH_ROWS`] rows (the last one shorter), so that a row's batch is known without an index.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::LargeStringBuilder;
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use longweave_common::{Error, Result, ResultExt};

use crate::array::corrupt;
use crate::atomic::{AtomicFile, Sealed};

/// Rows of every batch but the last.
pub const STRING_BATCH_ROWS: usize = 4096;

fn schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::LargeUtf8, false)]))
}

/// Writes one string column row by row.
pub struct StringTableWriter {
    writer: FileWriter<AtomicFile>,
    schema: SchemaRef,
    builder: LargeStringBuilder,
    path: PathBuf,
    rows: u64,
}

impl StringTableWriter {
    /// Begins a table with one column named `column` that will stand at `path`.
    pub fn create(path: &Path, column: &str) -> Result<StringTableWriter> {
        let schema = schema(column);
        let file = AtomicFile::create(path)?;
        let writer = FileWriter::try_new(file, &schema).map_err(|e| write_error(&e, path))?;
        Ok(StringTableWriter { writer, schema, builder: LargeStringBuilder::new(), path: path.to_owned(), rows: 0 })
    }

    /// Appends one row.
    pub fn push(&mut self, text: &str) -> Result<()> {
        self.builder.append_value(text);
        self.rows += 1;
        if self.rows.is_multiple_of(STRING_BATCH_ROWS as u64) {
            self.flush_batch()?;
        }
        Ok(())
    }

    fn flush_batch(&mut self) -> Result<()> {
        let column: ArrayRef = Arc::new(self.builder.finish());
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![column]).map_err(|e| write_error(&e, &self.path))?;
        self.writer.write(&batch).map_err(|e| write_error(&e, &self.path))
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Puts the table in its place.
    pub fn commit(mut self) -> Result<Sealed> {
        if !self.rows.is_multiple_of(STRING_BATCH_ROWS as u64) {
            self.flush_batch()?;
        }
        self.writer.finish().map_err(|e| write_error(&e, &self.path))?;
        let path = self.path;
        self.writer.into_inner().map_err(|e| write_error(&e, &path))?.commit()
    }
}

/// One string column in memory, as the batches it was stored in. Costs the strings' bytes and 8 bytes a row.
pub struct StringTable {
    batches: Vec<LargeStringArray>,
    rows: usize,
}

impl StringTable {
    /// Reads a whole table.
    ///
    /// Errors: `FILE_CORRUPT` when it is no such table.
    pub fn open(path: &Path) -> Result<StringTable> {
        let file = BufReader::new(File::open(path).at("open", path)?);
        let bad = |e: &ArrowError| corrupt(path, &format!("is no readable Arrow file ({e})"));
        let reader = FileReader::try_new(file, None).map_err(|e| bad(&e))?;
        let (mut batches, mut rows, mut short) = (Vec::new(), 0, false);
        for batch in reader {
            let batch = batch.map_err(|e| bad(&e))?;
            let column = batch.columns().first().and_then(|c| c.as_any().downcast_ref::<LargeStringArray>());
            let column = column.ok_or_else(|| corrupt(path, "has no LargeUtf8 column first"))?;
            if short || column.len() > STRING_BATCH_ROWS {
                return Err(corrupt(path, "has batches of another size"));
            }
            short = column.len() < STRING_BATCH_ROWS;
            rows += column.len();
            batches.push(column.clone());
        }
        Ok(StringTable { batches, rows })
    }

    /// Calls `take` with the place in `rows` and the string of each of these rows, which must rise; reads batch by batch and holds one.
    ///
    /// Errors: `FILE_CORRUPT` when it is no such table or has fewer rows.
    pub fn pick(path: &Path, rows: &[usize], mut take: impl FnMut(usize, &str)) -> Result<()> {
        let file = BufReader::new(File::open(path).at("open", path)?);
        let bad = |e: &ArrowError| corrupt(path, &format!("is no readable Arrow file ({e})"));
        let mut reader = FileReader::try_new(file, None).map_err(|e| bad(&e))?;
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at] / STRING_BATCH_ROWS;
            let end = at + rows[at..].partition_point(|&row| row / STRING_BATCH_ROWS == number);
            reader.set_index(number).map_err(|e| bad(&e))?;
            let batch = reader.next().ok_or_else(|| corrupt(path, "has fewer rows than expected"))?.map_err(|e| bad(&e))?;
            let column = batch.columns().first().and_then(|c| c.as_any().downcast_ref::<LargeStringArray>());
            let column = column.ok_or_else(|| corrupt(path, "has no LargeUtf8 column first"))?;
            for (place, row) in rows.iter().enumerate().take(end).skip(at) {
                let row = row % STRING_BATCH_ROWS;
                if row >= column.len() {
                    return Err(corrupt(path, "has fewer rows than expected"));
                }
                take(place, column.value(row));
            }
            at = end;
        }
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The string of `row`; panics beyond the end, as a slice does.
    pub fn get(&self, row: usize) -> &str {
        self.batches[row / STRING_BATCH_ROWS].value(row % STRING_BATCH_ROWS)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.batches.iter().flat_map(|b| (0..b.len()).map(|i| b.value(i)))
    }
}

/// Writes a whole table of one string column.
pub fn write_strings<S: AsRef<str>>(path: &Path, column: &str, rows: impl IntoIterator<Item = S>) -> Result<Sealed> {
    let mut writer = StringTableWriter::create(path, column)?;
    for row in rows {
        writer.push(row.as_ref())?;
    }
    writer.commit()
}

/// Reads a whole table of one string column.
pub fn read_strings(path: &Path) -> Result<StringTable> {
    StringTable::open(path)
}

fn write_error(error: &ArrowError, path: &Path) -> Error {
    match error {
        ArrowError::IoError(_, io) => Error::io(io, "write", path),
        other => Error::io(&std::io::Error::other(other.to_string()), "write", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_across_batches() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ids.arrow");
        let rows: Vec<String> = (0..STRING_BATCH_ROWS * 2 + 3).map(|i| format!("é{i}\0")).collect();
        write_strings(&path, "id", &rows).unwrap();
        let table = read_strings(&path).unwrap();
        assert_eq!(table.len(), rows.len());
        assert!(table.iter().eq(rows.iter().map(String::as_str)));
        assert_eq!(table.get(STRING_BATCH_ROWS), rows[STRING_BATCH_ROWS]);
        let wanted = [0, 5, STRING_BATCH_ROWS - 1, STRING_BATCH_ROWS * 2 + 2];
        let mut picked = vec![];
        StringTable::pick(&path, &wanted, |at, text| picked.push((at, text.to_owned()))).unwrap();
        assert!(picked.iter().enumerate().all(|(i, (at, text))| *at == i && *text == rows[wanted[i]]), "{picked:?}");
        assert!(StringTable::pick(&path, &[rows.len()], |_, _| ()).is_err());
    }

    #[test]
    fn an_empty_table_and_a_whole_batch_are_fine_and_other_bytes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t");
        write_strings(&path, "id", Vec::<String>::new()).unwrap();
        assert!(read_strings(&path).unwrap().is_empty());
        write_strings(&path, "id", vec!["x"; STRING_BATCH_ROWS]).unwrap();
        assert_eq!(read_strings(&path).unwrap().len(), STRING_BATCH_ROWS);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(read_strings(&path).err().unwrap().code(), longweave_common::Code::FileCorrupt);
    }
}
