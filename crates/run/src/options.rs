//! The resolved options of a run: every choice made, no defaults (the TypeScript schema alone holds
//! them), unknown fields refused.

use std::collections::BTreeMap;

use longweave_common::{Code, Error, Result};
use longweave_corpus::{CorpusOptions, LoneSurrogates, Origin};
use longweave_duplicates::Bands;
use longweave_formats::{Column, Compression, Format, MdsIndices, Provenance};
use longweave_index::Hierarchy;
use longweave_inference::{
    Decoding, Device, DeviceOptions, EmbedderOptions, Pooling, QueryModelOptions, RuntimeOptions,
};
use longweave_language::Language;
use longweave_plan::{
    Dedup, Fill, Incomplete, Keep, LengthShare, Method, MethodName, Overflow, PlanOptions,
    Policies, Pool, PoolOptions,
};
use longweave_remote::{Location, Scheme, is_remote};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::base::Base;

/// Fewest bytes of `memory`.
pub const LEAST_MEMORY: u64 = 16 << 20;

/// How far a run is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To the end.
    Run,
    /// Only `run.json` is written.
    Prepare,
    /// Up to the plan; no token is copied.
    Plan,
}

impl Mode {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Prepare => "prepare",
            Mode::Plan => "plan",
        }
    }
}

/// Everything a run needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunOptions {
    /// Files, directories, globs and URLs; `None` where documents are pushed.
    #[serde(deserialize_with = "Option::deserialize")]
    pub corpus: Option<Vec<String>>,
    /// The directory that relative paths of files are taken from.
    #[serde(deserialize_with = "Option::deserialize")]
    pub corpus_root: Option<String>,
    /// The published corpus whose fields the options took; kept for the record.
    #[serde(deserialize_with = "Option::deserialize")]
    pub corpus_preset: Option<String>,
    /// Patterns of names of files and directories that are not read.
    pub corpus_skip: Vec<String>,
    /// Field or column of the text.
    pub text_field: String,
    /// Field or column of token ids, in place of a text.
    #[serde(deserialize_with = "Option::deserialize")]
    pub tokens_field: Option<String>,
    /// Between the strings of a text that is a list.
    pub text_join: String,
    /// Field or column of the id; `None` for `path:row`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub id_field: Option<String>,
    /// Field or column of precomputed queries.
    #[serde(deserialize_with = "Option::deserialize")]
    pub query_field: Option<String>,
    /// Field or column that names a document's source.
    #[serde(deserialize_with = "Option::deserialize")]
    pub source_field: Option<String>,
    /// Weights of sources by name: values of `sourceField`, or without it paths of `corpus`; empty
    /// where they mix as they come.
    pub sources: BTreeMap<String, f64>,
    /// Field or column of the code of a document's language.
    #[serde(deserialize_with = "Option::deserialize")]
    pub language_field: Option<String>,
    /// The treatment of half a surrogate pair in JSON.
    pub lone_surrogates: LoneSurrogates,
    /// The treatment of a row that cannot be used.
    pub on_bad_row: OnBadRow,
    /// Most bad rows, which are skipped: a share of all rows below 1, else a number of rows.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_bad_rows: Option<f64>,
    /// The treatment of a second document with the same id.
    pub on_duplicate_id: OnDuplicateId,
    /// Most bytes of a document.
    pub max_document_bytes: u64,
    /// Bytes of a split of an uncompressed JSONL file, about; `None` for what follows from the
    /// corpus.
    #[serde(deserialize_with = "Option::deserialize")]
    pub split_bytes: Option<u64>,
    /// The tokenizer.json.
    pub tokenizer: String,
    /// Where queries come from.
    pub queries: QueryOptions,
    /// How keywords are made and chosen.
    pub keywords: KeywordOptions,
    /// Where vectors of documents come from.
    pub vectors: VectorOptions,
    /// How neighbours are looked for.
    pub neighbours: NeighbourOptions,
    /// Where topics come from, and how documents are found for them.
    pub topics: TopicOptions,
    /// The method: it decides which pieces share a sequence.
    pub method: MethodOptions,
    /// Tokens of a sequence.
    pub length: u32,
    /// The lengths that share the documents; empty where `length` has them all.
    pub lengths: Vec<LengthShare>,
    /// Tokens of the output, or of those of all `lengths` together; `None` for one epoch.
    #[serde(deserialize_with = "Option::deserialize")]
    pub tokens: Option<u64>,
    /// Seed of every draw.
    pub seed: u64,
    /// `auto`, `none`, `token:TEXT` or `text:TEXT`.
    pub separator: String,
    /// The place of begin tokens.
    pub bos: Bos,
    /// `auto` or `token:TEXT`.
    pub bos_token: String,
    /// `auto` or `token:TEXT`.
    pub pad_token: String,
    /// The treatment of special tokens in the text of documents.
    pub special_text: SpecialText,
    /// The treatment of a piece that crosses the end of a sequence.
    pub overflow: Overflow,
    /// The treatment of a sequence that cannot be filled.
    pub incomplete: Incomplete,
    /// Fewest tokens of a document.
    pub min_tokens: u32,
    /// Most tokens of a document.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_tokens: Option<u32>,
    /// Most uses of a document.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_uses: Option<u32>,
    /// Share of documents set aside as a second output.
    pub holdout: f64,
    /// The definition of a duplicate.
    pub dedup: DedupName,
    /// How near-duplicates are found.
    pub near: NearOptions,
    /// The output: place, format, shards.
    pub output: OutputOptions,
    /// The work directory; `None` for `.work` in the output directory.
    #[serde(deserialize_with = "Option::deserialize")]
    pub work: Option<String>,
    /// Threads; 0 for one per core.
    pub threads: usize,
    /// Bytes of heap for tokenizing, predicting and packing.
    pub memory: u64,
    /// How tokens reach the output. The bytes are the same.
    pub packing: Packing,
    /// The check whether the files fit on the disks.
    pub disk_check: DiskCheck,
    /// The results that the run deletes from the work directory.
    pub clean: Clean,
}

