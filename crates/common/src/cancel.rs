//! Cancellation: a flag that work looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Code, Error, Result};

/// A flag that asks running work to stop. Cloning shares the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    own: Arc<AtomicBool>,
    parent: Option<Arc<Cancel>>,
}

impl Cancel {
    /// A flag not yet raised.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Raises the flag; it cannot be lowered.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Release);
    }

    /// A new flag that also counts as raised once this one, or any of its ancestors, is.
    pub fn child(&self) -> Cancel {
        Cancel { own: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Whether this flag or one of its ancestors is raised.
    pub fn is_cancelled(&self) -> bool {
        self.own.load(Ordering::Acquire)
            || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
    }

    /// `Err(CANCELLED)` once the flag is raised. Work calls it at least every few milliseconds.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(
                Code::Cancelled,
                "the run was cancelled; run it again to resume it",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_follows_all_its_ancestors_and_none_of_its_descendants() {
        let root = Cancel::new();
        let child = root.child();
        let grandchild = child.child();
        let sibling = root.child();
        grandchild.cancel();
        assert_eq!([&root, &child, &sibling].map(Cancel::is_cancelled), [false; 3]);
        let other = child.child();
        root.cancel();
        assert_eq!([&child, &grandchild, &sibling, &other].map(Cancel::is_cancelled), [true; 4]);
    }
}
