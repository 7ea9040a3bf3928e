//! Commands over directories, with JSON in and out: what the binding calls.

use std::path::Path;
use std::sync::Arc;

use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_formats::{Directory, OutputFiles};
use longweave_remote::is_remote;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fetched::FetchedFiles;
use crate::options::LEAST_MEMORY;
use crate::show::ShowOptions;
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
///
/// Errors: `RUN_NOT_PREPARED`, `CANCELLED`.
pub fn tasks(out: &Path, cancel: &Cancel) -> Result<String> {
    let run = RunContext::open(out)?;
    cancel.check()?;
    to_json(&listing::list(&run)?)
}

/// Looks for a prepared run in `out`.
///
/// Errors: `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`.
pub fn find_run(out: &Path) -> Result<()> {
    RunContext::open_read_only(out).map(drop)
}

/// The state of the run in `out`.
///
/// Errors: `RUN_NOT_PREPARED`.
pub fn status(out: &Path) -> Result<String> {
    to_json(&crate::status::status(out)?)
}

/// A dry run with the given resolved options.
///
/// Errors: those of preparing the run; `CANCELLED`.
pub fn dry_run(options: &str, cancel: &Cancel) -> Result<String> {
    to_json(&crate::dry_run::dry_run(crate::RunOptions::parse(options)?, cancel)?)
}

/// Removes results that no run needs, see [`crate::clean`].
///
/// Errors: those of [`crate::clean::clean`].
pub fn clean(work: &Path, options: &str) -> Result<String> {
    to_json(&crate::clean::clean(work, &from_json("the options of clean", options)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageOptions {
    stage: String,
    tasks: listing::TaskSelection,
    /// 0 for one per core.
    threads: usize,
    memory: u64,
}

/// Runs the selected tasks of a stage: `{stage, tasks, threads, memory}` as JSON.
///
/// Errors: those of the tasks; a corrupt result of an earlier stage names the command that makes it
/// again; `CANCELLED`.
pub fn run_tasks(out: &Path, options: &str, cancel: &Cancel) -> Result<String> {
    let StageOptions { stage, tasks, threads, memory } = from_json("the tasks", options)?;
    if memory < LEAST_MEMORY {
        let message = format!("`memory` must be at least 16 MiB, but is {memory} bytes");
        return Err(Error::new(Code::OptionsInvalid, message).with("option", "memory"));
    }
    let stage = Stage::parse(&stage)?;
    let run = RunContext::open(out)?;
    run.check_inputs()?;
    let ctx = Ctx { cancel: cancel.clone(), ..Ctx::new(threads, memory)? };
    let events = Arc::new(Events::default());
    run.log.begin("stage", &run, threads);
    let work = || -> Result<_> {
        let tasks = listing::select(&run, stage, &tasks)?;
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
///
/// Errors: `OUTPUT_NOT_FOUND`, `VERIFY_FAILED`, `FILE_CORRUPT`, `CANCELLED`, and those of remote
/// stores.
pub fn verify(out: &Path, cancel: &Cancel) -> Result<String> {
    cancel.check()?;
    let files: Box<dyn OutputFiles> = match location(out) {
        Some(url) => Box::new(FetchedFiles::open(&url, cancel)?),
        None => Box::new(Directory::new(out)),
    };
    to_json(&longweave_formats::verify_files(files, cancel)?)
}

/// The URL of an output: `out` itself, or where the run in the directory `out` sent its output.
pub(crate) fn location(out: &Path) -> Option<String> {
    out.to_str().filter(|path| is_remote(path)).map(str::to_owned).or_else(|| uploaded(out))
}

/// Where the run in `out` sent its output; `None` for one that stayed, and for a directory without a run.
fn uploaded(out: &Path) -> Option<String> {
    let text = std::fs::read_to_string(out.join("run.json")).ok()?;
    let run: serde_json::Value = serde_json::from_str(&text).ok()?;
    run["options"]["output"]["upload"].as_str().map(str::to_owned)
}

/// The keywords with most documents, most first, ties in byte order.
///
/// Errors: `RUN_NOT_PREPARED`, `NOT_KEYWORDED`, `STAGE_NOT_READY`.
pub fn top_keywords(out: &Path, n: usize) -> Result<String> {
    to_json(&top_keywords_of(&RunContext::open(out)?, n)?)
}

/// The same of an opened run.
pub(crate) fn top_keywords_of(run: &RunContext, n: usize) -> Result<Vec<KeywordCount>> {
    if !run.options().needs_keywords() {
        let message = format!(
            "the run in {} has no keywords: its method is {}",
            run.out().display(),
            run.options().method.name().as_str()
        );
        return Err(Error::new(Code::NotKeyworded, message));
    }
    run.require(Stage::Index)?;
    let index = longweave_index::Index::open(&run.directory(Stage::Index))?;
    let count =
        |(keyword, documents): (&str, u64)| KeywordCount { keyword: keyword.to_owned(), documents };
    Ok(index.top(n).into_iter().map(count).collect())
}

/// The options of [`crate::read::OutputReader::show`] from JSON.
///
/// Errors: `OPTIONS_INVALID`.
pub fn show_options(options: &str) -> Result<ShowOptions> {
    from_json("the options of show", options)
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

/// Trains a byte-level BPE tokenizer on a corpus and writes its tokenizer.json; for the demo and tests.
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
        origin: longweave_corpus::Origin::Corpus,
    };
    let inventory = longweave_corpus::inventory(&ctx, &options)?;
    let mut texts = Vec::new();
    for split in 0..inventory.splits.len() {
        let before = longweave_corpus::Before::default();
        let mut reader =
            longweave_corpus::RowReader::open(&ctx, &options, &inventory, split, before)?;
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
