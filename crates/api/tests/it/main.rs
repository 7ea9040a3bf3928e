//! Runs as callers use them: options, prepared runs, tasks, runs on threads of their own. Corpora
//! are made here; they hold queries, so that keywords are known.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod crash;
mod digests;
mod hostile;
mod near;
mod options;
mod prepare;
mod run;
mod sample;
mod stages;
mod tokens;
mod topics;
mod vectors;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longweave_api::commands;
use longweave_common::{Cancel, Ctx, Result};
use longweave_driver::{Events, Threads};
use longweave_run::{Claim, RunContext, RunOptions, Stage};
use longweave_stages::{SEAL, STAGES};
use sample::{corpus, files, row};
use serde_json::{Value, json};

/// How long a test waits for an answer. Only a fault takes that long, on any machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs tasks of a stage as another process would.
fn run_tasks(out: &Path, stage: &str, tasks: Value) -> Result<String> {
    let options = json!({ "stage": stage, "tasks": tasks, "threads": 1, "memory": 64 << 20 });
    commands::run_tasks(out, &options.to_string(), &Cancel::new())
}

/// A folder with a tokenizer, a corpus and room for outputs.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        // Hundreds of small files are made durable here: where there is a file system in memory,
        // that costs nothing.
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = Place { directory: directory.unwrap() };
        fs::write(place.path("tokenizer.json"), tokenizer()).unwrap();
        place
    }

    /// A place with a corpus of `documents` documents.
    fn with_documents(documents: usize) -> Place {
        let place = Place::new();
        fs::write(place.path("corpus.jsonl"), corpus(documents)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Options of a quest run over `corpus.jsonl` into `out`, changed by JSON pointers.
    fn options(&self, changes: &[(&str, Value)]) -> RunOptions {
        RunOptions::parse(&self.json(changes).to_string()).unwrap()
    }

    fn json(&self, changes: &[(&str, Value)]) -> Value {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        sample::options(&path, changes)
    }

    fn prepare(&self, changes: &[(&str, Value)]) -> Result<RunContext> {
        self.prepare_in("out", changes)
    }

    /// Prepares a run in `out`; its driver's lock is given back.
    fn prepare_in(&self, out: &str, changes: &[(&str, Value)]) -> Result<RunContext> {
        let out = self.path(out);
        let directory = ("/output/directory", json!(out.to_str().unwrap()));
        let changes: Vec<_> = changes.iter().cloned().chain([directory]).collect();
        RunContext::prepare(STAGES, ctx(2), self.options(&changes), &out, &Claim::default())
            .map(|(run, _lock)| run)
    }

    /// Runs to the end in `out`.
    fn run_in(&self, out: &str, changes: &[(&str, Value)]) -> Result<RunContext> {
        let run = self.prepare_in(out, changes)?;
        let options = run.options();
        let ctx = if options.memory == 64 << 20 {
            ctx(options.threads).clone()
        } else {
            Ctx::new(options.threads, options.memory)?
        };
        longweave_driver::run(&ctx, &run, &Arc::new(Events::default()), &Threads, SEAL)?;
        Ok(run)
    }
}

/// The place of a stage in the order of stages.
fn at(stage: Stage) -> usize {
    STAGES.iter().position(|&s| s == stage).unwrap()
}

fn before(a: Stage, b: Stage) -> bool {
    at(a) < at(b)
}

fn standard() -> (&'static str, Value) {
    ("/method", json!({ "name": "standard", "pool": "all", "fill": "next" }))
}

/// A context shared by all tests with that number of threads.
fn ctx(threads: usize) -> &'static Ctx {
    static MADE: [OnceLock<Ctx>; 8] = [const { OnceLock::new() }; 8];
    MADE[threads].get_or_init(|| Ctx::new(threads, 64 << 20).unwrap())
}

fn tokenizer() -> &'static str {
    static JSON: OnceLock<String> = OnceLock::new();
    JSON.get_or_init(|| {
        let special_tokens = ["<|endoftext|>", "<pad>", "<s>"].map(str::to_owned).to_vec();
        let options =
            longweave_tokens::TrainOptions { vocab_size: 300, min_frequency: 2, special_tokens };
        longweave_tokens::train_bpe(corpus(50).lines(), &options).unwrap()
    })
}

/// The output's own files by name, without the manifest, sums and card, which name the run's paths
/// and times.
fn sequences(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(out).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if [
            ".jsonl",
            ".parquet",
            ".mds",
            ".mds.zstd",
            ".bin",
            ".idx",
            ".ds",
            ".ds.index",
            ".ds.metadata",
            ".npy",
            ".csv.gz",
            ".arrow",
        ]
        .iter()
        .any(|e| name.ends_with(e))
        {
            files.insert(name.clone(), fs::read(out.join(name)).unwrap());
        }
    }
    assert!(!files.is_empty(), "{} holds no sequences", out.display());
    files
}

/// The names and bytes of an output's files: all that is not hidden, except `run.json`, which names
/// the run's directory.
fn output(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(out, "", &mut found);
    found.retain(|name, _| !name.starts_with('.') && name != "run.json");
    assert!(found.contains_key("longweave.json") && found.len() > 4, "{:?}", found.keys());
    found
}

fn code<T>(result: Result<T>) -> &'static str {
    result.err().map_or("NONE", |e| e.code().name())
}
