//! The log of a run, `OUT/.state/log.jsonl`: one JSON object a line for what each process of the
//! run begins, ends and meets.
//!
//! Any number of processes append: a line is one write to a file opened for appending. Above
//! [`MOST_BYTES`] the file becomes `log.1.jsonl`, which replaces an older one. It holds nothing of
//! a document and no credentials. FORMATS.md lists the lines.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use longweave_common::{Code, Error, Result};
use longweave_storage::{DoneRecord, Lock, digest_of, host, process_token};
use serde::{Deserialize, Serialize};

use crate::options::{RunOptions, result_options};
use crate::usage::Used;

/// Bytes above which a log is put aside.
const MOST_BYTES: u64 = 8 << 20;
/// How often, and after which pause, a last line without an end is looked at again.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(2);
/// Characters of a message that are kept.
const MOST_CHARACTERS: usize = 2000;

/// The content of a line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Entry<'a> {
    /// A driver, or a process that runs tasks of one stage, begins.
    Run {
        /// longweave's version.
        version: &'a str,
        /// `run`, `plan`, `prepare`, `stage`, or `worker` for a process that a driver gives tasks.
        mode: &'a str,
        /// The digest of the options that decide results.
        options: &'a str,
        threads: usize,
        /// Bytes that tokenizing, predicting and packing may hold.
        memory: u64,
    },
    /// Tasks of a stage begin or end in this process, or none was left to do.
    Stage {
        stage: &'a str,
        state: TaskState,
        /// Tasks this process has to do; of `reused`, all.
        tasks: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        used: Option<Used>,
    },
    Task {
        stage: &'a str,
        task: u32,
        state: TaskState,
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
        /// Bytes of the files that it leaves.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
    },
    /// Something a person should know.
    Warning { message: &'a str },
    /// The error that ended this process's work, or a call to it.
    Error { code: &'a str, message: &'a str },
    /// The end of what `run` began.
    End { outcome: Outcome, seconds: f64 },
}

/// Where a stage or task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskState {
    Started,
    Reused,
    Done,
    Failed,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Done,
    Failed,
    Cancelled,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    host: String,
    process: u32,
    /// The process's own token.
    attempt: &'static str,
    #[serde(flatten)]
    entry: &'a Entry<'a>,
}

/// A line read back. Fields that its entry lacks are `None`.
#[derive(Clone, Debug, Deserialize)]
pub struct LogRecord {
    pub time: String,
    /// The machine of the process; `None` in lines of versions that did not write it.
    pub host: Option<String>,
    pub process: u32,
    /// The token of the process, which no other has; `None` as above.
    pub attempt: Option<String>,
    pub event: String,
    pub mode: Option<String>,
    pub stage: Option<String>,
    pub state: Option<TaskState>,
    pub task: Option<u32>,
    pub seconds: Option<f64>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub outcome: Option<Outcome>,
}

impl LogRecord {
    /// Seconds since 1970.
    pub fn at(&self) -> f64 {
        parse_time(&self.time).unwrap_or(0.0)
    }
}

/// The log of the run in a directory. Writing it never fails a run: what cannot be written is left
/// out.
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log of the run in `out`.
    pub fn of(out: &Path) -> Log {
        Log { path: out.join(".state/log.jsonl") }
    }

    fn older(&self) -> PathBuf {
        self.path.with_file_name("log.1.jsonl")
    }

    /// Appends a line.
    pub fn write(&self, entry: &Entry<'_>) {
        let (time, host) = (time_of(SystemTime::now()), host());
        let process = std::process::id();
        let line = Line { time, host, process, attempt: process_token(), entry };
        let Ok(mut text) = serde_json::to_vec(&line) else { return };
        text.push(b'\n');
        let _ = self.append(&text);
    }

    fn append(&self, line: &[u8]) -> std::io::Result<()> {
        let mut file = self.open()?;
        let mut length = file.metadata()?.len();
        if length > MOST_BYTES {
            self.put_aside();
            file = self.open()?;
            length = file.metadata()?.len();
        }
        // A write that was cut short, by a full disk say, must not spoil the next line. One in progress
        // looks the same for a moment.
        let mut looks = 0;
        while length > 0 && last_byte(&mut file)? != b'\n' {
            if looks == LOOKS {
                return file.write_all(&[b"\n", line].concat());
            }
            looks += 1;
            std::thread::sleep(LOOK);
        }
        file.write_all(line)
    }

    fn open(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).read(true).open(&self.path)
    }

    /// Only one process puts a log aside, and none that another has just begun.
    fn put_aside(&self) {
        let Ok(_lock) = Lock::take(&self.path.with_file_name("log.lock"), "the log") else {
            return;
        };
        if fs::metadata(&self.path).is_ok_and(|m| m.len() > MOST_BYTES) {
            let _ = fs::rename(&self.path, self.older());
        }
    }

    /// All lines that can be read, oldest first.
    pub fn read(&self) -> Vec<LogRecord> {
        let text = [self.older(), self.path.clone()]
            .map(|path| fs::read(path).unwrap_or_default())
            .concat();
        text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Runs a task between the lines that tell of it.
    pub fn task(
        &self,
        stage: &str,
        task: u32,
        work: impl FnOnce() -> Result<DoneRecord>,
    ) -> Result<DoneRecord> {
        let of =
            |state, seconds, bytes, code| Entry::Task { stage, task, state, seconds, bytes, code };
        self.write(&of(TaskState::Started, None, None, None));
        let start = Instant::now();
        let result = work();
        let seconds = Some(start.elapsed().as_secs_f64());
        match &result {
            Ok(record) => self.write(&of(
                TaskState::Done,
                seconds,
                Some(record.files.iter().map(|f| f.bytes).sum()),
                None,
            )),
            Err(error) => {
                self.write(&of(TaskState::Failed, seconds, None, Some(error.code().name())))
            }
        }
        result
    }

    /// Tells that a process begins to work on the run.
    pub fn begin(&self, mode: &str, options: &RunOptions, threads: usize) {
        let (digest, version) = (digest_of(&result_options(options)), env!("CARGO_PKG_VERSION"));
        let (options, memory) = (digest.as_str(), options.memory);
        self.write(&Entry::Run { version, mode, options, threads, memory });
    }

    /// Tells of a warning.
    pub fn warning(&self, message: &str) {
        self.write(&Entry::Warning { message: &fit(message) });
    }

    /// Tells of an error that ended some work, unless somebody asked it to stop; how it ended.
    pub fn outcome<T>(&self, result: Result<T, &Error>) -> Outcome {
        match result {
            Ok(_) => Outcome::Done,
            Err(error) if error.code() == Code::Cancelled => Outcome::Cancelled,
            Err(error) => {
                self.write(&Entry::Error {
                    code: error.code().name(),
                    message: &fit(error.message()),
                });
                Outcome::Failed
            }
        }
    }

    /// Tells how a process's work on the run ended.
    pub fn end(&self, outcome: Outcome, seconds: f64) {
        self.write(&Entry::End { outcome, seconds });
    }
}

