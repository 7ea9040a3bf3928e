//! The summary of a run: counts, shares, warnings, as one record for people and programs.

use longweave_common::Result;
use longweave_corpus::Unread;
use longweave_formats::Format;
use longweave_plan::{Method, MethodName, Overflow, PlanStats, SourceTokens};
use longweave_run::{
    Mode, OutputFormat, PredictorName, RunContext, SpecialText, SpecialToken, TopicSource,
    VectorSource,
};
use serde::Serialize;
use serde_json::Value;
use ts_rs::TS;

use crate::centroids::{CentroidCounts, UsedSearch};
use crate::documents::{self, DocumentCounts, source_names};
use crate::embed::{EMBED, EmbedCounts};
use crate::extract::{ExtractCounts, LanguageCounts, languages};
use crate::index::IndexCounts;
use crate::ingest::SpecialCounts;
use crate::neighbours::{NEIGHBOURS, NeighbourCounts};
use crate::pack::PACK;
use crate::plan::PlanCounts;
use crate::predict::{PredictCounts, UsedPredictor};
use crate::report::{REPORT, ReportCounts};
use crate::shares::{Means, Shares, ratio};
use crate::topics::TopicListCounts;
use crate::vectors::{self, VectorCounts};

/// A source's share of the tokens may differ from the one that is asked for by this much.
const SHARE_MISSED: f64 = 0.02;

/// The outcome of a run. Parts that were not reached, or do not belong to the run, are null: a
/// prepared run has neither `corpus` nor `plan`.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The version of longweave that made it.
    pub version: &'static str,
    /// The method that composed the sequences.
    pub method: MethodName,
    /// The output directory. Null for the format `memory`.
    pub directory: Option<String>,
    /// The format of the output.
    pub format: OutputFormat,
    /// Tokens of a sequence.
    pub length: u32,
    /// The encoder that reads the tokenizer.json.
    pub encoder: String,
    /// The special tokens that are used, and how each was found.
    pub special_tokens: Vec<SpecialToken>,
    /// Counts of the corpus. Null until every row was read.
    pub corpus: Option<CorpusCounts>,
    /// The predictor of queries. Null for methods without keywords.
    pub predictor: Option<PredictorSummary>,
    /// Counts of keywords. Null for methods without keywords.
    pub keywords: Option<KeywordSummary>,
    /// The vectors of documents or chunks. Null for runs without vectors.
    pub vectors: Option<VectorSummary>,
    /// The search for nearest neighbours. Null for methods without neighbours.
    pub neighbours: Option<NeighbourSummary>,
    /// The list of topics. Null for methods without topics.
    pub topics: Option<TopicSummary>,
    /// Counts of the plan.
    pub plan: Option<PlanStats>,
    /// Shares that follow from the plan.
    pub shares: Option<Shares>,
    /// Means that follow from the plan.
    pub means: Option<Means>,
    /// Measures of a sample of sequences; `report.json` has more. Null for the format `memory`.
    pub sample: Option<ReportCounts>,
    /// Counts of the held-out documents' plan. Null without `holdout`.
    pub holdout: Option<PlanStats>,
    /// Files with sequences and their provenance. 0 until they are packed.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Seconds that this call took.
    pub seconds: f64,
    /// Sentences that a person should read before using the output.
    pub warnings: Vec<String>,
}

/// Counts of the corpus' files, rows, documents and tokens.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CorpusCounts {
    /// Files that were read. 0 where documents were handed over.
    pub files: u64,
    /// Rows, those without a document included.
    pub rows: u64,
    /// Rows that became documents.
    pub documents: u64,
    /// Rows without text.
    pub empty: u64,
    /// Rows that could not be used, listed in `rejects.jsonl`.
    pub rejected: u64,
    /// Documents whose id was changed because an earlier document has it.
    pub renamed: u64,
    /// Bytes of the documents' text in UTF-8.
    pub bytes: u64,
    /// Tokens of the documents' text.
    pub tokens: u64,
    /// Special tokens that are written in text.
    pub special_text: SpecialCounts,
    /// Documents with a source. 0 without `sourceField`.
    pub with_source: u64,
    /// Files and directories below the corpus that were not read, by reason and name.
    pub unread: Vec<Unread>,
    /// Documents in which half a surrogate pair became U+FFFD.
    pub replaced_surrogates: u64,
}

