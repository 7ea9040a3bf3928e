//! A run on a thread of its own: what a host language starts, feeds, listens to, cancels and waits for. Nothing here blocks its caller;
//! answers come through callbacks, from the run's thread.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_storage::Lock;
use serde::Deserialize;

use crate::memory::{MemoryBatch, MemorySource};
use crate::options::OutputFormat;
use crate::repair::repairing;
use crate::spool::Spool;
use crate::temporary::TemporaryDirectory;
use crate::{Event, Events, RunContext, RunOptions, Stage, driver, summary};

/// How far a run is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To the end.
    Run,
    /// Only `run.json` is written.
    Prepare,
    /// Up to the plan; no token is copied.
    Plan,
}

impl Mode {
    /// The name in the log.
    fn name(self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Prepare => "prepare",
            Mode::Plan => "plan",
        }
    }
}

/// A document that is pushed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedDocument {
    /// Its id; `None` for its number in the stream.
    #[serde(default)]
    pub id: Option<String>,
    /// Its text.
    pub text: String,
    /// Its source.
    #[serde(default)]
    pub source: Option<String>,
    /// Its queries.
    #[serde(default)]
    pub queries: Vec<String>,
}

type Callback<T> = Box<dyn FnOnce(Result<T>) + Send>;
/// The outcome is kept, so that it can be asked for more than once.
type Outcome = std::result::Result<String, Arc<Error>>;

enum Input {
    Documents(Vec<PushedDocument>, Callback<()>),
    End(Callback<()>),
}

#[derive(Default)]
struct Finish {
    outcome: Option<Outcome>,
    waiters: Vec<Box<dyn FnOnce(Outcome) + Send>>,
}

