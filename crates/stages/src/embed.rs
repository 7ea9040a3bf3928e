//! Embed: of each document of a split, or of each of its chunks, the vector that a model gives its
//! text, or the counts of its words.
//!
//! Texts are decoded from the tokens, so that the corpus is not read again and chunks are runs of
//! tokens.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{DocId, Offsets};
use longweave_inference::{Embedder, Runtime};
use longweave_neighbours::{FEATURES, TermCounter, Vectors};
use longweave_run::VectorSource;
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, Sealed, read_array, read_offsets};
use longweave_tokens::{Encoder, TokenStore};
use rayon::prelude::*;

use crate::attempt::{self, prefix, recorded_prefix};
use crate::chunks::Chunker;
use crate::ingest::{INGEST, IngestPaths};
use crate::prelude::*;
use crate::scan;

/// Tokens of documents that are read at once, at most; a longer document comes alone.
pub(crate) const BATCH_TOKENS: u64 = 1 << 20;
/// Bytes that a token may cost meanwhile: its id, its text, the counts or runs of its words.
pub(crate) const COST: u64 = 32;
/// Tokens of a text that a model is shown, for each token that counts for it; what is beyond is not
/// decoded.
const SHOWN: u32 = 16;
/// The largest count of a word; higher counts are cut to it.
const MOST: u32 = 0xFFFF;

/// Counts of a task, in its done record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EmbedCounts {
    /// Documents, or chunks of documents.
    pub units: u64,
    /// Numbers of a vector, where a model gave vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u64>,
    /// Where the model ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Why it did not run on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// The files of a task.
pub(crate) struct EmbedNames {
    /// Chunks of each row.
    counts: PathBuf,
    /// Tokens of each chunk.
    lens: PathBuf,
    /// For each unit the place after its last term, and the terms: feature · 2¹⁶ + count, rising.
    ends: PathBuf,
    terms: PathBuf,
    /// Units that have each feature.
    document_frequency: PathBuf,
    /// Vectors in fixed point, end to end.
    vectors: PathBuf,
}

impl EmbedNames {
    /// Of the files that begin with a prefix of the task's.
    fn of(directory: &Path, prefix: &str) -> EmbedNames {
        let name = |kind: &str| directory.join(format!("{prefix}.{kind}"));
        EmbedNames {
            counts: name("chunks"),
            lens: name("chunk-lens"),
            ends: name("ends"),
            terms: name("terms"),
            document_frequency: name("document_frequency"),
            vectors: name("vectors"),
        }
    }

    /// Of a finished task.
    fn recorded(run: &RunContext, task: u32) -> Result<EmbedNames> {
        let records = run.all_done(EMBED)?;
        let prefix = recorded_prefix(&records[task as usize], task);
        Ok(EmbedNames::of(&run.directory(EMBED), &prefix))
    }
}

/// The treatment of a split's units.
enum Output {
    Nothing,
    Terms(Box<TermFiles>),
    Vectors { vectors: Box<ArrayWriter<i16>>, dims: usize },
}

struct TermFiles {
    ends: ArrayWriter<u64>,
    terms: ArrayWriter<u32>,
    document_frequency: Vec<u32>,
}

struct ChunkWriter {
    chunker: Chunker,
    counts: ArrayWriter<u32>,
    lens: ArrayWriter<u32>,
}

pub const EMBED: Stage = Stage::new("embed", "Embedding", ProgressUnit::Documents, 1, &EmbedStage);

struct EmbedStage;

