//! What a run came to: counts, shares, warnings, as one record for people and programs.

use longweave_common::Result;
use longweave_plan::{Overflow, PlanStats};
use serde::Serialize;
use serde_json::Value;

use crate::counts::counts;
use crate::options::{OutputFormat, VectorSource};
use crate::session::Mode;
use crate::stages::documents::DocumentCounts;
use crate::stages::neighbours::NeighbourCounts;
use crate::stages::plan::PlanCounts;
use crate::stages::report::ReportCounts;
use crate::{MethodOptions, RunContext, Stage};

/// The summary of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// longweave's version.
    pub version: &'static str,
    /// The method.
    pub method: &'static str,
    /// The output directory; none for `memory`.
    pub directory: Option<String>,
    /// The format.
    pub format: OutputFormat,
    /// Tokens of a sequence.
    pub length: u32,
    /// The encoder that reads the tokenizer.json.
    pub encoder: String,
    /// What the corpus came to.
    pub corpus: Option<Corpus>,
    /// What predicted the queries.
    pub predictor: Option<Predictor>,
    /// What keywords came to.
    pub keywords: Option<Keywords>,
    /// What made the vectors.
    pub vectors: Option<Vectors>,
    /// How neighbours were looked for.
    pub neighbours: Option<Neighbours>,
    /// The plan, see `PlanStats`.
    pub plan: Option<PlanStats>,
    /// Shares that follow from the plan.
    pub shares: Option<Shares>,
    /// What was measured on a sample of sequences; `report.json` has more.
    pub sample: Option<ReportCounts>,
    /// The plan of the held-out documents.
    pub holdout: Option<PlanStats>,
    /// Files written, without the manifest's own.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Seconds this call took.
    pub seconds: f64,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What the corpus came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Corpus {
    /// Files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that are documents.
    pub documents: u64,
    /// Rows without text.
    pub empty: u64,
    /// Rows in `rejects.jsonl`.
    pub rejected: u64,
    /// Documents whose id was changed because another has it.
    pub renamed: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens of text.
    pub tokens: u64,
}

/// What predicted the queries.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Predictor {
    /// `extractive`, `precomputed` or `onnx`.
    pub name: String,
    /// The execution providers that were really used, `cpu` or `cuda:N`; none for predictors that need no device.
    pub devices: Vec<String>,
    /// Layout and precision of the model.
    pub model: Option<String>,
    /// Why `device: auto` did not take a GPU, where one could have been there; told among the warnings.
    #[serde(skip)]
    warning: Option<String>,
}

/// What made the vectors of documents, or of chunks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vectors {
    /// What makes them.
    pub source: VectorSource,
    /// The execution providers that were really used; none for sources that need no device.
    pub devices: Vec<String>,
    /// Numbers of a vector.
    pub dimensions: u64,
    /// Documents or chunks with a vector.
    pub vectors: u64,
    /// Those without one: without a token, or a word that another has, or not in the file.
    pub zero_vectors: u64,
    /// Why `device: auto` did not take a GPU, where one could have been there; told among the warnings.
    #[serde(skip)]
    warning: Option<String>,
}

/// How neighbours were looked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbours {
    /// `exact` or `inverted`.
    pub search: String,
    /// Most neighbours of a document or chunk.
    pub k: u32,
    /// Neighbours found of each vector, in the mean.
    pub mean: f64,
    /// Share of the exact neighbours that are in the lists, 0 to 1, counted on a sample; none where all pairs were compared.
    pub recall: Option<f64>,
    /// Vectors of that sample.
    pub sampled: u64,
}

/// What keywords came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Keywords {
    /// Documents with a query.
    pub with_query: u64,
    /// Documents with a candidate.
    pub with_candidate: u64,
    /// Documents with a representative keyword.
    pub with_keyword: u64,
    /// Distinct representative keywords.
    pub distinct: u64,
}

/// Shares that follow from the plan, each from 0 to 1.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shares {
    /// Of the documents' tokens in sequences: in sequences of one keyword.
    pub single_keyword: f64,
    /// Of the documents' tokens in sequences: of documents of the short set.
    pub short_set: f64,
    /// Of the tokens that were used: in no sequence.
    pub dropped: f64,
    /// Of all tokens of all sequences: padding.
    pub padding: f64,
    /// Mean number of groups in a sequence; no share.
    pub groups_per_sequence: f64,
    /// Mean number of documents in a sequence; no share.
    pub documents_per_sequence: f64,
}