/// How tokens reach the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Packing {
    /// Whichever should be faster, see `stages/route.rs`.
    Auto,
    /// Pieces are read in the order of documents: best if the token store fits into the page cache.
    Gather,
    /// Each split's tokens are first written in the order of the plan, then read band by band:
    /// sequential I/O.
    Scatter,
}

/// The check whether the files fit on the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DiskCheck {
    /// The run is refused.
    Refuse,
    /// The run warns and continues.
    Warn,
    /// No check.
    Off,
}

/// The results that a run deletes from the work directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clean {
    /// Nothing.
    None,
    /// The results of this run's stages, once its output is sealed.
    Sealed,
}

/// The treatment of a row that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnBadRow {
    /// The run ends with an error.
    Fail,
    /// The row goes to `rejects.jsonl`.
    Skip,
}

/// The treatment of a second document with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDuplicateId {
    /// The run ends with an error.
    Fail,
    /// It becomes `id#2`, the next `id#3` …
    Suffix,
}

/// The place of begin tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bos {
    /// Nowhere.
    None,
    /// At the start of each sequence.
    Sequence,
    /// Before each document.
    Document,
}

/// The treatment of special tokens in the text of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpecialText {
    /// Text like any other.
    Text,
    /// The special token.
    Token,
    /// The row is a bad one.
    Fail,
}

/// Where queries come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryOptions {
    pub predictor: PredictorName,
    /// A file of `{id, query | queries}` for `precomputed`; `None` for the corpus' own
    /// `queryField`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file: Option<String>,
    /// Length of the segments of a long document, each of which has a query.
    pub segment_tokens: u32,
    /// The directory of the exported model, for `onnx`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub model: Option<String>,
    /// `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// Text before every segment; `None` for the model's own.
    #[serde(deserialize_with = "Option::deserialize")]
    pub prefix: Option<String>,
    /// How tokens are chosen.
    pub decoding: DecodingName,
    /// Of sampling: what logits are divided by.
    pub temperature: f64,
    /// Of sampling: how many of the largest logits are left; 0 for all.
    pub top_k: u32,
    /// Of sampling: of these, the fewest that reach this probability.
    pub top_p: f64,
    pub queries_per_segment: u32,
    /// Most tokens of a query.
    pub max_query_tokens: u32,
    /// Most tokens of an encoder's batch, padding counted.
    pub batch_tokens: u32,
    /// Most rows of a decoder's batch.
    pub decode_rows: u32,
    /// Whether a GPU may round the inputs of fp32 products to TF32.
    pub tf32: bool,
    /// Bytes of a GPU's memory that may be used.
    #[serde(deserialize_with = "Option::deserialize")]
    pub device_memory: Option<u64>,
    /// Path of the library of ONNX Runtime.
    #[serde(deserialize_with = "Option::deserialize")]
    pub onnx_runtime: Option<String>,
    /// Most seconds of work that an interruption may cost, about.
    pub checkpoint_seconds: f64,
}

/// The ways to choose tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DecodingName {
    /// The token of the largest logit.
    Greedy,
    /// A draw.
    Sample,
}

impl QueryOptions {
    /// How tokens are chosen, with the run's seed.
    pub fn decoding(&self, seed: u64) -> Decoding {
        match self.decoding {
            DecodingName::Greedy => Decoding::Greedy,
            DecodingName::Sample => Decoding::Sample {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                seed,
            },
        }
    }