impl StageSpec for EmbedStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        let from_file = options.vectors.source == VectorSource::File;
        options.needs_vectors() && (!from_file || options.chunk_chars().is_some())
    }

    fn identity(&self, file: &RunFile) -> Value {
        let (vectors, chunk_chars) = (&file.options.vectors, file.options.chunk_chars());
        match vectors.source {
            VectorSource::Tfidf => {
                json!({ "source": vectors.source, "chunkChars": chunk_chars,
                    "version": longweave_neighbours::VERSION })
            }
            VectorSource::File => json!({ "chunkChars": chunk_chars }),
            VectorSource::Onnx => json!({
                "source": vectors.source, "chunkChars": chunk_chars,
                "model": file.input("encoder"), "pooling": vectors.pooling,
                "prefix": vectors.prefix, "maxTokens": vectors.max_tokens,
                "batchTokens": vectors.batch_tokens, "tf32": vectors.tf32,
                "version": longweave_inference::VERSION,
            }),
        }
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        scan::rows_in(run, tasks)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let splits = run.file.inventory.splits.len() as f64;
        Ok(match run.options().vectors.source {
            VectorSource::Tfidf => {
                facts.tokens * 1.1 + facts.units * 8.0 + splits * f64::from(1 << 18)
            }
            VectorSource::Onnx => facts.units * run.options().vector_bytes(),
            VectorSource::File => facts.units * 8.0,
        })
    }

    fn needs(&self, options: &RunOptions) -> Needs {
        match options.vectors.source {
            VectorSource::Onnx => Needs::device(&options.vectors.device),
            VectorSource::Tfidf | VectorSource::File => Needs::default(),
        }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let options = run.options();
        let encoder = run.resources.encoder()?;
        let ingested = IngestPaths::of(&run.directory(INGEST), task);
        let lens = read_array::<u32>(&ingested.lens)?;
        let store = TokenStore::open(vec![(0, ingested.tokens)])?;
        let by_model = options.vectors.source == VectorSource::Onnx;
        let names = EmbedNames::of(&run.directory(EMBED), &prefix(task, by_model));
        let chunk_writer = |characters: u32| -> Result<ChunkWriter> {
            Ok(ChunkWriter {
                chunker: Chunker::new(&*encoder, run.file.tokenizer.max_id, characters),
                counts: ArrayWriter::create(&names.counts)?,
                lens: ArrayWriter::create(&names.lens)?,
            })
        };
        let mut chunks = options.chunk_chars().map(chunk_writer).transpose()?;
        let embedder = if by_model { Some(embedder(ctx, run)?) } else { None };
        let embedder = embedder.as_deref();
        let mut output = match (options.vectors.source, embedder) {
            (VectorSource::Tfidf, _) => Output::Terms(Box::new(TermFiles {
                ends: ArrayWriter::create(&names.ends)?,
                terms: ArrayWriter::create(&names.terms)?,
                document_frequency: vec![0; FEATURES],
            })),
            (_, Some(embedder)) => Output::Vectors {
                vectors: Box::new(ArrayWriter::create(&names.vectors)?),
                dims: embedder.dimensions(),
            },
            _ => Output::Nothing,
        };

        let limit = BATCH_TOKENS.min(ctx.budget.limit() / COST / 8);
        let mut held = ctx.budget.reserve(COST * limit, &ctx.cancel)?;
        let (mut row, mut units) = (0, 0u64);
        while row < lens.len() {
            ctx.cancel.check()?;
            let (rows, tokens) = next_rows(&lens[row..], limit);
            held =
                held.exchange((COST * tokens.max(limit)).min(ctx.budget.limit()), &ctx.cancel)?;
            let batch = read_batch(&store, &lens, row..row + rows, chunks.as_mut())?;
            units += batch.units.len() as u64;
            match (&mut output, embedder) {
                (Output::Terms(files), _) => count(ctx, &*encoder, &batch, files)?,
                (Output::Vectors { vectors, .. }, Some(embedder)) => {
                    embed(ctx, &*encoder, embedder, &batch, vectors)?
                }
                _ => {}
            }
            row += batch.rows;
            ctx.progress.advance(batch.rows as u64);
        }

        let mut files = Vec::new();
        let mut keep = |path: &Path, sealed: Sealed| files.push(FileRecord::at(path, sealed));
        if let Some(ChunkWriter { counts, lens, .. }) = chunks {
            keep(&names.counts, counts.commit()?);
            keep(&names.lens, lens.commit()?);
        }
        let mut counts = EmbedCounts { units, ..EmbedCounts::default() };
        match output {
            Output::Nothing => {}
            Output::Terms(files) => {
                let TermFiles { ends, terms, document_frequency } = *files;
                keep(&names.ends, ends.commit()?);
                keep(&names.terms, terms.commit()?);
                keep(
                    &names.document_frequency,
                    longweave_storage::write_array(&names.document_frequency, &document_frequency)?,
                );
            }
            Output::Vectors { vectors, dims } => {
                keep(&names.vectors, vectors.commit()?);
                counts.dimensions = Some(dims as u64);
                if let Some(embedder) = embedder {
                    counts.device = Some(embedder.provider().to_string());
                    counts.warning = embedder.provider().warning();
                }
            }
        }
        (counts).done(files)
    }

    fn sweep(&self, run: &RunContext) {
        attempt::sweep(run, EMBED);
    }

    fn device(&self, record: &DoneRecord) -> Option<String> {
        EmbedCounts::of(record)?.device
    }
}

impl Counts for EmbedCounts {
    const STAGE: Stage = EMBED;
}

/// The embedding model, loaded when first needed.
fn embedder(ctx: &Ctx, run: &RunContext) -> Result<Arc<Embedder>> {
    run.shared.get(|| {
        let (vectors, base) = (&run.options().vectors, run.resources.base());
        let runtime = Runtime::load(&vectors.runtime_options(base))?;
        let options = vectors.embedder_options(ctx.pool.current_num_threads(), base)?;
        Embedder::load(runtime, &options)
    })
}

/// How many rows come next, and their tokens: at most `limit`, unless a single one has more.
pub(crate) fn next_rows(lens: &[u32], limit: u64) -> (usize, u64) {
    let (mut rows, mut tokens) = (0, 0);
    while rows < lens.len()
        && (rows == 0 || tokens + u64::from(lens[rows]) <= limit)
        && rows < 1 << 16
    {
        tokens += u64::from(lens[rows]);
        rows += 1;
    }
    (rows, tokens)
}

/// Tokens of some rows, and the range of each unit among them.
struct Batch {
    rows: usize,
    ids: Vec<u32>,
    units: Vec<Range<usize>>,
}