impl Shares {
    fn of(stats: &PlanStats, length: u32) -> Shares {
        let share =
            |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let tokens = &stats.tokens;
        Shares {
            single_keyword: share(tokens.in_single_keyword_sequences, tokens.in_sequences),
            short_set: share(tokens.of_short_set, tokens.in_sequences),
            dropped: share(tokens.dropped.total(), tokens.used),
            padding: share(tokens.padding, stats.sequences * u64::from(length)),
            groups_per_sequence: share(stats.groups_per_sequence.sum, stats.sequences),
            documents_per_sequence: share(stats.documents_per_sequence.sum, stats.sequences),
        }
    }
}

/// What is worth saying before the work begins.
pub(crate) fn warnings_of_preparation(run: &RunContext) -> Vec<String> {
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
pub(crate) fn summary(run: &RunContext, mode: Mode, seconds: f64) -> Result<Summary> {
    let options = run.options();
    let mut summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        method: options.method_name(),
        directory: options.output.directory.clone(),
        format: options.output.format,
        length: options.length,
        encoder: run.file.tokenizer.encoder.clone(),
        corpus: None,
        predictor: None,
        keywords: None,
        vectors: None,
        neighbours: None,
        plan: None,
        shares: None,
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
    if let Some(record) = run.done(Stage::Documents, 0)? {
        let DocumentCounts { rows, accepted, empty, rejected, bytes, tokens, renamed } =
            counts(&record)?;
        let files = run.file.inventory.files.len() as u64;
        summary.corpus = Some(Corpus {
            files,
            rows,
            documents: accepted,
            empty,
            rejected,
            renamed,
            bytes,
            tokens,
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
    if let Some(record) = run.done(Stage::Plan, 0)? {
        let PlanCounts { main, holdout } = counts(&record)?;
        summary.shares = Some(Shares::of(&main, options.length));
        summary.plan = Some(main);
        summary.holdout = holdout;
    }
    if options.has(Stage::Report)
        && let Some(record) = run.done(Stage::Report, 0)?
    {
        summary.sample = Some(counts(&record)?);
    }
    if mode == Mode::Run && options.output.format != OutputFormat::Memory {
        for record in run.all_done(Stage::Pack)? {
            summary.files += record.files.len() as u64;
            summary.bytes += record.files.iter().map(|f| f.bytes).sum::<u64>();
        }
    }
    let more = warnings(run, &summary);
    summary.warnings.extend(more);
    Ok(summary)
}

fn predictor(run: &RunContext) -> Result<Option<Predictor>> {
    let mut found: Option<Predictor> = None;
    for record in run.all_done(Stage::Predict)? {
        let used = &record.counts["predictor"];
        let text = |name: &str| used[name].as_str().map(str::to_owned);
        let Some(name) = text("name") else { continue };
        let predictor = found.get_or_insert_with(|| Predictor {
            name,
            devices: Vec::new(),
            model: text("layout"),
            warning: None,
        });
        predictor.devices.extend(text("device"));
        predictor.warning = predictor.warning.take().or_else(|| text("warning"));
    }
    if let Some(predictor) = &mut found {
        predictor.devices.sort();
        predictor.devices.dedup();
    }
    Ok(found)
}

fn vectors(run: &RunContext) -> Result<Vectors> {
    let mut found = Vectors {
        source: run.options().vectors.source,
        devices: Vec::new(),
        dimensions: run.all_done(Stage::Vectors)?[0].counts["dimensions"].as_u64().unwrap_or(0),
        vectors: run.all_done(Stage::Vectors)?[0].counts["vectors"].as_u64().unwrap_or(0),
        zero_vectors: run.all_done(Stage::Vectors)?[0].counts["zeroVectors"].as_u64().unwrap_or(0),
        warning: None,
    };
    if run.options().has(Stage::Embed) {
        for record in run.all_done(Stage::Embed)? {
            found.devices.extend(record.counts["device"].as_str().map(str::to_owned));
            found.warning = found
                .warning
                .take()
                .or_else(|| record.counts["warning"].as_str().map(str::to_owned));
        }
        found.devices.sort();
        found.devices.dedup();
    }
    Ok(found)
}

fn neighbours(run: &RunContext) -> Result<Option<Neighbours>> {
    let Some(record) = run.done(Stage::Neighbours, 0)? else { return Ok(None) };
    let NeighbourCounts { search, vectors, k, found, sampled, expected, recalled } =
        counts(&record)?;
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let recall = (sampled > 0).then(|| if expected == 0 { 1.0 } else { share(recalled, expected) });
    Ok(Some(Neighbours { search, k, mean: share(found, vectors), recall, sampled }))
}

fn keywords(run: &RunContext) -> Result<Keywords> {
    let sum = |stage: Stage, name: &str| -> Result<u64> {
        Ok(run.all_done(stage)?.iter().map(|r| r.counts[name].as_u64().unwrap_or(0)).sum())
    };
    Ok(Keywords {
        with_query: sum(Stage::Predict, "documents")?,
        with_candidate: sum(Stage::Extract, "documents")?,
        with_keyword: sum(Stage::Index, "documents")?,
        distinct: sum(Stage::Index, "keywords")?,
    })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn warnings(run: &RunContext, summary: &Summary) -> Vec<String> {
    let of_predictor = summary.predictor.iter().filter_map(|p| p.warning.clone());
    let of_vectors = summary.vectors.iter().filter_map(|v| v.warning.clone());
    let mut warnings: Vec<String> = of_predictor.chain(of_vectors).collect();
    let Some(corpus) = &summary.corpus else { return warnings };
    if corpus.rejected > 0 {
        warnings.push(format!(
            "{} of {} rows were rejected; rejects.jsonl says which and why",
            corpus.rejected, corpus.rows
        ));
    }
    if let Some(keywords) = &summary.keywords
        && keywords.with_keyword * 2 < corpus.documents
    {
        warnings.push(format!(
            "only {} of {} documents have a keyword. RAKE finds phrases between stop words and spaces: check that the stop list fits the \
                 language and that its script puts spaces between words, or lower `minScore`",
            keywords.with_keyword, corpus.documents
        ));
    }
    if let (Some(plan), Some(shares), MethodOptions::Quest(_)) =
        (&summary.plan, &summary.shares, &run.options().method)
        && (plan.rules.next + plan.rules.last) * 2 > plan.sequences
        && shares.single_keyword < 0.1
    {
        warnings.push(format!(
            "{} of the tokens stand in sequences of one keyword, and {} of the sequences are made of what was left of {:.0} keywords on average, in \
             random order: at this size and length Quest comes close to Standard. `fill: related`, `hierarchy: affinity`, `representative: common`, \
             more documents or a smaller `length` help",
            percent(shares.single_keyword),
            percent((plan.rules.next + plan.rules.last) as f64 / plan.sequences as f64),
            shares.groups_per_sequence
        ));
    }
    if let Some(recall) =
        summary.neighbours.as_ref().and_then(|n| n.recall).filter(|&recall| recall < 0.8)
    {
        warnings.push(format!(
            "inverted lists found only {} of the nearest neighbours, counted on a sample; more `neighbours.probes` find more, `neighbours.search: exact` all",
            percent(recall)
        ));
    }
    if let Some(vectors) = summary.vectors.as_ref().filter(|v| v.zero_vectors > v.vectors) {
        warnings.push(format!(
            "only {} of {} documents or chunks have a vector",
            vectors.vectors,
            vectors.vectors + vectors.zero_vectors
        ));
    }
    if let (Some(plan), MethodOptions::Knn(_) | MethodOptions::Nextlong(_)) =
        (&summary.plan, &run.options().method)
        && (plan.rules.next + plan.rules.last) * 2 > plan.sequences
    {
        let k = run.options().neighbour_depth().unwrap_or(0);
        warnings.push(format!(
            "{} of the sequences are made of several neighbourhoods in random order: {k} neighbours do not fill {} tokens; a larger `method.k`, a smaller \
             `length` or `fill: drop` help",
            percent((plan.rules.next + plan.rules.last) as f64 / plan.sequences.max(1) as f64),
            run.options().length
        ));
    }
    if summary.neighbours.is_some() && run.options().overflow == Overflow::Whole {
        warnings.push(
            "`overflow: whole` places by length what does not fill a sequence, so that neighbours come apart; `split` keeps their order"
                .into(),
        );
    }
    if let (Some(plan), Some(shares)) = (&summary.plan, &summary.shares) {
        if shares.dropped > 0.2 {
            warnings.push(format!(
                "{} of the tokens stand in no sequence; `fill`, `incomplete: pad`, `overflow` and `tokens` decide about what is dropped",
                percent(shares.dropped)
            ));
        }
        if plan.sequences_missing > 0 {
            warnings.push(format!(
                "`tokens` asked for {} sequences more than `maxUses` and the pool allow",
                plan.sequences_missing
            ));
        }
    }
    warnings
}

/// The summary as a JSON value without what differs between equal runs.
pub(crate) fn lasting_counts(summary: &Summary) -> Value {
    let mut value = serde_json::to_value(summary).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        for name in
            ["seconds", "directory", "warnings", "version", "format", "length", "method", "encoder"]
        {
            map.remove(name);
        }
    }
    value
}
