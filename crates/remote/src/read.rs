//! Bytes of an object: one after another with read-ahead, or by position through a few blocks that
//! are kept. Every request is on condition that the object is still the one that was listed.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use longweave_common::{Budget, Error, Result};

use crate::pending::Pending;
use crate::{Location, Remote, Stat};

/// Most bytes of a request.
const MOST: u64 = 4 << 20;
/// Fewest bytes of a request, unless the object ends.
const LEAST: u64 = 64 << 10;
/// Requests in progress in addition to the bytes that are being read.
const AHEAD: usize = 2;
/// Blocks that a [`BlockReader`] keeps.
const BLOCKS: usize = 8;

/// Bytes of a request, so that what the readers of `threads` tasks hold stays below an eighth of
/// the memory bound.
fn request_bytes(budget: &Budget, threads: usize) -> u64 {
    (budget.limit() / (8 * BLOCKS as u64 * threads.max(1) as u64)).clamp(LEAST, MOST)
}

/// Reads an object from a position to its end.
pub struct ObjectReader {
    remote: Remote,
    at: Location,
    stat: Stat,
    next: u64,
    ahead_to: u64,
    request: u64,
    waiting: VecDeque<Pending<Bytes>>,
    current: Bytes,
    /// The error of an earlier read: a later read must not return the bytes after those that
    /// failed.
    failed: Option<Error>,
}

impl ObjectReader {
    /// Begins at `start`. Nothing at or after `ahead_to` is asked for before it is read: a split's
    /// last line may end a little later.
    pub fn new(
        remote: &Remote,
        at: &Location,
        stat: &Stat,
        start: u64,
        ahead_to: u64,
        budget: &Budget,
        threads: usize,
    ) -> ObjectReader {
        ObjectReader {
            remote: remote.clone(),
            at: at.clone(),
            stat: stat.clone(),
            next: start,
            ahead_to: ahead_to.min(stat.bytes),
            request: request_bytes(budget, threads),
            waiting: VecDeque::new(),
            current: Bytes::new(),
            failed: None,
        }
    }

    /// Begins requests until enough are under way.
    fn ask(&mut self) {
        while self.next < self.stat.bytes
            && (self.waiting.is_empty()
                || (self.next < self.ahead_to && self.waiting.len() <= AHEAD))
        {
            let end = if self.next < self.ahead_to {
                self.ahead_to.min(self.next + self.request)
            } else {
                self.next + LEAST
            };
            let range = self.next..end.min(self.stat.bytes);
            self.next = range.end;
            self.waiting.push_back(self.remote.store.read(&self.at, &self.stat, range));
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(io::Error::other(error.clone()));
        }
        if self.current.is_empty() {
            self.ask();
            let Some(pending) = self.waiting.pop_front() else { return Ok(0) };
            match pending.wait(&self.remote.cancel) {
                Ok(bytes) => self.current = bytes,
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(io::Error::other(error));
                }
            }
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}

/// Reads an object by position.
pub struct BlockReader {
    remote: Remote,
    at: Location,
    stat: Stat,
    block: u64,
    /// The blocks used last, the newest first.
    kept: Mutex<VecDeque<(u64, Bytes)>>,
}

impl BlockReader {
    /// A reader of an object.
    pub fn new(
        remote: &Remote,
        at: &Location,
        stat: &Stat,
        budget: &Budget,
        threads: usize,
    ) -> BlockReader {
        let block = request_bytes(budget, threads);
        BlockReader {
            remote: remote.clone(),
            at: at.clone(),
            stat: stat.clone(),
            block,
            kept: Mutex::default(),
        }
    }

    /// Length of the object.
    pub fn bytes(&self) -> u64 {
        self.stat.bytes
    }

    /// `len` bytes from `start`; fewer where the object ends. More than a block come with one
    /// request and are not kept.
    pub fn read_at(&self, start: u64, len: u64) -> Result<Bytes> {
        let end = start.saturating_add(len).min(self.stat.bytes);
        if start >= end {
            return Ok(Bytes::new());
        }
        if end - start > self.block {
            return self.remote.read(&self.at, &self.stat, start..end);
        }
        let (first, last) = (start / self.block, (end - 1) / self.block);
        let within = |n: u64, block: &Bytes| {
            let base = n * self.block;
            block.slice(
                (start.max(base) - base) as usize..(end - base).min(block.len() as u64) as usize,
            )
        };
        if first == last {
            return Ok(within(first, &self.block(first)?));
        }
        let mut joined = BytesMut::with_capacity((end - start) as usize);
        for n in first..=last {
            joined.extend_from_slice(&within(n, &self.block(n)?));
        }
        Ok(joined.freeze())
    }

