//! An index in memory and on disk. Files: `phrases.arrow`, `keywords` (u32 by document), `ends`
//! (u64 by keyword), `docs` (u32), `keys` (u128 by keyword), `nodes.arrow`, `node_parent` (u32),
//! `node_key` (u128), `node_of_keyword` (u32 by keyword), `node_of_document` (u32 by document, or
//! empty).

use std::path::Path;

use longweave_common::random::Key;
use longweave_common::{Code, DocId, Error, KeywordId, Offsets, Result};
use longweave_plan::Forest;
use longweave_storage::{FileRecord, read_array, read_strings, write_array, write_strings};

use crate::hierarchy::{NodePhrases, Tree};

/// The file of the phrases by keyword, and that of the phrases by node of the hierarchy.
pub const PHRASES: &str = "phrases.arrow";
pub const NODES: &str = "nodes.arrow";

const MISFIT: &str = "lists that do not fit their documents";

/// Keywords, the documents of each, and their hierarchy.
pub struct Index {
    phrases: Vec<String>,
    keys: Vec<u128>,
    keyword_of: Vec<KeywordId>,
    postings: Offsets,
    docs: Vec<DocId>,
    forest: Forest,
    nodes: NodePhrases,
}

impl Index {
    pub(crate) fn new(
        phrases: Vec<String>,
        keyword_of: Vec<KeywordId>,
        postings: Offsets,
        docs: Vec<DocId>,
        tree: Tree,
    ) -> Index {
        let keys = phrases.iter().map(|p| Key::of(p).0).collect();
        Index {
            phrases,
            keys,
            keyword_of,
            postings,
            docs,
            forest: tree.forest,
            nodes: tree.phrases,
        }
    }

    /// Number of keywords.
    pub fn len(&self) -> usize {
        self.phrases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// A keyword's phrase; panics beyond the end, as a slice does.
    pub fn phrase(&self, keyword: KeywordId) -> &str {
        &self.phrases[keyword.index()]
    }

    /// The [`Key`] of each keyword.
    pub fn keyword_keys(&self) -> &[u128] {
        &self.keys
    }

    /// The keyword of each document.
    pub fn keyword_of(&self) -> &[KeywordId] {
        &self.keyword_of
    }

    /// A keyword's documents in `DocId` order; panics beyond the end.
    pub fn postings(&self, keyword: KeywordId) -> &[DocId] {
        &self.docs[self.postings.range(keyword.index())]
    }

    /// The hierarchy.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The phrase of a node of the hierarchy; panics beyond the end.
    pub fn node_phrase(&self, node: u32) -> &str {
        self.nodes.get(node as usize, &self.phrases)
    }

    /// The `n` keywords with most documents, most first, ties in byte order.
    pub fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = (0..self.len() as u32)
            .map(|k| {
                (self.phrase(KeywordId::new(k)), self.postings(KeywordId::new(k)).len() as u64)
            })
            .collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(n);
        all
    }

    /// Writes the index into `directory`.
    pub fn write(&self, directory: &Path) -> Result<Vec<FileRecord>> {
        let at = |name: &str| directory.join(name);
        let keyword_of: Vec<u32> = self.keyword_of.iter().map(|k| k.get()).collect();
        let docs: Vec<u32> = self.docs.iter().map(|d| d.get()).collect();
        let nodes = (0..self.nodes.len()).map(|node| self.nodes.get(node, &self.phrases));
        Ok(vec![
            FileRecord::new(PHRASES, write_strings(&at(PHRASES), "phrase", &self.phrases)?),
            FileRecord::new("keywords", write_array(&at("keywords"), &keyword_of)?),
            FileRecord::new("ends", write_array(&at("ends"), self.postings.ends())?),
            FileRecord::new("docs", write_array(&at("docs"), &docs)?),
            FileRecord::new("keys", write_array(&at("keys"), &self.keys)?),
            FileRecord::new(NODES, write_strings(&at(NODES), "phrase", nodes)?),
            FileRecord::new("node_parent", write_array(&at("node_parent"), &self.forest.parent)?),
            FileRecord::new("node_key", write_array(&at("node_key"), &self.forest.key)?),
            FileRecord::new(
                "node_of_keyword",
                write_array(&at("node_of_keyword"), &self.forest.node_of_keyword)?,
            ),
            FileRecord::new(
                "node_of_document",
                write_array(&at("node_of_document"), &self.forest.node_of_document)?,
            ),
        ])
    }

    /// Reads an index.
    ///
    /// Errors: `FILE_CORRUPT` when a file is damaged, or files disagree. The hierarchy's own shape
    /// is checked where it is climbed.
    pub fn open(directory: &Path) -> Result<Index> {
        let at = |name: &str| directory.join(name);
        let corrupt = |what: &str| {
            let message = format!(
                "the index in {} has {what}; delete this folder and run again",
                directory.display()
            );
            Error::new(Code::FileCorrupt, message)
        };
        let strings = |name: &str| -> Result<Vec<String>> {
            Ok(read_strings(&at(name))?.iter().map(str::to_owned).collect())
        };
        let index = Index {
            phrases: strings(PHRASES)?,
            keys: read_array(&at("keys"))?,
            keyword_of: read_array::<u32>(&at("keywords"))?
                .into_iter()
                .map(KeywordId::new)
                .collect(),
            postings: Offsets::from_ends(read_array(&at("ends"))?)
                .ok_or_else(|| corrupt(MISFIT))?,
            docs: read_array::<u32>(&at("docs"))?.into_iter().map(DocId::new).collect(),
            forest: Forest {
                parent: read_array(&at("node_parent"))?,
                key: read_array(&at("node_key"))?,
                node_of_keyword: read_array(&at("node_of_keyword"))?,
                node_of_document: read_array(&at("node_of_document"))?,
            },
            nodes: NodePhrases::Read(read_strings(&at(NODES))?),
        };
        match index.disagreement() {
            Some(what) => Err(corrupt(what)),
            None => Ok(index),
        }
    }

    /// The first disagreement between the files of the index.
    fn disagreement(&self) -> Option<&'static str> {
        let keywords = self.phrases.len();
        let counts = [self.keys.len(), self.postings.len(), self.forest.node_of_keyword.len()];
        let nodes = [self.forest.parent.len(), self.forest.key.len()];
        if counts.iter().any(|&n| n != keywords) || nodes.iter().any(|&n| n != self.nodes.len()) {
            return Some("columns of unequal length");
        }
        let of_documents = self.forest.node_of_document.len();
        if of_documents != 0 && of_documents != self.keyword_of.len() {
            return Some("columns of unequal length");
        }
        if self.postings.end() != self.docs.len() as u64 {
            return Some(MISFIT);
        }
        if self.docs.iter().any(|d| d.index() >= self.keyword_of.len())
            || self.keyword_of.iter().any(|k| !k.is_none() && k.index() >= keywords)
        {
            return Some("numbers beyond the end");
        }
        None
    }
}