/// The predictor that made the queries.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PredictorSummary {
    /// The kind of predictor.
    pub name: PredictorName,
    /// Execution providers that were used, `cpu` or `cuda:N`. Empty for a predictor without a
    /// model.
    pub devices: Vec<String>,
    /// Layout and precision of the model. Null for a predictor without one.
    pub model: Option<String>,
    /// Why `device: auto` did not take a GPU, where one could have been there.
    #[serde(skip)]
    warning: Option<String>,
}

/// The vectors of documents, or of chunks for `nextlong`.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct VectorSummary {
    /// The maker of the vectors.
    pub source: VectorSource,
    /// Execution providers that were used, `cpu` or `cuda:N`. Empty for a source without a model.
    pub devices: Vec<String>,
    /// Numbers of a vector.
    pub dimensions: u64,
    /// Documents or chunks that have a vector.
    pub vectors: u64,
    /// Documents or chunks that have none: they have no token, share no word with another, or are
    /// missing from the file of vectors.
    pub zero_vectors: u64,
    /// Why `device: auto` did not take a GPU, where one could have been there.
    #[serde(skip)]
    warning: Option<String>,
}

/// The search for nearest neighbours.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct NeighbourSummary {
    /// `exact` compared all pairs, `inverted` only those of the nearest inverted lists.
    pub search: UsedSearch,
    /// Most neighbours of a vector.
    pub k: u32,
    /// Mean number of neighbours of a vector.
    pub mean: f64,
    /// Share of the exact neighbours that were found, 0 to 1, measured on a sample. Null for
    /// `exact`.
    pub recall: Option<f64>,
    /// Vectors of that sample.
    pub sampled: u64,
}

/// The list of topics. Counts of the plan say how many have documents.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TopicSummary {
    /// Where it comes from.
    pub source: TopicSource,
    /// Length of the list.
    pub topics: u64,
    /// Lines of the list that were left out because an earlier one has the same name.
    pub repeated: u64,
}

/// Counts of keywords.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct KeywordSummary {
    /// Documents with at least one query.
    pub with_query: u64,
    /// Documents with at least one candidate keyword.
    pub with_candidate: u64,
    /// Documents with a representative keyword.
    pub with_keyword: u64,
    /// Distinct representative keywords.
    pub distinct: u64,
    /// Counts of each language, most documents first.
    pub languages: Vec<LanguageCounts>,
}

/// Warnings that are known before the work begins.
pub fn warnings_of_preparation(run: &RunContext) -> Vec<String> {
    let tokenizer = &run.file.tokenizer;
    let fallback = tokenizer.fallback.as_ref().map(|why| {
        format!(
            "{} is read by the slower, exact encoder {}: {why}",
            run.options().tokenizer,
            tokenizer.encoder
        )
    });
    fallback.into_iter().collect()
}

/// The summary of what is done so far.
pub fn summary(run: &RunContext, mode: Mode, seconds: f64) -> Result<Summary> {
    let options = run.options();
    let mut summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        method: options.method.name(),
        directory: options.output.directory.clone(),
        format: options.output.format,
        length: options.length,
        encoder: run.file.tokenizer.encoder.clone(),
        special_tokens: run.file.tokenizer.special.clone(),
        corpus: None,
        predictor: None,
        keywords: None,
        vectors: None,
        neighbours: None,
        topics: None,
        plan: None,
        shares: None,
        means: None,
        sample: None,
        holdout: None,
        files: 0,
        bytes: 0,
        seconds,
        warnings: warnings_of_preparation(run),
    };
    if mode == Mode::Prepare {
        return Ok(summary);
    }
    if let Some(counts) = run.counts_if_done(0)? {
        documents::check_bad_rows(run, &counts)?;
        let DocumentCounts { rows, accepted, empty, rejected, bytes, tokens, renamed, .. } = counts;
        let files = run.file.inventory.files.len() as u64;
        summary.corpus = Some(CorpusCounts {
            files,
            rows,
            documents: accepted,
            empty,
            rejected,
            renamed,
            bytes,
            tokens,
            special_text: counts.special,
            with_source: counts.sources,
            unread: run.file.inventory.unread.clone(),
            replaced_surrogates: counts.surrogates,
        });
    }
    if options.needs_keywords() {
        summary.predictor = predictor(run)?;
        summary.keywords = Some(keywords(run)?);
    }
    if options.needs_vectors() {
        summary.vectors = Some(vectors(run)?);
        summary.neighbours = neighbours(run)?;
    }
    if options.needs_topics() {
        let TopicListCounts { topics, repeated, .. } = run.counts(0)?;
        summary.topics = Some(TopicSummary { source: options.topics.source, topics, repeated });
    }
    if let Some(PlanCounts { main, holdout }) = run.counts_if_done(0)? {
        summary.shares = Some(Shares::of(&main, options.length));
        summary.means = Some(Means::of(&main));
        summary.plan = Some(main);
        summary.holdout = holdout;
    }
    if run.has(REPORT) {
        summary.sample = run.counts_if_done(0)?;
    }
    if mode == Mode::Run && options.writes_files() {
        for record in run.all_done(PACK)?.iter() {
            summary.files += record.files.len() as u64;
            summary.bytes += record.files.iter().map(|f| f.bytes).sum::<u64>();
        }
    }
    let more = warnings(run, &summary);
    summary.warnings.extend(more);
    Ok(summary)
}

