//! The context a task runs in: memory bound, threads, cancellation, progress. Passed down as
//! `&Ctx`, never global.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Budget, Cancel, Code, Error, Result};

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
    /// A directory on a disk of this machine for temporary files; without one they are with the
    /// results.
    pub scratch: Option<Arc<Path>>,
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
            scratch: None,
        })
    }

    /// The directory for temporary files of a stage whose results are in `results`.
    pub fn scratch_for(&self, results: &Path) -> PathBuf {
        self.scratch.as_deref().unwrap_or(results).to_owned()
    }

    /// The same context with a cancel flag of its own, which also follows this one's.
    pub fn with_child_cancel(&self) -> Ctx {
        Ctx { cancel: self.cancel.child(), ..self.clone() }
    }

    /// Makes something of each item, and gives it to `take`, in order. While one is taken the next
    /// is made, so two are held. Threads of the pool do both.
    ///
    /// Errors: the first of `take`'s and `make`'s; nothing is made or taken after it. `CANCELLED`.
    pub fn make_ahead<I: Send, T: Send>(
        &self,
        items: impl IntoIterator<Item = I>,
        make: impl Fn(I) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let mut ready = None;
        for item in items {
            self.cancel.check()?;
            let taking = || ready.take().map_or(Ok(()), &mut take);
            let (taken, made) = self.pool.install(|| rayon::join(taking, || make(item)));
            taken?;
            ready = Some(made?);
        }
        self.cancel.check()?;
        ready.map_or(Ok(()), take)
    }

    /// The same context with another progress sink.
    pub fn with_progress(&self, progress: Arc<dyn ProgressSink>) -> Ctx {
        Ctx { progress, ..self.clone() }
    }
}
