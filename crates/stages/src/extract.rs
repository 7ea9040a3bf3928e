//! Extract: RAKE phrases of a split's queries, the candidates for each document's keyword.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use longweave_index::CandidateWriter;
use longweave_keywords::{RakeOptions, Rakes, Scratch};
use longweave_language::Language;
use longweave_run::{KeywordPhrases, load_stop_words};
use rayon::prelude::*;
use ts_rs::TS;

use crate::predict::{PREDICT, QueryFiles};
use crate::prelude::*;
use crate::scan;

/// Documents whose candidates are found at once.
const BATCH: usize = 4096;

/// Counts of a task, in its done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtractCounts {
    /// Documents with a candidate.
    pub documents: u64,
    pub candidates: u64,
    /// By code of a language: its documents, and those with a candidate.
    pub languages: BTreeMap<String, [u64; 2]>,
}

/// Counts of the documents of a language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct LanguageCounts {
    /// Its code, of ISO 639-1 where there is one; `und` for a language that longweave does not know.
    pub language: String,
    /// Documents in it.
    pub documents: u64,
    /// Those with at least one candidate keyword.
    pub with_candidate: u64,
}

/// Counts of each language of a run, most documents first.
///
/// Errors: those of reading done records.
pub(crate) fn languages(run: &RunContext) -> Result<Vec<LanguageCounts>> {
    let extracted = run.all_counts::<ExtractCounts>()?;
    let mut sums = BTreeMap::<&str, [u64; 2]>::new();
    for (language, counts) in extracted.iter().flat_map(|counts| &counts.languages) {
        let sum = sums.entry(language).or_default();
        *sum = [sum[0] + counts[0], sum[1] + counts[1]];
    }
    let counts = |(language, [documents, with_candidate]): (&str, [u64; 2])| LanguageCounts {
        language: language.to_owned(),
        documents,
        with_candidate,
    };
    let mut languages: Vec<LanguageCounts> = sums.into_iter().map(counts).collect();
    languages.sort_by_key(|counts| Reverse(counts.documents));
    Ok(languages)
}

pub const EXTRACT: Stage =
    Stage::new("extract", "Extracting keywords", ProgressUnit::Documents, 3, &ExtractStage);

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
            "minScore": keywords.min_score, "phrases": keywords.phrases })
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
        let rakes = run.shared.get(|| {
            let keywords = &run.options().keywords;
            let list = load_stop_words(&keywords.stop_words, run.resources.base())?;
            let options = RakeOptions {
                min_score: keywords.min_score,
                names: keywords.phrases == KeywordPhrases::Searchable,
                ..RakeOptions::default()
            };
            Ok(Rakes::new(list, None, options))
        })?;
        let searchable = run.options().keywords.phrases == KeywordPhrases::Searchable;
        let predicted = run.all_done(PREDICT)?;
        let queries = QueryFiles::open(&run.directory(PREDICT), task, &predicted[task as usize])?;
        let directory = run.directory(EXTRACT);
        let mut writer = CandidateWriter::create(&directory.join(format!("{task:05}")))?;
        let (mut documents, mut candidates) = (0u64, 0u64);
        let mut by_language = [[0u64; 2]; Language::COUNT];
        for first in (0..queries.rows()).step_by(BATCH) {
            ctx.cancel.check()?;
            let batch = queries.read(first..(first + BATCH).min(queries.rows()))?;
            let rows: Vec<usize> = (0..batch.len()).collect();
            let chunk = rows.len().div_ceil(ctx.pool.current_num_threads() * 4).max(64);
            let found: Vec<Vec<Vec<String>>> = ctx.pool.install(|| {
                rows.par_chunks(chunk)
                    .map(|rows| {
                        let mut scratch = Scratch::default();
                        rows.iter()
                            .map(|&row| {
                                // A row without a document has no queries.
                                let language = queries.language(first + row);
                                let language = language.unwrap_or(Language::ENGLISH);
                                let rake = rakes.of(language);
                                let mut phrases = longweave_keywords::candidates(
                                    rake,
                                    &mut scratch,
                                    batch.of(row),
                                );
                                if searchable && language == Language::ENGLISH {
                                    longweave_keywords::keep_searchable(&mut phrases);
                                }
                                phrases
                            })
                            .collect()
                    })
                    .collect()
            });
            for (phrases, row) in found.iter().flatten().zip(first..) {
                documents += u64::from(!phrases.is_empty());
                if let Some(language) = queries.language(row) {
                    let [all, with_candidate] = &mut by_language[language.index()];
                    *all += 1;
                    *with_candidate += u64::from(!phrases.is_empty());
                }
                candidates += phrases.len() as u64;
                writer.push(phrases.iter().map(String::as_str))?;
            }
            ctx.progress.advance(batch.len() as u64);
        }
        let languages = Language::all()
            .map(|language| (language.code().to_owned(), by_language[language.index()]))
            .filter(|(_, counts)| counts[0] > 0)
            .collect();
        (ExtractCounts { documents, candidates, languages }).done(writer.commit()?)
    }
}

impl Counts for ExtractCounts {
    const STAGE: Stage = EXTRACT;
}
