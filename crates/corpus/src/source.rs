//! The bytes of a corpus file, local or remote: as a stream from a position, whole, or by position for
//! Parquet and Arrow.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_remote::{BlockReader, Location, ObjectReader, Remote, Stat, is_remote};
use longweave_storage::read_exact_at;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::inventory::{InputFile, place};

/// An input file as it was listed: path and size.
pub(crate) struct CorpusFile {
    path: PathBuf,
    bytes: u64,
    place: Place,
}

enum Place {
    Local,
    Remote { ctx: Ctx, remote: Remote, at: Location, stat: Stat },
}

impl CorpusFile {
    /// A file below the root of its corpus. Nothing is read yet.
    pub(crate) fn open(ctx: &Ctx, root: &str, listed: &InputFile) -> Result<CorpusFile> {
        let path = place(root, &listed.path);
        let place = if is_remote(root) {
            let stat = Stat { bytes: listed.bytes, etag: listed.etag.clone().unwrap_or_default() };
            let at = Location::parse(&path.to_string_lossy())?;
            Place::Remote { ctx: ctx.clone(), remote: Remote::open(&ctx.cancel)?, at, stat }
        } else {
            Place::Local
        };
        Ok(CorpusFile { path, bytes: listed.bytes, place })
    }

    /// The other file of a token file.
    ///
    /// Errors: `INTERNAL` where the list of files has none.
    pub(crate) fn companion(ctx: &Ctx, root: &str, listed: &InputFile) -> Result<CorpusFile> {
        let other = listed.companion.as_ref().ok_or_else(|| {
            let message = format!("{} was listed without the file next to it", listed.path);
            Error::new(Code::Internal, message)
        })?;
        CorpusFile::open(ctx, root, other)
    }

    /// A local file outside the corpus.
    pub(crate) fn local(path: PathBuf) -> CorpusFile {
        CorpusFile { path, bytes: 0, place: Place::Local }
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes from `start` to its end. Bytes from `end` on are not read ahead.
    pub(crate) fn read_from(&self, start: u64, end: u64) -> Result<Box<dyn Read + Send>> {
        match &self.place {
            Place::Local => {
                let mut file = File::open(&self.path).at("open", &self.path)?;
                if start > 0 {
                    file.seek(SeekFrom::Start(start)).at("read", &self.path)?;
                }
                Ok(Box::new(file))
            }
            Place::Remote { ctx, remote, at, stat } => {
                let threads = ctx.pool.current_num_threads();
                Ok(Box::new(ObjectReader::new(remote, at, stat, start, end, &ctx.budget, threads)))
            }
        }
    }

    /// All its bytes, or their number if it has more than `max`.
    pub(crate) fn read_whole(&self, max: u64) -> Result<Result<Vec<u8>, u64>> {
        let length = match self.place {
            Place::Local => std::fs::metadata(&self.path).at("read", &self.path)?.len(),
            Place::Remote { .. } => self.bytes,
        };
        if length > max {
            return Ok(Err(length));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        // No more than was listed: the path may have become an endless file.
        self.read_from(0, u64::MAX)?.take(length).read_to_end(&mut bytes).at("read", &self.path)?;
        Ok(Ok(bytes))
    }

    /// Its bytes by position.
    pub(crate) fn positions(&self) -> Result<Positions> {
        let place = match &self.place {
            Place::Local => By::File(Arc::new(File::open(&self.path).at("open", &self.path)?)),
            Place::Remote { ctx, remote, at, stat } => By::Blocks(Arc::new(BlockReader::new(
                remote,
                at,
                stat,
                &ctx.budget,
                ctx.pool.current_num_threads(),
            ))),
        };
        Ok(Positions { by: place, failed: Arc::default() })
    }
}

/// A file that readers of columns read by position. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Positions {
    by: By,
    /// The first error of reading: the library keeps only the text of errors.
    failed: Arc<Mutex<Option<Error>>>,
}

#[derive(Clone)]
enum By {
    File(Arc<File>),
    Blocks(Arc<BlockReader>),
}

impl Positions {
    /// A local file outside the corpus.
    pub(crate) fn of(path: &Path) -> Result<Positions> {
        Ok(Positions {
            by: By::File(Arc::new(File::open(path).at("open", path)?)),
            failed: Arc::default(),
        })
    }

    /// The error of reading, if one failed: not of the contents.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fills `out` with the bytes from `start` on.
    ///
    /// Errors: `UnexpectedEof` where there are fewer.
    pub(crate) fn read_into(&self, start: u64, mut out: &mut [u8]) -> io::Result<()> {
        let blocks = match &self.by {
            By::File(file) => return read_exact_at(file, out, start),
            By::Blocks(blocks) => blocks,
        };
        let mut at = start;
        while !out.is_empty() {
            let bytes = blocks.read_on(at).map_err(io::Error::other)?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let n = bytes.len().min(out.len());
            let (filled, rest) = std::mem::take(&mut out).split_at_mut(n);
            filled.copy_from_slice(&bytes[..n]);
            (out, at) = (rest, at + n as u64);
        }
        Ok(())
    }

    fn remember(&self, error: Error) -> ParquetError {
        let text = error.message().to_owned();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        ParquetError::General(text)
    }
}

impl Length for Positions {
    fn len(&self) -> u64 {
        match &self.by {
            By::File(file) => Length::len(&**file),
            By::Blocks(blocks) => blocks.bytes(),
        }
    }
}

impl ChunkReader for Positions {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Box<dyn Read>> {
        Ok(match &self.by {
            By::File(file) => {
                let reader: BufReader<File> = file.get_read(start)?;
                Box::new(reader)
            }
            By::Blocks(_) => {
                Box::new(Onwards { positions: self.clone(), at: start, current: Bytes::new() })
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match &self.by {
            By::File(file) => file.get_bytes(start, length),
            By::Blocks(blocks) => {
                let bytes = blocks.read_at(start, length as u64).map_err(|e| self.remember(e))?;
                if bytes.len() == length {
                    return Ok(bytes);
                }
                Err(ParquetError::EOF(format!(
                    "{length} bytes are expected at {start}, {} are there",
                    bytes.len()
                )))
            }
        }
    }
}

/// A remote file from a position on.
struct Onwards {
    positions: Positions,
    at: u64,
    current: Bytes,
}

impl Read for Onwards {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let By::Blocks(blocks) = &self.positions.by else { return Ok(0) };
        if self.current.is_empty() {
            self.current = blocks
                .read_on(self.at)
                .map_err(|e| io::Error::other(self.positions.remember(e)))?;
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        self.at += n as u64;
        Ok(n)
    }
}
