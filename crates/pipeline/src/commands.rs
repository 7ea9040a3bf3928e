//! Commands over directories, with JSON in and out: what the binding calls.

use std::path::Path;
use std::sync::Arc;

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_remote::is_remote;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fetched::FetchedFiles;
use crate::options::LEAST_MEMORY;
use crate::tasks::{KeywordCount, TaskRecord};
use crate::{Events, RunContext, Stage, driver, repair, tasks as listing};

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(Code::Internal, format!("a result as JSON: {e}")))
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(what: &str, json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| {
        Error::new(Code::OptionsInvalid, format!("{what} do not have the expected shape: {e}"))
    })
}

/// The stages of the run in `out`.
pub fn tasks(out: &Path) -> Result<String> {
    to_json(&listing::list(&RunContext::open(out)?)?)
}

/// How the run in `out` is going.
pub fn status(out: &Path) -> Result<String> {
    to_json(&crate::status::status(out)?)
}

/// What a run with these resolved options would do.
pub fn dry_run(options: &str) -> Result<String> {
    to_json(&crate::dry_run::dry_run(crate::RunOptions::parse(options)?)?)
}

/// Takes away what no run needs, see [`crate::clean`].
pub fn clean(work: &Path, options: &str) -> Result<String> {
    to_json(&crate::clean::clean(work, &from_json("the options of clean", options)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageOptions {
    /// 0 for one per core.
    threads: usize,
    memory: u64,
}

/// Runs the selected tasks of a stage, see [`listing::select`].
///
/// Errors: whatever a task meets; a damaged result of an earlier stage by the command that makes it again.
pub fn run_stage(out: &Path, stage: &str, selection: &str, options: &str) -> Result<String> {
    let StageOptions { threads, memory } = from_json("the stage's options", options)?;
    if memory < LEAST_MEMORY {
        let message = format!("`memory` must be at least 16 MiB, but is {memory} bytes");
        return Err(Error::new(Code::OptionsInvalid, message).with("option", "memory"));
    }
    let stage = Stage::parse(stage)?;
    let run = RunContext::open(out)?;
    run.check_inputs()?;
    let ctx = Ctx::new(threads, memory)?;
    let events = Arc::new(Events::default());
    run.log.begin("stage", &run, threads);
    let work = || -> Result<_> {
        let tasks = listing::select(&run, stage, selection)?;
        run.sweep_stage(stage);
        let records = driver::run_tasks(&ctx, &run, &events, stage, &tasks)?;
        Ok((tasks, records))
    };
    let result = work().map_err(|e| repair::explain(&ctx, &run, e));
    run.log.end(result.as_ref(), events.seconds());
    let (tasks, records) = result?;
    let list: Vec<TaskRecord> = tasks
        .into_iter()
        .zip(records)
        .map(|(task, record)| TaskRecord::new(stage, task, record))
        .collect();
    to_json(&list)
}

/// Checks an output: a directory, a URL, or the directory of a run that sent its output to one.
pub fn verify(out: &Path) -> Result<String> {
    let url = match out.to_str().filter(|path| is_remote(path)) {
        Some(url) => Some(url.to_owned()),
        None => uploaded(out),
    };
    to_json(&match url {
        Some(url) => {
            longweave_formats::verify_files(Box::new(FetchedFiles::open(&url, &Cancel::new())?))?
        }
        None => longweave_formats::verify_output(out)?,
    })
}

/// Where the run in `out` sent its output; `None` for one that stayed, and for a directory that is no run's.
pub(crate) fn uploaded(out: &Path) -> Option<String> {
    let text = std::fs::read_to_string(out.join("run.json")).ok()?;
    let run: serde_json::Value = serde_json::from_str(&text).ok()?;
    run["options"]["output"]["upload"].as_str().map(str::to_owned)
}

/// The keywords with most documents, most first, ties in byte order.
pub fn top_keywords(out: &Path, n: usize) -> Result<String> {
    let run = RunContext::open(out)?;
    if !run.options().needs_keywords() {
        let message = format!(
            "the run in {} has no keywords: its method is {}",
            out.display(),
            run.options().method_name()
        );
        return Err(Error::new(Code::NotKeyworded, message));
    }
    run.require(Stage::Index)?;
    let index = longweave_index::Index::open(&run.directory(Stage::Index))?;
    to_json(
        &index
            .top(n)
            .into_iter()
            .map(|(keyword, documents)| KeywordCount { keyword: keyword.to_owned(), documents })
            .collect::<Vec<_>>(),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrainOptions {
    corpus: Vec<String>,
    text_field: String,
    vocab_size: u32,
    min_frequency: u32,
    special_tokens: Vec<String>,
    out: String,
}

/// Trains a byte-level BPE tokenizer on a corpus and writes its tokenizer.json.
pub fn train_tokenizer(options: &str) -> Result<String> {
    let TrainOptions { corpus, text_field, vocab_size, min_frequency, special_tokens, out } =
        from_json("the training options", options)?;
    let ctx = Ctx::new(0, 2 << 30)?;
    let options = longweave_corpus::CorpusOptions {
        paths: corpus,
        root: None,
        text_field,
        id_field: None,
        query_field: None,
        source_field: None,
        max_document_bytes: 64 << 20,
        // Whole files: nothing is spooled here.
        split_bytes: u64::MAX,
        spool: None,
    };
    let inventory = longweave_corpus::inventory(&ctx, &options)?;
    let mut texts = Vec::new();
    for split in 0..inventory.splits.len() {
        let mut reader = longweave_corpus::RowReader::open(&ctx, &options, &inventory, split, 0)?;
        while let Some(row) = reader.next()? {
            if let longweave_corpus::Content::Document(document) = &row.content {
                texts.push(document.text.to_owned());
            }
        }
    }
    let training = longweave_tokens::TrainOptions { vocab_size, min_frequency, special_tokens };
    let tokenizer = longweave_tokens::train_bpe(texts.iter().map(String::as_str), &training)?;
    longweave_storage::write_file(Path::new(&out), tokenizer.as_bytes())?;
    to_json(&json!({ "file": out, "documents": texts.len() }))
}

/// A sequence as a person reads it, see [`crate::show`].
pub fn show(out: &Path, sequence: u64, options: &str) -> Result<String> {
    to_json(&crate::show::show(out, sequence, &from_json("the options of show", options)?)?)
}
