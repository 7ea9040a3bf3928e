//! A prepared run: `run.json`, where every stage keeps its results, which tasks there are and which
//! are done.
//!
//! `OUT/run.json` holds what was resolved when the run was prepared; everything else follows from
//! it, so that any process that can see the directories can run any task.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use longweave_corpus::{Inventory, Origin, Range, Split};
use longweave_inference::{Embedder, Runtime};
use longweave_plan::{PLAN_FORMAT, Part, PlanFile};
use longweave_remote::{Remote, is_remote};
use longweave_storage::{
    Digest, DoneRecord, Lock, digest_of, failpoint, sweep, sweep_below, write_file,
};
use longweave_tokens::TokenStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::estimate::Facts;
use crate::log::Log;
use crate::once::Once;
use crate::options::{OutputFormat, PredictorName, VectorSource};
use crate::resources::{InputDigest, Resources, TokenizerInfo};
use crate::stages::ingest::IngestPaths;
use crate::stages::pack::PartSource;
use crate::stages::predict::AnyPredictor;
use crate::stages::report::FORMAT as REPORT_FORMAT;
use crate::stages::route::Scattered;
use crate::stages::scan::Rows;
use crate::uploads::Uploads;
use crate::{RunOptions, Stage};

/// Changes when a stage's results change for equal options and inputs, or their files do.
const WORK_FORMAT: u32 = 5;
/// Changes when `run.json` does.
const RUN_FORMAT: u32 = 3;

/// The content of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RunFile {
    format: u32,
    version: String,
    /// The directory that relative paths in the options start from.
    base: PathBuf,
    pub(crate) options: RunOptions,
    pub(crate) inventory: Inventory,
    pub(crate) tokenizer: TokenizerInfo,
    /// Other files that decide results: stop words, queries.
    inputs: Vec<InputDigest>,
}

/// `run.json` with its digest.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    file: &'a RunFile,
    /// Of everything else.
    digest: Digest,
}

impl RunFile {
    fn to_text(&self) -> Result<String> {
        let failed = |e| Error::new(Code::Internal, format!("run.json: {e}"));
        let digest = digest_of(&serde_json::to_value(self).map_err(failed)?);
        Ok(serde_json::to_string_pretty(&Stored { file: self, digest }).map_err(failed)? + "\n")
    }

    /// Whether the run has a stage.
    fn has(&self, stage: Stage) -> bool {
        self.options.has(stage)
            && (stage != Stage::Spool || self.inventory.spooled().next().is_some())
    }

    /// The stages of the run that `stage` reads.
    fn inputs(&self, stage: Stage) -> impl Iterator<Item = Stage> + '_ {
        self.options.inputs(stage).filter(|&input| self.has(input))
    }
}

/// A prepared run.
pub struct RunContext {
    pub(crate) file: RunFile,
    pub(crate) out: PathBuf,
    work: PathBuf,
    digests: [Digest; Stage::ALL.len()],
    pub(crate) resources: Resources,
    pub(crate) log: Log,
    predictor: Once<AnyPredictor>,
    embedder: Once<Embedder>,
    /// The records of stages that were found complete: thousands of tasks ask for them.
    complete: [Once<Vec<DoneRecord>>; Stage::ALL.len()],
    rows: Once<Rows>,
    parts: [Once<PartSource>; 2],
    tokens: Once<TokenStore>,
    scattered: Once<Option<Scattered>>,
    sample: OnceLock<Option<Facts>>,
    /// The records of stages whose results were cleaned away.
    cleaned: [OnceLock<Vec<DoneRecord>>; Stage::ALL.len()],
    routed: Once<()>,
    /// Keeps connections to remote stores from one task to the next.
    _connections: Option<Remote>,
}

impl RunContext {
    /// Prepares a run: lists the input, loads the tokenizer, writes `run.json`. A directory that
    /// holds the same run is resumed; until something is packed, files may have changed since (a
    /// row was fixed, say): results in the work directory are found by content, so no old result is
    /// taken for a new one. The lock makes this process the run's only driver.
    ///
    /// Errors: whatever is wrong with options or inputs; `RUN_MISMATCH` for a directory of another
    /// run, `INPUT_CHANGED`, `OUTPUT_EXISTS`.
    pub fn prepare(ctx: &Ctx, options: RunOptions, out: &Path) -> Result<(RunContext, Lock)> {
        let file = Self::resolve(ctx, options)?;
        let path = out.join("run.json");
        refuse_other_files(out, file.options.output.format)?;
        let lock = Self::lock(out)?;
        refuse_other_run(&file, out)?;
        let run = Self::assemble(file, out)?;
        run.refuse_other_objects(ctx)?;
        write_file(&path, run.file.to_text()?.as_bytes())?;
        write_work_version(&run.work)?;
        crate::clean::register(&run.work, out)?;
        Ok((run, lock))
    }

