//! The kind of a file by its first bytes, where they say another packing than its name, or that its
//! JSON is one array.

use std::io::{BufReader, Read};

use longweave_common::{Ctx, Result, ResultExt};
use longweave_remote::is_remote;

use crate::inventory::{InputFile, Kind};
use crate::packing::{Packing, Unpacking};
use crate::source::CorpusFile;

/// Bytes of a file that are looked at.
const START: u64 = 1 << 10;
/// The place of a tar archive's magic.
const TAR: std::ops::Range<usize> = 257..262;

/// The kind of a listed file. A remote file costs a request, so only those are asked that are `.json`,
/// which may be lines or an array.
pub(super) fn probe(ctx: &Ctx, root: &str, file: &InputFile) -> Result<Kind> {
    let (Kind::Jsonl(named) | Kind::Tar(named)) = file.kind else { return Ok(file.kind) };
    let name = file.path.to_ascii_lowercase();
    if is_remote(root) && !name.split('.').any(|part| part == "json") {
        return Ok(file.kind);
    }
    ctx.cancel.check()?;
    let source = CorpusFile::open(ctx, root, file)?;
    let path = source.path();
    let start = |bytes: &mut dyn Read| {
        let mut start = Vec::new();
        bytes.take(START).read_to_end(&mut start).map(|_| start)
    };
    let packed = start(&mut *source.read_from(0, START)?).at("read", path)?;
    if packed.starts_with(b"PAR1") {
        return Ok(Kind::Parquet);
    }
    let packing = Packing::of_bytes(&packed);
    if packing == Packing::Plain && named != Packing::Plain {
        // It is read as its name says: the error tells that it is damaged.
        return Ok(file.kind);
    }
    let unpacked = if packing == Packing::Plain {
        packed
    } else {
        let bytes = BufReader::new(source.read_from(0, u64::MAX)?);
        // A file that does not unpack is an error when it is read: the message then has the row.
        let unpacking = Unpacking::new(ctx, packing);
        unpacking.unpacked(bytes).and_then(|mut bytes| start(&mut bytes)).unwrap_or_default()
    };
    Ok(if unpacked.get(TAR) == Some(b"ustar") {
        Kind::Tar(packing)
    } else if matches!(file.kind, Kind::Jsonl(_)) && is_array(&unpacked) {
        Kind::JsonArray(packing)
    } else if matches!(file.kind, Kind::Tar(_)) {
        Kind::Tar(packing)
    } else {
        Kind::Jsonl(packing)
    })
}

/// Whether JSON begins with an array of objects.
fn is_array(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let Some(inner) = start.strip_prefix(b"[") else { return false };
    matches!(inner.trim_ascii_start().first(), Some(b'{' | b']'))
}
