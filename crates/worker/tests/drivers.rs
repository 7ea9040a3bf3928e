//! A run has one driver, whatever its file system makes of locks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod engine;
mod shim;

use engine::{Folder, Passed};
use longweave_api::run::Mode;
use serde_json::{Value, json};
use shim::{PRELOAD, build};

fn changes() -> [(&'static str, Value); 2] {
    [("/packing", json!("scatter")), ("/splitBytes", json!(1500))]
}

#[test]
fn a_driver_that_was_frozen_is_replaced_and_stops_when_it_wakes() {
    let folder = Folder::new(90);
    folder.run_locally("local", &changes(), Mode::Run);
    let mut first = folder.drive("out", &changes(), &["--beat", "1"]);
    first.offer(64 << 20, &[]);
    loop {
        let passed = first.carry().expect("the stage is still to come");
        if passed.given().is_some_and(|(_, stage)| stage == "ingest") {
            break;
        }
    }
    first.freeze_driver();
    folder.move_driver_elsewhere("out");
    let mut second = folder.drive("out", &changes(), &[]);
    second.offer(64 << 20, &[]);
    let end = second.finish(|_, _| ());
    assert!(end.warnings[0].contains("waiting 6 s"), "{:?}", end.warnings);
    assert_eq!(folder.output("out"), folder.output("local"));
    first.thaw_driver();
    let woken = first.run(|_, _| ());
    let error = &woken.line["error"];
    assert_eq!((woken.code, &error["code"]), (Some(1), &json!("RUN_LOCKED")));
    assert!(error["message"].as_str().unwrap().contains("drives this run now"), "{error}");
    assert_eq!(folder.output("out"), folder.output("local"));
}

#[test]
fn a_file_system_without_locks_has_one_driver_at_a_time_and_gives_the_bytes_of_a_local_run() {
    let folder = Folder::new(90);
    let shim = build(&folder.path(""));
    let without = [(PRELOAD, shim.to_str().unwrap()), ("SHIM_LOCKS", "none")];
    folder.run_locally("local", &changes(), Mode::Run);
    let mut first = folder.drive_in(&without, "out", &changes(), &["--beat", "1"]);
    first.offer(64 << 20, &without);
    let ingest = |passed: &Passed| passed.given().is_some_and(|(_, stage)| stage == "ingest");
    while !ingest(&first.carry().expect("the stage is still to come")) {}
    let refused = folder.drive_in(&without, "out", &changes(), &[]).run(|_, _| ());
    assert_eq!(refused.line["error"]["code"], "RUN_LOCKED");
    assert!(refused.warnings[0].contains("waiting 6 s"), "{:?}", refused.warnings);
    first.kill_all();
    let mut second = folder.drive_in(&without, "out", &changes(), &[]);
    second.offer(64 << 20, &without);
    second.finish(|_, _| ());
    assert_eq!(folder.output("out"), folder.output("local"));
    // The second ended in order: a third does not wait.
    let third = folder.drive_in(&without, "out", &changes(), &[]).finish(|_, _| ());
    assert_eq!(third.warnings, [""; 0]);
}
