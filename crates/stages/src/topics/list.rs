//! Lists of topics: lines of a file, or of the output of a command.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use serde::Deserialize;

/// Most bytes of a line.
const LINE: u64 = 1 << 20;
/// Bytes of a command's messages that an error repeats: the last ones.
const MESSAGES: usize = 2000;

/// Topics in order, each name once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TopicList {
    pub names: Vec<String>,
    /// The words that are searched for each.
    pub queries: Vec<String>,
    /// Lines that were left out because their name comes before.
    pub repeated: u64,
}

/// A line that is an object.
#[derive(Deserialize)]
struct Row {
    topic: String,
    query: Option<String>,
}

impl TopicList {
    /// Reads lines; `source` names them in errors.
    ///
    /// A line that begins with `{` is an object `{"topic", "query"}`, any other that is not blank a
    /// name. White space at both ends is left out.
    ///
    /// Errors: `TOPICS_INVALID` with the line, also where there is no topic; those of reading.
    pub fn read(lines: impl BufRead, source: &str) -> Result<TopicList> {
        let (mut list, mut known) = (TopicList::default(), HashSet::new());
        let (mut lines, mut line) = (lines, Vec::new());
        for number in 1u64.. {
            line.clear();
            let read = lines.by_ref().take(LINE + 1).read_until(b'\n', &mut line);
            if read.at("read", Path::new(source))? == 0 {
                break;
            }
            let wrong = |what: &str| {
                let message = format!("{source}:{number}: {what}; fix the line, or leave it out");
                Error::new(Code::TopicsInvalid, message).with("line", number)
            };
            if line.len() as u64 > LINE {
                return Err(wrong("the line has more than 1 MiB"));
            }
            let text = std::str::from_utf8(&line).map_err(|_| wrong("the line is not UTF-8"))?;
            let text = text.trim_start_matches('\u{feff}').trim();
            let (name, query) = if text.starts_with('{') {
                let row: Row = serde_json::from_str(text).map_err(|e| {
                    wrong(&format!("the line is not an object with \"topic\" and \"query\" ({e})"))
                })?;
                (row.topic.trim().to_owned(), row.query.map(|query| query.trim().to_owned()))
            } else if text.is_empty() {
                continue;
            } else {
                (text.to_owned(), None)
            };
            let query = query.unwrap_or_else(|| name.clone());
            if name.is_empty() || query.is_empty() {
                return Err(wrong("the topic or its query is empty"));
            }
            if known.insert(name.clone()) {
                list.names.push(name);
                list.queries.push(query);
            } else {
                list.repeated += 1;
            }
        }
        if list.names.is_empty() {
            let message = format!("{source} holds no topic; give a topic a line");
            return Err(Error::new(Code::TopicsInvalid, message));
        }
        Ok(list)
    }

    /// Reads a file.
    ///
    /// Errors: as [`TopicList::read`].
    pub fn of_file(path: &Path) -> Result<TopicList> {
        let file = std::fs::File::open(path).at("open", path)?;
        TopicList::read(BufReader::new(file), &path.display().to_string())
    }

    /// Runs a command line by the system's shell, in `directory`, and reads its output.
    ///
    /// Errors: `TOPICS_INVALID` where it fails, with its status and last messages; as
    /// [`TopicList::read`]; `CANCELLED`, and the shell is killed, with what it started (on Unix).
    pub fn of_command(ctx: &Ctx, command: &str, directory: &Path) -> Result<TopicList> {
        let failed = |what: String| {
            let message = format!(
                "the command of `topics.command` {what}; run it by itself to see why: {command}"
            );
            Error::new(Code::TopicsInvalid, message).with("option", "topics.command")
        };
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut shell = Command::new(shell);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut child = shell
            .args([flag, command])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(format!("cannot be started ({e})")))?;
        let output = child.stdout.take().map(BufReader::new);
        let messages = child.stderr.take();
        let list = std::thread::spawn(move || match output {
            Some(mut output) => {
                let list = TopicList::read(&mut output, "the output of `topics.command`");
                // A command whose output nobody reads would end by a signal.
                let _ = std::io::copy(&mut output, &mut std::io::sink());
                list
            }
            None => Ok(TopicList::default()),
        });
        let messages = std::thread::spawn(move || messages.map_or_else(String::new, last_messages));
        let status = wait(ctx, &mut child)?;
        // Who holds its output open after the shell has ended still writes to it.
        let list = wait_for(ctx, list)?;
        if !status.success() {
            let messages = wait_for(ctx, messages)?;
            return Err(failed(format!("failed ({status}): {}", messages.trim())));
        }
        list
    }
}

const STEP: Duration = Duration::from_millis(10);

