//! The status of a run, from its directories alone: done records, leases, the log, and the last
//! progress of each process.
//!
//! Nothing is written, and no lock is kept for longer than it takes to see that it is free, so that
//! a run can be looked at while a driver, an API call or any number of processes work on it.

use std::collections::HashSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use longweave_common::{Code, Result};
use longweave_plan::MethodName;
use longweave_run::{DriverSeen, LogRecord, Outcome, ProgressUnit, RunContext, Stage};
use longweave_stages::STAGES;
use longweave_storage::{Holder, Lock, directory_bytes, host, space};
use serde::Serialize;
use ts_rs::TS;

use crate::history::History;
use crate::progress_files::{self, Progress};

/// Seconds after which a process of another machine that has not said how far it is counts as gone.
const FRESH: f64 = 10.0;

/// The state of a run, read from its directories alone.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The output directory, as the caller named it.
    pub directory: String,
    /// The work directory.
    pub work: String,
    /// The method that composes the sequences.
    pub method: MethodName,
    /// Tokens of a sequence.
    pub length: u32,
    /// The state of the whole run.
    pub state: RunState,
    /// The process that drives the run. Null where no process does.
    pub driver: Option<DriverProcess>,
    /// The run's stages in order.
    pub stages: Vec<StageStatus>,
    /// Seconds during which at least one process worked on the run.
    pub elapsed_seconds: f64,
    /// Seconds left. Null unless they are known for every stage.
    pub eta_seconds: Option<f64>,
    /// The last error in the log. Null where there is none.
    pub last_error: Option<LogMessage>,
    /// The last warning in the log. Null where there is none.
    pub last_warning: Option<LogMessage>,
    /// Sizes of the run's directories.
    pub disk: DiskUse,
}

/// The state of a run: `prepared` (nothing was begun), `running`, `stopped` (no process works on
/// it, and the last one ended in order), `interrupted` (a person or program cancelled it), `failed`
/// (the last process ended with an error), `killed` (the last process ended without writing so) or
/// `finished`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// Nothing was begun.
    Prepared,
    /// A process works on it.
    Running,
    /// Nobody works on it, and the last process ended in order: a plan, or tasks handed out one by
    /// one.
    Stopped,
    /// A person or program stopped it.
    Interrupted,
    /// The last process met an error.
    Failed,
    /// The last process ended without an entry in the log, for example because it was killed.
    Killed,
    /// Everything is done.
    Finished,
}

/// The process that drives a run.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DriverProcess {
    /// Its process id.
    pub process: u32,
    /// The name of its machine.
    pub host: String,
}

/// The state of a stage.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage's name.
    pub stage: Stage,
    /// `waiting` (a stage that it reads is not complete), `open` (tasks are left and no process
    /// works on them), `running` or `done`.
    #[ts(inline)]
    pub state: StageState,
    /// Tasks that the stage is divided into. Null while its inputs are not complete.
    pub tasks: Option<u32>,
    /// Tasks that are done.
    pub done: u32,
    /// Tasks that a living process of this machine works on.
    pub running: u32,
    /// Tasks leased to a process of another machine that has not reported for a while.
    pub elsewhere: u32,
    /// The unit of `unitsDone` and `unitsTotal`.
    pub unit: ProgressUnit,
    /// Units done, those of running tasks included. Null while the inputs are not complete.
    pub units_done: Option<u64>,
    /// Units of the whole stage. Null while the inputs are not complete.
    pub units_total: Option<u64>,
    /// Units per second, all processes together. Null before any is done.
    pub rate: Option<f64>,
    /// Seconds during which at least one process worked on the stage. Null before any did.
    pub seconds: Option<f64>,
    /// Seconds left at `rate`. Null where the stage is done or the rate unknown.
    pub eta_seconds: Option<f64>,
}

/// Progress of a stage's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum StageState {
    /// Stages that it reads are not complete.
    Waiting,
    /// Tasks are left, and nobody works on them.
    Open,
    /// Tasks are being worked on.
    Running,
    /// All tasks are done.
    Done,
}

/// An error or warning from the log of a run.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct LogMessage {
    /// When it was written, as RFC 3339 in UTC.
    pub time: String,
    /// The id of the process that wrote it.
    pub process: u32,
    /// The machine of the process. Null where the log does not say.
    pub host: Option<String>,
    /// The error's code. Null for a warning.
    pub code: Option<String>,
    /// The text for people.
    pub message: String,
}

