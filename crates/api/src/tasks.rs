//! The stages and tasks of a prepared run, for engines that hand out tasks.

use longweave_common::{Code, Error, Result};
use longweave_driver::counted_facts;
use longweave_run::{Needs, RunContext, Stage};
use longweave_stages::INDEX;
use longweave_storage::{DoneRecord, FileRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ts_rs::TS;

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
    /// The tasks that are not, as ranges without their end, in order.
    pub open: Vec<TaskRange>,
    /// Stages that must be complete before a task can run.
    pub depends_on: Vec<Stage>,
    /// The resources of one task.
    pub resources: TaskResources,
    /// The command line that runs one task, to be completed by the task's number.
    pub command: String,
}

/// The resources of one task.
#[derive(Clone, Copy, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TaskResources {
    /// Threads that the task can use. 0 for as many as it is given.
    pub threads: u32,
    /// Bytes of heap, estimated.
    pub memory_bytes: u64,
    /// Bytes of metadata and vectors that the process of a task holds in addition, estimated. Null
    /// until `ingest` is complete.
    pub metadata_bytes: Option<u64>,
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
    let facts = counted_facts(run)?;
    run.stages()
        .map(|stage| {
            let (tasks, done) = run.done_tasks(stage)?;
            let open = open_ranges(tasks.unwrap_or(0), &done);
            let done = done.len() as u32;
            let Needs { threads, gpus } = stage.needs(run.options());
            let metadata_bytes = facts.map(|facts| stage.held(run, &facts) as u64);
            let memory_bytes = run.options().memory;
            let resources = TaskResources { threads, memory_bytes, metadata_bytes, gpus };
            let command =
                format!("longweave task run {} {} --task", run.out().display(), stage.name);
            let depends_on = run.inputs(stage);
            Ok(StageInfo { stage, tasks, done, open, depends_on, resources, command })
        })
        .collect()
}

/// The tasks that are not among `done`, which rises.
fn open_ranges(tasks: u32, done: &[u32]) -> Vec<TaskRange> {
    let mut from = 0;
    let mut ranges = Vec::new();
    for to in done.iter().copied().chain([tasks]) {
        if from < to {
            ranges.push(TaskRange { from, to });
        }
        from = to + 1;
    }
    ranges
}

/// The keywords with most documents, most first, ties in byte order.
///
/// Errors: `NOT_KEYWORDED`, `STAGE_NOT_READY`.
pub(crate) fn top_keywords(run: &RunContext, n: usize) -> Result<Vec<KeywordCount>> {
    if !run.has(INDEX) {
        let message = format!(
            "the run in {} has no keywords: its method is {}",
            run.out().display(),
            run.options().method.name().as_str()
        );
        return Err(Error::new(Code::NotKeyworded, message));
    }
    run.require(INDEX)?;
    let index = longweave_index::Index::open(&run.directory(INDEX))?;
    let count =
        |(keyword, documents): (&str, u64)| KeywordCount { keyword: keyword.to_owned(), documents };
    Ok(index.top(n).into_iter().map(count).collect())
}

/// Tasks of a stage.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum TaskSelection {
    /// A task by its number.
    One(u32),
    /// Several, by number.
    Many(Vec<u32>),
    /// `from..to`.
    Range(TaskRange),
    /// Every `shard[1]`-th task from `shard[0]` on.
    Shard(TaskShard),
    /// Every task of the stage.
    All(AllTasks),
}

/// The tasks `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(deny_unknown_fields)]
pub struct TaskRange {
    /// The first.
    pub from: u32,
    /// The first that is left out.
    pub to: u32,
}

/// A share of the tasks: every `n`-th from the `k`-th on, as `[k, n]`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskShard {
    /// `[k, n]`, k < n.
    pub shard: [u32; 2],
}

/// The word `all`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AllTasks {
    /// All tasks.
    All,
}

/// The numbers of the selected tasks of a stage, in rising order.
///
/// Errors: `STAGE_NOT_FOUND` for a stage that the run lacks and for a number beyond the last task,
/// `STAGE_NOT_READY`.
pub fn select(run: &RunContext, stage: Stage, selection: &TaskSelection) -> Result<Vec<u32>> {
    if !run.stages().any(|s| s == stage) {
        let names: Vec<&str> = run.stages().map(|stage| stage.name).collect();
        let message = format!("this run has no stage {}; it has {}", stage.name, names.join(", "));
        return Err(Error::new(Code::StageNotFound, message).with("stage", stage.name));
    }
    for input in run.inputs(stage) {
        run.all_done(input)?;
    }
    let tasks = run.tasks(stage)?.unwrap_or(0);
    let selected: Vec<u32> = match selection {
        TaskSelection::All(_) => (0..tasks).collect(),
        TaskSelection::One(task) => vec![*task],
        TaskSelection::Many(several) => {
            let mut several = several.clone();
            several.sort_unstable();
            several.dedup();
            several
        }
        TaskSelection::Range(TaskRange { from, to }) if from < to && *to <= tasks => {
            (*from..*to).collect()
        }
        TaskSelection::Shard(TaskShard { shard: [k, n] }) if k < n => {
            (*k..tasks).step_by(*n as usize).collect()
        }
        TaskSelection::Range(_) | TaskSelection::Shard(_) => vec![tasks],
    };
    if selected.iter().any(|&task| task >= tasks) {
        let message = format!(
            "`{}` selects tasks that stage {} does not have: it has {tasks}, numbered from 0. \
             Select one task, a range without its end, or a shard K/N with K < N",
            json!(selection),
            stage.name
        );
        return Err(Error::new(Code::StageNotFound, message)
            .with("stage", stage.name)
            .with("tasks", tasks));
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_tasks_are_told_as_ranges() {
        let ranges = |tasks, done: &[u32]| -> Vec<(u32, u32)> {
            open_ranges(tasks, done).iter().map(|range| (range.from, range.to)).collect()
        };
        assert_eq!(ranges(5, &[]), [(0, 5)]);
        assert_eq!(ranges(5, &[0, 1, 4]), [(2, 4)]);
        assert_eq!(ranges(6, &[2, 3]), [(0, 2), (4, 6)]);
        assert_eq!(ranges(2, &[0, 1]), []);
        assert_eq!(ranges(0, &[]), []);
    }
}
