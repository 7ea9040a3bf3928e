//! Repair of corrupt results in the work directory. The reader's error names the corrupt file. The
//! task that made it is found and run again, alone: results follow from options and inputs, so
//! results that were made of the intact file stay valid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, Result};
use longweave_storage::DoneRecord;

use crate::driver::{guarded, warn};
use crate::{Events, RunContext, Stage};

/// Retries `work` after each corrupt file that a task could make again; each file gets one retry
/// and one warning.
///
/// Errors: the first other error of `work` or of a task that is run again.
pub(crate) fn repairing<T>(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    mut work: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut met = BTreeSet::new();
    loop {
        match work() {
            Ok(value) => return Ok(value),
            Err(error) => repair(ctx, run, events, error, &mut met)?,
        }
    }
}

/// Runs the task again that made the corrupt file of an error, unless the file is in `met`.
///
/// Errors: the same error where there is no such task.
fn repair(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    error: Error,
    met: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let Some(file) = damaged(&error).filter(|file| met.insert(file.clone())) else {
        return Err(error);
    };
    let Some((stage, task)) = producing_task(run, &file) else { return Err(error) };
    if run.forget(ctx, stage, task)? {
        let message = format!(
            "{} was corrupt; task {task} of stage {} runs again",
            file.display(),
            stage.name()
        );
        warn(run, events, &message);
        repairing(ctx, run, events, || guarded(|| run.run_task(ctx, stage, task)))?;
        run.reopen(stage, task);
    }
    Ok(())
}

/// For callers that run single tasks: deletes the done record of the task that made a corrupt file.
/// The error names the command to run.
pub(crate) fn explain(ctx: &Ctx, run: &RunContext, error: Error) -> Error {
    let Some(file) = damaged(&error) else { return error };
    let Some((stage, task)) = producing_task(run, &file) else { return error };
    match run.forget(ctx, stage, task) {
        Err(other) => other,
        Ok(false) => error,
        Ok(true) => {
            let message = format!(
                "{} is damaged; task {task} of stage {}, which made it, counts as not done: run `longweave task run {} {} --task {task}`, \
                 then this again",
                file.display(),
                stage.name(),
                run.out().display(),
                stage.name()
            );
            Error::new(Code::FileCorrupt, message)
                .with("file", file.display().to_string())
                .with("stage", stage.name())
                .with("task", task)
        }
    }
}

/// The file that an error says is damaged.
fn damaged(error: &Error) -> Option<PathBuf> {
    let file = error.details().get("file").and_then(|file| file.as_str());
    file.filter(|_| error.code() == Code::FileCorrupt).map(PathBuf::from)
}

/// The task whose record is, or names, the file.
fn producing_task(run: &RunContext, file: &Path) -> Option<(Stage, u32)> {
    run.stages().find_map(|stage| {
        let inside = file
            .strip_prefix(run.directory(stage))
            .ok()
            .map(|name| name.to_string_lossy().replace('\\', "/"));
        // A stage whose tasks cannot be counted yet has no results.
        let tasks = run.tasks(stage).ok().flatten()?;
        (0..tasks).map(|task| (task, run.record(stage, task))).find_map(|(task, record)| {
            let made = file == record
                || inside.as_ref().is_some_and(|name| {
                    DoneRecord::load(&record)
                        .ok()
                        .flatten()
                        .is_some_and(|record| record.files.iter().any(|f| f.name == *name))
                });
            made.then_some((stage, task))
        })
    })
}
