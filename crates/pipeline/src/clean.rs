//! Takes away what no run needs any more: a finished run's intermediates where it says `clean: sealed`, and stage directories by command.
//!
//! A work directory is shared: `runs/` in it names the runs that were prepared over it, so that what another run is working with stays. What
//! a cleaned stage's records said is kept in `OUT/.state/cleaned/`, so that the finished run still knows what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{Lock, digest_of, directory_bytes, write_file};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{RunContext, Stage};

/// What a directory on its way out is called until it is gone.
const GOING: &str = ".cleaned-";

/// What a command takes away, or would.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanOptions {
    /// Output directories of runs whose intermediates stay.
    pub keep: Vec<String>,
    /// Whether to tell only.
    pub dry_run: bool,
}

/// What became of a work directory.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleaned {
    /// The work directory.
    pub work: String,
    /// Its directories of results, in byte order of name.
    pub directories: Vec<CleanedDirectory>,
    /// Bytes that were taken away, or would be.
    pub removed_bytes: u64,
    /// Bytes that stay.
    pub kept_bytes: u64,
}

/// What became of a directory.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanedDirectory {
    /// Its name, `<stage>-<digest>` or `spool`.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether it was taken away, or would be.
    pub removed: bool,
    /// The run for which it stays.
    pub kept_for: Option<String>,
    /// Whether that run is working now.
    pub in_use: bool,
}

#[derive(Serialize, Deserialize)]
struct Registration {
    run: PathBuf,
}

fn registry(work: &Path) -> PathBuf {
    work.join("runs")
}

/// Keeps runs from beginning while directories are taken away, and the other way round; never held for long.
fn lock(work: &Path) -> Result<Lock> {
    let path = registry(work).join(".lock");
    loop {
        match Lock::take(&path, &format!("the list of runs in {}", work.display())) {
            Err(e) if e.code() == Code::RunLocked => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

/// Names the run in `out` among those of the work directory.
pub(crate) fn register(work: &Path, out: &Path) -> Result<()> {
    let run = std::path::absolute(out).at("find", out)?;
    let _lock = lock(work)?;
    let path = registry(work).join(format!("{}.json", digest_of(&json!(run))));
    let text = serde_json::to_string(&Registration { run })
        .map_err(|e| Error::new(Code::Internal, format!("a registration: {e}")))?;
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    write_file(&path, text.as_bytes()).map(drop)
}

/// Runs over a work directory that can still be read, with those that are gone struck off the list.
fn registered(work: &Path) -> Result<Vec<RunContext>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(registry(work)).at("open", work)? {
        let path = entry.at("read", work)?.path();
        let Some(Registration { run }) =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok())
        else {
            continue;
        };
        match RunContext::open_read_only(&run) {
            Ok(run) => runs.push(run),
            Err(e) if e.code() == Code::RunNotPrepared => {
                fs::remove_file(&path).at("remove", &path)?
            }
            // Another version's run: it cannot be told what it uses, and this version cannot be driving it.
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

/// Whether a process drives the run, or holds a task of it.
fn in_use(run: &RunContext) -> bool {
    Lock::is_held(&RunContext::driver_file(run.out()))
        || run.stages().any(|stage| any_held(&run.lease_folder(stage)))
}

fn any_held(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // A lease that was given back is empty.
    entries.filter(|e| e.metadata().is_ok_and(|m| m.len() > 0)).any(|e| Lock::is_held(&e.path()))
}

/// Directories that runs are working with, and which; `own` is passed over.
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

/// Takes away what the stages of a finished run left in the work directory; for whom a directory had to stay, in words.
pub(crate) fn after_seal(run: &RunContext) -> Result<Vec<String>> {
    let work = run.work();
    let (mut kept, mut going) = (Vec::new(), Vec::new());
    {
        let _lock = lock(work)?;
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

/// Whether a run was cleaned to the end: what stands in the work directory under its names since is another run's.
pub(crate) fn is_complete(run: &RunContext) -> bool {
    complete_file(run).exists()
}

/// Where it is written down what was cleaned away.
fn memory(run: &RunContext) -> PathBuf {
    run.out().join(".state/cleaned")
}

fn complete_file(run: &RunContext) -> PathBuf {
    memory(run).join("complete")
}

/// Removes what killed processes left half written here.
pub(crate) fn sweep(run: &RunContext) {
    longweave_storage::sweep(&registry(run.work()));
    longweave_storage::sweep(&memory(run));
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

/// Takes away the directories of results that no run of `keep` refers to and no run is working with.
///
/// Errors: `INPUT_NOT_FOUND` for what is no work directory, `RUN_NOT_PREPARED` for what is no run, `VERSION_MISMATCH`.
pub fn clean(work: &Path, options: &CleanOptions) -> Result<Cleaned> {
    if !crate::run_context::check_work_version(work)? {
        let message = format!(
            "{} is no work directory: it holds no file VERSION; a run without `--work` has it in OUT/.work",
            work.display()
        );
        return Err(
            Error::new(Code::InputNotFound, message).with("file", work.display().to_string())
        );
    }
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for kept in &options.keep {
        let run = RunContext::open_read_only(Path::new(kept))?;
        wanted.extend(names(&run).map(|name| (name, kept.clone())));
        if run.is_spooled() {
            wanted.insert("spool".into(), kept.clone());
        }
    }
    let (mut directories, mut going) = (Vec::new(), Vec::new());
    {
        let _lock = lock(work)?;
        let used = used(work, None)?;
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
            let bytes = directory_bytes(&path, None);
            if kept_for.is_none() && !options.dry_run {
                going.push(if name.starts_with(GOING) { path } else { put_aside(work, &name)? });
            }
            directories.push(CleanedDirectory {
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
    Ok(Cleaned {
        work: work.display().to_string(),
        removed_bytes: sum(true),
        kept_bytes: sum(false),
        directories,
    })
}

/// Directories of results in a work directory: `<stage>-<digest>`, `spool`, and what was put aside and not removed.
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

/// Where the records of a stage stand once its results were taken away.
pub(crate) fn records_file(run: &RunContext, stage: Stage) -> PathBuf {
    memory(run).join(format!("{}-{}.json", stage.name(), run.digest(stage)))
}
