//! Topics: the list of topics, of the run's own keywords, from a file, or by a command.
//!
//! Files: `00000.topics.arrow` (names) and `00000.queries.arrow` (what is searched for each); those
//! of a command have a token in their names, because it may write other topics another time.

mod list;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Code, Error};
use longweave_index::Index;
use longweave_neighbours::QueryWords;
use longweave_run::TopicSource;
use longweave_storage::{FileRecord, StringTable, read_strings, write_strings};
use xxhash_rust::xxh3::Xxh3Default;

pub use list::TopicList;

use crate::attempt::{self, prefix, recorded_prefix};
use crate::index::INDEX;
use crate::prelude::*;

/// The counts in the task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicListCounts {
    /// Length of the list.
    pub topics: u64,
    /// Lines that were left out because an earlier one has the same name.
    pub repeated: u64,
    /// Of names and queries: tables that were made of other topics are found by it.
    pub digest: String,
}

pub const TOPICS: Stage =
    Stage::new("topics", "Listing topics", ProgressUnit::Tasks, 1, &TopicsStage);

struct TopicsStage;

impl StageSpec for TopicsStage {
    fn inputs(&self, options: &RunOptions) -> Vec<Stage> {
        match options.topics.source {
            TopicSource::Keywords => vec![INDEX],
            TopicSource::File | TopicSource::Command => Vec::new(),
        }
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_topics()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let topics = &file.options.topics;
        match topics.source {
            TopicSource::Keywords => {
                json!({ "source": topics.source, "most": topics.most,
                    "minDocuments": topics.min_documents })
            }
            TopicSource::File => json!({ "source": topics.source, "list": file.input("topics") }),
            TopicSource::Command => {
                json!({ "source": topics.source, "command": topics.command })
            }
        }
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        Ok(number(run, facts) * 60.0)
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        match run.options().topics.source {
            // The index.
            TopicSource::Keywords => facts.rows * 40.0,
            TopicSource::File | TopicSource::Command => number(run, facts) * 200.0,
        }
    }

    fn sweep(&self, run: &RunContext) {
        attempt::sweep(run, TOPICS);
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let options = &run.options().topics;
        let list = match (options.source, &options.file, &options.command) {
            (TopicSource::File, Some(file), _) => TopicList::of_file(&run.resources.path(file))?,
            (TopicSource::Command, _, Some(command)) => {
                TopicList::of_command(ctx, command, &run.resources.base().join(""))?
            }
            _ => of_keywords(run)?,
        };
        if options.source == TopicSource::Command {
            check_unchanged(run, &list)?;
        }
        let prefix = prefix(task, options.source == TopicSource::Command);
        let file = |kind: &str, texts: &[String]| -> Result<FileRecord> {
            let path = run.directory(TOPICS).join(format!("{prefix}.{kind}.arrow"));
            Ok(FileRecord::at(&path, write_strings(&path, kind, texts)?))
        };
        let files = vec![file("topics", &list.names)?, file("queries", &list.queries)?];
        ctx.progress.advance(1);
        let (topics, repeated) = (list.names.len() as u64, list.repeated);
        TopicListCounts { topics, repeated, digest: digest(&list) }.done(files)
    }