    /// The model's options; relative paths start from `base`.
    ///
    /// Errors: `OPTIONS_INVALID` if no model is named or the device is not a device.
    pub fn model_options(
        &self,
        seed: u64,
        threads: usize,
        base: &Base,
    ) -> Result<QueryModelOptions> {
        let model = self.model.as_ref().ok_or_else(|| {
            Error::new(
                Code::OptionsInvalid,
                "`queries.predictor: onnx` needs `queries.model`, the directory of an exported \
                 model",
            )
            .with("option", "queries.model")
        })?;
        let device = DeviceOptions {
            device: Device::parse(&self.device)?,
            threads,
            memory: self.device_memory,
            tf32: self.tf32,
        };
        Ok(QueryModelOptions {
            model: base.join(model),
            device,
            decoding: self.decoding(seed),
            queries_per_segment: self.queries_per_segment,
            max_query_tokens: self.max_query_tokens,
            segment_tokens: self.segment_tokens,
            prefix: self.prefix.clone(),
            batch_tokens: self.batch_tokens,
            decode_rows: self.decode_rows,
        })
    }

    /// Where ONNX Runtime is looked for first.
    pub fn runtime_options(&self, base: &Base) -> RuntimeOptions {
        RuntimeOptions { library: self.onnx_runtime.as_ref().map(|path| base.join(path)) }
    }
}

/// How queries are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum PredictorName {
    /// Phrases of the document that a query would most likely hold; no neural network.
    Extractive,
    /// Queries that were made before.
    Precomputed,
    /// A sequence-to-sequence model on ONNX Runtime.
    Onnx,
}

/// How keywords are made and chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeywordOptions {
    /// The code of the documents' language; `auto` to detect that of each.
    pub language: String,
    /// `auto` for the list of each document's language; `smart`, `fox`, the code of a language, or
    /// the path of a file with one word a line.
    pub stop_words: String,
    /// Least RAKE score of a candidate.
    pub min_score: f64,
    /// The phrases of English that can be keywords.
    pub phrases: KeywordPhrases,
    /// The built-in list of boilerplate phrases.
    pub boilerplate: BoilerplateList,
    /// Phrases added to it.
    pub boilerplate_phrases: Vec<String>,
    /// How a document's keyword is chosen among its candidates.
    pub representative: longweave_index::Representative,
    /// `common`: largest share of the documents that a keyword may hold.
    pub max_keyword_share: f64,
    /// `common`: number of documents below which the cap never falls.
    pub min_keyword_cap: u32,
    /// The hierarchy that `fill: related` climbs.
    pub hierarchy: longweave_index::Hierarchy,
}

impl KeywordOptions {
    /// The language of documents whose row says none; `None` to detect it.
    ///
    /// Errors: `OPTIONS_INVALID` for a code that is not known.
    pub fn language(&self) -> Result<Option<Language>> {
        language(&self.language, "keywords.language")
    }
}

/// The language of a code; `None` for `auto`. `option` is its name in messages.
///
/// Errors: `OPTIONS_INVALID` for a code that is not known.
pub fn language(code: &str, option: &str) -> Result<Option<Language>> {
    if code == "auto" {
        return Ok(None);
    }
    Language::of(code).map(Some).ok_or_else(|| {
        let known: Vec<&str> = Language::all().map(Language::code).collect();
        let message = format!(
            "`{option}`: there is no language \"{code}\"; give `auto` or one of {}",
            known.join(", ")
        );
        Error::new(Code::OptionsInvalid, message).with("option", option)
    })
}

/// The phrases of English that can be keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeywordPhrases {
    /// Those that a person would search for.
    Searchable,
    /// All that RAKE finds.
    All,
}

/// The built-in list of boilerplate phrases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BoilerplateList {
    /// The one that comes with longweave.
    Builtin,
    /// An empty one.
    None,
}

/// Where vectors of documents come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VectorOptions {
    /// The source of vectors.
    pub source: VectorSource,
    /// Of `file`: a `.npy` file, or Parquet of `{id, vector}`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file: Option<String>,
    /// Of `tfidf`: numbers of a vector.
    pub dimensions: u32,
    /// Of `tfidf`: documents that the projection is fitted on.
    pub sample: u32,
    /// The directory of the exported encoder, for `onnx`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub model: Option<String>,
    /// `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// Most tokens of a batch, padding counted.
    pub batch_tokens: u32,
    /// Whether a GPU may round the inputs of fp32 products to TF32.
    pub tf32: bool,
    /// Bytes of a GPU's memory that may be used.
    #[serde(deserialize_with = "Option::deserialize")]
    pub device_memory: Option<u64>,
    /// Path of the library of ONNX Runtime.
    #[serde(deserialize_with = "Option::deserialize")]
    pub onnx_runtime: Option<String>,
    /// How tokens' vectors become one.
    pub pooling: Pooling,
    /// Text before every text.
    pub prefix: String,
    /// Most tokens of a text.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_tokens: Option<u32>,
}

/// Where vectors of documents or chunks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum VectorSource {
    /// Words, weighed, hashed and projected; no neural network.
    Tfidf,
    /// An encoder model on ONNX Runtime.
    Onnx,
    /// Vectors that were made before.
    File,
}

