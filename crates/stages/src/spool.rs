//! Spool: a large packed file is read once and written again as parts that tasks read side by side.

use longweave_common::{Code, Error};
use longweave_corpus::{CorpusOptions, Origin, Range, Split};

use crate::prelude::*;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SpoolCounts {
    /// Parts of the file.
    parts: u32,
    /// Their bytes, as stored.
    bytes: u64,
}

pub const SPOOL: Stage =
    Stage::new("spool", "Unpacking large files", ProgressUnit::Bytes, 1, &SpoolStage);

struct SpoolStage;

impl StageSpec for SpoolStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        Vec::new()
    }

    fn needed(&self, _options: &RunOptions, inventory: &Inventory) -> bool {
        inventory.spooled().next().is_some()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let inventory = &file.inventory;
        let files: Vec<_> =
            inventory.spooled().map(|(f, parts)| (&inventory.files[f as usize], parts)).collect();
        json!({ "files": files, "maxDocumentBytes": file.options.max_document_bytes })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.spooled().count() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let bytes = spooled_bytes(&run.file);
        Ok(tasks.iter().map(|&task| bytes[task as usize]).sum())
    }

    fn bytes(&self, run: &RunContext, _facts: &Facts) -> Result<f64> {
        // Parts are packed a little less than files that were packed to be kept.
        Ok(spooled_bytes(&run.file).iter().sum::<u64>() as f64 * 1.3)
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let inventory = &run.file.inventory;
        let missing =
            || Error::new(Code::Internal, format!("no packed file has the number {task}"));
        let (file, parts) = inventory.spooled().nth(task as usize).ok_or_else(missing)?;
        longweave_corpus::check_file_unchanged(inventory, file)?;
        let files = longweave_corpus::spool_file(ctx, &corpus(run), inventory, file, parts)?;
        let bytes: u64 = files.iter().map(|f| f.bytes).sum();
        SpoolCounts { parts, bytes }.done(files)
    }
}

impl Counts for SpoolCounts {
    const STAGE: Stage = SPOOL;
}

/// Bytes of each file that is spooled.
fn spooled_bytes(file: &RunFile) -> Vec<u64> {
    let inventory = &file.inventory;
    inventory.spooled().map(|(file, _)| inventory.files[file as usize].bytes).collect()
}

/// The corpus' options with absolute paths, and where its parts are spooled. Queries are not read:
/// which rows are documents does not depend on them, so that methods with queries and without have
/// the same.
pub fn corpus(run: &RunContext) -> CorpusOptions {
    CorpusOptions { query_field: None, ..corpus_with_queries(run) }
}

/// The same, with the queries of the documents' rows.
pub fn corpus_with_queries(run: &RunContext) -> CorpusOptions {
    CorpusOptions {
        spool: run.has(SPOOL).then(|| run.directory(SPOOL)),
        origin: if run.is_spooled() { Origin::Pushed } else { Origin::Corpus },
        ..run.file.absolute_corpus()
    }
}

/// Checks that the files of a split are those that were listed, and that a part of a packed file is
/// what was spooled.
///
/// Errors: `INPUT_CHANGED`, `FILE_CORRUPT`.
pub fn check_split(run: &RunContext, split: usize) -> Result<()> {
    let inventory = &run.file.inventory;
    longweave_corpus::check_unchanged(inventory, split)?;
    let Split { file, range: Range::Part { part, .. } } = inventory.splits[split] else {
        return Ok(());
    };
    let task = inventory.spooled().position(|(spooled, _)| spooled == file);
    let record = task
        .and_then(|task| run.all_done(SPOOL).ok()?.get(task)?.files.get(part as usize).cloned());
    record.map_or(Ok(()), |record| record.check(&run.directory(SPOOL)))
}
