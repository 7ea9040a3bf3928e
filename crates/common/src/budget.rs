//! A bound on heap bytes as an object that is passed down. A task reserves the bytes of a large
//! buffer before it allocates it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::{Cancel, Code, Error, Result};

/// Bytes that tasks of one run may hold together. Cloning shares the same bound.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Bytes held against a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Budget {
        Budget { shared: Arc::new(Shared { limit, used: Mutex::new(0), freed: Condvar::new() }) }
    }

    /// The whole bound, in bytes.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// Takes `bytes`, waiting until others give back enough.
    ///
    /// Errors: `MEMORY_BUDGET` when `bytes` exceeds the whole bound; `CANCELLED` when the run is
    /// cancelled while waiting.
    pub fn reserve(&self, bytes: u64, cancel: &Cancel) -> Result<Reservation> {
        if bytes > self.shared.limit {
            return Err(Error::new(
                Code::MemoryBudget,
                format!(
                    "a single buffer needs {bytes} bytes, but `memory` allows {} in all; give a \
                     larger `memory`",
                    self.shared.limit
                ),
            ));
        }
        let mut used = self.shared.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used + bytes > self.shared.limit {
            cancel.check()?;
            let wait = std::time::Duration::from_millis(50);
            used = self
                .shared
                .freed
                .wait_timeout(used, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *used += bytes;
        Ok(Reservation { shared: Arc::clone(&self.shared), bytes })
    }
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` instead, at most the whole bound. The old reservation is released first: a
    /// task that waits holds nothing, so tasks that all need more never wait for each other.
    ///
    /// Errors: `CANCELLED`.
    pub fn exchange(self, bytes: u64, cancel: &Cancel) -> Result<Reservation> {
        let budget = Budget { shared: Arc::clone(&self.shared) };
        if self.bytes == bytes.min(budget.limit()) {
            return Ok(self);
        }
        drop(self);
        budget.reserve(bytes.min(budget.limit()), cancel)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.shared.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used -= self.bytes;
        self.shared.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_taken_again() {
        let (budget, cancel) = (Budget::new(10), Cancel::new());
        let guard = budget.reserve(8, &cancel).unwrap();
        let waiter = {
            let (budget, cancel) = (budget.clone(), cancel.clone());
            std::thread::spawn(move || budget.reserve(5, &cancel).map(drop).is_ok())
        };
        drop(guard);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn tasks_that_all_need_more_get_it_one_after_the_other() {
        let (budget, cancel) = (Budget::new(10), Cancel::new());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut held = budget.reserve(5, &cancel).unwrap();
                    for bytes in [9, 5, 100, 5] {
                        held = held.exchange(bytes, &cancel).unwrap();
                        assert_eq!(held.bytes(), bytes.min(10));
                    }
                });
            }
        });
        assert!(budget.reserve(10, &cancel).is_ok());
    }

    #[test]
    fn more_than_the_whole_is_refused_and_a_wait_can_be_cancelled() {
        let (budget, cancel) = (Budget::new(10), Cancel::new());
        assert_eq!(budget.reserve(11, &cancel).unwrap_err().code(), Code::MemoryBudget);
        let _all = budget.reserve(10, &cancel).unwrap();
        cancel.cancel();
        assert_eq!(budget.reserve(1, &cancel).unwrap_err().code(), Code::Cancelled);
    }
}
