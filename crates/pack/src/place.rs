//! Placing: tokens in the order of the plan, split by split, are read band by band. A band is a run
//! of sequences whose tokens fit into the memory at hand; of each split it takes one run, which
//! begins at the end of the previous band's.

use std::ops::Range;

use longweave_common::{DocId, Result};
use longweave_plan::Piece;
use longweave_tokens::{Ids, ScatteredTokens};
use rayon::prelude::*;
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

/// The tokens of a split that a shard takes.
struct Run {
    /// The next token to read.
    next: u64,
    /// Of all that was read.
    hash: Xxh3Default,
    /// Tokens of the band, and their number.
    ids: Ids,
    tokens: usize,
}

/// The bands of a shard, read one after another.
pub(crate) struct Bands<'p, 's, 'a> {
    placement: Placement<'p>,
    source: &'s PackSource<'a>,
    /// Sequences of a band, about.
    sequences: usize,
    band: Band,
}

/// The tokens of a run of sequences.
struct Band {
    /// The sequences.
    range: Range<usize>,
    runs: Vec<Run>,
    /// Place of the first piece among the source's; of each piece, its split and where its tokens
    /// begin among the split's.
    first: usize,
    starts: Vec<(u32, u64)>,
}

impl OwnTokens for Band {
    fn read(&self, place: usize, _doc: DocId, _start: u32, out: &mut [u32]) -> Result<()> {
        let (split, start) = self.starts[place - self.first];
        self.runs[split as usize].ids.copy(start as usize, out);
        Ok(())
    }
}

impl<'p, 's, 'a> Bands<'p, 's, 'a> {
    /// Bands whose tokens take at most `bytes`, unless a single request needs more.
    pub(crate) fn new(placement: Placement<'p>, source: &'s PackSource<'a>, bytes: u64) -> Self {
        let run = |&next: &u64| Run {
            next,
            hash: Xxh3Default::new(),
            ids: Ids::U16(Vec::new()),
            tokens: 0,
        };
        let runs = placement.starts.iter().map(run).collect();
        let sequences = bytes / (u64::from(source.shape.length) * COST);
        let sequences = usize::try_from(sequences).unwrap_or(usize::MAX);
        let band = Band { range: 0..0, runs, first: 0, starts: Vec::new() };
        let sequences = sequences.clamp(1, source.sequences.len().max(1));
        Bands { placement, source, sequences, band }
    }

    /// Bytes that a band takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.sequences as u64 * u64::from(self.source.shape.length) * COST
    }

    /// The tokens of sequences `range`, which follow those that were asked for before.
    pub(crate) fn of(&mut self, range: Range<usize>) -> Result<&dyn OwnTokens> {
        if range.end > self.band.range.end {
            // The rest of a band is never left: requests are equally long, except the last.
            let whole = (self.sequences / range.len()).max(1) * range.len();
            let end = self.source.sequences.len().min(range.start + whole);
            self.read(range.start..end.max(range.end))?;
        }
        Ok(&self.band)
    }

    fn read(&mut self, range: Range<usize>) -> Result<()> {
        let (source, store) = (self.source, self.placement.store);
        let band = &mut self.band;
        let places =
            source.sequences.range(range.start).start..source.sequences.range(range.end - 1).end;
        let pieces = &source.sequences.pieces()[places.clone()];
        let split_and_own = |(&piece, &len): (&Piece, &u32)| {
            let own = source.shape.tokens(piece, len).own;
            (store.split_of(piece.doc) as u32, own.len() as u64)
        };
        let with_lens = pieces.par_iter().zip(&source.lens[places.clone()]);
        with_lens.map(split_and_own).collect_into_vec(&mut band.starts);
        band.runs.iter_mut().for_each(|run| run.tokens = 0);
        for (split, own) in &mut band.starts {
            let run = &mut band.runs[*split as usize];
            let start = run.tokens as u64;
            run.tokens += *own as usize;
            *own = start;
        }
        (band.range, band.first) = (range, places.start);
        band.runs.par_iter_mut().enumerate().try_for_each(|(split, run)| {
            run.ids.clear();
            if run.tokens > 0 {
                store.read(split, run.next, run.tokens, &mut run.ids, &mut run.hash)?;
                run.next += run.tokens as u64;
            }
            Ok(())
        })
    }

    /// Compares what was read with what was written.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub(crate) fn finish(self) -> Result<()> {
        let Placement { store, shard, starts } = self.placement;
        let read = self.band.runs.into_iter().zip(starts).enumerate();
        for (split, (run, _)) in read.filter(|(_, (run, start))| run.next > *start) {
            store.check(split, shard, run.hash.digest())?;
        }
        Ok(())
    }
}
