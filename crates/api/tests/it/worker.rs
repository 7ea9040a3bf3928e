//! Workers that a scheduler speaks to: what comes out is what a local run gives.

use std::fs;
use std::io::{BufRead, BufReader, Lines, PipeReader, PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use longweave_api::worker::{WorkerOptions, serve};
use longweave_run::Outcome;
use longweave_stages::{INGEST, PREDICT, SCAN};
use serde_json::{Value, json};

use crate::{Place, output, sequences};

/// A worker on a thread, as a scheduler sees it.
struct Worker {
    requests: Option<PipeWriter>,
    answers: Lines<BufReader<PipeReader>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    last: u64,
}

impl Worker {
    fn start() -> Worker {
        Worker::start_with(None)
    }

    fn start_with(scratch: Option<PathBuf>) -> Worker {
        let (input, requests) = pipe().unwrap();
        let (answers, writer) = pipe().unwrap();
        let options = WorkerOptions { threads: 1, memory: 64 << 20, scratch };
        let body = move || serve(options, BufReader::new(input), writer);
        Worker {
            requests: Some(requests),
            answers: BufReader::new(answers).lines(),
            thread: Some(std::thread::spawn(body)),
            last: 0,
        }
    }

    /// Writes a request; its id.
    fn send(&mut self, mut request: Value) -> u64 {
        self.last += 1;
        request["id"] = json!(self.last);
        writeln!(self.requests.as_ref().unwrap(), "{request}").unwrap();
        self.last
    }

    /// The next line, other than of progress.
    fn next(&mut self) -> Value {
        loop {
            let line: Value = serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap();
            if line["type"] != "progress" {
                return line;
            }
        }
    }

    fn ask(&mut self, request: Value) -> Value {
        let id = self.send(request);
        let answer = self.next();
        assert_eq!(answer["id"], json!(id), "{answer}");
        answer
    }

    fn run(&mut self, run: &Path, stage: &str, tasks: Value) -> Value {
        self.ask(json!({ "type": "run", "run": run, "stage": stage, "tasks": tasks }))
    }

    /// Ends the input and waits for the worker.
    fn end(mut self) {
        self.requests = None;
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(self.answers.next().is_none());
    }
}

#[test]
fn two_workers_that_share_every_stage_give_the_bytes_of_a_local_run() {
    let place = Place::with_documents(90);
    let changes = [("/packing", json!("scatter")), ("/holdout", json!(0.1))];
    let local = place.run_in("local", &changes).unwrap();
    let run = place.prepare_in("shared", &changes).unwrap();
    let mut workers = [Worker::start(), Worker::start()];
    for worker in &mut workers {
        let opened = worker.ask(json!({ "type": "open", "run": run.out() }));
        assert_eq!(
            (&opened["type"], &opened["process"]),
            (&json!("opened"), &json!(std::process::id()))
        );
    }
    let Value::Array(stages) =
        workers[0].ask(json!({ "type": "tasks", "run": run.out() }))["stages"].take()
    else {
        panic!("no stages")
    };
    assert!(stages.len() > 8);
    let mut tasks = 0;
    for stage in stages {
        let stage = stage["stage"].as_str().unwrap();
        let mut records = Vec::new();
        for (k, worker) in workers.iter_mut().enumerate() {
            let done = worker.run(run.out(), stage, json!({ "shard": [k, 2] }));
            assert_eq!(done["type"], "done", "{done}");
            records.extend(done["records"].as_array().unwrap().clone());
        }
        tasks += records.len();
        for worker in &mut workers {
            let request =
                json!({ "type": "records", "run": run.out(), "stage": stage, "records": records });
            assert_eq!(worker.ask(request)["type"], "done");
        }
    }
    assert!(tasks > 12, "{tasks}");
    workers.into_iter().for_each(Worker::end);
    assert_eq!(sequences(run.out()), sequences(local.out()));
    assert_eq!(
        output(run.out()).into_keys().collect::<Vec<_>>(),
        output(local.out()).into_keys().collect::<Vec<_>>()
    );
}

#[test]
fn temporary_files_are_in_a_directory_of_the_worker_which_goes_with_it() {
    let place = Place::with_documents(60);
    let local = place.run_in("local", &[]).unwrap();
    let run = place.prepare_in("out", &[]).unwrap();
    let (scratch, taken) = (place.path("scratch"), place.path("taken"));
    fs::write(&taken, "a file").unwrap();
    let mut refused = Worker::start_with(Some(taken));
    let error = refused.ask(json!({ "type": "open", "run": run.out() }));
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("IO")), "{error}");
    refused.end();
    let mut worker = Worker::start_with(Some(scratch.clone()));
    let directories = || {
        let entries = fs::read_dir(&scratch).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().is_dir()).count()
    };
    let stages: Vec<_> = run.stages().collect();
    for stage in stages {
        let done = worker.run(run.out(), stage.name, json!("all"));
        assert_eq!((&done["type"], directories()), (&json!("done"), 1), "{done}");
    }
    worker.end();
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    assert_eq!(sequences(run.out()), sequences(local.out()));
}

