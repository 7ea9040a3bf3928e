//! Uploads of finished files to a remote output. A shard is written to a staging directory next to
//! the done records and sent from there; its record names the objects. An interrupted task resumes
//! with the staged files and the missing parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_remote::{Location, Remote, Stat};
use longweave_storage::{DoneRecord, FileRecord, checksum_file, checksum_with};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{RunContext, Stage};

/// The object of a shard's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectRecord {
    /// Of its content, in lower-case hexadecimal: sealing does not read it again.
    pub(crate) sha256: String,
    /// The object's etag; empty until it exists.
    pub(crate) etag: String,
}

/// The objects of a pack task's record, one for each of its files.
pub(crate) fn objects(record: &DoneRecord) -> Result<Vec<ObjectRecord>> {
    serde_json::from_value(record.counts["objects"].clone()).map_err(|e| {
        Error::new(
            Code::FileCorrupt,
            format!("the done record of an uploaded shard lacks its objects: {e}"),
        )
    })
}

fn set_objects(record: &mut DoneRecord, objects: &[ObjectRecord]) {
    record.counts["objects"] = json!(objects);
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
    pub(crate) fn of(ctx: &Ctx, run: &RunContext) -> Result<Option<Uploads>> {
        let Some(url) = &run.options().output.upload else { return Ok(None) };
        Ok(Some(Uploads { remote: Remote::open(&ctx.cancel)?, to: Location::parse(url)? }))
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
            "{} holds objects that are not this run's ({object}); choose another `output.upload`, or remove them",
            self.to
        );
        Err(Error::new(Code::OutputExists, message).with("file", object.to_string()))
    }

    /// Writes and sends the shard of a task; its record.
    pub(crate) fn pack(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let staging = Staging::of(run, task);
        let mut record = match staging.read()? {
            Some(record) => {
                ctx.progress.advance(crate::stages::pack::sequences(run, &[task])?);
                record
            }
            None => staging.fill(ctx, |files| crate::stages::pack::write(ctx, run, task, files))?,
        };
        let mut objects = objects(&record)?;
        for i in 0..objects.len() {
            if objects[i].etag.is_empty() {
                let FileRecord { name, xxh3, .. } = &record.files[i];
                let state = staging.directory.join(format!("upload-{i}.json"));
                objects[i].etag = self
                    .remote
                    .upload(ctx, &staging.files().join(name), xxh3, &self.to.join(name), &state)?
                    .etag;
                set_objects(&mut record, &objects);
                record.write(&staging.record())?;
            }
        }
        Ok(record)
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

    /// Removes the records of tasks whose objects are gone or were replaced, so that these run
    /// again: records themselves are trusted, and the one listing is made when a driver comes to
    /// the stage.
    ///
    /// Errors: those of listing.
    pub(crate) fn recheck(&self, run: &RunContext) -> Result<()> {
        let tasks = run.tasks(Stage::Pack)?.unwrap_or(0);
        let mut records = Vec::new();
        for task in 0..tasks {
            if let Some(record) = run.done(Stage::Pack, task)? {
                records.push((task, record));
            }
        }
        let sealed = run.done(Stage::Seal, 0)?;
        if records.is_empty() && sealed.is_none() {
            return Ok(());
        }
        let listed: BTreeMap<String, Stat> = self
            .remote
            .list(&self.to)?
            .into_iter()
            .filter_map(|(object, stat)| Some((object.below(&self.to)?.to_owned(), stat)))
            .collect();
        for (task, record) in records {
            let same = |a: &str, b: &str| a.trim_matches('"') == b.trim_matches('"');
            let stands = |(file, object): (&FileRecord, &ObjectRecord)| {
                listed
                    .get(&file.name)
                    .is_some_and(|stat| stat.bytes == file.bytes && same(&stat.etag, &object.etag))
            };
            if !record.files.iter().zip(&objects(&record)?).all(stands) {
                remove(&run.record(Stage::Pack, task))?;
            }
        }
        let stands =
            |file: &FileRecord| listed.get(&file.name).is_some_and(|stat| stat.bytes == file.bytes);
        if sealed.is_some_and(|record| !record.files.iter().all(stands)) {
            remove(&run.record(Stage::Seal, 0))?;
        }
        Ok(())
    }

    /// Gives up the uploads that earlier runs of the same output directory, to other places or of
    /// other bytes, left unfinished.
    pub(crate) fn give_up_others(&self, run: &RunContext) -> Result<()> {
        let own = run.state(Stage::Pack);
        let state = run.out().join(".state");
        let prefix = format!("{}-", Stage::Pack.name());
        for directory in below(&state)? {
            if directory == own
                || !directory
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            {
                continue;
            }
            for staging in below(&directory.join("staged"))? {
                for file in below(&staging)? {
                    if file
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with("upload-"))
                    {
                        self.remote.give_up_upload(&file)?;
                    }
                }
                fs::remove_dir_all(&staging).at("remove", &staging)?;
            }
        }
        Ok(())
    }
}

/// Deletes the staged files of a task once its done record exists. Files that cannot be deleted are
/// left, and nobody reads them.
pub(crate) fn after(run: &RunContext, task: u32) {
    if run.options().output.upload.is_some() {
        let _ = fs::remove_dir_all(Staging::of(run, task).directory);
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
struct Staging {
    directory: PathBuf,
}

impl Staging {
    fn of(run: &RunContext, task: u32) -> Staging {
        Staging { directory: run.state(Stage::Pack).join(format!("staged/{task:05}")) }
    }

    /// The files under their names in the output.
    fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    fn record(&self) -> PathBuf {
        self.directory.join("record.json")
    }

    /// The complete staged files of an earlier attempt, if any; they are read, because sent files
    /// are not read again.
    fn read(&self) -> Result<Option<DoneRecord>> {
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

    /// Writes the files with `write` and the record that they are whole.
    fn fill(
        &self,
        ctx: &Ctx,
        write: impl FnOnce(&Path) -> Result<DoneRecord>,
    ) -> Result<DoneRecord> {
        let files = self.files();
        if files.exists() {
            fs::remove_dir_all(&files).at("remove", &files)?;
        }
        let mut record = write(&files)?;
        let mut objects = Vec::with_capacity(record.files.len());
        for file in &record.files {
            let (.., sha256) = checksum_with(&files.join(&file.name), |_| ctx.cancel.check())?;
            objects.push(ObjectRecord { sha256, etag: String::new() });
        }
        set_objects(&mut record, &objects);
        record.write(&self.record())?;
        Ok(record)
    }
}
