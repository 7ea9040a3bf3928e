//! The definition of a stage, and the run that it sees.
//!
//! A module of the crate `stages` implements [`StageSpec`] for each stage, and one list there names
//! them all. Everything else is written for any stage.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_corpus::Inventory;
use longweave_remote::{Remote, is_remote};
use longweave_storage::{Digest, DoneRecord, FileRecord, digest_of};
use once_cell::sync::OnceCell;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ts_rs::TS;

use crate::facts::Facts;
use crate::fence::{Driving, Fence};
use crate::log::Log;
use crate::options::RunOptions;
use crate::resources::Resources;
use crate::run_file::RunFile;
use crate::shared::Shared;

/// The unit of a stage's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum ProgressUnit {
    /// Bytes of files.
    Bytes,
    /// Tokens of documents.
    Tokens,
    /// Documents of the corpus.
    Documents,
    /// Vectors of documents or chunks.
    Vectors,
    /// Sequences of the output.
    Sequences,
    /// Tasks of the stage, where nothing smaller is counted.
    Tasks,
}

/// Where a stage's results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `WORK/<stage>-<digest>`, which runs share.
    Work,
    /// The output directory itself.
    Output,
}

/// The needs of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Threads that the task can use; 0 for as many as it is given.
    pub threads: u32,
    /// GPUs.
    pub gpus: u32,
}

impl Needs {
    /// A GPU where the option `device` names one.
    pub fn device(device: &str) -> Needs {
        Needs { threads: 0, gpus: u32::from(device.starts_with("cuda")) }
    }
}

/// The work of a stage. Its other half is [`Stage`].
pub trait StageSpec: Sync {
    /// The stages whose results decide its own, where the run has them.
    fn inputs(&self, options: &RunOptions) -> Vec<Stage>;

    /// Stages that must be complete too, but decide no byte of the results.
    fn waits_for(&self) -> &'static [Stage] {
        &[]
    }

    /// Whether a run has the stage.
    fn needed(&self, _options: &RunOptions, _inventory: &Inventory) -> bool {
        true
    }

    /// The options and files that decide its results, in addition to its inputs.
    fn identity(&self, file: &RunFile) -> Value;

    /// The number of its tasks; `None` while its inputs are not complete.
    fn tasks(&self, _run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(1))
    }

    /// The units of progress of some of its tasks, at least one.
    fn units(&self, _run: &RunContext, tasks: &[u32]) -> Result<u64> {
        Ok(tasks.len() as u64)
    }

    /// The bytes of all its results, estimated; done records are not counted.
    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64>;

    /// The bytes that the process of a task holds in addition to `memory`, estimated: metadata,
    /// vectors. Tasks of one process share them.
    fn held(&self, _run: &RunContext, _facts: &Facts) -> f64 {
        0.0
    }

    /// Whether its results tell more of the sizes of later ones.
    fn tells_sizes(&self) -> bool {
        false
    }

    /// The needs of a task.
    fn needs(&self, _options: &RunOptions) -> Needs {
        Needs::default()
    }

    /// Runs one task. The record is not yet written.
    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord>;

    /// Refuses a run that the stage could not finish, before anything is written.
    fn check_run(&self, _cancel: &Cancel, _run: &RunContext) -> Result<()> {
        Ok(())
    }

    /// Called when a driver comes to the stage, before it looks which tasks are done.
    fn begin(&self, _ctx: &Ctx, _run: &RunContext) -> Result<()> {
        Ok(())
    }

    /// Deletes the leftovers of a task once its done record exists.
    fn after(&self, _run: &RunContext, _task: u32) {}

    /// Deletes what finished tasks left because their process died before it could.
    fn sweep(&self, _run: &RunContext) {}

    /// Closes open files of a task's results that were just replaced.
    fn reopen(&self, _run: &RunContext, _task: u32) {}

    /// Whether files are sent away once they are complete, and do not stay.
    fn is_sent(&self, _options: &RunOptions) -> bool {
        false
    }

    /// The device of the model that did a task, where one did.
    fn device(&self, _record: &DoneRecord) -> Option<String> {
        None
    }
}

/// A stage: everything that is particular to it. Equal if the names are.
#[derive(Clone, Copy)]
pub struct Stage {
    /// In commands, paths, events and logs.
    pub name: &'static str,
    /// Its work, for a person who watches it.
    pub title: &'static str,
    pub unit: ProgressUnit,
    /// Changes when the results do for equal identity and inputs, or their files do.
    pub version: u32,
    pub place: Place,
    pub spec: &'static dyn StageSpec,
}

impl Stage {
    /// A stage in the work directory.
    pub const fn new(
        name: &'static str,
        title: &'static str,
        unit: ProgressUnit,
        version: u32,
        spec: &'static dyn StageSpec,
    ) -> Stage {
        Stage { name, title, unit, version, place: Place::Work, spec }
    }
}

impl Deref for Stage {
    type Target = dyn StageSpec;

    fn deref(&self) -> &(dyn StageSpec + 'static) {
        self.spec
    }
}

