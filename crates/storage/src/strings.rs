//! Tables of one string column as Arrow IPC files: LargeUtf8, uncompressed, batches of
//! [`STRING_BATCH_ROWS`] rows (the last one shorter), so that a row's batch is known without an
//! index.
//!
//! Between the end of the stream and the footer, where readers of Arrow do not look, are checksums:
//! the xxh3-64 of each batch's bytes, and last that of all bytes that belong to no batch. So a
//! reader of some batches notices every byte that changed in what it reads.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::LargeStringBuilder;
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::Block;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use longweave_common::{Error, Result, ResultExt, catch_panic};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::array::{corrupt, read_error};
use crate::atomic::{AtomicFile, Sealed, read_exact_at};
use crate::failpoint;

/// Rows of every batch but the last.
pub const STRING_BATCH_ROWS: usize = 4096;
/// Bytes after the footer: its length and Arrow's magic word.
const END: usize = 10;
/// Bytes of a checksum.
const SUM: usize = 8;

fn schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::LargeUtf8, false)]))
}

/// A file that takes the checksums of what an Arrow writer writes.
struct Summed {
    file: AtomicFile,
    /// Of what was written since [`Summed::cut`].
    part: Xxh3Default,
    /// The part of the file after the batches, kept back until it is whole.
    tail: Option<Vec<u8>>,
}

