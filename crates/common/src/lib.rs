//! Types that every crate shares.
//!
//! In: nothing; no file is read and no stage is known. Out: checked ids, errors with codes, the
//! context of a task (memory budget, threads, cancellation, progress), keyed random numbers.
//! Uses: no crate of ours.
//! Begin with `ctx.rs`, which every function that works for long is given, then `error.rs`.

mod budget;
mod cancel;
mod catch_panic;
mod ctx;
mod error;
mod heap;
mod ids;
mod offsets;
pub mod random;

pub use budget::{Budget, Reservation};
pub use cancel::Cancel;
pub use catch_panic::catch_panic;
pub use ctx::{Ctx, NoProgress, ProgressSink};
pub use error::{CATALOGUE, Code, Corrupt, Error, Result, ResultExt, is_no_locks};
pub use heap::return_freed_memory;
pub use ids::{DocId, GroupId, KeywordId};
pub use offsets::Offsets;
