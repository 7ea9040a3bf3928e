//! The only driver of a run, on whatever machine it is.
//!
//! `OUT/.state/drivers/NNNNNN.json` is the file of one driver, and the highest number drives. A
//! driver replaces its own file every few seconds, with a higher `beat`, and leaves it `ended`. The
//! next driver makes the next number, which a file system lets only one do. No clock of another
//! machine is believed: a driver is gone when its file does not change while the next one watches
//! it. A driver that was frozen meanwhile sees the higher number when it wakes, and stops. Any
//! process asks a driver to stop with a file `NNNNNN.stop`, which it sees at its next beat.
//!
//! A lock (flock) says at once what watching would take seconds for, but only of drivers on the
//! same machine: elsewhere it may be unknown, missing, or outlive its holder.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use longweave_common::{Cancel, Code, Error, Result, ResultExt};
use longweave_storage::{Lock, host, process_token};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::log::{parse_time, time_of};

/// Beats for which a driver is watched before it counts as gone.
const WATCHED: u32 = 6;
/// Looks at its file for each of them.
const LOOKS: u32 = 4;

/// How a process becomes the driver of a run.
pub struct Claim<'a> {
    /// The time between two beats.
    pub every: Duration,
    /// Called before another driver is watched, which takes six of its beats.
    pub tell: &'a dyn Fn(&str),
}

impl Default for Claim<'_> {
    fn default() -> Self {
        Claim { every: Duration::from_secs(5), tell: &|_| {} }
    }
}

/// The content of a driver's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Beat {
    /// Of the process.
    attempt: String,
    process: u32,
    host: String,
    /// Processes with the same see each other's locks.
    machine: String,
    beat: u64,
    /// Seconds to the next.
    every: f64,
    time: String,
    ended: bool,
}

impl Beat {
    fn holder(&self) -> String {
        format!("process {} on {}", self.process, self.host)
    }
}

/// The name of a kernel, and of the file system of a folder in it: its processes see each other's
/// locks there.
fn machine(folder: &Path) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let kernel = kernel.map_or_else(|_| host(), |id| id.trim().to_owned());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = fs::metadata(folder).map_or(0, |of| of.dev());
        format!("{kernel}-{device:x}")
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        kernel
    }
}

fn folder(out: &Path) -> PathBuf {
    out.join(".state/drivers")
}

/// The lock of the run's driver.
pub(crate) fn lock_file(out: &Path) -> PathBuf {
    out.join(".state/driver")
}

/// The highest number in the folder.
fn latest(folder: &Path) -> Option<u64> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok()).max()
}

fn file_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}.json"))
}

/// The file that asks a driver to stop.
fn stop_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}.stop"))
}

/// The file of a driver; `None` while it is not whole.
fn read(path: &Path) -> Option<Beat> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// A driver's number, by which it knows whether it still drives.
pub struct Fence {
    folder: PathBuf,
    number: u64,
}

impl Fence {
    /// That no other process has become the run's driver.
    ///
    /// Errors: `RUN_LOCKED`.
    pub fn check(&self) -> Result<()> {
        match latest(&self.folder).filter(|&number| number > self.number) {
            None => Ok(()),
            Some(number) => {
                let path = file_of(&self.folder, number);
                let by = read(&path).map_or("another process".to_owned(), |beat| beat.holder());
                let message = format!(
                    "{by} drives this run now, because this process did not say for a while that it \
                     lives; it stops here and leaves the run to the other"
                );
                Err(Error::new(Code::RunLocked, message).with_file(&path))
            }
        }
    }

    fn write(&self, beat: &Beat) {
        let Ok(text) = serde_json::to_vec(beat) else { return };
        let path = file_of(&self.folder, self.number);
        let part = path.with_extension("part");
        // Where it cannot be written, on a full disk for example, another driver may come, and this
        // one sees it.
        let _ = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
    }
}

/// Makes this process the driver of a run until it is dropped.
pub struct Driving {
    fence: Arc<Fence>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _lock: Option<Lock>,
}