fn predictor(run: &RunContext) -> Result<Option<PredictorSummary>> {
    let mut found: Option<PredictorSummary> = None;
    for counts in run.all_counts::<PredictCounts>()? {
        let UsedPredictor { device, layout, warning, .. } = counts.predictor;
        let predictor = found.get_or_insert_with(|| PredictorSummary {
            name: run.options().queries.predictor,
            devices: Vec::new(),
            model: layout,
            warning: None,
        });
        predictor.devices.extend(device);
        predictor.warning = predictor.warning.take().or(warning);
    }
    if let Some(predictor) = &mut found {
        predictor.devices.sort();
        predictor.devices.dedup();
    }
    Ok(found)
}

fn vectors(run: &RunContext) -> Result<VectorSummary> {
    let VectorCounts { vectors, zero_vectors, dimensions } = vectors::counted(run)?;
    let mut found = VectorSummary {
        source: run.options().vectors.source,
        devices: Vec::new(),
        dimensions,
        vectors,
        zero_vectors,
        warning: None,
    };
    if run.has(EMBED) {
        for EmbedCounts { device, warning, .. } in run.all_counts()? {
            found.devices.extend(device);
            found.warning = found.warning.take().or(warning);
        }
        found.devices.sort();
        found.devices.dedup();
    }
    Ok(found)
}

fn neighbours(run: &RunContext) -> Result<Option<NeighbourSummary>> {
    if !run.has(NEIGHBOURS) {
        return Ok(None);
    }
    let CentroidCounts { search, vectors, .. } = run.counts(0)?;
    let tasks = run.all_counts::<NeighbourCounts>()?;
    let sum = |of: fn(&NeighbourCounts) -> u64| tasks.iter().map(of).sum::<u64>();
    let (found, sampled) = (sum(|counts| counts.found), sum(|counts| counts.sampled));
    let (expected, recalled) = (sum(|counts| counts.expected), sum(|counts| counts.recalled));
    let k = tasks.first().map_or(0, |counts| counts.k);
    let recall = (sampled > 0).then(|| if expected == 0 { 1.0 } else { ratio(recalled, expected) });
    Ok(Some(NeighbourSummary { search, k, mean: ratio(found, vectors), recall, sampled }))
}

fn keywords(run: &RunContext) -> Result<KeywordSummary> {
    let predicted = run.all_counts::<PredictCounts>()?;
    let extracted = run.all_counts::<ExtractCounts>()?;
    let IndexCounts { keywords, documents } = run.counts(0)?;
    Ok(KeywordSummary {
        languages: languages(run)?,
        with_query: predicted.iter().map(|counts| counts.documents).sum(),
        with_candidate: extracted.iter().map(|counts| counts.documents).sum(),
        with_keyword: documents,
        distinct: keywords,
    })
}