impl VectorOptions {
    /// The embedder's options; relative paths start from `base`.
    ///
    /// Errors: `OPTIONS_INVALID` if no model is named or the device is not a device.
    pub fn embedder_options(&self, threads: usize, base: &Base) -> Result<EmbedderOptions> {
        let model = self.model.as_ref().ok_or_else(|| {
            Error::new(
                Code::OptionsInvalid,
                "`vectors.source: onnx` needs `vectors.model`, the directory of an exported \
                 encoder",
            )
            .with("option", "vectors.model")
        })?;
        Ok(EmbedderOptions {
            model: base.join(model),
            device: DeviceOptions {
                device: Device::parse(&self.device)?,
                threads,
                memory: self.device_memory,
                tf32: self.tf32,
            },
            pooling: self.pooling,
            normalize: true,
            max_tokens: self.max_tokens,
            prefix: self.prefix.clone(),
            batch_tokens: self.batch_tokens,
        })
    }

    /// Where ONNX Runtime is looked for first.
    pub fn runtime_options(&self, base: &Base) -> RuntimeOptions {
        RuntimeOptions { library: self.onnx_runtime.as_ref().map(|path| base.join(path)) }
    }
}

/// How neighbours are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeighbourOptions {
    /// The way.
    pub search: SearchName,
    /// Of `inverted`: number of lists.
    #[serde(deserialize_with = "Option::deserialize")]
    pub lists: Option<u32>,
    /// Of `inverted`: lists that are searched for a vector.
    #[serde(deserialize_with = "Option::deserialize")]
    pub probes: Option<u32>,
    /// Of `inverted`: vectors whose exact neighbours are found too.
    pub recall_sample: u32,
}

/// The ways to look for neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum SearchName {
    /// `exact` up to `MOST_EXACT` vectors, else `inverted`.
    Auto,
    /// All pairs.
    Exact,
    /// Inverted lists.
    Inverted,
}

/// Where topics come from, and how documents are found for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicOptions {
    /// The source of topics.
    pub source: TopicSource,
    /// Of `file`: a file with a topic a line.
    #[serde(deserialize_with = "Option::deserialize")]
    pub file: Option<String>,
    /// Of `command`: a command line whose output has a topic a line.
    #[serde(deserialize_with = "Option::deserialize")]
    pub command: Option<String>,
    /// Of `keywords`: most topics.
    pub most: u32,
    /// Of `keywords`: fewest documents of a keyword that is a topic.
    pub min_documents: u32,
    /// The words of a query that a document must have.
    #[serde(rename = "match")]
    pub match_words: MatchWords,
    /// BM25: how soon more occurrences of a word stop to count; at least 0.
    pub k1: f64,
    /// BM25: how much long documents are held back, 0 to 1.
    pub b: f64,
}

/// The words of a query that a document must have, of those that weigh something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchWords {
    /// Every one.
    All,
    /// One of them.
    Any,
}

/// Where topics come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum TopicSource {
    /// The documents' own keywords.
    Keywords,
    /// `topics.file`.
    File,
    /// The output of `topics.command`.
    Command,
}

impl TopicOptions {
    fn check(&self) -> Result<()> {
        need(
            self.source != TopicSource::File || self.file.is_some(),
            "topics.file",
            "`topics.source: file` needs `topics.file`",
        )?;
        need(
            self.source != TopicSource::Command || self.command.is_some(),
            "topics.command",
            "`topics.source: command` needs `topics.command`",
        )?;
        let TopicOptions { k1, b, .. } = *self;
        need(
            k1 >= 0.0 && k1.is_finite(),
            "topics.k1",
            format!("`topics.k1` must be a number of at least 0, but is {k1}"),
        )?;
        need(
            (0.0..=1.0).contains(&b),
            "topics.b",
            format!("`topics.b` must be from 0 to 1, but is {b}"),
        )
    }
}

/// The definitions of a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DedupName {
    /// Nothing.
    None,
    /// Equal text.
    Exact,
    /// Equal or similar text.
    Near,
}

/// How near-duplicates are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NearOptions {
    /// Least Jaccard index of two texts' runs of words, above 0, at most 1.
    pub threshold: f64,
    /// Words of a run.
    pub words: u32,
    /// Hashes of a signature.
    pub hashes: u32,
    /// Bands of a signature; `None` for what follows from `rows`, or from the threshold.
    #[serde(deserialize_with = "Option::deserialize")]
    pub bands: Option<u32>,
    /// Hashes of a band; `None` for what follows from `bands`, or from the threshold.
    #[serde(deserialize_with = "Option::deserialize")]
    pub rows: Option<u32>,
    /// The document of a cluster that stays.
    pub keep: Keep,
}

impl NearOptions {
    /// How a signature is divided.
    pub fn bands(&self) -> Bands {
        match (self.bands, self.rows) {
            (Some(number), Some(rows)) => Bands { number, rows },
            (Some(number), None) => Bands { number, rows: self.hashes / number },
            (None, Some(rows)) => Bands { number: self.hashes / rows, rows },
            (None, None) => Bands::for_threshold(self.threshold, self.hashes),
        }
    }

