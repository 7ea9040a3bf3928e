//! Matches: the best documents of some splits for each topic, by BM25. A task has splits that follow
//! each other; the planner joins the lists of all tasks.
//!
//! Files, `NNNNN` the task: `NNNNN.ends` (u64 by topic: the place after its last document),
//! `NNNNN.docs` (u32) and `NNNNN.scores` (u32, in 2⁻²⁰), best first.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::random::Key;
use longweave_common::{DocId, Error, KeywordId, Offsets};
use longweave_neighbours::{BM25_VERSION, Bm25, QueryRanking, ScoredDocuments};
use longweave_plan::TopicLists;
use longweave_run::MatchWords;
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, read_array, read_offsets};
use rayon::prelude::*;

use crate::ingest::INGEST;
use crate::neighbours::share;
use crate::postings::{POSTINGS, PostingPaths, Totals, of_other_topics};
use crate::prelude::*;
use crate::scan;
use crate::topics::{self, TOPICS, TopicListCounts, TopicWords};

/// Documents of a task, about; and tasks at most.
const DOCUMENTS: u64 = 1 << 20;
const MOST: u64 = 64;
/// Pairs of document and word that are read at once, about, and bytes that one costs meanwhile.
const PAIRS: u64 = 1 << 20;
const PAIR: u64 = 24;
/// Documents of lists that are joined at once.
const JOINED: usize = 1 << 22;

/// The counts in a task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MatchCounts {
    /// Documents of all lists.
    pub found: u64,
    /// The digest of the list of topics.
    pub topics: String,
}

/// The files of a task.
struct MatchPaths {
    ends: PathBuf,
    docs: PathBuf,
    scores: PathBuf,
}

impl MatchPaths {
    fn of(directory: &Path, task: u32) -> MatchPaths {
        let name = |kind: &str| directory.join(format!("{task:05}.{kind}"));
        MatchPaths { ends: name("ends"), docs: name("docs"), scores: name("scores") }
    }
}

pub const MATCHES: Stage =
    Stage::new("matches", "Finding documents of topics", ProgressUnit::Documents, 1, &MatchesStage);

struct MatchesStage;

impl StageSpec for MatchesStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, TOPICS, POSTINGS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_topics()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let topics = &file.options.topics;
        json!({ "documents": file.options.method.own.topic_documents(), "k1": topics.k1,
            "b": topics.b, "match": topics.match_words, "version": BM25_VERSION })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        let rows = u64::from(scan::rows(run)?.total());
        let splits = run.file.inventory.splits.len() as u64;
        Ok(Some(rows.div_ceil(DOCUMENTS).clamp(1, MOST).min(splits.max(1)) as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        let all = count(run)?;
        let splits = tasks.iter().flat_map(|&task| splits(run, task, all));
        scan::rows_in(run, &splits.collect::<Vec<u32>>())
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let tasks = (facts.rows / DOCUMENTS as f64).ceil().clamp(1.0, MOST as f64);
        let places = f64::from(documents(run)).min(facts.rows / tasks);
        Ok(topics::number(run, facts) * tasks * (8.0 + 8.0 * places))
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        topics::number(run, facts) * 200.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let topics = topics::words(run)?;
        let bm25 = scores(run, &topics)?;
        let (rows, own) = (scan::rows(run)?, splits(run, task, count(run)?));
        let own_rows: u64 = own.clone().map(|split| u64::from(rows.count(split as usize))).sum();
        let k = u64::from(documents(run)).min(own_rows).max(1) as usize;
        // Half of the memory for lists; topics whose lists do not fit come in another pass.
        let all = topics.words.queries();
        let at_once = (ctx.budget.limit() / 2 / QueryRanking::bytes_of_query(k)).max(1) as usize;
        let at_once = at_once.min(all.max(1));
        let pairs = PAIRS.min(ctx.budget.limit() / 4 / PAIR);
        let bytes = at_once as u64 * QueryRanking::bytes_of_query(k) + pairs * PAIR;
        let _held = ctx.budget.reserve(bytes.min(ctx.budget.limit()), &ctx.cancel)?;
        let paths = MatchPaths::of(&run.directory(MATCHES), task);
        let mut ends = ArrayWriter::<u64>::create(&paths.ends)?;
        let (mut docs, mut scores) =
            (ArrayWriter::create(&paths.docs)?, ArrayWriter::create(&paths.scores)?);
        for first in (0..all).step_by(at_once) {
            let range = first..all.min(first + at_once);
            let last = range.end == all;
            let lanes = ctx.pool.current_num_threads();
            let all_words = run.options().topics.match_words == MatchWords::All;
            let mut ranking = ctx
                .pool
                .install(|| QueryRanking::new(&topics.words, &bm25, range, k, all_words, lanes));
            for split in own.clone() {
                let first_row = rows.first[split as usize];
                offer(ctx, run, split, first_row, &bm25, pairs, &mut ranking)?;
                if last {
                    ctx.progress.advance(u64::from(rows.count(split as usize)));
                }
            }
            for list in ranking.lists() {
                let (own_scores, own_docs): (Vec<u32>, Vec<u32>) = list.unzip();
                docs.push(&own_docs)?;
                scores.push(&own_scores)?;
                ends.push(&[docs.len()])?;
            }
        }
        let found = docs.len();
        let files = vec![
            FileRecord::at(&paths.ends, ends.commit()?),
            FileRecord::at(&paths.docs, docs.commit()?),
            FileRecord::at(&paths.scores, scores.commit()?),
        ];
        MatchCounts { found, topics: topics.digest.clone() }.done(files)
    }
}

