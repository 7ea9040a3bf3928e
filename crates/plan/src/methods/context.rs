//! The interface of a method, the input and options of all, and helpers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use longweave_common::{Code, Ctx, DocId, Error, KeywordId, Result};

use crate::pool::shuffle;
use crate::{NeighbourIds, NeighbourLists, PlanInput, PlanOptions, PlanStats, Shape};

/// A run of a document's virtual tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) doc: DocId,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// A group of a round: runs that belong together, in order. One without runs is passed over.
pub(crate) struct Group {
    /// The keyword, if the method has one.
    pub(crate) keyword: KeywordId,
    /// The anchor, whose neighbours the others are, if the method has one.
    pub(crate) anchor: DocId,
    pub(crate) runs: Vec<Run>,
}

impl Group {
    /// Virtual tokens of its runs.
    pub(super) fn len(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.len)).sum()
    }
}

/// Neighbours that are read at once, about: 16 MiB.
const AT_ONCE: usize = 1 << 22;

/// A document, and the lists of neighbours of it or of its chunks.
pub(super) struct Anchor<'a> {
    pub(super) doc: DocId,
    pub(super) lists: &'a NeighbourIds,
    /// The first of its lists.
    pub(super) first: usize,
}

impl Anchor<'_> {
    /// The neighbours of the document, or of a chunk of it, the nearest first.
    pub(super) fn neighbours(&self, chunk: usize) -> impl Iterator<Item = u32> + Clone + '_ {
        self.lists.of(self.first + chunk)
    }
}

/// Where groups go.
pub(crate) type Take<'t> = &'t mut (dyn FnMut(Group) -> Result<()> + Send);

/// A method. Epochs are requested in rising order, and so are the rounds of each.
pub(crate) trait Grouping {
    /// Begins an epoch over a pool, the same each time unless sources have weights: how many rounds
    /// it has.
    fn begin(&mut self, epoch: u32, pool: &[DocId]) -> Result<u32>;

    /// Hands out the groups of a round, in order.
    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()>;

    /// Whether a document can be in several groups of one round.
    fn repeats(&self) -> bool {
        false
    }

    /// Whether runs of one document can be in a sequence together as long as they share no token.
    fn by_range(&self) -> bool {
        false
    }

    /// Whether a document belongs to the short set.
    fn is_short(&self, _doc: DocId) -> bool {
        false
    }

    /// Adds what only the method knows.
    fn report(&self, _stats: &mut PlanStats) {}
}

/// The input and options that every method needs.
#[derive(Clone, Copy)]
pub(crate) struct PlanContext<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) input: &'a PlanInput<'a>,
    pub(crate) options: &'a PlanOptions,
    pub(crate) shape: Shape,
}

impl<'a> PlanContext<'a> {
    /// The rounds of an epoch that uses each document once: 1, or 0 once `used`, the sum over
    /// epochs, has come to `maxUses`.
    pub(super) fn one_round(&self, used: &mut u64) -> u32 {
        let mut uses = 1;
        limit(self.options.policies.max_uses.unwrap_or(u32::MAX), &mut uses, used);
        uses
    }

    /// Virtual tokens of a document of the pool.
    pub(super) fn len(&self, doc: DocId) -> u32 {
        self.shape.virtual_len(self.input.lens[doc.index()]) as u32
    }

    /// A document as one run.
    pub(super) fn whole(&self, doc: DocId) -> Run {
        Run { doc, start: 0, len: self.len(doc) }
    }

    /// Documents in the random order of a round.
    pub(super) fn in_order(&self, epoch: u32, round: u32, mut docs: Vec<DocId>) -> Vec<DocId> {
        shuffle(
            self.input,
            self.options.policies.seed,
            "order",
            round_key(epoch, round),
            &mut docs,
        );
        docs
    }

    /// A group of whole documents.
    pub(super) fn group(&self, keyword: KeywordId, docs: impl IntoIterator<Item = DocId>) -> Group {
        Group {
            keyword,
            anchor: DocId::NONE,
            runs: docs.into_iter().map(|doc| self.whole(doc)).collect(),
        }
    }

    /// Virtual tokens of its groups with which an epoch ends.
    pub(super) fn epoch_end(&self, pool: &[DocId]) -> u64 {
        match self.options.policies.tokens {
            Some(tokens) => tokens
                .div_ceil(u64::from(self.shape.length))
                .saturating_mul(u64::from(self.shape.capacity())),
            None => pool.iter().map(|&doc| u64::from(self.len(doc))).sum(),
        }
    }

