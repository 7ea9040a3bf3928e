//! The driver: has the stages of a run done in order, by threads or by an engine elsewhere, and says
//! how far it is.

use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, Result, return_freed_memory};
use longweave_run::{Clean, Counters, Entry, Mode, RunContext, Stage, TaskState};
use longweave_stages::{PLAN, SEAL, summary};
use longweave_storage::DoneRecord;

use crate::engine::Engine;
use crate::events::{Event, Events, StageState};
use crate::forecast::disk;
use crate::progress_files::{StageProgress, Watch};
use crate::repair::repairing;
use crate::{clean, progress_files};

/// Runs every stage up to and with `last` whose results are missing. Checks that their files fit on
/// the disk as soon as more of their sizes is known. Removes leftovers of earlier attempts and
/// makes damaged results again.
///
/// Errors: the first that a task meets; tasks that are running are asked to stop, what is finished
/// is kept. `DISK_SPACE`.
pub fn run(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    engine: &dyn Engine,
    last: Stage,
) -> Result<()> {
    // `unchecked`: sizes became known that were not yet compared with the disk.
    let (mut unchecked, mut ran) = (true, false);
    run.check_driver()?;
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
        run.check_driver()?;
        let mut records = repairing(ctx, run, events, engine, || {
            let tasks = run.tasks(stage)?.ok_or_else(|| {
                Error::new(Code::Internal, format!("stage {} began before its inputs", stage.name))
            })?;
            stage.begin(ctx, run)?;
            (0..tasks).map(|task| run.done(stage, task)).collect::<Result<Vec<_>>>()
        })?;
        let tasks = records.len() as u32;
        if tasks == 0 {
            continue;
        }
        let open = open_tasks(&records);
        if open.is_empty() {
            run.log.write(&Entry::Stage {
                stage: stage.name,
                state: TaskState::Reused,
                tasks,
                seconds: None,
                used: None,
            });
            keep(run, stage, records)?;
            events.send(event(StageState::Reused, tasks));
            tell_plan(run, events, stage, last);
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
        let mut again = false;
        repairing(ctx, run, events, engine, || {
            if std::mem::replace(&mut again, true) {
                for &task in &open {
                    records[task as usize] = run.done(stage, task)?;
                }
            }
            let left = open_tasks(&records);
            let made = run_tasks(ctx, run, events, engine, stage, &left)?;
            for (task, record) in left.into_iter().zip(made) {
                records[task as usize] = Some(record);
            }
            Ok(())
        })?;
        unchecked |= stage.tells_sizes();
        keep(run, stage, records)?;
        events.send(event(StageState::Done, tasks));
        tell_plan(run, events, stage, last);
    }
    if last == SEAL && run.options().clean == Clean::Sealed && (ran || !clean::is_complete(run)) {
        run.check_driver()?;
        clean::after_seal(run)?.iter().for_each(|kept| events.warn(run, kept));
    }
    Ok(())
}

/// Warns of what the plan cannot meet before its tokens are packed.
fn tell_plan(run: &RunContext, events: &Events, stage: Stage, last: Stage) {
    if stage != PLAN || last == PLAN {
        return;
    }
    // A damaged record of a later stage is found, and made again, when its turn comes.
    if let Ok(planned) = summary::summary(run, Mode::Plan, events.seconds()) {
        planned.warnings.iter().for_each(|message| events.warn_once(run, message));
    }
}

/// The tasks without a record.
fn open_tasks(records: &[Option<DoneRecord>]) -> Vec<u32> {
    (0..).zip(records).filter(|(_, record)| record.is_none()).map(|(task, _)| task).collect()
}

/// Keeps the records of a stage that is complete now: a shared file system may show them late.
fn keep(run: &RunContext, stage: Stage, records: Vec<Option<DoneRecord>>) -> Result<()> {
    run.adopt(stage, records.into_iter().flatten().collect());
    run.check_driver()?;
    run.list(stage)
}

/// Has the given tasks of a stage done; the log tells what that took.
pub fn run_tasks(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    engine: &dyn Engine,
    stage: Stage,
    tasks: &[u32],
) -> Result<Vec<DoneRecord>> {
    let progress = Arc::new(StageProgress::new(events, stage, run.units(stage, tasks)?));
    // Workers elsewhere write how far they are, and what their part took.
    let watch = engine.is_here().then(|| (Counters::now(), Watch::start(&progress, run.out())));
    let line = |state, seconds, used| Entry::Stage {
        stage: stage.name,
        state,
        tasks: tasks.len() as u32,
        seconds,
        used,
    };
    run.log.write(&line(TaskState::Started, None, None));
    let result = engine.run(ctx, run, stage, tasks, Some(&progress));
    let used = watch.map(|(before, watch)| before.until_now(watch.end()));
    let state = if result.is_ok() { TaskState::Done } else { TaskState::Failed };
    run.log.write(&line(state, Some(progress.seconds()), used));
    return_freed_memory();
    result
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
