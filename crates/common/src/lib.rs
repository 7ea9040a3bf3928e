//! Types that every crate shares: checked ids, errors with codes, the context of a task, keyed
//! random numbers.
//!
//! Nothing here reads a file or knows a stage. Dependencies point from the other crates to this
//! one, never back.

mod budget;
mod cancel;
mod catch_panic;
mod ctx;
mod error;
mod ids;
mod offsets;
pub mod random;

pub use budget::{Budget, Reservation};
pub use cancel::Cancel;
pub use catch_panic::catch_panic;
pub use ctx::{Ctx, NoProgress, ProgressSink};
pub use error::{CATALOGUE, Code, Error, Result, ResultExt};
pub use ids::{DocId, GroupId, KeywordId};
pub use offsets::Offsets;
