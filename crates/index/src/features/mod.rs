//! The features of each document: its informative candidates and their words, as numbers. Phrases
//! have the numbers that they have in [`Numbered`]; words follow.
//!
//! Costs in memory: 8 bytes a document, about 40 a distinct word while features are made, and those
//! of a column ([`Space`]); where phrases are held in memory, 8 a phrase and 4 a word of each more
//! meanwhile, and on the disk those of one partition of phrases a thread.

mod in_memory;
mod on_disk;
mod words;

use longweave_common::{Ctx, DocId, Result};

use crate::lists::Lists;
use crate::numbering::{Numbered, Texts};
use crate::stored::{Space, StoredLists};
use words::Words;

/// The features of all documents, of each in rising order, each once.
pub(crate) struct Features {
    lists: StoredLists<u32>,
    /// Those below are phrases, the others words.
    pub(crate) phrases: u32,
    /// How many there are.
    pub(crate) all: usize,
}

impl Features {
    /// Those of the documents that are numbered.
    pub(crate) fn of(ctx: &Ctx, numbered: &Numbered<'_>, space: Space<'_>) -> Result<Features> {
        let words = Words::after(numbered.documents.len() as u32);
        let mut lists = space.store("features", numbered.rows.len());
        let take = |more: &Lists<u32>| lists.extend(more);
        match &numbered.texts {
            Texts::Files(dealt) => on_disk::features(ctx, numbered, dealt, &words, space, take)?,
            Texts::Tables { tables, places } => {
                in_memory::features(ctx, numbered, (tables, places), &words, space, take)?
            }
        }
        Ok(Features { lists: lists.finish()?, phrases: words.first, all: words.end() as usize })
    }

    /// How many a document has.
    pub(crate) fn len(&self, doc: DocId) -> usize {
        self.lists.offsets.range(doc.index()).len()
    }

    /// Appends those of a document.
    pub(crate) fn append(
        &self,
        doc: DocId,
        buffer: &mut Vec<u32>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.extend_from_slice(self.lists.get(doc.index(), buffer)?);
        Ok(())
    }
}
