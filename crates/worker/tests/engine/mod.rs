//! An engine for tests: starts `longweave-worker drive` and workers as processes of this machine,
//! carries their lines, and does to them what a test asks for.
#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use longweave_api::run::{Mode, Run};
use serde_json::{Value, json};

#[path = "../../../api/tests/it/sample.rs"]
mod sample;

pub(crate) use sample::files;

/// How long a test waits for a line. Only a fault takes that long, on any machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A folder with a corpus, a tokenizer and room for runs.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(documents: usize) -> Folder {
        // Files are made durable: where there is a file system in memory, that costs nothing.
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = Folder(made.unwrap());
        fs::write(folder.path("corpus.jsonl"), sample::corpus(documents)).unwrap();
        let training = json!({
            "corpus": [folder.text("corpus.jsonl")], "textField": "text", "vocabSize": 300,
            "minFrequency": 2, "specialTokens": ["<|endoftext|>", "<pad>", "<s>"],
            "out": folder.text("tokenizer.json"),
        });
        longweave_api::commands::train_tokenizer(&training.to_string()).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Options of a run into `out`, changed by JSON pointers.
    pub(crate) fn options(&self, out: &str, changes: &[(&str, Value)]) -> Value {
        let mut changes = changes.to_vec();
        changes.push(("/output/directory", json!(self.text(out))));
        sample::options(&|name| self.text(name), &changes)
    }

    /// Runs here, without places.
    pub(crate) fn run_locally(&self, out: &str, changes: &[(&str, Value)], mode: Mode) {
        let run = Run::start(&self.options(out, changes).to_string(), mode).unwrap();
        let (send, outcome) = channel();
        run.finished(move |outcome_| drop(send.send(outcome_)));
        outcome.recv_timeout(PATIENCE).unwrap().unwrap();
    }

    /// A driver of a run into `out`, with further arguments.
    pub(crate) fn drive(&self, out: &str, changes: &[(&str, Value)], arguments: &[&str]) -> Engine {
        self.drive_in(&[], out, changes, arguments)
    }

    /// As [`Folder::drive`], with variables of its environment.
    pub(crate) fn drive_in(
        &self,
        environment: &[(&str, &str)],
        out: &str,
        changes: &[(&str, Value)],
        arguments: &[&str],
    ) -> Engine {
        let options = self.path(&format!("{out}.options.json"));
        fs::write(&options, self.options(out, changes).to_string()).unwrap();
        let (out, options) = (self.text(out), options.to_str().unwrap().to_owned());
        let mut all = vec!["drive", "--out", &out, "--options", &options, "--threads", "1"];
        all.extend(arguments);
        Engine::start(&all, environment)
    }

    /// The files of an output by name, except `run.json`, which names its directory.
    pub(crate) fn output(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        files(&self.path(out), "", &mut found);
        found.retain(|name, _| !name.starts_with('.') && name != "run.json");
        assert!(found.contains_key("longweave.json") && found.len() > 4, "{:?}", found.keys());
        found
    }

    /// Makes the driver of a run look like one of another machine, whose locks are not seen here.
    pub(crate) fn move_driver_elsewhere(&self, out: &str) {
        let state = self.path(out).join(".state");
        fs::remove_file(state.join("driver")).unwrap();
        let mut files = fs::read_dir(state.join("drivers")).unwrap().map(|e| e.unwrap().path());
        let file = files.find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
        let mut beat: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        beat["machine"] = json!("another");
        fs::write(&file, beat.to_string()).unwrap();
    }

    /// Events of the log of a run.
    pub(crate) fn log(&self, out: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(out).join(".state/log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Sends a process a signal.
fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A process that speaks in lines.
struct Speaker {
    process: Child,
    input: Option<ChildStdin>,
}

impl Speaker {
    /// Starts `longweave-worker`; its lines come with `name`, and `None` at their end.
    fn start(
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        lines: &Sender<(String, Option<Value>)>,
    ) -> Speaker {
        let mut process = Command::new(env!("CARGO_BIN_EXE_longweave-worker"))
            .args(arguments)
            .envs(environment.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        let (name, lines) = (name.to_owned(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if lines.send((name.clone(), Some(serde_json::from_str(&line).unwrap()))).is_err() {
                    return;
                }
            }
            let _ = lines.send((name, None));
        });
        Speaker { process, input }
    }

    /// Writes a line; one that has ended does not read it.
    fn write(&mut self, line: &Value) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{line}\n").as_bytes());
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line that passed.
#[derive(Debug)]
pub(crate) enum Passed {
    /// The driver's request for a worker, which has it.
    Request { place: String, line: Value },
    /// A worker's line, which the driver has.
    Answer { place: String, line: Value },
    /// The driver gave a place up.
    Drop { place: String, reason: String },
    /// A worker's process ended, which the driver knows.
    Lost { place: String },
    /// An event of the run.
    Event(Value),
    /// The driver's other lines.
    Other(Value),
}

impl Passed {
    /// The place and stage of a request to run tasks.
    pub(crate) fn given(&self) -> Option<(&str, &str)> {
        match self {
            Passed::Request { place, line } if line["type"] == "run" => {
                Some((place, line["stage"].as_str().unwrap()))
            }
            _ => None,
        }
    }

    /// The message of a warning.
    pub(crate) fn warning(&self) -> Option<&str> {
        match self {
            Passed::Event(event) if event["type"] == "warning" => event["message"].as_str(),
            _ => None,
        }
    }
}

/// How the driver ended.
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) line: Value,
    pub(crate) warnings: Vec<String>,
}

pub(crate) struct Engine {
    driver: Speaker,
    workers: BTreeMap<String, Speaker>,
    /// Whether a place that is given up is killed, as an engine is to do.
    pub(crate) kills: bool,
    lines: Receiver<(String, Option<Value>)>,
    send: Sender<(String, Option<Value>)>,
    last: u32,
    end: Value,
    warnings: Vec<String>,
}

const DRIVER: &str = "driver";

impl Engine {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Engine {
        let (send, lines) = channel();
        Engine {
            driver: Speaker::start(DRIVER, arguments, environment, &send),
            workers: BTreeMap::new(),
            kills: true,
            lines,
            send,
            last: 0,
            end: Value::Null,
            warnings: Vec::new(),
        }
    }

    /// Writes the driver a line.
    pub(crate) fn tell(&mut self, line: &Value) {
        self.driver.write(line);
    }

    /// Starts a worker and offers it; its place.
    pub(crate) fn offer(&mut self, memory: u64, environment: &[(&str, &str)]) -> String {
        self.offer_with(0, memory, environment)
    }

    /// As [`Engine::offer`], a place with GPUs.
    pub(crate) fn offer_with(
        &mut self,
        gpus: u32,
        memory: u64,
        environment: &[(&str, &str)],
    ) -> String {
        self.last += 1;
        let place = format!("place-{}", self.last);
        let arguments = ["--threads", "2", "--memory", "64MiB"];
        let worker = Speaker::start(&place, &arguments, environment, &self.send);
        self.workers.insert(place.clone(), worker);
        let mut line = json!({ "type": "place", "place": place, "threads": 2, "memory": memory });
        if gpus > 0 {
            line["gpus"] = json!(gpus);
        }
        self.tell(&line);
        place
    }

    /// As [`Engine::offer`], several that are alike.
    pub(crate) fn offer_some(&mut self, places: u32) {
        self.tell(&json!({ "type": "expect", "places": places }));
        (0..places).for_each(|_| _ = self.offer(64 << 20, &[]));
    }

    pub(crate) fn kill(&mut self, place: &str) {
        if let Some(worker) = self.workers.get_mut(place) {
            let _ = worker.process.kill();
        }
    }

    pub(crate) fn freeze(&self, place: &str) {
        signal(&self.workers[place].process, "-STOP");
    }

    pub(crate) fn thaw(&self, place: &str) {
        signal(&self.workers[place].process, "-CONT");
    }

    pub(crate) fn freeze_driver(&self) {
        signal(&self.driver.process, "-STOP");
    }

    pub(crate) fn thaw_driver(&self) {
        signal(&self.driver.process, "-CONT");
    }

    /// Carries one line; `None` after the driver's last.
    pub(crate) fn carry(&mut self) -> Option<Passed> {
        let (from, line) = self.lines.recv_timeout(PATIENCE).expect("a line in time");
        if from != DRIVER {
            return Some(self.carry_from_worker(from, line));
        }
        let mut line = line?;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Some(match line["type"].as_str().unwrap() {
            "line" => {
                let (place, line) = (text(&line["place"]), line["line"].take());
                if let Some(worker) = self.workers.get_mut(&place) {
                    worker.write(&line);
                }
                Passed::Request { place, line }
            }
            "drop" => {
                let (place, reason) = (text(&line["place"]), text(&line["reason"]));
                if self.kills {
                    self.kill(&place);
                }
                Passed::Drop { place, reason }
            }
            "event" => {
                let passed = Passed::Event(line["event"].take());
                self.warnings.extend(passed.warning().map(str::to_owned));
                passed
            }
            "end" => {
                self.end = line.clone();
                Passed::Other(line)
            }
            _ => Passed::Other(line),
        })
    }

    fn carry_from_worker(&mut self, place: String, line: Option<Value>) -> Passed {
        let Some(line) = line else {
            // Signals that an engine takes for a lack of memory are the engine's affair.
            self.workers.remove(&place);
            let lost = json!({ "type": "lost", "place": place, "reason": "its process ended" });
            self.tell(&lost);
            return Passed::Lost { place };
        };
        self.tell(&json!({ "type": "line", "place": place, "line": line }));
        Passed::Answer { place, line }
    }

    /// Carries lines to the end; `see` sees each.
    pub(crate) fn run(self, see: impl FnMut(&mut Engine, &Passed)) -> End {
        self.run_until(see, || true)
    }

    /// As [`Engine::run`]; lines of workers are carried on until `is_over`.
    pub(crate) fn run_until(
        mut self,
        mut see: impl FnMut(&mut Engine, &Passed),
        is_over: impl Fn() -> bool,
    ) -> End {
        let mut ended = false;
        while !ended || !is_over() {
            match self.carry() {
                Some(passed) => see(&mut self, &passed),
                None => ended = true,
            }
        }
        let code = self.driver.process.wait().unwrap().code();
        let (line, warnings) = (self.end.take(), std::mem::take(&mut self.warnings));
        End { code, line, warnings }
    }

    /// As [`Engine::run`], of a driver that is to succeed.
    pub(crate) fn finish(self, see: impl FnMut(&mut Engine, &Passed)) -> End {
        let end = self.run(see);
        assert!(end.code == Some(0) && end.line["summary"].is_object(), "{}", end.line);
        end
    }

    /// Kills the driver, and ends all workers.
    pub(crate) fn kill_all(mut self) {
        let _ = self.driver.process.kill();
        let _ = self.driver.process.wait();
        for worker in self.workers.values_mut() {
            worker.input = None;
            worker.process.wait().unwrap();
        }
    }

    /// Ends the driver's input.
    pub(crate) fn close(&mut self) {
        self.driver.input = None;
    }
}
