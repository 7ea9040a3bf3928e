//! The threads that one JavaScript environment has started. When it ends (exit, a terminated
//! worker), they are cancelled and joined: none runs on in code that is being unloaded.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use longweave_api::run::{Run, RunThread};
use longweave_common::Cancel;
use napi::Env;

/// Threads that an environment has started.
#[derive(Default)]
pub(crate) struct Threads {
    started: Mutex<Started>,
}

#[derive(Default)]
struct Started {
    /// Whether the environment has ended: nothing is started any more.
    ended: bool,
    calls: Vec<(Cancel, JoinHandle<()>)>,
    runs: Vec<(Arc<RunThread>, Weak<Run>)>,
}

thread_local! {
    /// An environment lives on one thread.
    static THREADS: RefCell<Option<Arc<Threads>>> = const { RefCell::new(None) };
}

/// The threads of the calling environment.
pub(crate) fn of(env: &Env) -> napi::Result<Arc<Threads>> {
    if let Some(known) = current() {
        return Ok(known);
    }
    let threads = Arc::new(Threads::default());
    env.add_env_cleanup_hook(Arc::clone(&threads), |threads| threads.end())?;
    THREADS.set(Some(Arc::clone(&threads)));
    Ok(threads)
}

/// The threads of this thread's environment, if it has started any and has not ended.
pub(crate) fn current() -> Option<Arc<Threads>> {
    THREADS.with_borrow(Clone::clone).filter(|threads| !threads.started().ended)
}

impl Threads {
    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a thread of its own. Where none can be started, `work` is dropped.
    pub(crate) fn spawn(&self, cancel: Cancel, work: impl FnOnce() + Send + 'static) {
        let mut started = self.started();
        started.calls.retain(|(_, call)| !call.is_finished());
        if started.ended {
            return;
        }
        let thread = std::thread::Builder::new().name("longweave-call".into());
        if let Ok(handle) = thread.spawn(work) {
            started.calls.push((cancel, handle));
        }
    }

    /// Counts a run among the environment's threads.
    pub(crate) fn watch(&self, run: &Arc<Run>) {
        let mut started = self.started();
        started.runs.retain(|(thread, run)| !thread.is_finished() || run.strong_count() > 0);
        started.runs.push((run.thread(), Arc::downgrade(run)));
    }

    /// Cancels everything and waits for it. Promises that are settled meanwhile reach nobody.
    fn end(&self) {
        let (calls, runs) = {
            let mut started = self.started();
            started.ended = true;
            (std::mem::take(&mut started.calls), std::mem::take(&mut started.runs))
        };
        calls.iter().for_each(|(cancel, _)| cancel.cancel());
        for (thread, run) in runs {
            thread.close();
            // Removes temporary files now: after this, nobody does.
            drop(run.upgrade().and_then(|run| run.release()));
        }
        for (_, call) in calls {
            // Panics were caught and have settled their promise.
            let _ = call.join();
        }
    }
}
