//! Uploads of finished files to a remote output. A shard is written to a staging directory next to
//! the done records and sent from there; its record names the objects. An interrupted task resumes
//! with the staged files and the missing parts.
//!
//! `staged/NNNNN-TOKEN` is that of the process with this token, which alone writes there;
//! `staged/NNNNN` was left by an attempt that ended, and is taken over by renaming it. A driver
//! frees those of killed processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use longweave_remote::{Location, Remote, Stat};
use longweave_run::{RunContext, Stage};
use longweave_storage::{DoneRecord, FileRecord, Lock, checksum_file, process_token};
use serde::{Deserialize, Serialize};

use crate::attempt::task_of;

/// The object of a shard's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectRecord {
    /// The object's etag; empty until it exists.
    pub(crate) etag: String,
}

/// The remote output of a run.
pub(crate) struct Uploads {
    remote: Remote,
    to: Location,
}

impl Uploads {
    /// Where the run's files are sent; `None` where they stay.
    ///
    /// Errors: `REMOTE_NOT_BUILT`.
    pub(crate) fn of(cancel: &Cancel, run: &RunContext) -> Result<Option<Uploads>> {
        let Some(url) = &run.options().output.upload else { return Ok(None) };
        Ok(Some(Uploads { remote: Remote::open(cancel)?, to: Location::parse(url)? }))
    }

    /// Refuses a place that holds objects before the run has sent any.
    ///
    /// Errors: `OUTPUT_EXISTS`.
    pub(crate) fn refuse_other_objects(&self) -> Result<()> {
        let found = self.remote.first(&self.to).map_err(|e| match e.code() {
            Code::InputNotFound => {
                let message = format!(
                    "cannot write {}: there is no such bucket; create it, or name another",
                    self.to
                );
                Error::new(Code::OutputDenied, message).with("option", "output.upload")
            }
            _ => e,
        })?;
        let Some(object) = found else { return Ok(()) };
        let message = format!(
            "{} holds objects that are not this run's ({object}); choose another `output.upload`, \
             or remove them",
            self.to
        );
        Err(Error::new(Code::OutputExists, message).with("file", object.to_string()))
    }

    /// Sends a staged file; its object's etag.
    pub(crate) fn send_staged(
        &self,
        ctx: &Ctx,
        staging: &Staging,
        number: usize,
        file: &FileRecord,
    ) -> Result<String> {
        let state = staging.directory.join(format!("upload-{number}.json"));
        let path = staging.files().join(&file.name);
        let sent = self.remote.upload(ctx, &path, &file.xxh3, &self.to.join(&file.name), &state)?;
        Ok(sent.etag)
    }

    /// Sends small files of the output directory, in this order, each as a whole.
    pub(crate) fn send(&self, ctx: &Ctx, out: &Path, names: &[String]) -> Result<()> {
        for name in names {
            let path = out.join(name);
            let (_, xxh3, _) = checksum_file(&path)?;
            let state = out.join(".state").join(format!("upload-{}.json", name.replace('/', "-")));
            self.remote.upload(ctx, &path, &format!("{xxh3:016x}"), &self.to.join(name), &state)?;
            remove(&state)?;
        }
        Ok(())
    }

    /// Removes the records of tasks of a stage whose objects are gone or were replaced, so that
    /// these run again: records themselves are trusted, and one listing is made when a driver comes
    /// to the stage. `sent` gives a record's files, each with its etag where that is known.
    ///
    /// Errors: those of listing.
    pub(crate) fn recheck(
        &self,
        run: &RunContext,
        stage: Stage,
        sent: impl Fn(&DoneRecord) -> Option<Vec<(FileRecord, Option<String>)>>,
    ) -> Result<()> {
        let (_, done) = run.progress(stage)?;
        if done.is_empty() {
            return Ok(());
        }
        let listed: BTreeMap<String, Stat> = self
            .remote
            .list(&self.to)?
            .into_iter()
            .filter_map(|(object, stat)| Some((object.below(&self.to)?.to_owned(), stat)))
            .collect();
        let same = |a: &str, b: &str| a.trim_matches('"') == b.trim_matches('"');
        let stands = |(file, etag): &(FileRecord, Option<String>)| {
            listed.get(&file.name).is_some_and(|stat| {
                stat.bytes == file.bytes && etag.as_ref().is_none_or(|etag| same(&stat.etag, etag))
            })
        };
        for (task, record) in done {
            if !sent(&record).is_some_and(|sent| sent.iter().all(stands)) {
                run.take_away(stage, task)?;
            }
        }
        Ok(())
    }

