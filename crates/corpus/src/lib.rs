//! The corpus: files → splits → rows. JSONL (plain, .gz, .zst), Parquet, trees of .txt and .md files,
//! on disks and behind URLs.
//!
//! An [`Inventory`] lists the files in byte order of their relative paths, and the splits. One task
//! reads one split. Packed files that are too large for one split are spooled into parts first. A
//! [`RowReader`] lends the rows of one split. A bad row is a value, because a run may skip it; a file
//! that cannot be read is an error.

mod inventory;
mod json;
mod lines;
mod location;
mod options;
mod parquet_rows;
mod parts;
mod remote;
mod row;
mod source;
mod spool;
mod vectors;

pub use inventory::{
    InputFile, Inventory, Kind, Packing, Range, Split, check_file_unchanged, check_unchanged,
    inventory, is_local, split_bytes,
};
pub use location::RowLocation;
pub use options::{CorpusOptions, Origin};
pub use parts::spool_file;
pub use row::{Bad, Before, Content, Counted, Document, Row, RowReader, count_rows, default_id};
pub use spool::SpoolWriter;
pub use vectors::{VectorRow, VectorRows};
