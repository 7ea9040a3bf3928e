//! Deletes results that no run needs any more: the intermediate results of a finished run with
//! `clean: sealed`, and stage directories by command.
//!
//! A work directory is shared. `runs/` in it lists the runs that were prepared over it, so that the
//! results of a running one are kept. The done records of a deleted stage are kept in
//! `OUT/.state/cleaned/`: the summary of the finished run is made from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_run::{RunContext, check_work_version, lock_registry};
use longweave_stages::STAGES;
use longweave_storage::{DoneRecord, Lock, directory_bytes, write_file};
use serde::{Deserialize, Serialize};
use serde_json::json;
use ts_rs::TS;

use crate::forecast::disk::human;
use crate::history::History;

/// Prefix of the name of a directory that is being deleted.
const GOING: &str = ".cleaned-";

/// The results that [`clean`] may delete.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanOptions {
    /// Output directories of runs whose intermediate results are kept.
    pub keep: Vec<String>,
    /// Whether everything may be deleted that no process works with. Needed where `keep` is empty.
    pub all: bool,
    /// Whether to report only.
    pub dry_run: bool,
}

/// The results that `clean` deleted from a work directory, and those it kept. A dry run says what
/// it would delete.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CleanReport {
    /// The work directory.
    pub work: String,
    /// Its directories of results, in byte order of name.
    pub directories: Vec<CleanedDirectory>,
    /// Bytes deleted.
    pub removed_bytes: u64,
    /// Bytes of the results that were kept.
    pub kept_bytes: u64,
}

/// A directory of results in a work directory.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CleanedDirectory {
    /// `<stage>-<digest>` or `spool`.
    pub name: String,
    /// The stage that made it, `spool` for documents that were handed over. Null for what an
    /// interrupted `clean` left.
    pub stage: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Seconds that processes worked to make it, from the logs of the runs that are known. Null
    /// where no log says so.
    pub seconds: Option<f64>,
    /// Devices of the model that made it, `cpu` or `cuda:N`. Empty where no model did.
    pub devices: Vec<String>,
    /// Whether it was deleted.
    pub removed: bool,
    /// The run that it is kept for. Null where it was deleted.
    pub kept_for: Option<String>,
    /// Whether a process works with it now.
    pub in_use: bool,
}

/// Runs over a work directory that can be read; those that no longer exist are removed from the
/// list.
fn registered(work: &Path) -> Result<Vec<RunContext>> {
    let mut runs = Vec::new();
    for (run, path) in longweave_run::registered(work)? {
        match RunContext::open_read_only(STAGES, &run) {
            Ok(run) => runs.push(run),
            Err(e) if e.code() == Code::RunNotPrepared => {
                fs::remove_file(&path).at("remove", &path)?
            }
            // A run of another version: its directories are unknown, and this version cannot drive
            // it.
            Err(_) => {}
        }
    }
    Ok(runs)
}

/// Names of the directories in which a run's stages keep their results.
fn names(run: &RunContext) -> impl Iterator<Item = String> + '_ {
    run.stages()
        .map(|stage| run.directory(stage))
        .filter(|d| d != run.out())
        .filter_map(|d| Some(d.file_name()?.to_str()?.to_owned()))
}

/// Returns whether a process drives the run, or holds a task of it.
fn in_use(run: &RunContext) -> bool {
    longweave_run::is_driven(run.out())
        || run.stages().any(|stage| any_held(&run.lease_folder(stage)))
}

fn any_held(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // Of another machine nobody here knows whether it still works: then a task counts as held.
    let held = |path: &Path| Lock::holder(path).is_some_and(|holder| holder.alive.unwrap_or(true));
    // A lease that was returned is empty.
    entries.filter(|e| e.metadata().is_ok_and(|m| m.len() > 0)).any(|e| held(&e.path()))
}

/// Directories of runs that a process works with, and the run of each, without `own`.
fn used(work: &Path, own: Option<&Path>) -> Result<BTreeMap<String, String>> {
    let own = own.map(std::path::absolute).transpose().at("find", work)?;
    let mut used = BTreeMap::new();
    for run in
        registered(work)?.iter().filter(|run| own.as_deref() != Some(run.out()) && in_use(run))
    {
        used.extend(names(run).map(|name| (name, run.out().display().to_string())));
    }
    Ok(used)
}

