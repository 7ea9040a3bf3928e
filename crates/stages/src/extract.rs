//! Extract: RAKE phrases of a split's queries, the candidates for each document's keyword.

use longweave_index::CandidateWriter;
use longweave_keywords::{Rake, RakeOptions};
use longweave_run::load_stop_words;
use rayon::prelude::*;

use crate::predict::{PREDICT, QueryFiles};
use crate::prelude::*;
use crate::scan;

/// Documents whose candidates are found at once.
const BATCH: usize = 4096;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ExtractCounts {
    /// Documents with a candidate.
    pub documents: u64,
    pub candidates: u64,
}

pub const EXTRACT: Stage =
    Stage::new("extract", "Extracting keywords", ProgressUnit::Documents, 1, &ExtractStage);

struct ExtractStage;

impl StageSpec for ExtractStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![PREDICT]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_keywords()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let keywords = &file.options.keywords;
        json!({ "stopWords": keywords.stop_words, "list": file.input("stopWords"),
            "minScore": keywords.min_score })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        scan::rows_in(run, tasks)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let segments = facts.tokens / f64::from(run.options().queries.segment_tokens);
        Ok((facts.rows + segments) * 90.0)
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let rake = run.shared.get(|| {
            let keywords = &run.options().keywords;
            let list = load_stop_words(&keywords.stop_words, run.resources.base())?;
            let options = RakeOptions { min_score: keywords.min_score, ..RakeOptions::default() };
            Ok(Rake::new(list, options))
        })?;
        let predicted = run.all_done(PREDICT)?;
        let queries = QueryFiles::open(&run.directory(PREDICT), task, &predicted[task as usize])?;
        let directory = run.directory(EXTRACT);
        let mut writer = CandidateWriter::create(&directory.join(format!("{task:05}")))?;
        let (mut documents, mut candidates) = (0u64, 0u64);
        for first in (0..queries.rows()).step_by(BATCH) {
            ctx.cancel.check()?;
            let batch = queries.read(first..(first + BATCH).min(queries.rows()))?;
            let rows: Vec<usize> = (0..batch.len()).collect();
            let chunk = rows.len().div_ceil(ctx.pool.current_num_threads() * 4).max(64);
            let found: Vec<Vec<Vec<String>>> = ctx.pool.install(|| {
                rows.par_chunks(chunk)
                    .map(|rows| {
                        let mut scratch = rake.scratch();
                        rows.iter()
                            .map(|&row| {
                                longweave_keywords::candidates(&rake, &mut scratch, batch.of(row))
                            })
                            .collect()
                    })
                    .collect()
            });
            for phrases in found.iter().flatten() {
                documents += u64::from(!phrases.is_empty());
                candidates += phrases.len() as u64;
                writer.push(phrases.iter().map(String::as_str))?;
            }
            ctx.progress.advance(batch.len() as u64);
        }
        (ExtractCounts { documents, candidates }).done(writer.commit()?)
    }
}

impl Counts for ExtractCounts {
    const STAGE: Stage = EXTRACT;
}
