//! Report: the diagnostics of each output, `report.json`. Counts come from the plan; what needs text is measured on a sample of sequences,
//! assembled from the plan and the tokens, so that packed files are not read. docs/report.md says what each number means.

use std::ops::Range;

use longweave_common::random::{Key, draw, lowest};
use longweave_common::{Ctx, DocId, Result};
use longweave_formats::SequenceRecord;
use longweave_neighbours::{FEATURES, TermCounter, Weights};
use longweave_plan::{Part, PlanStats, Sequences, Spread};
use longweave_report::{Measures, Meter, divergence};
use longweave_storage::{DoneRecord, FileRecord, read_strings, write_file};
use longweave_tokens::Encoder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::documents::Documents;
use super::pack::PartSource;
use super::plan::{PlanCounts, folder};
use crate::counts::counts;
use crate::{RunContext, Stage, run_context};

/// The version of `report.json`.
const FORMAT: u32 = 1;
/// Sequences of the sample, and their tokens at most; at least [`LEAST`] are measured, however long.
const SAMPLE: u64 = 256;
const SAMPLE_TOKENS: u64 = 8 << 20;
const LEAST: u64 = 16;
/// Documents of the corpus that rarity of words is told from, and tokens of each that count.
const CORPUS: usize = 4096;
const CORPUS_TOKENS: u32 = 2048;
/// Sequences whose text is kept, and characters of text in all.
const BROWSED: usize = 32;
const BROWSED_CHARACTERS: usize = 3 << 20;
/// The sample does not depend on the run's seed: the same documents tell rarity for every method and seed.
const SEED: u64 = 0;

/// Means that the summary tells, and what the task leaves in its record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportCounts {
    /// Sequences of the sample.
    pub sequences: u64,
    /// Mean cosine of pairs of documents in a sequence; none where no sequence has two.
    pub similarity: Option<f64>,
    /// Share of a sequence's documents that nearly repeat an earlier one; none where no sequence has two.
    pub near_duplicates: Option<f64>,
    /// Distinct-n of tokens, n from 1 on.
    pub distinct: [f64; 4],
    /// Jensen–Shannon divergence of the sources of pool and output, in bits; none without sources.
    pub divergence: Option<f64>,
}

