//! Watches the tasks that this process runs: how far they are, how fast, how much memory is
//! resident.
//!
//! About once a second it is written to `OUT/.state/progress/HOST-PID-N.json`, replaced in one
//! step, for other processes to read.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use longweave_common::ProgressSink;
use longweave_run::{ProgressUnit, Stage, parse_time, resident, time_of};
use longweave_storage::host;
use serde::{Deserialize, Serialize};

use crate::events::{Event, Events};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often the file is replaced.
const WRITE: Duration = Duration::from_secs(1);
/// A rate is given once this share of the units is done, in at least a second.
const LEAST_SHARE: f64 = 0.01;
const LEAST_SECONDS: f64 = 1.0;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    pub time: String,
    pub process: u32,
    pub host: String,
    pub stage: String,
    /// Units that this process has done and those it began with, of `unit`.
    pub done: u64,
    pub total: u64,
    pub unit: ProgressUnit,
    /// Of those done, the ones in tasks that still run.
    pub running: u64,
    /// Seconds since it began the stage.
    pub seconds: f64,
    pub eta_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
}

impl Progress {
    /// Seconds since it was written; `now` in seconds since 1970.
    pub(crate) fn age(&self, now: f64) -> f64 {
        now - parse_time(&self.time).unwrap_or(0.0)
    }
}

/// How far a driver, or a process that runs tasks, is with its tasks of a stage.
pub struct StageProgress {
    events: Arc<Events>,
    stage: Stage,
    total: u64,
    done: AtomicU64,
    running: AtomicU64,
    began: Instant,
}