impl Driving {
    /// Makes this process the driver of the run in `out`. `cancel` is raised when another becomes
    /// it.
    ///
    /// Errors: `RUN_LOCKED` where another drives it; `CANCELLED`.
    pub fn begin(out: &Path, cancel: &Cancel, claim: &Claim<'_>) -> Result<Driving> {
        let what = format!("the run in {}", out.display());
        let (lock, held) = match Lock::take_if_supported(&lock_file(out), &what) {
            Err(error) if error.code() == Code::RunLocked => (None, Some(error)),
            other => (other?, None),
        };
        let folder = folder(out);
        fs::create_dir_all(&folder).at("create", &folder)?;
        let first = Beat {
            attempt: process_token().to_owned(),
            process: std::process::id(),
            host: host(),
            machine: machine(&folder),
            beat: 0,
            every: claim.every.as_secs_f64(),
            time: time_of(SystemTime::now()),
            ended: false,
        };
        let number = loop {
            let last = latest(&folder).unwrap_or(0);
            let path = file_of(&folder, last);
            let beat = read(&path);
            let is_here = beat.as_ref().is_some_and(|beat| beat.machine == first.machine);
            let is_over = last == 0 || beat.as_ref().is_some_and(|beat| beat.ended);
            match &held {
                // The lock may be that of a process which has not written its file yet.
                Some(error) if is_here || is_over => return Err(error.clone()),
                None if is_over || (is_here && lock.is_some()) => {}
                _ => watch(&path, &what, cancel, claim)?,
            }
            let path = file_of(&folder, last + 1);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    let text = serde_json::to_vec(&first).unwrap_or_default();
                    file.write_all(&text).at("write", &path)?;
                    break last + 1;
                }
                // Another process was faster: it is to be seen whether it lives.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(&e, "create", &path)),
            }
        };
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let of = name.to_str().and_then(|name| name.split('.').next()?.parse::<u64>().ok());
            if of.is_some_and(|of| of < number) {
                // One that stays costs nothing.
                let _ = fs::remove_file(entry.path());
            }
        }
        let fence = Arc::new(Fence { folder, number });
        let (stop, stopped) = channel::<()>();
        let (own, cancel, every) = (Arc::clone(&fence), cancel.clone(), claim.every);
        let body = move || {
            let mut beat = first;
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                if own.check().is_err() {
                    return cancel.cancel();
                }
                if stop_of(&own.folder, own.number).exists() {
                    cancel.cancel();
                }
                beat.beat += 1;
                beat.time = time_of(SystemTime::now());
                own.write(&beat);
            }
            beat.ended = true;
            own.write(&beat);
        };
        let thread = std::thread::Builder::new()
            .name("longweave-drive".into())
            .spawn(body)
            .map_err(|e| Error::new(Code::Internal, format!("cannot start a thread: {e}")))?;
        Ok(Driving { fence, stop: Some(stop), thread: Some(thread), _lock: lock })
    }

    /// By which others see whether this process still drives.
    pub fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it only reads and writes what it may fail to write.
            let _ = thread.join();
        }
    }
}

/// Watches the file of a driver until it counts as gone.
///
/// Errors: `RUN_LOCKED` once it changes; `CANCELLED`.
fn watch(path: &Path, what: &str, cancel: &Cancel, claim: &Claim<'_>) -> Result<()> {
    let before = fs::read(path).ok();
    let beat = read(path);
    let holder = beat.as_ref().map_or("another process".to_owned(), Beat::holder);
    let seconds = beat.map_or(claim.every.as_secs_f64(), |beat| beat.every);
    let every = Duration::try_from_secs_f64(seconds).unwrap_or(claim.every);
    let seconds = (every * WATCHED).as_secs_f64();
    (claim.tell)(&format!(
        "{what} was last driven by {holder}, which did not end it; waiting {seconds:.0} s to see \
         whether it lives"
    ));
    for _ in 0..WATCHED * LOOKS {
        cancel.check()?;
        std::thread::sleep(every / LOOKS);
        if fs::read(path).ok() != before {
            let message = format!("{what} is held by {holder}; wait for it to end, or stop it");
            return Err(Error::new(Code::RunLocked, message).with_file(path));
        }
    }
    Ok(())
}

