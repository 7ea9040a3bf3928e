//! Query prediction and embedding on texts, and the documents of a corpus, each by itself: JSON in,
//! records out.

use longweave_common::random::Key;
use longweave_common::{Cancel, Code, Ctx, Error, Result};
use longweave_corpus::{Before, Content, CorpusOptions, Inventory, RowReader};
use longweave_inference::{Embedder, EmbedderOptions, QueryModel, Runtime, Segment};
use longweave_language::{Language, detect};
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Predictor, Queries};
use longweave_run::{Base, PredictorName, QueryOptions, VectorOptions, language};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ts_rs::TS;

use crate::json::from_json;

pub use longweave_inference::offer_packaged;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MakerOptions {
    queries: QueryOptions,
    /// A code, or `auto`.
    language: String,
    seed: u64,
    /// 0 for one per core.
    threads: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MakerDocument {
    id: String,
    text: String,
}

/// A loaded query predictor.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PredictorInfo {
    /// The kind of predictor: `extractive` or `onnx`.
    pub name: PredictorName,
    /// The execution provider in use, `cpu` or `cuda:N`. Null for a predictor without a model.
    pub device: Option<String>,
    /// Layout and precision of the model. Null for a predictor without one.
    pub model: Option<String>,
    /// Why `device: 'auto'` did not take a GPU, where one could have been there. Else null.
    pub warning: Option<String>,
}

/// Queries of a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    queries: Vec<String>,
    /// Ids of each query's tokens; empty for a predictor that has none.
    token_ids: Vec<Vec<u32>>,
}

enum Maker {
    Extractive(Box<Extractive>),
    Model(Box<QueryModel>),
}

/// A query predictor.
pub struct QueryMaker {
    maker: Maker,
    /// `None` to detect that of each document.
    language: Option<Language>,
    ctx: Ctx,
}

impl QueryMaker {
    /// From `{queries, language, seed, threads}` as JSON; loads the model where there is one.
    ///
    /// Errors: as `QueryModel::load` and `Runtime::load`; `OPTIONS_INVALID` for `precomputed`.
    pub fn new(options: &str) -> Result<QueryMaker> {
        let MakerOptions { queries, language: code, seed, threads } =
            from_json("the options of QueryPredictor", options)?;
        let language = language(&code, "language")?;
        let ctx = Ctx::new(threads, 1 << 30)?;
        let base = &Base::default();
        let maker = match queries.predictor {
            PredictorName::Extractive => {
                let options = ExtractiveOptions { segment_tokens: queries.segment_tokens };
                Maker::Extractive(Box::new(Extractive::new(options)))
            }
            PredictorName::Precomputed => {
                return Err(Error::new(
                    Code::OptionsInvalid,
                    "`predictor: precomputed` predicts nothing",
                )
                .with("option", "predictor"));
            }
            PredictorName::Onnx => {
                let model = queries.model_options(seed, ctx.pool.current_num_threads(), base)?;
                Maker::Model(Box::new(QueryModel::load(
                    Runtime::load(&queries.runtime_options(base))?,
                    &model,
                )?))
            }
        };
        Ok(QueryMaker { maker, language, ctx })
    }

    /// The predictor, as JSON: `{name, device, model, runtime}`.
    pub fn info(&self) -> String {
        let info = match &self.maker {
            Maker::Extractive(_) => PredictorInfo {
                name: PredictorName::Extractive,
                device: None,
                model: None,
                warning: None,
            },
            Maker::Model(model) => PredictorInfo {
                name: PredictorName::Onnx,
                device: Some(model.provider().to_string()),
                model: Some(model.layout().to_owned()),
                warning: model.provider().warning(),
            },
        };
        json!(info).to_string()
    }

    /// Where the time of the model's thread went so far, in seconds, as JSON; null for a predictor
    /// without a model.
    pub fn timing(&self) -> Result<String> {
        let Maker::Model(model) = &self.maker else { return Ok("null".into()) };
        let t = model.timing()?;
        let [encode, decode, rows, choose] =
            [t.encode, t.decode, t.rows, t.choose].map(|d| d.as_secs_f64());
        let timing = json!({ "encode": encode, "decode": decode, "rows": rows, "choose": choose,
            "steps": t.steps, "steppedRows": t.stepped_rows });
        Ok(timing.to_string())
    }

    /// Queries of documents `[{id, text}]`, as a JSON array of `{queries, tokenIds}`.
    ///
    /// Errors: `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`.
    pub fn predict(&self, documents: &str, cancel: &Cancel) -> Result<String> {
        let documents: Vec<MakerDocument> = from_json("documents", documents)?;
        let made = match &self.maker {
            Maker::Extractive(extractive) => self.extract(extractive, &documents)?,
            Maker::Model(model) => self.generate(model, &documents, cancel)?,
        };
        Ok(json!(made).to_string())
    }

