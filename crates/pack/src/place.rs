//! Placing: tokens in the order of the plan, split by split, are read band by band. A band is a run
//! of sequences whose tokens fit into the memory at hand; of each split it takes one run, which
//! begins at the end of the previous band's.

use std::ops::Range;

use longweave_common::{DocId, Result};
use longweave_tokens::{Ids, ScatteredTokens};
use xxhash_rust::xxh3::Xxh3Default;

use crate::source::{OwnTokens, PackSource};

/// Bytes that a token of a band may cost.
const COST: u64 = 4;

/// The place of an output shard's tokens.
pub struct Placement<'a> {
    /// The scattered tokens.
    pub store: &'a ScatteredTokens,
    /// The shard's number among all that the tokens were scattered for.
    pub shard: usize,
    /// For each split, where its tokens of the shard begin.
    pub starts: Vec<u64>,
}

/// Sequences whose tokens fit into `bytes`, at least one.
pub(crate) fn band_sequences(source: &PackSource<'_>, bytes: u64) -> usize {
    let sequence = u64::from(source.shape.length) * COST;
    usize::try_from(bytes / sequence).unwrap_or(usize::MAX).clamp(1, source.sequences.len().max(1))
}

/// Bytes of a band of this many sequences.
pub(crate) fn band_bytes(source: &PackSource<'_>, sequences: usize) -> u64 {
    sequences as u64 * u64::from(source.shape.length) * COST
}

impl<'a> Placement<'a> {
    pub(crate) fn reader(self) -> Reader<'a> {
        let sums =
            self.starts.iter().map(|_| Sum { hash: Xxh3Default::new(), tokens: 0 }).collect();
        Reader { placement: self, sums }
    }
}

/// The tokens that were read of a split.
struct Sum {
    hash: Xxh3Default,
    tokens: u64,
}

/// Reads band after band.
pub(crate) struct Reader<'a> {
    placement: Placement<'a>,
    sums: Vec<Sum>,
}

/// The tokens of a run of sequences.
pub(crate) struct Band {
    ids: Ids,
    /// Place of the first piece among the source's, and where each piece's tokens begin in `ids`.
    first: usize,
    starts: Vec<u64>,
}

impl OwnTokens for Band {
    fn append(
        &self,
        place: usize,
        _doc: DocId,
        _start: u32,
        len: u32,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let start = self.starts[place - self.first] as usize;
        self.ids.copy(start..start + len as usize, out);
        Ok(())
    }
}

impl Reader<'_> {
    /// The band of sequences `range`, which follow those of the band before.
    pub(crate) fn band(&mut self, source: &PackSource<'_>, range: Range<usize>) -> Result<Band> {
        let Placement { store, starts, .. } = &self.placement;
        let places =
            source.sequences.range(range.start).start..source.sequences.range(range.end - 1).end;
        let pieces = &source.sequences.pieces()[places.clone()];
        // First where each piece begins among its split's, then where the split's begin.
        let mut tokens = vec![0u64; starts.len()];
        let mut begins = Vec::with_capacity(pieces.len());
        for &piece in pieces {
            let (_, own, _) = source.shape.parts(piece, source.tokens.len(piece.doc));
            let split = store.split_of(piece.doc);
            begins.push(tokens[split]);
            tokens[split] += u64::from(own);
        }
        let mut ids = Ids::U16(Vec::new());
        let mut bases = Vec::with_capacity(tokens.len());
        for (split, (sum, &n)) in self.sums.iter_mut().zip(&tokens).enumerate() {
            bases.push(ids.len() as u64);
            if n > 0 {
                store.read(
                    split,
                    starts[split] + sum.tokens,
                    n as usize,
                    &mut ids,
                    &mut sum.hash,
                )?;
                sum.tokens += n;
            }
        }
        for (begin, piece) in begins.iter_mut().zip(pieces) {
            *begin += bases[store.split_of(piece.doc)];
        }
        Ok(Band { ids, first: places.start, starts: begins })
    }

    /// Compares what was read with what was written.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub(crate) fn finish(self) -> Result<()> {
        let Placement { store, shard, .. } = self.placement;
        for (split, sum) in self.sums.into_iter().enumerate().filter(|(_, sum)| sum.tokens > 0) {
            store.check(split, shard, sum.hash.digest())?;
        }
        Ok(())
    }
}
