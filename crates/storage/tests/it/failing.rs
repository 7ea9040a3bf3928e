//! A second process that fails or dies at each place where a write can: what stands under a file's name is whole or not there.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longweave_storage::{AtomicFile, DoneRecord, FileRecord, Lock, write_array, write_strings};
use serde_json::json;

/// Runs [`child`] in a process of its own.
fn second_process(role: &str, directory: &Path, failpoint: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "failing::child", "--ignored", "--nocapture"]).env("STORAGE_CHILD", role).env("STORAGE_DIRECTORY", directory);
    match failpoint {
        Some(value) => command.env("LONGWEAVE_FAILPOINT", value),
        None => command.env_remove("LONGWEAVE_FAILPOINT"),
    };
    command.output().unwrap()
}

/// What a task does: a file, a column, a table, and last the record that they are there.
fn work(directory: &Path) -> longweave_common::Result<()> {
    let mut file = AtomicFile::create(&directory.join("file"))?;
    file.put(b"content")?;
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
    let (Ok(role), Ok(directory)) = (std::env::var("STORAGE_CHILD"), std::env::var("STORAGE_DIRECTORY")) else { return };
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
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn whatever_fails_no_file_is_half_written_and_a_second_attempt_succeeds() {
    // In order: file, column, table, record. Each is created, written and renamed once; `done` comes before the record.
    let standing: [&[&str]; 4] = [&[], &["file"], &["column", "file"], &["column", "file", "table"]];
    for (name, hits) in [("create", 4), ("write", 4), ("rename", 4), ("done", 1)] {
        for hit in 1..=hits {
            for (action, code) in [("full", "DISK_FULL"), ("denied", "OUTPUT_DENIED"), ("abort", "")] {
                let directory = tempfile::tempdir().unwrap();
                let failpoint = format!("{name}={action}@{hit}");
                let output = second_process("work", directory.path(), Some(&failpoint));
                assert!(!output.status.success(), "{failpoint}");
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(text.contains(&format!("CODE {code}")) || action == "abort", "{failpoint}: {text}");
                let whole = if name == "done" { standing[3] } else { standing[hit - 1] };
                let found: Vec<String> =
                    names(directory.path()).into_iter().filter(|n| n != "done" && !(action == "abort" && n.ends_with(".part"))).collect();
                assert_eq!(found, whole, "{failpoint}");
                let record = directory.path().join("done/00000.json");
                assert_eq!(DoneRecord::read(&record, directory.path()).unwrap(), None, "{failpoint}");

                assert!(second_process("work", directory.path(), None).status.success(), "{failpoint}");
                assert!(DoneRecord::read(&record, directory.path()).unwrap().is_some(), "{failpoint}");
            }
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
    assert!(text.contains("CODE RUN_LOCKED") && text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(held);
    assert!(second_process("lock", directory.path(), None).status.success());
    Lock::take(&directory.path().join("lock"), "the run").unwrap();
}
