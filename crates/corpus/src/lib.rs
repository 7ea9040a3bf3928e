//! The corpus: which files and rows it has, and which part of it one task reads.
//!
//! In: [`CorpusOptions`] with paths or URLs of files of JSON, Parquet, Arrow, text and tar archives.
//! Out: an [`Inventory`] of files in byte order of their relative paths and of splits; the rows of
//! one split, lent by a [`RowReader`]. A bad row is a value, because a run may skip it; a file that
//! cannot be read is an error. Packed files that are too large for one split are spooled into parts
//! first. May use `common`, `storage` and `remote`.
//!
//! Begin with `inventory.rs` (types), then `listing/` (paths → files), `split.rs` (files → splits)
//! and `row.rs` (a split → rows).

mod arrow_rows;
mod columns;
mod fields;
mod id_type;
mod inventory;
mod json;
mod layout;
mod lines;
mod listing;
mod location;
mod lz4;
mod numpy;
mod options;
mod packing;
mod parquet_rows;
mod parts;
mod repair;
mod row;
mod source;
mod split;
mod spool;
mod token_files;
mod vectors;

pub use fields::Bad;
pub use inventory::{InputFile, Inventory, Kind, Range, Split, Unread, UnreadReason, split_bytes};
pub use listing::{check_file_unchanged, check_unchanged, inventory, is_local};
pub use location::RowLocation;
pub use options::{CorpusOptions, LoneSurrogates, Origin};
pub use packing::Packing;
pub use parts::spool_file;
pub use row::{Before, Content, Counted, Document, Row, RowReader, count_rows};
pub use split::shard_tokens;
pub use spool::SpoolWriter;
pub use vectors::{VectorRow, VectorRows};
