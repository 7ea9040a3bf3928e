//! Tasks: which there are, how they are named, what they do alone, together and twice.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use longweave_api::{commands, tasks};
use longweave_common::{Cancel, Code, Error};
use longweave_driver::{Events, Threads, guarded};
use longweave_run::RunContext;
use longweave_stages::{
    DOCUMENTS, EXTRACT, INDEX, INGEST, PACK, PLAN, PREDICT, SCAN, SEAL, STAGES,
};
use longweave_storage::Lock;
use serde_json::{Value, json};

use crate::{Place, code, ctx, run_tasks, sequences, standard};

fn parse(selection: Value) -> serde_json::Result<tasks::TaskSelection> {
    serde_json::from_value(selection)
}

#[test]
fn selections_name_tasks() {
    let place = Place::with_documents(60);
    let run = place.prepare(&[]).unwrap();
    let n = run.tasks(SCAN).unwrap().unwrap();
    assert!(n >= 3, "{n} splits");
    for (selection, expected) in [
        (json!(0), Some(vec![0])),
        (json!([2, 0, 2]), Some(vec![0, 2])),
        (json!([]), Some(vec![])),
        (json!({ "from": 1, "to": 3 }), Some(vec![1, 2])),
        (json!({ "from": 0, "to": 1 }), Some(vec![0])),
        (json!("all"), Some((0..n).collect())),
        (json!({ "shard": [1, 2] }), Some((1..n).step_by(2).collect())),
        (json!({ "shard": [0, 1] }), Some((0..n).collect())),
        (json!({ "shard": [7, 8] }), Some(if n > 7 { vec![7] } else { vec![] })),
        (json!({ "shard": [2, 2] }), None),
        (json!({ "shard": [0, 0] }), None),
        (json!({ "from": 3, "to": 3 }), None),
        (json!({ "from": 2, "to": 1 }), None),
        (json!({ "from": 0, "to": 1000 }), None),
        (json!(1000), None),
        (json!(4_294_967_295_u32), None),
        (json!([0, 1000]), None),
    ] {
        let found = tasks::select(&run, SCAN, &parse(selection.clone()).unwrap());
        match expected {
            Some(expected) => assert_eq!(found.unwrap(), expected, "{selection}"),
            None => assert_eq!(code(found), "STAGE_NOT_FOUND", "{selection}"),
        }
    }
    for malformed in [
        json!("0"),
        json!("shard:0/2"),
        json!(-1),
        json!({ "shard": [1] }),
        json!({ "shard": [0, 2], "from": 1 }),
        json!(null),
    ] {
        assert!(parse(malformed.clone()).is_err(), "{malformed}");
    }
    let all = parse(json!("all")).unwrap();
    assert_eq!(code(tasks::select(&run, INGEST, &all)), "STAGE_NOT_READY");
    let standard = place.prepare_in("standard", &[standard()]).unwrap();
    assert_eq!(code(tasks::select(&standard, INDEX, &all)), "STAGE_NOT_FOUND");
    assert_eq!(code(run.stage("pak")), "STAGE_NOT_FOUND");
}

#[test]
fn a_stage_of_which_no_task_is_done_has_no_unit_done() {
    let place = Place::with_documents(60);
    let run = place.prepare(&[]).unwrap();
    longweave_driver::run(ctx(1), &run, &Arc::new(Events::default()), &Threads, SCAN).unwrap();
    let stages = longweave_driver::status::status(run.out()).unwrap().stages;
    let documents = stages.iter().find(|s| s.stage.name == "documents").unwrap();
    assert_eq!((documents.units_done, documents.units_total), (Some(0), Some(60)));
}

