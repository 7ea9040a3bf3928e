//! Workers behind a library that counts their calls of the file system, or keeps their locks to one
//! machine (`shim/shim.c`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod engine;
mod shim;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use engine::{Folder, Passed};
use longweave_api::commands;
use longweave_api::run::Mode;
use serde_json::{Value, json};
use shim::{PRELOAD, build};

/// Has a worker of its own run one task of a stage. Returns how often it asked the file system for
/// a file by its name.
fn calls(folder: &Folder, shim: &str, stage: &str, task: u32) -> u64 {
    let counts = folder.path("counts");
    let _ = fs::remove_file(&counts);
    let mut worker = Command::new(env!("CARGO_BIN_EXE_longweave-worker"))
        .args(["--threads", "1", "--memory", "64MiB"])
        .envs([(PRELOAD, shim), ("SHIM_COUNTS", counts.to_str().unwrap())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    let request = json!({
        "id": 1, "type": "run", "run": folder.path("out"), "stage": stage, "tasks": task,
    });
    writeln!(input, "{request}").unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let end = lines.find(|line| line["type"] != "progress").unwrap();
    assert_eq!(end["type"], "done", "{end}");
    drop(input);
    assert!(worker.wait().unwrap().success());
    let text = fs::read_to_string(&counts).unwrap();
    text.split_whitespace().map(|number| number.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_task_asks_for_as_many_files_in_a_run_of_thirty_two_thousand_splits_as_in_one_of_forty() {
    let of = |splits: usize| {
        let folder = Folder::new(splits);
        let shim = build(&folder.path(""));
        let shim = shim.to_str().unwrap();
        let bytes = fs::metadata(folder.path("corpus.jsonl")).unwrap().len();
        folder.run_locally("out", &[("/splitBytes", json!(bytes / splits as u64))], Mode::Prepare);
        let cancel = longweave_common::Cancel::new();
        let stages = commands::tasks(&folder.path("out"), &cancel).unwrap();
        let stages: Value = serde_json::from_str(&stages).unwrap();
        let tasks = stages[0]["tasks"].as_u64().unwrap() as u32;
        assert!(stages[0]["stage"] == "scan" && tasks >= splits as u32, "{tasks} tasks");
        let last = tasks - 1;
        let others = json!({
            "stage": "scan", "tasks": { "from": 0, "to": last }, "threads": 2, "memory": 64 << 20,
        });
        commands::run_tasks(&folder.path("out"), &others.to_string(), &cancel).unwrap();
        let scan = calls(&folder, shim, "scan", last);
        // The first finds the stage before it complete, and leaves the list of its records.
        calls(&folder, shim, "ingest", 0);
        (scan, calls(&folder, shim, "ingest", 1))
    };
    let ((scan, ingest), (many_scan, many_ingest)) = (of(40), of(32_000));
    assert!(many_scan <= scan + 8 && scan < 100, "{scan} calls, {many_scan} of many splits");
    // The list of records in place of the records.
    assert!(many_ingest <= ingest && ingest < 200, "{ingest} calls, {many_ingest} of many splits");
}

#[test]
fn machines_that_do_not_see_each_others_locks_give_the_bytes_of_a_local_run() {
    let folder = Folder::new(90);
    let shim = build(&folder.path(""));
    let shim = shim.to_str().unwrap();
    let changes =
        [("/holdout", json!(0.1)), ("/packing", json!("scatter")), ("/splitBytes", json!(1500))];
    folder.run_locally("local", &changes, Mode::Run);
    // A machine goes silent in its first task and comes back while another does the same one.
    let gate = folder.path("gate");
    let mut engine = folder.drive("out", &changes, &["--silence", "2"]);
    engine.kills = false;
    engine.tell(&json!({ "type": "expect", "places": 3 }));
    let locks: Vec<String> = ["a", "b"]
        .map(|name| {
            let locks = folder.path(name);
            fs::create_dir(&locks).unwrap();
            locks.to_str().unwrap().to_owned()
        })
        .into();
    let slow = engine.offer(
        64 << 20,
        &[
            (PRELOAD, shim),
            ("SHIM_LOCKS", &locks[0]),
            ("LONGWEAVE_FAILPOINT", "done=wait"),
            ("LONGWEAVE_FAILPOINT_PATH", "/ingest-"),
            ("LONGWEAVE_FAILPOINT_GATE", gate.to_str().unwrap()),
        ],
    );
    engine.offer(64 << 20, &[(PRELOAD, shim), ("SHIM_LOCKS", &locks[1])]);
    engine.offer(64 << 20, &[(PRELOAD, shim), ("SHIM_LOCKS", "none")]);
    let (mut frozen, mut late) = (false, false);
    engine.finish(|engine, passed| match passed {
        _ if passed.given() == Some((&slow, "ingest")) && !frozen => {
            engine.freeze(&slow);
            frozen = true;
        }
        Passed::Drop { place, .. } if *place == slow => {
            fs::write(&gate, "").unwrap();
            engine.thaw(place);
        }
        Passed::Drop { place, .. } => {
            engine.kill(place);
            engine.offer(64 << 20, &[]);
        }
        Passed::Answer { place, line } if *place == slow => late |= line["type"] == "done",
        _ => {}
    });
    assert!(frozen && late);
    assert_eq!(folder.output("out"), folder.output("local"));
}
