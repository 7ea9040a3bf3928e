//! A query model: text to segments of ids, segments to batches, batches to queries, on the model's
//! own thread.

use std::path::PathBuf;

use longweave_common::random::Key;
use longweave_common::{Cancel, Code, Error, Result};

use crate::batches::{Batch, BatchOptions, batches};
use crate::device::{DeviceOptions, Provider, Sessions};
use crate::files::{self, Layout};
use crate::generate::{Generated, Generator, Request, Timing};
use crate::optimum::Optimum;
use crate::rows::Rows;
use crate::seq2seq::Seq2Seq;
use crate::tokenizer::{TextTokenizer, pieces};
use crate::two_graph::TwoGraph;
use crate::worker::{Pending, Worker};
use crate::{Decoding, Runtime};

/// How to predict.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryModelOptions {
    /// The exported model.
    pub model: PathBuf,
    /// Where it runs.
    pub device: DeviceOptions,
    /// How tokens are chosen.
    pub decoding: Decoding,
    /// Queries of a segment; more than one need sampling.
    pub queries_per_segment: u32,
    /// Most tokens of a query, the one that ends it counted.
    pub max_query_tokens: u32,
    /// Most tokens of a segment without the prefix and special ones.
    pub segment_tokens: u32,
    /// Text before every segment; `None` for the model's own.
    pub prefix: Option<String>,
    /// As [`BatchOptions::batch_tokens`].
    pub batch_tokens: u32,
    /// As [`BatchOptions::decode_rows`].
    pub decode_rows: u32,
}

impl QueryModelOptions {
    /// Checks the ranges.
    ///
    /// Errors: `OPTIONS_INVALID`.
    pub fn check(&self) -> Result<()> {
        self.decoding.check()?;
        let bad = |option: &str, text: String| {
            Err(Error::new(Code::OptionsInvalid, text).with("option", format!("queries.{option}")))
        };
        if self.queries_per_segment > 1 && self.decoding == Decoding::Greedy {
            return bad(
                "queriesPerSegment",
                "`queriesPerSegment` above 1 needs `decoding: sample`: greedy decoding would give \
                 the same query each time"
                    .into(),
            );
        }
        for (name, value, most) in [
            ("queriesPerSegment", self.queries_per_segment, 1 << 16),
            ("maxQueryTokens", self.max_query_tokens, 1 << 16),
            ("segmentTokens", self.segment_tokens, u32::MAX),
            ("batchTokens", self.batch_tokens, u32::MAX),
            ("decodeRows", self.decode_rows, u32::MAX),
        ] {
            if value == 0 || value > most {
                return bad(name, format!("`{name}` must be from 1 to {most}, but is {value}"));
            }
        }
        Ok(())
    }
}

/// A segment of a document, as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Key of the document's id.
    pub document: Key,
    /// Number of the segment in the document, from 0.
    pub number: u32,
    /// Ids with prefix and special ones.
    pub ids: Vec<u32>,
}

/// Turns texts into segments; any number of threads share it.
pub struct Segments {
    tokenizer: TextTokenizer,
    prefix: String,
    /// Ids of the prefix alone, for segments after the first.
    prefix_ids: Vec<u32>,
    /// Ids that end every input.
    suffix: Vec<u32>,
    /// Most tokens of a segment's own text.
    most: usize,
}

/// A model that predicts queries. Its thread ends when it is dropped.
pub struct QueryModel {
    segments: Segments,
    batches: BatchOptions,
    worker: Worker<Generator>,
    provider: Provider,
    layout: String,
}

/// Queries to come.
pub struct PendingBatch(Pending<Vec<Generated>>);

impl PendingBatch {
    /// Waits for the queries of the batch, segment by segment.
    ///
    /// Errors: `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`.
    pub fn wait(self) -> Result<Vec<Generated>> {
        self.0.wait()
    }
}

