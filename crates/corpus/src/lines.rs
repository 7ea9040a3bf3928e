//! Lines of a file of JSON, plain or packed, whole or a byte range. A line ends at "\n" alone. A line
//! of white space is not a row, but counts as a line.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use longweave_common::{Cancel, Ctx, Result, ResultExt};
use memchr::memchr;

use crate::inventory::Range;
use crate::layout::Layout;
use crate::packing::{BUFFER, Packing, Unpacking};
use crate::source::CorpusFile;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// White space at the beginning of a line is kept up to this many bytes.
const MOST_BLANK: usize = 1 << 20;

/// Reads the lines of one split.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    unpacking: Unpacking,
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
        layout: Layout<'_>,
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
        let unpacking = Unpacking::new(ctx, packing);
        let input = BufReader::with_capacity(BUFFER, file);
        let mut input = unpacking.unpacked(input).at("read", path)?;
        if first && !matches!(range, Range::Part { .. }) {
            unpacking.refuse_other_formats(&mut *input, path)?;
        }
        let input = layout.lines(input, path);
        let (path, cancel) = (path.to_owned(), ctx.cancel.clone());
        let mut lines = Lines {
            input,
            path,
            unpacking,
            at,
            end,
            taken: 0,
            first,
            begun_lines: 0,
            begun: None,
            cancel,
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
            Err(e) => Err(self.unpacking.unreadable(&e, &self.path)),
        }
    }

    fn take(&mut self, n: usize) {
        self.input.consume(n);
        self.at += n as u64;
        self.taken += n as u64;
    }
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
