//! Done records: which tasks are done, and what they counted.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use longweave_common::{Code, Corrupt, Ctx, Error, Result, ResultExt};
use longweave_storage::{DoneRecord, RecordList, write_file};

use crate::context::{Counts, Place, RunContext, Stage};

/// Tasks of a stage from which on their records are also kept in one file.
const LISTED: u32 = 256;

/// Tasks that are done, by number, with their records.
type DoneTasks = Vec<(u32, DoneRecord)>;

impl RunContext {
    /// A stage's tasks; `None` while its inputs are not complete.
    pub fn tasks(&self, stage: Stage) -> Result<Option<u32>> {
        if_ready(stage.tasks(self)).map(Option::flatten)
    }

    /// The number of a stage's tasks, if known, and the records of those that are done, in order.
    pub fn progress(&self, stage: Stage) -> Result<(Option<u32>, DoneTasks)> {
        let tasks = self.tasks(stage)?;
        let all = 0..tasks.unwrap_or(0);
        // A look into the folder in place of one for each task.
        let asked: Vec<u32> = match self.cleaned_away(stage)? {
            None => self.recorded(stage).into_iter().filter(|task| all.contains(task)).collect(),
            Some(_) => all.collect(),
        };
        let done = |task| Ok(self.done(stage, task)?.map(|record| (task, record)));
        let records = asked.into_iter().filter_map(|task| done(task).transpose());
        Ok((tasks, records.collect::<Result<_>>()?))
    }

    /// Tasks of a stage that have a record, in order.
    fn recorded(&self, stage: Stage) -> Vec<u32> {
        let entries = fs::read_dir(self.record_folder(stage)).into_iter().flatten().flatten();
        let task = |name: &str| name.strip_suffix(".json")?.parse().ok();
        let mut tasks: Vec<u32> =
            entries.filter_map(|entry| task(entry.file_name().to_str()?)).collect();
        tasks.sort_unstable();
        tasks
    }

    /// The number of a stage's tasks, if known, and which are done, in order. Of many tasks that all
    /// are, a single file tells.
    pub fn done_tasks(&self, stage: Stage) -> Result<(Option<u32>, Vec<u32>)> {
        let tasks = self.tasks(stage)?;
        if self.known(stage).is_some() || self.listed(stage, tasks)?.is_some() {
            return Ok((tasks, (0..tasks.unwrap_or(0)).collect()));
        }
        let (tasks, done) = self.progress(stage)?;
        Ok((tasks, done.into_iter().map(|(task, _)| task).collect()))
    }

    /// Bytes of the files of a stage in the work directory, where one file tells.
    ///
    /// Errors: those of reading.
    pub fn listed_bytes(&self, stage: Stage) -> Result<Option<u64>> {
        match stage.place {
            Place::Work => Ok(self.listed(stage, self.tasks(stage)?)?.map(|list| list.bytes())),
            Place::Output => Ok(None),
        }
    }

    /// The file of a stage's records, where it has many tasks and all are done.
    fn listed(&self, stage: Stage, tasks: Option<u32>) -> Result<Option<RecordList>> {
        let Some(tasks) = tasks.filter(|&tasks| tasks >= LISTED) else { return Ok(None) };
        let list = RecordList::load(&self.record_list(stage))?;
        Ok(list.filter(|list| list.tasks() == tasks))
    }

    /// Puts the records of a complete stage of many tasks into one file for other processes, unless
    /// that is there. One that cannot be written is left out.
    ///
    /// Errors: as [`RunContext::all_done`].
    pub fn list(&self, stage: Stage) -> Result<()> {
        let (records, path) = (self.all_done(stage)?, self.record_list(stage));
        if records.len() >= LISTED as usize && !path.exists() {
            let _ = RecordList::write(&path, &records);
        }
        Ok(())
    }

    /// Removes the file of a stage's records: one of its tasks is to run again.
    ///
    /// Errors: those of removing.
    pub fn unlist(&self, stage: Stage) -> Result<()> {
        RecordList::remove(&self.record_list(stage))
    }

    /// The units of progress of some tasks of a stage; 0 of none.
    pub fn units(&self, stage: Stage, tasks: &[u32]) -> Result<u64> {
        if tasks.is_empty() { Ok(0) } else { stage.units(self, tasks) }
    }

