//! Report: the diagnostics of each output, `report.json`. Counts come from the plan; what needs
//! text is measured on a sample of sequences, assembled from the plan and the tokens, so that
//! packed files are not read. docs/report.md says what each number means.

use std::ops::Range;

use longweave_common::random::{Key, draw, lowest};
use longweave_common::{Code, DocId, Error};
use longweave_formats::SequenceRecord;
use longweave_neighbours::{FEATURES, TermCounter, Weights};
use longweave_plan::{
    CountDistribution, Histogram, ListSizes, MethodName, Part, PieceCounts, PlanStats, Rule,
    RuleCounts, Sequences, TokenCounts, TopicCounts,
};
use longweave_report::{Measures, Meter, divergence};
use longweave_run::result_options;
use longweave_storage::{FileRecord, write_file};
use longweave_tokens::Encoder;
use rayon::prelude::*;
use ts_rs::TS;

use crate::documents::{self, DOCUMENTS, source_names};
use crate::extract::{EXTRACT, LanguageCounts, languages};
use crate::index::INDEX;
use crate::ingest::{self, INGEST};
use crate::pack::{self, Named, PartSource};
use crate::plan::{PLAN, PlanCounts, folder};
use crate::prelude::*;
use crate::shares::Shares;
use crate::topics::TOPICS;

/// The version of `report.json`.
pub const FORMAT: u32 = 2;
/// Sequences of the sample, and their tokens at most; at least [`LEAST`] are measured, however
/// long.
const SAMPLE: u64 = 256;
const SAMPLE_TOKENS: u64 = 8 << 20;
const LEAST: u64 = 16;
/// Documents of the corpus from which the rarity of words is estimated, and tokens of each that
/// count.
const CORPUS: usize = 4096;
const CORPUS_TOKENS: u32 = 2048;
/// Sequences whose text is kept, and characters of text in all.
const BROWSED: usize = 32;
const BROWSED_CHARACTERS: usize = 3 << 20;
/// The sample does not depend on the run's seed: the same documents tell rarity for every method
/// and seed.
const SEED: u64 = 0;

/// Measures of a sample of sequences, each averaged over the sample. docs/report.md defines them.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "SampleSummary")]
pub struct ReportCounts {
    /// Sequences of the sample.
    pub sequences: u64,
    /// Cosine of pairs of documents in a sequence, 0 to 1. Null where no sequence has two
    /// documents.
    pub similarity: Option<f64>,
    /// Share of a sequence's documents that nearly repeat an earlier one, 0 to 1. Null where no
    /// sequence has two documents.
    pub near_duplicates: Option<f64>,
    /// Distinct runs of n tokens ÷ all runs of n tokens in a sequence, for n = 1, 2, 3, 4.
    pub distinct: [f64; 4],
    /// Jensen–Shannon divergence between the sources of the pool and of the output, in bits, 0 to
    /// 1. Null without sources.
    pub divergence: Option<f64>,
}

/// `report.json` of an output directory: what its plan did, and measures of a sample of its
/// sequences. docs/report.md defines each number.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The version of this file's format.
    #[ts(type = "2")]
    format: u32,
    /// The version of longweave that wrote it.
    version: &'static str,
    /// The method that composed the sequences.
    method: MethodName,
    /// `main`, or `holdout` for the output of the held-out documents.
    #[ts(type = "'main' | 'holdout'")]
    part: &'static str,
    /// The options of the run that decide results, without the corpus' place.
    #[ts(type = "Record<string, unknown>")]
    options: Value,
    /// Tokens of a sequence.
    length: u32,
    /// Sequences of the output.
    sequences: u64,
    /// Documents of the corpus and of the pool.
    documents: ReportDocuments,
    /// Tokens by where they ended up.
    tokens: TokenCounts,
    /// Shares that follow from the plan.
    shares: Shares,
    /// Pieces of documents in sequences.
    pieces: PieceCounts,
    /// Documents left out because they begin almost like the one before them (`iclm`, variant
    /// `release`).
    near_duplicates_left_out: u64,
    /// Distinct documents in a sequence.
    documents_per_sequence: Distribution,
    /// Distinct groups in a sequence.
    groups_per_sequence: Distribution,
    /// Sequences by the rule that filled them.
    rules: RuleCounts,
    /// Keyword lists of the pool. Null for methods without keywords.
    keywords: Option<ReportKeywords>,
    /// Topics and their documents. Null for methods without topics.
    topics: Option<TopicCounts>,
    /// Tokens by source. Null without `sourceField`.
    sources: Option<SourceMix>,
    /// Measures of a sample of sequences.
    sample: ReportSample,
    /// Sequences of the sample with their text, to be read.
    browse: Vec<ReportSequence>,
}