    /// The lists of neighbours.
    pub(super) fn lists(&self) -> Result<&'a dyn NeighbourLists> {
        self.input.neighbours.ok_or_else(|| PlanContext::missing("lists of neighbours"))
    }

    /// Hands out the groups `around` anchors in random order, until they have as many virtual
    /// tokens as an epoch is to have. `rows` are those of an anchor's lists; the lists of some
    /// anchors are read while groups are made of those before them.
    pub(super) fn around_anchors(
        &self,
        pool: &[DocId],
        (epoch, round): (u32, u32),
        take: Take<'_>,
        rows: impl Fn(DocId) -> Range<u32> + Sync,
        mut around: impl FnMut(Anchor<'_>) -> Option<Group> + Send,
    ) -> Result<()> {
        let (lists, end) = (self.lists()?, self.epoch_end(pool));
        let anchors = self.in_order(epoch, round, pool.to_vec());
        let (reached, at_once) = (AtomicU64::new(0), AT_ONCE / lists.depth().max(1));
        let mut at = 0;
        let some = std::iter::from_fn(|| {
            let (start, mut of_some) = (at, 0);
            while at < anchors.len() && (at == start || of_some < at_once) {
                of_some += rows(anchors[at]).len();
                at += 1;
            }
            (start < at && reached.load(Relaxed) < end).then_some(start..at)
        });
        let read = |some: Range<usize>| {
            let rows: Vec<u32> = anchors[some.clone()].iter().flat_map(|&doc| rows(doc)).collect();
            Ok((some, lists.read(&rows)?))
        };
        let groups = |(some, lists): (Range<usize>, NeighbourIds)| {
            let mut list = 0;
            for &doc in &anchors[some] {
                let anchor = Anchor { doc, lists: &lists, first: list };
                list += rows(doc).len();
                if reached.load(Relaxed) >= end {
                    break;
                }
                if let Some(group) = around(anchor) {
                    reached.fetch_add(group.len(), Relaxed);
                    take(group)?;
                }
            }
            Ok(())
        };
        self.ctx.make_ahead(some, read, groups)
    }

    /// Which documents are in the pool.
    pub(super) fn members(&self, pool: &[DocId]) -> Vec<bool> {
        let mut members = vec![false; self.input.lens.len()];
        pool.iter().for_each(|doc| members[doc.index()] = true);
        members
    }

    pub(super) fn missing(what: &str) -> Error {
        Error::new(Code::Internal, format!("the method needs {what}"))
    }
}

/// The number that draws of a round are keyed by.
pub(crate) fn round_key(epoch: u32, round: u32) -> u64 {
    (u64::from(epoch) << 32) + u64::from(round)
}

/// Cuts uses so that their sums over epochs, in `used`, do not pass `most`; brings the sums up to
/// date.
pub(super) fn limit_uses(most: Option<u32>, uses: &mut [u32], used: &mut Vec<u64>) {
    let Some(most) = most else { return };
    used.resize(uses.len(), 0);
    uses.iter_mut().zip(used).for_each(|(uses, used)| limit(most, uses, used));
}

/// Cuts the uses of one thing so that their sum over epochs, in `used`, does not pass `most`.
pub(super) fn limit(most: u32, uses: &mut u32, used: &mut u64) {
    *uses = u64::from(*uses).min(u64::from(most).saturating_sub(*used)) as u32;
    *used += u64::from(*uses);
}

/// Uses of documents, counted only where they are bounded.
pub(super) struct DocumentUses {
    most: Option<u32>,
    counts: Vec<u32>,
}

impl DocumentUses {
    pub(super) fn new(context: &PlanContext<'_>) -> DocumentUses {
        let most = context.options.policies.max_uses;
        DocumentUses {
            most,
            counts: if most.is_some() { vec![0; context.input.lens.len()] } else { Vec::new() },
        }
    }

    /// Whether the document may be used once more.
    pub(super) fn left(&self, doc: DocId) -> bool {
        self.most.is_none_or(|most| self.counts[doc.index()] < most)
    }

    pub(super) fn add(&mut self, doc: DocId) {
        if self.most.is_some() {
            self.counts[doc.index()] += 1;
        }
    }
}
