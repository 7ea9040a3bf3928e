//! File names of attempts. The bytes of most tasks follow from their input: two attempts of one task,
//! on two machines say, replace each other's files by the same. The output of a model on a GPU may
//! differ in its last bits. The files of such a task have the token of the process in their names,
//! and the record that was put first says which count.

use std::fs;

use longweave_storage::{Lock, process_token};

use crate::prelude::*;

/// The beginning of the names of a task's files.
pub(crate) fn prefix(task: u32, by_model: bool) -> String {
    if by_model { format!("{task:05}-{}", process_token()) } else { format!("{task:05}") }
}

/// The beginning of the names of the files of a finished task.
pub(crate) fn recorded_prefix(record: &DoneRecord, task: u32) -> String {
    let named = record.files.first().and_then(|file| file.name.split('.').next());
    named.map_or_else(|| prefix(task, false), str::to_owned)
}

/// The task of a file or directory that has a token in its name.
pub(crate) fn task_of(name: &str) -> Option<u32> {
    let (task, token) = name.split('.').next()?.split_once('-')?;
    let is_token = token.len() == process_token().len()
        && token.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    task.parse().ok().filter(|_| is_token)
}

/// Deletes the files of attempts that no record names and no living process of this machine makes. A
/// file that cannot be deleted costs only space.
pub(crate) fn sweep(run: &RunContext, stage: Stage) {
    let directory = run.directory(stage);
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for name in &names {
        let Some(task) = task_of(name) else { continue };
        let named = match DoneRecord::load(&run.record(stage, task)) {
            Ok(record) => record.is_some_and(|r| r.files.iter().any(|file| file.name == *name)),
            // A damaged record is found, and its task runs again.
            Err(_) => true,
        };
        if !named && !Lock::is_held(&run.lease_file(stage, task)) {
            let _ = fs::remove_file(directory.join(name));
        }
    }
}
