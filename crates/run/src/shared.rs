//! Values that the tasks of a run share: each is made when it is first needed, and threads that
//! need it meanwhile wait instead of making another.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::Result;
use once_cell::sync::OnceCell;

/// One value of each type.
#[derive(Default)]
pub struct Shared(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Shared {
    fn cell<T: Any + Send + Sync>(&self) -> Arc<OnceCell<Arc<T>>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell =
            cells.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(OnceCell::<Arc<T>>::new()));
        Arc::clone(cell).downcast().expect("a type's cell holds that type")
    }

    /// The value of this type; `make` is called until it once succeeds.
    pub fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.cell::<T>().get_or_try_init(|| make().map(Arc::new)).cloned()
    }

    /// The value of this type, if it was made.
    pub fn made<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.cell::<T>().get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use longweave_common::{Code, Error};

    use super::*;

    #[test]
    fn threads_that_come_at_once_share_one_value_and_a_failure_is_tried_again() {
        let (shared, made) = (Shared::default(), AtomicU32::new(0));
        let failed: Result<Arc<u32>> = shared.get(|| Err(Error::new(Code::Io, "not yet")));
        assert!(failed.is_err() && shared.made::<u32>().is_none());
        let make = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| _ = scope.spawn(|| assert_eq!(*shared.get(make).unwrap(), 0)))
        });
        assert_eq!(
            (made.into_inner(), *shared.get(|| Ok("another type")).unwrap()),
            (1, "another type")
        );
    }
}
