//! Parts of large packed files. A packed stream can only be read from its beginning, so it is read once
//! and written again as parts of whole lines, `FFFFF-PPPPP.jsonl.zst`, which tasks read in parallel.
//!
//! A part has the lines that begin in its share of the packed file's bytes. The boundaries decide only
//! the balance of tasks: rows keep their order, their lines and their numbers.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use longweave_storage::{AtomicFile, FileRecord};
use memchr::memchr;
use rayon::prelude::*;

use crate::CorpusOptions;
use crate::inventory::Inventory;
use crate::packing::{BUFFER, Unpacking};
use crate::source::CorpusFile;

/// Bytes of text that are packed as one frame: threads share the packing of a part.
const FRAME_BYTES: usize = 4 << 20;
/// Compression of the parts: fast.
const LEVEL: i32 = 1;

fn name(file: u32, part: u32) -> String {
    format!("{file:05}-{part:05}.jsonl.zst")
}

/// The path of a part.
pub(crate) fn path(options: &CorpusOptions, file: u32, part: u32) -> Result<PathBuf> {
    match &options.spool {
        Some(spool) => Ok(spool.join(name(file, part))),
        None => Err(Error::new(
            Code::Internal,
            "a part of a packed file was requested, but none was spooled",
        )),
    }
}

/// Counts the bytes that are read from the packed file.
struct Counting {
    file: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Writes the parts of packed file `file` into the spool of `options`. Progress is in bytes of the packed
/// file. Costs two frames of text a thread, packed and not.
///
/// Errors: `INPUT_TRUNCATED`, `INPUT_NOT_FOUND`, `CANCELLED`, those of writing.
pub fn spool_file(
    ctx: &Ctx,
    options: &CorpusOptions,
    inventory: &Inventory,
    file: u32,
    parts: u32,
) -> Result<Vec<FileRecord>> {
    let source = inventory.path(file);
    let Some((layout, packing)) = inventory.files[file as usize].kind.lines(&options.text_field)
    else {
        return Err(Error::new(Code::Internal, format!("{} has no lines", source.display())));
    };
    let frames =
        ctx.pool.current_num_threads().min((ctx.budget.limit() / 8) as usize / FRAME_BYTES).max(1);
    let _held = ctx.budget.reserve(2 * (frames * FRAME_BYTES) as u64, &ctx.cancel)?;
    let consumed = Arc::new(AtomicU64::new(0));
    let counting = Counting {
        file: CorpusFile::open(ctx, &inventory.root, &inventory.files[file as usize])?
            .read_from(0, u64::MAX)?,
        bytes: Arc::clone(&consumed),
    };
    let unpacking = Unpacking::new(ctx, packing);
    let packed = BufReader::with_capacity(BUFFER, counting);
    let mut input = unpacking.unpacked(packed).at("read", &source)?;
    unpacking.refuse_other_formats(&mut *input, &source)?;
    let input = layout.lines(input, &source);
    let mut input = Cutter {
        cancel: &ctx.cancel,
        input,
        path: &source,
        unpacking,
        most: options.most_line_bytes(),
        line: 0,
    };
    let bytes = inventory.files[file as usize].bytes.max(1);
    let mut files = Vec::with_capacity(parts as usize);
    let mut reported = 0;
    for part in 0..parts {
        let target = path(options, file, part)?;
        let mut output = AtomicFile::create(&target)?;
        let limit = if part + 1 == parts {
            u64::MAX
        } else {
            (u128::from(bytes) * u128::from(part + 1) / u128::from(parts)) as u64
        };
        // A part in which no line begins is an empty frame.
        output.put(&zstd::bulk::compress(&[], LEVEL).at("write", &target)?)?;
        let mut open = true;
        while open {
            ctx.cancel.check()?;
            let mut texts: Vec<Vec<u8>> = Vec::with_capacity(frames);
            while open && texts.len() < frames {
                let mut text = Vec::with_capacity(FRAME_BYTES);
                open = input.fill(&mut text, || consumed.load(Ordering::Relaxed) < limit)?;
                if !text.is_empty() {
                    texts.push(text);
                }
            }
            let pack = |text: &Vec<u8>| zstd::bulk::compress(text, LEVEL);
            let packed: Vec<Vec<u8>> = ctx
                .pool
                .install(|| texts.par_iter().map(pack).collect::<io::Result<_>>())
                .at("write", &target)?;
            for frame in &packed {
                output.put(frame)?;
            }
            let now = consumed.load(Ordering::Relaxed);
            ctx.progress.advance(now - reported);
            reported = now;
        }
        files.push(FileRecord::new(name(file, part), output.commit()?));
    }
    Ok(files)
}

/// Hands out the lines of a stream in frames.
struct Cutter<'a> {
    cancel: &'a Cancel,
    input: Box<dyn BufRead + Send>,
    path: &'a Path,
    unpacking: Unpacking,
    /// Most bytes of a line that are kept: a longer one is a bad row, however long it is.
    most: u64,
    /// Bytes of the line that is being read, so far.
    line: u64,
}

impl Cutter<'_> {
    /// Appends about a frame of text. Returns whether more of this part follows; asks `more` at line
    /// ends.
    fn fill(&mut self, text: &mut Vec<u8>, more: impl Fn() -> bool) -> Result<bool> {
        while text.len() < FRAME_BYTES {
            self.cancel.check()?;
            let available =
                self.input.fill_buf().map_err(|e| self.unpacking.unreadable(&e, self.path))?;
            if available.is_empty() {
                return Ok(false);
            }
            let room = &available[..available.len().min(FRAME_BYTES - text.len())];
            let end = memchr(b'\n', room);
            let taken = end.map_or(room.len(), |at| at + 1);
            // One byte too many, so that readers see that the line is too long.
            let kept =
                (self.most + 1).saturating_sub(self.line).min(end.unwrap_or(taken) as u64) as usize;
            text.extend_from_slice(&room[..kept]);
            self.line += kept as u64;
            if end.is_some() {
                text.push(b'\n');
                self.line = 0;
            }
            self.input.consume(taken);
            if end.is_some() && !more() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