    /// The result of [`RunContext::prepare`], without writing or locking anything.
    ///
    /// Errors: as [`RunContext::prepare`].
    pub(crate) fn resolve_dry(ctx: &Ctx, options: RunOptions, out: &Path) -> Result<RunContext> {
        let file = Self::resolve(ctx, options)?;
        refuse_other_files(out, file.options.output.format)?;
        refuse_other_run(&file, out)?;
        let run = Self::assemble(file, out)?;
        run.refuse_other_objects(ctx)?;
        check_work_version(&run.work).map(|_| run)
    }

    /// The place that finished files are sent to must be empty before the run sends any.
    fn refuse_other_objects(&self, ctx: &Ctx) -> Result<()> {
        match Uploads::of(ctx, self)? {
            Some(uploads) if !self.state(Stage::Pack).exists() => uploads.refuse_other_objects(),
            _ => Ok(()),
        }
    }

    /// Finds the input and loads the tokenizer.
    fn resolve(ctx: &Ctx, options: RunOptions) -> Result<RunFile> {
        let base = std::env::current_dir().at("find", Path::new("the current directory"))?;
        let corpus = Self::absolute_corpus(&options, &base);
        let inventory = longweave_corpus::inventory(ctx, &corpus)?;
        let resources = Resources::new(&options, &base);
        let tokenizer = resources.tokenizer_info(&options)?;
        let inputs = resources.inputs(&options)?;
        ctx.cancel.check()?;
        Ok(RunFile {
            format: RUN_FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            base,
            options,
            inventory,
            tokenizer,
            inputs,
        })
    }

    /// The facts of the corpus from a sample, taken when first needed; `make` returns `None` if
    /// there are none.
    pub(crate) fn sampled(&self, make: impl FnOnce() -> Option<Facts>) -> Option<Facts> {
        *self.sample.get_or_init(make)
    }

    /// Checks that need no document: the tokenizer, other files that the options name, a directory
    /// of something else.
    ///
    /// Errors: as [`RunContext::prepare`].
    pub(crate) fn check_before_input(options: &RunOptions, out: &Path) -> Result<()> {
        let base = std::env::current_dir().at("find", Path::new("the current directory"))?;
        let resources = Resources::new(options, &base);
        resources.tokenizer_info(options)?;
        resources.inputs(options)?;
        refuse_other_files(out, options.output.format)
    }

    /// The run prepared in `out`.
    ///
    /// Errors: `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `INPUT_CHANGED` when the tokenizer or
    /// another file that decides results changed.
    pub fn open(out: &Path) -> Result<RunContext> {
        let run = Self::open_read_only(out)?;
        write_work_version(&run.work)?;
        Ok(run)
    }

    /// The run prepared in `out`, to look at: nothing is written.
    ///
    /// Errors: as [`RunContext::open`].
    pub(crate) fn open_read_only(out: &Path) -> Result<RunContext> {
        let path = out.join("run.json");
        if !path.exists() {
            let message = format!(
                "{} holds no run.json; prepare the run with `longweave prepare --out {}`",
                out.display(),
                out.display()
            );
            return Err(
                Error::new(Code::RunNotPrepared, message).with("file", path.display().to_string())
            );
        }
        Self::assemble(Self::read(&path)?, out)
    }

    /// Checks that the tokenizer and other files that decide results are still those the run was
    /// prepared with.
    ///
    /// Errors: `INPUT_CHANGED`.
    pub fn check_inputs(&self) -> Result<()> {
        let options = &self.file.options;
        let now = self.resources.tokenizer_digest(options)?;
        if now != self.file.tokenizer.digest {
            return Err(changed(&options.tokenizer, &self.out));
        }
        match self
            .resources
            .inputs(options)?
            .iter()
            .zip(&self.file.inputs)
            .find(|(now, then)| now != then)
        {
            Some((now, _)) => Err(changed(&now.path, &self.out)),
            None => Ok(()),
        }
    }

    fn read(path: &Path) -> Result<RunFile> {
        let text = fs::read_to_string(path).at("read", path)?;
        let refuse = |code, what: String| {
            let message = format!(
                "{} {what}; choose another output directory, or delete this one",
                path.display()
            );
            Error::new(code, message).with("file", path.display().to_string())
        };
        let mut value: Value = serde_json::from_str(&text)
            .map_err(|e| refuse(Code::FileCorrupt, format!("is not JSON ({e})")))?;
        if value["format"] != json!(RUN_FORMAT) {
            let found = value["version"].as_str().unwrap_or("unknown");
            return Err(refuse(
                Code::VersionMismatch,
                format!("was written by longweave {found}, which this version cannot resume"),
            ));
        }
        let digest = value.as_object_mut().and_then(|map| map.remove("digest"));
        if digest != Some(json!(digest_of(&value))) {
            return Err(refuse(Code::FileCorrupt, "does not match its checksum".into()));
        }
        let file: RunFile = serde_json::from_value(value).map_err(|e| {
            refuse(Code::FileCorrupt, format!("does not have the expected shape ({e})"))
        })?;
        file.options.check()?;
        match file.inventory.is_sound() {
            true => Ok(file),
            false => Err(refuse(Code::FileCorrupt, "lists impossible splits or files".into())),
        }
    }

