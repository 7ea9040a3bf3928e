//! A second process fails or dies at each step of a write: afterwards the file under a name is
//! whole or missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longweave_storage::{
    AtomicFile, DoneRecord, FileRecord, Lock, sweep_below, write_array, write_strings,
};
use serde_json::json;

/// Runs [`child`] in a process of its own.
fn second_process(role: &str, directory: &Path, failpoint: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "failing::child", "--ignored", "--nocapture"])
        .env("STORAGE_CHILD", role)
        .env("STORAGE_DIRECTORY", directory);
    command.env_remove("LONGWEAVE_FAILPOINT").env_remove("LONGWEAVE_FAILPOINT_LOG");
    match failpoint {
        Some("log") => command.env("LONGWEAVE_FAILPOINT_LOG", directory.join("log")),
        Some(value) => command.env("LONGWEAVE_FAILPOINT", value),
        None => &mut command,
    };
    command.output().unwrap()
}

/// A task: a file of several writes, a column, a table, and last the done record.
fn work(directory: &Path) -> longweave_common::Result<()> {
    let mut file = AtomicFile::create(&directory.join("file"))?;
    for _ in 0..7 {
        file.put(&[7; 100 << 10])?;
    }
    let files = vec![
        FileRecord::new("file", file.commit()?),
        FileRecord::new("column", write_array(&directory.join("column"), &[1u32, 2, 3])?),
        FileRecord::new("table", write_strings(&directory.join("table"), "id", ["a", "b"])?),
    ];
    DoneRecord { files, counts: json!({}) }.write(&directory.join("done/00000.json"))
}

#[test]
#[ignore = "is run by the other tests as a second process"]
fn child() {
    let (Ok(role), Ok(directory)) =
        (std::env::var("STORAGE_CHILD"), std::env::var("STORAGE_DIRECTORY"))
    else {
        return;
    };
    let directory = Path::new(&directory);
    let result = match role.as_str() {
        "work" => work(directory),
        _ => Lock::take(&directory.join("lock"), "the run").map(drop),
    };
    if let Err(error) = result {
        panic!("CODE {} {error}", error.code().name());
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every place that [`work`] meets in order: its name, the how many-th of that name, and the file.
fn places() -> Vec<(String, usize, String)> {
    let directory = tempfile::tempdir().unwrap();
    assert!(second_process("work", directory.path(), Some("log")).status.success());
    let (log, mut counts) =
        (fs::read_to_string(directory.path().join("log")).unwrap(), BTreeMap::<&str, usize>::new());
    let place = |line| {
        let (name, path): (&str, &str) = str::split_once(line, '\t').unwrap();
        let nth = counts.entry(name).or_default();
        *nth += 1;
        (name.to_owned(), *nth, Path::new(path).file_name().unwrap().to_str().unwrap().to_owned())
    };
    log.lines().map(place).collect()
}

#[test]
fn whatever_fails_no_file_is_half_written_and_a_second_attempt_succeeds() {
    let places = places();
    let of = |file: &str| {
        places.iter().filter(|p| p.2 == file).map(|p| p.0.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        of("file"),
        ["create", "write", "write", "write", "write", "sync", "rename", "renamed"]
    );
    assert_eq!(of("column"), ["create", "write", "write", "sync", "rename", "renamed"]);
    assert_eq!(of("table"), ["create", "write", "sync", "rename", "renamed"]);
    assert_eq!(of("00000.json"), ["done", "create", "write", "sync", "rename", "renamed"]);
    for (i, (name, nth, _)) in places.iter().enumerate() {
        let whole: BTreeSet<&str> =
            places[..=i].iter().filter(|p| p.0 == "renamed").map(|p| p.2.as_str()).collect();
        for (action, code) in
            [("full", "DISK_FULL"), ("denied", "OUTPUT_DENIED"), ("io", "IO"), ("abort", "")]
        {
            let directory = tempfile::tempdir().unwrap();
            let failpoint = format!("{name}={action}@{nth}");
            let output = second_process("work", directory.path(), Some(&failpoint));
            assert!(!output.status.success(), "{failpoint}");
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                text.contains(&format!("CODE {code} ")),
                action != "abort",
                "{failpoint}: {text}"
            );
            let mut found = names(directory.path());
            found.extend(names(&directory.path().join("done")));
            let left = found.iter().filter(|n| n.ends_with(".part")).count();
            assert!(left == 0 || (action == "abort" && left == 1), "{failpoint}: {found:?}");
            found.retain(|n| n != "done" && !n.ends_with(".part"));
            assert_eq!(
                found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
                whole,
                "{failpoint}"
            );
            let record = directory.path().join("done/00000.json");
            let done = DoneRecord::read(&record, directory.path()).unwrap();
            assert_eq!(done.is_some(), whole.contains("00000.json"), "{failpoint}");

            assert_eq!(sweep_below(directory.path()), left as u64, "{failpoint}");
            assert!(second_process("work", directory.path(), None).status.success(), "{failpoint}");
            let done = DoneRecord::read(&record, directory.path()).unwrap().unwrap();
            done.files.iter().for_each(|file| file.check(directory.path()).unwrap());
        }
    }
}

#[test]
fn a_lock_keeps_a_second_process_out_until_its_holder_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let held = Lock::take(&directory.path().join("lock"), "the run").unwrap();
    let refused = second_process("lock", directory.path(), None);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        text.contains("CODE RUN_LOCKED")
            && text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    drop(held);
    assert!(second_process("lock", directory.path(), None).status.success());
    Lock::take(&directory.path().join("lock"), "the run").unwrap();
}
