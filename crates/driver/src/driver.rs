//! The local driver: runs the stages of a run in order, their tasks on the run's threads, and says
//! how far it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Code, Ctx, Error, Result, return_freed_memory};
use longweave_run::{Clean, Counters, Entry, RunContext, Stage, TaskState};
use longweave_stages::SEAL;
use longweave_storage::DoneRecord;

use crate::events::{Event, Events, StageState};
use crate::forecast::disk;
use crate::progress_files::{StageProgress, TaskProgress, Watch};
use crate::repair::{guarded, repairing};
use crate::{clean, progress_files};

/// Runs every stage up to and with `last` whose results are missing. Checks that their files fit on
/// the disk as soon as more of their sizes is known. Removes leftovers of earlier attempts and
/// makes damaged results again.
///
/// Errors: the first that a task meets; tasks that are running are asked to stop, what is finished
/// is kept. `DISK_SPACE`.
pub fn run(ctx: &Ctx, run: &RunContext, events: &Arc<Events>, last: Stage) -> Result<()> {
    // `unchecked`: sizes became known that were not yet compared with the disk.
    let (mut unchecked, mut ran) = (true, false);
    sweep(run);
    let all: Vec<Stage> = run.stages_to(last).collect();
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
                Error::new(Code::Internal, format!("stage {} began before its inputs", stage.name))
            })?;
            stage.begin(ctx, run)?;
            Ok((tasks, open_tasks(run, stage, 0..tasks)?))
        })?;
        if tasks == 0 {
            continue;
        }
        if open.is_empty() {
            run.log.write(&Entry::Stage {
                stage: stage.name,
                state: TaskState::Reused,
                tasks,
                seconds: None,
                used: None,
            });
            run.list(stage)?;
            events.send(event(StageState::Reused, tasks));
            unchecked |= stage.tells_sizes();
            continue;
        }
        run.unlist(stage)?;
        if std::mem::take(&mut unchecked)
            && let Some(message) = disk::check(ctx, run, last)?
        {
            events.warn(run, &message);
        }
        events.send(event(StageState::Started, tasks));
        ran = true;
        let mut first = Some(open.clone());
        repairing(ctx, run, events, || {
            let left = match first.take() {
                Some(all) => all,
                None => open_tasks(run, stage, open.iter().copied())?,
            };
            run_tasks(ctx, run, events, stage, &left)
        })?;
        unchecked |= stage.tells_sizes();
        run.list(stage)?;
        events.send(event(StageState::Done, tasks));
    }
    if last == SEAL && run.options().clean == Clean::Sealed && (ran || !clean::is_complete(run)) {
        clean::after_seal(run)?.iter().for_each(|kept| events.warn(run, kept));
    }
    Ok(())
}

/// Those of `tasks` that are not done.
fn open_tasks(
    run: &RunContext,
    stage: Stage,
    tasks: impl Iterator<Item = u32>,
) -> Result<Vec<u32>> {
    let open = |task: u32| Ok(run.done(stage, task)?.is_none().then_some(task));
    tasks.filter_map(|task| open(task).transpose()).collect()
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
    let progress = Arc::new(StageProgress::new(events, stage, run.units(stage, tasks)?));
    let (before, watch) = (Counters::now(), Watch::start(&progress, run.out()));
    let line = |state, seconds, used| Entry::Stage {
        stage: stage.name,
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
    return_freed_memory();
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

/// Removes what killed attempts left half written, in the directories of all stages. Files that a
/// living process writes stay.
fn sweep(run: &RunContext) {
    progress_files::sweep(run.out(), &run.living());
    clean::sweep(run);
    longweave_storage::sweep(run.out());
    longweave_storage::sweep(run.work());
    run.stages().for_each(|stage| run.sweep_stage(stage));
}
