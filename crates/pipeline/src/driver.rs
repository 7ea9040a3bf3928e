//! The local driver: runs the stages of a run in order, their tasks on the run's threads, and says
//! how far it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use longweave_common::{Code, Ctx, Error, Result, catch_panic};
use longweave_storage::DoneRecord;

use crate::counts::counts;
use crate::estimate::Facts;
use crate::events::{Event, Events, StageState};
use crate::log::{Entry, TaskState};
use crate::progress_files::{StageProgress, TaskProgress, Watch};
use crate::repair::repairing;
use crate::stages::ingest::IngestCounts;
use crate::stages::scan::ScanCounts;
use crate::uploads::Uploads;
use crate::usage::Counters;
use crate::{Clean, RunContext, Stage, clean, disk, estimate};

/// Runs every stage up to and with `last` whose results are missing. Checks that their files fit on
/// the disk as soon as more of their sizes is known. Removes leftovers of earlier attempts and
/// makes damaged results again.
///
/// Errors: the first that a task meets; tasks that are running are asked to stop, what is finished
/// is kept. `DISK_SPACE`.
pub fn run(ctx: &Ctx, run: &RunContext, events: &Arc<Events>, last: Stage) -> Result<()> {
    let (mut pace, mut known, mut ran) = (Pace::default(), None, false);
    run.sweep();
    let all: Vec<Stage> = run.stages().filter(|&s| s <= last).collect();
    for (number, &stage) in (1..).zip(&all) {
        let event = |state, tasks| Event::Stage {
            stage,
            state,
            tasks,
            number,
            stages: all.len() as u32,
            seconds: events.seconds(),
        };
        ctx.cancel.check()?;
        let (tasks, open) = repairing(ctx, run, events, || {
            let tasks = run.tasks(stage)?.ok_or_else(|| {
                Error::new(
                    Code::Internal,
                    format!("stage {} began before its inputs", stage.name()),
                )
            })?;
            if stage == Stage::Pack
                && tasks > 0
                && let Some(uploads) = Uploads::of(ctx, run)?
            {
                uploads.give_up_others(run)?;
                uploads.recheck(run)?;
            }
            Ok((tasks, open_tasks(run, stage, 0..tasks)?))
        })?;
        if tasks == 0 {
            continue;
        }
        if open.is_empty() {
            run.log.write(&Entry::Stage {
                stage,
                state: TaskState::Reused,
                tasks,
                seconds: None,
                used: None,
            });
            events.send(event(StageState::Reused, tasks));
            continue;
        }
        let knows = (run.done(Stage::Documents, 0)?.is_some(), run.done(Stage::Plan, 0)?.is_some());
        if known.replace(knows) != Some(knows)
            && let Some(message) = disk::check(ctx, run, last)?
        {
            warn(run, events, &message);
        }
        let facts = estimate::facts(ctx, run);
        events.set_after(pace.after(ctx, run, facts.as_ref(), stage, last)?);
        events.send(event(StageState::Started, tasks));
        let began = Instant::now();
        ran = true;
        let mut first = Some(open.clone());
        repairing(ctx, run, events, || {
            let left = match first.take() {
                Some(all) => all,
                None => open_tasks(run, stage, open.iter().copied())?,
            };
            run_tasks(ctx, run, events, stage, &left)
        })?;
        pace.add(
            began.elapsed(),
            estimate::seconds(ctx, run, stage, facts.as_ref(), Some(open.len()))?,
        );
        events.send(event(StageState::Done, tasks));
    }
    if last == Stage::Seal
        && run.options().clean == Clean::Sealed
        && (ran || !clean::is_complete(run))
    {
        clean::after_seal(run)?.iter().for_each(|kept| warn(run, events, kept));
    }
    Ok(())
}

/// Tells a person something, and the log.
pub(crate) fn warn(run: &RunContext, events: &Events, message: &str) {
    run.log.warning(message);
    events.send(Event::Warning { message: message.to_owned() });
}

/// The speed of this machine relative to the machine of the estimates' rates, from the stages that
/// have run.
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
        run: &RunContext,
        facts: Option<&Facts>,
        stage: Stage,
        last: Stage,
    ) -> Result<Option<f64>> {
        let mut total = 0.0;
        for later in run.stages().filter(|&s| s > stage && s <= last) {
            let Some(seconds) = estimate::seconds(ctx, run, later, facts, None)? else {
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
fn open_tasks(
    run: &RunContext,
    stage: Stage,
    tasks: impl Iterator<Item = u32>,
) -> Result<Vec<u32>> {
    let mut open = Vec::new();
    for task in tasks {
        if run.done(stage, task)?.is_none() {
            open.push(task);
        }
    }
    Ok(open)
}

/// Runs the given tasks of a stage side by side, as many as the run has threads; the log tells what
/// that took.
pub fn run_tasks(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    stage: Stage,
    tasks: &[u32],
) -> Result<Vec<DoneRecord>> {
    let progress = Arc::new(StageProgress::new(events, stage, units(run, stage, tasks)?));
    let (before, watch) = (Counters::now(), Watch::start(&progress, run.out()));
    let line = |state, seconds, used| Entry::Stage {
        stage,
        state,
        tasks: tasks.len() as u32,
        seconds,
        used,
    };
    run.log.write(&line(TaskState::Started, None, None));
    let result = side_by_side(ctx, run, &progress, tasks);
    let used = before.until_now(watch.end());
    let state = if result.is_ok() { TaskState::Done } else { TaskState::Failed };
    run.log.write(&line(state, Some(progress.seconds()), Some(used)));
    result
}

fn side_by_side(
    ctx: &Ctx,
    run: &RunContext,
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
            match guarded(|| run.run_task(&ctx, progress.stage, task)) {
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
    // A panicking task drops its resources: files without a commit, buffers, its lease.
    catch_panic(work, |what| {
        Error::new(
            Code::Panic,
            format!("a bug in longweave: {what}; finished tasks are kept. Please report this"),
        )
    })
}

/// Units of progress in tasks of a stage.
pub(crate) fn units(run: &RunContext, stage: Stage, tasks: &[u32]) -> Result<u64> {
    if tasks.is_empty() {
        return Ok(0);
    }
    Ok(match stage {
        Stage::Spool => {
            let files: Vec<u32> = run.file.inventory.spooled().map(|(file, _)| file).collect();
            tasks.iter().map(|&t| run.file.inventory.files[files[t as usize] as usize].bytes).sum()
        }
        Stage::Scan => tasks
            .iter()
            .map(|&t| longweave_corpus::split_bytes(&run.file.inventory, t as usize))
            .sum(),
        Stage::Ingest | Stage::Predict | Stage::Extract | Stage::Embed => {
            let mut rows = 0;
            for &task in tasks {
                if let Some(record) = run.done(Stage::Scan, task)? {
                    rows += counts::<ScanCounts>(&record)?.rows;
                }
            }
            rows
        }
        Stage::Scatter => {
            let records = run.all_done(Stage::Ingest)?;
            let mut tokens = 0;
            for &task in tasks {
                tokens += counts::<IngestCounts>(&records[task as usize])?.tokens;
            }
            tokens
        }
        Stage::Pack => crate::stages::pack::sequences(run, tasks)?,
        Stage::Documents => u64::from(run.rows()?.total()),
        Stage::Vectors | Stage::Neighbours => crate::stages::vectors::units(run)?,
        Stage::Index | Stage::Plan | Stage::Report | Stage::Route => tasks.len() as u64,
        Stage::Seal => {
            run.all_done(Stage::Pack)?.iter().flat_map(|r| &r.files).map(|f| f.bytes).sum()
        }
    })
}
