//! The local driver: runs the stages of a job in order, their tasks on the run's threads, and says how far it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use longweave_common::{Code, Ctx, Error, Result, caught};
use longweave_storage::DoneRecord;

use crate::counts::counts;
use crate::estimate::Facts;
use crate::events::{Event, Events, StageState};
use crate::log::{Entry, Progressing};
use crate::repair::repairing;
use crate::stages::ingest::IngestCounts;
use crate::stages::scan::ScanCounts;
use crate::uploads::Uploads;
use crate::usage::Counters;
use crate::watch::{StageProgress, TaskProgress, Watch};
use crate::{Clean, Job, Stage, clean, disk, estimate};

/// Runs every stage up to and with `last` whose results are not there yet; looks whether what they leave fits on the disk as soon as more of
/// it is known. What earlier attempts left half written is removed; a result that turns out to be damaged is made again.
///
/// Errors: the first that a task meets; tasks that are running are asked to stop, what is finished is kept. `DISK_SPACE`.
pub fn run(ctx: &Ctx, job: &Job, events: &Arc<Events>, last: Stage) -> Result<()> {
    let (mut pace, mut known, mut ran) = (Pace::default(), None, false);
    job.sweep();
    for stage in job.stages().filter(|&s| s <= last) {
        ctx.cancel.check()?;
        let (tasks, open) = repairing(ctx, job, events, || {
            let tasks = job.tasks(stage)?.ok_or_else(|| {
                Error::new(
                    Code::Internal,
                    format!("stage {} began before its inputs", stage.name()),
                )
            })?;
            if stage == Stage::Pack
                && tasks > 0
                && let Some(uploads) = Uploads::of(ctx, job)?
            {
                uploads.give_up_others(job)?;
                uploads.recheck(job)?;
            }
            Ok((tasks, open_tasks(job, stage, 0..tasks)?))
        })?;
        if tasks == 0 {
            continue;
        }
        if open.is_empty() {
            job.log.write(&Entry::Stage {
                stage,
                state: Progressing::Reused,
                tasks,
                seconds: None,
                used: None,
            });
            events.send(Event::Stage {
                stage,
                state: StageState::Reused,
                tasks,
                seconds: events.seconds(),
            });
            continue;
        }
        let knows = (job.done(Stage::Documents, 0)?.is_some(), job.done(Stage::Plan, 0)?.is_some());
        if known.replace(knows) != Some(knows)
            && let Some(message) = disk::check(ctx, job, last)?
        {
            warn(job, events, &message);
        }
        let facts = estimate::facts(ctx, job);
        events.set_after(pace.after(ctx, job, facts.as_ref(), stage, last)?);
        events.send(Event::Stage {
            stage,
            state: StageState::Started,
            tasks,
            seconds: events.seconds(),
        });
        let began = Instant::now();
        ran = true;
        let mut first = Some(open.clone());
        repairing(ctx, job, events, || {
            let left = match first.take() {
                Some(all) => all,
                None => open_tasks(job, stage, open.iter().copied())?,
            };
            run_tasks(ctx, job, events, stage, &left)
        })?;
        pace.add(
            began.elapsed(),
            estimate::seconds(ctx, job, stage, facts.as_ref(), Some(open.len()))?,
        );
        events.send(Event::Stage {
            stage,
            state: StageState::Done,
            tasks,
            seconds: events.seconds(),
        });
    }
    if last == Stage::Seal
        && job.options().clean == Clean::Sealed
        && (ran || !clean::is_complete(job))
    {
        clean::after_seal(job)?.iter().for_each(|kept| warn(job, events, kept));
    }
    Ok(())
}

/// Tells a person something, and the log.
pub(crate) fn warn(job: &Job, events: &Events, message: &str) {
    job.log.warning(message);
    events.send(Event::Warning { message: message.to_owned() });
}

/// How fast this machine is against what estimates were measured on, told by the stages that have run.
#[derive(Default)]
struct Pace {
    took: f64,
    estimated: f64,
}

impl Pace {
    fn add(&mut self, took: Duration, estimated: Option<f64>) {
        if let Some(estimated) = estimated {
            self.took += took.as_secs_f64();
            self.estimated += estimated;
        }
    }

    /// Seconds that the stages after `stage` need; `None` where nothing fair can be said.
    fn after(
        &self,
        ctx: &Ctx,
        job: &Job,
        facts: Option<&Facts>,
        stage: Stage,
        last: Stage,
    ) -> Result<Option<f64>> {
        let mut total = 0.0;
        for later in job.stages().filter(|&s| s > stage && s <= last) {
            let Some(seconds) = estimate::seconds(ctx, job, later, facts, None)? else {
                return Ok(None);
            };
            total += seconds;
        }
        // The shortest stages tell nothing: a file system's whims are longer.
        let pace = (self.took >= 1.0 && self.estimated > 0.0).then(|| self.took / self.estimated);
        Ok(if total == 0.0 { Some(0.0) } else { pace.map(|pace| pace * total) })
    }
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

/// Runs the given tasks of a stage side by side, as many as the run has threads; the log tells what that took.
pub fn run_tasks(
    ctx: &Ctx,
    job: &Job,
    events: &Arc<Events>,
    stage: Stage,
    tasks: &[u32],
) -> Result<Vec<DoneRecord>> {
    let progress = Arc::new(StageProgress::new(events, stage, units(job, stage, tasks)?));
    let (before, watch) = (Counters::now(), Watch::start(&progress, job.out()));
    let line = |state, seconds, used| Entry::Stage {
        stage,
        state,
        tasks: tasks.len() as u32,
        seconds,
        used,
    };
    job.log.write(&line(Progressing::Started, None, None));
    let result = side_by_side(ctx, job, &progress, tasks);
    let used = before.until_now(watch.end());
    let state = if result.is_ok() { Progressing::Done } else { Progressing::Failed };
    job.log.write(&line(state, Some(progress.seconds()), Some(used)));
    result
}

fn side_by_side(
    ctx: &Ctx,
    job: &Job,
    progress: &Arc<StageProgress>,
    tasks: &[u32],
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
            let ctx = ctx.with_progress(Arc::new(TaskProgress::new(progress)));
            match guarded(|| job.run_task(&ctx, progress.stage, task)) {
                Ok(record) => {
                    records.lock().unwrap_or_else(PoisonError::into_inner).push((task, record))
                }
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
    caught(work, |what| {
        Error::new(
            Code::Panic,
            format!("a bug in longweave: {what}; what was finished is kept, please report this"),
        )
    })
}

/// Units of progress in tasks of a stage.
pub(crate) fn units(job: &Job, stage: Stage, tasks: &[u32]) -> Result<u64> {
    if tasks.is_empty() {
        return Ok(0);
    }
    Ok(match stage {
        Stage::Spool => {
            let files: Vec<u32> = job.file.inventory.spooled().map(|(file, _)| file).collect();
            tasks.iter().map(|&t| job.file.inventory.files[files[t as usize] as usize].bytes).sum()
        }
        Stage::Scan => tasks
            .iter()
            .map(|&t| longweave_corpus::split_bytes(&job.file.inventory, t as usize))
            .sum(),
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
        Stage::Vectors | Stage::Neighbours => crate::stages::vectors::units(job)?,
        Stage::Index | Stage::Plan | Stage::Report | Stage::Route => tasks.len() as u64,
        Stage::Seal => {
            job.all_done(Stage::Pack)?.iter().flat_map(|r| &r.files).map(|f| f.bytes).sum()
        }
    })
}
