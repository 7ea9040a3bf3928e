//! `nextlong`: a document cut into chunks, each followed by its nearest chunks of other documents
//! (Gao et al. 2025, arXiv 2501.12766).
//!
//! Costs 1 byte a document and 4 for its place, 1 bit and more a chunk with `reuse: run`; chunks
//! and lists are the input's.

use std::collections::HashSet;

use longweave_common::{DocId, KeywordId, Result};

use super::context::{DocumentUses, Group, Grouping, PlanContext, Run, Take};
use crate::{Chunks, Neighbours, NextlongOptions, Reuse};

pub(crate) struct Nextlong<'a> {
    context: PlanContext<'a>,
    neighbours: &'a Neighbours,
    chunks: &'a Chunks,
    reuse: Reuse,
    members: Vec<bool>,
    pool: Vec<DocId>,
    uses: DocumentUses,
    /// Chunks that were neighbours in this epoch (`reuse: run`).
    taken: Vec<bool>,
}

impl<'a> Nextlong<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &NextlongOptions) -> Result<Nextlong<'a>> {
        let neighbours =
            context.input.neighbours.ok_or_else(|| PlanContext::missing("lists of neighbours"))?;
        let chunks = context.input.chunks.ok_or_else(|| PlanContext::missing("chunks"))?;
        let uses = DocumentUses::new(&context);
        Ok(Nextlong {
            context,
            neighbours,
            chunks,
            reuse: options.reuse,
            members: Vec::new(),
            pool: Vec::new(),
            uses,
            taken: Vec::new(),
        })
    }

    /// An anchor that is shorter than a sequence, with its chunks' neighbours.
    fn around(&mut self, anchor: DocId) -> Group {
        let PlanContext { shape, input, .. } = self.context;
        let own = self.chunks.of(anchor);
        let (number, len) = (own.len() as u64, self.context.len(anchor));
        let room = u64::from(shape.capacity() - len);
        let (mut runs, mut held): (Vec<Run>, HashSet<u32>) = (Vec::new(), HashSet::new());
        let (mut at, mut of_anchor) = (0, 0);
        for (i, chunk) in own.clone().enumerate() {
            let end = if chunk + 1 == own.end {
                len
            } else {
                shape.lead + self.chunks.end(chunk, input.lens)
            };
            runs.push(Run { doc: anchor, start: of_anchor, len: end - of_anchor });
            at += end - of_anchor;
            of_anchor = end;
            let target = of_anchor + (room * (i as u64 + 1) / number) as u32;
            for (neighbour, _) in self.neighbours.of(chunk) {
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
        Group { keyword: KeywordId::NONE, anchor, runs }
    }
}

impl Grouping for Nextlong<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        (self.members, self.pool) = (self.context.members(pool), pool.to_vec());
        if self.reuse == Reuse::Run {
            self.taken = vec![false; self.chunks.len()];
        }
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (context, pool) = (self.context, std::mem::take(&mut self.pool));
        let done = context.around_anchors(&pool, (epoch, round), take, |anchor| {
            if !self.uses.left(anchor) {
                return None;
            }
            self.uses.add(anchor);
            let long = context.len(anchor) >= context.shape.capacity();
            Some(if long {
                Group { anchor, ..context.group(KeywordId::NONE, [anchor]) }
            } else {
                self.around(anchor)
            })
        });
        self.pool = pool;
        done
    }

    fn repeats(&self) -> bool {
        true
    }

    fn by_range(&self) -> bool {
        true
    }
}