    fn extract(&self, extractive: &Extractive, documents: &[MakerDocument]) -> Result<Vec<Made>> {
        let one = |d: &MakerDocument| {
            let mut out = Queries::default();
            extractive.predict(
                &self.ctx,
                &[DocumentRef {
                    id: &d.id,
                    text: &d.text,
                    language: self.language.unwrap_or_else(|| detect(&d.text)),
                    queries: &[],
                }],
                &mut out,
            )?;
            Ok(Made {
                queries: out.of(0).map(|(_, query)| query.to_owned()).collect(),
                token_ids: Vec::new(),
            })
        };
        self.ctx.pool.install(|| documents.par_iter().map(one).collect())
    }

    fn generate(
        &self,
        model: &QueryModel,
        documents: &[MakerDocument],
        cancel: &Cancel,
    ) -> Result<Vec<Made>> {
        let cut = |d: &MakerDocument| model.segments().of(Key::of(&d.id), &d.text);
        let cut: Vec<Vec<Segment>> =
            self.ctx.pool.install(|| documents.par_iter().map(cut).collect::<Result<_>>())?;
        let place: Vec<usize> =
            cut.iter().enumerate().flat_map(|(i, own)| std::iter::repeat_n(i, own.len())).collect();
        let segments: Vec<Segment> = cut.into_iter().flatten().collect();
        let mut made: Vec<Made> =
            documents.iter().map(|_| Made { queries: Vec::new(), token_ids: Vec::new() }).collect();
        for generated in model.generate(cancel, &segments)? {
            let own = &mut made[place[generated.segment]];
            own.queries.push(model.text(&generated.ids)?);
            own.token_ids.push(generated.ids);
        }
        Ok(made)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EmbedOptions {
    vectors: VectorOptions,
    normalize: bool,
    /// 0 for one per core.
    threads: usize,
}

/// Makes vectors of texts.
pub struct Vectors {
    embedder: Embedder,
}

impl Vectors {
    /// From options as JSON; loads the model.
    ///
    /// Errors: as `Embedder::load` and `Runtime::load`.
    pub fn new(options: &str) -> Result<Vectors> {
        let EmbedOptions { vectors, normalize, threads } =
            from_json("the options of Embedder", options)?;
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            threads => threads,
        };
        let base = &Base::default();
        let options = EmbedderOptions { normalize, ..vectors.embedder_options(threads, base)? };
        let runtime = Runtime::load(&vectors.runtime_options(base))?;
        Ok(Vectors { embedder: Embedder::load(runtime, &options)? })
    }

    /// Numbers of a vector.
    pub fn dimensions(&self) -> u32 {
        self.embedder.dimensions() as u32
    }

    /// The execution provider that is really used.
    pub fn device(&self) -> String {
        self.embedder.provider().to_string()
    }

    /// Vectors of the texts end to end.
    ///
    /// Errors: `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`.
    pub fn embed(&self, texts: &[String], cancel: &Cancel) -> Result<Vec<f32>> {
        self.embedder.embed(cancel, &texts.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The documents of a corpus in order, batch by batch. A bad row is an error; an empty one is left
/// out.
pub struct DocumentReader {
    ctx: Ctx,
    options: CorpusOptions,
    inventory: Inventory,
    split: usize,
    reader: Option<RowReader>,
}

impl DocumentReader {
    /// From a corpus' options as JSON.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `INPUT_UNSUPPORTED`.
    pub fn new(options: &str, cancel: &Cancel) -> Result<DocumentReader> {
        // Whole files: a split in the middle of one would have to know the rows before it, and
        // parts would have to be spooled.
        let options = CorpusOptions {
            split_bytes: Some(u64::MAX),
            ..from_json("the options of a corpus", options)?
        };
        let ctx = Ctx { cancel: cancel.clone(), ..Ctx::new(1, 1 << 30)? };
        let inventory = longweave_corpus::inventory(&ctx, &options)?;
        Ok(DocumentReader { ctx, options, inventory, split: 0, reader: None })
    }

    /// The next documents, at most `most`, as a JSON array of `{id, text}`; none after the last.
    ///
    /// Errors: `BAD_ROW` and the others of reading.
    pub fn next(&mut self, most: usize) -> Result<Option<String>> {
        let mut documents = Vec::new();
        while documents.len() < most && self.split < self.inventory.splits.len() {
            self.ctx.cancel.check()?;
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(RowReader::open(
                    &self.ctx,
                    &self.options,
                    &self.inventory,
                    self.split,
                    Before::default(),
                )?),
            };
            match reader.next()? {
                None => {
                    self.reader = None;
                    self.split += 1;
                }
                Some(row) => match row.content {
                    Content::Document(document) if document.tokens.is_some() => {
                        return Err(row.location.error(
                            Code::InputUnsupported,
                            "the document has token ids, and no text",
                            "give a corpus of texts",
                        ));
                    }
                    Content::Document(document) => {
                        documents.push(json!({ "id": document.id, "text": document.text }))
                    }
                    Content::Empty => {}
                    Content::Bad(bad) => return Err(row.location.bad(&bad, None)),
                },
            }
        }
        self.ctx.cancel.check()?;
        Ok((!documents.is_empty()).then(|| json!(documents).to_string()))
    }
}
