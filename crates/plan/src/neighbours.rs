//! Lists of nearest neighbours, and chunks of documents, as planners use them: flat columns without
//! vectors or text.

use std::ops::Range;

use longweave_common::{Code, DocId, Error, Result};

/// Where a planner reads lists of nearest neighbours.
pub trait NeighbourLists: std::fmt::Debug + Sync {
    /// Number of lists: one for each document or chunk.
    fn lists(&self) -> usize;

    /// Places of a list.
    fn depth(&self) -> usize;

    /// Whether any of them has a neighbour.
    fn any(&self) -> bool;

    /// The lists of some rows, in their order, without similarities.
    ///
    /// Errors: those of reading.
    fn read(&self, rows: &[u32]) -> Result<NeighbourIds>;

    /// All lists with similarities, where they are held in memory, as iclm needs them.
    fn held(&self) -> Option<&Neighbours>;
}

/// Some lists of neighbours, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeighbourIds {
    k: usize,
    ids: Vec<u32>,
}

impl NeighbourIds {
    /// Lists of `k` places, concatenated; places without a neighbour hold `u32::MAX`.
    pub fn new(k: usize, ids: Vec<u32>) -> NeighbourIds {
        NeighbourIds { k, ids }
    }

    /// A list; panics beyond the end, as a slice does.
    pub fn of(&self, list: usize) -> impl Iterator<Item = u32> + Clone + use<'_> {
        let ids = &self.ids[list * self.k..(list + 1) * self.k];
        ids.iter().copied().take_while(|&id| id != u32::MAX)
    }
}

/// For each document or chunk its nearest, by falling similarity. Costs 8 bytes a place of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    lists: NeighbourIds,
    similarities: Vec<i32>,
}

impl Neighbours {
    /// Lists of `k` places, concatenated; places without a neighbour hold `u32::MAX`.
    ///
    /// Errors: `FILE_CORRUPT` for columns that are not of one length, or name a row beyond the
    /// last.
    pub fn new(k: usize, ids: Vec<u32>, similarities: Vec<i32>) -> Result<Neighbours> {
        let rows = ids.len() / k.max(1);
        if k == 0
            || ids.len() != rows * k
            || similarities.len() != ids.len()
            || ids.iter().any(|&id| id != u32::MAX && id as usize >= rows)
        {
            let message = format!(
                "{} neighbours and {} similarities do not divide into lists of {k}",
                ids.len(),
                similarities.len()
            );
            return Err(Error::new(
                Code::FileCorrupt,
                message + "; delete the neighbours stage's folder and run again",
            ));
        }
        Ok(Neighbours { lists: NeighbourIds::new(k, ids), similarities })
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.lists.lists()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.similarities.is_empty()
    }

    /// The list of a row: (other row, similarity); panics beyond the end, as a slice does.
    pub fn of(&self, row: u32) -> impl Iterator<Item = (u32, i32)> + Clone + use<'_> {
        let first = row as usize * self.lists.k;
        self.lists.of(row as usize).zip(self.similarities[first..].iter().copied())
    }
}

impl NeighbourLists for NeighbourIds {
    fn lists(&self) -> usize {
        self.ids.len() / self.k.max(1)
    }

    fn depth(&self) -> usize {
        self.k
    }

    fn any(&self) -> bool {
        self.ids.iter().any(|&id| id != u32::MAX)
    }

    fn read(&self, rows: &[u32]) -> Result<NeighbourIds> {
        let list = |&row: &u32| &self.ids[row as usize * self.k..(row as usize + 1) * self.k];
        Ok(NeighbourIds { k: self.k, ids: rows.iter().flat_map(list).copied().collect() })
    }

    fn held(&self) -> Option<&Neighbours> {
        None
    }
}

impl NeighbourLists for Neighbours {
    fn lists(&self) -> usize {
        self.lists.lists()
    }

    fn depth(&self) -> usize {
        self.lists.depth()
    }

    fn any(&self) -> bool {
        self.lists.any()
    }

    fn read(&self, rows: &[u32]) -> Result<NeighbourIds> {
        self.lists.read(rows)
    }

    fn held(&self) -> Option<&Neighbours> {
        Some(self)
    }
}