impl PartialEq for Stage {
    fn eq(&self, other: &Stage) -> bool {
        self.name == other.name
    }
}

impl Eq for Stage {}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Stage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// TypeScript's type of that name is generated from the list of stages.
impl TS for Stage {
    type WithoutGenerics = Stage;
    type OptionInnerType = Stage;

    fn name(_: &ts_rs::Config) -> String {
        "Stage".into()
    }

    fn inline(config: &ts_rs::Config) -> String {
        <Stage as TS>::name(config)
    }
}

/// The counts in the done record of a stage's task.
pub trait Counts: Serialize + DeserializeOwned {
    /// The stage whose tasks leave them.
    const STAGE: Stage;

    /// The counts in a record of the stage; `None` where they are not such.
    fn of(record: &DoneRecord) -> Option<Self> {
        Self::deserialize(&record.counts).ok()
    }

    /// The record of a task whose files are in place.
    fn done(&self, files: Vec<FileRecord>) -> Result<DoneRecord> {
        let counts = serde_json::to_value(self)
            .map_err(|e| Error::new(Code::Internal, format!("counts as JSON: {e}")))?;
        Ok(DoneRecord { files, counts })
    }
}

/// A stage of the list, in a run.
struct Entry {
    stage: Stage,
    /// Whether the run has it.
    needed: bool,
    /// Of what decides its results.
    digest: Digest,
    /// Its records once it was found complete: thousands of tasks ask for them.
    complete: Mutex<Option<Arc<[DoneRecord]>>>,
    /// Its records, where its results were cleaned away.
    cleaned: OnceCell<Vec<DoneRecord>>,
}

/// A prepared run: `run.json`, the place of each stage's results, and what its tasks share.
///
/// `OUT/run.json` holds what was resolved when the run was prepared. Everything else follows from
/// it, so that any process that can see the directories can run any task.
pub struct RunContext {
    pub file: RunFile,
    pub resources: Resources,
    pub log: Log,
    /// Values that tasks of the run open or load once.
    pub shared: Shared,
    list: &'static [Stage],
    out: PathBuf,
    work: PathBuf,
    entries: Vec<Entry>,
    /// Set once records of cleaned stages count: the output was found complete.
    finished: OnceCell<()>,
    /// Whether a driver hands out the tasks, each to one process at a time.
    driven: bool,
    /// By which the run's driver knows whether it still is.
    fence: Option<Arc<Fence>>,
    /// Keeps connections to remote stores from one task to the next.
    _connections: Option<Remote>,
}

impl RunContext {
    pub(crate) fn new(
        list: &'static [Stage],
        file: RunFile,
        resources: Resources,
        out: &Path,
    ) -> RunContext {
        let work = match &file.options.work {
            Some(work) => file.base.join(work),
            None => out.join(".work"),
        };
        let mut entries: Vec<Entry> = Vec::with_capacity(list.len());
        for &stage in list {
            let inputs = stage.inputs(&file.options);
            let digests: Vec<&Digest> = inputs
                .iter()
                .filter_map(|input| entries.iter().find(|e| e.needed && e.stage == *input))
                .map(|entry| &entry.digest)
                .collect();
            let digest = digest_of(&json!({
                "stage": stage.name, "version": stage.version, "own": stage.identity(&file),
                "inputs": digests,
            }));
            let needed = stage.needed(&file.options, &file.inventory);
            let (complete, cleaned) = (Mutex::default(), OnceCell::new());
            entries.push(Entry { stage, needed, digest, complete, cleaned });
        }
        let remote = is_remote(&file.inventory.root) || file.options.output.upload.is_some();
        RunContext {
            resources,
            log: Log::of(out),
            shared: Shared::default(),
            list,
            out: out.to_owned(),
            work,
            entries,
            finished: OnceCell::new(),
            driven: false,
            fence: None,
            // A build without remote storage can still list and show such a run.
            _connections: if remote { Remote::open(&Cancel::new()).ok() } else { None },
            file,
        }
    }

    /// The same run to ask for records; those of cleaned stages count whether its output is
    /// complete or not.
    pub(crate) fn trusting(&self) -> RunContext {
        let fresh = |entry: &Entry| Entry {
            digest: entry.digest.clone(),
            complete: Mutex::default(),
            cleaned: OnceCell::new(),
            ..*entry
        };
        RunContext {
            file: self.file.clone(),
            resources: self.resources.clone(),
            log: Log::of(&self.out),
            shared: Shared::default(),
            list: self.list,
            out: self.out.clone(),
            work: self.work.clone(),
            entries: self.entries.iter().map(fresh).collect(),
            finished: OnceCell::with_value(()),
            driven: self.driven,
            fence: self.fence.clone(),
            _connections: None,
        }
    }

    /// The same run, for a process whose tasks one driver hands out: each to one process at a time,
    /// and again to another when a process is silent. Nobody waits for a task's lock, which a
    /// process that is frozen, or cut off, may hold for ever.
    #[must_use]
    pub fn driven(self) -> RunContext {
        RunContext { driven: true, ..self }
    }