    fn assemble(file: RunFile, out: &Path) -> Result<RunContext> {
        let work = match &file.options.work {
            Some(work) => file.base.join(work),
            None => out.join(".work"),
        };
        let resources = Resources::new(&file.options, &file.base);
        let digests = digests(&file);
        let remote = is_remote(&file.inventory.root) || file.options.output.upload.is_some();
        // A build without remote storage can still list and show such a run.
        let connections = if remote { Remote::open(&Cancel::new()).ok() } else { None };
        Ok(RunContext {
            file,
            out: out.to_owned(),
            work,
            digests,
            resources,
            log: Log::of(out),
            predictor: Once::default(),
            embedder: Once::default(),
            complete: Default::default(),
            rows: Once::default(),
            parts: Default::default(),
            tokens: Once::default(),
            scattered: Once::default(),
            sample: OnceLock::new(),
            cleaned: Default::default(),
            routed: Once::default(),
            _connections: connections,
        })
    }

    pub(crate) fn absolute_corpus(
        options: &RunOptions,
        base: &Path,
    ) -> longweave_corpus::CorpusOptions {
        let mut corpus = options.corpus_options();
        let absolute = |path: &String| {
            if longweave_corpus::is_local(path) {
                base.join(path).to_string_lossy().into_owned()
            } else {
                path.clone()
            }
        };
        corpus.paths = corpus.paths.iter().map(absolute).collect();
        corpus.root = corpus.root.as_ref().map(absolute);
        corpus
    }

    /// The corpus' options with absolute paths, and where its parts are spooled. Queries are not
    /// read: which rows are documents does not depend on them, so that methods with queries and
    /// without have the same.
    pub(crate) fn corpus(&self) -> longweave_corpus::CorpusOptions {
        longweave_corpus::CorpusOptions { query_field: None, ..self.corpus_with_queries() }
    }

    /// The same, with the queries of the documents' rows.
    pub(crate) fn corpus_with_queries(&self) -> longweave_corpus::CorpusOptions {
        let spool = self.file.has(Stage::Spool).then(|| self.directory(Stage::Spool));
        longweave_corpus::CorpusOptions {
            spool,
            origin: if self.is_spooled() { Origin::Pushed } else { Origin::Corpus },
            ..Self::absolute_corpus(&self.file.options, &self.file.base)
        }
    }

    /// The predictor, made when first needed.
    pub(crate) fn predictor(&self, ctx: &Ctx) -> Result<&AnyPredictor> {
        self.predictor.get(|| AnyPredictor::make(ctx, self))
    }

    /// The embedding model, loaded when first needed.
    pub(crate) fn embedder(&self, ctx: &Ctx) -> Result<&Embedder> {
        self.embedder.get(|| {
            let (vectors, base) = (&self.options().vectors, self.resources.base());
            let runtime = Runtime::load(&vectors.runtime_options(base))?;
            Embedder::load(
                runtime,
                &vectors.embedder_options(ctx.pool.current_num_threads(), base)?,
            )
        })
    }

    /// The place of each split's rows, once all are counted.
    pub(crate) fn rows(&self) -> Result<&Rows> {
        self.rows.get(|| Rows::of(self))
    }

    /// The sources from which sequences of a part are assembled, opened when first needed.
    pub(crate) fn part(&self, part: Part) -> Result<&PartSource> {
        self.parts[usize::from(part == Part::HeldOut)].get(|| PartSource::open(self, part))
    }

    /// The tokens of all documents, opened when first needed.
    pub(crate) fn tokens(&self) -> Result<&TokenStore> {
        self.tokens.get(|| {
            let (ingest, first) = (self.directory(Stage::Ingest), &self.rows()?.first);
            let splits = first[..first.len() - 1].iter().enumerate();
            TokenStore::open(
                splits
                    .map(|(split, &first)| (first, IngestPaths::of(&ingest, split as u32).tokens))
                    .collect(),
            )
        })
    }

    /// The tokens in the order of the plan, opened when first needed; `None` where packing gathers.
    pub(crate) fn scattered(&self) -> Result<Option<&Scattered>> {
        self.scattered.get(|| Scattered::open(self)).map(Option::as_ref)
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

    /// The run's stages in order.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        Stage::ALL.into_iter().filter(|&stage| self.file.has(stage))
    }

