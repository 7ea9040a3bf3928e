//! Lines of a JSONL file, plain or packed, whole or a byte range. A line ends at "\n" alone. A line
//! of white space is not a row, but counts as a line.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use memchr::memchr;

use crate::inventory::{Packing, Range};
use crate::source::CorpusFile;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes read from a file at once.
pub(crate) const BUFFER: usize = 1 << 20;
/// White space at the beginning of a line is kept up to this many bytes.
const MOST_BLANK: usize = 1 << 20;
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
    /// Lines that have begun, blank ones included.
    begun_lines: u64,
    /// The line that is being read.
    begun: Option<Begun>,
    cancel: Cancel,
    /// The largest window of zstd that is allowed, as a power of two.
    window_log: u32,
}

/// How much of a line is kept.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Most bytes of a line. A longer one is a bad row.
    pub(crate) max: u64,
    /// Most bytes that there is memory for.
    pub(crate) room: u64,
    /// Most bytes that the caller wants.
    pub(crate) wanted: u64,
}

/// The state of a line that is being read.
#[derive(Default)]
struct Begun {
    /// Bytes so far, white space that was dropped counted.
    bytes: u64,
    first: bool,
    any: bool,
    /// It has more bytes than the caller wants.
    more: bool,
    ended: bool,
    too_long: bool,
    no_room: bool,
}

/// A line that is a row.
pub(crate) enum Line {
    /// It is in the buffer.
    Whole,
    /// It has more bytes than a row may have, and was skipped.
    TooLong,
    /// It has more bytes than there is memory for, and was skipped.
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
        // Begin one byte earlier: a line starts at `start` if the byte before is a line feed.
        let mut file = source.read_from(at.saturating_sub(1), end)?;
        if at > 0 {
            first = false;
            let mut before = [0];
            file.read_exact(&mut before).at("read", path)?;
            inside_line = before[0] != b'\n';
        }
        let mut input =
            unpacked(ctx, BufReader::with_capacity(BUFFER, file), packing).at("read", path)?;
        if first && !matches!(range, Range::Part { .. }) {
            refuse_other_formats(&mut *input, path, packing, window_log(ctx))?;
        }
        let (path, cancel, window_log) = (path.to_owned(), ctx.cancel.clone(), window_log(ctx));
        let mut lines = Lines {
            input,
            path,
            packing,
            at,
            end,
            taken: 0,
            first,
            begun_lines: 0,
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

    /// Lines of the split that have begun so far, blank ones included: the number, from 1, of the
    /// line that was read last.
    pub(crate) fn begun_lines(&self) -> u64 {
        self.begun_lines
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

    /// Whether the next row's line has more than `bytes` bytes, as far as `limits` let it be kept, and
    /// whether the rows are at their end. Reads no more than that into `line`.
    pub(crate) fn is_longer(
        &mut self,
        line: &mut Vec<u8>,
        limits: Limits,
        bytes: u64,
    ) -> Result<(bool, bool)> {
        self.read_on(line, limits, bytes)?;
        Ok((self.begun.as_ref().is_some_and(|begun| !begun.ended), self.begun.is_none()))
    }

    /// Reads the next row's line until it ends or has more than `stop` bytes. `begun` is `None` after
    /// the last.
    fn read_on(&mut self, line: &mut Vec<u8>, limits: Limits, stop: u64) -> Result<()> {
        loop {
            let mut begun = match self.begun.take() {
                Some(begun) => begun,
                None => {
                    line.clear();
                    if self.at >= self.end {
                        return Ok(());
                    }
                    self.begun_lines += 1;
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
                self.begun_lines -= 1; // the end of the file
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

/// The unpacked bytes of a file.
pub(crate) fn unpacked(
    ctx: &Ctx,
    packed: impl BufRead + Send + 'static,
    packing: Packing,
) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => Box::new(BufReader::with_capacity(BUFFER, Gzip::new(packed))),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(window_log(ctx))?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    })
}

/// The members of a gzip file, one after the other. Zero bytes after a member are padding, as they
/// are to gzip(1) and Python.
struct Gzip<R: BufRead> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    fn new(packed: R) -> Gzip<R> {
        Gzip { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            if let Some(mut rest) = self.member.take().map(GzDecoder::into_inner)
                && skip_zeros(&mut rest)?
            {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Skips zero bytes; whether others follow.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let available = input.fill_buf()?;
        let zeros = available.iter().take_while(|&&b| b == 0).count();
        if zeros < available.len() {
            input.consume(zeros);
            return Ok(true);
        }
        if zeros == 0 {
            return Ok(false);
        }
        input.consume(zeros);
    }
}

/// Refuses a file whose first bytes show that it is not UTF-8 JSONL as a whole: every row of it
/// would be a bad row.
///
/// Errors: `INPUT_UNSUPPORTED`; those of reading.
pub(crate) fn refuse_other_formats(
    input: &mut dyn BufRead,
    path: &Path,
    packing: Packing,
    window_log: u32,
) -> Result<()> {
    let start = input.fill_buf().map_err(|e| unreadable(&e, path, packing, window_log))?;
    let name = path.display();
    let packed = |kind: &str, suffix: &str| match packing {
        Packing::Plain => format!(
            "{name} is compressed with {kind}, but its name does not end in {suffix}; rename it to {name}{suffix}"
        ),
        _ => format!("{name} unpacks to another {kind} file; unpack it once"),
    };
    let message = match start {
        [0x1f, 0x8b, ..] => packed("gzip", ".gz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => packed("zstd", ".zst"),
        [b'P', b'A', b'R', b'1', ..] => {
            format!("{name} is a Parquet file, but its name does not end in .parquet; rename it")
        }
        _ if is_utf16(start) => format!(
            "{name} is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"
        ),
        _ => return Ok(()),
    };
    Err(Error::new(Code::InputUnsupported, message).with("file", path.display().to_string()))
}

/// Whether bytes begin with UTF-16's byte order mark, or with an ASCII character of two bytes.
pub(crate) fn is_utf16(start: &[u8]) -> bool {
    matches!(
        start,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    )
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
            // Its end shows whether it is also longer than a row may be.
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

/// The error of reading: of a packed file damage or too large a window, unless a remote store failed;
/// of a plain file the system's.
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
    // zstd's own words: the library does not give the number of the error.
    if error.to_string().contains("too much memory") {
        let message = format!(
            "{} was compressed with a window of more than {} MiB, a sixteenth of `memory`; raise `memory`, or compress the file again without --long \
             and --ultra",
            path.display(),
            1u64 << window_log >> 20
        );
        return Error::new(Code::MemoryBudget, message).with("file", path.display().to_string());
    }
    let message = format!(
        "{} is truncated or damaged: its {name} stream cannot be read to the end ({error}); fetch or compress it again",
        path.display()
    );
    Error::new(Code::InputTruncated, message).with("file", path.display().to_string())
}
