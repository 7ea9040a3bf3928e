//! Lines of a JSONL file, plain or packed, whole or a byte range. A line ends at "\n" alone; one that holds only white space is no row.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use memchr::memchr;

use crate::{Packing, Range};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes read from a file at once.
pub(crate) const BUFFER: usize = 1 << 20;

/// Reads the lines of one split.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    packing: Packing,
    /// Bytes of the unpacked file before the next line.
    at: u64,
    /// Lines that begin here or later are another split's.
    end: u64,
    /// Whether the next line is the file's first.
    first: bool,
}

/// A line that is a row.
pub(crate) enum Line {
    /// It stands in the buffer.
    Whole,
    /// It has more bytes than a row may have, and was passed over.
    TooLong,
}

impl Lines {
    pub(crate) fn open(path: &Path, packing: Packing, range: Range) -> Result<Lines> {
        let mut file = File::open(path).at("open", path)?;
        let (mut at, mut end) = (0, u64::MAX);
        let mut inside_line = false;
        let mut first = true;
        if let Range::Part { part, .. } = range {
            first = part == 0;
        }
        if let Range::Bytes { start, end: last } = range {
            (at, end) = (start, last);
            if start > 0 {
                first = false;
                // Begin one byte earlier: whether a line starts at `start` is told by what stands before it.
                let mut before = [0];
                file.seek(SeekFrom::Start(start - 1)).and_then(|_| file.read_exact(&mut before)).at("read", path)?;
                inside_line = before[0] != b'\n';
            }
        }
        let input = unpacked(BufReader::with_capacity(BUFFER, file), packing).at("read", path)?;
        let mut lines = Lines { input, path: path.to_owned(), packing, at, end, first };
        if inside_line {
            lines.skip_line()?;
        }
        Ok(lines)
    }

    /// Reads the next row's line into `line`, without its end; `None` after the last. At most `max` bytes are kept.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>, max: u64) -> Result<Option<Line>> {
        loop {
            line.clear();
            if self.at >= self.end {
                return Ok(None);
            }
            let first = std::mem::take(&mut self.first);
            let mut any = false;
            let mut too_long = false;
            loop {
                let available = self.fill()?;
                if available.is_empty() {
                    break;
                }
                any = true;
                let end = memchr(b'\n', available);
                let part = &available[..end.unwrap_or(available.len())];
                if line.len() as u64 + part.len() as u64 > max {
                    too_long = true;
                } else if !too_long {
                    line.extend_from_slice(part);
                }
                let taken = part.len() + usize::from(end.is_some());
                self.take(taken);
                if end.is_some() {
                    break;
                }
            }
            if too_long {
                line.clear();
                return Ok(Some(Line::TooLong));
            }
            if !any {
                return Ok(None);
            }
            if first && line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Line::Whole));
            }
        }
    }

    fn skip_line(&mut self) -> Result<()> {
        loop {
            let available = self.fill()?;
            let end = memchr(b'\n', available);
            let taken = end.map_or(available.len(), |i| i + 1);
            if taken == 0 {
                return Ok(());
            }
            self.take(taken);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    fn fill(&mut self) -> Result<&[u8]> {
        match self.input.fill_buf() {
            Ok(available) => Ok(available),
            Err(e) => Err(unreadable(&e, &self.path, self.packing)),
        }
    }

    fn take(&mut self, n: usize) {
        self.input.consume(n);
        self.at += n as u64;
    }
}

/// What a packed file holds.
pub(crate) fn unpacked(packed: impl BufRead + Send + 'static, packing: Packing) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(packed))),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(31)?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    })
}

/// An error while reading a packed file is damage; of a plain one, the system's.
pub(crate) fn unreadable(error: &io::Error, path: &Path, packing: Packing) -> Error {
    let name = match packing {
        Packing::Plain => return Error::io(error, "read", path),
        Packing::Gzip => "gzip",
        Packing::Zstd => "zstd",
    };
    let message = format!(
        "{} is truncated or damaged: its {name} stream cannot be read to the end ({error}); fetch or pack it again",
        path.display()
    );
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}