/// Use of documents in a report.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReportDocuments {
    /// Documents of the corpus.
    corpus: u64,
    /// Documents that take part in the plan.
    pool: u64,
    /// Documents left out because their text equals that of another one (`dedup`).
    duplicates: u64,
    /// Documents left out because their text resembles that of another one (`dedup: near`).
    near_duplicates: u64,
    /// Documents of the pool by how often they begin in the plan: entry n counts those that begin
    /// n times.
    by_uses: Histogram,
}

/// How a count is distributed over sequences.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// Mean over the sequences.
    mean: f64,
    /// The largest count of a sequence.
    max: u64,
    /// Sequences by count: entry 0 counts those with 1, entry 1 those with 2, then 3–4, 5–8, …
    histogram: Histogram,
}

/// Keyword lists of the pool by kind. A list holds the documents of one keyword.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReportKeywords {
    /// Lists with fewer documents than a group needs.
    singletons: u64,
    /// Lists of the short set, which an epoch uses `oversample` times.
    short: u64,
    /// Lists of the long set, which an epoch uses once.
    long: u64,
    /// Documents of the short set.
    short_documents: u64,
    /// Tokens of the short set's documents, each document once.
    short_tokens: u64,
    /// How often an epoch uses each short list. Null without a short list.
    oversample: Option<f64>,
    /// Lists by number of documents, in ranges that double.
    sizes: Vec<ListSizeRange>,
    /// Documents of the corpus by language, most documents first.
    languages: Vec<LanguageCounts>,
}

/// Keyword lists with `from` to `to` documents, by kind.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ListSizeRange {
    /// Fewest documents of such a list.
    from: u64,
    /// Most documents of such a list.
    to: u64,
    /// Lists too small to be used.
    singletons: u64,
    /// Lists of the short set.
    short: u64,
    /// Lists of the long set.
    long: u64,
}

/// Tokens by source, in the pool and in the output. The lists are equally long.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SourceMix {
    /// Names of the sources, in byte order.
    names: Vec<String>,
    /// Tokens of each source in the pool.
    pool: Vec<u64>,
    /// Tokens of each source in the output.
    output: Vec<u64>,
    /// Jensen–Shannon divergence of the two, in bits: 0 where they are the same, at most 1.
    divergence: f64,
}

/// Measures of a sample of sequences.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReportSample {
    /// Sequences of the sample.
    sequences: u64,
    /// Cosine of pairs of documents in a sequence, 0 to 1.
    similarity: SampledMeasure,
    /// Share of a sequence's documents that nearly repeat an earlier one, 0 to 1.
    near_duplicates: SampledMeasure,
    /// Mean distinct runs of n tokens ÷ all runs of n tokens in a sequence, for n = 1, 2, 3, 4.
    /// Null where the sample is empty.
    distinct: [Option<f64>; 4],
}

/// A measure of the sampled sequences.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SampledMeasure {
    /// Mean over the sequences that have a value. Null where none has.
    mean: Option<f64>,
    /// The value of each sampled sequence, in the same order for every measure. Null for a sequence
    /// with fewer than two documents.
    values: Vec<Option<f64>>,
}

/// A sequence of a report, to be read.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReportSequence {
    /// The sequence's number in the output, from 0.
    index: u64,
    /// Tokens of the sequence before its padding.
    token_count: u32,
    /// The rule that filled the sequence.
    rule: Rule,
    /// The phrase that all its documents share, where `fill: related` found one. Else null.
    phrase: Option<String>,
    /// The pieces of the sequence in order.
    pieces: Vec<ReportPiece>,
}

