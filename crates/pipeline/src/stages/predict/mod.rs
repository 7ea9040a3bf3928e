//! Predict: the queries of each document of a split that ingest accepted.

use longweave_common::{Code, Ctx, Result};
use longweave_corpus::{Content, RowReader};
use longweave_inference::{QueryModel, Runtime};
use longweave_predict::{Extractive, ExtractiveOptions, Precomputed, Predictor};
use longweave_storage::{DoneRecord, read_array};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ingest::{ACCEPTED, IngestPaths};
use crate::options::{OnBadRow, PredictorName};
use crate::{RunContext, Stage};

mod checkpoint;
mod files;
mod model;
mod rows;

pub(crate) use files::QueryFiles;
use files::QueryWriter;

/// A predictor, by the way it is driven.
pub(crate) enum AnyPredictor {
    /// Document by document, on the run's threads.
    Rows(Box<dyn Predictor>),
    /// In batches, on a device.
    Model(Box<QueryModel>),
}

impl AnyPredictor {
    /// The predictor that the options ask for.
    pub(crate) fn make(ctx: &Ctx, run: &RunContext) -> Result<AnyPredictor> {
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
                    let scratch = run.directory(Stage::Predict).join("queries");
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
pub(crate) struct PredictCounts {
    /// Documents with a query.
    pub(crate) documents: u64,
    pub(crate) queries: u64,
    pub(crate) predictor: UsedPredictor,
}

/// The predictor that a task used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UsedPredictor {
    pub(crate) name: String,
    /// Where its model ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// How the files of its model are laid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layout: Option<String>,
    /// Why its model did not run on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let predictor = run.predictor(ctx)?;
    let mut documents = Documents::open(ctx, run, task)?;
    let mut writer = QueryWriter::create(&run.directory(Stage::Predict), task)?;
    let used = match predictor {
        AnyPredictor::Rows(predictor) => {
            rows::run(ctx, &**predictor, &mut documents, &mut writer)?;
            UsedPredictor { name: predictor.name().to_owned(), ..UsedPredictor::default() }
        }
        AnyPredictor::Model(model) => {
            model::run(ctx, run, task, model, &mut documents, &mut writer)?;
            UsedPredictor {
                name: "onnx".into(),
                device: Some(model.provider().to_string()),
                layout: Some(model.layout().to_owned()),
                warning: model.provider().warning(),
            }
        }
    };
    let (files, documents, queries) = writer.commit()?;
    Ok(DoneRecord { files, counts: json!(PredictCounts { documents, queries, predictor: used }) })
}

/// Deletes the checkpoint of a finished task.
pub(crate) fn after(run: &RunContext, task: u32) {
    checkpoint::remove(&run.directory(Stage::Predict), task);
}

/// Deletes the checkpoints of finished tasks whose process died before it did.
pub(crate) fn sweep(run: &RunContext) {
    for task in checkpoint::tasks(&run.directory(Stage::Predict)) {
        if matches!(run.done(Stage::Predict, task), Ok(Some(_))) {
            after(run, task);
        }
    }
}

/// A document. One whose precomputed queries are skipped as bad has only its row.
#[derive(Default)]
struct Document {
    row: u32,
    id: String,
    text: String,
    queries: Vec<String>,
}

/// The documents of a split that ingest accepted.
struct Documents {
    reader: RowReader,
    /// The policy for a document whose own queries are bad; `None` where they are not read.
    bad_queries: Option<OnBadRow>,
    status: Vec<u8>,
    /// The next row.
    row: u32,
}

impl Documents {
    fn open(ctx: &Ctx, run: &RunContext, task: u32) -> Result<Documents> {
        let split = task as usize;
        let inventory = &run.file.inventory;
        run.check_split(split)?;
        let status =
            read_array::<u8>(&IngestPaths::of(&run.directory(Stage::Ingest), task).status)?;
        let reader = RowReader::open(
            ctx,
            &run.corpus_with_queries(),
            inventory,
            split,
            run.rows()?.before(split),
        )?;
        let options = run.options();
        let bad_queries = options.reads_query_field().then_some(options.on_bad_row);
        Ok(Documents { reader, bad_queries, status, row: 0 })
    }

    /// The next row: its number, and the document if it was accepted; `None` after the last.
    fn next(&mut self) -> Result<Option<(u32, Option<Document>)>> {
        let Some(next) = self.reader.next()? else { return Ok(None) };
        let row = self.row;
        self.row += 1;
        if self.status.get(row as usize) != Some(&ACCEPTED) {
            return Ok(Some((row, None)));
        }
        let Content::Document(document) = &next.content else {
            if let (Content::Bad(bad), Some(policy)) = (&next.content, self.bad_queries) {
                if policy == OnBadRow::Skip {
                    return Ok(Some((row, Some(Document { row, ..Document::default() }))));
                }
                return Err(next.location.error(
                    Code::QueriesInvalid,
                    &bad.reason,
                    "fix the row's queries, or set `onBadRow: skip` to ignore them",
                ));
            }
            return Err(next.location.error(
                Code::InputChanged,
                "the row was a document when it was ingested, and is not now",
                "the file changed during the run: run again",
            ));
        };
        let queries = document.queries.iter().map(|q| q.to_string()).collect();
        Ok(Some((
            row,
            Some(Document {
                row,
                id: document.id.to_owned(),
                text: document.text.to_owned(),
                queries,
            }),
        )))
    }
}