/// Waits for a process, which is killed when the run is cancelled.
fn wait(ctx: &Ctx, child: &mut Child) -> Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().at("wait for", Path::new("a process"))? {
            return Ok(status);
        }
        if let Err(cancelled) = ctx.cancel.check() {
            kill(child);
            return Err(cancelled);
        }
        std::thread::sleep(STEP);
    }
}

/// Ends a process, and with it those that it started, which have its group.
fn kill(child: &mut Child) {
    // It may have ended by itself meanwhile.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    let _ = child.wait();
}

fn wait_for<T>(ctx: &Ctx, thread: JoinHandle<T>) -> Result<T> {
    while !thread.is_finished() {
        ctx.cancel.check()?;
        std::thread::sleep(STEP);
    }
    thread.join().map_err(|_| Error::new(Code::Internal, "a thread that reads a command panicked"))
}

/// The end of what a process wrote.
fn last_messages(mut messages: impl Read) -> String {
    let (mut last, mut block) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = messages.read(&mut block) {
        last.extend_from_slice(&block[..read]);
        let surplus = last.len().saturating_sub(MESSAGES);
        last.drain(..surplus);
    }
    String::from_utf8_lossy(&last).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TopicList> {
        TopicList::read(text.as_bytes(), "topics.txt")
    }

    fn ctx() -> Ctx {
        Ctx::new(1, 64 << 20).unwrap()
    }

    #[test]
    fn a_line_is_a_name_or_an_object_and_a_name_counts_once() {
        let text = "\u{feff}tin whistle\r\n\n  {\"topic\": \" Tides \", \"query\": \"tide moon\", \"x\": 1}\nTides\n{\"topic\":\"ice\"}";
        let list = read(text).unwrap();
        assert_eq!(list.names, ["tin whistle", "Tides", "ice"]);
        assert_eq!(list.queries, ["tin whistle", "tide moon", "ice"]);
        assert_eq!(list.repeated, 1);
    }

    #[test]
    fn a_line_that_is_no_topic_is_named() {
        let long = "a".repeat((1 << 20) + 1);
        for (text, said) in [
            ("a\n{\"query\": \"b\"}\n", "topics.txt:2: "),
            ("{\"topic\": 3}", "topics.txt:1: "),
            ("a\n\n{\"topic\": \" \"}", "topics.txt:3: the topic or its query is empty"),
            ("{\"topic\": \"a\", \"query\": \"\"}", "topics.txt:1: the topic or its query"),
            (&format!("b\n{long}"), "topics.txt:2: the line has more than 1 MiB"),
            (" \n\n", "topics.txt holds no topic"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.code(), Code::TopicsInvalid);
            assert!(error.message().contains(said), "{error}");
        }
        let error = TopicList::read(&b"a\n\xff\n"[..], "x").unwrap_err();
        assert!(error.message().contains("x:2: the line is not UTF-8"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_writes_topics_or_its_status_and_messages_are_told() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("names"), "one\ntwo\n").unwrap();
        let list = TopicList::of_command(&ctx(), "cat names; echo three >&2", directory.path());
        assert_eq!(list.unwrap().names, ["one", "two"]);
        let wrong = "echo one; echo 'no key' >&2; exit 3";
        let error = TopicList::of_command(&ctx(), wrong, directory.path()).unwrap_err();
        assert_eq!(error.code(), Code::TopicsInvalid);
        for said in ["exit status: 3", "no key", wrong] {
            assert!(error.message().contains(said), "{error}");
        }
        let error = TopicList::of_command(&ctx(), "echo '{'", directory.path()).unwrap_err();
        assert!(error.message().contains("the output of `topics.command`:1: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_cancelled_run_does_not_wait_for_its_command() {
        let directory = tempfile::tempdir().unwrap();
        let ctx = ctx();
        let cancel = ctx.cancel.clone();
        let started = directory.path().join("started");
        let cancels = std::thread::spawn({
            let started = started.clone();
            move || {
                while !std::fs::read_to_string(&started).is_ok_and(|text| text.ends_with('\n')) {
                    std::thread::sleep(STEP);
                }
                cancel.cancel();
            }
        });
        let command = "sleep 1000 & echo $! > started; wait";
        let error = TopicList::of_command(&ctx, command, directory.path()).unwrap_err();
        cancels.join().unwrap();
        assert_eq!(error.code(), Code::Cancelled);
        // The process that the command started has ended too; its parent needs a moment to notice.
        let process = std::fs::read_to_string(&started).unwrap();
        let state = Path::new("/proc").join(process.trim()).join("stat");
        let lives = || std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            std::thread::sleep(STEP);
        }
    }
}
