//! The planner's input from a corpus: lengths, keys, keywords. Borrowed columns by `DocId` or
//! `KeywordId`; no text, no tokens.

use longweave_common::random::Key;
use longweave_common::{Code, DocId, Error, KeywordId, Result};

use crate::{Chunks, Forest, NeighbourLists, TopicLists};

/// The metadata of a corpus. Columns of documents are indexed by `DocId` and equally long.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// Tokens of each document, without separator and begin tokens; 0 for a rejected or empty one.
    pub lens: &'a [u32],
    /// [`Key`] of each document's id.
    pub keys: &'a [u128],
    /// xxh3-128 of each document's text; needed where duplicates are left out.
    pub text_hashes: Option<&'a [u128]>,
    /// The first document of each document's cluster of near-duplicates, itself where it has none;
    /// needed for `dedup: near`.
    pub near: Option<&'a [u32]>,
    /// Representative keyword of each document, [`KeywordId::NONE`] where there is none; needed for
    /// quest and keyworded pools.
    pub keyword_of: Option<&'a [KeywordId]>,
    /// [`Key`] of each keyword, by `KeywordId`; empty where there are no keywords.
    pub keyword_keys: &'a [u128],
    /// The hierarchy of phrases; needed for quest with `fill: related`.
    pub forest: Option<&'a Forest>,
    /// The number of each document's source, from 0. Without it all documents are of one source.
    pub sources: Option<&'a [u32]>,
    /// The weight of each source, by number; without them sources mix as they come.
    pub weights: Option<&'a [SourceWeight]>,
    /// The nearest of each document (knn, iclm), or of each chunk (nextlong).
    pub neighbours: Option<&'a dyn NeighbourLists>,
    /// Chunks of documents; needed for nextlong.
    pub chunks: Option<&'a Chunks>,
    /// The documents of each topic; needed for topics, whose groups name topics as keywords.
    pub topics: Option<&'a TopicLists>,
    /// Beginnings of documents' texts; needed for iclm's release.
    pub heads: Option<&'a dyn Heads>,
}

/// The part that a source is to have of the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceWeight {
    /// The source's name, for messages.
    pub name: String,
    /// Its weight, in any unit; documents of one with 0 do not take part.
    pub weight: f64,
}

/// Beginnings of documents' texts.
pub trait Heads: Sync + std::fmt::Debug {
    /// The first characters of a document's text.
    fn head(&self, doc: DocId) -> &str;
}

/// Which documents a plan is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those not held out.
    Main,
    /// Those that `holdout` sets aside.
    HeldOut,
}

impl PlanInput<'_> {
    /// The key of a document's id.
    pub(crate) fn key(&self, doc: DocId) -> Key {
        Key(self.keys[doc.index()])
    }

    pub(crate) fn keyword_key(&self, keyword: KeywordId) -> Key {
        Key(self.keyword_keys[keyword.index()])
    }

    /// The key of a group's keyword, or topic.
    pub(crate) fn group_key(&self, keyword: KeywordId) -> Key {
        match self.topics {
            Some(topics) => topics.key(keyword),
            None => self.keyword_key(keyword),
        }
    }

    /// The representative keyword of a document; `NONE` where there is none.
    pub(crate) fn keyword(&self, doc: DocId) -> KeywordId {
        self.keyword_of.map_or(KeywordId::NONE, |column| column[doc.index()])
    }

    /// The number of a document's source.
    pub(crate) fn source(&self, doc: DocId) -> u32 {
        self.sources.map_or(0, |column| column[doc.index()])
    }

    /// The weight of a document's source; 1 where sources have none.
    pub(crate) fn weight(&self, doc: DocId) -> f64 {
        self.weights.map_or(1.0, |weights| weights[self.source(doc) as usize].weight)
    }

    /// Checks that columns agree with each other.
    ///
    /// Errors: `FILE_CORRUPT`, naming the columns; `TOO_MANY_ROWS`.
    pub(crate) fn check(&self) -> Result<()> {
        let n = self.lens.len();
        if n > u32::MAX as usize {
            return Err(Error::new(
                Code::TooManyRows,
                format!("a plan can hold 2³²−1 documents, the corpus has {n}"),
            ));
        }
        let columns = [
            ("keys", Some(self.keys.len())),
            ("text hashes", self.text_hashes.map(<[_]>::len)),
            ("clusters of near-duplicates", self.near.map(<[_]>::len)),
            ("keywords", self.keyword_of.map(<[_]>::len)),
            ("sources", self.sources.map(<[_]>::len)),
            ("documents with chunks", self.chunks.map(Chunks::documents)),
            (
                "lists of neighbours",
                self.neighbours.filter(|_| self.chunks.is_none()).map(NeighbourLists::lists),
            ),
        ];
        for (name, len) in columns {
            if len.is_some_and(|len| len != n) {
                let message = format!(
                    "the corpus has {n} lengths of documents, but {} {name}; delete the work \
                     directory and run again",
                    len.unwrap_or(0)
                );
                return Err(Error::new(Code::FileCorrupt, message));
            }
        }
        if let (Some(neighbours), Some(chunks)) = (self.neighbours, self.chunks)
            && neighbours.lists() != chunks.len()
        {
            let message = format!(
                "the corpus has {} chunks, but {} lists of neighbours",
                chunks.len(),
                neighbours.lists()
            );
            return Err(Error::new(
                Code::FileCorrupt,
                message + "; delete the work directory and run again",
            ));
        }
        if self.topics.is_some_and(|topics| !topics.is_within(n)) {
            let message = format!(
                "a topic has a document beyond the {n} of the corpus; delete the work directory and \
                 run again"
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        if let (Some(weights), Some(sources)) = (self.weights, self.sources)
            && let Some(row) = sources.iter().position(|&source| source as usize >= weights.len())
        {
            let message = format!(
                "document {row} has a source beyond the {} that have weights; delete the documents \
                 stage's folder and run again",
                weights.len()
            );
            return Err(Error::new(Code::FileCorrupt, message).with("row", row));
        }
        let keywords = self.keyword_keys.len();
        let beyond = |k: &KeywordId| !k.is_none() && k.index() >= keywords;
        if let Some(row) = self.keyword_of.and_then(|column| column.iter().position(beyond)) {
            let message = format!(
                "document {row} has a keyword beyond the {keywords} of the index; delete the index \
                 stage's folder and run again"
            );
            return Err(Error::new(Code::FileCorrupt, message).with("row", row));
        }
        if let Some(forest) = self.forest.filter(|f| f.node_of_keyword.len() != keywords) {
            let found = forest.node_of_keyword.len();
            let message = format!(
                "the hierarchy knows {found} keywords, the index {keywords}; delete the index \
                 stage's folder and run again"
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        let documents = self.forest.map_or(0, |forest| forest.node_of_document.len());
        if documents != 0 && documents != self.lens.len() {
            let message = format!(
                "the hierarchy knows {documents} documents, the corpus has {}; delete the index \
                 stage's folder and run again",
                self.lens.len()
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        Ok(())
    }
}
