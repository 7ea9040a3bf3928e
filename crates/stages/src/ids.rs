//! Ids of documents by `DocId`, read from the table of all ids only for those asked for.

use std::collections::HashMap;
use std::path::PathBuf;

use longweave_common::{DocId, Result};
use longweave_storage::StringTable;

/// The table on disk.
pub struct Ids {
    path: PathBuf,
}

/// Ids of some documents.
pub struct SomeIds {
    text: String,
    places: HashMap<DocId, (usize, usize)>,
}

impl Ids {
    /// The table at `path`, not yet read.
    pub fn new(path: PathBuf) -> Ids {
        Ids { path }
    }

    /// The ids of `documents`; a document may be named several times.
    pub fn of(&self, documents: impl Iterator<Item = DocId>) -> Result<SomeIds> {
        let mut documents: Vec<DocId> = documents.collect();
        documents.sort_unstable();
        documents.dedup();
        let mut some =
            SomeIds { text: String::new(), places: HashMap::with_capacity(documents.len()) };
        let rows: Vec<usize> = documents.iter().map(|d| d.index()).collect();
        StringTable::pick(&self.path, &rows, |at, id| {
            some.places.insert(documents[at], (some.text.len(), id.len()));
            some.text.push_str(id);
        })?;
        Ok(some)
    }
}

impl SomeIds {
    /// The id of one of the documents that were asked for; panics for another.
    pub fn get(&self, doc: DocId) -> &str {
        let (start, len) = self.places[&doc];
        &self.text[start..start + len]
    }
}