impl Counts for MatchCounts {
    const STAGE: Stage = MATCHES;
}

fn count(run: &RunContext) -> Result<u32> {
    Ok(MatchesStage.tasks(run)?.unwrap_or(1))
}

fn documents(run: &RunContext) -> u32 {
    run.options().method.own.topic_documents().unwrap_or(1)
}

/// The splits of a task.
fn splits(run: &RunContext, task: u32, tasks: u32) -> Range<u32> {
    let own = share(run.file.inventory.splits.len() as u64, task, tasks);
    own.start as u32..own.end as u32
}

/// The scores of words, with the digest of the topics that they are for.
#[derive(Default)]
struct OpenScores(Mutex<Option<(String, Arc<Bm25>)>>);

fn scores(run: &RunContext, topics: &TopicWords) -> Result<Arc<Bm25>> {
    let shared = run.shared.get(|| Ok(OpenScores::default()))?;
    let mut held = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, bm25)) = held.as_ref().filter(|(digest, _)| *digest == topics.digest) {
        return Ok(Arc::clone(bm25));
    }
    let Totals { documents, words, having } = Totals::of(run, topics)?;
    let options = &run.options().topics;
    let bm25 = Arc::new(Bm25::new(options.k1, options.b, documents, words, &having));
    *held = Some((topics.digest.clone(), Arc::clone(&bm25)));
    Ok(bm25)
}

/// Offers the documents of a split.
fn offer(
    ctx: &Ctx,
    run: &RunContext,
    split: u32,
    first_row: u32,
    bm25: &Bm25,
    pairs: u64,
    ranking: &mut QueryRanking,
) -> Result<()> {
    let paths = PostingPaths::of(&run.directory(POSTINGS), split);
    let (ends, lengths) = (read_offsets(&paths.ends)?, read_array::<u32>(&paths.lengths)?);
    let (words, counts) =
        (ArrayFile::<u32>::open(&paths.words)?, ArrayFile::<u16>::open(&paths.counts)?);
    words.check()?;
    counts.check()?;
    if lengths.len() != ends.len() || words.len() != ends.end() || counts.len() != ends.end() {
        let message = format!(
            "{} does not fit the words of its documents; delete its folder and run again",
            paths.ends.display()
        );
        return Err(Error::corrupt(&paths.ends, message));
    }
    let (mut row, mut own_words, mut own_counts) = (0, Vec::new(), Vec::new());
    while row < ends.len() {
        ctx.cancel.check()?;
        let start = ends.begin(row);
        let mut end = row + 1;
        while end < ends.len() && ends.begin(end + 1) - start <= pairs {
            end += 1;
        }
        let number = (ends.begin(end) - start) as usize;
        own_words.clear();
        own_counts.clear();
        words.read_into(start, number, &mut own_words)?;
        counts.read_into(start, number, &mut own_counts)?;
        let score = |scored: &mut ScoredDocuments, row: usize| {
            let range = (ends.begin(row) - start) as usize..(ends.begin(row + 1) - start) as usize;
            let pairs = own_words[range.clone()].iter().zip(&own_counts[range]);
            let heavy = pairs.filter(|&(&word, _)| bm25.weighs(word));
            scored.push(heavy.map(|(&word, &count)| (word, bm25.score(word, count, lengths[row]))));
        };
        ctx.pool.install(|| {
            let rows: Vec<usize> = (row..end).collect();
            let parts = rows.par_chunks(256).map(|rows| {
                let mut scored = ScoredDocuments::default();
                rows.iter().for_each(|&row| score(&mut scored, row));
                scored
            });
            let mut scored = ScoredDocuments::default();
            parts.collect::<Vec<_>>().iter().for_each(|part| scored.extend(part));
            ranking.offer(first_row + row as u32, &scored);
        });
        row = end;
    }
    Ok(())
}

