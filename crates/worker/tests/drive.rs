//! Runs whose tasks are done by workers elsewhere: the bytes of a local run, whatever happens to
//! places and drivers on the way.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod engine;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use engine::{Engine, Folder, Passed, files};
use longweave_api::run::Mode;
use serde_json::{Value, json};

type Changes = Vec<(&'static str, Value)>;

fn quest() -> Changes {
    vec![
        ("/holdout", json!(0.1)),
        ("/packing", json!("scatter")),
        ("/splitBytes", json!(1500)),
        ("/clean", json!("sealed")),
    ]
}

fn knn() -> Changes {
    let knn = json!({ "name": "knn", "pool": "all", "k": 5, "fill": "next" });
    vec![("/method", knn), ("/splitBytes", json!(1500))]
}

/// The stages that do tasks in a run that was made in `out`.
fn stages(folder: &Folder, out: &str) -> Vec<String> {
    let mut stages = Vec::new();
    for line in folder.log(out) {
        let stage = line["stage"].as_str().unwrap_or_default().to_owned();
        if line["event"] == "task" && !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    stages
}

fn nothing(_: &mut Engine, _: &Passed) {}

/// A worker that never ends the task of this stage.
const HANGS: [(&str, &str); 2] =
    [("LONGWEAVE_FAILPOINT", "done=hang"), ("LONGWEAVE_FAILPOINT_PATH", "/documents-")];

#[test]
fn three_places_give_the_bytes_of_a_local_run() {
    let folder = Folder::new(120);
    for (name, changes) in [("quest", quest()), ("knn", knn())] {
        let local = format!("{name}-local");
        folder.run_locally(&local, &changes, Mode::Run);
        let mut engine = folder.drive(name, &changes, &[]);
        engine.offer_some(3);
        let mut given = BTreeMap::new();
        let end = engine.finish(|_, passed| {
            if let Some((place, stage)) = passed.given() {
                given
                    .entry(stage.to_owned())
                    .or_insert_with(BTreeSet::new)
                    .insert(place.to_owned());
            }
        });
        assert_eq!(end.warnings, [""; 0]);
        assert_eq!(given["ingest"].len(), 3, "all places take part");
        assert_eq!(folder.output(name), folder.output(&local));
        // Again, there is nothing to do, and so no place is waited for.
        let mut again = folder.drive(name, &changes, &[]);
        again.tell(&json!({ "type": "expect", "places": 3 }));
        again.finish(nothing);
    }
}

#[test]
fn a_place_that_is_killed_in_every_stage_costs_nothing_but_time() {
    let folder = Folder::new(90);
    for (name, changes) in [("quest", quest()), ("knn", knn())] {
        let local = format!("{name}-local");
        folder.run_locally(&local, &changes, Mode::Run);
        let mut engine = folder.drive(name, &changes, &[]);
        engine.offer_some(2);
        let mut killed = BTreeSet::new();
        let end = engine.finish(|engine, passed| {
            if let Some((place, stage)) = passed.given()
                && killed.insert(stage.to_owned())
            {
                engine.kill(place);
                engine.offer(64 << 20, &[]);
            }
        });
        let stages = stages(&folder, &local);
        assert_eq!(killed, stages.iter().cloned().collect());
        assert!(end.warnings.len() >= stages.len(), "{:?}", end.warnings);
        assert_eq!(folder.output(name), folder.output(&local));
    }
}

#[test]
fn a_place_that_dies_when_its_files_are_written_leaves_nothing_that_counts() {
    let folder = Folder::new(90);
    folder.run_locally("local", &quest(), Mode::Run);
    let stages = stages(&folder, "local");
    let mut engine = folder.drive("out", &quest(), &[]);
    let mut next = stages.iter();
    let mut offer = |engine: &mut Engine| match next.next() {
        Some(stage) => {
            let (point, path) = ("LONGWEAVE_FAILPOINT", format!("/{stage}-"));
            engine.offer(64 << 20, &[(point, "done=abort"), ("LONGWEAVE_FAILPOINT_PATH", &path)])
        }
        None => engine.offer(64 << 20, &[]),
    };
    offer(&mut engine);
    let mut deaths = 0;
    engine.finish(|engine, passed| {
        if let Passed::Lost { .. } = passed {
            deaths += 1;
            offer(engine);
        }
    });
    assert_eq!(deaths, stages.len());
    assert_eq!(folder.output("out"), folder.output("local"));
}

#[test]
fn a_frozen_place_is_given_up_and_spoils_nothing_when_it_thaws() {
    let folder = Folder::new(90);
    folder.run_locally("local", &quest(), Mode::Run);
    let gate = folder.path("gate");
    let mut engine = folder.drive("out", &quest(), &["--silence", "2"]);
    engine.kills = false;
    engine.tell(&json!({ "type": "expect", "places": 2 }));
    let set = [
        ("LONGWEAVE_FAILPOINT", "done=wait"),
        ("LONGWEAVE_FAILPOINT_PATH", "/ingest-"),
        ("LONGWEAVE_FAILPOINT_GATE", gate.to_str().unwrap()),
    ];
    let slow = engine.offer(64 << 20, &set);
    engine.offer(64 << 20, &[]);
    let (mut frozen, mut thawed, late) = (false, false, Cell::new(false));
    let see = |engine: &mut Engine, passed: &Passed| match passed {
        _ if passed.given() == Some((&slow, "ingest")) && !frozen => {
            engine.freeze(&slow);
            frozen = true;
        }
        Passed::Drop { place, reason } => {
            assert!(reason.contains("silent"), "{reason}");
            // Others, on a machine that is busy, are ended in earnest.
            if *place == slow {
                fs::write(&gate, "").unwrap();
                engine.thaw(place);
                thawed = true;
            } else {
                engine.kill(place);
            }
            engine.offer(64 << 20, &[]);
        }
        Passed::Answer { place, line } if *place == slow && thawed => {
            late.set(late.get() || line["type"] == "done");
        }
        _ => {}
    };
    let end = engine.run_until(see, || late.get());
    assert!(frozen && thawed && end.code == Some(0), "{}", end.line);
    assert_eq!(folder.output("out"), folder.output("local"));
}

#[test]
fn a_driver_that_is_killed_in_every_stage_goes_on_where_it_was() {
    let folder = Folder::new(90);
    folder.run_locally("local", &quest(), Mode::Run);
    for stage in stages(&folder, "local") {
        let mut engine = folder.drive("out", &quest(), &[]);
        engine.offer_some(2);
        loop {
            let passed = engine.carry().expect("the stage is still to come");
            if passed.given().is_some_and(|(_, given)| given == stage) {
                break engine.kill_all();
            }
        }
    }
    let mut engine = folder.drive("out", &quest(), &[]);
    engine.offer_some(2);
    engine.finish(nothing);
    assert_eq!(folder.output("out"), folder.output("local"));
}

#[test]
fn a_run_goes_on_with_places_and_without() {
    let folder = Folder::new(90);
    folder.run_locally("local", &knn(), Mode::Run);
    let until = |stage: &str| {
        let mut engine = folder.drive("out", &knn(), &["--until", stage]);
        engine.offer_some(2);
        engine.finish(nothing);
    };
    folder.run_locally("out", &knn(), Mode::Prepare);
    until("ingest");
    folder.run_locally("out", &knn(), Mode::Plan);
    until("pack");
    folder.run_locally("out", &knn(), Mode::Run);
    assert_eq!(folder.output("out"), folder.output("local"));
    let began: Vec<Value> =
        folder.log("out").into_iter().filter(|line| line["event"] == "run").collect();
    let modes: BTreeSet<&str> = began.iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, BTreeSet::from(["plan", "prepare", "run", "worker"]));
}

#[test]
fn a_corrupt_result_is_made_again_by_a_place() {
    let folder = Folder::new(90);
    folder.run_locally("local", &quest(), Mode::Run);
    let mut engine = folder.drive("out", &quest(), &["--until", "plan"]);
    engine.offer_some(2);
    engine.finish(nothing);
    let mut work = BTreeMap::new();
    files(&folder.path("out/.work"), "", &mut work);
    let tokens = |name: &&String| name.starts_with("ingest-") && name.contains("tokens");
    let name = work.keys().find(tokens).expect("a token store");
    let mut damaged = work[name].clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    fs::write(folder.path("out/.work").join(name), damaged).unwrap();
    let mut engine = folder.drive("out", &quest(), &[]);
    engine.offer_some(2);
    let mut reopened = BTreeSet::new();
    let end = engine.finish(|_, passed| {
        if let Passed::Request { place, line } = passed
            && line["type"] == "reopen"
        {
            reopened.insert(place.clone());
        }
    });
    assert!(
        end.warnings.iter().any(|warning| warning.contains("was corrupt")),
        "{:?}",
        end.warnings
    );
    assert_eq!(reopened.len(), 2);
    assert_eq!(folder.output("out"), folder.output("local"));
}

#[test]
fn a_place_whose_disk_fails_leaves_the_task_to_another() {
    let folder = Folder::new(90);
    folder.run_locally("local", &quest(), Mode::Run);
    for (out, fault, told) in
        [("out", "sync=io", "input/output"), ("full", "sync=full", "free some space")]
    {
        let mut engine = folder.drive(out, &quest(), &[]);
        engine.tell(&json!({ "type": "expect", "places": 2 }));
        let set = [("LONGWEAVE_FAILPOINT", fault), ("LONGWEAVE_FAILPOINT_PATH", "/plan-")];
        let failing = engine.offer(128 << 20, &set);
        engine.offer(64 << 20, &[]);
        let mut planned = Vec::new();
        let end = engine.finish(|_, passed| {
            if let Some((place, "plan")) = passed.given() {
                planned.push(place.to_owned());
            }
        });
        assert_eq!(planned.len(), 2);
        assert!(planned[0] == failing && planned[1] != failing, "{planned:?}");
        let warned = end.warnings.iter().any(|warning| warning.contains(told));
        assert!(warned, "{:?}", end.warnings);
        assert_eq!(folder.output(out), folder.output("local"));
    }
}

#[test]
fn a_worker_of_another_version_is_not_used_and_is_an_error_where_there_is_no_other() {
    let folder = Folder::new(40);
    let place = json!({ "type": "place", "place": "old", "threads": 1, "memory": 1 << 30 });
    let refuse = |engine: &mut Engine, passed: &Passed| {
        if let Passed::Request { place, line } = passed
            && place == "old"
        {
            assert!(line["type"] == "open" && line["version"].is_string(), "{line}");
            let error = json!({ "id": line["id"], "type": "error", "code": "VERSION_MISMATCH",
                "message": "this worker is longweave 0.0.1", "details": { "host": "node7" } });
            engine.tell(&json!({ "type": "line", "place": "old", "line": error }));
        }
    };
    let mut engine = folder.drive("out", &quest(), &["--until", "scan"]);
    engine.tell(&place);
    let end = engine.run(refuse);
    assert_eq!((end.code, &end.line["error"]["code"]), (Some(1), &json!("VERSION_MISMATCH")));
    let mut engine = folder.drive("out", &quest(), &["--until", "scan"]);
    engine.tell(&json!({ "type": "expect", "places": 2 }));
    engine.tell(&place);
    engine.offer(64 << 20, &[]);
    let end = engine.finish(refuse);
    let [warning] = &end.warnings[..] else { panic!("{:?}", end.warnings) };
    assert!(warning.contains("node7") && warning.contains("0.0.1"), "{warning}");
}

#[test]
fn a_run_without_places_says_what_it_needs_and_fails_in_the_end() {
    let folder = Folder::new(20);
    let mut needs = Vec::new();
    let end = folder.drive("out", &quest(), &["--patience", "0.5"]).run(|_, passed| {
        if let Passed::Other(line) = passed
            && line["type"] == "need"
        {
            needs.push(line.clone());
        }
    });
    assert_eq!(needs, [json!({ "type": "need", "gpus": 0, "places": 1 })]);
    assert_eq!((end.code, &end.line["error"]["code"]), (Some(1), &json!("PLACE_LOST")));
}

#[test]
fn a_stage_that_needs_a_gpu_waits_for_a_place_with_one() {
    let folder = Folder::new(40);
    // It is never loaded: a test has neither a GPU nor its libraries.
    let model = folder.path("model");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("model.onnx"), "x").unwrap();
    let mut changes = knn();
    changes.extend([
        ("/vectors/source", json!("onnx")),
        ("/vectors/model", json!(model.to_str().unwrap())),
        ("/vectors/device", json!("cuda")),
    ]);
    for gpus in [0, 1] {
        let mut engine = folder.drive("out", &changes, &["--patience", "1"]);
        let without = engine.offer(64 << 20, &[]);
        let (mut needed, mut given, mut with) = (0, BTreeSet::new(), None);
        let end = engine.run(|engine, passed| match passed {
            Passed::Other(line) if line["type"] == "need" && line["gpus"] == 1 => {
                needed += 1;
                if gpus > 0 {
                    with = Some(engine.offer_with(gpus, 64 << 20, &[]));
                }
            }
            _ => given.extend(
                passed.given().filter(|given| given.1 == "embed").map(|given| given.0.to_owned()),
            ),
        });
        let code = &end.line["error"]["code"];
        assert_eq!((end.code, needed), (Some(1), 1), "{}", end.line);
        assert_eq!(given, with.into_iter().collect());
        assert!(!given.contains(&without));
        assert!(gpus > 0 || code == "DEVICE_UNAVAILABLE", "{}", end.line);
    }
}

