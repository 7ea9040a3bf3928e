//! Plan: decides all sequences from metadata, those of the held-out documents as a second plan.

use longweave_common::{Code, DocId, Error};
use longweave_duplicates::Nearness;
use longweave_plan::{
    Dedup, Duplicate, Heads, Likeness, Method, PLAN_FORMAT, Part, PlanFile, PlanInput, PlanStats,
    SourceWeight, plan, write_plan,
};
use longweave_run::DedupName;
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord};

use crate::clusters::{self, CLUSTERS};
use crate::documents::{self, DOCUMENTS};
use crate::embed::EMBED;
use crate::index::{self, INDEX};
use crate::matches::{self, MATCHES};
use crate::neighbour_lists;
use crate::neighbours::{self, NEIGHBOURS};
use crate::owners;
use crate::prelude::*;
use crate::scan;
use crate::signatures::{SIGNATURES, read_signatures};
use crate::topics::{self, TOPICS};

/// The counts in the plan task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCounts {
    /// The main output's plan.
    pub main: PlanStats,
    /// The held-out documents' plan.
    pub holdout: Option<PlanStats>,
}

/// The folder of a part's plan in the stage's directory, and of its output in the output directory.
pub const fn folder(part: Part) -> &'static str {
    match part {
        Part::Main => "main",
        Part::HeldOut => "holdout",
    }
}

pub const PLAN: Stage = Stage::new("plan", "Planning", ProgressUnit::Tasks, 2, &PlanStage);

/// Sources that a message names, at most.
const NAMED: usize = 20;

struct PlanStage;

impl StageSpec for PlanStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![DOCUMENTS, SIGNATURES, CLUSTERS, EMBED, INDEX, NEIGHBOURS, TOPICS, MATCHES]
    }

    fn identity(&self, file: &RunFile) -> Value {
        let options = file.options.plan_options(file.tokenizer.lengths());
        let mut identity = json!({ "options": options, "shard": file.shard_sequences(),
            "format": PLAN_FORMAT });
        if !file.options.sources.is_empty() {
            identity["sources"] = json!(file.options.sources);
        }
        identity
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        // As if a fifth of the documents were copies.
        let copies = if run.options().dedup == DedupName::None { 0.0 } else { 0.2 * facts.rows };
        Ok(24.0 * facts.sequences + 20.0 * (facts.pieces + facts.groups) + 12.0 * copies)
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        // As benches/README.md measures for ten million documents.
        let options = run.options();
        let own = match &options.method.own {
            Method::Iclm(_) => 253.0,
            Method::Nextlong(_) | Method::Topics(_) => 156.0,
            Method::Interleave(interleave) => {
                let tokens = facts.tokens / facts.rows.max(1.0);
                let parts = match interleave.part_tokens {
                    Some(of_part) => tokens / f64::from(of_part),
                    None => f64::from(interleave.parts),
                };
                91.0 + 27.0 * (parts.min(tokens) - 1.0).max(0.0)
            }
            Method::Quest(_) | Method::Standard(_) | Method::Long(_) | Method::Knn(_) => 91.0,
        };
        // Lists beyond half of `memory` stay in their files, except those of iclm.
        let neighbours = options.neighbour_depth().map_or(0.0, |k| match &options.method.own {
            Method::Iclm(_) => 8.0 * f64::from(k),
            _ => 4.0,
        });
        // A text's hash and what stays of it; its cluster.
        let duplicates = match options.dedup {
            DedupName::None => 0.0,
            DedupName::Exact => 24.0,
            DedupName::Near => 28.0,
        };
        let topics = options.method.own.topic_documents().map_or(0.0, |documents| {
            topics::number(run, facts) * 4.0 * f64::from(documents).min(facts.rows)
        });
        facts.rows * (own + duplicates) + facts.units * neighbours + topics
    }

    fn tells_sizes(&self) -> bool {
        true
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let options = run.options();
        let plan_options = options.plan_options(run.file.tokenizer.lengths());
        let (lens, keys) = (documents::lens(run)?, documents::keys(run)?);
        let sources = documents::source_numbers(run)?;
        let compared = plan_options.pool.dedup != Dedup::None;
        let text_hashes = compared.then(|| documents::text_hashes(run)).transpose()?;
        let index = index::open_columns(run)?;
        let (neighbours, heads) = (neighbour_lists::open(ctx, run)?, neighbours::open_heads(run)?);
        let (chunks, near) = (owners::chunks(run)?, clusters::first(run)?);
        let (topics, weights) = (matches::open(run)?, weights(run)?);
        let input = PlanInput {
            lens: &lens,
            keys: &keys,
            text_hashes: text_hashes.as_deref(),
            near: near.as_deref(),
            keyword_of: index.as_ref().map(|i| i.keyword_of()),
            keyword_keys: index.as_ref().map_or(&[], |i| i.keyword_keys()),
            forest: index.as_ref().map(|i| i.forest()),
            sources: sources.as_deref(),
            weights: weights.as_deref(),
            neighbours: neighbours.as_deref(),
            chunks: chunks.as_ref(),
            topics: topics.as_ref(),
            heads: heads.as_ref().map(|heads| heads as &dyn Heads),
        };
        let directory = run.directory(PLAN);
        let mut files: Vec<FileRecord> = Vec::new();
        let mut make = |part: Part| -> Result<PlanStats> {
            let made = plan(ctx, &input, &plan_options, part)?;
            ctx.cancel.check()?;
            if part == Part::Main && plan_options.pool.dedup != Dedup::None {
                files.push(write_duplicates(ctx, run, &made.duplicates)?);
            }
            let folder = folder(part);
            let folder_path = directory.join(folder);
            let shard = run.file.shard_sequences();
            let written = write_plan(&folder_path, &made, &lens, shard)?;
            files.extend(
                written
                    .into_iter()
                    .map(|f| FileRecord { name: format!("{folder}/{}", f.name), ..f }),
            );
            Ok(made.stats)
        };
        let main = make(Part::Main)?;
        let holdout = if options.holdout > 0.0 { Some(make(Part::HeldOut)?) } else { None };
        ctx.progress.advance(1);
        (PlanCounts { main, holdout }).done(files)
    }
}

