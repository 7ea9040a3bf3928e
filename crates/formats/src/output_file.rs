//! A file of an output: it appears whole or not at all, and its sums are taken while it is written,
//! so that nobody reads it again for the manifest.

use std::io::{self, Write};
use std::path::Path;

use longweave_common::Result;
use longweave_storage::{AtomicFile, Sealed, Sha256Sum};

/// Bytes that are gathered before they are written and summed.
const GATHERED: usize = 256 << 10;

/// A file that is being written.
pub(crate) struct OutputFile {
    file: AtomicFile,
    sha256: Box<Sha256Sum>,
    gathered: Vec<u8>,
}

/// The length and the sums of a file that is in place.
pub(crate) struct Sums {
    pub(crate) sealed: Sealed,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
}

impl OutputFile {
    /// As [`AtomicFile::create`].
    pub(crate) fn create(target: &Path) -> Result<OutputFile> {
        Ok(OutputFile {
            file: AtomicFile::create(target)?,
            sha256: Box::default(),
            gathered: Vec::with_capacity(GATHERED),
        })
    }

    /// Appends `bytes`.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| self.file.error(&e))
    }

    /// Puts the file in its place.
    pub(crate) fn commit(mut self) -> Result<Sums> {
        self.pass_on().map_err(|e| self.file.error(&e))?;
        let OutputFile { file, sha256, .. } = self;
        Ok(Sums { sealed: file.commit()?, sha256: sha256.finish() })
    }

    /// Writes and sums what was gathered.
    fn pass_on(&mut self) -> io::Result<()> {
        both(&mut self.file, &mut self.sha256, &self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

/// Writes bytes, and sums them meanwhile on another thread of the pool that this is called on.
fn both(file: &mut AtomicFile, sha256: &mut Sha256Sum, bytes: &[u8]) -> io::Result<()> {
    let (mut write, mut sum) = (|| file.write_all(bytes), || sha256.update(bytes));
    if rayon::current_thread_index().is_none() || rayon::current_num_threads() == 1 {
        sum();
        return write();
    }
    rayon::join(write, sum).0
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.len() + bytes.len() >= GATHERED {
            self.pass_on()?;
        }
        if bytes.len() >= GATHERED {
            both(&mut self.file, &mut self.sha256, bytes)?;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use longweave_storage::checksum_file;
    use proptest::prelude::*;
    use rayon::ThreadPoolBuilder;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn sums_are_those_of_the_file_that_stands_there(
            lengths in prop::collection::vec(prop_oneof![0usize..40, 0..GATHERED + 2, Just(GATHERED), Just(3 * GATHERED + 1)], 0..8),
            threads in 0usize..4, flush: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let bytes: Vec<Vec<u8>> = (1u8..).zip(lengths).map(|(i, n)| (0..n).map(|at| at as u8 ^ i).collect()).collect();
            let write = || {
                let mut file = OutputFile::create(&path).unwrap();
                bytes.iter().for_each(|bytes| file.put(bytes).unwrap());
                if flush {
                    file.flush().unwrap();
                }
                file.commit().unwrap()
            };
            // Without a pool as well.
            let sums = match threads {
                0 => write(),
                n => ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(write),
            };
            prop_assert_eq!(std::fs::read(&path).unwrap(), bytes.concat());
            let (length, xxh3, sha256) = checksum_file(&path).unwrap();
            prop_assert_eq!((sums.sealed, sums.sha256), (Sealed { bytes: length, xxh3 }, sha256));
        }
    }
}
