//! What the caller says about a corpus. No defaults: the TypeScript schema holds them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the documents are and which fields hold what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorpusOptions {
    /// Files, directories (read as trees) and globs (`*`, `**`, `?`, `[…]`, `{…}`).
    pub paths: Vec<String>,
    /// The directory that relative paths start from; the longest common one when not given.
    pub root: Option<String>,
    /// Field or column of the text.
    pub text_field: String,
    /// Field or column of the id, a string or an integer; `path:row` when not given.
    pub id_field: Option<String>,
    /// Field or column of queries, a string or a list of strings.
    pub query_field: Option<String>,
    /// Field or column of the source, a string.
    pub source_field: Option<String>,
    /// A document with more bytes is a bad row.
    pub max_document_bytes: u64,
    /// Files are divided, and small ones taken together, into splits of about this many bytes.
    pub split_bytes: u64,
    /// Where the parts of large packed files stand, once they are spooled; a corpus whose splits may be parts needs it to be read.
    pub spool: Option<PathBuf>,
}