    /// Gives up the uploads that earlier runs of the same output directory, to other places or of
    /// other bytes, left unfinished.
    pub(crate) fn give_up_others(&self, run: &RunContext, stage: Stage) -> Result<()> {
        let own = run.state(stage);
        let state = run.out().join(".state");
        let prefix = format!("{}-", stage.name);
        for directory in below(&state)? {
            if directory == own
                || !directory
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            {
                continue;
            }
            self.give_up_staged(&directory)?;
        }
        Ok(())
    }

    /// Gives up the uploads that attempts at tasks of a stage left, all of which are done.
    pub(crate) fn give_up_staged(&self, state: &Path) -> Result<()> {
        below(&state.join("staged"))?.iter().try_for_each(|staging| self.give_up(staging))
    }

    /// Frees what killed processes staged for a stage, for the next attempt at each task. The caller
    /// drives the run.
    pub(crate) fn free_staged(&self, run: &RunContext, stage: Stage) -> Result<()> {
        for staging in below(&run.state(stage).join("staged"))? {
            let name = staging.file_name().and_then(|name| name.to_str());
            let Some(task) = name.and_then(task_of) else { continue };
            if Lock::is_held(&run.lease_file(stage, task)) {
                continue;
            }
            let free = free(run, stage, task);
            if free.exists() || run.record(stage, task).exists() {
                self.give_up(&staging)?;
            } else {
                fs::rename(&staging, &free).at("rename", &staging)?;
            }
        }
        Ok(())
    }

    fn give_up(&self, staging: &Path) -> Result<()> {
        let is_upload = |file: &&PathBuf| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("upload-"))
        };
        let files = below(staging)?;
        files.iter().filter(is_upload).try_for_each(|file| self.remote.give_up_upload(file))?;
        // An attempt that was given up may still write there: what it leaves costs only space.
        let _ = fs::remove_dir_all(staging);
        Ok(())
    }
}

/// The entries of a directory; none where it is not there.
fn below(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    match fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => entries
            .at("open", directory)?
            .map(|entry| entry.at("read", directory).map(|e| e.path()))
            .collect(),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&e, "remove", path)),
        _ => Ok(()),
    }
}

/// Where the files of a task wait to be sent.
pub(crate) struct Staging {
    directory: PathBuf,
}

/// The directory that an attempt that ended has left of a task.
fn free(run: &RunContext, stage: Stage, task: u32) -> PathBuf {
    run.state(stage).join(format!("staged/{task:05}"))
}

impl Staging {
    /// This process's own.
    pub(crate) fn of(run: &RunContext, stage: Stage, task: u32) -> Staging {
        let directory = run.state(stage).join(format!("staged/{task:05}-{}", process_token()));
        Staging { directory }
    }

    /// Takes over what an attempt that ended has left.
    pub(crate) fn take_over(&self, run: &RunContext, stage: Stage, task: u32) -> Result<()> {
        if self.directory.exists() {
            return Ok(());
        }
        match fs::rename(free(run, stage, task), &self.directory) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(&e, "rename", &self.directory))
            }
            _ => Ok(()),
        }
    }

    /// Leaves it to the next attempt. Where that is impossible, the driver finds it.
    pub(crate) fn leave(&self, run: &RunContext, stage: Stage, task: u32) {
        let _ = fs::rename(&self.directory, free(run, stage, task));
    }

    /// The files under their names in the output.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    fn record(&self) -> PathBuf {
        self.directory.join("record.json")
    }

    /// The complete staged files of an earlier attempt, if any; they are read, because sent files
    /// are not read again.
    pub(crate) fn read(&self) -> Result<Option<DoneRecord>> {
        let record = match DoneRecord::read(&self.record(), &self.files()) {
            Err(e) if e.code() == Code::FileCorrupt => None,
            other => other?,
        };
        let Some(record) = record else { return Ok(None) };
        for file in &record.files {
            let (_, xxh3, _) = checksum_file(&self.files().join(&file.name))?;
            if format!("{xxh3:016x}") != file.xxh3 {
                return Ok(None);
            }
        }
        Ok(Some(record))
    }

    /// Deletes the files of an earlier attempt.
    pub(crate) fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(self.files()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(&e, "remove", &self.files()))
            }
            _ => Ok(()),
        }
    }

    /// Notes how far the task is.
    pub(crate) fn save(&self, record: &DoneRecord) -> Result<()> {
        record.write(&self.record())
    }

    /// Deletes everything once the task's done record exists. Files that cannot be deleted are
    /// left, and nobody reads them.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
