//! The corpus: files → splits → rows. JSONL (plain, .gz, .zst), Parquet, trees of .txt and .md files, on disks and behind URLs.
//!
//! An [`Inventory`] lists the files in byte order of their relative paths, and the splits that one task each reads alone. Packed files that
//! are too large for one split are spooled into parts first. A [`RowReader`] lends the rows of one split. Rows that cannot be used are values, because a run may be told to skip them; files that
//! cannot be read on are errors.

mod inventory;
mod json;
mod lines;
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
    inventory, split_bytes,
};
pub use options::CorpusOptions;
pub use parts::spool_file;
pub use row::{Bad, Content, Document, Row, RowReader, count_rows, default_id};
pub use spool::SpoolWriter;
pub use vectors::VectorRows;
