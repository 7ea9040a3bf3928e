//! Files that are complete or absent, with checksums, and readable by position.
//!
//! In: bytes, arrays of numbers, strings, done records. Out: files, written under an attempt's own
//! name, flushed to the disk and renamed; readers that detect corrupt ones; locks. FORMATS.md has
//! the layouts. Uses: common.
//! Begin with `atomic.rs`, then `done.rs`; `array.rs` and `strings.rs` are the data.

mod array;
mod atomic;
mod digest;
mod done;
pub mod failpoint;
mod local;
mod lock;
mod npy;
mod pages;
mod records;
mod space;
mod strings;
mod summed_lines;
mod thrift;

pub use array::{
    ArrayFile, ArrayWriter, Scalar, Stored, StoredWriter, hash_elements, read_array, read_offsets,
    write_array,
};
pub use atomic::{
    AtomicFile, Sealed, UnlinkedFile, process_token, read_exact_at, sweep, sweep_below,
    sync_directory, with_suffix, write_file,
};
pub use digest::{Digest, Sha256Sum, checksum_file, checksum_with, digest_of, digest_of_text};
pub use done::{DoneRecord, FileRecord};
pub use local::LocalDirectory;
pub use lock::{Holder, Lock, host};
pub use npy::{NPY_MAGIC, NpyDefect, NpyHeader};
pub use pages::{PageBudget, Pages};
pub use records::RecordList;
pub use space::{Space, directory_bytes, space};
pub use strings::{STRING_BATCH_ROWS, StringTable, StringTableWriter, read_strings, write_strings};
pub use summed_lines::{push_line, push_sum, summed_lines};
pub use thrift::{ParquetEncryption, check_parquet_footer, parquet_encryption};
