//! Postings: of each document of a split the words that topics' queries have, with their counts, and
//! the number of all its words. Texts are decoded from the tokens.
//!
//! Files: `NNNNN.ends` (u64 by row: the place after its last word), `NNNNN.words` (u32: numbers of
//! words, see `neighbours/bm25.rs`) and `NNNNN.counts` (u16), `NNNNN.lengths` (u32 by row: all its
//! words), `NNNNN.having` (u32: number of a word and documents that have it, for each that one has).

use std::path::{Path, PathBuf};

use longweave_common::{DocId, Error};
use longweave_neighbours::{BM25_VERSION, WordCounter};
use longweave_storage::{ArrayWriter, FileRecord, read_array, write_array};
use longweave_tokens::TokenStore;
use rayon::prelude::*;

use crate::embed::{BATCH_TOKENS, COST, next_rows};
use crate::ingest::{INGEST, IngestPaths};
use crate::prelude::*;
use crate::scan;
use crate::topics::{self, TOPICS, TopicWords};

/// The counts in a task's done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostingCounts {
    /// Documents with a word.
    pub documents: u64,
    /// Words of all documents.
    pub words: u64,
    /// Pairs of a document and a word that a query has.
    pub pairs: u64,
    /// The digest of the list of topics.
    pub topics: String,
}

/// The files of a task.
pub(crate) struct PostingPaths {
    pub(crate) ends: PathBuf,
    pub(crate) words: PathBuf,
    pub(crate) counts: PathBuf,
    pub(crate) lengths: PathBuf,
    having: PathBuf,
}

impl PostingPaths {
    pub(crate) fn of(directory: &Path, task: u32) -> PostingPaths {
        let name = |kind: &str| directory.join(format!("{task:05}.{kind}"));
        PostingPaths {
            ends: name("ends"),
            words: name("words"),
            counts: name("counts"),
            lengths: name("lengths"),
            having: name("having"),
        }
    }
}

pub const POSTINGS: Stage =
    Stage::new("postings", "Counting topics' words", ProgressUnit::Documents, 1, &PostingsStage);

struct PostingsStage;

impl StageSpec for PostingsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST, TOPICS]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_topics()
    }

    fn identity(&self, _file: &RunFile) -> Value {
        json!({ "version": BM25_VERSION })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        scan::rows_in(run, tasks)
    }

    fn bytes(&self, _run: &RunContext, facts: &Facts) -> Result<f64> {
        // One pair for about six tokens where a few thousand topics share the language's words.
        Ok(facts.tokens + facts.rows * 12.0)
    }

    fn held(&self, run: &RunContext, facts: &Facts) -> f64 {
        topics::number(run, facts) * 150.0
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let encoder = run.resources.encoder()?;
        let ingested = IngestPaths::of(&run.directory(INGEST), task);
        let lens = read_array::<u32>(&ingested.lens)?;
        let store = TokenStore::open(vec![(0, ingested.tokens)])?;
        let topics = topics::words(run)?;
        let paths = PostingPaths::of(&run.directory(POSTINGS), task);
        let (mut ends, mut words) =
            (ArrayWriter::<u64>::create(&paths.ends)?, ArrayWriter::create(&paths.words)?);
        let (mut counts, mut lengths) =
            (ArrayWriter::create(&paths.counts)?, ArrayWriter::create(&paths.lengths)?);
        let mut having = vec![0u32; topics.words.len()];
        let (mut documents, mut all_words) = (0, 0);

        let limit = BATCH_TOKENS.min(ctx.budget.limit() / COST / 8);
        let mut held = ctx.budget.reserve(COST * limit, &ctx.cancel)?;
        let mut row = 0;
        while row < lens.len() {
            ctx.cancel.check()?;
            let (rows, tokens) = next_rows(&lens[row..], limit);
            held =
                held.exchange((COST * tokens.max(limit)).min(ctx.budget.limit()), &ctx.cancel)?;
            let count = |(counter, ids): &mut (WordCounter<'_>, Vec<u32>), row: usize| {
                ids.clear();
                store.read_into(DocId::new(row as u32), 0, lens[row], ids)?;
                let mut own = Vec::new();
                let length = counter.count(&encoder.decode(ids)?, &mut own);
                Ok((length, own))
            };
            let counted: Vec<(u32, Vec<(u32, u16)>)> = ctx.pool.install(|| {
                (row..row + rows)
                    .into_par_iter()
                    .with_min_len(16)
                    .map_init(|| (WordCounter::new(&topics.words), Vec::new()), count)
                    .collect::<Result<_>>()
            })?;
            for (length, own) in counted {
                documents += u64::from(length > 0);
                all_words += u64::from(length);
                own.iter().for_each(|&(word, _)| having[word as usize] += 1);
                words.push(&own.iter().map(|pair| pair.0).collect::<Vec<u32>>())?;
                counts.push(&own.iter().map(|pair| pair.1).collect::<Vec<u16>>())?;
                lengths.push(&[length])?;
                ends.push(&[words.len()])?;
            }
            row += rows;
            ctx.progress.advance(rows as u64);
        }

        let pairs = words.len();
        let present = (0u32..).zip(&having).filter(|&(_, &documents)| documents > 0);
        let having: Vec<u32> = present.flat_map(|(word, &documents)| [word, documents]).collect();
        let files = vec![
            FileRecord::at(&paths.ends, ends.commit()?),
            FileRecord::at(&paths.words, words.commit()?),
            FileRecord::at(&paths.counts, counts.commit()?),
            FileRecord::at(&paths.lengths, lengths.commit()?),
            FileRecord::at(&paths.having, write_array(&paths.having, &having)?),
        ];
        let topics = topics.digest.clone();
        PostingCounts { documents, words: all_words, pairs, topics }.done(files)
    }
}

impl Counts for PostingCounts {
    const STAGE: Stage = POSTINGS;
}

/// The error of a file that was made of another list of topics.
pub(crate) fn of_other_topics(path: &Path) -> Error {
    let message =
        format!("{} was made for other topics; delete its folder and run again", path.display());
    Error::corrupt(path, message)
}

/// Sums over the corpus.
pub(crate) struct Totals {
    /// Documents with a word, and words of all documents.
    pub(crate) documents: u64,
    pub(crate) words: u64,
    /// Documents that have each word of the queries.
    pub(crate) having: Vec<u32>,
}

impl Totals {
    /// Of the finished stage.
    ///
    /// Errors: `FILE_CORRUPT`, also where tasks counted other topics' words.
    pub(crate) fn of(run: &RunContext, topics: &TopicWords) -> Result<Totals> {
        let directory = run.directory(POSTINGS);
        let (mut totals, length) =
            (Totals { documents: 0, words: 0, having: Vec::new() }, topics.words.len());
        totals.having.resize(length, 0);
        for (task, counts) in (0u32..).zip(run.all_counts::<PostingCounts>()?) {
            let path = PostingPaths::of(&directory, task).having;
            let misfit = || of_other_topics(&path);
            if counts.topics != topics.digest {
                return Err(misfit());
            }
            totals.documents += counts.documents;
            totals.words += counts.words;
            for pair in read_array::<u32>(&path)?.chunks_exact(2) {
                *totals.having.get_mut(pair[0] as usize).ok_or_else(misfit)? += pair[1];
            }
        }
        Ok(totals)
    }
}