pub(crate) fn name(part: Part) -> String {
    format!("{}.json", folder(part))
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext) -> Result<DoneRecord> {
    let PlanCounts { main, holdout } = counts(&run.all_done(Stage::Plan)?[0])?;
    let encoder = run.resources.encoder()?;
    let documents = Documents::read(run, false)?;
    let weights = weights(ctx, run, &*encoder, &documents)?;
    let sources = match run.options().source_field {
        Some(_) => read_strings(&run.directory(Stage::Documents).join("sources.arrow"))?
            .iter()
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    let world = ReportBuilder {
        ctx,
        run,
        encoder: &*encoder,
        documents: &documents,
        weights: &weights,
        sources,
    };
    let mut files = Vec::new();
    let mut write = |part: Part, stats: &PlanStats| -> Result<Value> {
        let (name, report) = (name(part), world.report(part, stats)?);
        let text = format!("{report}\n");
        files.push(FileRecord::new(
            name.clone(),
            write_file(&run.directory(Stage::Report).join(name), text.as_bytes())?,
        ));
        Ok(report)
    };
    let report = write(Part::Main, &main)?;
    if let Some(holdout) = &holdout {
        write(Part::HeldOut, holdout)?;
    }
    ctx.progress.advance(1);
    let sample = &report["sample"];
    let counts = json!(ReportCounts {
        sequences: sample["sequences"].as_u64().unwrap_or(0),
        similarity: sample["similarity"]["mean"].as_f64(),
        near_duplicates: sample["nearDuplicates"]["mean"].as_f64(),
        distinct: std::array::from_fn(|n| sample["distinct"][n].as_f64().unwrap_or(1.0)),
        divergence: report["sources"]["divergence"].as_f64(),
    });
    Ok(DoneRecord { files, counts })
}

/// What words weigh, from a sample of the corpus.
fn weights(
    ctx: &Ctx,
    run: &RunContext,
    encoder: &dyn Encoder,
    documents: &Documents,
) -> Result<Weights> {
    let mut draws: Vec<(u64, u32)> = documents
        .keys
        .iter()
        .zip(0..)
        .map(|(&key, doc)| (draw(SEED, "report", Key(key), 0), doc))
        .collect();
    draws.retain(|&(_, doc)| documents.lens[doc as usize] > 0);
    let documents = lowest(draws, CORPUS);
    let tokens = run.tokens()?;
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
    documents: &'a Documents,
    weights: &'a Weights,
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
    fn report(&self, part: Part, stats: &PlanStats) -> Result<Value> {
        let options = self.run.options();
        let (source, length) = (self.run.part(part)?, u64::from(options.length));
        let numbers = sample(stats.sequences, (SAMPLE_TOKENS / length).clamp(LEAST, SAMPLE));
        let measure = |meter: &mut Meter<'_>, &number: &u64| -> Result<Measures> {
            self.ctx.cancel.check()?;
            self.measure(meter, &self.read(source, number)?)
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
        let browse: Vec<Value> = numbers[..browsed]
            .iter()
            .map(|&n| self.browse(source, &self.read(source, n)?, BROWSED_CHARACTERS / browsed))
            .collect::<Result<_>>()?;
        let tokens = &stats.tokens;
        let share =
            |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let mut given = run_context::result_options(options);
        if let Some(given) = given.as_object_mut() {
            // Where the documents lie says nothing of them.
            given.remove("corpus");
            given.remove("corpusRoot");
        }
        Ok(json!({
            "format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "method": options.method_name(), "part": folder(part),
            "options": given, "length": length, "sequences": stats.sequences,
            "documents": { "corpus": stats.documents, "pool": stats.pool_documents, "byUses": stats.documents_by_uses },
            "tokens": tokens,
            "shares": {
                "singleKeyword": share(tokens.in_single_keyword_sequences, tokens.in_sequences),
                "shortSet": share(tokens.of_short_set, tokens.in_sequences),
                "dropped": share(tokens.dropped.total(), tokens.used),
                "padding": share(tokens.padding, stats.sequences * length),
            },
            "pieces": stats.pieces,
            "nearDuplicatesLeftOut": stats.near_duplicates,
            "documentsPerSequence": spread(&stats.documents_per_sequence, stats.sequences),
            "groupsPerSequence": spread(&stats.groups_per_sequence, stats.sequences),
            "rules": stats.rules,
            "keywords": if options.needs_keywords() { keywords(stats) } else { Value::Null },
            "sources": if self.sources.is_empty() { Value::Null } else { self.mix(stats) },
            "sample": samples(&measures),
            "browse": browse,
        }))
    }

    fn read(&self, source: &PartSource, number: u64) -> Result<Sampled> {
        let (planned, record) = source.sequence(self.ctx, self.run.tokens()?, number)?;
        let shape = source.shape();
        let own = planned.pieces().iter().zip(&record.doc_starts).map(|(&piece, &start)| {
            let (begins, own, _) = shape.parts(piece, self.documents.lens[piece.doc.index()]);
            let start = (start + begins) as usize;
            start..start + own as usize
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

    /// A sequence as a person reads it, with at most so many characters of text, the same for each piece.
    fn browse(&self, source: &PartSource, sampled: &Sampled, characters: usize) -> Result<Value> {
        let (planned, record) = (sampled.planned.get(0), &sampled.record);
        let most = (characters / planned.pieces.len()).max(40);
        let mut pieces = Vec::new();
        for (i, (piece, own)) in planned.pieces.iter().zip(&sampled.own).enumerate() {
            let text = self.encoder.decode(&record.input_ids[own.clone()])?;
            let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
            let name = self
                .documents
                .sources
                .as_ref()
                .and_then(|column| self.sources.get(column[piece.doc.index()] as usize));
            pieces.push(json!({
                "id": record.doc_ids[i], "reason": record.reasons[i], "source": name, "start": record.doc_starts[i], "len": record.doc_lens[i],
                "offset": record.doc_offsets[i], "group": record.groups[i], "text": &text[..end], "textCut": end < text.len(),
            }));
        }
        Ok(json!({
            "sequence": sampled.number, "nTokens": record.n_tokens, "rule": planned.rule, "phrase": planned.node.and_then(|n| source.node_phrase(n)),
            "pieces": pieces,
        }))
    }

    fn mix(&self, stats: &PlanStats) -> Value {
        let column = |of: fn(&longweave_plan::SourceTokens) -> u64| {
            stats.sources.iter().map(of).collect::<Vec<u64>>()
        };
        let (pool, output) = (column(|s| s.pool), column(|s| s.in_sequences));
        json!({ "names": self.sources, "pool": pool, "output": output, "divergence": divergence(&pool, &output) })
    }
}

/// Numbers of the sequences that are looked at: those of the lowest draws, in order of their draws.
fn sample(sequences: u64, number: u64) -> Vec<u64> {
    lowest(
        (0..sequences).map(|n| (draw(SEED, "report", Key(u128::from(n)), 1), n)).collect(),
        number as usize,
    )
}

fn spread(spread: &Spread, sequences: u64) -> Value {
    json!({ "mean": spread.sum as f64 / sequences.max(1) as f64, "max": spread.max, "histogram": spread.histogram })
}

fn keywords(stats: &PlanStats) -> Value {
    let k = &stats.keywords;
    let sizes = k.sizes.iter().enumerate().map(|(i, s)| {
        let to = 1u64 << i;
        json!({ "from": to / 2 + 1, "to": to, "singletons": s.singletons, "short": s.short, "long": s.long })
    });
    json!({
        "singletons": k.singletons, "short": k.short, "long": k.long, "shortDocuments": k.short_documents, "shortTokens": k.short_tokens,
        "oversample": stats.oversample, "sizes": sizes.collect::<Vec<_>>(),
    })
}

fn samples(measures: &[Measures]) -> Value {
    let mean = |values: &[Option<f64>]| {
        let known: Vec<f64> = values.iter().copied().flatten().collect();
        if known.is_empty() { None } else { Some(known.iter().sum::<f64>() / known.len() as f64) }
    };
    let of = |measure: fn(&Measures) -> Option<f64>| {
        let values: Vec<Option<f64>> = measures.iter().map(measure).collect();
        json!({ "mean": mean(&values), "values": values })
    };
    let distinct = [0, 1, 2, 3]
        .map(|n| mean(&measures.iter().map(|m| Some(m.distinct[n])).collect::<Vec<_>>()));
    json!({ "sequences": measures.len(), "similarity": of(|m| m.similarity), "nearDuplicates": of(|m| m.near_duplicates), "distinct": distinct })
}
