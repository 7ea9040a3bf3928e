//! A prepared run that is kept open, for any number of calls that run tasks: what a task needs of
//! the run (its file, records of finished stages, tokenizer, model, open token store) is read once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_driver::{Events, Threads, explain};
use longweave_run::{LEAST_MEMORY, Outcome, RunContext};
use longweave_stages::STAGES;
use longweave_storage::{DoneRecord, LocalDirectory};

use crate::tasks::{self as listing, StageInfo, TaskRecord, TaskSelection};

/// A run whose tasks can be run.
pub(crate) struct Job {
    run: RunContext,
    ctx: Ctx,
    /// How the last call that ended did.
    outcome: Mutex<Outcome>,
    /// For temporary files, until the run is closed.
    _scratch: Option<LocalDirectory>,
}

/// The resources of a process that runs tasks.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Threads of each run that is opened; 0 for one per core.
    pub threads: usize,
    /// Bytes that tokenizing, predicting and packing may hold, for each run.
    pub memory: u64,
    /// A directory on a disk of this machine for temporary files; without one they are in the work
    /// directory.
    pub scratch: Option<PathBuf>,
}

impl Job {
    /// Opens the run prepared in `out`, to run tasks. `driven`: one driver hands out the tasks ([`RunContext::driven`]).
    ///
    /// Errors: `OPTIONS_INVALID`, `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`,
    /// `INPUT_CHANGED`.
    pub(crate) fn open(
        out: &Path,
        options: &JobOptions,
        driven: bool,
        cancel: &Cancel,
    ) -> Result<Job> {
        let JobOptions { threads, memory, ref scratch } = *options;
        if memory < LEAST_MEMORY {
            let message = format!("`memory` must be at least 16 MiB, but is {memory} bytes");
            return Err(Error::new(Code::OptionsInvalid, message).with("option", "memory"));
        }
        let run = RunContext::open(STAGES, out)?;
        let (run, mode) = if driven { (run.driven(), "worker") } else { (run, "stage") };
        run.check_inputs()?;
        let local = scratch.as_deref().map(LocalDirectory::create).transpose()?;
        let scratch = local.as_ref().map(|local| Arc::from(local.path()));
        let ctx = Ctx { cancel: cancel.clone(), scratch, ..Ctx::new(threads, memory)? };
        run.log.begin(mode, run.options(), ctx.pool.current_num_threads());
        Ok(Job { run, ctx, outcome: Mutex::new(Outcome::Done), _scratch: local })
    }

    /// The stages of the run with their tasks.
    ///
    /// Errors: `FILE_CORRUPT` for a damaged record.
    pub(crate) fn list(&self) -> Result<Vec<StageInfo>> {
        listing::list(&self.run)
    }

    /// Takes the records of a finished stage from a caller who knows them, in the order of its
    /// tasks, in place of those that it had. They are not looked for on the disk then: one open and one stat for each file of each
    /// task, which a shared file system may answer from an old cache.
    ///
    /// Errors: `STAGE_NOT_FOUND`; `STAGE_NOT_READY` where the stages before it were not handed over
    /// and are not complete; `OPTIONS_INVALID` for another number of records than the stage has
    /// tasks.
    pub(crate) fn adopt(&self, stage: &str, records: Vec<DoneRecord>) -> Result<()> {
        let stage = self.run.stage(stage)?;
        for input in self.run.inputs(stage) {
            self.run.all_done(input)?;
        }
        let tasks = self.run.tasks(stage)?.unwrap_or(0);
        if records.len() != tasks as usize {
            let message =
                format!("stage {} has {tasks} tasks, but {} records", stage.name, records.len());
            return Err(Error::new(Code::OptionsInvalid, message).with("stage", stage.name));
        }
        self.run.adopt(stage, records);
        Ok(())
    }

    /// Closes the files of a task's results that another process has made again, and forgets the
    /// records of the stage: the new one may name other files.
    ///
    /// Errors: `STAGE_NOT_FOUND`.
    pub(crate) fn reopen(&self, stage: &str, task: u32) -> Result<()> {
        let stage = self.run.stage(stage)?;
        self.run.disown(stage);
        stage.reopen(&self.run, task);
        Ok(())
    }

    /// Runs the selected tasks of a stage; those that are done run no more.
    ///
    /// Errors: those of the tasks; a corrupt result of an earlier stage names the command that makes
    /// it again; `CANCELLED`.
    pub(crate) fn run(
        &self,
        stage: &str,
        tasks: &TaskSelection,
        cancel: &Cancel,
        events: &Arc<Events>,
    ) -> Result<Vec<TaskRecord>> {
        let ctx = Ctx { cancel: cancel.clone(), ..self.ctx.clone() };
        let work = || -> Result<Vec<TaskRecord>> {
            let stage = self.run.stage(stage)?;
            let tasks = listing::select(&self.run, stage, tasks)?;
            // A driver does that, once.
            if !self.run.is_driven() {
                self.run.inputs(stage).into_iter().try_for_each(|input| self.run.list(input))?;
            }
            let records =
                longweave_driver::run_tasks(&ctx, &self.run, events, &Threads, stage, &tasks)?;
            let record = |(task, record)| TaskRecord::new(stage, task, record);
            Ok(tasks.into_iter().zip(records).map(record).collect())
        };
        let result = longweave_driver::guarded(work).map_err(|e| match self.run.is_driven() {
            // The driver has the task that made a corrupt file run again.
            true => self.run.locate(e),
            false => explain(&ctx, &self.run, e),
        });
        let outcome = self.run.log.outcome(result.as_ref());
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
        result
    }

    /// Tells the run's log that the work of this process ended, after `seconds`: as its last call
    /// did.
    pub(crate) fn end(&self, seconds: f64) {
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        self.run.log.end(outcome, seconds);
    }
}
