//! A worker: a process that keeps runs open and runs their tasks for a scheduler, which speaks to it
//! in lines of JSON. docs/worker.md describes the lines.
//!
//! One thread reads requests, and another serves them in their order; each call of tasks has a thread
//! of its own, and another that tells of its progress. Every request with an `id` is answered by exactly one line of type `opened`,
//! `tasks`, `done`, `pong` or `error`; before it come lines of type `progress` and `warning`.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use longweave_common::{Cancel, Code, Error, Result};
use longweave_driver::{Event, Events, guarded};
use longweave_storage::{DoneRecord, host, process_token};
use serde::Serialize;
use serde_json::{Value, json};

use crate::job::Job;
pub use crate::job::JobOptions as WorkerOptions;
use crate::tasks::{StageInfo, TaskRecord, TaskSelection};
use crate::wire::{Handed, Line, Output, Request};

/// Progress of a call is reported at most this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// A line that the worker writes.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Answer {
    Opened { version: &'static str, host: String, process: u32, attempt: &'static str },
    Tasks { stages: Vec<StageInfo> },
    Progress { done: u64, total: u64 },
    Warning { message: String },
    Done { records: Vec<TaskRecord> },
    Error { code: &'static str, message: String, details: Value },
    Pong,
}

impl From<Error> for Answer {
    fn from(error: Error) -> Answer {
        Answer::Error {
            code: error.code().name(),
            message: error.message().to_owned(),
            details: Value::Object(error.details().clone()),
        }
    }
}

impl Answer {
    /// Writes the answer to the line `id`, null where that could not be read.
    fn write<W: Write>(&self, id: Option<u64>, output: &Output<W>) {
        let mut line = json!(self);
        line["id"] = json!(id);
        output.write(&line);
    }
}

/// A call of tasks that is in progress.
struct Call {
    cancel: Cancel,
    /// Set before its answer is written: a reader of the answer may use its `id` again.
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Call {
    /// Waits for its thread.
    fn join(self) {
        // A panic in it was caught, and answered.
        let _ = self.thread.join();
    }
}

struct Worker<W> {
    options: WorkerOptions,
    output: Arc<Output<W>>,
    jobs: HashMap<PathBuf, (Arc<Job>, Instant)>,
    calls: HashMap<u64, Call>,
    /// Raised at the end of the input.
    cancel: Cancel,
}

/// Serves requests until the input ends, then stops what is running. Finished tasks are kept.
///
/// Errors: those of reading, and of starting a thread.
pub fn serve<W: Write + Send + 'static>(
    options: WorkerOptions,
    input: impl BufRead,
    output: W,
) -> io::Result<()> {
    let cancel = Cancel::new();
    let output = Arc::new(Output::new(output, cancel.clone()));
    let (send, requests) = channel();
    let (jobs, calls) = (HashMap::new(), HashMap::new());
    let worker =
        Worker { options, output: Arc::clone(&output), jobs, calls, cancel: cancel.clone() };
    let serving = std::thread::Builder::new()
        .name("longweave-serve".into())
        .spawn(move || worker.serve(&requests))?;
    let mut read = Ok(());
    for line in input.lines() {
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => match parse(&line) {
                // At once, whatever a request before it is waiting for.
                Ok(Line { id, request: Request::Ping }) => Answer::Pong.write(Some(id), &output),
                // The thread ends after this one.
                Ok(line) => drop(send.send(line)),
                Err((id, error)) => Answer::from(error).write(id, &output),
            },
            Err(error) => {
                read = Err(error);
                break;
            }
        }
        if cancel.is_cancelled() {
            break;
        }
    }
    drop(send);
    // A panic in it was caught, and answered.
    let _ = serving.join();
    read
}

fn parse(line: &str) -> std::result::Result<Line, (Option<u64>, Error)> {
    let id_of = |value: &Value| value.get("id").and_then(Value::as_u64);
    serde_json::from_str(line).map_err(|error| {
        let id = serde_json::from_str(line).ok().as_ref().and_then(id_of);
        let message = format!("the worker cannot read a line of its input: {error}");
        (id, Error::new(Code::OptionsInvalid, message))
    })
}

