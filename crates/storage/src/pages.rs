//! Pages of a Parquet file, checked before they are decompressed: a header of a few bytes can ask
//! for gigabytes. Each read of the library goes through [`Pages`], which knows each page's header
//! by the place that is read, and refuses a page that exceeds the budget.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use crate::thrift::{Broken, PageHeader, page_header};

/// Bytes of a page's header that are looked at first, and at most: it may hold the least and the
/// largest value of its page.
const LOOKED_AT: std::ops::RangeInclusive<u64> = 256..=16 << 20;
/// A byte of a gzip stream unpacks to no more bytes.
const GZIP_RATIO: u64 = 1032;
/// A byte of an LZ4 frame unpacks to no more bytes.
const LZ4_RATIO: u64 = 255;
/// The first bytes of an LZ4 frame. Pages of the codec LZ4 are such frames where an early version
/// of the library wrote them.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Bytes of input that a brotli stream's decoder reads at once.
const BROTLI_BUFFER: usize = 16 << 10;

/// A file whose pages are counted, wherever it is read from.
pub struct Pages<R> {
    file: Arc<R>,
    endless: Endless,
    budget: Arc<PageBudget>,
    /// Pages that were looked at and not read, by the place of the header.
    ahead: Arc<Mutex<BTreeMap<u64, Ahead>>>,
}

/// The codecs that a file's columns use among those which the library unpacks to the end of their
/// streams, whatever the headers of pages say.
#[derive(Clone, Copy, Default)]
struct Endless {
    gzip: bool,
    brotli: bool,
    lz4: bool,
}

impl Endless {
    fn of(metadata: &ParquetMetaData) -> Endless {
        let mut found = Endless::default();
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            match column.compression() {
                Compression::GZIP(_) => found.gzip = true,
                Compression::BROTLI(_) => found.brotli = true,
                Compression::LZ4 => found.lz4 = true,
                _ => {}
            }
        }
        found
    }

    /// Bytes that a page's values unpack to, counted up to a little more than `most`, where they
    /// may be more than that.
    fn count(self, values: &[u8], most: u64) -> u64 {
        let length = values.len() as u64;
        let mut counted = 0;
        if self.gzip && length > most / GZIP_RATIO {
            counted = gzip_size(values, most);
        }
        if self.brotli {
            let stream = brotli_decompressor::Decompressor::new(values, BROTLI_BUFFER);
            counted = counted.max(unpacked_size(stream, most));
        }
        if self.lz4 && values.starts_with(&LZ4_FRAME) && length > most / LZ4_RATIO {
            counted = counted.max(length.saturating_mul(LZ4_RATIO));
        }
        counted
    }
}

/// A page whose header was read.
#[derive(Clone, Copy)]
struct Ahead {
    header: PageHeader,
    /// Where the header ends.
    body: u64,
}

/// The most bytes that pages may take, and the bytes taken since the last release.
pub struct PageBudget {
    bytes: u64,
    taken: AtomicU64,
    exceeded: AtomicBool,
}

impl PageBudget {
    /// A budget of `bytes` bytes.
    pub fn new(bytes: u64) -> Arc<PageBudget> {
        Arc::new(PageBudget { bytes, taken: AtomicU64::new(0), exceeded: AtomicBool::new(false) })
    }

    /// Releases the bytes of the pages read so far.
    pub fn free(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }

    /// Whether a page was refused since the last call.
    pub fn was_exceeded(&self) -> bool {
        self.exceeded.swap(false, Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken > self.bytes {
            return self.refuse(taken);
        }
        Ok(())
    }

    fn refuse(&self, bytes: u64) -> Result<()> {
        self.exceeded.store(true, Ordering::Relaxed);
        Err(ParquetError::General(format!(
            "pages decompress to {bytes} bytes, but may take at most {}",
            self.bytes
        )))
    }
}

impl<R> Pages<R> {
    /// The pages of a file with this metadata.
    pub fn new(file: R, metadata: &ParquetMetaData, budget: Arc<PageBudget>) -> Pages<R> {
        let endless = Endless::of(metadata);
        Pages { file: Arc::new(file), endless, budget, ahead: Arc::default() }
    }
}

impl<R> Clone for Pages<R> {
    fn clone(&self) -> Pages<R> {
        Pages {
            file: Arc::clone(&self.file),
            endless: self.endless,
            budget: Arc::clone(&self.budget),
            ahead: Arc::clone(&self.ahead),
        }
    }
}

impl<R: Length> Length for Pages<R> {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl<R: ChunkReader> ChunkReader for Pages<R> {
    type T = R::T;

    /// Called at the place of a page's header, or of its bytes when the header was read before.
    fn get_read(&self, start: u64) -> Result<R::T> {
        let before = self
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .range(..start)
            .next_back()
            .map(|(_, &page)| page);
        if before.is_some_and(|page| page.body == start) {
            return self.file.get_read(start);
        }
        let (mut head, mut length) = (Vec::new(), *LOOKED_AT.start());
        let left = self.file.len().saturating_sub(start);
        let header = loop {
            head.clear();
            self.file.get_read(start)?.take(length).read_to_end(&mut head)?;
            match page_header(&head, left) {
                Ok(header) => break header,
                Err(Broken::Short) if length < left.min(*LOOKED_AT.end()) => length *= 16,
                Err(_) => {
                    return Err(ParquetError::General("a page's header cannot be read".into()));
                }
            }
        };
        self.ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(start, Ahead { header, body: start + header.length as u64 });
        self.file.get_read(start)
    }

    /// Called for a page's bytes, which follow its header.
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.file.len()) {
            return Err(ParquetError::EOF("a page ends beyond the file".into()));
        }
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let page = ahead.range(..start).next_back().map(|(&at, &page)| (at, page.header));
        if let Some((at, header)) = page {
            ahead.remove(&at);
            self.budget.take(header.unpacked)?;
        }
        drop(ahead);
        let header = page.map(|(_, header)| header).unwrap_or_default();
        let bytes = self.file.get_bytes(start, length)?;
        if !header.plain {
            let values = bytes.get(header.levels as usize..).unwrap_or_default();
            let unpacked = self.endless.count(values, self.budget.bytes);
            if unpacked > self.budget.bytes {
                self.budget.refuse(unpacked)?;
            }
        }
        Ok(bytes)
    }
}

/// Bytes that the gzip streams of a page decompress to, counted up to a little more than `most`.
fn gzip_size(page: &[u8], most: u64) -> u64 {
    unpacked_size(MultiGzDecoder::new(page), most)
}

/// Bytes that a stream decompresses to, counted up to a little more than `most`.
fn unpacked_size(stream: impl Read, most: u64) -> u64 {
    let mut unpacked = stream.take(most.saturating_add(1));
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    while let Ok(n @ 1..) = unpacked.read(&mut buffer) {
        total += n as u64;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_gzip_stream_is_counted_up_to_what_matters() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        let page = encoder.finish().unwrap();
        assert_eq!(gzip_size(&page, 1 << 30), 1 << 20);
        assert_eq!(gzip_size(&page, 1000), 1001);
        assert_eq!(gzip_size(&[1, 2, 3], 1000), 0);
    }

    #[test]
    fn bytes_are_taken_until_they_are_freed() {
        let budget = PageBudget::new(10);
        assert!(
            budget.take(6).is_ok()
                && budget.take(6).is_err()
                && budget.was_exceeded()
                && !budget.was_exceeded()
        );
        budget.free();
        assert!(budget.take(10).is_ok());
    }
}
