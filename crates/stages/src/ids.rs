//! Ids of documents by `DocId`, read from the table of all ids only for those asked for.

use std::path::PathBuf;

use longweave_common::{Ctx, DocId, Offsets, Result};
use longweave_storage::StringTable;
use rayon::prelude::*;

/// The table on disk.
pub struct Ids {
    path: PathBuf,
}

/// Ids of some documents, in the order of documents.
pub struct SomeIds {
    documents: Vec<DocId>,
    text: String,
    ends: Offsets,
}

impl Ids {
    /// The table at `path`, not yet read.
    pub fn new(path: PathBuf) -> Ids {
        Ids { path }
    }

    /// The ids of `documents`; a document may be named several times.
    pub fn of(&self, ctx: &Ctx, documents: impl Iterator<Item = DocId>) -> Result<SomeIds> {
        let mut documents: Vec<DocId> = documents.collect();
        ctx.pool.install(|| documents.par_sort_unstable());
        documents.dedup();
        let rows: Vec<usize> = documents.iter().map(|d| d.index()).collect();
        let (mut text, mut ends) = (String::new(), Offsets::with_capacity(documents.len()));
        StringTable::pick(&self.path, &rows, |_, id| {
            text.push_str(id);
            ends.push(text.len());
        })?;
        Ok(SomeIds { documents, text, ends })
    }
}

impl SomeIds {
    /// The id of one of the documents that were asked for; panics for another.
    pub fn get(&self, doc: DocId) -> &str {
        let place = self.documents.binary_search(&doc).expect("only named documents are asked for");
        &self.text[self.ends.range(place)]
    }
}
