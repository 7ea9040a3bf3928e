//! Query prediction: short queries that a document would answer. Predictors work on batches behind one trait: [`Precomputed`] looks
//! them up, [`Extractive`] writes them from the document's own phrases without a neural network.

mod extractive;
mod precomputed;

pub use extractive::{Extractive, ExtractiveOptions};
pub use precomputed::Precomputed;

use longweave_common::{Ctx, Result};

/// Changes when a predictor gives other queries for the same document.
pub const VERSION: u32 = 1;

/// A document to write queries for.
#[derive(Clone, Copy, Debug)]
pub struct DocumentRef<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Queries that stand in the corpus beside it.
    pub queries: &'a [&'a str],
}

/// Queries of a batch of documents, in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    text: String,
    /// Ends of queries in `text`, and the segment each is for.
    queries: Vec<(usize, u32)>,
    /// Ends of documents in `queries`.
    documents: Vec<usize>,
}

impl Queries {
    /// Adds a query of the document that is being written, for segment `segment` of it.
    pub fn push(&mut self, segment: u32, query: &str) {
        self.text.push_str(query);
        self.queries.push((self.text.len(), segment));
    }

    /// Ends the document that is being written.
    pub fn end_document(&mut self) {
        self.documents.push(self.queries.len());
    }

    /// Number of documents.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Queries of a document with the segment each is for; panics beyond the last.
    pub fn of(&self, document: usize) -> impl Iterator<Item = (u32, &str)> {
        let start = if document == 0 { 0 } else { self.documents[document - 1] };
        (start..self.documents[document]).map(|i| {
            let from = if i == 0 { 0 } else { self.queries[i - 1].0 };
            (self.queries[i].1, &self.text[from..self.queries[i].0])
        })
    }
}

/// Writes queries for documents. Threads share it.
pub trait Predictor: Send + Sync {
    /// Its name in options and reports.
    fn name(&self) -> &'static str;

    /// Appends the queries of each document of the batch, none for a document that it has none for.
    fn predict(&self, ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()>;
}
