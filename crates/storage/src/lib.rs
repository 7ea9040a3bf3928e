//! How results reach the disk: whole or not at all, with checksums, and readable by position.
//!
//! Every file is written under an attempt's own name, flushed to the disk and renamed. Layouts are
//! in FORMATS.md.

mod array;
mod atomic;
mod digest;
mod done;
pub mod failpoint;
mod lock;
mod pages;
mod space;
mod strings;
mod thrift;

pub use array::{ArrayFile, ArrayWriter, Scalar, Stored, hash_elements, read_array, write_array};
pub use atomic::{
    AtomicFile, Sealed, UnlinkedFile, read_exact_at, sweep, sweep_below, sync_directory, write_file,
};
pub use digest::{Digest, checksum_file, checksum_with, digest_of};
pub use done::{DoneRecord, FileRecord};
pub use lock::{Holder, Lock, host};
pub use pages::{PageBudget, Pages};
pub use space::{Space, directory_bytes, space};
pub use strings::{STRING_BATCH_ROWS, StringTable, StringTableWriter, read_strings, write_strings};
pub use thrift::{check_parquet_footer, is_parquet_encrypted};
