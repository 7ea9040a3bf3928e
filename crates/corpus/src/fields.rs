//! The fields of a row as a reader of any kind finds them, and why a row is bad.

use longweave_common::Code;

/// Bytes of a buffer that is kept for the next row.
pub(crate) const KEPT: usize = 4 << 20;

/// Bytes that a token counts for among the bytes of a document.
pub(crate) const TOKEN_BYTES: u64 = 4;

/// The wanted fields of a row.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) text: String,
    pub(crate) has_text: bool,
    /// Token ids in place of a text.
    pub(crate) tokens: Vec<u32>,
    pub(crate) has_tokens: bool,
    pub(crate) id: String,
    pub(crate) has_id: bool,
    pub(crate) source: String,
    pub(crate) has_source: bool,
    pub(crate) queries: Vec<String>,
    /// A lone surrogate was replaced.
    pub(crate) replaced: bool,
}

impl Fields {
    pub(crate) fn clear(&mut self) {
        for field in [&mut self.text, &mut self.id, &mut self.source] {
            field.clear();
            field.shrink_to(KEPT);
        }
        self.tokens.clear();
        self.tokens.shrink_to(KEPT / 4);
        self.queries.clear();
        self.queries.shrink_to(1024);
        (self.has_text, self.has_tokens) = (false, false);
        (self.has_id, self.has_source) = (false, false);
        self.replaced = false;
    }

    /// Whether the row has nothing to train on.
    pub(crate) fn is_empty(&self) -> bool {
        if self.has_tokens { self.tokens.is_empty() } else { self.text.trim().is_empty() }
    }
}

/// A row with more tokens than `most` bytes hold.
pub(crate) fn too_many_tokens(most: u64) -> Bad {
    let reason = format!(
        "the row has more than {} tokens, of which each counts four bytes of \
         `maxDocumentBytes` ({most})",
        most / TOKEN_BYTES
    );
    Bad::new(Code::DocumentTooLarge, reason)
}

/// A value among token ids that is not one, in words.
pub(crate) fn no_token(value: impl std::fmt::Display) -> String {
    format!("{value}, which is not a token id (a whole number from 0 to {})", u32::MAX)
}

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// `BAD_ROW`, `BAD_UTF8` or `DOCUMENT_TOO_LARGE`.
    pub code: Code,
    /// The reason in words.
    pub reason: String,
    /// How to make the row usable, where that is more than "fix the row".
    remedy: Option<String>,
}

impl Bad {
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Bad {
        Bad { code, reason: reason.into(), remedy: None }
    }

    /// The same, with another remedy.
    pub(crate) fn fixed_by(self, remedy: impl Into<String>) -> Bad {
        Bad { remedy: Some(remedy.into()), ..self }
    }

    /// How to make the row usable, as an instruction.
    pub(crate) fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(match self.code {
            Code::BadUtf8 => "convert the file to UTF-8",
            Code::DocumentTooLarge => "shorten the document or raise `maxDocumentBytes`",
            _ => "fix the row",
        })
    }
}