#[test]
fn tasks_run_one_by_one_in_any_order_give_the_bytes_of_a_local_run() {
    let place = Place::with_documents(60);
    let format =
        |name: &str| vec![standard(), ("/holdout", json!(0.3)), ("/output/format", json!(name))];
    let files = [("/output/compression", json!("zstd")), ("/output/mdsShardBytes", json!(2000))];
    let cases = [
        ("quest", vec![]),
        ("mds", format("mds")),
        ("mds-files", [format("mds"), files.to_vec()].concat()),
        ("megatron", format("megatron")),
        ("datatrove", format("datatrove")),
        ("numpy", format("numpy")),
        ("datasets", format("datasets")),
        ("litdata", format("litdata")),
    ];
    for (name, changes) in cases {
        let local = place.run_in(&format!("{name}-local"), &changes).unwrap();
        let out = place.path(&format!("{name}-tasks"));
        place.prepare_in(&format!("{name}-tasks"), &changes).unwrap();
        let stages = listed(&out);
        for stage in stages {
            let stage = stage["stage"].as_str().unwrap();
            // As a scheduler would: shards of tasks, last first, one of them again.
            for shard in [[1, 2], [0, 2], [0, 2]] {
                run_tasks(&out, stage, json!({ "shard": shard })).unwrap();
            }
        }
        assert_eq!(sequences(&out), sequences(local.out()), "{name}");
        commands::verify(&out, &Cancel::new()).unwrap();
        let listed = listed(&out);
        assert!(listed.iter().all(|s| s["done"] == s["tasks"]), "{listed:?}");
    }
}

fn listed(out: &std::path::Path) -> Vec<Value> {
    serde_json::from_str(&commands::tasks(out, &Cancel::new()).unwrap()).unwrap()
}

#[test]
fn a_task_needs_its_inputs_and_its_number() {
    let place = Place::with_documents(60);
    let run = place.prepare(&[]).unwrap();
    assert_eq!(code(run.run_task(ctx(1), INGEST, 0)), "STAGE_NOT_READY");
    assert_eq!(code(run.run_task(ctx(1), PACK, 0)), "STAGE_NOT_READY");
    assert_eq!(code(run.run_task(ctx(1), SCAN, 1000)), "STAGE_NOT_FOUND");
    assert_eq!(run.tasks(PACK).unwrap(), None);
}

#[test]
fn a_stage_needs_the_least_memory_too() {
    let place = Place::with_documents(10);
    place.prepare(&[]).unwrap();
    let run = |memory: u64| {
        let options =
            json!({ "stage": "scan", "tasks": "all", "threads": 1, "memory": memory }).to_string();
        commands::run_tasks(&place.path("out"), &options, &Cancel::new())
    };
    assert_eq!(code(run((16 << 20) - 1)), "OPTIONS_INVALID");
    assert_eq!(code(run(16 << 20)), "NONE");
}

#[test]
fn a_task_waits_for_its_lease_and_takes_what_the_other_did() {
    let place = Place::with_documents(60);
    let run = Arc::new(place.prepare(&[]).unwrap());
    let lease = Lock::take(&run.directory(SCAN).join("lease/00000"), "the task").unwrap();
    let cancelled = ctx(1).with_child_cancel();
    let waiting = {
        let (run, ctx) = (Arc::clone(&run), cancelled.clone());
        std::thread::spawn(move || run.run_task(&ctx, SCAN, 0))
    };
    std::thread::sleep(Duration::from_millis(120));
    assert!(!waiting.is_finished());
    cancelled.cancel.cancel();
    assert_eq!(code(waiting.join().unwrap()), "CANCELLED");
    let waiting = {
        let run = Arc::clone(&run);
        std::thread::spawn(move || run.run_task(ctx(1), SCAN, 0))
    };
    drop(lease);
    let record = waiting.join().unwrap().unwrap();
    assert_eq!(run.done(SCAN, 0).unwrap(), Some(record));
}

