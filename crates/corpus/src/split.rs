//! The division of files into splits.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_remote::is_remote;
use rayon::prelude::*;

use crate::arrow_rows::batch_bytes;
use crate::inventory::{InputFile, Inventory, Kind, Range, Split};
use crate::packing::Packing;
use crate::parquet_rows::group_bytes;
use crate::source::CorpusFile;
use crate::token_files;

/// Bytes of text in a byte of a packed file, about: how many parts a large one is spooled into.
const PACKED_RATIO: u64 = 4;
/// Most parts of a packed file.
const MOST_PARTS: u32 = 1 << 16;

/// Splits, and shards, of a corpus beyond which they grow with it: some thousands of tasks keep a
/// cluster busy, and the names of their files stay few.
const MOST: u64 = 4096;
/// Bytes of text of a token, about.
const TOKEN_BYTES: u64 = 4;

/// A part of the corpus, rounded up to whole MiB.
fn part_of(inventory: &Inventory) -> u64 {
    let bytes: u64 = inventory.files.iter().map(InputFile::all_bytes).sum();
    (bytes / MOST).div_ceil(1 << 20) << 20
}

/// Bytes of a split unless an option says otherwise.
pub(crate) fn split_size(inventory: &Inventory) -> u64 {
    part_of(inventory).max(64 << 20)
}

/// Tokens of an output shard unless an option says otherwise.
pub fn shard_tokens(inventory: &Inventory) -> u64 {
    (part_of(inventory) / TOKEN_BYTES).max(1 << 26)
}

/// Splits of about `split_bytes`: large files are divided, small files in sequence share one.
pub(crate) fn divide(ctx: &Ctx, inventory: &Inventory, split_bytes: u64) -> Result<Vec<Split>> {
    if u32::try_from(inventory.files.len()).is_err() {
        return Err(Error::new(Code::TooManyRows, "the corpus has more than 2³²−1 files"));
    }
    let (size, files) = (split_bytes.max(1), &inventory.files);
    let parts = |file: &InputFile| {
        if file.all_bytes() <= size { Ok(None) } else { ranges(ctx, &inventory.root, file, size) }
    };
    let parts: Vec<_> = ctx.pool.install(|| files.par_iter().map(parts).collect::<Result<_>>())?;
    let mut splits: Vec<Split> = Vec::new();
    let mut shared = 0;
    for ((number, file), parts) in (0..).zip(files).zip(parts) {
        let bytes = file.all_bytes();
        let whole = Range::Files { end: number + 1 };
        match splits.last_mut() {
            _ if bytes > size => {
                let parts = parts.unwrap_or_else(|| vec![whole]);
                splits.extend(parts.into_iter().map(|range| Split { file: number, range }));
                shared = bytes;
            }
            Some(Split { range: Range::Files { end }, .. })
                if *end == number && shared + bytes <= size =>
            {
                *end = number + 1;
                shared += bytes;
            }
            _ => {
                splits.push(Split { file: number, range: whole });
                shared = bytes;
            }
        }
    }
    Ok(splits)
}

/// The parts of a file that is larger than `size` bytes; `None` where it is not divided.
fn ranges(ctx: &Ctx, root: &str, file: &InputFile, size: u64) -> Result<Option<Vec<Range>>> {
    ctx.cancel.check()?;
    Ok(Some(match file.kind {
        Kind::Text => return Ok(None),
        // Where its batches are is known once it is read.
        Kind::Arrow if is_remote(root) => return Ok(None),
        Kind::Jsonl(Packing::Plain) => {
            let parts = file.bytes.div_ceil(size);
            let at = |i: u64| (u128::from(file.bytes) * u128::from(i) / u128::from(parts)) as u64;
            (0..parts).map(|i| Range::Bytes { start: at(i), end: at(i + 1) }).collect()
        }
        Kind::Jsonl(_) | Kind::JsonArray(_) | Kind::Tar(_) => {
            let of = u32::try_from(file.bytes.div_ceil((size / PACKED_RATIO).max(1)))
                .unwrap_or(u32::MAX)
                .min(MOST_PARTS);
            (0..of).map(|part| Range::Part { part, of }).collect()
        }
        Kind::Megatron | Kind::Datatrove | Kind::Numpy => {
            token_files::ranges(ctx, root, file, size)?
        }
        Kind::Parquet | Kind::Arrow => {
            let opened = CorpusFile::open(ctx, root, file)?;
            let groups = match file.kind {
                Kind::Arrow => batch_bytes(&opened)?,
                _ => group_bytes(&opened)?,
            };
            let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0);
            for (end, group) in (1..).zip(&groups) {
                bytes += group;
                if bytes >= size || end as usize == groups.len() {
                    ranges.push(Range::RowGroups { start, end });
                    (start, bytes) = (end, 0);
                }
            }
            ranges
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_shards_grow_with_a_corpus_beyond_a_size() {
        let sizes = |bytes: &[u64]| {
            let file = |&bytes: &u64| InputFile {
                path: String::new(),
                kind: Kind::Parquet,
                bytes,
                modified_ns: 0,
                etag: None,
                named_by: None,
                companion: None,
            };
            let inventory = Inventory {
                root: String::new(),
                files: bytes.iter().map(file).collect(),
                splits: Vec::new(),
                unread: Default::default(),
            };
            (split_size(&inventory) >> 20, shard_tokens(&inventory) >> 20)
        };
        assert_eq!(sizes(&[]), (64, 64));
        assert_eq!(sizes(&[1 << 38]), (64, 64));
        assert_eq!(sizes(&[1 << 38, 1 << 20]), (65, 64));
        assert_eq!(sizes(&[4 << 40]), (1024, 256));
    }
}
