//! The folder of an index that is being built, and the files in it, which are written and read from
//! beginning to end.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};

/// Bytes of a partition's buffer.
pub(crate) const BUFFER: usize = 64 << 10;

/// A folder of its own, removed with everything in it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, in place of what a killed attempt left there.
    pub(crate) fn create(path: &Path) -> Result<Scratch> {
        if path.exists() {
            fs::remove_dir_all(path).at("remove", path)?;
        }
        fs::create_dir_all(path).at("create", path)?;
        Ok(Scratch(path.to_owned()))
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
        // The next attempt removes leftovers, or the removal of the stage's folder does.
        let _ = fs::remove_dir_all(&self.0);
    }
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
        let len = u32::try_from(text.len())
            .map_err(|_| Error::new(Code::Internal, "a phrase has more than 4 GiB"))?;
        self.put(&len.to_le_bytes())?;
        self.put(text.as_bytes())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush().at("write", &self.path)
    }
}

/// Reads a file of the scratch folder from its beginning to its end.
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) file: BufReader<File>,
}

impl Input {
    pub(crate) fn open(path: PathBuf) -> Result<Input> {
        let file = BufReader::with_capacity(BUFFER, File::open(&path).at("open", &path)?);
        Ok(Input { path, file })
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes).at("read", &self.path)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The next text into `text`; false after the last.
    pub(crate) fn text(&mut self, text: &mut String) -> Result<bool> {
        text.clear();
        let mut bytes = [0; 4];
        match self.file.read(&mut bytes[..1]).at("read", &self.path)? {
            0 => return Ok(false),
            _ => self.file.read_exact(&mut bytes[1..]).at("read", &self.path)?,
        }
        let len = u32::from_le_bytes(bytes);
        let read =
            (&mut self.file).take(u64::from(len)).read_to_string(text).at("read", &self.path)?;
        if read < len as usize {
            return Err(Error::new(
                Code::FileCorrupt,
                format!("{} ends in the middle of a phrase", self.path.display()),
            ));
        }
        Ok(true)
    }
}