impl<W: Write + Send + 'static> Worker<W> {
    /// Answers requests in their order, then ends.
    fn serve(mut self, requests: &Receiver<Line>) {
        for Line { id, request } in requests {
            match guarded(|| self.answer(id, request)) {
                Ok(Some(answer)) => answer.write(Some(id), &self.output),
                Ok(None) => {}
                Err(error) => Answer::from(error).write(Some(id), &self.output),
            }
        }
        self.end();
    }

    /// The answer; `None` where a thread gives it.
    fn answer(&mut self, id: u64, request: Request) -> Result<Option<Answer>> {
        let done = Answer::Done { records: Vec::new() };
        Ok(Some(match request {
            Request::Open { run, version, driven } => {
                let own = env!("CARGO_PKG_VERSION");
                if let Some(version) = version.filter(|version| version != own) {
                    let message = format!(
                        "this worker is longweave {own}, and its scheduler longweave {version}; \
                         install the same version on all machines"
                    );
                    let error = Error::new(Code::VersionMismatch, message);
                    let error = error.with("expected", version).with("found", own);
                    return Err(error.with("host", host()));
                }
                self.open(run, driven)?;
                Answer::Opened {
                    version: own,
                    host: host(),
                    process: std::process::id(),
                    attempt: process_token(),
                }
            }
            Request::Tasks { run } => Answer::Tasks { stages: self.open(run, false)?.list()? },
            Request::Records { run, stage, records } => {
                self.open(run, false)?.adopt(&stage, in_order(&stage, records)?)?;
                done
            }
            Request::Reopen { run, stage, task } => {
                self.open(run, false)?.reopen(&stage, task)?;
                done
            }
            Request::Run { run, stage, tasks } => {
                self.run(id, run, stage, tasks)?;
                return Ok(None);
            }
            Request::Cancel { of } => {
                // A call that has ended is not running.
                if let Some(call) = self.calls.get(&of) {
                    call.cancel.cancel();
                }
                done
            }
            Request::Ping => Answer::Pong,
        }))
    }

    /// The run, open; by its first request `driven` or not.
    fn open(&mut self, run: PathBuf, driven: bool) -> Result<Arc<Job>> {
        if let Some((job, _)) = self.jobs.get(&run) {
            return Ok(Arc::clone(job));
        }
        let job = Arc::new(Job::open(&run, &self.options, driven, &self.cancel)?);
        self.jobs.insert(run, (Arc::clone(&job), Instant::now()));
        Ok(job)
    }

    fn run(&mut self, id: u64, run: PathBuf, stage: String, tasks: TaskSelection) -> Result<()> {
        let ended = self.calls.extract_if(|_, call| call.ended.load(Ordering::Acquire));
        ended.for_each(|(_, call)| call.join());
        if self.calls.contains_key(&id) {
            let message = format!("the call {id} is running already; give each line its own `id`");
            return Err(Error::new(Code::OptionsInvalid, message));
        }
        let (job, cancel) = (self.open(run, false)?, self.cancel.child());
        let (output, own) = (Arc::clone(&self.output), cancel.clone());
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = Arc::clone(&ended);
        let work = move || {
            let events = Arc::new(Events::default());
            let told = tell(id, &events, &output);
            let result = guarded(|| job.run(&stage, &tasks, &own, &events));
            events.end();
            if let Some(told) = told {
                // It cannot panic: it only hands lines on.
                let _ = told.join();
            }
            let done = result.map(|records| Answer::Done { records });
            is_ended.store(true, Ordering::Release);
            done.unwrap_or_else(Answer::from).write(Some(id), &output);
        };
        let thread = std::thread::Builder::new()
            .name("longweave-call".into())
            .spawn(work)
            .map_err(|e| Error::new(Code::Internal, format!("cannot start a thread: {e}")))?;
        self.calls.insert(id, Call { cancel, ended, thread });
        Ok(())
    }

    /// Stops all calls, waits for them, and tells the runs' logs.
    fn end(self) {
        self.cancel.cancel();
        self.calls.into_values().for_each(Call::join);
        for (job, begun) in self.jobs.into_values() {
            job.end(begun.elapsed().as_secs_f64());
        }
    }
}

/// The records of all tasks of a stage.
fn in_order(stage: &str, mut records: Vec<Handed>) -> Result<Vec<DoneRecord>> {
    records.sort_by_key(|record| record.task);
    if let Some((task, _)) = (0..).zip(&records).find(|(task, record)| record.task != *task) {
        let message = format!(
            "the records of stage {stage} are to be those of all its tasks, once each; that of task \
             {task} is missing"
        );
        return Err(Error::new(Code::OptionsInvalid, message).with("stage", stage));
    }
    Ok(records.into_iter().map(Handed::record).collect())
}

/// Starts the thread that hands on what a call tells; without a thread nothing is reported.
fn tell<W: Write + Send + 'static>(
    id: u64,
    events: &Arc<Events>,
    output: &Arc<Output<W>>,
) -> Option<JoinHandle<()>> {
    let (events, output) = (Arc::clone(events), Arc::clone(output));
    let body = move || {
        let mut last: Option<Instant> = None;
        let (send, next) = channel();
        loop {
            let send = send.clone();
            events.next(move |event| drop(send.send(event)));
            match next.recv() {
                Ok(Some(Event::Progress { done, total, .. })) => {
                    if last.is_none_or(|at| at.elapsed() >= INTERVAL) {
                        Answer::Progress { done, total }.write(Some(id), &output);
                        last = Some(Instant::now());
                    }
                }
                Ok(Some(Event::Warning { message })) => {
                    Answer::Warning { message }.write(Some(id), &output);
                }
                Ok(Some(Event::Stage { .. })) => {}
                Ok(None) | Err(_) => return,
            }
        }
    };
    std::thread::Builder::new().name("longweave-tell".into()).spawn(body).ok()
}