#[test]
fn the_driver_stops_at_the_first_error_and_keeps_what_is_finished() {
    let place = Place::with_documents(60);
    let mut rows = fs::read_to_string(place.path("corpus.jsonl")).unwrap();
    rows.push_str("{\"id\":\"bad\"}\n");
    fs::write(place.path("corpus.jsonl"), rows).unwrap();
    let run = place.prepare(&[]).unwrap();
    let error = longweave_driver::run(ctx(1), &run, &Arc::new(Events::default()), &Threads, SEAL)
        .unwrap_err();
    assert_eq!(
        (error.code(), error.details()["line"].as_u64()),
        (Code::BadRow, Some(61)),
        "{error}"
    );
    assert!(error.message().contains("corpus.jsonl:61"), "{error}");
    let last = run.tasks(INGEST).unwrap().unwrap() - 1;
    let done: Vec<bool> =
        (0..=last).map(|task| run.done(INGEST, task).unwrap().is_some()).collect();
    assert_eq!(done, (0..=last).map(|task| task < last).collect::<Vec<_>>());
    assert!(!place.path("out/longweave.json").exists());
    // Another run over the same work directory that skips bad rows goes to the end.
    let work = ("/work", json!(place.path("out/.work").to_str().unwrap()));
    let skipped = place.run_in("skipped", &[("/onBadRow", json!("skip")), work]).unwrap();
    let rejects = fs::read_to_string(skipped.out().join("rejects.jsonl")).unwrap();
    let reject: Value = serde_json::from_str(&rejects).unwrap();
    assert_eq!(
        (&reject["file"], &reject["line"], &reject["code"]),
        (&json!("corpus.jsonl"), &json!(61), &json!("BAD_ROW"))
    );
}

#[test]
fn queries_that_cannot_be_read_make_no_other_documents() {
    let place = Place::with_documents(60);
    let rows = fs::read_to_string(place.path("corpus.jsonl")).unwrap()
        + "{\"id\":\"odd\",\"text\":\"the red fox\",\"q\":7}\n";
    fs::write(place.path("corpus.jsonl"), rows).unwrap();
    let error = place.run_in("fails", &[]).err().unwrap();
    assert_eq!(
        (error.code(), error.details()["line"].as_u64()),
        (Code::QueriesInvalid, Some(61)),
        "{error}"
    );
    assert!(
        error.message().contains("corpus.jsonl:61") && error.message().contains("\"q\""),
        "{error}"
    );
    let skip = ("/onBadRow", json!("skip"));
    let quest = place.run_in("quest", std::slice::from_ref(&skip)).unwrap();
    let counts = quest.done(DOCUMENTS, 0).unwrap().unwrap().counts;
    assert_eq!((&counts["accepted"], &counts["rejected"]), (&json!(61), &json!(0)));
    // A run that reads no queries shares what does not depend on them.
    let work = ("/work", json!(place.path("quest/.work").to_str().unwrap()));
    let other = place.run_in("other", &[skip, work, ("/queryField", json!("text"))]).unwrap();
    assert_eq!(other.digest(INGEST), quest.digest(INGEST));
    assert_ne!(other.digest(PREDICT), quest.digest(PREDICT));
}

#[test]
fn a_panic_becomes_an_error() {
    let error = guarded::<()>(|| panic!("numbers {} and {}", 1, 2)).unwrap_err();
    assert!(error.code() == Code::Panic && error.message().contains("numbers 1 and 2"), "{error}");
    assert_eq!(guarded(|| Err::<(), _>(Error::new(Code::Io, "x"))).unwrap_err().code(), Code::Io);
    assert_eq!(guarded(|| Ok(7)).unwrap(), 7);
}

