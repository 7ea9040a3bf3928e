//! The local driver: runs the stages of a job in order, their tasks on the run's threads, and says how far it is.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Code, Ctx, Error, Result, caught};
use longweave_storage::DoneRecord;

use crate::counts::counts;
use crate::events::{Event, Events, StageProgress, StageState};
use crate::stages::ingest::IngestCounts;
use crate::stages::scan::ScanCounts;
use crate::{Job, Stage};

/// Runs every stage up to and with `last` whose results are not there yet.
///
/// Errors: the first that a task meets; tasks that are running are asked to stop, what is finished is kept.
pub fn run(ctx: &Ctx, job: &Job, events: &Arc<Events>, last: Stage) -> Result<()> {
    for stage in job.stages().filter(|&s| s <= last) {
        ctx.cancel.check()?;
        let tasks =
            job.tasks(stage)?.ok_or_else(|| Error::new(Code::Internal, format!("stage {} began before its inputs", stage.name())))?;
        if tasks == 0 {
            continue;
        }
        let open = open_tasks(job, stage, 0..tasks)?;
        if open.is_empty() {
            events.send(Event::Stage { stage, state: StageState::Reused, tasks, seconds: events.seconds() });
            continue;
        }
        events.send(Event::Stage { stage, state: StageState::Started, tasks, seconds: events.seconds() });
        run_tasks(ctx, job, events, stage, &open)?;
        events.send(Event::Stage { stage, state: StageState::Done, tasks, seconds: events.seconds() });
    }
    Ok(())
}

/// Those of `tasks` that are not done.
fn open_tasks(job: &Job, stage: Stage, tasks: impl Iterator<Item = u32>) -> Result<Vec<u32>> {
    let mut open = Vec::new();
    for task in tasks {
        if job.done(stage, task)?.is_none() {
            open.push(task);
        }
    }
    Ok(open)
}

/// Runs the given tasks of a stage side by side, as many as the run has threads.
pub fn run_tasks(ctx: &Ctx, job: &Job, events: &Arc<Events>, stage: Stage, tasks: &[u32]) -> Result<Vec<DoneRecord>> {
    let total = units(job, stage, tasks)?;
    let progress = StageProgress { events: Arc::clone(events), stage, total, done: AtomicU64::new(0) };
    let ctx = ctx.with_child_cancel().with_progress(Arc::new(progress));
    let next = AtomicU32::new(0);
    let first_error: Mutex<Option<Error>> = Mutex::new(None);
    let records: Mutex<Vec<(u32, DoneRecord)>> = Mutex::new(Vec::new());
    let work = || {
        while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            if ctx.cancel.is_cancelled() {
                return;
            }
            match guarded(|| job.run_task(&ctx, stage, task)) {
                Ok(record) => records.lock().unwrap_or_else(PoisonError::into_inner).push((task, record)),
                Err(error) => {
                    first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
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

/// Runs `work`; a panic becomes an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panicking task held is thrown away with it: files without a commit, buffers, its lease.
    caught(work, |what| Error::new(Code::Panic, format!("a bug in longweave: {what}; what was finished is kept, please report this")))
}

/// Units of progress in tasks of a stage.
fn units(job: &Job, stage: Stage, tasks: &[u32]) -> Result<u64> {
    Ok(match stage {
        Stage::Spool => {
            let files: Vec<u32> = job.file.inventory.spooled().map(|(file, _)| file).collect();
            tasks.iter().map(|&t| job.file.inventory.files[files[t as usize] as usize].bytes).sum()
        }
        Stage::Scan => tasks.iter().map(|&t| longweave_corpus::split_bytes(&job.file.inventory, t as usize)).sum(),
        Stage::Ingest | Stage::Predict | Stage::Extract | Stage::Embed => {
            let mut rows = 0;
            for &task in tasks {
                if let Some(record) = job.done(Stage::Scan, task)? {
                    rows += counts::<ScanCounts>(&record)?.rows;
                }
            }
            rows
        }
        Stage::Scatter => {
            let records = job.all_done(Stage::Ingest)?;
            let mut tokens = 0;
            for &task in tasks {
                tokens += counts::<IngestCounts>(&records[task as usize])?.tokens;
            }
            tokens
        }
        Stage::Pack => crate::stages::pack::sequences(job, tasks)?,
        Stage::Documents => u64::from(job.rows()?.total()),
        Stage::Vectors | Stage::Index | Stage::Neighbours | Stage::Plan | Stage::Report | Stage::Route => tasks.len() as u64,
        Stage::Seal => job.all_done(Stage::Pack)?.iter().flat_map(|r| &r.files).map(|f| f.bytes).sum(),
    })
}
