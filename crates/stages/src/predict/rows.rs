//! Predictors that need no device: parts of a batch in parallel on the run's threads.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_language::Language;
use longweave_predict::{DocumentRef, Predictor, Queries};
use rayon::prelude::*;

use super::documents::{Document, Documents};
use super::files::QueryWriter;

/// Most bytes of text whose queries are predicted at once; also at most a 32nd of `memory`.
const BATCH_BYTES: u64 = 4 << 20;
/// Bytes that are reserved for a byte of text.
const COST: u64 = 6;

pub(super) fn run(
    ctx: &Ctx,
    predictor: &dyn Predictor,
    documents: &mut Documents,
    writer: &mut QueryWriter,
) -> Result<()> {
    let limit = BATCH_BYTES.min(ctx.budget.limit() / 32);
    let mut held = ctx.budget.reserve(limit * COST, &ctx.cancel)?;
    loop {
        ctx.cancel.check()?;
        let first = documents.row;
        let batch = read_batch(documents, limit)?;
        if documents.row == first {
            return Ok(());
        }
        let bytes = batch
            .iter()
            .flat_map(|d| d.queries.iter().chain([&d.text]))
            .map(|text| text.len() as u64)
            .sum::<u64>();
        held = held.exchange(COST * bytes.max(limit), &ctx.cancel)?;
        let chunk = batch.len().div_ceil(ctx.pool.current_num_threads() * 4).max(1);
        let language = documents.language;
        let predicted: Vec<(Vec<Language>, Queries)> = ctx.pool.install(|| {
            let parts = batch.par_chunks(chunk);
            parts.map(|part| predict(ctx, predictor, language, part)).collect::<Result<_>>()
        })?;
        let mut queries = predicted.iter().flat_map(|(languages, queries)| {
            let documents = languages.iter().zip(0..queries.documents());
            documents.map(|(&language, i)| (language, queries.of(i)))
        });
        let mut expected = batch.iter().peekable();
        for row in first..documents.row {
            if expected.next_if(|d| d.row == row).is_some() {
                let missing = || {
                    Error::new(Code::Internal, "a predictor gave fewer documents than it was given")
                };
                let (language, own) = queries.next().ok_or_else(missing)?;
                writer.row(Some(language), own)?;
            } else {
                writer.row(None, std::iter::empty())?;
            }
        }
        ctx.progress.advance(u64::from(documents.row - first));
    }
}

/// The languages of documents, and their queries.
fn predict(
    ctx: &Ctx,
    predictor: &dyn Predictor,
    language: Option<Language>,
    part: &[Document],
) -> Result<(Vec<Language>, Queries)> {
    let mut out = Queries::default();
    let fields: Vec<Vec<&str>> =
        part.iter().map(|d| d.queries.iter().map(String::as_str).collect()).collect();
    let languages: Vec<Language> = part.iter().map(|d| d.language(language)).collect();
    let documents: Vec<DocumentRef<'_>> = part
        .iter()
        .zip(&fields)
        .zip(&languages)
        .map(|((d, queries), &language)| DocumentRef {
            id: &d.id,
            text: &d.text,
            language,
            queries,
        })
        .collect();
    predictor.predict(ctx, &documents, &mut out)?;
    Ok((languages, out))
}

/// Documents of the next rows until their texts reach `limit` bytes.
fn read_batch(documents: &mut Documents, limit: u64) -> Result<Vec<Document>> {
    let (mut batch, mut bytes, first) = (Vec::new(), 0u64, documents.row);
    while bytes < limit && documents.row - first < 1 << 16 {
        let Some((_, document)) = documents.next()? else { break };
        bytes += document.as_ref().map_or(0, |d| {
            d.queries.iter().fold(d.text.len(), |sum, query| sum + query.len()) as u64
        });
        batch.extend(document);
    }
    Ok(batch)
}
