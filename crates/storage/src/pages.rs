//! Pages of a Parquet file, checked before they are decompressed: a header of a few bytes can ask
//! for gigabytes. Each read of the library goes through [`Pages`], which knows each page's header
//! by the place that is read, and refuses a page that exceeds the budget.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::thrift::{Broken, walk};

/// Bytes of a page's header that are looked at first, and at most: it may hold the least and the
/// largest value of its page.
const LOOKED_AT: std::ops::RangeInclusive<u64> = 256..=16 << 20;
/// A byte of a gzip stream unpacks to no more bytes.
const GZIP_RATIO: u64 = 1032;

/// A file whose pages are counted, wherever it is read from.
pub struct Pages<R> {
    file: Arc<R>,
    /// Whether pages may be packed by gzip: the library unpacks these to their end, whatever their
    /// headers say.
    gzip: bool,
    budget: Arc<PageBudget>,
    /// Pages that were looked at and not read, by the place of the header.
    ahead: Arc<Mutex<BTreeMap<u64, Ahead>>>,
}

/// A page whose header was read.
#[derive(Clone, Copy)]
struct Ahead {
    /// Bytes that it says it unpacks to.
    unpacked: u64,
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
    /// The pages of a file; `gzip`: whether some may be packed by gzip.
    pub fn new(file: R, gzip: bool, budget: Arc<PageBudget>) -> Pages<R> {
        Pages { file: Arc::new(file), gzip, budget, ahead: Arc::default() }
    }
}

impl<R> Clone for Pages<R> {
    fn clone(&self) -> Pages<R> {
        Pages {
            file: Arc::clone(&self.file),
            gzip: self.gzip,
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
            match walk(&head, left) {
                Ok(header) => break header as u64,
                Err(Broken::Short) if length < left.min(*LOOKED_AT.end()) => length *= 16,
                Err(_) => {
                    return Err(ParquetError::General("a page's header cannot be read".into()));
                }
            }
        };
        let unpacked = unpacked_size(&head)
            .ok_or_else(|| ParquetError::General("a page's header cannot be read".into()))?;
        self.ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(start, Ahead { unpacked, body: start + header });
        self.file.get_read(start)
    }

    /// Called for a page's bytes, which follow its header.
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.file.len()) {
            return Err(ParquetError::EOF("a page ends beyond the file".into()));
        }
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let header = ahead.range(..start).next_back().map(|(&at, &page)| (at, page.unpacked));
        if let Some((at, unpacked)) = header {
            ahead.remove(&at);
            self.budget.take(unpacked)?;
        }
        drop(ahead);
        let bytes = self.file.get_bytes(start, length)?;
        if self.gzip && length as u64 > self.budget.bytes / GZIP_RATIO {
            let unpacked = gzip_size(&bytes, self.budget.bytes);
            if unpacked > self.budget.bytes {
                self.budget.refuse(unpacked)?;
            }
        }
        Ok(bytes)
    }
}

/// The decompressed size that a page declares. A header is a struct of Thrift's compact protocol:
/// kind, decompressed and compressed bytes are its first three fields, each a zigzag varint after a
/// byte 0x15 (the next field, a number of 32 bits).
fn unpacked_size(head: &[u8]) -> Option<u64> {
    let mut at = 0;
    let mut number = || {
        if *head.get(at)? != 0x15 {
            return None;
        }
        at += 1;
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = *head.get(at)?;
            at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
            if shift > 35 {
                return None;
            }
        }
    };
    let _kind = number()?;
    u64::try_from(number()?).ok()
}

/// Bytes that the gzip streams of a page decompress to, counted up to a little more than `most`. In
/// a page of version 2 they follow its levels, which are not compressed: the stream then begins at
/// the first place that looks like one.
fn gzip_size(page: &[u8], most: u64) -> u64 {
    let start = memchr::memmem::find(page, &[0x1f, 0x8b, 0x08]).unwrap_or(page.len());
    let mut unpacked = MultiGzDecoder::new(&page[start..]).take(most.saturating_add(1));
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
    fn a_page_says_what_it_unpacks_to() {
        assert_eq!(unpacked_size(&[0x15, 0x00, 0x15, 0x9a, 0x01, 0x15, 0x04]), Some(77));
        assert_eq!(
            unpacked_size(&[0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
            Some(0x7fff_ffff)
        );
        for head in [
            &[][..],
            &[0x15],
            &[0x15, 0, 0x15, 0x01],
            &[0x19, 0, 0x15, 2],
            &[0x15, 0, 0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(unpacked_size(head), None, "{head:?}");
        }
    }

    #[test]
    fn a_gzip_stream_is_counted_up_to_what_matters_wherever_it_begins() {
        let mut encoder = flate2::write::GzEncoder::new(vec![7, 7, 7], flate2::Compression::best());
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
