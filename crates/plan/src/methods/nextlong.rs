//! `nextlong`: a document cut into chunks, each followed by its nearest chunks of other documents
//! (Gao et al. 2025, arXiv 2501.12766).
//!
//! Costs 1 byte a document and 4 for its place, 1 byte a chunk with `reuse: run`, and the lists of
//! some anchors; chunks are the input's.

use std::collections::HashSet;
use std::ops::Range;

use longweave_common::{DocId, KeywordId, Result};

use super::context::{Anchor, DocumentUses, Group, Grouping, PlanContext, Run, Take};
use crate::{Chunks, NeighbourIds, NextlongOptions, Reuse};

/// Puts the nearest chunks of other documents after each chunk of an anchor.
pub(super) struct Interleaver<'a> {
    context: PlanContext<'a>,
    chunks: &'a Chunks,
    reuse: Reuse,
    members: Vec<bool>,
    /// Chunks that were neighbours in this epoch (`reuse: run`).
    taken: Vec<bool>,
}

impl<'a> Interleaver<'a> {
    pub(super) fn new(
        context: PlanContext<'a>,
        options: &NextlongOptions,
    ) -> Result<Interleaver<'a>> {
        let chunks = context.input.chunks.ok_or_else(|| PlanContext::missing("chunks"))?;
        let reuse = options.reuse;
        Ok(Interleaver { context, chunks, reuse, members: Vec::new(), taken: Vec::new() })
    }

    /// The chunks of a document.
    pub(super) fn chunks_of(&self, doc: DocId) -> Range<u32> {
        self.chunks.of(doc)
    }

    /// The lists of neighbours of documents' chunks.
    pub(super) fn read(&self, documents: &[DocId]) -> Result<NeighbourIds> {
        let rows: Vec<u32> = documents.iter().flat_map(|&doc| self.chunks_of(doc)).collect();
        self.context.lists()?.read(&rows)
    }

    /// Begins an epoch over a pool.
    pub(super) fn begin(&mut self, pool: &[DocId]) {
        self.members = self.context.members(pool);
        if self.reuse == Reuse::Run {
            self.taken = vec![false; self.chunks.len()];
        }
    }

    /// The runs around an anchor: alone if it is as long as a sequence, else with its chunks'
    /// neighbours, those of the documents in `first` before others.
    pub(super) fn around(
        &mut self,
        anchor: &Anchor<'_>,
        first: Option<&HashSet<DocId>>,
    ) -> Vec<Run> {
        let PlanContext { shape, input, .. } = self.context;
        let len = self.context.len(anchor.doc);
        if len >= shape.capacity() {
            return vec![self.context.whole(anchor.doc)];
        }
        let own = self.chunks.of(anchor.doc);
        let number = own.len() as u64;
        let room = u64::from(shape.capacity() - len);
        let (mut runs, mut held): (Vec<Run>, HashSet<u32>) = (Vec::new(), HashSet::new());
        let (mut at, mut of_anchor) = (0, 0);
        for (i, chunk) in own.clone().enumerate() {
            let end = if chunk + 1 == own.end {
                len
            } else {
                shape.lead + self.chunks.end(chunk, input.lens)
            };
            runs.push(Run { doc: anchor.doc, start: of_anchor, len: end - of_anchor });
            at += end - of_anchor;
            of_anchor = end;
            let target = of_anchor + (room * (i as u64 + 1) / number) as u32;
            let listed = || anchor.neighbours(i);
            let is_of = |first: &HashSet<DocId>, neighbour: u32| {
                first.contains(&self.chunks.document(neighbour))
            };
            let before = first
                .into_iter()
                .flat_map(|first| listed().filter(move |&neighbour| is_of(first, neighbour)));
            let others = listed().filter(|&n| !first.is_some_and(|first| is_of(first, n)));
            for neighbour in before.chain(others) {
                if at >= target {
                    break;
                }
                let doc = self.chunks.document(neighbour);
                let free = self.reuse == Reuse::Sequence || !self.taken[neighbour as usize];
                if self.members[doc.index()] && free && held.insert(neighbour) {
                    let start = self.chunks.start(neighbour);
                    let run = Run {
                        doc,
                        start: shape.lead + start,
                        len: (self.chunks.end(neighbour, input.lens) - start).min(target - at),
                    };
                    at += run.len;
                    runs.push(run);
                    if self.reuse == Reuse::Run {
                        self.taken[neighbour as usize] = true;
                    }
                }
            }
        }
        runs
    }
}

pub(crate) struct Nextlong<'a> {
    context: PlanContext<'a>,
    interleaver: Interleaver<'a>,
    pool: Vec<DocId>,
    uses: DocumentUses,
}

impl<'a> Nextlong<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &NextlongOptions) -> Result<Nextlong<'a>> {
        let interleaver = Interleaver::new(context, options)?;
        Ok(Nextlong { context, interleaver, pool: Vec::new(), uses: DocumentUses::new(&context) })
    }
}

impl Grouping for Nextlong<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        self.pool = pool.to_vec();
        self.interleaver.begin(pool);
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (uses, interleaver) = (&mut self.uses, &mut self.interleaver);
        let chunks = interleaver.chunks;
        let rows = |doc| chunks.of(doc);
        self.context.around_anchors(&self.pool, (epoch, round), take, rows, |anchor| {
            if !uses.left(anchor.doc) {
                return None;
            }
            uses.add(anchor.doc);
            let runs = interleaver.around(&anchor, None);
            Some(Group { keyword: KeywordId::NONE, anchor: anchor.doc, runs })
        })
    }

    fn repeats(&self) -> bool {
        true
    }

    fn by_range(&self) -> bool {
        true
    }
}