impl Summed {
    /// The checksum of what was written since the last cut.
    fn cut(&mut self) -> u64 {
        let sum = self.part.digest();
        self.part.reset();
        sum
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tail {
            Some(tail) => tail.extend_from_slice(bytes),
            None => {
                self.file.write_all(bytes)?;
                self.part.update(bytes);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one string column row by row.
pub struct StringTableWriter {
    writer: FileWriter<Summed>,
    schema: SchemaRef,
    builder: LargeStringBuilder,
    path: PathBuf,
    rows: u64,
    /// Checksum of the bytes before the batches.
    head: u64,
    /// Checksums of the batches.
    sums: Vec<u64>,
}

impl StringTableWriter {
    /// Creates a table with one column named `column` at `path`.
    pub fn create(path: &Path, column: &str) -> Result<StringTableWriter> {
        let schema = schema(column);
        let file = Summed { file: AtomicFile::create(path)?, part: Xxh3Default::new(), tail: None };
        let mut writer = FileWriter::try_new(file, &schema).map_err(|e| write_error(&e, path))?;
        let head = writer.get_mut().cut();
        Ok(StringTableWriter {
            writer,
            schema,
            builder: LargeStringBuilder::new(),
            path: path.to_owned(),
            rows: 0,
            head,
            sums: Vec::new(),
        })
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
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![column])
            .map_err(|e| write_error(&e, &self.path))?;
        self.writer.write(&batch).map_err(|e| write_error(&e, &self.path))?;
        self.sums.push(self.writer.get_mut().cut());
        Ok(())
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
        let path = self.path;
        self.writer.get_mut().tail = Some(Vec::new());
        self.writer.finish().map_err(|e| write_error(&e, &path))?;
        let Summed { mut file, tail, .. } =
            self.writer.into_inner().map_err(|e| write_error(&e, &path))?;
        let tail = tail.unwrap_or_default();
        let footer = footer_start(&tail).ok_or_else(|| {
            write_error(&ArrowError::IpcError("no footer was written".into()), &path)
        })?;
        let sums: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        file.put(&tail[..footer])?;
        file.put(&sums)?;
        file.put(&frame_sum(self.head, [&tail[..footer], &sums, &tail[footer..]]).to_le_bytes())?;
        file.put(&tail[footer..])?;
        file.commit()
    }
}

/// Where the footer begins in the last bytes of a file.
fn footer_start(tail: &[u8]) -> Option<usize> {
    let end: [u8; END] = tail.last_chunk::<END>().copied()?;
    (tail.len() - END).checked_sub(read_footer_length(end).ok()?)
}

/// The checksum of all bytes that belong to no batch: the checksum of those before the batches,
/// then those after them.
fn frame_sum(head: u64, after: [&[u8]; 3]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&head.to_le_bytes());
    after.iter().for_each(|bytes| hash.update(bytes));
    hash.digest()
}

/// The batches of a table on disk.
struct Batches {
    file: File,
    path: PathBuf,
    decoder: FileDecoder,
    blocks: Vec<Block>,
    sums: Vec<u64>,
}

impl Batches {
    /// Opens a table and compares the checksum of everything but the batches.
    fn open(path: &Path) -> Result<Batches> {
        let bad = |what: &str| corrupt(path, &format!("is not a readable Arrow file ({what})"));
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("open", path)?.len();
        let read = |start: u64, end: u64| read_bytes(&file, path, start, end);
        let end = length.checked_sub(END as u64).ok_or_else(|| bad("it is too short"))?;
        let last: [u8; END] = read(end, length)?.try_into().map_err(|_| bad("it is too short"))?;
        let footer_length = read_footer_length(last).map_err(|e| bad(&e.to_string()))?;
        let footer_start =
            end.checked_sub(footer_length as u64).ok_or_else(|| bad("its footer is too long"))?;
        let footer_bytes = read(footer_start, length)?;
        let footer = arrow_ipc::root_as_footer(&footer_bytes[..footer_length])
            .map_err(|e| bad(&e.to_string()))?;
        let blocks: Vec<Block> = footer
            .recordBatches()
            .map(|blocks| blocks.iter().copied().collect())
            .unwrap_or_default();
        let ends = batch_ends(&blocks).ok_or_else(|| bad("its batches are not contiguous"))?;

        let sums_length = ((blocks.len() + 1) * SUM) as u64;
        let sums_start = footer_start
            .checked_sub(sums_length)
            .ok_or_else(|| bad("its checksums are missing"))?;
        let sums_bytes = read(sums_start, footer_start)?;
        let mut sums: Vec<u64> = sums_bytes
            .chunks_exact(SUM)
            .map(|sum| sum.iter().rev().fold(0, |all, &byte| (all << 8) | u64::from(byte)))
            .collect();
        let expected = sums.pop().unwrap_or_default();
        // Without a batch, what the stream ends with begins right after the head, and is its last 8
        // bytes.
        let (head_end, tail_start) =
            ends.unwrap_or((sums_start.saturating_sub(8), sums_start.saturating_sub(8)));
        if tail_start > sums_start || head_end > tail_start {
            return Err(bad("its batches lie beyond its end"));
        }
        let mut head = Xxh3Default::new();
        head.update(&read(0, head_end)?);
        let batch_sums = &sums_bytes[..sums_bytes.len() - SUM];
        if frame_sum(head.digest(), [&read(tail_start, sums_start)?, batch_sums, &footer_bytes])
            != expected
        {
            return Err(corrupt(path, "does not match its checksum"));
        }
        let schema = footer.schema().ok_or_else(|| bad("it has no schema"))?;
        let schema =
            arrow_ipc::convert::try_fb_to_schema(schema).map_err(|e| bad(&e.to_string()))?;
        let decoder = FileDecoder::new(Arc::new(schema), footer.version());
        Ok(Batches { file, path: path.to_owned(), decoder, blocks, sums })
    }

    /// Reads a batch and compares its checksum.
    fn read(&self, number: usize) -> Result<LargeStringArray> {
        let block = self
            .blocks
            .get(number)
            .ok_or_else(|| corrupt(&self.path, "has fewer rows than expected"))?;
        // `batch_ends` has looked at all blocks.
        let start = block.offset() as u64;
        let bytes = read_bytes(
            &self.file,
            &self.path,
            start,
            start + block.metaDataLength() as u64 + block.bodyLength() as u64,
        )?;
        if xxh3_64(&bytes) != self.sums[number] {
            return Err(corrupt(&self.path, "does not match its checksum"));
        }
        let bad =
            |what: &str| corrupt(&self.path, &format!("is not a readable Arrow file ({what})"));
        // The library panics on some damage that a checksum of it would fit.
        let decode = || {
            self.decoder
                .read_record_batch(block, &Buffer::from_vec(bytes))
                .map_err(|e| bad(&e.to_string()))
        };
        let batch = catch_panic(decode, bad)?;
        let column = batch
            .as_ref()
            .and_then(|b| b.columns().first())
            .and_then(|c| c.as_any().downcast_ref::<LargeStringArray>());
        column.cloned().ok_or_else(|| corrupt(&self.path, "has no LargeUtf8 column first"))
    }
}

fn read_bytes(file: &File, path: &Path, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    failpoint::hit("read", path)
        .and_then(|()| read_exact_at(file, &mut bytes, start))
        .map_err(|e| read_error(&e, path))?;
    Ok(bytes)
}

/// The range of the batches, `Some(None)` without batches; `None` if they are not contiguous.
fn batch_ends(blocks: &[Block]) -> Option<Option<(u64, u64)>> {
    let Some(first) = blocks.first() else { return Some(None) };
    let start = u64::try_from(first.offset()).ok()?;
    let mut at = start;
    for block in blocks {
        if u64::try_from(block.offset()).ok()? != at {
            return None;
        }
        let (meta, body) =
            (u64::try_from(block.metaDataLength()).ok()?, u64::try_from(block.bodyLength()).ok()?);
        at = at.checked_add(meta)?.checked_add(body)?;
    }
    Some(Some((start, at)))
}

/// One string column in memory, as the batches it was stored in. Costs the strings' bytes and 8
/// bytes a row.
pub struct StringTable {
    batches: Vec<LargeStringArray>,
    rows: usize,
}

impl StringTable {
    /// Reads a whole table.
    ///
    /// Errors: `FILE_CORRUPT` when it is no such table, or a byte of it changed.
    pub fn open(path: &Path) -> Result<StringTable> {
        let file = Batches::open(path)?;
        let (mut batches, mut rows, mut short) = (Vec::with_capacity(file.blocks.len()), 0, false);
        for number in 0..file.blocks.len() {
            let column = file.read(number)?;
            if short || column.len() > STRING_BATCH_ROWS {
                return Err(corrupt(path, "has batches of another size"));
            }
            short = column.len() < STRING_BATCH_ROWS;
            rows += column.len();
            batches.push(column);
        }
        Ok(StringTable { batches, rows })
    }

    /// Calls `take` with the place in `rows` and the string of each of these rows, which must rise;
    /// reads batch by batch and holds one.
    ///
    /// Errors: `FILE_CORRUPT` when it is no such table, has fewer rows, or a byte of what is read
    /// changed.
    pub fn pick(path: &Path, rows: &[usize], mut take: impl FnMut(usize, &str)) -> Result<()> {
        let file = Batches::open(path)?;
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at] / STRING_BATCH_ROWS;
            let end = at + rows[at..].partition_point(|&row| row / STRING_BATCH_ROWS == number);
            let column = file.read(number)?;
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
pub fn write_strings<S: AsRef<str>>(
    path: &Path,
    column: &str,
    rows: impl IntoIterator<Item = S>,
) -> Result<Sealed> {
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
    use longweave_common::Code;

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
        assert!(
            picked.iter().enumerate().all(|(i, (at, text))| *at == i && *text == rows[wanted[i]]),
            "{picked:?}"
        );
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
        write_strings(&path, "id", ["some", "rows"]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(
                read_strings(&path).err().unwrap().code(),
                Code::FileCorrupt,
                "{length} bytes"
            );
        }
    }

    #[test]
    fn every_changed_byte_is_found_by_who_reads_its_batch() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t");
        for rows in [0, 3, STRING_BATCH_ROWS + 2] {
            write_strings(
                &path,
                "id",
                (0..rows).map(|i| if i < 10 { format!("row {i}") } else { String::new() }),
            )
            .unwrap();
            let good = std::fs::read(&path).unwrap();
            let step = if rows > 100 { 97 } else { 1 };
            for at in
                (0..good.len()).step_by(step).chain(good.len().saturating_sub(1_000)..good.len())
            {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&path, &bad).unwrap();
                assert_eq!(
                    read_strings(&path).err().unwrap().code(),
                    Code::FileCorrupt,
                    "byte {at} of {rows} rows"
                );
                let all: Vec<usize> = (0..rows).collect();
                let picked = StringTable::pick(&path, &all, |_, _| ());
                assert_eq!(
                    picked.unwrap_err().code(),
                    Code::FileCorrupt,
                    "byte {at} of {rows} rows"
                );
            }
            std::fs::write(&path, &good).unwrap();
            assert_eq!(read_strings(&path).unwrap().len(), rows);
        }
        // A batch that is not asked for is not read.
        let mut bad = std::fs::read(&path).unwrap();
        bad[STRING_BATCH_ROWS] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        StringTable::pick(&path, &[STRING_BATCH_ROWS], |_, text| assert_eq!(text, "")).unwrap();
        assert_eq!(
            StringTable::pick(&path, &[0], |_, _| ()).unwrap_err().code(),
            Code::FileCorrupt
        );
    }
}