    /// The record of a finished task; `None` where it is not finished, or its files are gone. Of
    /// files that were uploaded the record alone tells: it is written once the store has them
    /// whole.
    ///
    /// A finished run whose intermediates were cleaned away keeps their records, which count for as
    /// long as its output is whole.
    pub fn done(&self, stage: Stage, task: u32) -> Result<Option<DoneRecord>> {
        if stage.is_sent(self.options()) {
            return DoneRecord::load(&self.record(stage, task));
        }
        match DoneRecord::read(&self.record(stage, task), &self.directory(stage))? {
            Some(record) => Ok(Some(record)),
            None => Ok(self
                .cleaned_away(stage)?
                .and_then(|records| records.get(task as usize).cloned())),
        }
    }

    /// The records of a stage whose results were cleaned away from this finished run.
    fn cleaned_away(&self, stage: Stage) -> Result<Option<&[DoneRecord]>> {
        let known = self.cleaned(stage);
        if known.get().is_none()
            && stage.place == Place::Work
            && let Some(records) = self.kept_records(stage)?
            && self.is_finished()?
        {
            // Another thread has read the same.
            let _ = known.set(records);
        }
        Ok(known.get().map(Vec::as_slice))
    }

    fn kept_records(&self, stage: Stage) -> Result<Option<Vec<DoneRecord>>> {
        let path = self.cleaned_records(stage);
        let text = match fs::read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.at("read", &path)?,
        };
        // Records that cannot be read count as missing: the stage runs again.
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Whether the output is complete, by the records that there are. A yes is kept.
    fn is_finished(&self) -> Result<bool> {
        let known = self.finished();
        if known.get().is_some() {
            return Ok(true);
        }
        let run = self.trusting();
        for stage in self.stages().filter(|stage| stage.place == Place::Output) {
            let (tasks, done) = run.progress(stage)?;
            if tasks != Some(done.len() as u32) {
                return Ok(false);
            }
        }
        // Another thread has found the same.
        let _ = known.set(());
        Ok(true)
    }

    /// Keeps the records of a stage whose results are to go.
    pub fn keep_records(&self, stage: Stage) -> Result<()> {
        let text = serde_json::to_vec(&self.all_done(stage)?[..])
            .map_err(|e| Error::new(Code::Internal, format!("records as JSON: {e}")))?;
        write_file(&self.cleaned_records(stage), &text).map(drop)
    }

    /// The records of all tasks of a stage. A stage that was complete once counts as complete for
    /// this run, until one of its tasks is to run again.
    ///
    /// Errors: `STAGE_NOT_READY`, naming the first that is not done.
    pub fn all_done(&self, stage: Stage) -> Result<Arc<[DoneRecord]>> {
        // Threads that ask meanwhile wait for the one that reads.
        let mut known = self.complete(stage).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = &*known {
            return Ok(Arc::clone(records));
        }
        let records: Arc<[DoneRecord]> = self.read_all_done(stage)?.into();
        Ok(Arc::clone(known.insert(records)))
    }

    /// Takes the records of a stage from a caller who knows that it is complete, in place of those
    /// that are known; see [`RunContext::all_done`].
    pub fn adopt(&self, stage: Stage, records: Vec<DoneRecord>) {
        self.keep_known(stage, Some(records.into()));
    }

    /// Forgets the records of a stage, which are looked for on the disk when they are next asked
    /// for: a task of it ran again, and the new record may name other files.
    pub fn disown(&self, stage: Stage) {
        self.keep_known(stage, None);
    }

    fn keep_known(&self, stage: Stage, records: Option<Arc<[DoneRecord]>>) {
        *self.complete(stage).lock().unwrap_or_else(PoisonError::into_inner) = records;
    }