impl Counts for PlanCounts {
    const STAGE: Stage = PLAN;
}

/// The weight of each source, where `sources` gives weights.
///
/// Errors: `OPTIONS_INVALID` for a name that no document has.
fn weights(run: &RunContext) -> Result<Option<Vec<SourceWeight>>> {
    let wanted = &run.options().sources;
    if wanted.is_empty() {
        return Ok(None);
    }
    let names = documents::source_names(run)?;
    if let Some(strange) = wanted.keys().find(|&name| !names.contains(name)) {
        let known = names.iter().take(NAMED).map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
        let more = if names.len() > NAMED { " and others" } else { "" };
        let message = format!(
            "`sources` names \"{strange}\", which no document has as its source; the corpus has \
             {}{more}",
            known.join(", ")
        );
        return Err(Error::new(Code::OptionsInvalid, message)
            .with("option", "sources")
            .with("source", strange.as_str()));
    }
    let weight = |name: String| {
        let weight = wanted.get(&name).copied().unwrap_or(0.0);
        SourceWeight { name, weight }
    };
    Ok(Some(names.into_iter().map(weight).collect()))
}

/// The file of duplicates in the stage's directory: three u32 for each, see [`LeftOut`].
const DUPLICATES: &str = "duplicates";
/// In place of a similarity: the texts are equal.
const EQUAL: u32 = u32::MAX;
/// Duplicates that are compared, or read, at once.
const AT_ONCE: usize = 1 << 16;

/// A document that is left out as a duplicate.
pub(crate) struct LeftOut {
    pub(crate) doc: u32,
    /// The document that stays.
    pub(crate) kept: u32,
    /// The estimated Jaccard index, in millionths; `None` where the texts are equal.
    pub(crate) similarity: Option<u32>,
}

fn write_duplicates(ctx: &Ctx, run: &RunContext, duplicates: &[Duplicate]) -> Result<FileRecord> {
    let path = run.directory(PLAN).join(DUPLICATES);
    let mut writer = ArrayWriter::create(&path)?;
    let (rows, hashes) = (scan::rows(run)?, run.options().near.hashes as usize);
    for some in duplicates.chunks(AT_ONCE) {
        let near = some.iter().filter(|d| d.likeness == Likeness::Near);
        let mut documents: Vec<u32> = near.flat_map(|d| [d.doc.get(), d.kept.get()]).collect();
        documents.sort_unstable();
        documents.dedup();
        let signatures = read_signatures(ctx, run, &rows, &documents)?;
        let signature = |doc: u32| {
            let place = documents.partition_point(|&other| other < doc);
            &signatures[place * hashes..][..hashes]
        };
        for &Duplicate { doc, kept, likeness } in some {
            let similarity = match likeness {
                Likeness::Exact => EQUAL,
                Likeness::Near => {
                    let of = |doc: DocId| signature(doc.get());
                    (Nearness::estimate(of(doc), of(kept)) * 1e6).round() as u32
                }
            };
            writer.push(&[doc.get(), kept.get(), similarity])?;
        }
    }
    Ok(FileRecord::at(&path, writer.commit()?))
}

/// Hands out the duplicates of a planned run in `DocId` order, some at once.
pub(crate) fn read_duplicates(
    run: &RunContext,
    mut take: impl FnMut(&[LeftOut]) -> Result<()>,
) -> Result<()> {
    if run.options().dedup == DedupName::None {
        return Ok(());
    }
    let file = ArrayFile::<u32>::open(&run.directory(PLAN).join(DUPLICATES))?;
    file.check()?;
    let (mut start, mut packed) = (0, Vec::new());
    while start < file.len() {
        let n = (file.len() - start).min(3 * AT_ONCE as u64);
        packed.clear();
        file.read_into(start, n as usize, &mut packed)?;
        let left_out = |d: &[u32]| LeftOut {
            doc: d[0],
            kept: d[1],
            similarity: (d[2] != EQUAL).then_some(d[2]),
        };
        take(&packed.chunks_exact(3).map(left_out).collect::<Vec<_>>())?;
        start += n;
    }
    Ok(())
}

/// The plan of a part.
///
/// Errors: `FILE_CORRUPT`, `STAGE_NOT_READY`.
pub fn open(run: &RunContext, part: Part) -> Result<PlanFile> {
    let folder = folder(part);
    run.check(PLAN, &format!("{folder}/plan.json"))?;
    PlanFile::open(&run.directory(PLAN).join(folder))
}
