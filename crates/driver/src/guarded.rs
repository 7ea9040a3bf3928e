//! Panics of tasks as errors.

use longweave_common::{Code, Error, Result, catch_panic};

/// Runs `work`; a panic becomes an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // A panicking task drops its resources: files without a commit, buffers, its lease.
    catch_panic(work, |what| {
        Error::new(
            Code::Panic,
            format!("a bug in longweave: {what}; finished tasks are kept. Please report this"),
        )
    })
}