/// A run that was started.
pub struct Session {
    events: Arc<Events>,
    cancel: Cancel,
    finish: Arc<Mutex<Finish>>,
    input: Mutex<Option<Sender<Input>>>,
    demand: Mutex<Option<Sender<Callback<Option<MemoryBatch>>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Session {
    /// Starts a run.
    ///
    /// Errors: `OPTIONS_INVALID`, `INTERNAL` when threads cannot be started. Everything else comes through [`Session::finished`].
    pub fn start(options: &str, mode: Mode) -> Result<Session> {
        let options = RunOptions::parse(options)?;
        let ctx = Ctx::new(options.threads, options.memory)?;
        let (input, inputs) = channel();
        let (demand, demands) = channel();
        let events = Arc::new(Events::default());
        let finish = Arc::new(Mutex::new(Finish::default()));
        let cancel = ctx.cancel.clone();
        let pushed = options.corpus.is_none();
        let thread = {
            let (events, finish) = (Arc::clone(&events), Arc::clone(&finish));
            let body = move || {
                let outcome =
                    driver::guarded(|| run(&ctx, options, mode, &events, &inputs, &demands))
                        .map_err(Arc::new);
                // Whoever still pushes or pulls is told by the channels' closing.
                drop((inputs, demands));
                events.end();
                let waiters = {
                    let mut finish = finish.lock().unwrap_or_else(PoisonError::into_inner);
                    finish.outcome = Some(outcome.clone());
                    std::mem::take(&mut finish.waiters)
                };
                waiters.into_iter().for_each(|waiter| waiter(outcome.clone()));
            };
            std::thread::Builder::new()
                .name("longweave-run".into())
                .spawn(body)
                .map_err(|e| Error::new(Code::Internal, format!("cannot start a thread: {e}")))?
        };
        Ok(Session {
            events,
            cancel,
            finish,
            input: Mutex::new(Some(input).filter(|_| pushed)),
            demand: Mutex::new(Some(demand)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Calls back with the next event, or `None` after the last.
    pub fn next_event(&self, callback: impl FnOnce(Option<Event>) + Send + 'static) {
        self.events.next(callback);
    }

    /// Hands over documents; calls back once they are spooled.
    pub fn push(
        &self,
        documents: Vec<PushedDocument>,
        callback: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        self.send(|done| Input::Documents(documents, done), Box::new(callback));
    }

    /// Says that no more documents come; calls back once all are spooled.
    pub fn end_input(&self, callback: impl FnOnce(Result<()>) + Send + 'static) {
        self.send(Input::End, Box::new(callback));
    }

    fn send(&self, make: impl FnOnce(Callback<()>) -> Input, callback: Callback<()>) {
        let guard = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = guard.as_ref() else {
            drop(guard);
            return callback(Err(Error::new(
                Code::OptionsInvalid,
                "documents can be pushed only into a run whose `corpus` is null",
            )));
        };
        let refused = sender.send(make(callback)).err();
        drop(guard);
        if let Some(refused) = refused {
            let (Input::Documents(_, callback) | Input::End(callback)) = refused.0;
            callback(Err(ended()));
        }
    }

    /// Calls back with the next batch of sequences, or `None` after the last (`output.format: memory`).
    pub fn next(&self, callback: impl FnOnce(Result<Option<MemoryBatch>>) + Send + 'static) {
        let guard = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        let callback: Callback<Option<MemoryBatch>> = Box::new(callback);
        let refused = match guard.as_ref() {
            Some(sender) => sender.send(callback).err().map(|e| e.0),
            None => Some(callback),
        };
        drop(guard);
        // The run has ended: all sequences were given, or its error comes through `finished`.
        if let Some(callback) = refused {
            callback(Ok(None));
        }
    }

    /// Calls back with the summary as JSON once the run has ended.
    pub fn finished(
        &self,
        callback: impl FnOnce(std::result::Result<String, Arc<Error>>) + Send + 'static,
    ) {
        let mut finish = self.finish.lock().unwrap_or_else(PoisonError::into_inner);
        match finish.outcome.clone() {
            Some(outcome) => {
                drop(finish);
                callback(outcome);
            }
            None => finish.waiters.push(Box::new(callback)),
        }
    }

    /// Asks the run to stop. What is finished is kept.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Cancels and waits for the run's thread. Must not be called from a callback.
    pub fn close(&self) {
        self.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Panics were caught and are the run's outcome.
            let _ = thread.join();
        }
    }
}

fn ended() -> Error {
    Error::new(Code::Cancelled, "the run has ended and takes no more documents")
}

fn run(
    ctx: &Ctx,
    mut options: RunOptions,
    mode: Mode,
    events: &Arc<Events>,
    inputs: &Receiver<Input>,
    demands: &Receiver<Callback<Option<MemoryBatch>>>,
) -> Result<String> {
    let memory = options.output.format == OutputFormat::Memory;
    let temporary = match options.output.directory {
        Some(_) => None,
        None => Some(TemporaryDirectory::create()?),
    };
    let out: PathBuf = match (&options.output.directory, &temporary) {
        (Some(directory), _) => directory.into(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => {
            return Err(Error::new(Code::OptionsInvalid, "`output.directory` must be given"));
        }
    };
    let _spool = if options.corpus.is_none() {
        RunContext::check_before_input(&options, &out)?;
        Some(spool(ctx, &mut options, &out, inputs)?)
    } else {
        None
    };
    let (run, _lock) = RunContext::prepare(ctx, options, &out)?;
    run.log.begin(mode.name(), &run, ctx.pool.current_num_threads());
    let summary = drive(ctx, &run, mode, events);
    run.log.end(summary.as_ref(), events.seconds());
    let summary = summary?;
    if memory && mode == Mode::Run {
        let mut source = repairing(ctx, &run, events, || MemorySource::open(&run))?;
        while let Some(callback) = wait(ctx, demands)? {
            let batch = repairing(ctx, &run, events, || driver::guarded(|| source.next(ctx)));
            let last = matches!(batch, Ok(None) | Err(_));
            callback(batch);
            if last {
                break;
            }
        }
    }
    serde_json::to_string(&summary)
        .map_err(|e| Error::new(Code::Internal, format!("the summary as JSON: {e}")))
}

/// Runs the stages that the mode asks for, telling warnings before and after.
fn drive(
    ctx: &Ctx,
    run: &RunContext,
    mode: Mode,
    events: &Arc<Events>,
) -> Result<summary::Summary> {
    let warn = |message: &String| driver::warn(run, events, message);
    let said = summary::warnings_of_preparation(run);
    said.iter().for_each(warn);
    match mode {
        Mode::Prepare => {}
        Mode::Plan => driver::run(ctx, run, events, Stage::Plan)?,
        Mode::Run => driver::run(ctx, run, events, Stage::Seal)?,
    }
    let summary = summary::summary(run, mode, events.seconds())?;
    summary.warnings.iter().filter(|w| !said.contains(w)).for_each(warn);
    Ok(summary)
}

/// The next message; `None` when no more can come.
fn wait<T>(ctx: &Ctx, receiver: &Receiver<T>) -> Result<Option<T>> {
    loop {
        ctx.cancel.check()?;
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Spools what is pushed and makes it the run's corpus; the lock keeps other runs over the same work directory from replacing it.
fn spool(
    ctx: &Ctx,
    options: &mut RunOptions,
    out: &Path,
    inputs: &Receiver<Input>,
) -> Result<Lock> {
    let lock = Spool::lock(options, out)?;
    let mut spool = Spool::create(options, out)?;
    loop {
        match wait(ctx, inputs)?.ok_or_else(ended)? {
            Input::Documents(documents, callback) => {
                let written = documents.iter().try_for_each(|d| spool.push(d));
                let failed = written.as_ref().err().map(|e| Error::new(e.code(), e.message()));
                callback(written);
                if let Some(error) = failed {
                    return Err(error);
                }
            }
            Input::End(callback) => {
                let finished = spool.finish(options);
                let failed = finished.as_ref().err().map(|e| Error::new(e.code(), e.message()));
                callback(finished);
                return failed.map_or(Ok(lock), Err);
            }
        }
    }
}
