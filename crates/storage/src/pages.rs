//! Pages of a Parquet file, looked at before they are unpacked: a header of a few bytes can ask for gigabytes. What the library reads
//! goes through [`Pages`], which knows each page's header by the place that is read, and refuses what there is no room for.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::thrift::{Broken, walk};

/// Bytes of a page's header that are looked at first, and at most: it may hold the least and the largest value of its page.
const LOOKED_AT: std::ops::RangeInclusive<u64> = 256..=16 << 20;
/// A byte of a gzip stream unpacks to no more bytes.
const GZIP_RATIO: u64 = 1032;

/// A file whose pages are counted, wherever it is read from.
pub struct Pages<R> {
    file: Arc<R>,
    /// Whether pages may be packed by gzip: the library unpacks these to their end, whatever their headers say.
    gzip: bool,
    room: Arc<Room>,
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

/// What pages may take, and have taken since it was last said to be free.
pub struct Room {
    bytes: u64,
    taken: AtomicU64,
    exceeded: AtomicBool,
}

impl Room {
    /// Room for `bytes` bytes.
    pub fn new(bytes: u64) -> Arc<Room> {
        Arc::new(Room { bytes, taken: AtomicU64::new(0), exceeded: AtomicBool::new(false) })
    }

    /// Says that what was read is not held any more.
    pub fn free(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }

    /// Whether something was refused, since this was last asked.
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
            "pages unpack to {bytes} bytes, more than there is room for"
        )))
    }
}

impl<R> Pages<R> {
    /// The pages of a file; `gzip`: whether some may be packed by gzip.
    pub fn new(file: R, gzip: bool, room: Arc<Room>) -> Pages<R> {
        Pages { file: Arc::new(file), gzip, room, ahead: Arc::default() }
    }
}

impl<R> Clone for Pages<R> {
    fn clone(&self) -> Pages<R> {
        Pages {
            file: Arc::clone(&self.file),
            gzip: self.gzip,
            room: Arc::clone(&self.room),
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

    /// Called where a page's header stands, or where its bytes do, when the header was read before.
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

    /// Called for a page's bytes, which stand behind its header.
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.file.len()) {
            return Err(ParquetError::EOF("a page ends beyond the file".into()));
        }
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let header = ahead.range(..start).next_back().map(|(&at, &page)| (at, page.unpacked));
        if let Some((at, unpacked)) = header {
            ahead.remove(&at);
            self.room.take(unpacked)?;
        }
        drop(ahead);
        let bytes = self.file.get_bytes(start, length)?;
        if self.gzip && length as u64 > self.room.bytes / GZIP_RATIO {
            let unpacked = gzip_size(&bytes, self.room.bytes);
            if unpacked > self.room.bytes {
                self.room.refuse(unpacked)?;
            }
        }
        Ok(bytes)
    }
}

/// What a page says that it unpacks to. A header is a struct of Thrift's compact protocol: kind, bytes unpacked and bytes packed are its first
/// three fields, each a zigzag varint after a byte 0x15 (the next field, a number of 32 bits).
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

/// Bytes that the gzip streams of a page unpack to, counted up to a little more than `most`. In a page of the second version they stand behind its
/// levels, which are no stream: then it begins at the first place that looks like one.
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
    fn room_is_taken_until_it_is_free_again() {
        let room = Room::new(10);
        assert!(
            room.take(6).is_ok()
                && room.take(6).is_err()
                && room.was_exceeded()
                && !room.was_exceeded()
        );
        room.free();
        assert!(room.take(10).is_ok());
    }
}