    /// The stages of this run that `stage` reads.
    pub fn inputs(&self, stage: Stage) -> impl Iterator<Item = Stage> + '_ {
        self.file.inputs(stage)
    }

    /// The digest of what decides a stage's results.
    pub fn digest(&self, stage: Stage) -> &Digest {
        &self.digests[stage as usize]
    }

    /// The directory of a stage's results; those of `pack` and `seal` are in the output directory
    /// itself.
    pub fn directory(&self, stage: Stage) -> PathBuf {
        match stage {
            Stage::Pack | Stage::Seal => self.out.clone(),
            _ => self.work.join(format!("{}-{}", stage.name(), self.digest(stage))),
        }
    }

    /// The path of a task's done record.
    pub(crate) fn record(&self, stage: Stage, task: u32) -> PathBuf {
        self.state(stage).join(format!("done/{task:05}.json"))
    }

    /// Where a stage keeps done records and leases.
    pub(crate) fn state(&self, stage: Stage) -> PathBuf {
        match stage {
            Stage::Pack | Stage::Seal => {
                self.out.join(".state").join(format!("{}-{}", stage.name(), self.digest(stage)))
            }
            _ => self.directory(stage),
        }
    }

    /// Number of a stage's tasks; `None` while its inputs are not complete.
    pub fn tasks(&self, stage: Stage) -> Result<Option<u32>> {
        Ok(match stage {
            Stage::Scan | Stage::Ingest | Stage::Predict | Stage::Extract | Stage::Embed => {
                Some(self.file.inventory.splits.len() as u32)
            }
            Stage::Spool => Some(self.file.inventory.spooled().count() as u32),
            Stage::Documents
            | Stage::Vectors
            | Stage::Index
            | Stage::Neighbours
            | Stage::Plan
            | Stage::Report
            | Stage::Route
            | Stage::Seal => Some(1),
            Stage::Scatter => match self.all_done(Stage::Route) {
                Ok(records) => Some(if crate::stages::route::scatters(&records[0])? {
                    self.file.inventory.splits.len() as u32
                } else {
                    0
                }),
                Err(e) if e.code() == Code::StageNotReady => None,
                Err(e) => return Err(e),
            },
            Stage::Pack => match self.all_done(Stage::Plan) {
                Ok(records) => Some(crate::stages::pack::tasks(self.options(), &records[0])?),
                Err(e) if e.code() == Code::StageNotReady => None,
                Err(e) => return Err(e),
            },
        })
    }

    /// Whether the files of a stage are sent away once they are whole, and do not stay.
    pub(crate) fn is_sent(&self, stage: Stage) -> bool {
        stage == Stage::Pack && self.options().output.upload.is_some()
    }

    /// The record of a finished task; `None` where it is not finished, or its files are gone. Of
    /// files that were uploaded the record alone tells: it is written once the store has them
    /// whole.
    ///
    /// A finished run whose intermediates were cleaned away keeps their records, which count for as
    /// long as its output is whole.
    pub fn done(&self, stage: Stage, task: u32) -> Result<Option<DoneRecord>> {
        if self.is_sent(stage) {
            return DoneRecord::load(&self.record(stage, task));
        }
        match DoneRecord::read(&self.record(stage, task), &self.directory(stage))? {
            Some(record) => Ok(Some(record)),
            None => {
                Ok(self.cleaned(stage)?.and_then(|records| records.get(task as usize).cloned()))
            }
        }
    }

    /// The records of a stage whose results were cleaned away from this finished run.
    fn cleaned(&self, stage: Stage) -> Result<Option<&[DoneRecord]>> {
        let known = &self.cleaned[stage as usize];
        if known.get().is_none()
            && self.directory(stage) != self.out
            && let Some(records) = self.kept_records(stage)?
            && self.is_finished()?
        {
            // Another thread has read the same.
            let _ = known.set(records);
        }
        Ok(known.get().map(Vec::as_slice))
    }

    fn kept_records(&self, stage: Stage) -> Result<Option<Vec<DoneRecord>>> {
        let path = crate::clean::records_file(self, stage);
        let text = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.at("read", &path)?,
        };
        let records = serde_json::from_slice(&text);
        // A record that cannot be read counts as missing: the stage runs again.
        Ok(records.ok())
    }

    /// Whether the output is whole: all shards that the plan asks for, and the seal.
    fn is_finished(&self) -> Result<bool> {
        let plan = match self.kept_records(Stage::Plan)? {
            Some(records) => records.into_iter().next(),
            None => DoneRecord::read(&self.record(Stage::Plan, 0), &self.directory(Stage::Plan))?,
        };
        let Some(plan) = plan else { return Ok(false) };
        for task in 0..crate::stages::pack::tasks(self.options(), &plan)? {
            if self.done(Stage::Pack, task)?.is_none() {
                return Ok(false);
            }
        }
        Ok(self.done(Stage::Seal, 0)?.is_some())
    }

    /// Keeps the records of a stage whose results are to go.
    pub(crate) fn keep_records(&self, stage: Stage) -> Result<()> {
        let text = serde_json::to_vec(self.all_done(stage)?)
            .map_err(|e| Error::new(Code::Internal, format!("records as JSON: {e}")))?;
        write_file(&crate::clean::records_file(self, stage), &text).map(drop)
    }

    /// That the results of a stage are there to be read.
    ///
    /// Errors: `STAGE_NOT_READY`, also where they were cleaned away.
    pub(crate) fn require(&self, stage: Stage) -> Result<()> {
        self.all_done(stage)?;
        if self.directory(stage).exists() {
            return Ok(());
        }
        let message = format!(
            "`clean` deleted the results of stage {} after the run in {} had finished; run it with `clean: none` into another directory to keep them",
            stage.name(),
            self.out.display()
        );
        Err(Error::new(Code::StageNotReady, message).with("stage", stage.name()))
    }

    /// Whether the corpus is the work directory's spool.
    pub(crate) fn is_spooled(&self) -> bool {
        let spool = self.work.join("spool");
        self.options()
            .corpus
            .as_ref()
            .is_some_and(|paths| paths.iter().any(|path| self.file.base.join(path) == spool))
    }

    /// Compares a result of a stage that is done once with what its record says: for files that
    /// hold no checksum of their own.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub(crate) fn check(&self, stage: Stage, name: &str) -> Result<()> {
        let directory = self.directory(stage);
        self.all_done(stage)?
            .iter()
            .flat_map(|r| &r.files)
            .filter(|f| f.name == name)
            .try_for_each(|f| f.check(&directory))
    }

    /// The plan of a part.
    ///
    /// Errors: `FILE_CORRUPT`, `STAGE_NOT_READY`.
    pub(crate) fn plan(&self, part: Part) -> Result<PlanFile> {
        let folder = crate::stages::plan::folder(part);
        self.check(Stage::Plan, &format!("{folder}/plan.json"))?;
        PlanFile::open(&self.directory(Stage::Plan).join(folder))
    }

    /// Calls `check` until it once succeeds: compares the runs of all splits, which tasks read in
    /// parts, with their checksum.
    pub(crate) fn route_checked(&self, check: impl FnOnce() -> Result<()>) -> Result<()> {
        self.routed.get(check).copied()
    }

    /// Checks that the files of a split are those that were listed, and that a part of a packed
    /// file is what was spooled.
    ///
    /// Errors: `INPUT_CHANGED`, `FILE_CORRUPT`.
    pub(crate) fn check_split(&self, split: usize) -> Result<()> {
        longweave_corpus::check_unchanged(&self.file.inventory, split)?;
        let Split { file, range: Range::Part { part, .. } } = self.file.inventory.splits[split]
        else {
            return Ok(());
        };
        let task = self.file.inventory.spooled().position(|(spooled, _)| spooled == file);
        let record = task
            .and_then(|task| self.all_done(Stage::Spool).ok()?.get(task)?.files.get(part as usize));
        record.map_or(Ok(()), |record| record.check(&self.directory(Stage::Spool)))
    }

    /// Deletes the done record of a task if it, or any file it lists, fails its checksum. Returns
    /// whether it did. Waits while another process runs the task.
    pub(crate) fn forget(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<bool> {
        let _lease = self.lease(ctx, stage, task)?;
        let (path, directory) = (self.record(stage, task), self.directory(stage));
        let whole = match DoneRecord::load(&path) {
            Ok(Some(record)) => {
                self.is_sent(stage) || record.files.iter().all(|f| f.check(&directory).is_ok())
            }
            Ok(None) => return Ok(true),
            Err(_) => false,
        };
        if !whole {
            DoneRecord::remove(&path)?;
        }
        Ok(!whole)
    }

    /// Closes the open files of results that a task has just replaced: a reader that was stopped
    /// may have opened them before.
    pub(crate) fn reopen(&self, stage: Stage, task: u32) {
        if let (Stage::Scatter, Some(Some(scattered))) = (stage, self.scattered.made()) {
            scattered.forget(task as usize);
        }
    }

    /// Removes what killed attempts left half written, in the directories of all stages. Files that
    /// a living process writes stay.
    pub(crate) fn sweep(&self) {
        crate::progress_files::sweep(&self.out, &self.living());
        crate::clean::sweep(self);
        sweep(&self.out);
        sweep(&self.work);
        self.stages().for_each(|stage| self.sweep_stage(stage));
    }

    /// As [`RunContext::sweep`], of one stage.
    pub(crate) fn sweep_stage(&self, stage: Stage) {
        crate::stages::sweep(self, stage);
        sweep_below(&self.state(stage));
        match stage {
            // The output directory itself: what is hidden in it is not of these stages.
            Stage::Pack | Stage::Seal => {
                sweep(&self.out);
                let folders = fs::read_dir(&self.out).into_iter().flatten().flatten();
                let folders = folders.filter(|e| {
                    !e.file_name().to_string_lossy().starts_with('.')
                        && e.file_type().is_ok_and(|t| t.is_dir())
                });
                folders.for_each(|folder| _ = sweep_below(&folder.path()));
            }
            _ => _ = sweep_below(&self.directory(stage)),
        }
    }

    /// The records of all tasks of a stage. A stage that was complete once counts as complete for
    /// this run.
    ///
    /// Errors: `STAGE_NOT_READY`, naming the first that is not done.
    pub fn all_done(&self, stage: Stage) -> Result<&[DoneRecord]> {
        self.complete[stage as usize].get(|| self.read_all_done(stage)).map(Vec::as_slice)
    }

    fn read_all_done(&self, stage: Stage) -> Result<Vec<DoneRecord>> {
        let not_ready = |what: String| {
            let message = format!(
                "{what}; run `longweave task run {} {} --all` first",
                self.out.display(),
                stage.name()
            );
            Error::new(Code::StageNotReady, message).with("stage", stage.name())
        };
        let tasks = self.tasks(stage)?.ok_or_else(|| {
            not_ready(format!("the inputs of stage {} are not complete", stage.name()))
        })?;
        (0..tasks)
            .map(|task| {
                self.done(stage, task)?.ok_or_else(|| {
                    not_ready(format!("task {task} of stage {} is not done", stage.name()))
                })
            })
            .collect()
    }

    /// Runs one task, unless it is done. Waits while another process runs the same one.
    ///
    /// Errors: `STAGE_NOT_READY`, `STAGE_NOT_FOUND` for a task beyond the last, and whatever the
    /// task meets.
    pub fn run_task(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<DoneRecord> {
        for input in self.inputs(stage) {
            self.all_done(input)?;
        }
        let tasks = self.tasks(stage)?.unwrap_or(0);
        if task >= tasks {
            let message = format!(
                "stage {} has {tasks} tasks, numbered from 0; there is no task {task}",
                stage.name()
            );
            return Err(Error::new(Code::StageNotFound, message)
                .with("stage", stage.name())
                .with("task", task));
        }
        if let Some(record) = self.done(stage, task)? {
            return Ok(record);
        }
        let _lease = self.lease(ctx, stage, task)?;
        if let Some(record) = self.done(stage, task)? {
            return Ok(record);
        }
        ctx.cancel.check()?;
        let path = self.record(stage, task);
        let record = self.log.task(stage, task, || {
            failpoint::hit("task", &path).at("begin", &path)?;
            let record = crate::stages::run(ctx, self, stage, task)?;
            record.write(&path).map(|()| record)
        })?;
        crate::stages::after(self, stage, task);
        Ok(record)
    }

    /// The lock of a task.
    pub(crate) fn lease_file(&self, stage: Stage, task: u32) -> PathBuf {
        self.lease_folder(stage).join(format!("{task:05}"))
    }

    /// Where the locks of a stage's tasks are.
    pub(crate) fn lease_folder(&self, stage: Stage) -> PathBuf {
        self.state(stage).join("lease")
    }

    /// The processes of this machine that hold the lock of the run's driver or of a task.
    pub(crate) fn living(&self) -> HashSet<u32> {
        let leases = self.stages().filter_map(|s| fs::read_dir(self.lease_folder(s)).ok());
        leases
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .chain([Self::driver_file(&self.out)])
            .filter_map(|path| Lock::holder(&path).filter(|holder| holder.alive == Some(true)))
            .map(|holder| holder.process)
            .collect()
    }

    fn lease(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<Lock> {
        let path = self.lease_file(stage, task);
        loop {
            match Lock::take(&path, &format!("task {task} of stage {}", stage.name())) {
                Err(e) if e.code() == Code::RunLocked => {
                    ctx.cancel.check()?;
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                other => return other,
            }
        }
    }

    /// Takes the lock that makes this process the run's only driver.
    ///
    /// Errors: `RUN_LOCKED`.
    pub fn lock(out: &Path) -> Result<Lock> {
        Lock::take(&Self::driver_file(out), &format!("the run in {}", out.display()))
    }

    /// The lock of the run's driver.
    pub(crate) fn driver_file(out: &Path) -> PathBuf {
        out.join(".state/driver")
    }
}

fn changed(path: &str, out: &Path) -> Error {
    let message = format!(
        "{path} has changed since the run in {} was prepared; choose another output directory, or delete that one to start again",
        out.display()
    );
    Error::new(Code::InputChanged, message).with("file", path)
}

/// The options that decide results, without those that only say where and how fast.
pub(crate) fn result_options(options: &RunOptions) -> Value {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        for volatile in ["threads", "memory", "packing", "work", "diskCheck", "clean"] {
            map.remove(volatile);
        }
    }
    if let Some(output) = value["output"].as_object_mut() {
        output.remove("directory");
        output.remove("upload");
    }
    for section in ["queries", "vectors"] {
        if let Some(section) = value[section].as_object_mut() {
            for volatile in ["device", "deviceMemory", "onnxRuntime", "checkpointSeconds"] {
                section.remove(volatile);
            }
        }
    }
    value
}

fn compare_options(stored: &RunFile, now: &RunFile, out: &Path) -> Result<()> {
    let (then, new) = (result_options(&stored.options), result_options(&now.options));
    if then != new {
        let mut names = Vec::new();
        differences("", &then, &new, &mut names);
        let message = format!(
            "{} belongs to a run with other options ({}); choose another output directory, or delete that one. Tokens, queries and keywords are \
             reused where both runs name the same `--work` directory",
            out.display(),
            names.join(", ")
        );
        return Err(Error::new(Code::RunMismatch, message).with("options", names));
    }
    Ok(())
}

/// Refuses a directory that holds another run.
fn refuse_other_run(file: &RunFile, out: &Path) -> Result<()> {
    let path = out.join("run.json");
    if !path.exists() {
        return Ok(());
    }
    let stored = RunContext::read(&path)?;
    compare_options(&stored, file, out)?;
    if packing_began(out)? { compare_inputs(&stored, file, out) } else { Ok(()) }
}

/// Whether a task of `pack` has ever begun: from then on the output directory holds what was made
/// of its inputs.
fn packing_began(out: &Path) -> Result<bool> {
    let state = out.join(".state");
    let prefix = format!("{}-", Stage::Pack.name());
    if !state.exists() {
        return Ok(false);
    }
    for entry in fs::read_dir(&state).at("open", &state)? {
        if entry.at("read", &state)?.file_name().to_string_lossy().starts_with(&prefix) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare_inputs(stored: &RunFile, now: &RunFile, out: &Path) -> Result<()> {
    if stored.inventory != now.inventory {
        let changed_file = now.inventory.files.iter().find(|f| !stored.inventory.files.contains(f));
        let gone = stored.inventory.files.iter().find(|f| !now.inventory.files.contains(f));
        let path = changed_file.or(gone).map_or("the corpus", |f| f.path.as_str());
        return Err(changed(path, out));
    }
    if stored.tokenizer != now.tokenizer {
        return Err(changed(&now.options.tokenizer, out));
    }
    match now.inputs.iter().zip(&stored.inputs).find(|(a, b)| a != b) {
        Some((input, _)) => Err(changed(&input.path, out)),
        None => Ok(()),
    }
}

fn differences(prefix: &str, a: &Value, b: &Value, names: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                differences(
                    &name,
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    names,
                );
            }
        }
        _ if a != b => names.push(format!("{prefix}: {a} → {b}")),
        _ => {}
    }
}

/// A directory without a run must be empty; what is hidden does not count.
fn refuse_other_files(out: &Path, format: OutputFormat) -> Result<()> {
    if out.join("run.json").exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.at("open", out)?,
    };
    for entry in entries {
        let name = entry.at("read", out)?.file_name();
        if format != OutputFormat::Memory && !name.to_string_lossy().starts_with('.') {
            let message = format!(
                "{} holds files that are not this run's ({}); choose an empty or new directory",
                out.display(),
                name.display()
            );
            return Err(
                Error::new(Code::OutputExists, message).with("file", out.display().to_string())
            );
        }
    }
    Ok(())
}

