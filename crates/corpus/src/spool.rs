//! Pushed documents, written as a corpus of `.jsonl.zst` files.

use std::io::Write;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::AtomicFile;
use serde::Serialize;

/// Approximate bytes of JSON in a file: small enough that several tasks share the work.
const FILE_BYTES: u64 = 64 << 20;
/// Compression of the spool: fast.
const LEVEL: i32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    queries: &'a [&'a str],
}

/// Writes `00000.jsonl.zst`, `00001.jsonl.zst` … with the fields `id`, `text`, `source`, `queries`. The
/// default id of a document is its number in the stream, from 0.
pub struct SpoolWriter {
    directory: PathBuf,
    files: Vec<PathBuf>,
    open: Option<zstd::stream::write::Encoder<'static, AtomicFile>>,
    bytes: u64,
    documents: u64,
}

impl SpoolWriter {
    /// Begins in `directory`, which is created.
    pub fn create(directory: &Path) -> Result<SpoolWriter> {
        std::fs::create_dir_all(directory).at("create", directory)?;
        Ok(SpoolWriter {
            directory: directory.to_owned(),
            files: Vec::new(),
            open: None,
            bytes: 0,
            documents: 0,
        })
    }

    /// Appends a document.
    pub fn push(
        &mut self,
        id: Option<&str>,
        text: &str,
        source: Option<&str>,
        queries: &[&str],
    ) -> Result<()> {
        if self.open.is_none() {
            let path = self.directory.join(format!("{:05}.jsonl.zst", self.files.len()));
            let file = AtomicFile::create(&path)?;
            self.open = Some(zstd::stream::write::Encoder::new(file, LEVEL).at("write", &path)?);
            self.files.push(path);
        }
        let number = self.documents.to_string();
        let line = Line { id: id.unwrap_or(&number), text, source, queries };
        let mut bytes = serde_json::to_vec(&line)
            .map_err(|e| Error::new(Code::Internal, format!("a document as JSON: {e}")))?;
        bytes.push(b'\n');
        let encoder = self.open.as_mut().expect("opened just above");
        encoder.write_all(&bytes).at("write", &self.directory)?;
        self.documents += 1;
        self.bytes += bytes.len() as u64;
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