/// Sizes of a run's directories.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiskUse {
    /// Bytes of the work directory, which other runs may share.
    pub work_bytes: u64,
    /// Bytes of the output directory, without a work directory inside it.
    pub output_bytes: u64,
    /// Bytes free on the work directory's file system. Null where the system does not say.
    pub work_free_bytes: Option<u64>,
    /// Bytes free on the output directory's file system. Null where the system does not say.
    pub output_free_bytes: Option<u64>,
}

/// How the run in `out` is going.
///
/// Errors: `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`.
pub fn status(out: &Path) -> Result<RunStatus> {
    let run = RunContext::open_read_only(STAGES, out)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let records = run.log.read();
    let living = run.living();
    let fresh: Vec<Progress> =
        progress_files::read(out).into_iter().filter(|p| speaks(p, &living, now)).collect();
    let history = History::of(&records, &living, now);
    let known = |stage| run.done_tasks(stage).map(|(tasks, done)| Tasks { stage, tasks, done });
    let all: Vec<Tasks> = run.stages().map(known).collect::<Result<_>>()?;
    let stages = all
        .iter()
        .map(|tasks| stage_status(&run, tasks, &all, &history, &fresh))
        .collect::<Result<Vec<_>>>()?;
    let (mut listed, mut work_bytes) = (Vec::new(), 0);
    for stage in run.stages() {
        if let Some(bytes) = run.listed_bytes(stage)? {
            listed.push(run.directory(stage));
            work_bytes += bytes;
        }
    }
    work_bytes += directory_bytes(run.work(), &listed);
    let driver = longweave_run::driver(out, now);
    let working = driver.is_some() || !fresh.is_empty() || stages.iter().any(|s| s.running > 0);
    let state = if stages.iter().all(|s| s.state == StageState::Done) {
        RunState::Finished
    } else if working {
        RunState::Running
    } else {
        ended(&records)
    };
    let left =
        |s: &StageStatus| if s.state == StageState::Done { Some(0.0) } else { s.eta_seconds };
    Ok(RunStatus {
        directory: out.display().to_string(),
        work: run.work().display().to_string(),
        method: run.options().method.name(),
        length: run.options().length,
        state,
        driver: driver.map(|DriverSeen { process, host }| DriverProcess { process, host }),
        elapsed_seconds: history.worked(None),
        eta_seconds: stages.iter().map(left).sum(),
        stages,
        last_error: last(&records, "error"),
        last_warning: last(&records, "warning"),
        disk: DiskUse {
            work_bytes,
            output_bytes: directory_bytes(out, &[run.work().to_owned()]),
            work_free_bytes: space(run.work()).map(|s| s.free),
            output_free_bytes: space(out).map(|s| s.free),
        },
    })
}

/// Whether a process still works: one of this machine is looked up, one of another machine is
/// judged by the age of its progress.
fn speaks(progress: &Progress, living: &HashSet<u32>, now: f64) -> bool {
    if progress.host == host() {
        living.contains(&progress.process)
    } else {
        progress.age(now) < FRESH
    }
}

/// Whether a holder works: it lives here, or from another machine said a moment ago how far it is.
fn lives(holder: &Holder, fresh: &[Progress]) -> bool {
    holder.alive.unwrap_or_else(|| {
        fresh.iter().any(|p| p.host == holder.host && p.process == holder.process)
    })
}

/// A stage's tasks, where their number is known, and which are done.
struct Tasks {
    stage: Stage,
    tasks: Option<u32>,
    done: Vec<u32>,
}

impl Tasks {
    fn are_done(&self) -> bool {
        self.tasks == Some(self.done.len() as u32)
    }
}