impl QueryModel {
    /// Loads a model.
    ///
    /// Errors: `OPTIONS_INVALID`, `MODEL_MISSING`, `MODEL_INVALID`, `MODEL_MISMATCH`,
    /// `MODEL_TOKENIZER`, `DEVICE_UNAVAILABLE`.
    pub fn load(runtime: &'static Runtime, options: &QueryModelOptions) -> Result<QueryModel> {
        options.check()?;
        let directory = options.model.clone();
        let (config, layout) = files::read(&directory)?;
        let tokenizer = TextTokenizer::open(&directory, Some(config.vocabulary))?;
        let prefix = options.prefix.clone().unwrap_or_else(|| config.prefix.clone());
        let segments =
            Segments::new(tokenizer, prefix, options.segment_tokens as usize, config.max_input)?;
        let sessions = Sessions::new(runtime, options.device)?;
        let provider = sessions.provider.clone();
        let said = match &layout {
            Layout::Own(own) => format!("two-graph {}", own.precision),
            Layout::Merged(_) => "optimum, merged decoder".into(),
            Layout::Split { .. } => "optimum".into(),
        };
        let (decoding, queries_per_segment) = (options.decoding, options.queries_per_segment);
        let max_query_tokens = options.max_query_tokens as usize;
        let worker = Worker::start("longweave-model", move || {
            let model: Box<dyn Seq2Seq> = match &layout {
                Layout::Own(own) => Box::new(TwoGraph::open(&sessions, &directory, &config, own)?),
                _ => Box::new(Optimum::open(&sessions, &directory, &config, &layout)?),
            };
            let stop = sessions.stop.clone();
            let rows = Rows::new(sessions)?;
            Ok(Generator {
                model,
                rows,
                stop,
                config,
                decoding,
                queries_per_segment,
                max_query_tokens,
                timing: Timing::default(),
            })
        })?;
        let batches = BatchOptions {
            batch_tokens: options.batch_tokens as usize,
            decode_rows: options.decode_rows as usize,
            rows_per_segment: options.queries_per_segment as usize,
        };
        Ok(QueryModel { segments, batches, worker, provider, layout: said })
    }

    /// The execution provider that is really used.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The layout of the model, in words.
    pub fn layout(&self) -> &str {
        &self.layout
    }

    /// The segmenter of texts.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Batches of segments.
    pub fn batches(&self, segments: &[Segment]) -> Vec<Batch> {
        let lengths: Vec<u32> = segments.iter().map(|s| s.ids.len() as u32).collect();
        batches(&lengths, &self.batches)
    }

    /// Queues a batch of these segments.
    pub fn submit(&self, cancel: &Cancel, segments: &[Segment], batch: &Batch) -> PendingBatch {
        let chosen = || batch.segments.iter().map(|&i| &segments[i]);
        let request = Request {
            cancel: cancel.clone(),
            ids: chosen().map(|s| s.ids.clone()).collect(),
            width: batch.width,
            parts: batch.parts.clone(),
            keys: chosen().map(|s| (s.document, s.number)).collect(),
            places: batch.segments.clone(),
        };
        PendingBatch(self.worker.ask(move |generator| generator.generate(&request)))
    }

    /// Queries of all segments, in the order of the segments.
    ///
    /// Errors: as [`PendingBatch::wait`].
    pub fn generate(&self, cancel: &Cancel, segments: &[Segment]) -> Result<Vec<Generated>> {
        let pending: Vec<PendingBatch> = self
            .batches(segments)
            .iter()
            .map(|batch| self.submit(cancel, segments, batch))
            .collect();
        let mut made = Vec::new();
        for batch in pending {
            made.extend(batch.wait()?);
        }
        made.sort_by_key(|g| (g.segment, g.query));
        Ok(made)
    }

    /// Text of a query.
    pub fn text(&self, ids: &[u32]) -> Result<String> {
        self.segments.tokenizer.decode(ids)
    }

    /// Where the time of the model's thread went so far.
    pub fn timing(&self) -> Result<Timing> {
        self.worker.ask(|generator| Ok(generator.timing)).wait()
    }
}

impl Segments {
    fn new(
        tokenizer: TextTokenizer,
        prefix: String,
        segment_tokens: usize,
        max_input: usize,
    ) -> Result<Segments> {
        let suffix = tokenizer.encode("", true)?;
        let prefix_ids = tokenizer.encode(prefix.trim_end(), false)?;
        let room = max_input.saturating_sub(suffix.len() + prefix_ids.len());
        if room == 0 {
            let message = format!(
                "the prefix {prefix:?} leaves no room in the {max_input} tokens that the model \
                 reads"
            );
            return Err(Error::new(Code::OptionsInvalid, message).with("option", "prefix"));
        }
        Ok(Segments { tokenizer, prefix, prefix_ids, suffix, most: segment_tokens.min(room) })
    }

    /// The segments of a document: runs of about equal length of its tokens, with prefix and
    /// special tokens. A text without a token has none.
    ///
    /// Errors: `MODEL_INVALID` when the tokenizer refuses the text.
    pub fn of(&self, document: Key, text: &str) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for piece in pieces(text).filter(|piece| !piece.trim().is_empty()) {
            // The prefix precedes the text when it is tokenized, as in the model's training; the
            // tokens after it are the text's.
            let ids = self.tokenizer.encode(&format!("{}{piece}", self.prefix), false)?;
            let own = ids.strip_prefix(self.prefix_ids.as_slice()).unwrap_or(&ids);
            if own.is_empty() {
                continue;
            }
            let size = own.len().div_ceil(own.len().div_ceil(self.most));
            for part in own.chunks(size) {
                let number = segments.len() as u32;
                let ids = self.prefix_ids.iter().chain(part).chain(&self.suffix).copied().collect();
                segments.push(Segment { document, number, ids });
            }
        }
        Ok(segments)
    }
}
