//! Repair of corrupt results in the work directory. The reader's error names the corrupt file. The
//! task that made it is found and run again, alone: results follow from options and inputs, so
//! results that were made of the intact file stay valid.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use longweave_common::{Corrupt, Ctx, Error, Result};
use longweave_run::RunContext;

use crate::engine::Engine;
use crate::events::Events;

/// Retries `work` after each corrupt file that a task could make again; each file gets one retry
/// and one warning.
///
/// Errors: the first other error of `work` or of a task that is run again.
pub fn repairing<T>(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    engine: &dyn Engine,
    mut work: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut met = BTreeSet::new();
    loop {
        match work() {
            Ok(value) => return Ok(value),
            Err(error) => repair(ctx, run, events, engine, error, &mut met)?,
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
    engine: &dyn Engine,
    error: Error,
    met: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let error = run.locate(error);
    let Some(Corrupt { file, made_by: Some((stage, task)) }) = error.corrupt_file().cloned() else {
        return Err(error);
    };
    if !met.insert(file.clone()) {
        return Err(error);
    }
    let stage = run.stage(stage)?;
    run.check_driver()?;
    // A shared file system may show the new record late.
    let known = run.all_done(stage).ok();
    if run.forget(ctx, stage, task)? {
        let message = format!(
            "{} was corrupt; task {task} of stage {} runs again",
            file.display(),
            stage.name
        );
        events.warn(run, &message);
        let again = || engine.run(ctx, run, stage, &[task], None);
        let made = repairing(ctx, run, events, engine, again)?;
        if let Some(known) = known {
            let mut records = known.to_vec();
            records.splice(task as usize..=task as usize, made);
            run.adopt(stage, records);
        }
        engine.reopen(run, stage, task);
    }
    Ok(())
}

/// For callers that run single tasks: deletes the done record of the task that made a corrupt file.
/// The error names the command to run.
pub fn explain(ctx: &Ctx, run: &RunContext, error: Error) -> Error {
    let error = run.locate(error);
    let Some(Corrupt { file, made_by: Some((name, task)) }) = error.corrupt_file().cloned() else {
        return error;
    };
    match run.stage(name).and_then(|stage| run.forget(ctx, stage, task)) {
        Err(other) => other,
        Ok(false) => error,
        Ok(true) => {
            let message = format!(
                "{} is damaged; task {task} of stage {}, which made it, counts as not done: run \
                 `longweave task run {} {} --task {task}`, then this again",
                file.display(),
                name,
                run.out().display(),
                name
            );
            Error::corrupt(&file, message).made_by(name, task)
        }
    }
}
