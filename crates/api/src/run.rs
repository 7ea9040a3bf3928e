//! A run on a thread of its own: what a host language starts, feeds, listens to, cancels and waits
//! for. Nothing here blocks its caller. Every question is answered exactly once, from the run's
//! thread or, after the run has ended, at once.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_driver::{Engine, Event, Events, Threads, guarded, repairing};
use longweave_plan::Part;
use longweave_run::{Claim, Driving, RunContext, RunOptions, Stage};
use longweave_stages::{STAGES, ingest, pack, plan, seal, summary};
use longweave_storage::Lock;
use tempfile::TempDir;

use crate::batch::Batch;
use crate::fetched::temporary;
use crate::json::to_json;
use crate::spool::Spool;

pub use longweave_run::Mode;

/// Tokens that [`Run::read`] returns at once where the caller names no number of sequences.
const BATCH_TOKENS: u64 = 1 << 20;

/// The half of a question that answers it. Dropped without an answer, it answers that the run has
/// ended: a queue that is thrown away leaves nobody waiting.
struct Answer(Option<Box<dyn FnOnce(Result<()>) + Send>>);

impl Answer {
    fn give(mut self, result: Result<()>) {
        if let Some(callback) = self.0.take() {
            callback(result);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(callback) = self.0.take() {
            callback(Err(ended()));
        }
    }
}

enum Input {
    /// Rows of JSON, one a line.
    Rows(String, Answer),
    End(Answer),
}

/// How a run ended; kept, so that it can be asked for more than once.
type Outcome = std::result::Result<String, Arc<Error>>;

#[derive(Default)]
struct Finish {
    outcome: Option<Outcome>,
    waiters: Vec<Box<dyn FnOnce(Outcome) + Send>>,
    /// The source of sequences after the run; none before, and once it was released.
    planned: Option<Arc<Planned>>,
}

/// A planned run whose sequences are assembled on demand.
pub struct Planned {
    ctx: Ctx,
    run: RunContext,
    events: Arc<Events>,
    /// Keep others from driving the run, and from cleaning its results, while sequences are read.
    _held: Option<(Driving, Option<Lock>)>,
    /// Holds the run's files where no directory was given. Dropped after the run that reads them.
    _temporary: Option<TempDir>,
}

impl Planned {
    fn read(&self, first: u64, sequences: u64, cancel: &Cancel) -> Result<Option<Batch>> {
        cancel.check()?;
        let batch = repairing(&self.ctx, &self.run, &self.events, &Threads, || {
            guarded(|| {
                let part = pack::part(&self.run, Part::Main)?;
                let asked = match sequences {
                    0 => (BATCH_TOKENS / u64::from(self.run.options().length)).clamp(1, 1 << 16),
                    n => n,
                };
                let n = asked.min(part.sequences().saturating_sub(first));
                if n == 0 {
                    return Ok(None);
                }
                let tokens = ingest::tokens(&self.run)?;
                part.assemble(&self.ctx, &tokens, first, n, |_, batch| Some(Batch::packed(batch)))
            })
        })?;
        cancel.check()?;
        Ok(batch)
    }
}

/// Cancels and joins the thread that a run works on.
#[derive(Default)]
pub struct RunThread {
    cancel: Cancel,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl RunThread {
    /// Cancels and waits for the thread. Must not be called from a callback.
    pub fn close(&self) {
        self.cancel.cancel();
        let handle = locked(&self.handle).take();
        if let Some(handle) = handle {
            // Panics were caught and are the run's outcome.
            let _ = handle.join();
        }
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        locked(&self.handle).as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// A run that was started.
pub struct Run {
    events: Arc<Events>,
    finish: Arc<Mutex<Finish>>,
    input: Option<Sender<Input>>,
    thread: Arc<RunThread>,
}

impl Run {
    /// Starts a run.
    ///
    /// Errors: `OPTIONS_INVALID`, `INTERNAL` when threads cannot be started. Everything else comes
    /// through [`Run::finished`].
    pub fn start(options: &str, mode: Mode) -> Result<Run> {
        let options = RunOptions::parse(options)?;
        let ctx = Ctx::new(options.threads, options.memory)?;
        let (input, inputs) = channel();
        let events = Arc::new(Events::default());
        let finish = Arc::new(Mutex::new(Finish::default()));
        let thread = Arc::new(RunThread { cancel: ctx.cancel.clone(), ..RunThread::default() });
        let input = options.corpus.is_none().then_some(input);
        let body = {
            let (events, finish) = (Arc::clone(&events), Arc::clone(&finish));
            move || {
                let ended = guarded(|| run(&ctx, options, mode, &events, &inputs));
                drop(inputs);
                events.end();
                let (outcome, planned) = match ended {
                    Ok((summary, planned)) => (Ok(summary), planned),
                    Err(error) => (Err(Arc::new(error)), None),
                };
                let waiters = {
                    let mut finish = locked(&finish);
                    finish.outcome = Some(outcome.clone());
                    finish.planned = planned.map(Arc::new);
                    std::mem::take(&mut finish.waiters)
                };
                waiters.into_iter().for_each(|waiter| waiter(outcome.clone()));
            }
        };
        let handle = std::thread::Builder::new()
            .name("longweave-run".into())
            .spawn(body)
            .map_err(|e| Error::new(Code::Internal, format!("cannot start a thread: {e}")))?;
        *locked(&thread.handle) = Some(handle);
        Ok(Run { events, finish, input, thread })
    }

    /// Calls back with the next event, or `None` after the last.
    pub fn next_event(&self, callback: impl FnOnce(Option<Event>) + Send + 'static) {
        self.events.next(callback);
    }

    /// Hands over documents, rows of JSON with one a line; calls back once they are spooled.
    ///
    /// Errors: `OPTIONS_INVALID` for a run with a corpus of its own, `CANCELLED` for one that has
    /// ended, and those of spooling.
    pub fn push(&self, rows: String, callback: impl FnOnce(Result<()>) + Send + 'static) {
        self.send(Answer(Some(Box::new(callback))), |answer| Input::Rows(rows, answer));
    }

    /// Ends the corpus; calls back once all documents are spooled.
    ///
    /// Errors: as [`Run::push`].
    pub fn end_input(&self, callback: impl FnOnce(Result<()>) + Send + 'static) {
        self.send(Answer(Some(Box::new(callback))), Input::End);
    }

    fn send(&self, answer: Answer, input: impl FnOnce(Answer) -> Input) {
        match &self.input {
            // An input that is refused is dropped, which answers it.
            Some(sender) => drop(sender.send(input(answer))),
            None => {
                let message = "documents can be pushed only into a run whose `corpus` is null";
                answer.give(Err(Error::new(Code::OptionsInvalid, message)));
            }
        }
    }

    /// Sequences `first..` of a run in memory or of a plan, `sequences` of them or, for 0, about a
    /// million tokens; `None` behind the last. Blocks: for threads of the caller's own.
    ///
    /// Errors: the run's own; `STAGE_NOT_READY` before its end, `HANDLE_CLOSED` after
    /// [`Run::release`] and for a run that writes files, `CANCELLED`.
    pub fn read(&self, first: u64, sequences: u64, cancel: &Cancel) -> Result<Option<Batch>> {
        self.planned()?.read(first, sequences, cancel)
    }

    fn planned(&self) -> Result<Arc<Planned>> {
        let finish = locked(&self.finish);
        match (&finish.outcome, &finish.planned) {
            (None, _) => {
                let message = "the run has not ended; await its result first";
                Err(Error::new(Code::StageNotReady, message))
            }
            (Some(Err(error)), _) => Err(Error::clone(error)),
            (Some(Ok(_)), None) => {
                let message = "the run was closed, or it writes files: open its output";
                Err(Error::new(Code::HandleClosed, message))
            }
            (Some(Ok(_)), Some(planned)) => Ok(Arc::clone(planned)),
        }
    }

    /// The keywords with most documents of a plan, most first, as JSON. Blocks.
    ///
    /// Errors: as [`Run::read`]; `NOT_KEYWORDED`.
    pub fn top_keywords(&self, n: usize) -> Result<String> {
        to_json(&crate::tasks::top_keywords(&self.planned()?.run, n)?)
    }

    /// Calls back with the summary as JSON once the run has ended.
    pub fn finished(&self, callback: impl FnOnce(Outcome) + Send + 'static) {
        let mut finish = locked(&self.finish);
        match finish.outcome.clone() {
            Some(outcome) => {
                drop(finish);
                callback(outcome);
            }
            None => finish.waiters.push(Box::new(callback)),
        }
    }

    /// Asks the run to stop. Finished tasks are kept.
    pub fn cancel(&self) {
        self.thread.cancel.cancel();
    }

    /// Cancels, waits for the run's thread and releases what sequences are read from. Must not be
    /// called from a callback.
    pub fn close(&self) {
        self.thread.close();
        drop(self.release());
    }

    /// Takes away what sequences are read from. Dropping it removes files.
    pub fn release(&self) -> Option<Arc<Planned>> {
        locked(&self.finish).planned.take()
    }

    /// The run's thread, for callers that wait for it after the run is forgotten.
    pub fn thread(&self) -> Arc<RunThread> {
        Arc::clone(&self.thread)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
) -> Result<(String, Option<Planned>)> {
    let in_memory = !options.writes_files() && mode == Mode::Run;
    let temporary = match options.output.directory {
        Some(_) => None,
        None => Some(temporary()?),
    };
    let out: PathBuf = match (&options.output.directory, &temporary) {
        (Some(directory), _) => directory.into(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => {
            return Err(Error::new(Code::OptionsInvalid, "`output.directory` must be given"));
        }
    };
    let mut spooled = None;
    if options.corpus.is_none() {
        RunContext::check_before_input(&options, &out)?;
        spooled = Some(spool(ctx, &mut options, &out, inputs)?);
    }
    let tell = |message: &str| events.send(Event::Warning { message: message.to_owned() });
    let claim = Claim { tell: &tell, ..Claim::default() };
    let (run, driving) = RunContext::prepare(STAGES, ctx, options, &out, &claim)?;
    run.log.begin(mode.name(), run.options(), ctx.pool.current_num_threads());
    let last = match mode {
        Mode::Prepare => None,
        Mode::Plan => Some(plan::PLAN),
        Mode::Run => Some(seal::SEAL),
    };
    let summary = drive(ctx, &run, events, &Threads, last);
    run.log.end(run.log.outcome(summary.as_ref()), events.seconds());
    let summary = to_json(&summary?)?;
    let planned = (in_memory || mode == Mode::Plan).then(|| Planned {
        ctx: ctx.clone(),
        run,
        events: Arc::clone(events),
        _held: in_memory.then_some((driving, spooled)),
        _temporary: temporary,
    });
    Ok((summary, planned))
}

/// Runs the stages up to and with `last`; sends warnings before, once the plan is known, and after.
pub(crate) fn drive(
    ctx: &Ctx,
    run: &RunContext,
    events: &Arc<Events>,
    engine: &dyn Engine,
    last: Option<Stage>,
) -> Result<summary::Summary> {
    let warn = |message: &String| events.warn_once(run, message);
    summary::warnings_of_preparation(run).iter().for_each(warn);
    if let Some(last) = last {
        // A driver that another has replaced is cancelled.
        longweave_driver::run(ctx, run, events, engine, last)
            .map_err(|error| run.check_driver().err().unwrap_or(error))?;
    }
    let mode = match last {
        Some(last) if last == seal::SEAL => Mode::Run,
        Some(last) if last == plan::PLAN => Mode::Plan,
        _ => Mode::Prepare,
    };
    run.check_driver()?;
    let summary = summary::summary(run, mode, events.seconds())?;
    summary.warnings.iter().for_each(warn);
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

/// Spools what is pushed and makes it the run's corpus; the lock keeps other runs over the same
/// work directory from replacing it.
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
            Input::Rows(rows, answer) => {
                let written = spool.push(&rows);
                answer.give(written.clone());
                written?;
            }
            Input::End(answer) => {
                let finished = spool.finish(options);
                answer.give(finished.clone());
                return finished.map(|()| lock);
            }
        }
    }
}