    /// The same run, for the process that drives it.
    #[must_use]
    pub fn of_driver(self, driving: &Driving) -> RunContext {
        RunContext { fence: Some(Arc::clone(driving.fence())), ..self }
    }

    /// That this process still drives the run, if it began to: to be asked before anything is
    /// deleted, or counts.
    ///
    /// Errors: `RUN_LOCKED` once another process does.
    pub fn check_driver(&self) -> Result<()> {
        self.fence.as_ref().map_or(Ok(()), |fence| fence.check())
    }

    /// See [`RunContext::driven`].
    pub fn is_driven(&self) -> bool {
        self.driven
    }

    pub(crate) fn finished(&self) -> &OnceCell<()> {
        &self.finished
    }

    pub fn options(&self) -> &RunOptions {
        &self.file.options
    }

    /// The output directory.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The work directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    fn entry(&self, stage: Stage) -> &Entry {
        let entry = self.entries.iter().find(|entry| entry.stage == stage);
        entry.expect("every stage is in the list that runs are opened with")
    }

    /// The run's stages in order.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        self.entries.iter().filter(|entry| entry.needed).map(|entry| entry.stage)
    }

    /// The run's stages up to and with `last`.
    pub fn stages_to(&self, last: Stage) -> impl Iterator<Item = Stage> + '_ {
        let end = self.list.iter().position(|&s| s == last).map_or(0, |at| at + 1);
        self.entries[..end].iter().filter(|entry| entry.needed).map(|entry| entry.stage)
    }

    /// The stage of that name.
    ///
    /// Errors: `STAGE_NOT_FOUND`, naming those there are.
    pub fn stage(&self, name: &str) -> Result<Stage> {
        self.list.iter().copied().find(|s| s.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.list.iter().map(|s| s.name).collect();
            let message =
                format!("there is no stage `{name}`; the stages are {}", names.join(", "));
            Error::new(Code::StageNotFound, message).with("stage", name)
        })
    }

    /// Whether the run has a stage.
    pub fn has(&self, stage: Stage) -> bool {
        self.entry(stage).needed
    }

    /// The stages of this run that must be complete before a task of `stage` can run.
    pub fn inputs(&self, stage: Stage) -> Vec<Stage> {
        let mut inputs = stage.inputs(self.options());
        inputs.extend(stage.waits_for());
        inputs.retain(|&input| self.has(input));
        inputs
    }

    /// The digest of what decides a stage's results.
    pub fn digest(&self, stage: Stage) -> &Digest {
        &self.entry(stage).digest
    }

    /// The directory of a stage's results.
    pub fn directory(&self, stage: Stage) -> PathBuf {
        match stage.place {
            Place::Output => self.out.clone(),
            Place::Work => self.work.join(format!("{}-{}", stage.name, self.digest(stage))),
        }
    }

    /// Where a stage keeps done records and leases.
    pub fn state(&self, stage: Stage) -> PathBuf {
        match stage.place {
            Place::Output => {
                self.out.join(".state").join(format!("{}-{}", stage.name, self.digest(stage)))
            }
            Place::Work => self.directory(stage),
        }
    }

    /// The folder of a stage's done records.
    pub(crate) fn record_folder(&self, stage: Stage) -> PathBuf {
        self.state(stage).join("done")
    }

    /// The path of a task's done record.
    pub fn record(&self, stage: Stage, task: u32) -> PathBuf {
        self.record_folder(stage).join(format!("{task:05}.json"))
    }

    /// The file of the records of all tasks of a stage.
    pub(crate) fn record_list(&self, stage: Stage) -> PathBuf {
        self.state(stage).join("done.jsonl")
    }

    /// The folder of the done records of stages whose results were cleaned away.
    pub fn cleaned_folder(&self) -> PathBuf {
        self.out.join(".state/cleaned")
    }

    /// The file of such a stage's records.
    pub fn cleaned_records(&self, stage: Stage) -> PathBuf {
        self.cleaned_folder().join(format!("{}-{}.json", stage.name, self.digest(stage)))
    }

    /// The locks of a stage's tasks are here.
    pub fn lease_folder(&self, stage: Stage) -> PathBuf {
        self.state(stage).join("lease")
    }

    /// The lock of a task.
    pub fn lease_file(&self, stage: Stage, task: u32) -> PathBuf {
        self.lease_folder(stage).join(format!("{task:05}"))
    }

    pub(crate) fn complete(&self, stage: Stage) -> &Mutex<Option<Arc<[DoneRecord]>>> {
        &self.entry(stage).complete
    }

    pub(crate) fn cleaned(&self, stage: Stage) -> &OnceCell<Vec<DoneRecord>> {
        &self.entry(stage).cleaned
    }

    /// Whether the corpus is the work directory's spool.
    pub fn is_spooled(&self) -> bool {
        let spool = self.work.join("spool");
        self.options()
            .corpus
            .as_ref()
            .is_some_and(|paths| paths.iter().any(|path| self.file.base.join(path) == spool))
    }
}
