//! Counts in done records, read back as the type that wrote them.

use longweave_common::{Code, Error, Result};
use longweave_storage::DoneRecord;
use serde::de::DeserializeOwned;

/// The counts of a record.
///
/// Errors: `FILE_CORRUPT` when they are another stage's.
pub(crate) fn counts<T: DeserializeOwned>(record: &DoneRecord) -> Result<T> {
    T::deserialize(&record.counts).map_err(|e| {
        Error::new(
            Code::FileCorrupt,
            format!("a done record has other counts than expected ({e}); delete the work directory and run again"),
        )
    })
}