/// Whether the work directory says its format, which must be ours.
pub(crate) fn check_work_version(work: &Path) -> Result<bool> {
    let path = work.join("VERSION");
    match fs::read_to_string(&path) {
        Ok(found) if found == work_version() => Ok(true),
        Ok(found) => {
            let message = format!(
                "{} says \"{}\", this version needs format {WORK_FORMAT}; choose another `--work` directory, or delete this one",
                path.display(),
                found.trim()
            );
            Err(Error::new(Code::VersionMismatch, message).with("file", path.display().to_string()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(&e, "read", &path)),
    }
}

fn write_work_version(work: &Path) -> Result<()> {
    if !check_work_version(work)? {
        write_file(&work.join("VERSION"), work_version().as_bytes())?;
    }
    Ok(())
}

fn work_version() -> String {
    format!("longweave work directory, format {WORK_FORMAT}\n")
}

/// The digest of each stage: of the options that matter to it and of the digests of what it reads.
fn digests(file: &RunFile) -> [Digest; Stage::ALL.len()] {
    let o = &file.options;
    let plan = o.plan_options(file.tokenizer.separator.len() as u32);
    let input = |name: &str| file.inputs.iter().find(|i| i.name == name).map(|i| i.digest.clone());
    let seed_of_choice =
        (o.keywords.representative == longweave_index::Representative::Random).then_some(o.seed);
    let mut made: Vec<Digest> = Vec::with_capacity(Stage::ALL.len());
    for stage in Stage::ALL {
        let own = match stage {
            Stage::Spool => json!({
                "files": file.inventory.spooled().map(|(f, parts)| (&file.inventory.files[f as usize], parts)).collect::<Vec<_>>(),
                "maxDocumentBytes": o.max_document_bytes,
            }),
            Stage::Scan => {
                json!({ "files": file.inventory.files, "splits": file.inventory.splits })
            }
            Stage::Ingest => json!({
                "tokenizer": file.tokenizer.digest, "encoder": file.tokenizer.encoder, "maxId": file.tokenizer.max_id,
                "textField": o.text_field, "idField": o.id_field, "sourceField": o.source_field,
                "onBadRow": o.on_bad_row, "maxDocumentBytes": o.max_document_bytes,
            }),
            Stage::Documents => {
                json!({ "onDuplicateId": o.on_duplicate_id, "sources": o.source_field.is_some() })
            }
            Stage::Predict => match o.queries.predictor {
                PredictorName::Extractive => json!({
                    "predictor": o.queries.predictor, "segmentTokens": o.queries.segment_tokens, "version": longweave_predict::VERSION,
                }),
                PredictorName::Precomputed => json!({
                    "predictor": o.queries.predictor, "queryField": o.query_field.as_ref().filter(|_| o.reads_query_field()),
                    "queries": input("queries"), "version": longweave_predict::VERSION,
                }),
                // Not the device: what a model wrote is a record, whatever it ran on.
                PredictorName::Onnx => json!({
                    "predictor": o.queries.predictor, "segmentTokens": o.queries.segment_tokens, "model": input("model"), "prefix": o.queries.prefix,
                    "decoding": o.queries.decoding(o.seed), "queriesPerSegment": o.queries.queries_per_segment,
                    "maxQueryTokens": o.queries.max_query_tokens, "batchTokens": o.queries.batch_tokens, "decodeRows": o.queries.decode_rows,
                    "tf32": o.queries.tf32, "version": longweave_inference::VERSION,
                }),
            },
            Stage::Embed => match o.vectors.source {
                VectorSource::Tfidf => {
                    json!({ "source": o.vectors.source, "chunkChars": o.chunk_chars(), "version": longweave_neighbours::VERSION })
                }
                VectorSource::File => json!({ "chunkChars": o.chunk_chars() }),
                VectorSource::Onnx => json!({
                    "source": o.vectors.source, "chunkChars": o.chunk_chars(), "model": input("encoder"), "pooling": o.vectors.pooling,
                    "prefix": o.vectors.prefix, "maxTokens": o.vectors.max_tokens, "batchTokens": o.vectors.batch_tokens, "tf32": o.vectors.tf32,
                    "version": longweave_inference::VERSION,
                }),
            },
            Stage::Vectors => match o.vectors.source {
                VectorSource::Tfidf => {
                    json!({ "dimensions": o.vectors.dimensions, "sample": o.vectors.sample })
                }
                VectorSource::Onnx => json!({}),
                VectorSource::File => json!({ "file": input("vectors") }),
            },
            Stage::Neighbours => json!({
                "k": o.neighbour_depth(), "search": o.neighbours.search, "lists": o.neighbours.lists, "probes": o.neighbours.probes,
                "recallSample": o.neighbours.recall_sample, "heads": o.needs_heads(), "version": longweave_neighbours::VERSION,
            }),
            Stage::Extract => {
                json!({ "stopWords": o.keywords.stop_words, "list": input("stopWords"), "minScore": o.keywords.min_score })
            }
            Stage::Index => json!({
                "boilerplate": o.keywords.boilerplate, "extra": o.keywords.boilerplate_phrases,
                "representative": o.keywords.representative, "cap": o.keywords.max_keyword_share, "floor": o.keywords.min_keyword_cap,
                "hierarchy": o.keywords.hierarchy, "seed": seed_of_choice,
            }),
            Stage::Plan => {
                json!({ "options": plan, "shard": o.shard_sequences(), "format": PLAN_FORMAT })
            }
            Stage::Report => json!({
                "version": longweave_report::VERSION, "format": REPORT_FORMAT, "method": o.method,
            }),
            Stage::Route => json!({ "packing": o.packing }),
            Stage::Scatter => json!({}),
            Stage::Pack | Stage::Seal => json!({
                "output": result_options(o)["output"], "separator": file.tokenizer.separator, "bos": file.tokenizer.bos, "pad": file.tokenizer.pad,
            }),
        };
        // The bytes are the same wherever they go, but what is done for one place is not done for
        // another.
        let own = match (stage, &o.output.upload) {
            (Stage::Pack | Stage::Seal, Some(upload)) => json!({ "own": own, "upload": upload }),
            _ => own,
        };
        // How tokens come to the packer decides no byte of the output.
        let decides = |&input: &Stage| {
            stage != Stage::Pack || !matches!(input, Stage::Route | Stage::Scatter)
        };
        let inputs: Vec<&Digest> =
            file.inputs(stage).filter(decides).map(|s| &made[s as usize]).collect();
        let digest = digest_of(
            &json!({ "stage": stage.name(), "format": WORK_FORMAT, "own": own, "inputs": inputs }),
        );
        made.push(digest);
    }
    made.try_into().unwrap_or_else(|_| unreachable!("one digest is made for each stage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_md_names_the_formats_that_this_version_writes() {
        let page =
            include_str!("../../../FORMATS.md").split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in [
            format!("`VERSION` holds the format of the whole directory ({WORK_FORMAT})"),
            format!("`OUT/run.json` (format {RUN_FORMAT})"),
            format!("`holdout/plan.json` | format ({PLAN_FORMAT})"),
        ] {
            assert!(page.contains(&sentence), "FORMATS.md does not say: {sentence}");
        }
    }
}
