//! The context a task runs in: memory bound, threads, cancellation, progress. Passed down as
//! `&Ctx`, never global.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Budget, Code, Error, Result};

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

/// Where work reports how far it is.
pub trait ProgressSink: Send + Sync {
    /// Reports that `units` more are done, in the stage's unit (bytes, documents, sequences).
    fn advance(&self, units: u64);
}

/// A sink for callers who do not ask.
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn advance(&self, _units: u64) {}
}

/// The context of a task: threads, memory, cancellation.
#[derive(Clone)]
pub struct Ctx {
    /// Bytes of heap that tokenizing, predicting and packing may hold together.
    pub budget: Budget,
    /// The run's own threads; no work runs on a global pool.
    pub pool: Arc<rayon::ThreadPool>,
    /// Raised when the run is to stop.
    pub cancel: Cancel,
    /// Where to report units done.
    pub progress: Arc<dyn ProgressSink>,
}

impl Ctx {
    /// A context with `threads` threads (0: one per core) and `memory` bytes.
    ///
    /// Errors: `INTERNAL` when the threads cannot be started.
    pub fn new(threads: usize, memory: u64) -> Result<Ctx> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("longweave-{i}"))
            .build()
            .map_err(|e| {
                Error::new(Code::Internal, format!("cannot start {threads} threads: {e}"))
            })?;
        Ok(Ctx {
            budget: Budget::new(memory),
            pool: Arc::new(pool),
            cancel: Cancel::new(),
            progress: Arc::new(NoProgress),
        })
    }

    /// The same context with a cancel flag of its own, which also follows this one's.
    pub fn with_child_cancel(&self) -> Ctx {
        Ctx { cancel: self.cancel.child(), ..self.clone() }
    }

    /// The same context with another progress sink.
    pub fn with_progress(&self, progress: Arc<dyn ProgressSink>) -> Ctx {
        Ctx { progress, ..self.clone() }
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
