//! Lines of a JSONL file, plain or packed, whole or a byte range. A line ends at "\n" alone; one that holds only white space is no row.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use memchr::memchr;

use crate::source::CorpusFile;
use crate::{Packing, Range};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes read from a file at once.
pub(crate) const BUFFER: usize = 1 << 20;
/// White space at the beginning of a line is kept up to this many bytes.
const MOST_BLANK: usize = 1 << 20;
/// Bytes of a buffer that is kept for the next row.
pub(crate) const KEPT: usize = 4 << 20;
/// The windows of zstd that every reader must allow have up to 2²³ bytes; beyond 2³¹ there are none.
const WINDOW_LOGS: std::ops::RangeInclusive<u32> = 23..=31;

/// Reads the lines of one split.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    packing: Packing,
    /// Bytes of the unpacked file before the next line.
    at: u64,
    /// Of these, those that were read for rows.
    taken: u64,
    /// Lines that begin here or later are another split's.
    end: u64,
    /// Whether the next line is the file's first.
    first: bool,
    /// The line that is being read.
    begun: Option<Begun>,
    cancel: Cancel,
    /// The largest window of zstd that is allowed, as a power of two.
    window_log: u32,
}

/// How much of a line is kept.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// A longer line is no row that can be used.
    pub(crate) max: u64,
    /// There is no memory for a longer one.
    pub(crate) room: u64,
    /// No more of it is wanted.
    pub(crate) wanted: u64,
}

/// What is known of a line so far.
#[derive(Default)]
struct Begun {
    /// Bytes so far, white space that was dropped counted.
    bytes: u64,
    first: bool,
    any: bool,
    /// It has more than was wanted.
    more: bool,
    ended: bool,
    too_long: bool,
    no_room: bool,
}

/// A line that is a row.
pub(crate) enum Line {
    /// It stands in the buffer.
    Whole,
    /// It has more bytes than a row may have, and was passed over.
    TooLong,
    /// It has more bytes than there is memory for; it was passed over.
    NoRoom,
}

impl Lines {
    pub(crate) fn open(
        ctx: &Ctx,
        source: &CorpusFile,
        packing: Packing,
        range: Range,
    ) -> Result<Lines> {
        let path = source.path();
        let (mut at, mut end) = (0, u64::MAX);
        let mut inside_line = false;
        let mut first = true;
        if let Range::Part { part, .. } = range {
            first = part == 0;
        }
        if let Range::Bytes { start, end: last } = range {
            (at, end) = (start, last);
        }
        // Begin one byte earlier: whether a line starts at `start` is told by what stands before it.
        let mut file = source.read_from(at.saturating_sub(1), end)?;
        if at > 0 {
            first = false;
            let mut before = [0];
            file.read_exact(&mut before).at("read", path)?;
            inside_line = before[0] != b'\n';
        }
        let input =
            unpacked(ctx, BufReader::with_capacity(BUFFER, file), packing).at("read", path)?;
        let (path, cancel, window_log) = (path.to_owned(), ctx.cancel.clone(), window_log(ctx));
        let mut lines = Lines {
            input,
            path,
            packing,
            at,
            end,
            taken: 0,
            first,
            begun: None,
            cancel,
            window_log,
        };
        if inside_line {
            lines.skip_line()?;
            lines.taken = 0;
        }
        Ok(lines)
    }

