//! Damaged results: a file of the work directory that is not what its task left there. The error that a reader gives names the file; here
//! is found which task made it, and that task alone is done again. Results follow from options and inputs, so what was made of the file
//! when it was whole stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Code, Ctx, Error, Result};
use longweave_storage::DoneRecord;

use crate::driver::{guarded, warn};
use crate::{Events, RunContext, Stage};

/// Calls `work` until it meets no damaged file that a task can make again; each file is given one chance. A warning tells of each.
///
/// Errors: the first of `work`, or of a task that is done again, that is of another kind.
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
            Err(error) => mend(ctx, run, events, error, &mut met)?,
        }
    }
}

/// Does the task again that made the file which an error says is damaged, unless the file is one of those `met` before.
///
/// Errors: the same error where there is no such task.
fn mend(
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
            "{} was damaged; task {task} of stage {} is done again",
            file.display(),
            stage.name()
        );
        warn(run, events, &message);
        repairing(ctx, run, events, || guarded(|| run.run_task(ctx, stage, task)))?;
        run.reopen(stage, task);
    }
    Ok(())
}

/// For who runs single tasks: takes away the record of the task that made a damaged file, and says what to run.
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