/// The languages with most documents, for messages.
fn most_common(languages: &[LanguageCounts]) -> String {
    let of = |counts: &LanguageCounts| {
        let LanguageCounts { language, documents, with_candidate } = counts;
        format!("{language} {with_candidate} of {documents}")
    };
    languages.iter().take(5).map(of).collect::<Vec<_>>().join(", ")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The special tokens that documents contain, and what became of them.
fn special_text(run: &RunContext, counts: &SpecialCounts) -> Option<String> {
    let outcome = match run.options().special_text {
        _ if counts.documents == 0 => return None,
        SpecialText::Text => "encoded as text; `specialText: token` keeps them as tokens",
        SpecialText::Token => {
            "kept as tokens, so trainers that cut at the end token cut inside documents; `specialText: text` encodes them as text"
        }
        SpecialText::Fail => "rejected with their rows",
    };
    let SpecialCounts { documents, occurrences, first } = counts;
    let and_more = if *documents > first.len() as u64 { ", …" } else { "" };
    Some(format!(
        "special tokens are written in the text of {documents} documents, {occurrences} times ({}{and_more}): {outcome}",
        first.join(", ")
    ))
}

fn warnings(run: &RunContext, summary: &Summary) -> Vec<String> {
    let of_predictor = summary.predictor.iter().filter_map(|p| p.warning.clone());
    let of_vectors = summary.vectors.iter().filter_map(|v| v.warning.clone());
    let mut warnings: Vec<String> = of_predictor.chain(of_vectors).collect();
    let Some(corpus) = &summary.corpus else { return warnings };
    if corpus.rejected > 0 {
        warnings.push(format!(
            "{} of {} rows were rejected; rejects.jsonl lists them with the reasons",
            corpus.rejected, corpus.rows
        ));
    }
    warnings.extend(special_text(run, &corpus.special_text));
    if let Some(field) = &run.options().source_field
        && corpus.with_source == 0
        && !run.is_spooled()
    {
        warnings.push(format!(
            "no document has a source: no row has a value in the field \"{field}\" (`sourceField`), and no directory is named {field}=NAME"
        ));
    }
    if corpus.replaced_surrogates > 0 {
        warnings.push(format!(
            "{} documents hold half a surrogate pair (like \\ud83d), which became U+FFFD; set `loneSurrogates: reject` to make them bad rows",
            corpus.replaced_surrogates
        ));
    }
    if summary.holdout.as_ref().is_some_and(|holdout| holdout.sequences == 0) {
        warnings.push(format!(
            "the holdout has no sequence: a share of {} of the pool does not fill one of {} \
             tokens, and readers of {} may refuse an empty output; raise `holdout`, or set \
             `incomplete: pad`",
            run.options().holdout,
            run.options().length,
            run.options().output.format.file().map_or("memory", Format::name)
        ));
    }
    let precomputed = run.options().queries.predictor == PredictorName::Precomputed;
    if let Some(keywords) = &summary.keywords
        && precomputed
        && keywords.with_query * 2 < corpus.documents
    {
        warnings.push(format!(
            "only {} of {} documents have a query; check that the ids of the queries are those of the documents (`idField`)",
            keywords.with_query, corpus.documents
        ));
    } else if let Some(keywords) = &summary.keywords
        && keywords.with_keyword * 2 < corpus.documents
    {
        warnings.push(format!(
            "only {} of {} documents have a keyword (languages: {}). RAKE finds phrases between \
             stop words: check that `keywords.language` is right, give stop words of a language \
             that has no list, or lower `minScore`",
            keywords.with_keyword,
            corpus.documents,
            most_common(&keywords.languages)
        ));
    }
    if let (Some(plan), Some(shares), Method::Quest(_)) =
        (&summary.plan, &summary.shares, &run.options().method.own)
        && (plan.rules.next + plan.rules.last) * 2 > plan.sequences
        && shares.single_keyword < 0.1
    {
        warnings.push(format!(
            "only {} of the tokens are in sequences of one keyword; {} of the sequences combine \
             leftovers of {:.0} keywords on average, in random order. At this size and length \
             Quest is close to Standard. To improve it use `fill: related`, `hierarchy: affinity`, \
             `representative: common`, more documents or a smaller `length`",
            percent(shares.single_keyword),
            percent((plan.rules.next + plan.rules.last) as f64 / plan.sequences as f64),
            ratio(plan.groups_per_sequence.sum, plan.sequences)
        ));
    }
    if let Some(recall) =
        summary.neighbours.as_ref().and_then(|n| n.recall).filter(|&recall| recall < 0.8)
    {
        warnings.push(format!(
            "inverted lists found only {} of the nearest neighbours of a sample; raise \
             `neighbours.probes`, or use `neighbours.search: exact`",
            percent(recall)
        ));
    }
    if let Some(vectors) = summary.vectors.as_ref().filter(|v| v.zero_vectors > v.vectors) {
        warnings.push(format!(
            "only {} of {} documents or chunks have a vector; a document without one has no \
             neighbours",
            vectors.vectors,
            vectors.vectors + vectors.zero_vectors
        ));
    }
    if let (Some(plan), Some(found)) = (&summary.plan, &summary.topics)
        && plan.topics.with_documents * 2 < found.topics
    {
        warnings.push(format!(
            "only {} of {} topics have a document of the pool: a word of a query must be in a text, \
             and in fewer than half of them",
            plan.topics.with_documents, found.topics
        ));
    }
    if let (Some(plan), Method::Knn(_) | Method::Nextlong(_)) =
        (&summary.plan, &run.options().method.own)
        && (plan.rules.next + plan.rules.last) * 2 > plan.sequences
    {
        let k = run.options().neighbour_depth().unwrap_or(0);
        warnings.push(format!(
            "{} of the sequences combine several neighbourhoods in random order, because {k} \
             neighbours do not fill {} tokens; raise `method.k`, lower `length`, or use `fill: \
             drop`",
            percent((plan.rules.next + plan.rules.last) as f64 / plan.sequences.max(1) as f64),
            run.options().length
        ));
    }
    if summary.neighbours.is_some() && run.options().overflow == Overflow::Whole {
        warnings.push(
            "`overflow: whole` orders documents by length where they do not fill a sequence, which \
             separates neighbours; `overflow: split` keeps their order"
                .into(),
        );
    }
    if let (Some(plan), Some(shares)) = (&summary.plan, &summary.shares) {
        if shares.dropped > 0.2 {
            warnings.push(format!(
                "{} of the tokens are in no sequence; change `fill`, `incomplete`, `overflow` or \
                 `tokens` to drop fewer",
                percent(shares.dropped)
            ));
        }
        warnings.extend(unmet_sources(run, plan));
        if plan.sequences_missing > 0 {
            warnings.push(format!(
                "`tokens` asks for {} sequences more than `maxUses` and the pool allow",
                plan.sequences_missing
            ));
        }
    }
    warnings
}

/// Sources whose share of the tokens is not the one that `sources` asks for, and those that are used
/// again and again for it.
fn unmet_sources(run: &RunContext, plan: &PlanStats) -> Vec<String> {
    let all = plan.tokens.in_sequences.max(1) as f64;
    let Ok(names) = source_names(run) else { return Vec::new() };
    let weighed = names.iter().zip(&plan.sources).filter_map(|(name, source)| {
        source.wanted.filter(|&wanted| wanted > 0.0).map(|wanted| (name, source, wanted))
    });
    let share = |source: &SourceTokens| source.in_sequences as f64 / all;
    let unmet: Vec<String> = weighed
        .clone()
        .filter(|(_, source, wanted)| (share(source) - wanted).abs() > SHARE_MISSED)
        .map(|(name, source, wanted)| {
            format!("\"{name}\" {} in place of {}", percent(share(source)), percent(wanted))
        })
        .collect();
    let mut warnings = Vec::new();
    if !unmet.is_empty() {
        warnings.push(format!(
            "the sources' shares of the tokens in sequences are not those of `sources`: {}; the \
             method repeats or drops more of some sources than of others",
            unmet.join(", ")
        ));
    }
    let again: Vec<String> = weighed
        .filter(|(_, source, _)| source.rate >= 1.0)
        .map(|(name, source, _)| {
            let tokens = source.pool;
            format!("\"{name}\" has {tokens} tokens")
        })
        .collect();
    if plan.epochs > 1 && !again.is_empty() {
        warnings.push(format!(
            "`tokens` and `sources` together need {} epochs, and so use each document of the \
             scarcest source in each of them: {}; lower `tokens` or its weight, or set `maxUses`",
            plan.epochs,
            again.join(", ")
        ));
    }
    warnings
}

/// The summary as a JSON value without what differs between equal runs.
pub fn lasting_counts(summary: &Summary) -> Value {
    let mut value = serde_json::to_value(summary).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        for name in [
            "seconds",
            "directory",
            "warnings",
            "version",
            "format",
            "length",
            "method",
            "encoder",
            "specialTokens",
        ] {
            map.remove(name);
        }
    }
    value
}