    /// Bytes of the unpacked file that were read for rows, as far as they are read now.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Reads the next row's line into `line`, without its end; `None` after the last.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>, limits: Limits) -> Result<Option<Line>> {
        self.read_on(line, limits, u64::MAX)?;
        Ok(self.begun.take().map(|begun| {
            if begun.too_long {
                Line::TooLong
            } else if begun.no_room {
                Line::NoRoom
            } else {
                Line::Whole
            }
        }))
    }

    /// Whether the next row's line has more than `bytes` bytes, as far as `limits` let it be kept, and whether there is none; it is read into `line`
    /// no further than that takes.
    pub(crate) fn is_longer(
        &mut self,
        line: &mut Vec<u8>,
        limits: Limits,
        bytes: u64,
    ) -> Result<(bool, bool)> {
        self.read_on(line, limits, bytes)?;
        Ok((self.begun.as_ref().is_some_and(|begun| !begun.ended), self.begun.is_none()))
    }

    /// Reads the next row's line until it ends or has more than `stop` bytes; `begun` is `None` after the last.
    fn read_on(&mut self, line: &mut Vec<u8>, limits: Limits, stop: u64) -> Result<()> {
        loop {
            let mut begun = match self.begun.take() {
                Some(begun) => begun,
                None => {
                    line.clear();
                    if self.at >= self.end {
                        return Ok(());
                    }
                    Begun { first: std::mem::take(&mut self.first), ..Begun::default() }
                }
            };
            while !begun.ended && line.len() as u64 <= stop {
                self.cancel.check()?;
                let available = self.fill()?;
                let end = memchr(b'\n', available);
                let part = &available[..end.unwrap_or(available.len())];
                begun.any |= !available.is_empty();
                begun.ended = end.is_some() || available.is_empty();
                if !begun.too_long {
                    begun.keep(line, part, limits);
                }
                let taken = part.len() + usize::from(end.is_some());
                self.take(taken);
            }
            if begun.ended && std::mem::take(&mut begun.first) && line.starts_with(BYTE_ORDER_MARK)
            {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            let row =
                !begun.ended || begun.too_long || begun.no_room || begun.more || !is_blank(line);
            if row {
                self.begun = Some(begun);
                return Ok(());
            }
            if !begun.any {
                return Ok(());
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
            Err(e) => Err(unreadable(&e, &self.path, self.packing, self.window_log)),
        }
    }

    fn take(&mut self, n: usize) {
        self.input.consume(n);
        self.at += n as u64;
        self.taken += n as u64;
    }
}

/// What a packed file holds.
pub(crate) fn unpacked(
    ctx: &Ctx,
    packed: impl BufRead + Send + 'static,
    packing: Packing,
) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => {
            Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(packed)))
        }
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(window_log(ctx))?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    })
}

impl Begun {
    /// Adds a part of the line to what is kept of it.
    fn keep(&mut self, line: &mut Vec<u8>, mut part: &[u8], limits: Limits) {
        self.bytes += part.len() as u64;
        if line.len() + part.len() > MOST_BLANK && is_blank(line) {
            line.clear();
            part = part.trim_ascii_start();
        }
        let length = line.len() as u64 + part.len() as u64;
        if self.bytes > limits.max {
            self.too_long = true;
            *line = Vec::new();
        } else if length > limits.wanted {
            self.more = true;
        } else if self.no_room || length > limits.room {
            // Whether it is longer than a row may be is told at its end.
            self.no_room = true;
            *line = Vec::new();
        } else {
            if line.capacity() - line.len() < part.len() {
                // A quarter more each time: twice as much is a lot where lines are large.
                line.reserve_exact(part.len().max(line.len() / 4));
            }
            line.extend_from_slice(part);
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The largest window that a zstd file may ask for, as a power of two: a sixteenth of the memory bound.
pub(crate) fn window_log(ctx: &Ctx) -> u32 {
    (ctx.budget.limit() / 16).max(1).ilog2().clamp(*WINDOW_LOGS.start(), *WINDOW_LOGS.end())
}

/// An error while reading a packed file is damage, or a window too large, unless a remote store failed; of a plain one, the system's.
pub(crate) fn unreadable(
    error: &io::Error,
    path: &Path,
    packing: Packing,
    window_log: u32,
) -> Error {
    if let Some(own) = Error::within(error) {
        return own;
    }
    let name = match packing {
        Packing::Plain => return Error::io(error, "read", path),
        Packing::Gzip => "gzip",
        Packing::Zstd => "zstd",
    };
    // zstd's own words: the library's number of the error is not told.
    if error.to_string().contains("too much memory") {
        let message = format!(
            "{} was packed with a window of more than the {} MiB that `memory` allows (a sixteenth of it); give a larger `memory`, or pack the file \
             again without --long and --ultra",
            path.display(),
            1u64 << window_log >> 20
        );
        return Error::new(Code::MemoryBudget, message).with("file", path.display().to_string());
    }
    let message = format!(
        "{} is truncated or damaged: its {name} stream cannot be read to the end ({error}); fetch or pack it again",
        path.display()
    );
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}