#[test]
fn a_task_whose_files_are_gone_runs_again() {
    let place = Place::with_documents(60);
    let first = place.run_in("out", &[]).unwrap();
    let before = sequences(first.out());
    let gone = [first.directory(INGEST).join("00001.tokens.ids"), first.out().join("00000.jsonl")];
    for path in &gone {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(first.directory(INDEX)).unwrap();
    fs::write(
        first.out().join(".00000.jsonl.1-1.part"),
        "left behind by a process that was killed",
    )
    .unwrap();
    fs::remove_file(first.out().join("longweave.json")).unwrap();
    let again = place.run_in("out", &[]).unwrap();
    assert_eq!(sequences(again.out()), before);
    assert!(gone[0].exists() && !first.out().join(".00000.jsonl.1-1.part").exists());
    commands::verify(again.out(), &Cancel::new()).unwrap();
    assert!(RunContext::open(STAGES, again.out()).is_ok());
}

#[test]
fn a_stage_of_many_tasks_keeps_its_records_in_one_file_until_one_runs_again() {
    let place = Place::with_documents(300);
    let many = [standard(), ("/splitBytes", json!(100))];
    let run = place.prepare_in("out", &many).unwrap();
    let list = run.state(INGEST).join("done.jsonl");
    for stage in ["scan", "ingest"] {
        run_tasks(run.out(), stage, json!("all")).unwrap();
    }
    assert!(!list.exists());
    let info = |stage: &str| {
        let json = commands::tasks(run.out(), &Cancel::new()).unwrap();
        let Value::Array(stages) = serde_json::from_str(&json).unwrap() else { panic!("{json}") };
        stages.into_iter().find(|info| info["stage"] == stage).unwrap()
    };
    let tasks = info("ingest")["tasks"].clone();
    assert!(tasks.as_u64().unwrap() > 256, "{tasks}");
    run_tasks(run.out(), "documents", json!(0)).unwrap();
    let lines = || fs::read_to_string(&list).unwrap().lines().count() as u64;
    assert_eq!(lines(), tasks.as_u64().unwrap() + 2);
    // The records themselves are not read any more.
    let (records, aside) = (run.state(INGEST).join("done"), run.state(INGEST).join("aside"));
    fs::rename(&records, &aside).unwrap();
    assert_eq!((&info("ingest")["done"], &info("ingest")["open"]), (&tasks, &json!([])));
    fs::rename(&aside, &records).unwrap();
    // A damaged file costs time, nothing else.
    fs::write(&list, "{").unwrap();
    assert_eq!((&info("ingest")["done"], &info("ingest")["open"]), (&tasks, &json!([])));
    fs::remove_file(&list).unwrap();

    // A driver looks at every file.
    place.run_in("out", &many).unwrap();
    let before = sequences(run.out());
    let gone = run.directory(INGEST).join("00007.tokens.ids");
    fs::remove_file(&gone).unwrap();
    assert_eq!(info("ingest")["open"], json!([]));
    place.run_in("out", &many).unwrap();
    assert!(gone.exists() && lines() == tasks.as_u64().unwrap() + 2);
    assert_eq!(sequences(run.out()), before);

    // So does a task that is asked for, whose new record may name other files.
    fs::remove_file(&gone).unwrap();
    run_tasks(run.out(), "ingest", json!(7)).unwrap();
    assert!(gone.exists() && !list.exists());
}

#[test]
fn the_record_says_which_attempts_files_count_and_others_are_swept() {
    let place = Place::with_documents(60);
    let run = place.run_in("out", &[]).unwrap();
    let before = sequences(run.out());
    // As a model's task leaves them.
    let mut record = run.done(PREDICT, 0).unwrap().unwrap();
    let directory = run.directory(PREDICT);
    for file in &mut record.files {
        let named = file.name.replacen("00000.", "00000-0123456789abcdef.", 1);
        fs::rename(directory.join(&file.name), directory.join(&named)).unwrap();
        file.name = named;
    }
    record.write(&run.record(PREDICT, 0)).unwrap();
    let lost = directory.join("00000-00000000deadbeef.ends");
    let scratch = run.directory(INDEX).join(".scratch-00000000deadbeef");
    let stranger = directory.join("00000-notes.txt");
    fs::create_dir_all(&scratch).unwrap();
    for path in [&lost, &stranger, &scratch.join("000.keys")] {
        fs::write(path, "x").unwrap();
    }
    for stage in [EXTRACT, PLAN] {
        fs::remove_dir_all(run.directory(stage)).unwrap();
    }
    for name in ["longweave.json", "00000.jsonl"] {
        fs::remove_file(run.out().join(name)).unwrap();
    }
    let again = place.run_in("out", &[]).unwrap();
    assert_eq!(sequences(again.out()), before);
    assert!(record.files.iter().all(|file| directory.join(&file.name).exists()));
    assert!(!lost.exists() && !scratch.exists() && stranger.exists());
}
