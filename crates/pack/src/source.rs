//! The input of packing: planned sequences, and where their tokens come from.

use longweave_common::{DocId, KeywordId, Result};
use longweave_plan::{NamedGroups, Sequences, Shape};
use longweave_tokens::TokenStore;

/// Where tokens come from.
pub trait TokenSource: Sync {
    /// Asks for tokens that are read soon: a source in memory brings them into the processor's
    /// caches, many at once.
    fn prefetch(&self, _doc: DocId, _start: u32, _len: u32) {}
    /// Reads the tokens of a document from `start` on that fill `out`.
    fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()>;
}

impl TokenSource for TokenStore {
    fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        TokenStore::read(self, doc, start, out)
    }
}

/// Where a piece's own tokens come from, as sequences are assembled.
pub(crate) trait OwnTokens: Sync {
    /// As [`TokenSource::prefetch`].
    fn prefetch(&self, _doc: DocId, _start: u32, _len: u32) {}
    /// Fills `out` with tokens of the piece at `place` among the source's pieces, which begin at
    /// token `start` of `doc`.
    fn read(&self, place: usize, doc: DocId, start: u32, out: &mut [u32]) -> Result<()>;
}

/// From the documents' own places.
pub(crate) struct Gather<'a>(pub(crate) &'a dyn TokenSource);

impl OwnTokens for Gather<'_> {
    fn prefetch(&self, doc: DocId, start: u32, len: u32) {
        self.0.prefetch(doc, start, len);
    }

    fn read(&self, _place: usize, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        self.0.read(doc, start, out)
    }
}

/// Everything that sequences are assembled from.
pub struct PackSource<'a> {
    /// Length, begin tokens, separators.
    pub shape: Shape,
    pub sequences: &'a Sequences,
    /// For each piece, the tokens of its whole document.
    pub lens: &'a [u32],
    /// The groups that pieces name.
    pub groups: &'a NamedGroups,
    /// The id of a document: of every piece, and of every anchor of their groups.
    pub id: &'a (dyn Fn(DocId) -> &'a str + Sync),
    /// The phrase of a keyword; `None` for [`KeywordId::NONE`].
    pub phrase: &'a (dyn Fn(KeywordId) -> Option<&'a str> + Sync),
    /// Ids of the separator.
    pub separator: &'a [u32],
    /// Ids of the marker at the end of each part of a document but the last.
    pub part_end: &'a [u32],
    /// Ids of the marker at the beginning of each part of a document but the first.
    pub part_begin: &'a [u32],
    /// The begin token.
    pub bos: Option<u32>,
    /// The padding token.
    pub pad: Option<u32>,
}
