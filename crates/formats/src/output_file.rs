//! A file of an output: it appears whole or not at all, and its sums are taken while it is written,
//! so that nobody reads it again for the manifest. SHA-256 is slower than writing: a thread of the
//! file's own takes it, so that no thread of the pool waits.

use std::io::{self, Write};
use std::mem::take;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use longweave_common::{Code, Error, Result};
use longweave_storage::{AtomicFile, Sealed, Sha256Sum};

/// Bytes that are summed at once.
const BLOCK: usize = 1 << 20;
/// Blocks that wait for the thread.
const WAITING: usize = 2;
/// Bytes that a file holds: blocks that are gathered, wait and are summed.
pub(crate) const HELD: u64 = ((WAITING + 2) * BLOCK) as u64;

/// A file that is being written.
pub(crate) struct OutputFile {
    file: AtomicFile,
    gathered: Vec<u8>,
    /// None before the first block.
    summing: Option<Summing>,
}

/// The length and the sums of a file that is in place.
pub(crate) struct Sums {
    pub(crate) sealed: Sealed,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// The SHA-256 of what was written.
enum Summing {
    /// Of a small file, and where there are no more threads.
    Here(Box<Sha256Sum>),
    There(Summer),
}

/// The thread.
struct Summer {
    blocks: SyncSender<Vec<u8>>,
    /// Blocks that were summed, for their memory.
    free: Receiver<Vec<u8>>,
    thread: JoinHandle<Sha256Sum>,
}

impl Summer {
    fn start() -> io::Result<Summer> {
        let ((blocks, waiting), (give, free)) = (sync_channel(WAITING), channel());
        let thread = Builder::new()
            .name("longweave-sha256".to_owned())
            .spawn(move || sum_all(&waiting, &give))?;
        Ok(Summer { blocks, free, thread })
    }
}

/// Sums blocks until no more come.
fn sum_all(blocks: &Receiver<Vec<u8>>, free: &Sender<Vec<u8>>) -> Sha256Sum {
    let mut sum = Sha256Sum::default();
    for mut block in blocks {
        sum.update(&block);
        block.clear();
        // The file's writer may be gone.
        let _ = free.send(block);
    }
    sum
}

impl OutputFile {
    /// As [`AtomicFile::create`].
    pub(crate) fn create(target: &Path) -> Result<OutputFile> {
        Ok(OutputFile { file: AtomicFile::create(target)?, gathered: Vec::new(), summing: None })
    }

    /// Appends `bytes`.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| self.file.error(&e))
    }

    /// Puts the file in its place.
    pub(crate) fn commit(mut self) -> Result<Sums> {
        // A small file needs no thread.
        self.summing.get_or_insert_with(|| Summing::Here(Box::default()));
        self.pass_on();
        let (sealed, sum) = match self.summing {
            Some(Summing::There(Summer { blocks, thread, .. })) => {
                drop(blocks);
                // The last blocks are summed while the file becomes durable.
                let sealed = self.file.commit()?;
                let lost = |_| Error::new(Code::Internal, "the thread of a file's sum ended early");
                (sealed, thread.join().map_err(lost)?)
            }
            Some(Summing::Here(sum)) => (self.file.commit()?, *sum),
            None => (self.file.commit()?, Sha256Sum::default()),
        };
        Ok(Sums { sealed, sha256: sum.finish() })
    }

    /// Has what was gathered summed.
    fn pass_on(&mut self) {
        let here = |_| Summing::Here(Box::default());
        let start = || Summer::start().map_or_else(here, Summing::There);
        match self.summing.get_or_insert_with(start) {
            Summing::Here(sum) => {
                sum.update(&self.gathered);
                self.gathered.clear();
            }
            Summing::There(Summer { blocks, free, .. }) => {
                // It fails where the thread has ended, of which `commit` tells.
                let _ = blocks.send(take(&mut self.gathered));
                self.gathered = free.try_recv().unwrap_or_default();
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        let mut rest = bytes;
        while self.gathered.len() + rest.len() >= BLOCK {
            let (now, later) = rest.split_at(BLOCK - self.gathered.len());
            self.gathered.extend_from_slice(now);
            rest = later;
            self.pass_on();
        }
        self.gathered.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use longweave_storage::checksum_file;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn sums_are_those_of_the_file_that_stands_there(
            lengths in prop::collection::vec(prop_oneof![0usize..40, 0..BLOCK + 2, Just(BLOCK), Just(3 * BLOCK + 1)], 0..8),
            threads: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let bytes: Vec<Vec<u8>> = (1u8..).zip(lengths).map(|(i, n)| (0..n).map(|at| at as u8 ^ i).collect()).collect();
            let mut file = OutputFile::create(&path).unwrap();
            if !threads {
                file.summing = Some(Summing::Here(Box::default()));
            }
            bytes.iter().for_each(|bytes| file.put(bytes).unwrap());
            let sums = file.commit().unwrap();
            prop_assert_eq!(std::fs::read(&path).unwrap(), bytes.concat());
            let (length, xxh3, sha256) = checksum_file(&path).unwrap();
            prop_assert_eq!((sums.sealed, sums.sha256), (Sealed { bytes: length, xxh3 }, sha256));
        }
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing_and_ends_its_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = OutputFile::create(&path).unwrap();
        file.put(&vec![1; 9 * BLOCK]).unwrap();
        let Some(Summing::There(summer)) = file.summing.take() else { panic!("no thread") };
        drop((file, summer.blocks));
        summer.thread.join().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