    fn check(&self) -> Result<()> {
        let NearOptions { threshold, words, hashes, bands, rows, .. } = *self;
        need(
            threshold > 0.0 && threshold <= 1.0,
            "near.threshold",
            format!("`near.threshold` must be above 0 and at most 1, but is {threshold}"),
        )?;
        for (option, value, most) in [
            ("near.words", Some(words), 1 << 10),
            ("near.hashes", Some(hashes), 1 << 12),
            ("near.bands", bands, 1 << 12),
            ("near.rows", rows, 1 << 12),
        ] {
            need(
                value.is_none_or(|value| (1..=most).contains(&value)),
                option,
                format!("`{option}` must be from 1 to {most}, but is {}", value.unwrap_or(0)),
            )?;
        }
        let (number, size) = (bands.unwrap_or(1), rows.unwrap_or(1));
        need(
            number * size <= hashes,
            "near.bands",
            format!(
                "`near.bands` × `near.rows` must be at most `near.hashes`, but is {number} × {size} \
                 of {hashes}"
            ),
        )
    }
}

/// The method, its own options, and the treatment of tails, which every method has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodOptions {
    #[serde(flatten)]
    pub own: Method,
    pub fill: Fill,
}

impl MethodOptions {
    pub fn name(&self) -> MethodName {
        self.own.name()
    }
}

/// The output: place, format, shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputOptions {
    /// The output directory; `None` only for `memory`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub directory: Option<String>,
    /// The URL that finished files are sent to; `None` where they stay in the directory.
    #[serde(deserialize_with = "Option::deserialize")]
    pub upload: Option<String>,
    pub format: OutputFormat,
    /// The detail kept of each sequence's pieces.
    pub provenance: Provenance,
    /// Tokens of an output shard, about; `None` for what follows from the corpus.
    #[serde(deserialize_with = "Option::deserialize")]
    pub shard_tokens: Option<u64>,
    /// How files with sequences are compressed.
    pub compression: CompressionName,
    /// Attention spans that MDS readers see.
    pub mds_indices: MdsIndices,
    /// Most bytes of an MDS file before compression; `None` for a file a shard.
    #[serde(deserialize_with = "Option::deserialize")]
    pub mds_shard_bytes: Option<u64>,
    /// Columns for trainers; `None` for those that most readers of the format take.
    #[serde(deserialize_with = "Option::deserialize")]
    pub columns: Option<Vec<Column>>,
    /// Whether labels, masks and weights leave out the first token of each document, too.
    pub mask_first: bool,
    /// How the weights of `loss_weights` follow from how rare a context is.
    pub loss_weight_scale: WeightScale,
    /// The largest weight of a token, in weights of a document's first token.
    pub loss_weight_limit: f64,
}

/// How a weight follows from how rare a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WeightScale {
    /// By the inverse of its frequency.
    Inverse,
    /// By the root of that.
    Root,
}

/// How files with sequences are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompressionName {
    /// `zstd` for parquet and jsonl, `none` for the others.
    Auto,
    /// Zstandard; formats whose readers map ids into memory cannot.
    Zstd,
    /// Not at all.
    None,
}

impl OutputOptions {
    /// The compression of the files; of none, what `auto` would mean.
    pub fn compression(&self) -> Compression {
        let auto = self.format.file().and_then(Format::compresses).unwrap_or(false);
        match self.compression {
            CompressionName::Zstd => Compression::Zstd,
            CompressionName::Auto if auto => Compression::Zstd,
            CompressionName::None | CompressionName::Auto => Compression::None,
        }
    }

    /// Columns for trainers, in rising order, each once.
    pub fn columns(&self) -> Vec<Column> {
        let chosen = match (&self.columns, self.format) {
            (Some(columns), _) => columns.as_slice(),
            (None, OutputFormat::File(Format::Datasets)) => &[Column::SeqLengths],
            (None, _) => &[],
        };
        Column::ALL.into_iter().filter(|column| chosen.contains(column)).collect()
    }

