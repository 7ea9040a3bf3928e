//! Predict: the queries of each document of a split that ingest accepted.

use std::sync::Arc;

use longweave_inference::{QueryModel, Runtime};
use longweave_predict::{Extractive, ExtractiveOptions, Precomputed, Predictor};
use longweave_run::PredictorName;

use crate::attempt::{self, prefix};
use crate::ingest::INGEST;
use crate::prelude::*;
use crate::scan;

mod checkpoint;
mod documents;
mod files;
mod model;
mod rows;

use documents::Documents;
pub(crate) use files::QueryFiles;
use files::QueryWriter;

/// A predictor, by the way it is driven.
pub enum AnyPredictor {
    /// Document by document, on the run's threads.
    Rows(Box<dyn Predictor>),
    /// In batches, on a device.
    Model(Box<QueryModel>),
}

/// The predictor, made when first needed.
fn predictor(ctx: &Ctx, run: &RunContext) -> Result<Arc<AnyPredictor>> {
    run.shared.get(|| AnyPredictor::make(ctx, run))
}

impl AnyPredictor {
    /// The predictor that the options ask for.
    fn make(ctx: &Ctx, run: &RunContext) -> Result<AnyPredictor> {
        let (options, base) = (run.options(), run.resources.base());
        let queries = &options.queries;
        Ok(match queries.predictor {
            PredictorName::Extractive => {
                AnyPredictor::Rows(Box::new(Extractive::new(ExtractiveOptions {
                    segment_tokens: queries.segment_tokens,
                })))
            }
            PredictorName::Precomputed => AnyPredictor::Rows(match &queries.file {
                Some(file) => {
                    let scratch = ctx.scratch_for(&run.directory(PREDICT)).join("queries");
                    Box::new(Precomputed::from_file(ctx, &run.resources.path(file), &scratch)?)
                }
                None => Box::new(Precomputed::from_column()),
            }),
            PredictorName::Onnx => {
                let runtime = Runtime::load(&queries.runtime_options(base))?;
                let model =
                    queries.model_options(options.seed, ctx.pool.current_num_threads(), base)?;
                AnyPredictor::Model(Box::new(QueryModel::load(runtime, &model)?))
            }
        })
    }
}

/// Counts of a task, in its done record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictCounts {
    /// Documents with a query.
    pub documents: u64,
    pub queries: u64,
    pub predictor: UsedPredictor,
}

/// The predictor that a task used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UsedPredictor {
    pub name: String,
    /// Where its model ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How the files of its model are laid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// Why its model did not run on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

pub const PREDICT: Stage =
    Stage::new("predict", "Predicting queries", ProgressUnit::Documents, 3, &PredictStage);

struct PredictStage;

impl StageSpec for PredictStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_keywords()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let (options, queries) = (&file.options, &file.options.queries);
        let language = json!([options.keywords.language, options.language_field]);
        match queries.predictor {
            PredictorName::Extractive => json!({
                "predictor": queries.predictor, "segmentTokens": queries.segment_tokens,
                "language": language, "version": longweave_predict::VERSION,
            }),
            PredictorName::Precomputed => json!({
                "predictor": queries.predictor, "queryField": options.query_field.as_ref().filter(|_| options.reads_query_field()),
                "queries": file.input("queries"), "language": language,
                "version": longweave_predict::VERSION,
            }),
            // Not the device: what a model wrote is a record, whatever it ran on.
            PredictorName::Onnx => json!({
                "predictor": queries.predictor, "segmentTokens": queries.segment_tokens,
                "model": file.input("model"), "prefix": queries.prefix,
                "decoding": queries.decoding(options.seed),
                "queriesPerSegment": queries.queries_per_segment,
                "maxQueryTokens": queries.max_query_tokens, "batchTokens": queries.batch_tokens,
                "decodeRows": queries.decode_rows,
                "tf32": queries.tf32, "language": language,
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
        let queries = &run.options().queries;
        let segments = facts.rows + facts.tokens / f64::from(queries.segment_tokens);
        let bytes = match queries.predictor {
            PredictorName::Extractive => segments * 75.0,
            PredictorName::Precomputed => facts.rows * facts.queries,
            PredictorName::Onnx => segments * f64::from(queries.queries_per_segment) * 80.0,
        };
        Ok(bytes + facts.rows * 9.0)
    }

    fn needs(&self, options: &RunOptions) -> Needs {
        match options.queries.predictor {
            PredictorName::Onnx => Needs::device(&options.queries.device),
            PredictorName::Extractive | PredictorName::Precomputed => Needs::default(),
        }
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let predictor = predictor(ctx, run)?;
        let mut documents = Documents::open(ctx, run, task)?;
        let directory = run.directory(PREDICT);
        let by_model = matches!(*predictor, AnyPredictor::Model(_));
        let mut writer = QueryWriter::create(&directory, &prefix(task, by_model))?;
        let used = match &*predictor {
            AnyPredictor::Rows(predictor) => {
                rows::run(ctx, &**predictor, &mut documents, &mut writer)?;
                UsedPredictor { name: predictor.name().to_owned(), ..UsedPredictor::default() }
            }
            AnyPredictor::Model(model) => {
                model::run(ctx, run, &directory, task, model, &mut documents, &mut writer)?;
                UsedPredictor {
                    name: "onnx".into(),
                    device: Some(model.provider().to_string()),
                    layout: Some(model.layout().to_owned()),
                    warning: model.provider().warning(),
                }
            }
        };
        let (files, documents, queries) = writer.commit()?;
        (PredictCounts { documents, queries, predictor: used }).done(files)
    }

    fn after(&self, run: &RunContext, task: u32) {
        checkpoint::remove(&run.directory(PREDICT), task);
    }

    fn sweep(&self, run: &RunContext) {
        for task in checkpoint::tasks(&run.directory(PREDICT)) {
            if matches!(run.done(PREDICT, task), Ok(Some(_))) {
                self.after(run, task);
            }
        }
        attempt::sweep(run, PREDICT);
    }

    fn device(&self, record: &DoneRecord) -> Option<String> {
        PredictCounts::of(record)?.predictor.device
    }
}

impl Counts for PredictCounts {
    const STAGE: Stage = PREDICT;
}
