//! The executable: its arguments, and that it answers and ends with its input.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn worker(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_longweave-worker"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses its arguments may end before it has read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn it_answers_line_by_line_and_ends_with_its_input() {
    let requests = [json!({ "id": 7, "type": "ping" }), json!({ "id": 8, "type": "dance" })];
    let input: String = requests.iter().map(|line| format!("{line}\n")).collect();
    let output = worker(&["--threads", "1", "--memory", "64MiB"], &input);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "id": 7, "type": "pong" }));
    assert_eq!((&lines[1]["id"], &lines[1]["type"]), (&json!(8), &json!("error")));
    assert_eq!(lines[1]["code"], "OPTIONS_INVALID");
    assert_eq!(lines.len(), 2);
}

#[test]
fn arguments_that_it_does_not_know_are_refused_in_words() {
    for (arguments, words) in [
        (&["--memory", "many"][..], "2GiB"),
        (&["--memory", "99999999999TiB"], "--memory"),
        (&["--threads"], "needs a value"),
        (&["--threads", "-1"], "whole number"),
        (&["serve"], "--help"),
    ] {
        let output = worker(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
    let version = worker(&["--version"], "");
    assert_eq!(String::from_utf8(version.stdout).unwrap().trim(), env!("CARGO_PKG_VERSION"));
    assert!(String::from_utf8(worker(&["--help"], "").stdout).unwrap().contains("--memory"));
}
