//! The options of a corpus. They have no defaults: the TypeScript schema holds them.

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
    /// Patterns of names of files and directories below a directory that are not read.
    pub skip: Vec<String>,
    /// Files and directories of the run itself, which are not read where a directory holds them.
    #[serde(skip)]
    pub own: Vec<PathBuf>,
    /// Field or column of the text, as a path like `doc.text`.
    pub text_field: String,
    /// Field or column of token ids, which rows have in place of a text. The text field is not read
    /// then.
    pub tokens_field: Option<String>,
    /// Joins the strings of a text that is a list.
    pub text_join: String,
    /// Field or column of the id; `path:row` when not given.
    pub id_field: Option<String>,
    /// Field or column of queries, a string or a list of strings.
    pub query_field: Option<String>,
    /// Field or column of the source.
    pub source_field: Option<String>,
    /// The source of the documents of each of `paths`; empty where a field names sources.
    pub source_names: Vec<String>,
    /// The treatment of half a surrogate pair in a string of JSON.
    pub lone_surrogates: LoneSurrogates,
    /// A document with more bytes is a bad row.
    pub max_document_bytes: u64,
    /// Files are divided, and small ones taken together, into splits of about this many bytes;
    /// `None` for what follows from their sizes.
    pub split_bytes: Option<u64>,
    /// The directory of the parts of large packed files, once they are spooled. A corpus whose splits
    /// may be parts cannot be read without it.
    pub spool: Option<PathBuf>,
    /// The origin of the files.
    #[serde(skip)]
    pub origin: Origin,
}

/// The treatment of half a surrogate pair (`\\ud83d`), which no UTF-8 can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoneSurrogates {
    /// It becomes U+FFFD, and the row is counted.
    Replace,
    /// The row is bad.
    Reject,
}

/// The origin of the files, which decides how messages name rows and fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The user's corpus: rows are named by file, fields with the option that names them.
    #[default]
    Corpus,
    /// The spool of pushed documents: rows are named by the number of the document.
    Pushed,
    /// A file of another kind, whose fields have fixed names.
    SideFile,
}

impl CorpusOptions {
    /// Whole files with documents of up to 64 MiB, and no other field than the text.
    pub fn of_files(paths: Vec<String>, text_field: &str) -> CorpusOptions {
        CorpusOptions {
            paths,
            root: None,
            skip: Vec::new(),
            own: Vec::new(),
            text_field: text_field.into(),
            tokens_field: None,
            text_join: "\n".into(),
            id_field: None,
            query_field: None,
            source_field: None,
            source_names: Vec::new(),
            lone_surrogates: LoneSurrogates::Replace,
            max_document_bytes: 64 << 20,
            split_bytes: Some(u64::MAX),
            spool: None,
            origin: Origin::Corpus,
        }
    }

    /// Most bytes of a line: text with escapes has up to six times its bytes, and there are other
    /// fields.
    pub(crate) fn most_line_bytes(&self) -> u64 {
        self.max_document_bytes.saturating_mul(6).saturating_add(1 << 20)
    }

    /// A field in words, with the option that names it.
    pub(crate) fn field(&self, option: &str, name: &str) -> String {
        match self.origin {
            Origin::Corpus => format!("\"{name}\" (`{option}`)"),
            Origin::Pushed | Origin::SideFile => format!("\"{name}\""),
        }
    }
}
