//! The seam for every way of predicting queries: a batch of documents in, queries out.

use longweave_common::{Ctx, Result};
use longweave_language::Language;

use crate::Queries;

/// A document as a predictor sees it.
#[derive(Clone, Copy, Debug)]
pub struct DocumentRef<'a> {
    /// The document's id.
    pub id: &'a str,
    /// Its whole text.
    pub text: &'a str,
    /// The language of the text.
    pub language: Language,
    /// The queries of the corpus' own `queryField`; empty if it has none.
    pub queries: &'a [&'a str],
}

/// Predicts queries for documents.
pub trait Predictor: Send + Sync {
    /// The name that options and reports use: `precomputed`, `extractive`.
    fn name(&self) -> &'static str;

    /// Appends the queries of each document of `batch` to `out`, segments rising within a document.
    /// A document may get none.
    ///
    /// Errors: `CANCELLED`, and whatever the predictor documents.
    fn predict(&self, ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()>;
}