/// The lists of a task.
struct Lists {
    own: Offsets,
    docs: ArrayFile<u32>,
    scores: ArrayFile<u32>,
}

impl Lists {
    fn open(run: &RunContext, task: u32, topics: usize) -> Result<Lists> {
        let paths = MatchPaths::of(&run.directory(MATCHES), task);
        let (own, docs) = (read_offsets(&paths.ends)?, ArrayFile::<u32>::open(&paths.docs)?);
        let scores = ArrayFile::<u32>::open(&paths.scores)?;
        docs.check()?;
        scores.check()?;
        if own.len() != topics || docs.len() != own.end() || scores.len() != own.end() {
            let message = format!(
                "{} does not fit the topics; delete its folder and run again",
                paths.ends.display()
            );
            return Err(Error::corrupt(&paths.ends, message));
        }
        Ok(Lists { own, docs, scores })
    }

    /// Appends the documents of some topics to those of each.
    fn read(&self, topics: Range<usize>, joined: &mut [Vec<(u32, u32)>]) -> Result<()> {
        let (start, end) = (self.own.begin(topics.start), self.own.begin(topics.end));
        let (mut docs, mut scores) = (Vec::new(), Vec::new());
        self.docs.read_into(start, (end - start) as usize, &mut docs)?;
        self.scores.read_into(start, (end - start) as usize, &mut scores)?;
        for (topic, joined) in topics.zip(joined) {
            let own = self.own.span(topic);
            let own = (own.start - start) as usize..(own.end - start) as usize;
            joined.extend(scores[own.clone()].iter().copied().zip(docs[own].iter().copied()));
        }
        Ok(())
    }
}

/// The documents of each topic; `None` where the method has no topics. Costs 4 bytes a document of a
/// list.
pub fn open(run: &RunContext) -> Result<Option<TopicLists>> {
    if !run.options().needs_topics() {
        return Ok(None);
    }
    let names = topics::names(run)?;
    let TopicListCounts { digest, .. } = run.counts(0)?;
    for (task, counts) in (0u32..).zip(run.all_counts::<MatchCounts>()?) {
        if counts.topics != digest {
            return Err(of_other_topics(&MatchPaths::of(&run.directory(MATCHES), task).ends));
        }
    }
    let tasks = (0..count(run)?).map(|task| Lists::open(run, task, names.len()));
    let tasks = tasks.collect::<Result<Vec<Lists>>>()?;
    let k = documents(run) as usize;
    let at_once = (JOINED / tasks.len().max(1) / k).max(1);
    let (mut own, mut docs) = (Offsets::with_capacity(names.len()), Vec::new());
    for first in (0..names.len()).step_by(at_once) {
        let range = first..names.len().min(first + at_once);
        let mut joined: Vec<Vec<(u32, u32)>> = vec![Vec::new(); range.len()];
        tasks.iter().try_for_each(|lists| lists.read(range.clone(), &mut joined))?;
        for mut list in joined {
            // Documents of earlier tasks have lower numbers.
            list.sort_by_key(|&(score, _)| std::cmp::Reverse(score));
            docs.extend(list.into_iter().take(k).map(|(_, doc)| DocId::new(doc)));
            own.push(docs.len());
        }
    }
    let keys = names.iter().map(|name| Key::of(name).0).collect();
    TopicLists::new(keys, own, docs).map(Some)
}

/// The number of documents of a topic.
pub fn documents_of(run: &RunContext, topic: KeywordId) -> Result<u64> {
    let mut found = 0;
    for task in 0..count(run)? {
        let own = read_offsets(&MatchPaths::of(&run.directory(MATCHES), task).ends)?;
        found += own.range(topic.index()).len() as u64;
    }
    Ok(found.min(documents(run).into()))
}