    fn reopen(&self, run: &RunContext, _task: u32) {
        if let Some(open) = run.shared.made::<OpenTopics>() {
            *open.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Refuses a list other than the one that documents were searched with: a command that runs again,
/// because its list was damaged, may write another.
///
/// Errors: `TOPICS_INVALID`.
fn check_unchanged(run: &RunContext, list: &TopicList) -> Result<()> {
    let splits = run.file.inventory.splits.len() as u32;
    let Some(postings) = run.stages().find(|stage| stage.name == "postings") else { return Ok(()) };
    // A damaged record is found by the stage that reads it.
    let searched = (0..splits).find_map(|split| run.done(postings, split).ok().flatten());
    let Some(searched) = searched else { return Ok(()) };
    if searched.counts["topics"].as_str().is_none_or(|before| before == digest(list)) {
        return Ok(());
    }
    let folders = [TOPICS, postings].map(|stage| run.directory(stage).display().to_string());
    let message = format!(
        "the list of topics was damaged, and `topics.command` writes other topics than before; let \
         it write those again, or delete {} and run again",
        folders.join(" and ")
    );
    Err(Error::new(Code::TopicsInvalid, message).with("option", "topics.command"))
}

impl Counts for TopicListCounts {
    const STAGE: Stage = TOPICS;
}

fn digest(list: &TopicList) -> String {
    let mut hash = Xxh3Default::new();
    for text in list.names.iter().chain(&list.queries) {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    format!("{:016x}", hash.digest())
}

/// The keywords with most documents.
fn of_keywords(run: &RunContext) -> Result<TopicList> {
    let options = &run.options().topics;
    let index = Index::open(&run.directory(INDEX))?;
    let least = u64::from(options.min_documents);
    let top = index.top(options.most as usize).into_iter();
    let names: Vec<String> =
        top.take_while(|&(_, documents)| documents >= least).map(|(name, _)| name.into()).collect();
    if names.is_empty() {
        let message = format!(
            "no keyword is that of {least} documents, so there are no topics; lower \
             `topics.minDocuments`, or give topics with `topics.file`"
        );
        return Err(Error::new(Code::TopicsInvalid, message));
    }
    Ok(TopicList { queries: names.clone(), names, repeated: 0 })
}

/// The number of topics, counted or estimated.
pub(crate) fn number(run: &RunContext, facts: &Facts) -> f64 {
    if let Ok(Some(TopicListCounts { topics, .. })) = run.counts_if_done(0) {
        return topics as f64;
    }
    let options = &run.options().topics;
    match (options.source, &options.file) {
        // About a keyword for 30 documents has at least 10, on encyclopedia articles and news.
        (TopicSource::Keywords, _) => f64::from(options.most).min(facts.rows / 30.0),
        (TopicSource::File, Some(file)) => {
            std::fs::metadata(run.resources.path(file)).map_or(0.0, |file| file.len() as f64 / 25.0)
        }
        // As many as LiteLong has.
        _ => 32_768.0,
    }
}

/// The table of topics' names.
fn names_file(run: &RunContext) -> Result<PathBuf> {
    file(run, "topics")
}

/// Finds the table of names by the record: a command that is repeated writes another.
pub(crate) struct NamesPlace {
    record: PathBuf,
    directory: PathBuf,
    /// The table when the place was made.
    first: PathBuf,
}

impl NamesPlace {
    pub(crate) fn of(run: &RunContext) -> Result<NamesPlace> {
        let first = names_file(run)?;
        Ok(NamesPlace { record: run.record(TOPICS, 0), directory: run.directory(TOPICS), first })
    }

    /// The table of the record as it is now.
    pub(crate) fn file(&self) -> Result<PathBuf> {
        let record = DoneRecord::load(&self.record)?;
        let name = |record| format!("{}.topics.arrow", recorded_prefix(&record, 0));
        let now = record.map(|record| self.directory.join(name(record)));
        Ok(now.unwrap_or_else(|| self.first.clone()))
    }
}

fn file(run: &RunContext, kind: &str) -> Result<PathBuf> {
    let prefix = recorded_prefix(&run.all_done(TOPICS)?[0], 0);
    Ok(run.directory(TOPICS).join(format!("{prefix}.{kind}.arrow")))
}

/// The names of a finished stage's topics.
pub(crate) fn names(run: &RunContext) -> Result<StringTable> {
    read_strings(&names_file(run)?)
}

/// The words of all queries.
pub(crate) struct TopicWords {
    pub(crate) words: QueryWords,
    /// Of the list of topics.
    pub(crate) digest: String,
}

/// Of a finished stage, until its task is repeated.
#[derive(Default)]
struct OpenTopics(Mutex<Option<Arc<TopicWords>>>);

/// The words of a finished stage's queries, as tasks of a process share them.
pub(crate) fn words(run: &RunContext) -> Result<Arc<TopicWords>> {
    let shared = run.shared.get(|| Ok(OpenTopics::default()))?;
    let mut held = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(words) = &*held {
        return Ok(Arc::clone(words));
    }
    let words = QueryWords::of(read_strings(&file(run, "queries")?)?.iter());
    let TopicListCounts { digest, .. } = run.counts(0)?;
    let words = Arc::new(TopicWords { words, digest });
    *held = Some(Arc::clone(&words));
    Ok(words)
}
