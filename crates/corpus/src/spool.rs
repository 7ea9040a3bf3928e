//! Pushed documents, written as a corpus of `.jsonl.zst` files.

use std::io::Write;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::AtomicFile;

/// Approximate bytes of JSON in a file: small enough that several tasks share the work.
const FILE_BYTES: u64 = 64 << 20;
/// Compression of the spool: fast.
const LEVEL: i32 = 1;

/// Writes `00000.jsonl.zst`, `00001.jsonl.zst` … of the rows as they are pushed. Whether a row is a
/// document is decided when it is read, as for any other corpus.
pub struct SpoolWriter {
    directory: PathBuf,
    files: Vec<PathBuf>,
    open: Option<zstd::stream::write::Encoder<'static, AtomicFile>>,
    bytes: u64,
}

impl SpoolWriter {
    /// Begins in `directory`, which is created.
    pub fn create(directory: &Path) -> Result<SpoolWriter> {
        std::fs::create_dir_all(directory).at("create", directory)?;
        Ok(SpoolWriter { directory: directory.to_owned(), files: Vec::new(), open: None, bytes: 0 })
    }

    /// Appends rows: JSON, one a line, each with a line feed.
    pub fn push(&mut self, rows: &str) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.open.is_none() {
            let path = self.directory.join(format!("{:05}.jsonl.zst", self.files.len()));
            let file = AtomicFile::create(&path)?;
            self.open = Some(zstd::stream::write::Encoder::new(file, LEVEL).at("write", &path)?);
            self.files.push(path);
        }
        let encoder = self.open.as_mut().expect("opened just above");
        encoder.write_all(rows.as_bytes()).at("write", &self.directory)?;
        self.bytes += rows.len() as u64;
        if self.bytes >= FILE_BYTES { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        self.bytes = 0;
        match self.open.take() {
            Some(encoder) => encoder.finish().at("write", &self.directory)?.commit().map(|_| ()),
            None => Ok(()),
        }
    }

    /// Puts the last file in place. Returns the files' paths.
    ///
    /// Errors: `CORPUS_EMPTY` when nothing was pushed.
    pub fn finish(mut self) -> Result<Vec<PathBuf>> {
        self.close()?;
        if self.files.is_empty() {
            return Err(Error::new(Code::CorpusEmpty, "no document was pushed"));
        }
        Ok(self.files)
    }
}
