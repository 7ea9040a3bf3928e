//! Two attempts at every task of a run, on machines that see neither each other's locks nor, at
//! once, each other's records. A scheduler with a seed decides which of them takes the next step on
//! the disk, lets one wait for long and resume late, and kills some. The bytes are those of a local
//! run.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod engine;
mod shim;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use engine::{Folder, files};
use longweave_api::run::Mode;
use longweave_common::random::{Key, draw};
use serde_json::{Value, json};
use shim::{PRELOAD, build};

/// How long a test waits for a step. Only a fault takes that long, on any machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Seeds of a test, unless `LONGWEAVE_SEEDS` says how many.
const SEEDS: u64 = 6;

/// The lines that a process tells the scheduler, with its id.
enum Said {
    /// It is about to take a step on the disk, and waits for a byte.
    Step(u32, UnixStream),
    Answer(u32, Value),
}

/// Numbers that follow from a seed.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.thrown += 1;
        draw(self.seed, "interleaved", Key(0), self.thrown) % n
    }
}

struct Worker {
    process: Child,
    input: ChildStdin,
}

impl Worker {
    fn tell(&mut self, request: &Value) {
        writeln!(self.input, "{request}").unwrap();
    }

    fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Both machines and their scheduler.
struct World<'a> {
    folder: &'a Folder,
    environments: [Vec<(&'static str, String)>; 2],
    workers: [Worker; 2],
    said: Receiver<Said>,
    send: Sender<Said>,
    dice: Dice,
    kills: u32,
}

impl World<'_> {
    fn new<'a>(folder: &'a Folder, seed: u64, stale: bool) -> World<'a> {
        let (send, said) = channel();
        let socket = folder.path(&format!("steps-{seed}"));
        let listener = UnixListener::bind(&socket).unwrap();
        let library = build(&folder.path(""));
        let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        let environments = ["a", "b"].map(|name| {
            let locks = folder.path(&format!("locks-{seed}-{name}"));
            fs::create_dir(&locks).unwrap();
            let mut set = vec![
                (PRELOAD, text(library.clone())),
                ("SHIM_LOCKS", text(locks)),
                ("SHIM_STEPS", text(socket.clone())),
                ("SHIM_BELOW", format!("{}/", text(folder.path("out")))),
            ];
            if stale {
                set.push(("SHIM_STALE", "2".to_owned()));
            }
            set
        });
        let steps = send.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                // Of a process that was killed on the way there is no line.
                let _ = BufReader::new(&stream).read_line(&mut line);
                let words = line.split_whitespace().next();
                let Some(process) = words.and_then(|word| word.parse().ok()) else { continue };
                // The log and progress are written by threads of their own, by the clock.
                if line.contains("/.state/log") || line.contains("/.state/progress/") {
                    let _ = stream.write_all(b"g");
                } else if steps.send(Said::Step(process, stream)).is_err() {
                    return;
                }
            }
        });
        let workers = [0, 1].map(|n: usize| start(&environments[n], &send));
        let dice = Dice { seed, thrown: 0 };
        World { folder, environments, workers, said, send, dice, kills: 0 }
    }

    /// Has both do all tasks of a stage. Returns the records that each answers.
    fn stage(&mut self, stage: &str, records: &[(String, Value)]) -> [Value; 2] {
        let out = self.folder.path("out");
        let run = json!({ "id": 1, "type": "run", "run": out, "stage": stage, "tasks": "all" });
        self.workers.iter_mut().for_each(|worker| worker.tell(&run));
        let mut answers = [Value::Null, Value::Null];
        let mut waiting: [Vec<UnixStream>; 2] = Default::default();
        let mut favourite = self.dice.below(2) as usize;
        loop {
            let ready = |n: usize| !answers[n].is_null() || !waiting[n].is_empty();
            if !(ready(0) && ready(1)) {
                let said = self.said.recv_timeout(PATIENCE).expect("a step in time");
                let place = |process| self.workers.iter().position(|w| w.id() == process);
                match said {
                    // Of a process that was killed.
                    Said::Step(process, _) | Said::Answer(process, _)
                        if place(process).is_none() => {}
                    Said::Step(process, stream) => waiting[place(process).unwrap()].push(stream),
                    Said::Answer(process, answer) => {
                        assert_eq!(answer["type"], "done", "{stage}: {answer}");
                        answers[place(process).unwrap()] = answer["records"].clone();
                    }
                }
                continue;
            }
            // Long spells of one and of the other: a machine that hangs for a while.
            if self.dice.below(8) == 0 {
                favourite = self.dice.below(2) as usize;
            }
            let n = if waiting[favourite].is_empty() { 1 - favourite } else { favourite };
            if waiting[n].is_empty() {
                return answers;
            }
            let mut stream = waiting[n].remove(0);
            if self.dice.below(40) == 0 {
                // Killed at this step; another worker of the machine does it again.
                waiting[n].clear();
                drop(stream);
                self.kills += 1;
                self.workers[n] = start(&self.environments[n], &self.send);
                for (earlier, records) in records {
                    self.workers[n].tell(&handed(&out, earlier, records));
                }
                self.workers[n].tell(&run);
            } else {
                let _ = stream.write_all(b"g");
            }
        }
    }
}