    /// Refuses what the format cannot do.
    fn check(&self) -> Result<()> {
        let plain = self.format.file().filter(|format| format.compresses().is_none());
        need(
            self.compression != CompressionName::Zstd || plain.is_none(),
            "output.compression",
            format!(
                "`output.compression: zstd` does not go with `output.format: {}`, whose readers \
                 take ids straight from the file; leave it out, or use `none`",
                plain.map_or("", Format::name)
            ),
        )?;
        need(
            self.format.file().is_some() || self.columns.as_ref().is_none_or(Vec::is_empty),
            "output.columns",
            "`output.columns` is for files; leave it out with `output.format: memory`",
        )?;
        let masked = [Column::Labels, Column::LabelMask, Column::LossWeights];
        need(
            !self.mask_first || self.columns().iter().any(|column| masked.contains(column)),
            "output.maskFirst",
            "`output.maskFirst` changes `labels`, `label_mask` and `loss_weights`; name one of them \
             in `output.columns`, or leave it out",
        )?;
        if let Some(format) = self.format.file() {
            let strange = self.columns().into_iter().find(|column| !column.goes_with(format));
            let able: Vec<&str> = Column::ALL
                .into_iter()
                .filter(|column| column.goes_with(format))
                .map(Column::name)
                .collect();
            need(
                strange.is_none(),
                "output.columns",
                format!(
                    "`output.columns: {}` does not go with `output.format: {}`, whose files can \
                     have {}",
                    strange.map_or("", Column::name),
                    format.name(),
                    if able.is_empty() { "no such columns".to_owned() } else { able.join(", ") }
                ),
            )?;
        }
        need(
            self.loss_weight_limit >= 1.0 && self.loss_weight_limit <= 1e6,
            "output.lossWeightLimit",
            format!(
                "`output.lossWeightLimit` must be from 1 to 1000000, but is {}",
                self.loss_weight_limit
            ),
        )?;
        let Some(bytes) = self.mds_shard_bytes else { return Ok(()) };
        let option = "output.mdsShardBytes";
        need(bytes > 0, option, "`output.mdsShardBytes` must be at least 1")?;
        need(
            bytes <= u32::MAX.into(),
            option,
            "`output.mdsShardBytes` must be below 4 GiB, because MDS counts bytes in 32 bits",
        )?;
        need(
            self.format.file().is_none_or(|format| format == Format::Mds),
            option,
            "`output.mdsShardBytes` is for `output.format: mds`; `output.shardTokens` bounds the \
             shards of every format",
        )
    }
}

fn need(holds: bool, option: &str, message: impl Into<String>) -> Result<()> {
    let error = || Error::new(Code::OptionsInvalid, message).with("option", option);
    holds.then_some(()).ok_or_else(error)
}

/// Where sequences go: into files of a format, or to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(untagged)]
pub enum OutputFormat {
    /// Files.
    File(Format),
    /// Nothing is written; sequences are handed out.
    Memory(#[ts(type = "'memory'")] Memory),
}

/// The name `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Memory {
    /// Nothing is written.
    Memory,
}

impl OutputFormat {
    /// The format of the files, where there are any.
    pub fn file(self) -> Option<Format> {
        match self {
            OutputFormat::File(format) => Some(format),
            OutputFormat::Memory(_) => None,
        }
    }
}

impl RunOptions {
    /// Parses resolved options.
    ///
    /// Errors: `OPTIONS_INVALID`, with what the parser says.
    pub fn parse(json: &str) -> Result<RunOptions> {
        let options: RunOptions = serde_json::from_str(json).map_err(|e| {
            Error::new(
                Code::OptionsInvalid,
                format!("the resolved options do not have the expected shape: {e}"),
            )
        })?;
        options.check()?;
        Ok(options)
    }

