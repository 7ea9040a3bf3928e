//! A value made when it is first needed; threads that need it meanwhile wait instead of making
//! another.

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
    /// The value, if it was made.
    pub(crate) fn made(&self) -> Option<&T> {
        self.value.get()
    }

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use longweave_common::{Code, Error};

    #[test]
    fn threads_that_come_at_once_share_one_value_and_a_failure_is_tried_again() {
        let (once, made) = (Once::default(), AtomicU32::new(0));
        assert!(once.get(|| Err(Error::new(Code::Io, "not yet"))).is_err());
        let make = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| _ = scope.spawn(|| assert_eq!(*once.get(make).unwrap(), 0)))
        });
        assert_eq!(made.into_inner(), 1);
    }
}