    /// The bytes from `start` to the end of its block: at least one, unless the object ends.
    pub fn read_on(&self, start: u64) -> Result<Bytes> {
        self.read_at(start, self.block - start % self.block)
    }

    fn block(&self, n: u64) -> Result<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(number, _)| *number == n).and_then(|i| kept.remove(i));
        let (_, block) = match found {
            Some(found) => found,
            None => {
                let start = n * self.block;
                (
                    n,
                    self.remote.read(
                        &self.at,
                        &self.stat,
                        start..(start + self.block).min(self.stat.bytes),
                    )?,
                )
            }
        };
        kept.push_front((n, block.clone()));
        kept.truncate(BLOCKS);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longweave_common::{Cancel, Code};

    use super::*;
    use crate::store::memory::{Memory, etag};

    /// An object of `n` bytes, and a handle of its store.
    fn place(n: usize) -> (Arc<Memory>, Remote, Location, Stat, Vec<u8>) {
        let content: Vec<u8> = (0..n).map(|i| (i * 31 % 251) as u8).collect();
        let at = Location::parse("s3://b/x").unwrap();
        let memory = Arc::new(Memory::default());
        memory.0.lock().unwrap().objects.insert(at.clone(), content.clone().into());
        let stat = Stat { bytes: n as u64, etag: etag(&content) };
        (Arc::clone(&memory), Remote { store: memory, cancel: Cancel::new() }, at, stat, content)
    }

    /// A bound that makes requests of 64 KiB.
    fn small() -> Budget {
        Budget::new(1 << 20)
    }

    #[test]
    fn a_stream_gives_every_byte_in_order_and_asks_ahead() {
        let (memory, remote, at, stat, content) = place(1_000_000);
        let mut reader = ObjectReader::new(&remote, &at, &stat, 7, u64::MAX, &small(), 1);
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(memory.0.lock().unwrap().log.len(), 1 + AHEAD);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((byte[0], rest.as_slice()), (content[7], &content[8..]));
    }

    #[test]
    fn nothing_beyond_a_split_is_asked_for_before_it_is_read() {
        let (memory, remote, at, stat, content) = place(500_000);
        let mut reader = ObjectReader::new(&remote, &at, &stat, 0, 100_000, &small(), 1);
        let mut split = vec![0; 100_000];
        reader.read_exact(&mut split).unwrap();
        assert_eq!(memory.0.lock().unwrap().log, ["read 0..65536", "read 65536..100000"]);
        let mut more = vec![0; 10];
        reader.read_exact(&mut more).unwrap();
        assert_eq!(more, &content[100_000..100_010]);
        assert_eq!(memory.0.lock().unwrap().log.len(), 3);
    }

    #[test]
    fn positions_are_read_through_blocks_that_are_asked_for_once() {
        let (memory, remote, at, stat, content) = place(300_000);
        let reader = BlockReader::new(&remote, &at, &stat, &small(), 1);
        for (start, len) in [
            (299_992, 8),
            (290_000, 9_000),
            (65_530, 20),
            (65_536, 10),
            (0, 1),
            (299_999, 100),
            (400_000, 5),
        ] {
            let end = (start + len).min(content.len());
            let expected = content.get(start..end).unwrap_or_default();
            assert_eq!(
                reader.read_at(start as u64, len as u64).unwrap(),
                expected,
                "{start} {len}"
            );
        }
        let log = memory.0.lock().unwrap().log.clone();
        assert_eq!(log, ["read 262144..300000", "read 0..65536", "read 65536..131072"]);
        assert_eq!(reader.read_at(0, 200_000).unwrap(), content[..200_000]);
        assert_eq!(reader.read_on(131_000).unwrap(), content[131_000..131_072]);
    }

    #[test]
    fn an_object_that_changed_and_a_cancelled_run_end_the_reading() {
        let (memory, remote, at, stat, _) = place(200_000);
        memory.0.lock().unwrap().objects.insert(at.clone(), Bytes::from_static(b"other"));
        let mut reader = ObjectReader::new(&remote, &at, &stat, 0, u64::MAX, &small(), 1);
        let error = Error::within(&reader.read(&mut [0; 10]).unwrap_err()).unwrap();
        assert_eq!(error.code(), Code::InputChanged);
        memory.0.lock().unwrap().objects.insert(at.clone(), vec![0; 200_000].into());
        assert!(reader.read(&mut [0; 10]).is_err(), "bytes after those that failed");
        remote.cancel.cancel();
        assert_eq!(remote.stat(&at).unwrap_err().code(), Code::Cancelled);
    }
}