fn stage_status(
    run: &RunContext,
    own: &Tasks,
    all: &[Tasks],
    history: &History,
    fresh: &[Progress],
) -> Result<StageStatus> {
    let &Tasks { stage, tasks, ref done } = own;
    let (mut running, mut elsewhere) = (0, 0);
    for task in if own.are_done() { Vec::new() } else { run.leased(stage) } {
        if done.binary_search(&task).is_err()
            && let Some(holder) = Lock::holder(&run.lease_file(stage, task))
        {
            match holder.alive {
                None if !lives(&holder, fresh) => elsewhere += 1,
                Some(false) => {}
                _ => running += 1,
            }
        }
    }
    let inputs = run.inputs(stage);
    let ready =
        tasks.is_some() && all.iter().filter(|of| inputs.contains(&of.stage)).all(Tasks::are_done);
    let state = if own.are_done() {
        StageState::Done
    } else if running > 0 {
        StageState::Running
    } else if ready {
        StageState::Open
    } else {
        StageState::Waiting
    };
    let at_work: Vec<&Progress> =
        fresh.iter().filter(|p| p.stage == stage.name && state != StageState::Done).collect();
    let units = |tasks: &[u32]| match run.units(stage, tasks) {
        Err(e) if e.code() == Code::StageNotReady => Ok(None),
        other => other.map(Some),
    };
    let every: Vec<u32> = (0..tasks.unwrap_or(0)).collect();
    let units_total = if tasks.is_some() { units(&every)? } else { None };
    let running_units: u64 = at_work.iter().map(|p| p.running).sum();
    let units_done = match tasks {
        Some(_) if own.are_done() => units_total,
        Some(_) => units(done)?,
        None => None,
    };
    let units_done = units_done.zip(units_total).map(|(d, t)| (d + running_units).min(t));
    let seconds = history.worked(Some(stage.name));
    let of_log = || {
        let units = units(
            &done.iter().copied().filter(|&t| history.ended(stage.name, t)).collect::<Vec<_>>(),
        )
        .ok()
        .flatten()?;
        (units > 0 && seconds > 0.0).then(|| units as f64 / seconds)
    };
    let said: f64 =
        at_work.iter().filter(|p| p.seconds > 0.0).map(|p| p.done as f64 / p.seconds).sum();
    let rate = if said > 0.0 { Some(said) } else { of_log() };
    let left = units_total.zip(units_done).map(|(total, done)| (total - done) as f64);
    let eta_seconds = match state {
        StageState::Done => None,
        _ => left.zip(rate).map(|(left, rate)| left / rate),
    };
    let done = done.len() as u32;
    let seconds = (seconds > 0.0).then_some(seconds);
    Ok(StageStatus {
        stage,
        state,
        tasks,
        done,
        running,
        elsewhere,
        unit: stage.unit,
        units_done,
        units_total,
        rate,
        seconds,
        eta_seconds,
    })
}

fn last(records: &[LogRecord], event: &str) -> Option<LogMessage> {
    let line = records.iter().rfind(|line| line.event == event)?;
    let message = line.message.clone().unwrap_or_default();
    Some(LogMessage {
        time: line.time.clone(),
        process: line.process,
        host: line.host.clone(),
        code: line.code.clone(),
        message,
    })
}

/// How the last process to work on the run ended, where nobody works on it any more. Of workers
/// their driver tells.
fn ended(records: &[LogRecord]) -> RunState {
    let writer = |line: &LogRecord| (line.attempt.clone(), line.process);
    let begins = records.iter().filter(|line| line.mode.as_deref() == Some("worker"));
    let workers: HashSet<_> = begins.map(writer).collect();
    let line = records
        .iter()
        .filter(|line| !workers.contains(&writer(line)))
        .rfind(|l| l.event == "end" || (l.event == "run" && l.mode.as_deref() != Some("prepare")));
    match line.map(|line| (line.event.as_str(), line.outcome)) {
        None => RunState::Prepared,
        Some(("end", Some(Outcome::Failed))) => RunState::Failed,
        Some(("end", Some(Outcome::Cancelled))) => RunState::Interrupted,
        Some(("end", _)) if records.iter().any(|l| l.event == "stage") => RunState::Stopped,
        Some(("end", _)) => RunState::Prepared,
        Some(_) => RunState::Killed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::line;

    #[test]
    fn how_a_run_ended_is_its_last_processs_end() {
        let begin = |mode: &str| line(1, "run", json!({ "mode": mode }));
        let end = |outcome: &str| line(2, "end", json!({ "outcome": outcome }));
        let worker = |event: &str| {
            line(3, event, json!({ "mode": "worker", "outcome": "done", "attempt": "w" }))
        };
        let stage = || line(1, "stage", json!({ "stage": "scan", "state": "started" }));
        for (records, expected) in [
            (vec![], RunState::Prepared),
            (vec![begin("prepare"), end("done")], RunState::Prepared),
            (vec![begin("run"), stage()], RunState::Killed),
            (vec![begin("run"), stage(), end("failed")], RunState::Failed),
            (
                vec![begin("run"), stage(), end("failed"), begin("run"), end("cancelled")],
                RunState::Interrupted,
            ),
            (vec![begin("plan"), stage(), end("done")], RunState::Stopped),
            (
                vec![begin("run"), worker("run"), stage(), end("failed"), worker("end")],
                RunState::Failed,
            ),
        ] {
            assert_eq!(ended(&records), expected, "{records:?}");
        }
    }
}
