//! An index in memory and on disk. Files: `phrases.arrow`, `keywords` (u32 by document), `keys`
//! (u128 by keyword), `nodes.arrow`, `node_parent` (u32), `node_key` (u128), `node_of_keyword` (u32
//! by keyword), `node_of_document` (u32 by document, or empty). The lists of documents follow from
//! `keywords`.

use std::path::Path;

use longweave_common::random::Key;
use longweave_common::{Code, DocId, Error, KeywordId, Offsets, Result};
use longweave_plan::Forest;
use longweave_storage::{FileRecord, read_array, read_strings, write_array, write_strings};

use crate::hierarchy::{NodePhrases, Tree};

/// The file of the phrases by keyword, and that of the phrases by node of the hierarchy.
pub const PHRASES: &str = "phrases.arrow";
pub const NODES: &str = "nodes.arrow";

const UNEQUAL: &str = "columns of unequal length";
const BEYOND: &str = "numbers beyond the end";

/// Keywords and their hierarchy without text: what planning asks of an index. Costs 4 bytes a
/// document, 16 a keyword, and the hierarchy's.
pub struct KeywordColumns {
    keys: Vec<u128>,
    keyword_of: Vec<KeywordId>,
    forest: Forest,
}

impl KeywordColumns {
    /// Reads those of an index.
    ///
    /// Errors: `FILE_CORRUPT` when a file is damaged, or files disagree.
    pub fn open(directory: &Path) -> Result<KeywordColumns> {
        let at = |name: &str| directory.join(name);
        let columns = KeywordColumns {
            keys: read_array(&at("keys"))?,
            keyword_of: read_array::<u32>(&at("keywords"))?
                .into_iter()
                .map(KeywordId::new)
                .collect(),
            forest: Forest {
                parent: read_array(&at("node_parent"))?,
                key: read_array(&at("node_key"))?,
                node_of_keyword: read_array(&at("node_of_keyword"))?,
                node_of_document: read_array(&at("node_of_document"))?,
            },
        };
        columns.disagreement().map_or(Ok(columns), |what| Err(corrupt(directory, what)))
    }

    /// The [`Key`] of each keyword.
    pub fn keyword_keys(&self) -> &[u128] {
        &self.keys
    }

    /// The keyword of each document.
    pub fn keyword_of(&self) -> &[KeywordId] {
        &self.keyword_of
    }

    /// The hierarchy.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The first disagreement between the columns.
    fn disagreement(&self) -> Option<&'static str> {
        let KeywordColumns { keys, keyword_of, forest } = self;
        let of_documents = forest.node_of_document.len();
        if forest.node_of_keyword.len() != keys.len()
            || forest.key.len() != forest.parent.len()
            || (of_documents != 0 && of_documents != keyword_of.len())
        {
            return Some(UNEQUAL);
        }
        let beyond = |k: &KeywordId| !k.is_none() && k.index() >= keys.len();
        keyword_of.iter().any(beyond).then_some(BEYOND)
    }
}

/// Keywords, the documents of each, and their hierarchy.
pub struct Index {
    columns: KeywordColumns,
    phrases: Vec<String>,
    postings: Offsets,
    docs: Vec<DocId>,
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
        let columns = KeywordColumns { keys, keyword_of, forest: tree.forest };
        Index { columns, phrases, postings, docs, nodes: tree.phrases }
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
        self.columns.keyword_keys()
    }

    /// The keyword of each document.
    pub fn keyword_of(&self) -> &[KeywordId] {
        self.columns.keyword_of()
    }

    /// A keyword's documents in `DocId` order; panics beyond the end.
    pub fn postings(&self, keyword: KeywordId) -> &[DocId] {
        &self.docs[self.postings.range(keyword.index())]
    }

    /// The hierarchy.
    pub fn forest(&self) -> &Forest {
        self.columns.forest()
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
        let KeywordColumns { keys, keyword_of, forest } = &self.columns;
        let keyword_of: Vec<u32> = keyword_of.iter().map(|k| k.get()).collect();
        let nodes = (0..self.nodes.len()).map(|node| self.nodes.get(node, &self.phrases));
        Ok(vec![
            FileRecord::new(PHRASES, write_strings(&at(PHRASES), "phrase", &self.phrases)?),
            FileRecord::new("keywords", write_array(&at("keywords"), &keyword_of)?),
            FileRecord::new("keys", write_array(&at("keys"), keys)?),
            FileRecord::new(NODES, write_strings(&at(NODES), "phrase", nodes)?),
            FileRecord::new("node_parent", write_array(&at("node_parent"), &forest.parent)?),
            FileRecord::new("node_key", write_array(&at("node_key"), &forest.key)?),
            FileRecord::new(
                "node_of_keyword",
                write_array(&at("node_of_keyword"), &forest.node_of_keyword)?,
            ),
            FileRecord::new(
                "node_of_document",
                write_array(&at("node_of_document"), &forest.node_of_document)?,
            ),
        ])
    }

    /// Reads an index.
    ///
    /// Errors: `FILE_CORRUPT` when a file is damaged, or files disagree. The hierarchy's own shape
    /// is checked where it is climbed.
    pub fn open(directory: &Path) -> Result<Index> {
        let at = |name: &str| directory.join(name);
        let strings = |name: &str| -> Result<Vec<String>> {
            Ok(read_strings(&at(name))?.iter().map(str::to_owned).collect())
        };
        let columns = KeywordColumns::open(directory)?;
        let (phrases, nodes) = (strings(PHRASES)?, NodePhrases::Read(read_strings(&at(NODES))?));
        if phrases.len() != columns.keys.len() || nodes.len() != columns.forest.len() {
            return Err(corrupt(directory, UNEQUAL));
        }
        let (postings, docs) = postings(&columns.keyword_of, phrases.len());
        Ok(Index { columns, phrases, postings, docs, nodes })
    }
}

/// The documents of each keyword in `DocId` order.
pub(crate) fn postings(keyword_of: &[KeywordId], keywords: usize) -> (Offsets, Vec<DocId>) {
    let keyworded = keyword_of.iter().enumerate().filter(|(_, keyword)| !keyword.is_none());
    let by_keyword = keyworded.map(|(doc, keyword)| (keyword.index(), DocId::new(doc as u32)));
    Offsets::sort(keywords, by_keyword)
}

fn corrupt(directory: &Path, what: &str) -> Error {
    let message = format!(
        "the index in {} has {what}; delete this folder and run again",
        directory.display()
    );
    Error::new(Code::FileCorrupt, message)
}