#[test]
fn records_that_were_handed_over_are_not_looked_for_on_the_disk() {
    let place = Place::with_documents(40);
    let run = place.prepare_in("out", &[]).unwrap();
    let mut worker = Worker::start();
    let scanned = worker.run(run.out(), "scan", json!("all"));
    let ingested = worker.run(run.out(), "ingest", json!("all"));
    worker.end();
    for stage in [SCAN, INGEST] {
        fs::remove_dir_all(run.state(stage).join("done")).unwrap();
    }
    let mut worker = Worker::start();
    let missing = worker.run(run.out(), "predict", json!(0));
    assert_eq!((&missing["type"], &missing["code"]), (&json!("error"), &json!("STAGE_NOT_READY")));
    let hand = |stage: &str, records: &Value| json!({ "type": "records", "run": run.out(), "stage": stage, "records": records });
    let early = worker.ask(hand("ingest", &ingested["records"]));
    assert_eq!(early["code"], "STAGE_NOT_READY", "{early}");
    let too_few = worker.ask(hand("scan", &json!([])));
    assert_eq!(too_few["code"], "OPTIONS_INVALID", "{too_few}");
    for (stage, done) in [("scan", &scanned), ("ingest", &ingested)] {
        assert_eq!(worker.ask(hand(stage, &done["records"]))["type"], "done");
    }
    assert_eq!(worker.run(run.out(), "predict", json!(0))["type"], "done");
    assert!(run.record(PREDICT, 0).exists());
    worker.end();
}

#[test]
fn records_replace_those_before_and_a_task_that_ran_again_has_them_forgotten() {
    let place = Place::with_documents(40);
    let run = place.prepare_in("out", &[]).unwrap();
    let mut worker = Worker::start();
    let ask = |worker: &mut Worker, records: &Value| {
        let request =
            json!({ "type": "records", "run": run.out(), "stage": "ingest", "records": records });
        assert_eq!(worker.ask(request)["type"], "done");
    };
    worker.run(run.out(), "scan", json!("all"));
    let records = worker.run(run.out(), "ingest", json!("all"))["records"].take();
    let mut wrong = records.clone();
    wrong.as_array_mut().unwrap().iter_mut().for_each(|record| record["counts"] = json!({}));
    ask(&mut worker, &records);
    ask(&mut worker, &wrong);
    assert_eq!(worker.run(run.out(), "documents", json!(0))["code"], "FILE_CORRUPT");
    ask(&mut worker, &wrong);
    let reopen = json!({ "type": "reopen", "run": run.out(), "stage": "ingest", "task": 0 });
    assert_eq!(worker.ask(reopen)["type"], "done");
    assert_eq!(worker.run(run.out(), "documents", json!(0))["type"], "done");
    worker.end();
}

