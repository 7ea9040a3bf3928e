//! Predict: queries of each accepted document of a split, replaying ingest's decisions.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Content, RowReader};
use longweave_inference::{QueryModel, Runtime};
use longweave_predict::{Extractive, ExtractiveOptions, Precomputed, Predictor};
use longweave_storage::{DoneRecord, read_array};
use serde_json::json;

use super::ingest::{ACCEPTED, Names};
use crate::options::{OnBadRow, PredictorName};
use crate::{RunContext, Stage};

mod checkpoint;
mod files;
mod model;
mod rows;

pub(crate) use files::QueryFiles;
use files::QueryWriter;

/// Makes queries one way or the other.
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
                    let beside = run.directory(Stage::Predict).join("queries");
                    Box::new(Precomputed::from_file(ctx, &run.resources.path(file), &beside)?)
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

pub(crate) fn run(ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
    let predictor = run.predictor(ctx)?;
    let mut documents = Documents::open(ctx, run, task)?;
    let mut writer = QueryWriter::create(&run.directory(Stage::Predict), task)?;
    let used = match predictor {
        AnyPredictor::Rows(predictor) => {
            rows::run(ctx, &**predictor, &mut documents, &mut writer)?;
            json!({ "name": predictor.name() })
        }
        AnyPredictor::Model(model) => {
            model::run(ctx, run, task, model, &mut documents, &mut writer)?;
            json!({ "name": "onnx", "device": model.provider().to_string(), "layout": model.layout(), "warning": model.provider().warning() })
        }
    };
    let (files, documents, queries) = writer.commit()?;
    Ok(DoneRecord {
        files,
        counts: json!({ "documents": documents, "queries": queries, "predictor": used }),
    })
}

/// Clears away what the finished task kept for the case that it would be interrupted.
pub(crate) fn after(run: &RunContext, task: u32) {
    checkpoint::remove(&run.directory(Stage::Predict), task);
}

/// Does the same for finished tasks whose process did not come to it.
pub(crate) fn sweep(run: &RunContext) {
    for task in checkpoint::tasks(&run.directory(Stage::Predict)) {
        if matches!(run.done(Stage::Predict, task), Ok(Some(_))) {
            after(run, task);
        }
    }
}

/// A document as it was read; without anything where its queries cannot be, which then are all that is asked for.
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
    /// What becomes of a document whose own queries cannot be read; `None` where they are not.
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
        let status = read_array::<u8>(&Names::of(&run.directory(Stage::Ingest), task).status)?;
        let reader = RowReader::open(
            ctx,
            &run.corpus_with_queries(),
            inventory,
            split,
            run.rows()?.first_in_file[split],
        )?;
        let options = run.options();
        let bad_queries = options.reads_query_field().then_some(options.on_bad_row);
        Ok(Documents { reader, bad_queries, status, row: 0 })
    }

    /// The next row: its number, and the document where it is one that was accepted; `None` after the last.
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
                let message = format!(
                    "{} row {}: {}; mend its queries, or say `onBadRow: skip` to leave such queries out",
                    next.file, next.number, bad.reason
                );
                return Err(Error::new(Code::QueriesInvalid, message)
                    .with("file", next.file)
                    .with("row", next.number));
            }
            let message = format!(
                "{} row {} was a document when it was ingested and is none now; the file changed",
                next.file, next.number
            );
            return Err(Error::new(Code::InputChanged, message)
                .with("file", next.file)
                .with("row", next.number));
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
