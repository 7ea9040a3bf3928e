//! The tasks that `longweave task list` lists and `longweave task run` runs.

use longweave_common::{Code, Error, Result};
use longweave_storage::{DoneRecord, FileRecord};
use serde::Serialize;
use serde_json::Value;
use ts_rs::TS;

use crate::options::{PredictorName, VectorSource};
use crate::{RunContext, Stage};

/// A stage of a prepared run, for a scheduler that hands out its tasks.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StageInfo {
    /// The stage's name.
    pub stage: Stage,
    /// Tasks that the stage is divided into, numbered from 0. Null while its inputs are not
    /// complete.
    pub tasks: Option<u32>,
    /// Tasks that are done.
    pub done: u32,
    /// Stages that must be complete before a task can run.
    pub depends_on: Vec<Stage>,
    /// What one task needs.
    pub resources: TaskResources,
    /// The command line that runs one task, to be completed by the task's number.
    pub command: String,
}

/// What one task needs.
#[derive(Clone, Copy, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TaskResources {
    /// Threads that the task can use. 0 for as many as it is given.
    pub threads: u32,
    /// Bytes of heap, estimated.
    pub memory_bytes: u64,
    /// GPUs. 0 unless the options name one.
    pub gpus: u32,
}

/// A task that is done.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TaskRecord {
    /// The stage's name.
    pub stage: Stage,
    /// The task's number in the stage, from 0.
    pub task: u32,
    /// Counts that the task left for later stages. Their names depend on the stage and are not
    /// part of the public interface.
    #[ts(type = "Record<string, unknown>")]
    pub counts: Value,
    /// Files that the task wrote.
    pub files: Vec<FileRecord>,
}

impl TaskRecord {
    /// The public form of a done record.
    pub(crate) fn new(stage: Stage, task: u32, record: DoneRecord) -> TaskRecord {
        TaskRecord { stage, task, counts: record.counts, files: record.files }
    }
}

/// A keyword and the documents that it represents.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct KeywordCount {
    /// The keyword, normalised.
    pub keyword: String,
    /// Documents of the corpus whose representative keyword it is.
    pub documents: u64,
}

/// The stages of a run with their tasks.
pub fn list(run: &RunContext) -> Result<Vec<StageInfo>> {
    run.stages()
        .map(|stage| {
            let tasks = run.tasks(stage)?;
            let mut done = 0;
            for task in 0..tasks.unwrap_or(0) {
                done += u32::from(run.done(stage, task)?.is_some());
            }
            let threads = u32::from(stage == Stage::Scan || stage == Stage::Seal);
            let (queries, vectors) = (&run.options().queries, &run.options().vectors);
            let device = match stage {
                Stage::Predict if queries.predictor == PredictorName::Onnx => &queries.device,
                Stage::Embed if vectors.source == VectorSource::Onnx => &vectors.device,
                _ => "cpu",
            };
            let gpus = u32::from(device.starts_with("cuda"));
            let resources = TaskResources { threads, memory_bytes: run.options().memory, gpus };
            let command =
                format!("longweave task run {} {} --task", run.out().display(), stage.name());
            Ok(StageInfo {
                stage,
                tasks,
                done,
                depends_on: run.inputs(stage).collect(),
                resources,
                command,
            })
        })
        .collect()
}

/// The tasks that a selection names: `17`, `3..9` (without 9), `shard:K/N` (each N-th from K on), `all`.
///
/// Errors: `STAGE_NOT_FOUND` for another form or a number beyond the last task, `STAGE_NOT_READY`.
pub fn select(run: &RunContext, stage: Stage, selection: &str) -> Result<Vec<u32>> {
    if !run.stages().any(|s| s == stage) {
        let names: Vec<&str> = run.stages().map(Stage::name).collect();
        let message =
            format!("this run has no stage {}; it has {}", stage.name(), names.join(", "));
        return Err(Error::new(Code::StageNotFound, message).with("stage", stage.name()));
    }
    for input in run.inputs(stage) {
        run.all_done(input)?;
    }
    let tasks = run.tasks(stage)?.unwrap_or(0);
    let bad = || {
        let message = format!(
            "`{selection}` names no tasks of stage {}: give 17, 3..9, shard:K/N with K < N, or all; it has {tasks}, numbered from 0",
            stage.name()
        );
        Error::new(Code::StageNotFound, message)
            .with("stage", stage.name())
            .with("selection", selection)
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
    if selection == "all" {
        return Ok((0..tasks).collect());
    }
    if let Some(shard) = selection.strip_prefix("shard:") {
        let (k, n) = shard.split_once('/').ok_or_else(bad)?;
        let (k, n) = (number(k)?, number(n)?);
        return if k < n { Ok((k..tasks).step_by(n as usize).collect()) } else { Err(bad()) };
    }
    let (start, end) = match selection.split_once("..") {
        Some((start, end)) => (number(start)?, number(end)?),
        None => (number(selection)?, number(selection)?.saturating_add(1)),
    };
    if start < end && end <= tasks { Ok((start..end).collect()) } else { Err(bad()) }
}