impl StageProgress {
    pub(crate) fn new(events: &Arc<Events>, stage: Stage, total: u64) -> StageProgress {
        let (done, running) = (AtomicU64::new(0), AtomicU64::new(0));
        StageProgress {
            events: Arc::clone(events),
            stage,
            total,
            done,
            running,
            began: Instant::now(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.total)
    }

    /// Seconds left at the rate so far.
    fn left(&self) -> Option<f64> {
        seconds_left(self.done(), self.total, self.seconds())
    }

    fn advance(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
        self.tell();
    }

    /// Reports the units that are done by now, for tasks that run elsewhere.
    pub fn set(&self, units: u64) {
        if self.done.swap(units, Ordering::Relaxed) != units {
            self.tell();
        }
    }

    fn tell(&self) {
        let eta_seconds = self.left();
        let StageProgress { stage, total, .. } = *self;
        let seconds = self.events.seconds();
        self.events.send(Event::Progress {
            stage,
            done: self.done(),
            total,
            unit: stage.unit,
            seconds,
            eta_seconds,
        });
    }

    fn told(&self) -> Progress {
        Progress {
            time: time_of(SystemTime::now()),
            process: std::process::id(),
            host: host(),
            stage: self.stage.name.to_owned(),
            done: self.done(),
            total: self.total,
            unit: self.stage.unit,
            running: self.running.load(Ordering::Relaxed),
            seconds: self.seconds(),
            eta_seconds: self.left(),
            resident_bytes: resident(),
        }
    }
}

/// Seconds that the rest of `total` units takes where `done` took `seconds`; `None` where too
/// little is known.
pub(crate) fn seconds_left(done: u64, total: u64, seconds: f64) -> Option<f64> {
    let share = done as f64 / total.max(1) as f64;
    (share >= LEAST_SHARE && seconds >= LEAST_SECONDS)
        .then(|| (seconds * (1.0 / share - 1.0)).max(0.0))
}

/// The counters that a task advances: the stage's progress, and its own share of it.
pub(crate) struct TaskProgress {
    stage: Arc<StageProgress>,
    own: AtomicU64,
}

impl TaskProgress {
    pub(crate) fn new(stage: &Arc<StageProgress>) -> TaskProgress {
        TaskProgress { stage: Arc::clone(stage), own: AtomicU64::new(0) }
    }
}

impl ProgressSink for TaskProgress {
    fn advance(&self, units: u64) {
        self.own.fetch_add(units, Ordering::Relaxed);
        self.stage.running.fetch_add(units, Ordering::Relaxed);
        self.stage.advance(units);
    }
}

impl Drop for TaskProgress {
    fn drop(&mut self) {
        self.stage.running.fetch_sub(self.own.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The thread that looks. Ends, and takes its file away, when dropped.
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    peak: Arc<Mutex<Option<u64>>>,
}

impl Watch {
    /// Starts the thread that writes the file. Without a thread the run continues unwatched.
    pub(crate) fn start(progress: &Arc<StageProgress>, out: &Path) -> Watch {
        let peak = Arc::new(Mutex::new(resident()));
        let (stop, stopped) = channel::<()>();
        let (progress, seen, file) =
            (Arc::clone(progress), Arc::clone(&peak), ProgressFile::new(out));
        let body = move || {
            let mut written: Option<Instant> = None;
            loop {
                if written.is_none_or(|at| at.elapsed() >= WRITE) {
                    file.replace(&progress.told());
                    written = Some(Instant::now());
                }
                let stop = stopped.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout);
                let mut peak = seen.lock().unwrap_or_else(PoisonError::into_inner);
                *peak = (*peak).max(resident());
                if stop {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("longweave-watch".into()).spawn(body);
        Watch { stop: Some(stop), thread: thread.ok(), peak }
    }

    /// Ends the watching; the largest resident memory that was seen.
    pub(crate) fn end(mut self) -> Option<u64> {
        self.join();
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it only reads counters and writes what it may fail to write.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.join();
    }
}

/// The file of a process; gone when dropped. It is not made durable: after a crash nobody believes
/// it.
struct ProgressFile {
    path: PathBuf,
}

impl ProgressFile {
    fn new(out: &Path) -> ProgressFile {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        ProgressFile {
            path: folder(out).join(format!(
                "{}-{}-{number}.json",
                host_in_names(),
                std::process::id()
            )),
        }
    }

    fn replace(&self, progress: &Progress) {
        let Ok(text) = serde_json::to_vec(progress) else { return };
        let part = self.path.with_extension("part");
        // A failed write, on a full disk for example, is not worth a failed run.
        let _ = self.path.parent().map(fs::create_dir_all);
        let _ = fs::write(&part, text).and_then(|()| fs::rename(&part, &self.path));
    }
}

impl Drop for ProgressFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The name of this machine as file names hold it.
fn host_in_names() -> String {
    host().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}

/// Where processes say how far they are.
fn folder(out: &Path) -> PathBuf {
    out.join(".state/progress")
}

/// The last progress of each process of the run. A reader recognises dead processes by its time.
pub(crate) fn read(out: &Path) -> Vec<Progress> {
    let entries = fs::read_dir(folder(out)).into_iter().flatten().flatten();
    let files = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"));
    files.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect()
}

/// Removes what dead processes of this machine left, and what no process of any machine has touched
/// for a minute.
pub(crate) fn sweep(out: &Path, living: &HashSet<u32>) {
    let own = format!("{}-", host_in_names());
    for entry in fs::read_dir(folder(out)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(&own)
            .and_then(|rest| rest.split('-').next())
            .and_then(|process| process.parse().ok());
        if process.is_some_and(|process| !living.contains(&process)) {
            let _ = fs::remove_file(entry.path());
            continue;
        }
        let fresh = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age < Duration::from_secs(60)));
        if !fresh {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use longweave_stages::INGEST;

    use super::*;

    #[test]
    fn time_left_follows_from_the_rate_and_is_not_told_too_early() {
        assert_eq!(seconds_left(25, 100, 10.0), Some(30.0));
        assert_eq!(seconds_left(100, 100, 10.0), Some(0.0));
        assert_eq!(seconds_left(0, 100, 10.0), None);
        assert_eq!(seconds_left(1, 1000, 10.0), None);
        assert_eq!(seconds_left(50, 100, 0.5), None);
        assert_eq!(seconds_left(0, 0, 10.0), None);
    }

    #[test]
    fn the_file_tells_what_runs_and_is_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let progress = Arc::new(StageProgress::new(&Arc::default(), INGEST, 10));
        let watch = Watch::start(&progress, directory.path());
        let task = TaskProgress::new(&progress);
        task.advance(4);
        let deadline = Instant::now() + Duration::from_secs(600);
        let told = loop {
            match read(directory.path()).pop() {
                Some(told) if told.done == 4 => break told,
                _ => assert!(Instant::now() < deadline, "the file was never replaced"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(
            (told.running, told.total, told.stage.as_str(), told.process),
            (4, 10, "ingest", std::process::id())
        );
        drop(task);
        assert_eq!(progress.told().running, 0);
        watch.end();
        assert!(read(directory.path()).is_empty());
    }
}
