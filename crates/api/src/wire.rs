//! Lines between a worker and who gives it tasks: a JSON object each. docs/worker.md describes them.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use longweave_common::Cancel;
use longweave_storage::{DoneRecord, FileRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::tasks::TaskSelection;

/// A line that a worker reads.
#[derive(Deserialize, Serialize)]
pub(crate) struct Line {
    /// Chosen by the writer; in every line that answers this one.
    pub id: u64,
    #[serde(flatten)]
    pub request: Request,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Request {
    /// Opens a run, or finds it open. A writer that names its own version is refused by a worker of
    /// another.
    Open {
        run: PathBuf,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Whether one driver hands out the run's tasks.
        #[serde(default)]
        driven: bool,
    },
    /// The stages of a run with their tasks.
    Tasks { run: PathBuf },
    /// Hands over the records of a finished stage.
    Records { run: PathBuf, stage: String, records: Vec<Handed> },
    /// Runs tasks of a stage.
    Run { run: PathBuf, stage: String, tasks: TaskSelection },
    /// The results of a task were made again by another worker.
    Reopen { run: PathBuf, stage: String, task: u32 },
    /// Asks the call `of` to stop.
    Cancel { of: u64 },
    /// Asks whether the worker lives.
    Ping,
}

/// A record as a `done` line has it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Handed {
    pub task: u32,
    pub counts: Value,
    pub files: Vec<FileRecord>,
}

impl Handed {
    pub(crate) fn new(task: u32, record: DoneRecord) -> Handed {
        Handed { task, counts: record.counts, files: record.files }
    }

    pub(crate) fn record(self) -> DoneRecord {
        DoneRecord { files: self.files, counts: self.counts }
    }
}

/// A line of a worker, as a driver reads it.
#[derive(Deserialize)]
pub(crate) struct Told {
    /// Null where the worker could not read a line.
    pub id: Option<u64>,
    #[serde(flatten)]
    pub answer: Answered,
}

/// See `Answer` of the worker.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Answered {
    Opened,
    Progress {
        done: u64,
    },
    Warning {
        message: String,
    },
    Done {
        records: Vec<Handed>,
    },
    Error {
        code: String,
        message: String,
        #[serde(default)]
        details: Map<String, Value>,
    },
    #[serde(other)]
    Other,
}

/// Where lines go: whole ones, from any thread.
pub(crate) struct Output<W> {
    writer: Mutex<W>,
    /// Raised when nobody reads any more.
    closed: Cancel,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(writer: W, closed: Cancel) -> Output<W> {
        Output { writer: Mutex::new(writer), closed }
    }

    pub(crate) fn write(&self, line: &impl Serialize) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // In one write, so that who reads a pipe sees whole lines.
        let written = serde_json::to_vec(line).map_err(Into::into).and_then(|mut text| {
            text.push(b'\n');
            writer.write_all(&text)?;
            writer.flush()
        });
        if written.is_err() {
            self.closed.cancel();
        }
    }
}
