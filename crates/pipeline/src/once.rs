//! A value made when it is first needed; whoever needs it meanwhile waits for it instead of making another.

use std::sync::{Mutex, OnceLock, PoisonError};

use longweave_common::Result;

/// Empty, or the value.
pub(crate) struct Once<T> {
    value: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once { value: OnceLock::new(), making: Mutex::new(()) }
    }
}

impl<T> Once<T> {
    /// The value; `make` is called until it once succeeds.
    pub(crate) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.value.get().is_none() {
            let made = make()?;
            // Only the holder of `making` sets it.
            let _ = self.value.set(made);
        }
        Ok(self.value.get().expect("set just above"))
    }
}