/// The driver of a run, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverSeen {
    pub process: u32,
    pub host: String,
}

/// The driver of the run in `out`, if it lives: by its lock where this machine knows it, else by
/// the time of its last beat, `now` in seconds since 1970.
pub fn driver(out: &Path, now: f64) -> Option<DriverSeen> {
    let (beat, is_known) = unended(out)?;
    let lives = if is_known {
        Lock::is_held(&lock_file(out))
    } else {
        now - parse_time(&beat.time).unwrap_or(0.0) < beat.every * f64::from(WATCHED)
    };
    lives.then_some(DriverSeen { process: beat.process, host: beat.host })
}

/// A driver that was asked to stop, and ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StoppedDriver {
    /// The id of its process.
    pub process: u32,
    /// Its machine.
    pub host: String,
}

/// Asks the driver of the run in `out` to stop, on whatever machine it is, and waits until it has
/// ended. `None` where no process drives the run.
///
/// Errors: `RUN_LOCKED` where it has not ended after `patience`; `CANCELLED`.
pub fn stop(out: &Path, patience: Duration, cancel: &Cancel) -> Result<Option<StoppedDriver>> {
    let folder = folder(out);
    let Some(number) = latest(&folder) else { return Ok(None) };
    let path = file_of(&folder, number);
    let Some((beat, is_known)) = unended(out) else { return Ok(None) };
    let is_gone = || is_known && !Lock::is_held(&lock_file(out));
    if is_gone() {
        return Ok(None);
    }
    let stop = stop_of(&folder, number);
    fs::write(&stop, b"").at("write", &stop)?;
    let began = Instant::now();
    loop {
        let has_ended = read(&path).is_none_or(|beat| beat.ended);
        if has_ended || is_gone() || latest(&folder) != Some(number) {
            let Beat { process, host, .. } = beat;
            return Ok(Some(StoppedDriver { process, host }));
        }
        if began.elapsed() > patience {
            let message = format!(
                "{} was asked to stop and has not ended after {:.0} s; it may still finish its \
                 tasks, or its machine may be gone: `longweave status {}` shows which",
                beat.holder(),
                patience.as_secs_f64(),
                out.display()
            );
            return Err(Error::new(Code::RunLocked, message).with_file(&path));
        }
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a process drives the run in `out`. One of another machine is watched, which may take
/// half a minute.
pub fn is_driven(out: &Path) -> bool {
    if Lock::is_held(&lock_file(out)) {
        return true;
    }
    let path = latest(&folder(out)).map(|number| file_of(&folder(out), number));
    let unknown = unended(out).filter(|(_, is_known)| !is_known);
    match path.filter(|_| unknown.is_some()) {
        Some(path) => watch(&path, "the run", &Cancel::new(), &Claim::default()).is_err(),
        None => false,
    }
}

/// The file of a driver that did not end, and whether its lock says if it lives. A lock's file is
/// empty where the file system has no locks.
fn unended(out: &Path) -> Option<(Beat, bool)> {
    let folder = folder(out);
    let beat = read(&file_of(&folder, latest(&folder)?)).filter(|beat| !beat.ended)?;
    let locks = fs::metadata(lock_file(out)).is_ok_and(|file| file.len() > 0);
    let is_known = locks && beat.machine == machine(&folder);
    Some((beat, is_known))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A beat of a machine that nobody knows here.
    fn elsewhere(out: &Path, number: u64, beat: u64, every: f64) -> Beat {
        let beat = Beat {
            attempt: "0".into(),
            process: 7,
            host: "elsewhere".into(),
            machine: "another".into(),
            beat,
            every,
            time: time_of(SystemTime::now()),
            ended: false,
        };
        fs::create_dir_all(folder(out)).unwrap();
        Fence { folder: folder(out), number }.write(&beat);
        beat
    }

    fn begin(out: &Path) -> Result<Driving> {
        Driving::begin(out, &Cancel::new(), &Claim::default())
    }

    #[test]
    fn on_one_machine_the_lock_decides_and_nobody_waits() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let silent = Claim { tell: &|message| panic!("{message}"), ..Claim::default() };
        let begin = || Driving::begin(out, &Cancel::new(), &silent);
        let first = begin().unwrap();
        assert_eq!(begin().map(drop).unwrap_err().code(), Code::RunLocked);
        let now =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert_eq!(driver(out, now()).unwrap().process, std::process::id());
        assert!(is_driven(out) && first.fence().check().is_ok());
        drop(first);
        assert!(driver(out, now()).is_none() && !is_driven(out));
        // One that was killed leaves a file that is not ended, and a lock that is free.
        let number = latest(&folder(out)).unwrap();
        let path = file_of(&folder(out), number);
        let killed = Beat { ended: false, ..read(&path).unwrap() };
        fs::write(&path, serde_json::to_vec(&killed).unwrap()).unwrap();
        fs::write(lock_file(out), killed.holder()).unwrap();
        assert!(driver(out, now()).is_none() && !is_driven(out));
        let next = begin().unwrap();
        assert_eq!(latest(&folder(out)), Some(number + 1));
        assert_eq!(fs::read_dir(folder(out)).unwrap().count(), 1);
        drop(next);
    }

    #[test]
    fn a_driver_of_another_machine_is_watched_refused_while_it_beats_and_else_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let beating = elsewhere(out, 3, 1, 4.0);
        // It beats while it is watched.
        let tell = |message: &str| {
            assert!(message.contains("process 7 on elsewhere"), "{message}");
            let (out, beat) = (out.to_owned(), Beat { beat: 2, ..beating.clone() });
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                Fence { folder: folder(&out), number: 3 }.write(&beat);
            });
        };
        let claim = Claim { tell: &tell, ..Claim::default() };
        let refused = Driving::begin(out, &Cancel::new(), &claim).map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::RunLocked);
        assert!(refused.message().contains("process 7 on elsewhere"), "{refused}");
        elsewhere(out, 3, 2, 0.02);
        let driving = begin(out).unwrap();
        assert_eq!(driving.fence().number, 4);
    }

    #[test]
    fn a_driver_that_is_asked_to_stop_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let ask = |patience: u64| stop(out, Duration::from_millis(patience), &Cancel::new());
        assert_eq!(ask(0).unwrap(), None);
        let cancel = Cancel::new();
        let claim = Claim { every: Duration::from_millis(5), ..Claim::default() };
        let driving = Driving::begin(out, &cancel, &claim).unwrap();
        let late = ask(100).unwrap_err();
        assert_eq!(late.code(), Code::RunLocked);
        assert!(cancel.is_cancelled(), "it was asked, and has not ended");
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(driving);
        });
        assert_eq!(ask(10_000).unwrap().unwrap().process, std::process::id());
        ends.join().unwrap();
        assert_eq!(ask(0).unwrap(), None);
        // The next driver was not asked.
        let cancel = Cancel::new();
        let next = Driving::begin(out, &cancel, &claim).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(!cancel.is_cancelled());
        drop(next);
        // One of another machine, which does not answer.
        elsewhere(out, 9, 1, 4.0);
        assert!(ask(60).unwrap_err().message().contains("process 7 on elsewhere"));
    }

    #[test]
    fn a_driver_that_was_replaced_sees_it_and_stops() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let (cancel, every) = (Cancel::new(), Duration::from_millis(5));
        let claim = Claim { every, ..Claim::default() };
        let frozen = Driving::begin(out, &cancel, &claim).unwrap();
        let number = frozen.fence().number;
        elsewhere(out, number + 1, 0, 5.0);
        let error = frozen.fence().check().unwrap_err();
        assert_eq!(error.code(), Code::RunLocked);
        assert!(error.message().contains("process 7 on elsewhere drives this run now"), "{error}");
        while !cancel.is_cancelled() {
            std::thread::sleep(every);
        }
        // Its file is not the last, whatever it writes.
        drop(frozen);
        assert_eq!(latest(&folder(out)), Some(number + 1));
    }
}