    pub fn check(&self) -> Result<()> {
        let OutputOptions { directory, upload, shard_tokens, .. } = &self.output;
        let in_memory = self.output.format.file().is_none();
        need(
            directory.is_some() || in_memory,
            "output.directory",
            "`output.directory` must be given unless `output.format` is `memory`",
        )?;
        self.output.check()?;
        for (option, path) in [("output.directory", directory), ("work", &self.work)] {
            let message = format!(
                "`{option}` must be a local directory; `output.upload` sends finished files to a \
                 URL"
            );
            need(!path.as_deref().is_some_and(is_remote), option, message)?;
        }
        if let Some(upload) = upload {
            let option = "output.upload";
            let message = "`output.upload` sends files, and `output.format: memory` writes none";
            need(!in_memory, option, message)?;
            let message = format!("`output.upload` must be s3://bucket/prefix, but is {upload}");
            need(upload.starts_with(Scheme::S3.prefix()), option, message)?;
            Location::parse(upload).map_err(|e| e.with("option", option))?;
        }
        let listed =
            self.lengths.is_empty() || self.lengths.iter().any(|own| own.length == self.length);
        need(listed, "length", "`length` must be one of `lengths`")?;
        let positive = |weight: &f64| *weight >= 0.0 && weight.is_finite();
        need(
            self.sources.values().all(positive)
                && (self.sources.is_empty() || self.sources.values().any(|&weight| weight > 0.0)),
            "sources",
            "`sources` must give weights of at least 0, one of them above 0",
        )?;
        let paths = self.corpus.as_deref().unwrap_or_default();
        if let Some(strange) = self.sources.keys().find(|&name| !paths.contains(name))
            && self.source_by_path()
            && !paths.is_empty()
        {
            let message = format!(
                "`sources` names \"{strange}\", which is not a path of `corpus`; name a path as it is \
                 there, or set `sourceField`"
            );
            need(false, "sources", message)?;
        }
        let message = "`corpus` must name at least one file, directory or glob";
        need(!self.corpus.as_ref().is_some_and(Vec::is_empty), "corpus", message)?;
        let message = format!("`memory` must be at least 16 MiB, but is {} bytes", self.memory);
        need(self.memory >= LEAST_MEMORY, "memory", message)?;
        for (option, value) in [
            ("output.shardTokens", *shard_tokens),
            ("splitBytes", self.split_bytes),
            ("maxDocumentBytes", Some(self.max_document_bytes)),
            ("vectors.dimensions", Some(self.vectors.dimensions.into())),
            ("vectors.sample", Some(self.vectors.sample.into())),
            ("neighbours.lists", self.neighbours.lists.map(u64::from)),
            ("neighbours.probes", self.neighbours.probes.map(u64::from)),
            ("queries.segmentTokens", Some(self.queries.segment_tokens.into())),
            ("topics.most", Some(self.topics.most.into())),
            ("topics.minDocuments", Some(self.topics.min_documents.into())),
        ] {
            need(value != Some(0), option, format!("`{option}` must be at least 1"))?;
        }
        need(
            self.max_bad_rows.is_none_or(|most| most >= 0.0 && (most < 1.0 || most.fract() == 0.0)),
            "maxBadRows",
            "`maxBadRows` must be a share below 1, like 0.001, or a whole number of rows",
        )?;
        let queries = &self.queries;
        need(
            queries.predictor != PredictorName::Precomputed
                || queries.file.is_some()
                || self.query_field.is_some(),
            "queries.predictor",
            "`queries.predictor: precomputed` needs `queryField`, or `queries.file`",
        )?;
        if queries.predictor == PredictorName::Onnx {
            queries.model_options(self.seed, 1, &Base::default())?.check()?;
        }
        need(
            queries.checkpoint_seconds >= 0.0 && queries.checkpoint_seconds.is_finite(),
            "queries.checkpointSeconds",
            "`queries.checkpointSeconds` must be a number of at least 0",
        )?;
        if self.vectors.source == VectorSource::Onnx {
            self.vectors.embedder_options(1, &Base::default())?;
        }
        need(
            self.vectors.source != VectorSource::File || self.vectors.file.is_some(),
            "vectors.file",
            "`vectors.source: file` needs `vectors.file`",
        )?;
        self.topics.check()?;
        let KeywordOptions { hierarchy, max_keyword_share, min_score, .. } = self.keywords;
        need(
            hierarchy != Hierarchy::Vectors
                || self.chunk_chars().is_none()
                || !self.needs_keywords(),
            "keywords.hierarchy",
            "`keywords.hierarchy: vectors` needs vectors of documents, but `nextlong` has vectors of \
             chunks; use `affinity`",
        )?;
        need(
            max_keyword_share > 0.0 && max_keyword_share <= 1.0,
            "keywords.maxKeywordShare",
            format!(
                "`keywords.maxKeywordShare` must be above 0 and at most 1, but is \
                 {max_keyword_share}"
            ),
        )?;
        need(min_score.is_finite(), "keywords.minScore", "`keywords.minScore` must be a number")?;
        self.near.check()?;
        self.plan_options(MarkerLengths::default()).check()
    }

    /// Whether near-duplicates are looked for.
    pub fn needs_signatures(&self) -> bool {
        self.dedup == DedupName::Near
    }

    /// Whether a bad row is skipped, or ends the run.
    pub fn skips_bad_rows(&self) -> bool {
        self.on_bad_row == OnBadRow::Skip || self.max_bad_rows.is_some()
    }

    /// Most bad rows of a corpus of `rows` rows; `None` for any number.
    pub fn most_bad_rows(&self, rows: u64) -> Option<u64> {
        self.max_bad_rows
            .map(|most| if most < 1.0 { (most * rows as f64) as u64 } else { most as u64 })
    }

    /// Whether documents need a keyword: the method groups by it, its pool asks for it, or keywords
    /// are topics.
    pub fn needs_keywords(&self) -> bool {
        let are_topics = self.needs_topics() && self.topics.source == TopicSource::Keywords;
        let quest = matches!(self.method.own, Method::Quest(_));
        quest || are_topics || self.method.own.pool() == Pool::Keyworded
    }

    /// Whether the method has topics.
    pub fn needs_topics(&self) -> bool {
        self.method.own.topic_documents().is_some()
    }

    /// Neighbours of each document or chunk that the method asks for; `None` where it asks for
    /// none.
    pub fn neighbour_depth(&self) -> Option<u32> {
        self.method.own.neighbours()
    }

    /// Characters of the chunks that vectors are of; `None` where they are of documents.
    pub fn chunk_chars(&self) -> Option<u32> {
        self.method.own.chunk_chars()
    }

    /// Whether the planner asks for the beginnings of documents' texts.
    pub fn needs_heads(&self) -> bool {
        self.method.own.needs_heads()
    }

    /// Whether documents need vectors.
    pub fn needs_vectors(&self) -> bool {
        self.neighbour_depth().is_some()
            || (self.needs_keywords() && self.keywords.hierarchy == Hierarchy::Vectors)
    }