/// Chunks of documents, numbered through documents in order: runs of a document's own tokens, one
/// after the other, none empty. Costs 8 bytes a chunk and 4 a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    /// The first chunk of each document, and one more: their number.
    first: Vec<u32>,
    /// The first token of each chunk.
    starts: Vec<u32>,
    documents: Vec<u32>,
}

impl Chunks {
    /// From the number of chunks of each document, and the tokens of each chunk.
    ///
    /// Errors: `PLAN_TOO_LARGE` for 2³²−1 chunks or more; `FILE_CORRUPT` where the counts do not
    /// add up.
    pub fn new(counts: impl IntoIterator<Item = u32>, lens: &[u32]) -> Result<Chunks> {
        if lens.len() >= u32::MAX as usize {
            return Err(Error::new(
                Code::PlanTooLarge,
                "the corpus has 2³²−1 chunks or more; use larger ones (`chunkChars`), or divide it",
            ));
        }
        let mut chunks = Chunks {
            first: vec![0],
            starts: Vec::with_capacity(lens.len()),
            documents: Vec::with_capacity(lens.len()),
        };
        let mut rest = lens;
        for (document, count) in counts.into_iter().enumerate() {
            let corrupt = || {
                Error::new(
                    Code::FileCorrupt,
                    "the counts of chunks do not fit the chunks; delete the work directory and run \
                     again",
                )
            };
            let (own, after) = rest.split_at_checked(count as usize).ok_or_else(corrupt)?;
            let mut start = 0;
            for len in own {
                chunks.starts.push(start);
                chunks.documents.push(document as u32);
                start += len;
            }
            rest = after;
            chunks.first.push(chunks.starts.len() as u32);
        }
        Ok(chunks)
    }

    /// Number of chunks.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Number of documents.
    pub fn documents(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// The document of each chunk.
    pub fn owners(&self) -> &[u32] {
        &self.documents
    }

    /// The chunks of a document.
    pub fn of(&self, doc: DocId) -> Range<u32> {
        self.first[doc.index()]..self.first[doc.index() + 1]
    }

    pub(crate) fn document(&self, chunk: u32) -> DocId {
        DocId::new(self.documents[chunk as usize])
    }

    /// The first of a document's own tokens that is the chunk's.
    pub(crate) fn start(&self, chunk: u32) -> u32 {
        self.starts[chunk as usize]
    }

    /// The token after a chunk's last, given the documents' tokens.
    pub(crate) fn end(&self, chunk: u32, lens: &[u32]) -> u32 {
        let (next, doc) = (chunk as usize + 1, self.document(chunk));
        if next < self.first[doc.index() + 1] as usize {
            self.starts[next]
        } else {
            lens[doc.index()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_each_other_through_documents() {
        let chunks = Chunks::new([2, 0, 1], &[3, 4, 5]).unwrap();
        assert_eq!((chunks.len(), chunks.documents(), chunks.owners()), (3, 3, &[0, 0, 2][..]));
        assert_eq!(
            (chunks.of(DocId::new(0)), chunks.of(DocId::new(1)), chunks.of(DocId::new(2))),
            (0..2, 2..2, 2..3)
        );
        let lens = [7, 0, 5];
        let range = |c| (chunks.start(c), chunks.end(c, &lens));
        assert_eq!((range(0), range(1), range(2)), ((0, 3), (3, 7), (0, 5)));
        assert_eq!(Chunks::new([2], &[3]).unwrap_err().code(), Code::FileCorrupt);
    }

    #[test]
    fn lists_end_at_the_first_empty_place() {
        let lists =
            Neighbours::new(2, vec![1, u32::MAX, 0, 2, u32::MAX, u32::MAX], vec![9, 0, 9, 1, 0, 0])
                .unwrap();
        assert_eq!(lists.len(), 3);
        assert_eq!(
            [0, 1, 2].map(|row| lists.of(row).collect::<Vec<_>>()),
            [vec![(1, 9)], vec![(0, 9), (2, 1)], vec![]]
        );
        for (k, ids) in [(2, vec![1]), (1, vec![1]), (0, vec![])] {
            let similarities = vec![0; ids.len()];
            assert_eq!(
                Neighbours::new(k, ids, similarities).unwrap_err().code(),
                Code::FileCorrupt
            );
        }
    }
}