/// A piece of a report's sequence: a run of tokens of one document.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReportPiece {
    /// The document's id.
    doc_id: String,
    /// First token of the piece in the sequence, from 0.
    start: u32,
    /// Tokens of the piece, its separator included.
    length: u32,
    /// First token of the piece in its document, from 0.
    doc_offset: u32,
    /// The keyword, topic, or id of the document that brought the piece. Null where it came by
    /// chance.
    reason: Option<String>,
    /// The plan's number of the group that brought the piece.
    group: u32,
    /// The document's source. Null without `sourceField`.
    source: Option<String>,
    /// The text that the piece begins with.
    text: String,
    /// Whether the piece has more text than `text`.
    text_cut: bool,
}

/// The name of a part's report.
pub fn name(part: Part) -> String {
    format!("{}.json", folder(part))
}

pub const REPORT: Stage =
    Stage::new("report", "Measuring the plan", ProgressUnit::Tasks, 2, &ReportStage);

struct ReportStage;

impl StageSpec for ReportStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, DOCUMENTS, EXTRACT, INDEX, TOPICS, PLAN]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.writes_files()
    }

    fn identity(&self, file: &RunFile) -> Value {
        json!({ "version": longweave_report::VERSION, "format": FORMAT,
            "method": file.options.method })
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let sampled = facts.sequences.min(256.0) * f64::from(run.options().length);
        Ok((sampled * 0.6).min(3.6e6))
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        // Documents, where their tokens begin, and their keywords.
        facts.rows * 48.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let PlanCounts { main, holdout } = run.counts(0)?;
        let encoder = run.resources.encoder()?;
        let lens = documents::lens(run)?;
        let weights = weights(ctx, run, &*encoder, &lens)?;
        let sources = source_names(run)?;
        let source_numbers = documents::source_numbers(run)?;
        let world = ReportBuilder {
            ctx,
            run,
            encoder: &*encoder,
            lens: &lens,
            weights: &weights,
            source_numbers,
            sources,
        };
        let mut files = Vec::new();
        let mut write = |part: Part, stats: &PlanStats| -> Result<RunReport> {
            let (name, report) = (name(part), world.report(part, stats)?);
            let mut text = serde_json::to_string(&report)
                .map_err(|e| Error::new(Code::Internal, format!("report.json: {e}")))?;
            text.push('\n');
            files.push(FileRecord::new(
                name.clone(),
                write_file(&run.directory(REPORT).join(name), text.as_bytes())?,
            ));
            Ok(report)
        };
        let report = write(Part::Main, &main)?;
        if let Some(holdout) = &holdout {
            write(Part::HeldOut, holdout)?;
        }
        ctx.progress.advance(1);
        let counts = json!(ReportCounts {
            sequences: report.sample.sequences,
            similarity: report.sample.similarity.mean,
            near_duplicates: report.sample.near_duplicates.mean,
            distinct: report.sample.distinct.map(|mean| mean.unwrap_or(1.0)),
            divergence: report.sources.as_ref().map(|sources| sources.divergence),
        });
        Ok(DoneRecord { files, counts })
    }
}

impl Counts for ReportCounts {
    const STAGE: Stage = REPORT;
}

/// The weights of words, from a sample of the corpus.
fn weights(ctx: &Ctx, run: &RunContext, encoder: &dyn Encoder, lens: &[u32]) -> Result<Weights> {
    let draws = documents::keys(run)?
        .into_iter()
        .zip(0u32..)
        .filter(|&(_, doc)| lens[doc as usize] > 0)
        .map(|(key, doc)| (draw(SEED, "report", Key(key), 0), doc))
        .collect();
    let documents = lowest(draws, CORPUS);
    let tokens = ingest::tokens(run)?;
    let read = |counter: &mut TermCounter, &doc: &u32| -> Result<Vec<(u32, u32)>> {
        let (doc, mut ids, mut row) = (DocId::new(doc), Vec::new(), Vec::new());
        tokens.read_into(doc, 0, tokens.len(doc).min(CORPUS_TOKENS), &mut ids)?;
        counter.count(&encoder.decode(&ids)?, &mut row);
        Ok(row)
    };
    let rows: Vec<Vec<(u32, u32)>> = ctx.pool.install(|| {
        documents
            .par_iter()
            .with_min_len(64)
            .map_init(TermCounter::default, read)
            .collect::<Result<_>>()
    })?;
    let mut document_frequency = vec![0; FEATURES];
    rows.iter().flatten().for_each(|&(feature, _)| document_frequency[feature as usize] += 1);
    Ok(Weights::new(&document_frequency, rows.len() as u64))
}