#[test]
fn a_task_that_is_lost_again_and_again_is_an_error_that_names_it() {
    let folder = Folder::new(40);
    let mut engine = folder.drive("out", &quest(), &[]);
    engine.offer(64 << 20, &HANGS);
    let mut given = 0;
    let end = engine.run(|engine, passed| {
        if let Some((place, "documents")) = passed.given() {
            given += 1;
            engine.kill(place);
            engine.offer(64 << 20, &HANGS);
        }
    });
    assert_eq!((end.code, given), (Some(1), 4));
    let error = &end.line["error"];
    assert_eq!(
        (&error["code"], &error["details"]["stage"]),
        (&json!("PLACE_LOST"), &json!("documents"))
    );
}

#[test]
fn tasks_killed_for_memory_run_once_more_on_the_largest_place() {
    let folder = Folder::new(40);
    let mut engine = folder.drive("out", &quest(), &[]);
    engine.tell(&json!({ "type": "expect", "places": 2 }));
    let large = engine.offer(128 << 20, &HANGS);
    engine.offer(64 << 20, &HANGS);
    let mut given = Vec::new();
    let end = engine.run(|engine, passed| {
        if let Some((place, "documents")) = passed.given() {
            given.push(place.to_owned());
            // The engine says so before it sees the process end.
            engine.tell(
                &json!({ "type": "lost", "place": place, "reason": "killed", "memory": true }),
            );
            engine.kill(place);
            engine.offer(256 << 20, &HANGS);
        }
    });
    assert_eq!((end.code, &end.line["error"]["code"]), (Some(1), &json!("MEMORY_BUDGET")));
    assert_eq!(given.len(), 2);
    assert!(given[0] == large && given[1] != large, "{given:?}");
}