#[test]
fn the_log_has_the_errors_of_calls_and_ends_as_the_last_call_did() {
    let place = Place::with_documents(20);
    let run = place.prepare_in("out", &[]).unwrap();
    let log_of = |stages: &[&str]| {
        let before = run.log.read().len();
        let mut worker = Worker::start();
        worker.ask(json!({ "type": "open", "run": run.out(), "driven": true }));
        stages.iter().for_each(|stage| _ = worker.run(run.out(), stage, json!("all")));
        worker.end();
        run.log.read().split_off(before)
    };
    let failed = log_of(&["scan", "dance"]);
    let error = failed.iter().find(|line| line.event == "error").unwrap();
    assert_eq!(error.code.as_deref(), Some("STAGE_NOT_FOUND"));
    assert_eq!(failed[0].mode.as_deref(), Some("worker"));
    assert_eq!(failed.last().unwrap().outcome, Some(Outcome::Failed));
    let done = log_of(&["dance", "scan"]);
    assert_eq!(done.last().unwrap().outcome, Some(Outcome::Done));
}

#[test]
fn a_worker_that_a_driver_gives_tasks_waits_for_no_lock_of_a_task() {
    let place = Place::with_documents(40);
    let run = place.prepare_in("out", &[]).unwrap();
    let _held = longweave_storage::Lock::take(&run.lease_file(SCAN, 0), "the task").unwrap();
    let mut worker = Worker::start();
    worker.ask(json!({ "type": "open", "run": run.out(), "driven": true }));
    assert_eq!(worker.run(run.out(), "scan", json!(0))["type"], "done");
    worker.end();
}

#[test]
fn what_a_worker_cannot_do_is_an_error_with_the_id_of_its_line() {
    let place = Place::with_documents(20);
    let run = place.prepare_in("out", &[]).unwrap();
    let mut worker = Worker::start();
    let other = worker.ask(json!({ "type": "open", "run": run.out(), "version": "0.0.1" }));
    assert_eq!(
        (&other["code"], &other["details"]["expected"]),
        (&json!("VERSION_MISMATCH"), &json!("0.0.1"))
    );
    let nowhere = worker.ask(json!({ "type": "open", "run": place.path("nowhere") }));
    assert_eq!(nowhere["code"], "RUN_NOT_PREPARED");
    assert_eq!(worker.run(run.out(), "dance", json!("all"))["code"], "STAGE_NOT_FOUND");
    assert_eq!(worker.run(run.out(), "scan", json!(77))["code"], "STAGE_NOT_FOUND");
    assert_eq!(worker.ask(json!({ "type": "ping", "extra": 1 }))["type"], "pong");
    assert_eq!(worker.ask(json!({ "type": "open" }))["code"], "OPTIONS_INVALID");
    writeln!(worker.requests.as_ref().unwrap(), "no JSON").unwrap();
    let unread = worker.next();
    assert_eq!((&unread["id"], &unread["code"]), (&Value::Null, &json!("OPTIONS_INVALID")));
    // A call that never was is not running.
    assert_eq!(worker.ask(json!({ "type": "cancel", "of": 99 }))["type"], "done");
    worker.end();
}

#[test]
fn a_call_that_is_cancelled_and_one_that_the_end_of_the_input_stops_are_answered() {
    let place = Place::with_documents(400);
    let run = place.prepare_in("out", &[]).unwrap();
    // Another process holds the task: the call waits for it.
    let held =
        |task| longweave_storage::Lock::take(&run.lease_file(SCAN, task), "the task").unwrap();
    let _held = [held(0), held(1)];
    let mut worker = Worker::start();
    let scan = |task| json!({ "type": "run", "run": run.out(), "stage": "scan", "tasks": task });
    let call = worker.send(scan(0));
    let cancel = worker.send(json!({ "type": "cancel", "of": call }));
    let mut answers = [worker.next(), worker.next()];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!((&answers[0]["id"], &answers[0]["code"]), (&json!(call), &json!("CANCELLED")));
    assert_eq!((&answers[1]["id"], &answers[1]["type"]), (&json!(cancel), &json!("done")));

    let call = worker.send(scan(1));
    worker.requests = None;
    let stopped = worker.next();
    assert_eq!((&stopped["id"], &stopped["code"]), (&json!(call), &json!("CANCELLED")));
    worker.end();
}
