//! Packed bytes → unpacked bytes, within the memory bound; the packing of bytes; errors that tell
//! damage from too little memory.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use longweave_common::{Code, Ctx, Error, Result};
use lzma_rust2::XzReader;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::lz4::Lz4;

/// Bytes read from a file at once.
pub(crate) const BUFFER: usize = 1 << 20;
/// The windows of zstd that every reader must allow have up to 2²³ bytes; beyond 2³¹ there are none.
/// xz has 2²³ by default, too.
const WINDOW_LOGS: std::ops::RangeInclusive<u32> = 23..=31;
/// Most bytes of an xz decoder in addition to its window.
const XZ_TABLES: u64 = 2 << 20;

/// How a file of JSON or an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "InputCompression")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
    /// bzip2, one or several streams.
    Bzip2,
    /// xz, one or several streams.
    Xz,
    /// LZ4, one or several frames.
    Lz4,
}

/// Endings of names of compressed files.
pub(crate) const PACKINGS: [(&str, Packing); 5] = [
    (".gz", Packing::Gzip),
    (".zst", Packing::Zstd),
    (".bz2", Packing::Bzip2),
    (".xz", Packing::Xz),
    (".lz4", Packing::Lz4),
];

/// A path without the ending of a compressed file.
pub(crate) fn without_packing(path: &str) -> &str {
    let lower = path.to_ascii_lowercase();
    let ending = PACKINGS.into_iter().find(|(ending, _)| lower.ends_with(ending));
    ending.map_or(path, |(ending, _)| &path[..path.len() - ending.len()])
}

/// How the bytes of a file are unpacked.
#[derive(Clone, Copy)]
pub(crate) struct Unpacking {
    packing: Packing,
    /// The largest window that a file may ask for, as a power of two: a sixteenth of the memory bound.
    window_log: u32,
}

impl Packing {
    /// The packing that bytes begin with.
    pub(crate) fn of_bytes(start: &[u8]) -> Packing {
        match start {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Packing::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Packing::Lz4,
            _ => Packing::Plain,
        }
    }

    /// Its name in words.
    fn name(self) -> &'static str {
        match self {
            Packing::Plain => "plain",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Bzip2 => "bzip2",
            Packing::Xz => "xz",
            Packing::Lz4 => "lz4",
        }
    }
}

impl Unpacking {
    pub(crate) fn new(ctx: &Ctx, packing: Packing) -> Unpacking {
        let log = (ctx.budget.limit() / 16).max(1).ilog2();
        Unpacking { packing, window_log: log.clamp(*WINDOW_LOGS.start(), *WINDOW_LOGS.end()) }
    }

    /// The unpacked bytes of a file.
    pub(crate) fn unpacked(
        self,
        packed: impl BufRead + Send + 'static,
    ) -> io::Result<Box<dyn BufRead + Send>> {
        fn buffered(unpacked: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
        Ok(match self.packing {
            Packing::Plain => Box::new(packed),
            Packing::Gzip => buffered(Gzip::new(packed)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(self.window_log)?;
                buffered(decoder)
            }
            Packing::Bzip2 => buffered(MultiBzDecoder::new(packed)),
            Packing::Xz => {
                let limit = ((1 << self.window_log) + XZ_TABLES) >> 10;
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                buffered(XzReader::new_mem_limit(packed, true, limit))
            }
            Packing::Lz4 => buffered(Lz4::new(packed)),
        })
    }

    /// Refuses unpacked bytes that show from their beginning that every row would be a bad row.
    ///
    /// Errors: `INPUT_UNSUPPORTED`; those of reading.
    pub(crate) fn refuse_other_formats(self, input: &mut dyn BufRead, path: &Path) -> Result<()> {
        let start = input.fill_buf().map_err(|e| self.unreadable(&e, path))?;
        let name = path.display();
        let inner = Packing::of_bytes(start);
        let message = match start {
            _ if inner != Packing::Plain && self.packing == Packing::Plain => format!(
                "{name} is compressed with {}, which its name does not say; rename it",
                inner.name()
            ),
            _ if inner != Packing::Plain => {
                format!("{name} unpacks to another {} file; unpack it once", inner.name())
            }
            [b'P', b'A', b'R', b'1', ..] => {
                format!(
                    "{name} is a Parquet file, but its name does not end in .parquet; rename it"
                )
            }
            _ if is_utf16(start) => format!(
                "{name} is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"
            ),
            _ => return Ok(()),
        };
        Err(Error::new(Code::InputUnsupported, message).with("file", path.display().to_string()))
    }

    /// The error of reading: of a packed file damage or too large a window, unless a remote store
    /// failed; of a plain file the system's.
    pub(crate) fn unreadable(self, error: &io::Error, path: &Path) -> Error {
        if let Some(own) = Error::within(error) {
            return own;
        }
        let (file, name) = (path.display().to_string(), self.packing.name());
        if self.packing == Packing::Plain {
            return Error::io(error, "read", path);
        }
        // The libraries' own words: zstd gives no number of the error, xz the kind of any limit.
        let text = error.to_string();
        if text.contains("too much memory") || error.kind() == io::ErrorKind::OutOfMemory {
            let message = format!(
                "{file} was compressed with a window of more than {} MiB, a sixteenth of `memory`; raise `memory`, or compress the file again with \
                 a smaller window (zstd without --long and --ultra, xz -6)",
                1u64 << self.window_log >> 20
            );
            return Error::new(Code::MemoryBudget, message).with("file", file);
        }
        let message = format!(
            "{file} is truncated or damaged: its {name} stream cannot be read to the end ({text}); fetch or compress it again"
        );
        Error::new(Code::InputTruncated, message).with("file", file)
    }
}

/// Whether bytes begin with UTF-16's byte order mark, or with an ASCII character of two bytes.
pub(crate) fn is_utf16(start: &[u8]) -> bool {
    matches!(
        start,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    )
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
