//! A driver whose tasks run at the places that an engine offers, which speaks to it in lines of JSON.
//! docs/worker.md describes them.
//!
//! One thread reads lines, one drives the run, and one hands on its events. The last line written
//! is of type `end`.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use longweave_common::{Cancel, Code, Ctx, Error, Result, ResultExt};
use longweave_driver::{Event, Events, guarded};
use longweave_run::{Claim, Driving, RunContext, RunOptions, Stage};
use longweave_stages::{SEAL, STAGES};
use serde_json::{Value, json};

use crate::places::{FromEngine, Places, ToEngine};
use crate::run::drive as drive_stages;
use crate::wire::Output;

pub use crate::places::Patience;

/// A run to be driven.
#[derive(Clone, Debug)]
pub struct DriveOptions {
    /// The output directory.
    pub out: PathBuf,
    /// A file of resolved options, as JSON, to prepare the run with; `None` where it is prepared.
    pub options: Option<PathBuf>,
    /// The last stage to run; `None` for all.
    pub until: Option<String>,
    /// Threads of this process, which prepares the run; 0 for one per core.
    pub threads: usize,
    /// Bytes that this process may hold.
    pub memory: u64,
    /// How long places are waited for.
    pub patience: Patience,
    /// How often this process says that it drives the run. Six times as long it may be silent
    /// before another takes over.
    pub beat: Duration,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All stages that were asked for are complete.
    Done,
    /// An error ended it, which the last line has.
    Failed,
    /// The engine ended it.
    Cancelled,
}

/// Drives a run to its end. `input` has the lines of the engine; its end cancels the run.
pub fn drive<W: Write + Send + 'static>(
    options: &DriveOptions,
    input: impl BufRead + Send + 'static,
    output: W,
) -> Ended {
    let cancel = Cancel::new();
    let output = Arc::new(Output::new(output, cancel.clone()));
    let events = Arc::new(Events::default());
    let result = guarded(|| {
        let (send, inbox) = channel();
        let raised = cancel.clone();
        // It is left where it waits for a line when the run ends.
        spawn("longweave-read", move || read(input, &send, &raised))?;
        let told = {
            let (events, output) = (Arc::clone(&events), Arc::clone(&output));
            spawn("longweave-tell", move || tell(&events, &output))?
        };
        let summary = guarded(|| run(options, &cancel, &events, inbox, &output));
        events.end();
        // It cannot panic: it only hands lines on.
        let _ = told.join();
        summary
    });
    let (summary, error, ended) = match result {
        Ok(summary) => (Some(summary), None, Ended::Done),
        Err(error) => {
            let ended = match error.code() {
                Code::Cancelled => Ended::Cancelled,
                _ => Ended::Failed,
            };
            let error = json!({
                "code": error.code().name(), "message": error.message(), "details": error.details(),
            });
            (None, Some(error), ended)
        }
    };
    output.write(&ToEngine::End { summary, error });
    ended
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|e| Error::new(Code::Internal, format!("cannot start a thread: {e}")))
}

/// Hands on the lines of the engine. It cancels the run, or its end does.
fn read(input: impl BufRead, send: &Sender<FromEngine>, cancel: &Cancel) {
    for line in input.lines() {
        let line = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|error| FromEngine::Unreadable(error.to_string())),
            Err(error) => FromEngine::Unreadable(error.to_string()),
        };
        if matches!(line, FromEngine::Cancel) {
            cancel.cancel();
        }
        if send.send(line).is_err() {
            break;
        }
    }
    cancel.cancel();
}

/// Hands on the events of the run.
fn tell<W: Write>(events: &Arc<Events>, output: &Output<W>) {
    let (send, next) = channel();
    loop {
        let send = send.clone();
        events.next(move |event| drop(send.send(event)));
        match next.recv() {
            Ok(Some(event)) => output.write(&ToEngine::Event { event: &event }),
            Ok(None) | Err(_) => return,
        }
    }
}

fn run<W: Write>(
    options: &DriveOptions,
    cancel: &Cancel,
    events: &Arc<Events>,
    inbox: Receiver<FromEngine>,
    output: &Arc<Output<W>>,
) -> Result<Value> {
    let ctx = Ctx { cancel: cancel.clone(), ..Ctx::new(options.threads, options.memory)? };
    let last = match &options.until {
        Some(name) => stage(name)?,
        None => SEAL,
    };
    let tell = |message: &str| events.send(Event::Warning { message: message.to_owned() });
    let claim = Claim { every: options.beat, tell: &tell };
    let (run, _driving) = open(options, &ctx, &claim)?;
    let run = run.driven();
    run.log.begin("run", run.options(), ctx.pool.current_num_threads());
    let out = std::path::absolute(&options.out).at("find", &options.out)?;
    let (output, told, patience) = (Arc::clone(output), Arc::clone(events), options.patience);
    let places = Places::new(out, inbox, output, told, patience);
    let summary = drive_stages(&ctx, &run, events, &places, Some(last));
    run.log.end(run.log.outcome(summary.as_ref()), events.seconds());
    serde_json::to_value(summary?)
        .map_err(|e| Error::new(Code::Internal, format!("the summary as JSON: {e}")))
}

/// The run, prepared, whose only driver this process is.
fn open(options: &DriveOptions, ctx: &Ctx, claim: &Claim<'_>) -> Result<(RunContext, Driving)> {
    let out = &options.out;
    let Some(path) = &options.options else {
        let run = RunContext::open(STAGES, out)?;
        let driving = Driving::begin(out, &ctx.cancel, claim)?;
        run.check_inputs()?;
        return Ok((run.of_driver(&driving), driving));
    };
    let mut options = RunOptions::parse(&std::fs::read_to_string(path).at("read", path)?)?;
    if options.corpus.is_none() {
        let message = "`corpus` must be given: a driver with places takes no documents";
        return Err(Error::new(Code::OptionsInvalid, message).with("option", "corpus"));
    }
    options.output.directory = Some(out.display().to_string());
    RunContext::prepare(STAGES, ctx, options, out, claim)
}

fn stage(name: &str) -> Result<Stage> {
    STAGES.iter().copied().find(|stage| stage.name == name).ok_or_else(|| {
        let message = format!("there is no stage `{name}`");
        Error::new(Code::StageNotFound, message).with("stage", name)
    })
}