fn start(environment: &[(&'static str, String)], said: &Sender<Said>) -> Worker {
    let mut process = Command::new(env!("CARGO_BIN_EXE_longweave-worker"))
        .args(["--threads", "1", "--memory", "64MiB"])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output, id) =
        (process.stdin.take().unwrap(), process.stdout.take().unwrap(), process.id());
    let said = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap();
            // Of records that are handed over, and of progress, nothing is to be known.
            if line["id"] == 1
                && line["type"] != "progress"
                && said.send(Said::Answer(id, line)).is_err()
            {
                return;
            }
        }
    });
    Worker { process, input }
}

fn handed(out: &std::path::Path, stage: &str, records: &Value) -> Value {
    json!({ "id": 2, "type": "records", "run": out, "stage": stage, "records": records })
}

/// Names of files of the output that are not those of the local run; what killed attempts left half
/// written does not count.
fn differing(folder: &Folder) -> Vec<String> {
    let (mut own, local) = (folder.output("out"), folder.output("local"));
    let mut names: Vec<String> = Vec::new();
    for (name, bytes) in local {
        if own.remove(&name) != Some(bytes) {
            names.push(name);
        }
    }
    names.extend(own.into_keys().filter(|name| !name.ends_with(".part")));
    names
}

fn interleaved(stale: bool) {
    let folder = Folder::new(40);
    let changes =
        [("/holdout", json!(0.1)), ("/packing", json!("scatter")), ("/splitBytes", json!(2500))];
    folder.run_locally("local", &changes, Mode::Run);
    let seeds = std::env::var("LONGWEAVE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let mut kills = 0;
    for seed in 0..seeds {
        let _ = fs::remove_dir_all(folder.path("out"));
        folder.run_locally("out", &changes, Mode::Prepare);
        let stages =
            longweave_api::commands::tasks(&folder.path("out"), &Default::default()).unwrap();
        let stages: Vec<Value> = serde_json::from_str(&stages).unwrap();
        let mut world = World::new(&folder, seed, stale);
        let mut records: Vec<(String, Value)> = Vec::new();
        for stage in stages.iter().map(|stage| stage["stage"].as_str().unwrap()) {
            let [one, other] = world.stage(stage, &records);
            assert_eq!(one, other, "records of {stage}, seed {seed}");
            for worker in &mut world.workers {
                worker.tell(&handed(&folder.path("out"), stage, &one));
            }
            records.push((stage.to_owned(), one));
        }
        kills += world.kills;
        drop(world);
        assert_eq!(differing(&folder), [""; 0], "seed {seed}");
        // The next driver finds all of it, and sweeps what the killed ones left.
        folder.run_locally("out", &changes, Mode::Run);
        let mut left: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        files(&folder.path("out"), "", &mut left);
        let parts: Vec<&String> = left.keys().filter(|name| name.ends_with(".part")).collect();
        assert_eq!(parts, [""; 0], "seed {seed}");
        assert_eq!(differing(&folder), [""; 0], "seed {seed}");
    }
    assert!(kills > 0);
}

#[test]
fn two_attempts_at_every_task_in_any_order_of_their_steps_give_the_bytes_of_a_local_run() {
    interleaved(false);
}

#[test]
fn two_attempts_that_see_each_others_records_late_give_the_bytes_of_a_local_run() {
    interleaved(true);
}