    fn known(&self, stage: Stage) -> Option<Arc<[DoneRecord]>> {
        self.complete(stage).lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read_all_done(&self, stage: Stage) -> Result<Vec<DoneRecord>> {
        let not_ready = |what: String| {
            let message = format!(
                "{what}; run `longweave task run {} {} --all` first",
                self.out().display(),
                stage.name
            );
            Error::new(Code::StageNotReady, message).with("stage", stage.name)
        };
        let tasks = self.tasks(stage)?.ok_or_else(|| {
            not_ready(format!("the inputs of stage {} are not complete", stage.name))
        })?;
        if let Some(records) = self.listed(stage, Some(tasks))?.and_then(|list| list.records()) {
            return Ok(records);
        }
        (0..tasks)
            .map(|task| {
                self.done(stage, task)?.ok_or_else(|| {
                    not_ready(format!("task {task} of stage {} is not done", stage.name))
                })
            })
            .collect()
    }

    /// Whether all tasks of a stage are done.
    pub fn is_complete(&self, stage: Stage) -> Result<bool> {
        if_ready(self.all_done(stage)).map(|records| records.is_some())
    }

    /// That the results of a stage are there to be read.
    ///
    /// Errors: `STAGE_NOT_READY`, also where they were cleaned away.
    pub fn require(&self, stage: Stage) -> Result<()> {
        self.all_done(stage)?;
        if self.directory(stage).exists() {
            return Ok(());
        }
        let message = format!(
            "`clean` deleted the results of stage {} after the run in {} had finished; run it with \
             `clean: none` into another directory to keep them",
            stage.name,
            self.out().display()
        );
        Err(Error::new(Code::StageNotReady, message).with("stage", stage.name))
    }

    /// The counts of a task of a complete stage.
    ///
    /// Errors: `STAGE_NOT_READY`, `FILE_CORRUPT`.
    pub fn counts<C: Counts>(&self, task: u32) -> Result<C> {
        self.parse(task, &self.all_done(C::STAGE)?[task as usize])
    }

    /// The counts of all tasks of a complete stage.
    ///
    /// Errors: as [`RunContext::counts`].
    pub fn all_counts<C: Counts>(&self) -> Result<Vec<C>> {
        let records = self.all_done(C::STAGE)?;
        (0..).zip(records.iter()).map(|(task, record)| self.parse(task, record)).collect()
    }

    /// The counts of a task, if it is done.
    pub fn counts_if_done<C: Counts>(&self, task: u32) -> Result<Option<C>> {
        self.done(C::STAGE, task)?.map(|record| self.parse(task, &record)).transpose()
    }

    fn parse<C: Counts>(&self, task: u32, record: &DoneRecord) -> Result<C> {
        C::deserialize(&record.counts).map_err(|e| {
            let path = self.record(C::STAGE, task);
            let message = format!(
                "{} holds other counts than expected ({e}); delete it and run again",
                path.display()
            );
            Error::corrupt(&path, message).made_by(C::STAGE.name, task)
        })
    }

    /// Adds to the error of a corrupt file the task that makes it, where one does.
    pub fn locate(&self, error: Error) -> Error {
        match error.corrupt_file() {
            Some(Corrupt { file, made_by: None }) => match self.producing_task(file) {
                Some((stage, task)) => error.made_by(stage.name, task),
                None => error,
            },
            _ => error,
        }
    }

    /// The task whose record is, or names, the file.
    fn producing_task(&self, file: &Path) -> Option<(Stage, u32)> {
        self.stages().find_map(|stage| {
            let inside = file
                .strip_prefix(self.directory(stage))
                .ok()
                .map(|name| name.to_string_lossy().replace('\\', "/"));
            // A stage whose tasks cannot be counted yet has no results.
            let tasks = self.tasks(stage).ok().flatten()?;
            (0..tasks).map(|task| (task, self.record(stage, task))).find_map(|(task, record)| {
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

    /// Compares a result of a stage that is done once with what its record says: for files that
    /// hold no checksum of their own.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub fn check(&self, stage: Stage, name: &str) -> Result<()> {
        let directory = self.directory(stage);
        self.all_done(stage)?
            .iter()
            .flat_map(|r| &r.files)
            .filter(|f| f.name == name)
            .try_for_each(|f| f.check(&directory))
    }

    /// Removes the record of a task, and before it the file that repeats it.
    ///
    /// Errors: those of removing.
    pub fn take_away(&self, stage: Stage, task: u32) -> Result<()> {
        self.unlist(stage)?;
        self.disown(stage);
        DoneRecord::remove(&self.record(stage, task))
    }

    /// Deletes the done record of a task if it, or any file it lists, fails its checksum. Returns
    /// whether it did. Waits while another process runs the task.
    pub fn forget(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<bool> {
        let _lease = self.lease(ctx, stage, task)?;
        let (path, directory) = (self.record(stage, task), self.directory(stage));
        let check = || -> Result<bool> {
            let Some(record) = DoneRecord::load(&path)? else { return Ok(false) };
            if !stage.is_sent(self.options()) {
                record.files.iter().try_for_each(|file| file.check(&directory))?;
            }
            Ok(true)
        };
        let whole = match check() {
            Ok(true) => true,
            Ok(false) => return Ok(true),
            Err(e) if matches!(e.code(), Code::FileCorrupt | Code::InputNotFound) => false,
            // A disk that cannot be read says nothing of the file.
            Err(e) => return Err(e),
        };
        if !whole {
            self.take_away(stage, task)?;
        }
        Ok(!whole)
    }
}

/// `None` in place of `STAGE_NOT_READY`.
fn if_ready<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(e) if e.code() == Code::StageNotReady => Ok(None),
        other => other.map(Some),
    }
}