#[test]
fn a_run_that_is_cancelled_stops_its_calls() {
    let folder = Folder::new(40);
    let mut engine = folder.drive("out", &quest(), &[]);
    // A worker that the test plays: it works until it is asked to stop.
    engine.tell(&json!({ "type": "place", "place": "slow", "threads": 1, "memory": 1 << 30 }));
    let mut call = Value::Null;
    let end = engine.run(|engine, passed| {
        let Passed::Request { line, .. } = passed else { return };
        let answer = match line["type"].as_str().unwrap() {
            "open" => json!({ "id": line["id"], "type": "opened", "host": "here" }),
            "run" => {
                call = line["id"].clone();
                return engine.tell(&json!({ "type": "cancel" }));
            }
            "cancel" => {
                assert_eq!(line["of"], call);
                json!({ "id": call, "type": "error", "code": "CANCELLED", "message": "stopped" })
            }
            _ => return,
        };
        engine.tell(&json!({ "type": "line", "place": "slow", "line": answer }));
    });
    assert_eq!((end.code, &end.line["error"]["code"]), (Some(130), &json!("CANCELLED")));
    assert_eq!(end.warnings, [""; 0]);
}

#[test]
fn the_end_of_the_engine_cancels_the_run_and_a_second_driver_is_refused() {
    let folder = Folder::new(40);
    let mut engine = folder.drive("out", &quest(), &[]);
    // It waits for a place: it drives the run.
    loop {
        if let Some(Passed::Other(line)) = engine.carry() {
            assert_eq!(line["type"], "need");
            break;
        }
    }
    let second = folder.drive("out", &quest(), &[]).run(nothing);
    assert_eq!((second.code, &second.line["error"]["code"]), (Some(1), &json!("RUN_LOCKED")));
    engine.close();
    let end = engine.run(nothing);
    assert_eq!((end.code, &end.line["error"]["code"]), (Some(130), &json!("CANCELLED")));
    let log = folder.log("out");
    assert_eq!(log.last().unwrap()["outcome"], "cancelled");
}

#[test]
fn lines_and_options_that_a_driver_cannot_use_are_errors() {
    let folder = Folder::new(20);
    let code = |mut engine: Engine, line: Option<Value>| {
        engine.tell(&line.unwrap_or_else(|| json!({ "type": "expect", "places": 1 })));
        engine.run(nothing).line["error"]["code"].take()
    };
    assert_eq!(
        code(folder.drive("a", &[], &[]), Some(json!({ "type": "dance" }))),
        "OPTIONS_INVALID"
    );
    assert_eq!(code(folder.drive("a", &[], &["--until", "dance"]), None), "STAGE_NOT_FOUND");
    assert_eq!(code(folder.drive("a", &[("/corpus", Value::Null)], &[]), None), "OPTIONS_INVALID");
}
