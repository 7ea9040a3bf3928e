//! Panics as errors: of our own bugs, and of libraries that panic on damaged input.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// Runs `work`. A panic becomes the error that `error` makes of its message. The state that `work`
/// used must not be used again.
pub fn catch_panic<T>(
    work: impl FnOnce() -> Result<T>,
    error: impl FnOnce(&str) -> Error,
) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Err(error(what.unwrap_or("unknown panic")))
    })
}
