//! The folder of an index that is being built, and the files in it, which are written and read from
//! beginning to end.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{process_token, with_suffix};

/// Bytes of a partition's buffer.
pub(crate) const BUFFER: usize = 64 << 10;

/// A folder of its own, removed with everything in it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder. Its name has the token of the process, so that attempts on two machines do
    /// not share it; those of killed attempts are removed with [`sweep_scratch`].
    pub(crate) fn create(path: &Path) -> Result<Scratch> {
        let path = with_suffix(path, &format!("-{}", process_token()));
        if path.exists() {
            fs::remove_dir_all(&path).at("remove", &path)?;
        }
        fs::create_dir_all(&path).at("create", &path)?;
        Ok(Scratch(path))
    }

    pub(crate) fn file(&self, partition: usize, kind: &str) -> PathBuf {
        self.0.join(format!("{partition:03}.{kind}"))
    }

    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A sweep removes leftovers, or the removal of the stage's folder does.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders that attempts at `path` left. The caller knows that none is in progress.
pub fn sweep_scratch(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return;
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let own = entry.file_name();
        let own = own.to_str().and_then(|own| own.strip_prefix(name));
        if own.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            // One that cannot be removed costs only space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The bytes that a text of a file follows.
fn text_len(text: &str) -> Result<[u8; 4]> {
    let len = u32::try_from(text.len())
        .map_err(|_| Error::new(Code::Internal, "a phrase has more than 4 GiB"))?;
    Ok(len.to_le_bytes())
}

/// Appends a text as files hold it.
pub(crate) fn push_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&text_len(text)?);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Writes to a file of the scratch folder.
pub(crate) struct Output {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Output {
    pub(crate) fn create(path: PathBuf) -> Result<Output> {
        let file = BufWriter::with_capacity(BUFFER, File::create(&path).at("create", &path)?);
        Ok(Output { path, file })
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).at("write", &self.path)
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.put(&text_len(text)?)?;
        self.put(text.as_bytes())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush().at("write", &self.path)
    }
}

/// Reads a file of the scratch folder from its beginning to its end.
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    file: File,
    /// Bytes that were read; those before `at` are used up.
    buffer: Vec<u8>,
    at: usize,
}

impl Input {
    pub(crate) fn open(path: PathBuf) -> Result<Input> {
        let file = File::open(&path).at("open", &path)?;
        Ok(Input { path, file, buffer: Vec::new(), at: 0 })
    }

    /// Reads on until `bytes` are there, or all that are left.
    fn fill(&mut self, bytes: usize) -> Result<()> {
        if self.buffer.len() - self.at < bytes {
            self.buffer.drain(..self.at);
            self.at = 0;
            let missing = BUFFER.max(bytes) - self.buffer.len();
            let mut more = (&mut self.file).take(missing as u64);
            more.read_to_end(&mut self.buffer).at("read", &self.path)?;
        }
        Ok(())
    }

    fn cut(&self) -> Error {
        let message = format!("{} ends in the middle of an entry", self.path.display());
        Error::new(Code::FileCorrupt, message)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.fill(4)?;
        let bytes = self.buffer[self.at..].first_chunk().ok_or_else(|| self.cut())?;
        self.at += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// The next text; `None` after the last.
    pub(crate) fn text(&mut self) -> Result<Option<&str>> {
        self.fill(4)?;
        if self.at == self.buffer.len() {
            return Ok(None);
        }
        let len = self.u32()? as usize;
        self.fill(len)?;
        let begin = self.at;
        self.at = begin.saturating_add(len).min(self.buffer.len());
        let text = &self.buffer[begin..self.at];
        match str::from_utf8(text) {
            Ok(text) if text.len() == len => Ok(Some(text)),
            _ => Err(self.cut()),
        }
    }
}