fn last_byte(file: &mut File) -> std::io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A message of bounded length, without what addresses can hold of credentials: `user:password@`,
/// and what follows `?`.
fn fit(message: &str) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        text.push_str(before);
        let end = address
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '`' | ')' | '>'))
            .unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        let address = address.split('?').next().unwrap_or(address);
        let host = address.find('/').unwrap_or(address.len());
        text.push_str(address[..host].rfind('@').map_or(address, |user| &address[user + 1..]));
        rest = after;
    }
    text.push_str(rest);
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// As RFC 3339 in UTC, with milliseconds: `2026-11-25T17:24:09.123Z`.
pub fn time_of(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Seconds since 1970 of a text as [`time_of`] makes it.
pub fn parse_time(text: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, Log) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".state")).unwrap();
        let log = Log::of(directory.path());
        (directory, log)
    }

    #[test]
    fn times_are_written_as_people_read_them_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_767_225_599, "2025-12-31T23:59:59.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            assert_eq!(
                time_of(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(250)),
                text
            );
            assert_eq!(parse_time(text), Some(seconds as f64 + 0.25));
        }
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn lines_tell_machine_process_and_attempt() {
        let (_directory, log) = made();
        log.warning("x");
        fs::write(log.older(), "{\"time\":\"t\",\"process\":1,\"event\":\"end\"}\n").unwrap();
        let [old, new] = &log.read()[..] else { panic!("two lines") };
        assert_eq!((&old.host, &old.attempt), (&None, &None));
        assert_eq!(new.host.as_deref(), Some(host().as_str()));
        assert_eq!(new.attempt.as_deref(), Some(process_token()));
    }

    #[test]
    fn many_threads_append_whole_lines_and_a_line_cut_short_spoils_no_other() {
        let (_directory, log) = made();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    (0..50).for_each(|i| log.warning(&format!("{i} {}", "x".repeat(1000))))
                });
            }
        });
        assert_eq!(log.read().len(), 400);
        let text = fs::read_to_string(&log.path).unwrap();
        assert!(text.lines().all(|line| !line.is_empty()));
        OpenOptions::new()
            .append(true)
            .open(&log.path)
            .unwrap()
            .write_all(b"{\"time\":\"2026")
            .unwrap();
        log.warning("after");
        let lines = log.read();
        assert_eq!((lines.len(), lines[400].message.as_deref()), (401, Some("after")));
    }

    #[test]
    fn a_log_that_has_grown_is_put_aside_once() {
        let (directory, log) = made();
        log.warning("first");
        OpenOptions::new()
            .append(true)
            .open(&log.path)
            .unwrap()
            .write_all(&vec![b'\n'; MOST_BYTES as usize])
            .unwrap();
        std::thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(|| log.warning("later"))));
        assert_eq!(log.read().iter().filter(|l| l.message.as_deref() == Some("later")).count(), 8);
        assert_eq!(log.read()[0].message.as_deref(), Some("first"));
        assert!(
            fs::metadata(directory.path().join(".state/log.jsonl")).unwrap().len() < MOST_BYTES
        );
    }

    #[test]
    fn messages_are_bounded_and_addresses_lose_their_credentials() {
        assert_eq!(
            fit("cannot read s3://key:secret@bucket/a?X-Amz-Signature=1 now"),
            "cannot read s3://bucket/a now"
        );
        assert_eq!(
            fit("`https://a.example/x@y` and http://b"),
            "`https://a.example/x@y` and http://b"
        );
        assert_eq!(fit(&"é".repeat(3000)).chars().count(), MOST_CHARACTERS + 1);
    }
}
