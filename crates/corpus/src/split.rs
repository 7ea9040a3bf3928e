//! The division of files into splits.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_remote::is_remote;

use crate::arrow_rows::batch_bytes;
use crate::inventory::{Inventory, Kind, Range, Split, place};
use crate::packing::Packing;
use crate::parquet_rows::group_bytes;
use crate::source::CorpusFile;
use crate::token_files::ranges;

/// Bytes of text in a byte of a packed file, about: how many parts a large one is spooled into.
const PACKED_RATIO: u64 = 4;
/// Most parts of a packed file.
const MOST_PARTS: u32 = 1 << 16;

/// Splits of about `split_bytes`: large files are divided, small files in sequence share one.
pub(crate) fn divide(ctx: &Ctx, inventory: &Inventory, split_bytes: u64) -> Result<Vec<Split>> {
    let size = split_bytes.max(1);
    let mut splits: Vec<Split> = Vec::new();
    let mut shared = 0;
    for (number, file) in inventory.files.iter().enumerate() {
        let number = u32::try_from(number)
            .map_err(|_| Error::new(Code::TooManyRows, "the corpus has more than 2³²−1 files"))?;
        let split = |range: Range| Split { file: number, range };
        match file.kind {
            _ if file.bytes <= size => match splits.last_mut() {
                Some(Split { range: Range::Files { end }, .. })
                    if *end == number && shared + file.bytes <= size =>
                {
                    *end = number + 1;
                    shared += file.bytes;
                }
                _ => {
                    splits.push(split(Range::Files { end: number + 1 }));
                    shared = file.bytes;
                }
            },
            Kind::Text => splits.push(split(Range::Files { end: number + 1 })),
            Kind::Jsonl(Packing::Plain) => {
                let parts = file.bytes.div_ceil(size);
                let at =
                    |i: u64| (u128::from(file.bytes) * u128::from(i) / u128::from(parts)) as u64;
                splits.extend(
                    (0..parts).map(|i| split(Range::Bytes { start: at(i), end: at(i + 1) })),
                );
            }
            Kind::Jsonl(_) | Kind::JsonArray(_) | Kind::Tar(_) => {
                let of = u32::try_from(file.bytes.div_ceil((size / PACKED_RATIO).max(1)))
                    .unwrap_or(u32::MAX)
                    .min(MOST_PARTS);
                splits.extend((0..of).map(|part| split(Range::Part { part, of })));
            }
            Kind::Megatron | Kind::Datatrove => {
                let ranges = ranges(&place(&inventory.root, &file.path), file.kind, size)?;
                splits.extend(ranges.into_iter().map(split));
            }
            // Where its batches are is known once it is read.
            Kind::Arrow if is_remote(&inventory.root) => {
                splits.push(split(Range::Files { end: number + 1 }));
            }
            Kind::Parquet | Kind::Arrow => {
                let (mut start, mut bytes) = (0, 0);
                let opened = CorpusFile::open(ctx, &inventory.root, file)?;
                let groups = match file.kind {
                    Kind::Arrow => batch_bytes(&opened)?,
                    _ => group_bytes(&opened)?,
                };
                for (i, group) in groups.iter().enumerate() {
                    bytes += group;
                    if bytes >= size || i + 1 == groups.len() {
                        let end = i as u32 + 1;
                        splits.push(split(Range::RowGroups { start, end }));
                        (start, bytes) = (end, 0);
                    }
                }
            }
        }
    }
    Ok(splits)
}