struct ReportBuilder<'a> {
    ctx: &'a Ctx,
    run: &'a RunContext,
    encoder: &'a dyn Encoder,
    lens: &'a [u32],
    weights: &'a Weights,
    source_numbers: Option<Vec<u32>>,
    sources: Vec<String>,
}

/// A sequence of the sample.
struct Sampled {
    number: u64,
    planned: Sequences,
    record: SequenceRecord,
    /// Own tokens of each piece, by place in the sequence.
    own: Vec<Range<usize>>,
}

impl ReportBuilder<'_> {
    fn report(&self, part: Part, stats: &PlanStats) -> Result<RunReport> {
        let options = self.run.options();
        let (source, length) = (&*pack::part(self.run, part)?, u64::from(options.length));
        let numbers = sample(stats.sequences, (SAMPLE_TOKENS / length).clamp(LEAST, SAMPLE));
        let measure = |meter: &mut Meter<'_>, &number: &u64| -> Result<Measures> {
            self.ctx.cancel.check()?;
            self.measure(meter, &self.read(source, number, Named::No)?)
        };
        let measures: Vec<Measures> = self.ctx.pool.install(|| {
            numbers
                .par_iter()
                .with_min_len(4)
                .map_init(|| Meter::new(self.weights), measure)
                .collect::<Result<_>>()
        })?;
        let browsed = BROWSED
            .min(BROWSED_CHARACTERS / (length as usize * 5))
            .clamp(2, BROWSED)
            .min(numbers.len());
        let browse = |&n: &u64| {
            let sampled = self.read(source, n, Named::Yes)?;
            self.browse(source, &sampled, BROWSED_CHARACTERS / browsed)
        };
        let browse: Vec<ReportSequence> = self
            .ctx
            .pool
            .install(|| numbers[..browsed].par_iter().map(browse).collect::<Result<_>>())?;
        let mut given = result_options(options);
        if let Some(given) = given.as_object_mut() {
            // Where the documents lie says nothing of them.
            given.remove("corpus");
            given.remove("corpusRoot");
        }
        Ok(RunReport {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            method: options.method.name(),
            part: folder(part),
            options: given,
            length: options.length,
            sequences: stats.sequences,
            documents: ReportDocuments {
                corpus: stats.documents,
                pool: stats.pool_documents,
                duplicates: stats.excluded.duplicate,
                near_duplicates: stats.excluded.near_duplicate,
                by_uses: stats.documents_by_uses.clone(),
            },
            tokens: stats.tokens.clone(),
            shares: Shares::of(stats, options.length),
            pieces: stats.pieces.clone(),
            near_duplicates_left_out: stats.near_duplicates,
            documents_per_sequence: distribution(&stats.documents_per_sequence, stats.sequences),
            groups_per_sequence: distribution(&stats.groups_per_sequence, stats.sequences),
            rules: stats.rules.clone(),
            topics: options.needs_topics().then(|| stats.topics.clone()),
            keywords: match options.needs_keywords() {
                true => Some(keywords(stats, languages(self.run)?)),
                false => None,
            },
            sources: (!self.sources.is_empty()).then(|| self.mix(stats)),
            sample: samples(&measures),
            browse,
        })
    }

    fn read(&self, source: &PartSource, number: u64, named: Named) -> Result<Sampled> {
        let tokens = ingest::tokens(self.run)?;
        let (planned, record) = source.sequence(self.ctx, &tokens, number, named)?;
        let shape = source.shape();
        let own = planned.pieces().iter().zip(&record.doc_starts).map(|(&piece, &start)| {
            let tokens = shape.tokens(piece, self.lens[piece.doc.index()]);
            let start = start as usize + tokens.before.len();
            start..start + tokens.own.len()
        });
        Ok(Sampled { number, own: own.collect(), planned, record })
    }

    fn measure(&self, meter: &mut Meter<'_>, sampled: &Sampled) -> Result<Measures> {
        let mut texts: Vec<(DocId, String)> = Vec::new();
        for (piece, own) in sampled.planned.pieces().iter().zip(&sampled.own) {
            let text = self.encoder.decode(&sampled.record.input_ids[own.clone()])?;
            match texts.iter_mut().find(|(doc, _)| *doc == piece.doc) {
                Some((_, all)) => {
                    all.push(' ');
                    all.push_str(&text);
                }
                None => texts.push((piece.doc, text)),
            }
        }
        let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        Ok(meter.measure(&texts, &sampled.record.input_ids[..sampled.record.n_tokens as usize]))
    }

    /// A sequence for a person to read, with at most `characters` characters of text, the same for
    /// each piece.
    fn browse(
        &self,
        source: &PartSource,
        sampled: &Sampled,
        characters: usize,
    ) -> Result<ReportSequence> {
        let (planned, record) = (sampled.planned.get(0), &sampled.record);
        let most = (characters / planned.pieces.len()).max(40);
        let mut pieces = Vec::new();
        for (i, (piece, own)) in planned.pieces.iter().zip(&sampled.own).enumerate() {
            let mut text = self.encoder.decode(&record.input_ids[own.clone()])?;
            let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
            let text_cut = end < text.len();
            text.truncate(end);
            let numbers = self.source_numbers.as_ref();
            let name = numbers.and_then(|of| self.sources.get(of[piece.doc.index()] as usize));
            pieces.push(ReportPiece {
                doc_id: record.doc_ids[i].clone(),
                start: record.doc_starts[i],
                length: record.doc_lens[i],
                doc_offset: record.doc_offsets[i],
                reason: record.reasons[i].clone(),
                group: record.groups[i],
                source: name.cloned(),
                text,
                text_cut,
            });
        }
        Ok(ReportSequence {
            index: sampled.number,
            token_count: record.n_tokens,
            rule: planned.rule,
            phrase: match planned.node {
                Some(node) => source.node_phrase(self.ctx, node)?,
                None => None,
            },
            pieces,
        })
    }

    fn mix(&self, stats: &PlanStats) -> SourceMix {
        let column = |of: fn(&longweave_plan::SourceTokens) -> u64| {
            stats.sources.iter().map(of).collect::<Vec<u64>>()
        };
        let (pool, output) = (column(|s| s.pool), column(|s| s.in_sequences));
        let divergence = divergence(&pool, &output);
        SourceMix { names: self.sources.clone(), pool, output, divergence }
    }
}