/// Deletes the results of a finished run from the work directory. Returns a message for each
/// directory that was kept.
pub fn after_seal(run: &RunContext) -> Result<Vec<String>> {
    let work = run.work();
    let (mut kept, mut going) = (Vec::new(), Vec::new());
    {
        let Some(_lock) = lock_registry(work)? else {
            return Ok(vec![format!(
                "the results in {} stay: its file system does not have locks, so that another run \
                 may begin to use them at any time",
                work.display()
            )]);
        };
        let used = used(work, Some(run.out()))?;
        for stage in run.stages() {
            let directory = run.directory(stage);
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if directory == run.out() || !directory.exists() {
                continue;
            }
            if let Some(run) = used.get(&name) {
                kept.push(format!(
                    "{} stays: the run in {run} is working with it",
                    directory.display()
                ));
            } else if any_held(&run.lease_folder(stage)) {
                kept.push(format!("{} stays: a process is working in it", directory.display()));
            } else {
                run.keep_records(stage)?;
                going.push(put_aside(work, &name)?);
            }
        }
        if run.is_spooled() {
            going.push(put_aside(work, "spool")?);
        }
    }
    going.iter().try_for_each(|path| remove(path))?;
    if kept.is_empty() {
        write_file(&complete_file(run), b"")?;
    }
    Ok(kept)
}

/// Returns whether a run was cleaned completely: later directories of these names belong to another
/// run.
pub fn is_complete(run: &RunContext) -> bool {
    complete_file(run).exists()
}

fn complete_file(run: &RunContext) -> PathBuf {
    run.cleaned_folder().join("complete")
}

/// Removes partial files of killed processes.
pub fn sweep(run: &RunContext) {
    longweave_storage::sweep(&longweave_run::registry(run.work()));
    longweave_storage::sweep(&run.cleaned_folder());
}

fn put_aside(work: &Path, name: &str) -> Result<PathBuf> {
    let (from, to) = (work.join(name), work.join(format!("{GOING}{name}.{}", std::process::id())));
    if from.exists() {
        fs::rename(&from, &to).at("rename", &from)?;
    }
    Ok(to)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.at("remove", path),
    }
}

/// Deletes the directories of results that no run of `keep` refers to and no process works with.
///
/// Errors: `OPTIONS_INVALID` where neither `keep` nor `all` is given, with what would be deleted;
/// `INPUT_NOT_FOUND` if `work` is not a work directory, `RUN_NOT_PREPARED` if a directory of `keep`
/// does not hold a run, `VERSION_MISMATCH`.
pub fn clean(work: &Path, options: &CleanOptions) -> Result<CleanReport> {
    if !check_work_version(work)? {
        let message = format!(
            "{} is not a work directory: it lacks the file VERSION. A run without `--work` has it \
             in OUT/.work",
            work.display()
        );
        return Err(Error::new(Code::InputNotFound, message).with_file(work));
    }
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for kept in &options.keep {
        let run = RunContext::open_read_only(STAGES, Path::new(kept))?;
        wanted.extend(names(&run).map(|name| (name, kept.clone())));
        if run.is_spooled() {
            wanted.insert("spool".into(), kept.clone());
        }
    }
    let delete = !options.dry_run && (options.all || !options.keep.is_empty());
    let (mut directories, mut going) = (Vec::new(), Vec::new());
    {
        let _lock = lock_registry(work)?.ok_or_else(|| {
            let message = format!(
                "the file system of {} does not have locks, so that a run may begin to use any of \
                 its directories at any time; delete them by hand once nothing runs",
                work.display()
            );
            Error::new(Code::Io, message).with_file(work)
        })?;
        let used = used(work, None)?;
        let seconds = seconds_of_work(work)?;
        for name in found(work)? {
            let path = work.join(&name);
            let busy = used.get(&name).cloned().or_else(|| {
                let held = if name == "spool" {
                    Lock::is_held(&work.join(".spool.lock"))
                } else {
                    any_held(&path.join("lease"))
                };
                held.then(|| "a run that is not on the list".to_owned())
            });
            let kept_for = busy.clone().or_else(|| wanted.get(&name).cloned());
            let (bytes, devices) = (directory_bytes(&path, &[]), devices(&path));
            if kept_for.is_none() && delete {
                going.push(if name.starts_with(GOING) { path } else { put_aside(work, &name)? });
            }
            directories.push(CleanedDirectory {
                stage: (!name.starts_with(GOING))
                    .then(|| name.split('-').next().unwrap_or_default().to_owned()),
                seconds: seconds.get(&name).copied(),
                devices,
                name,
                bytes,
                removed: kept_for.is_none(),
                kept_for,
                in_use: busy.is_some(),
            });
        }
    }
    going.iter().try_for_each(|path| remove(path))?;
    let sum =
        |removed: bool| directories.iter().filter(|d| d.removed == removed).map(|d| d.bytes).sum();
    let cleaned = CleanReport {
        work: work.display().to_string(),
        removed_bytes: sum(true),
        kept_bytes: sum(false),
        directories,
    };
    if delete || options.dry_run { Ok(cleaned) } else { Err(refusal(&cleaned)) }
}