fn read_batch(
    store: &TokenStore,
    lens: &[u32],
    rows: Range<usize>,
    mut chunks: Option<&mut ChunkWriter>,
) -> Result<Batch> {
    let mut batch = Batch { rows: rows.len(), ids: Vec::new(), units: Vec::new() };
    for (row, &len) in rows.clone().zip(&lens[rows]) {
        let start = batch.ids.len();
        store.read_into(DocId::new(row as u32), 0, len, &mut batch.ids)?;
        match &mut chunks {
            None => batch.units.push(start..batch.ids.len()),
            Some(chunks) => {
                let mut own = Vec::new();
                let count = chunks.chunker.cut(&batch.ids[start..], &mut own);
                chunks.counts.push(&[count])?;
                chunks.lens.push(&own)?;
                let mut at = start;
                for len in own {
                    batch.units.push(at..at + len as usize);
                    at += len as usize;
                }
            }
        }
    }
    Ok(batch)
}

fn count(ctx: &Ctx, encoder: &dyn Encoder, batch: &Batch, files: &mut TermFiles) -> Result<()> {
    let counted: Vec<Vec<u32>> = ctx.pool.install(|| {
        let count = |(counter, pairs): &mut (TermCounter, Vec<(u32, u32)>), unit: &Range<usize>| {
            pairs.clear();
            counter.count(&encoder.decode(&batch.ids[unit.clone()])?, pairs);
            Ok(pairs.iter().map(|&(feature, count)| (feature << 16) | count.min(MOST)).collect())
        };
        batch
            .units
            .par_iter()
            .with_min_len(16)
            .map_init(|| (TermCounter::default(), Vec::new()), count)
            .collect::<Result<_>>()
    })?;
    for own in counted {
        own.iter().for_each(|term| files.document_frequency[(term >> 16) as usize] += 1);
        files.terms.push(&own)?;
        files.ends.push(&[files.terms.len()])?;
    }
    Ok(())
}

fn embed(
    ctx: &Ctx,
    encoder: &dyn Encoder,
    embedder: &Embedder,
    batch: &Batch,
    vectors: &mut ArrayWriter<i16>,
) -> Result<()> {
    // Windows bound the texts that are held, and the time until a cancelled run stops.
    for window in batch.units.chunks(1024) {
        let most = embedder.max_tokens().saturating_mul(SHOWN as usize);
        let text = |unit: &Range<usize>| {
            encoder.decode(&batch.ids[unit.start..unit.end.min(unit.start + most)])
        };
        let texts: Vec<String> =
            ctx.pool.install(|| window.par_iter().map(text).collect::<Result<_>>())?;
        let made =
            embedder.embed(&ctx.cancel, &texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let dims = embedder.dimensions();
        let mut fixed = Vectors::with_capacity(dims, window.len());
        for (vector, text) in made.chunks_exact(dims).zip(&texts) {
            // A document without a token has no vector, whatever a model says of the empty text.
            if text.is_empty() { fixed.push(&vec![0.0; dims]) } else { fixed.push(vector) }
        }
        vectors.push(fixed.data())?;
    }
    Ok(())
}

/// Chunks of all documents: how many each has, and the tokens of each.
pub fn chunks(run: &RunContext) -> Result<(Vec<u32>, Vec<u32>)> {
    let (mut counts, mut lens) = (Vec::new(), Vec::new());
    for task in 0..run.all_done(EMBED)?.len() as u32 {
        let names = EmbedNames::recorded(run, task)?;
        counts.extend(read_array::<u32>(&names.counts)?);
        lens.extend(read_array::<u32>(&names.lens)?);
    }
    Ok((counts, lens))
}

/// The terms of a split, read block by block.
pub struct Terms {
    of_units: Offsets,
    file: ArrayFile<u32>,
}

impl Terms {
    /// The terms of a finished task.
    pub fn open(run: &RunContext, task: u32) -> Result<Terms> {
        let names = EmbedNames::recorded(run, task)?;
        let file = ArrayFile::open(&names.terms)?;
        file.check()?;
        Ok(Terms { of_units: read_offsets(&names.ends)?, file })
    }

    /// Rows of (feature, count) of some units, one after the other.
    pub fn read(&self, units: Range<usize>) -> Result<Vec<Vec<(u32, u32)>>> {
        let place = |unit: usize| self.of_units.begin(unit);
        let (start, end) = (place(units.start), place(units.end));
        let mut packed = Vec::new();
        self.file.read_into(start, (end - start) as usize, &mut packed)?;
        let row = |unit: usize| {
            let range = (place(unit) - start) as usize..(place(unit + 1) - start) as usize;
            packed[range].iter().map(|&term| (term >> 16, term & MOST)).collect()
        };
        Ok(units.map(row).collect())
    }
}

/// The number of units of a split that have each feature.
pub fn document_frequency(run: &RunContext, task: u32) -> Result<Vec<u32>> {
    read_array(&EmbedNames::recorded(run, task)?.document_frequency)
}

/// The vectors that a model gave the units of a split, in fixed point.
pub fn model_vectors(run: &RunContext, task: u32) -> Result<Vec<i16>> {
    read_array(&EmbedNames::recorded(run, task)?.vectors)
}