/// Numbers of the sequences that are looked at: those of the lowest draws, in order of their draws.
fn sample(sequences: u64, number: u64) -> Vec<u64> {
    lowest(
        (0..sequences).map(|n| (draw(SEED, "report", Key(u128::from(n)), 1), n)).collect(),
        number as usize,
    )
}

fn distribution(counts: &CountDistribution, sequences: u64) -> Distribution {
    Distribution {
        mean: counts.sum as f64 / sequences.max(1) as f64,
        max: counts.max,
        histogram: counts.histogram.clone(),
    }
}

fn keywords(stats: &PlanStats, languages: Vec<LanguageCounts>) -> ReportKeywords {
    let k = &stats.keywords;
    let sizes = k.sizes.iter().enumerate().map(|(i, s)| {
        let to = 1u64 << i;
        let &ListSizes { singletons, short, long } = s;
        ListSizeRange { from: to / 2 + 1, to, singletons, short, long }
    });
    ReportKeywords {
        singletons: k.singletons,
        short: k.short,
        long: k.long,
        short_documents: k.short_documents,
        short_tokens: k.short_tokens,
        oversample: stats.oversample,
        sizes: sizes.collect(),
        languages,
    }
}

fn samples(measures: &[Measures]) -> ReportSample {
    let mean = |values: &[Option<f64>]| {
        let known: Vec<f64> = values.iter().copied().flatten().collect();
        if known.is_empty() { None } else { Some(known.iter().sum::<f64>() / known.len() as f64) }
    };
    let of = |measure: fn(&Measures) -> Option<f64>| {
        let values: Vec<Option<f64>> = measures.iter().map(measure).collect();
        SampledMeasure { mean: mean(&values), values }
    };
    let distinct = [0, 1, 2, 3]
        .map(|n| mean(&measures.iter().map(|m| Some(m.distinct[n])).collect::<Vec<_>>()));
    ReportSample {
        sequences: measures.len() as u64,
        similarity: of(|m| m.similarity),
        near_duplicates: of(|m| m.near_duplicates),
        distinct,
    }
}
