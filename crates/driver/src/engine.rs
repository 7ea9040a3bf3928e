//! Who runs the tasks of a stage: the seam between the driver, which decides what runs and repairs,
//! and threads of this process or processes elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Ctx, Error, Result};
use longweave_run::{RunContext, Stage};
use longweave_storage::DoneRecord;

use crate::guarded::guarded;
use crate::progress_files::{StageProgress, TaskProgress};

/// Runs tasks.
pub trait Engine {
    /// Whether tasks run in this process: their processor time and memory are its own.
    fn is_here(&self) -> bool;

    /// Runs tasks of a stage whose inputs are complete; their records, in the order of `tasks`.
    /// Tasks that are done run no more. Units of work that get done are reported to `progress`.
    ///
    /// Errors: the first that a task meets; tasks that are running are asked to stop, what is
    /// finished is kept.
    fn run(
        &self,
        ctx: &Ctx,
        run: &RunContext,
        stage: Stage,
        tasks: &[u32],
        progress: Option<&Arc<StageProgress>>,
    ) -> Result<Vec<DoneRecord>>;

    /// Closes open files of a task's results, which were made again.
    fn reopen(&self, run: &RunContext, stage: Stage, task: u32);
}

/// Threads of this process: as many tasks side by side as the context has threads.
pub struct Threads;

impl Engine for Threads {
    fn is_here(&self) -> bool {
        true
    }

    fn run(
        &self,
        ctx: &Ctx,
        run: &RunContext,
        stage: Stage,
        tasks: &[u32],
        progress: Option<&Arc<StageProgress>>,
    ) -> Result<Vec<DoneRecord>> {
        let ctx = ctx.with_child_cancel();
        let next = AtomicU32::new(0);
        let first_error: Mutex<Option<Error>> = Mutex::new(None);
        let records: Mutex<Vec<(u32, DoneRecord)>> = Mutex::new(Vec::new());
        let work = || {
            while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                if ctx.cancel.is_cancelled() {
                    return;
                }
                let ctx = match progress {
                    Some(progress) => ctx.with_progress(Arc::new(TaskProgress::new(progress))),
                    None => ctx.clone(),
                };
                match guarded(|| run.run_task(&ctx, stage, task)) {
                    Ok(record) => {
                        records.lock().unwrap_or_else(PoisonError::into_inner).push((task, record))
                    }
                    Err(error) => {
                        let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(error);
                        ctx.cancel.cancel();
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..ctx.pool.current_num_threads().min(tasks.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        ctx.cancel.check()?;
        let mut records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
        records.sort_by_key(|(task, _)| *task);
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    fn reopen(&self, run: &RunContext, stage: Stage, task: u32) {
        stage.reopen(run, task);
    }
}