    /// The option because of which the texts of documents are read, by more than the tokenizer.
    pub fn text_reader(&self) -> Option<&'static str> {
        if self.needs_keywords() && self.queries.predictor != PredictorName::Precomputed {
            return Some("queries.predictor");
        }
        if self.needs_topics() {
            return Some("method");
        }
        let embeds = self.needs_vectors() && self.vectors.source == VectorSource::Onnx;
        embeds.then_some("vectors.source")
    }

    /// The options of the corpus; `paths` is empty where documents are pushed.
    pub fn corpus_options(&self) -> CorpusOptions {
        CorpusOptions {
            paths: self.corpus.clone().unwrap_or_default(),
            root: self.corpus_root.clone(),
            skip: self.corpus_skip.clone(),
            own: Vec::new(),
            text_field: self.text_field.clone(),
            tokens_field: self.tokens_field.clone(),
            text_join: self.text_join.clone(),
            id_field: self.id_field.clone(),
            query_field: self.query_field.clone().filter(|_| self.reads_query_field()),
            source_field: self.source_field.clone(),
            source_names: match &self.corpus {
                Some(paths) if self.source_by_path() => paths.clone(),
                _ => Vec::new(),
            },
            lone_surrogates: self.lone_surrogates,
            max_document_bytes: self.max_document_bytes,
            split_bytes: self.split_bytes,
            spool: None,
            origin: Origin::Corpus,
        }
    }

    /// Whether documents have sources.
    pub fn has_sources(&self) -> bool {
        self.source_field.is_some() || !self.sources.is_empty()
    }

    /// Whether a document's source is the path of `corpus` that names its file.
    pub fn source_by_path(&self) -> bool {
        self.has_sources() && self.source_field.is_none()
    }

    /// Tokens of this output: the part of its length, where several share them.
    fn own_tokens(&self) -> Option<u64> {
        let Some(own) = self.lengths.iter().find(|own| own.length == self.length) else {
            return self.tokens;
        };
        let all: f64 = self.lengths.iter().map(|own| own.share).sum();
        let part = |tokens: u64| (tokens as f64 * own.share / all).ceil() as u64;
        self.tokens.map(|tokens| part(tokens).clamp(1, tokens.max(1)))
    }

    /// Whether sequences are written to files.
    pub fn writes_files(&self) -> bool {
        self.output.format.file().is_some()
    }

    /// Bytes of a vector in fixed point. A model's size is not known before it is loaded; the usual
    /// one is taken.
    pub fn vector_bytes(&self) -> f64 {
        let tfidf = self.vectors.source == VectorSource::Tfidf;
        2.0 * f64::from(if tfidf { self.vectors.dimensions } else { 768 })
    }

    /// Whether queries come from the corpus' own field.
    pub fn reads_query_field(&self) -> bool {
        self.queries.predictor == PredictorName::Precomputed && self.queries.file.is_none()
    }

    /// The planner's options, for markers of these lengths.
    pub fn plan_options(&self, markers: MarkerLengths) -> PlanOptions {
        PlanOptions {
            method: self.method.own.clone(),
            pool: PoolOptions {
                min_tokens: self.min_tokens,
                max_tokens: self.max_tokens,
                holdout: self.holdout,
                dedup: match self.dedup {
                    DedupName::None => Dedup::None,
                    DedupName::Exact => Dedup::Exact,
                    DedupName::Near => Dedup::Near(self.near.keep),
                },
                lengths: self.lengths.clone(),
            },
            policies: Policies {
                length: self.length,
                lead: u32::from(self.bos == Bos::Document),
                separator: markers.separator,
                part_end: markers.part_end,
                part_begin: markers.part_begin,
                sequence_bos: self.bos == Bos::Sequence,
                overflow: self.overflow,
                fill: self.method.fill,
                incomplete: self.incomplete,
                tokens: self.own_tokens(),
                seed: self.seed,
                max_uses: self.max_uses,
            },
        }
    }

    /// Whether padding can occur in an output.
    pub fn may_pad(&self) -> bool {
        let policies = self.plan_options(MarkerLengths::default()).policies;
        policies.fill == Fill::Pad
            || policies.incomplete == Incomplete::Pad
            || policies.overflow == Overflow::Whole
    }
}

/// Tokens of the markers that the tokenizer decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkerLengths {
    /// The separator after each document.
    pub separator: u32,
    /// At the end of each part of a document but the last.
    pub part_end: u32,
    /// At the beginning of each part of a document but the first.
    pub part_begin: u32,
}

/// The options that decide results, without those that only say where and how fast.
pub fn result_options(options: &RunOptions) -> Value {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        for volatile in [
            "threads",
            "memory",
            "packing",
            "work",
            "diskCheck",
            "clean",
            "maxBadRows",
            "corpusPreset",
        ] {
            map.remove(volatile);
        }
    }
    if let Some(output) = value["output"].as_object_mut() {
        output.remove("directory");
        output.remove("upload");
    }
    for section in ["queries", "vectors"] {
        if let Some(section) = value[section].as_object_mut() {
            for volatile in ["device", "deviceMemory", "onnxRuntime", "checkpointSeconds"] {
                section.remove(volatile);
            }
        }
    }
    value
}