/// The error for a call that names neither runs to keep nor `all`: what would be deleted, and what
/// it took to make.
fn refusal(cleaned: &CleanReport) -> Error {
    let gone: Vec<&CleanedDirectory> = cleaned.directories.iter().filter(|d| d.removed).collect();
    let mut stages: BTreeMap<&str, (u64, Option<f64>, BTreeSet<&str>)> = BTreeMap::new();
    for d in &gone {
        let (bytes, seconds, devices) = stages
            .entry(d.stage.as_deref().unwrap_or("leftovers"))
            .or_insert_with(|| (0, Some(0.0), BTreeSet::new()));
        *bytes += d.bytes;
        *seconds = seconds.zip(d.seconds).map(|(a, b)| a + b);
        devices.extend(d.devices.iter().map(String::as_str));
    }
    let parts: Vec<String> = stages
        .iter()
        .map(|(stage, (bytes, seconds, devices))| {
            let took = match seconds {
                Some(seconds) => format!("made in {seconds:.0} s"),
                None => "time unknown".to_owned(),
            };
            let by = if devices.is_empty() {
                String::new()
            } else {
                let list: Vec<&str> = devices.iter().copied().collect();
                format!(" by a model on {}", list.join(", "))
            };
            format!("{stage} {} ({took}{by})", human(*bytes))
        })
        .collect();
    let message = if parts.is_empty() {
        format!("nothing can be deleted from {}; name runs in `keep`, or set `all`", cleaned.work)
    } else {
        format!(
            "this would delete {} of {}, which unfinished runs and runs with other options would \
             have to compute again: {}; name the runs to `keep`, or set `all` to delete everything",
            human(cleaned.removed_bytes),
            cleaned.work,
            parts.join(", ")
        )
    };
    Error::new(Code::OptionsInvalid, message)
        .with("option", "all")
        .with("bytes", cleaned.removed_bytes)
        .with("directories", json!(gone))
}

/// Seconds of work that went into each directory, by the logs of the runs over the work directory.
/// Attempts that failed count too.
fn seconds_of_work(work: &Path) -> Result<BTreeMap<String, f64>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut seconds = BTreeMap::new();
    for run in registered(work)? {
        let history = History::of(&run.log.read(), &run.living(), now);
        for stage in run.stages().filter(|&stage| run.directory(stage) != run.out()) {
            let worked = history.worked(Some(stage.name));
            if worked > 0.0
                && let Some(name) = run.directory(stage).file_name().and_then(|n| n.to_str())
            {
                *seconds.entry(name.to_owned()).or_insert(0.0) += worked;
            }
        }
    }
    Ok(seconds)
}

/// Devices on which a model made the results of a directory, by its done records.
fn devices(directory: &Path) -> Vec<String> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(stage) = STAGES.iter().find(|s| name.split('-').next() == Some(s.name)) else {
        return Vec::new();
    };
    let entries = fs::read_dir(directory.join("done")).into_iter().flatten().flatten();
    let devices: BTreeSet<String> = entries
        .filter_map(|entry| DoneRecord::load(&entry.path()).ok().flatten())
        .filter_map(|record| stage.device(&record))
        .collect();
    devices.into_iter().collect()
}

/// Directories of results in a work directory: `<stage>-<digest>`, `spool`, and those whose
/// deletion was interrupted.
fn found(work: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(work).at("open", work)? {
        let entry = entry.at("read", work)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_stage = name.split_once('-').is_some_and(|(stage, digest)| {
            stage.bytes().all(|b| b.is_ascii_lowercase())
                && digest.len() == 16
                && digest.bytes().all(|b| b.is_ascii_hexdigit())
        });
        if entry.path().is_dir() && (of_stage || name == "spool" || name.starts_with(GOING)) {
            found.insert(name);
        }
    }
    Ok(found)
}
