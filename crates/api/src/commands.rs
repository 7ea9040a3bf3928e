//! Commands over directories, with JSON in and out: what the binding calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longweave_common::{Cancel, Ctx, Result};
use longweave_driver::Events;
use longweave_formats::{Directory, OutputFiles};
use longweave_run::{RunContext, RunOptions};
use longweave_stages::STAGES;
use serde::Deserialize;
use serde_json::json;

use crate::fetched::{FetchedFiles, location};
use crate::job::{Job, JobOptions};
use crate::json::{from_json, to_json};
use crate::show::ShowOptions;
use crate::tasks as listing;

/// The stages of the run in `out`.
///
/// Errors: `RUN_NOT_PREPARED`, `CANCELLED`.
pub fn tasks(out: &Path, cancel: &Cancel) -> Result<String> {
    let run = RunContext::open(STAGES, out)?;
    cancel.check()?;
    to_json(&listing::list(&run)?)
}

/// Looks for a prepared run in `out`.
///
/// Errors: `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`.
pub fn find_run(out: &Path) -> Result<()> {
    RunContext::open_read_only(STAGES, out).map(drop)
}

/// The state of the run in `out`.
///
/// Errors: `RUN_NOT_PREPARED`.
pub fn status(out: &Path) -> Result<String> {
    to_json(&longweave_driver::status::status(out)?)
}

/// Asks the driver of the run in `out` to stop, and waits for it at most `wait` seconds: the driver,
/// or null where there is none.
///
/// Errors: `RUN_NOT_PREPARED`; those of [`longweave_run::stop`].
pub fn stop(out: &Path, wait: f64, cancel: &Cancel) -> Result<String> {
    let patience = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
    let stopped = longweave_run::stop(out, patience, cancel)?;
    if stopped.is_none() {
        // A run that is being prepared has a driver before its file.
        RunContext::open_read_only(STAGES, out)?;
    }
    to_json(&stopped)
}

/// A dry run with the given resolved options.
///
/// Errors: those of preparing the run; `CANCELLED`.
pub fn dry_run(options: &str, cancel: &Cancel) -> Result<String> {
    to_json(&longweave_driver::dry_run(RunOptions::parse(options)?, cancel)?)
}

/// Removes results that no run needs, see [`longweave_driver::clean`].
///
/// Errors: those of [`longweave_driver::clean::clean`].
pub fn clean(work: &Path, options: &str) -> Result<String> {
    to_json(&longweave_driver::clean::clean(work, &from_json("the options of clean", options)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageOptions {
    stage: String,
    tasks: listing::TaskSelection,
    /// 0 for one per core.
    threads: usize,
    memory: u64,
    scratch: Option<PathBuf>,
}

/// Runs the selected tasks of a stage: `{stage, tasks, threads, memory, scratch}` as JSON.
///
/// Errors: those of the tasks; a corrupt result of an earlier stage names the command that makes it
/// again; `CANCELLED`.
pub fn run_tasks(out: &Path, options: &str, cancel: &Cancel) -> Result<String> {
    let StageOptions { stage, tasks, threads, memory, scratch } = from_json("the tasks", options)?;
    let events = Arc::new(Events::default());
    let job = Job::open(out, &JobOptions { threads, memory, scratch }, false, cancel)?;
    let records = job.run(&stage, &tasks, cancel, &events);
    job.end(events.seconds());
    to_json(&records?)
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

/// The keywords with most documents, most first, ties in byte order.
///
/// Errors: `RUN_NOT_PREPARED`, `NOT_KEYWORDED`, `STAGE_NOT_READY`.
pub fn top_keywords(out: &Path, n: usize) -> Result<String> {
    to_json(&listing::top_keywords(&RunContext::open(STAGES, out)?, n)?)
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

/// Trains a byte-level BPE tokenizer on a corpus and writes its tokenizer.json; for the demo and
/// tests.
pub fn train_tokenizer(options: &str) -> Result<String> {
    let TrainOptions { corpus, text_field, vocab_size, min_frequency, special_tokens, out } =
        from_json("the training options", options)?;
    let ctx = Ctx::new(0, 2 << 30)?;
    // Whole files: nothing is spooled here.
    let options = longweave_corpus::CorpusOptions::of_files(corpus, &text_field);
    let inventory = longweave_corpus::inventory(&ctx, &options)?;
    let mut texts = Vec::new();
    for split in 0..inventory.splits.len() {
        let before = longweave_corpus::Before::default();
        let mut reader =
            longweave_corpus::RowReader::open(&ctx, &options, &inventory, split, before)?;
        while let Some(row) = reader.next()? {
            if let longweave_corpus::Content::Document(document) = &row.content
                && document.tokens.is_none()
            {
                texts.push(document.text.to_owned());
            }
        }
    }
    let training = longweave_tokens::TrainOptions { vocab_size, min_frequency, special_tokens };
    let tokenizer = longweave_tokens::train_bpe(texts.iter().map(String::as_str), &training)?;
    longweave_storage::write_file(Path::new(&out), tokenizer.as_bytes())?;
    to_json(&json!({ "file": out, "documents": texts.len() }))
}
