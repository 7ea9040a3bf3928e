//! `interleave`: some documents of the pool, cut into parts that are laid in turn or in random
//! order (Skywork 2024, Untie the Knots 2024, the interleaved data set of OLMo-core).
//!
//! Costs 4 bytes a document of the pool, and 12 a part of one group.

use std::collections::HashMap;

use longweave_common::random::draw;
use longweave_common::{DocId, KeywordId, Result};

use super::context::{Group, Grouping, PlanContext, Run, Take};
use crate::{InterleaveOptions, PartOrder};

pub(crate) struct Interleave<'a> {
    context: PlanContext<'a>,
    options: &'a InterleaveOptions,
    pool: Vec<DocId>,
    used: u64,
}

impl<'a> Interleave<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &'a InterleaveOptions) -> Interleave<'a> {
        Interleave { context, options, pool: Vec::new(), used: 0 }
    }

    /// The parts of the document that a run is of, or has some of, in order.
    fn parts(&self, run: Run) -> Vec<Run> {
        let PlanContext { shape, input, .. } = self.context;
        let len = input.lens[run.doc.index()];
        let end = u64::from(run.start) + u64::from(run.len);
        let part = |i: u32| {
            let start = shape.part_begin(len, i).max(u64::from(run.start));
            let stop = shape.part_begin(len, i + 1).min(end);
            (start < stop).then(|| Run {
                doc: run.doc,
                start: start as u32,
                len: (stop - start) as u32,
            })
        };
        (shape.part_of(len, run.start)..shape.part_count(len)).map_while(part).collect()
    }

    /// The group of some runs of different documents.
    fn group(&self, (epoch, round): (u32, u32), runs: &[Run]) -> Group {
        let parts: Vec<Vec<Run>> = runs.iter().map(|&run| self.parts(run)).collect();
        let runs = match self.options.order {
            PartOrder::Turns => in_turns(&parts),
            PartOrder::Shuffle => self.shuffled((epoch, round), &parts),
            PartOrder::ShuffleInOrder => {
                let mut left: HashMap<DocId, std::slice::Iter<'_, Run>> =
                    parts.iter().map(|own| (own[0].doc, own.iter())).collect();
                let places = self.shuffled((epoch, round), &parts);
                let next = |place: &Run| left.get_mut(&place.doc).and_then(Iterator::next).copied();
                places.iter().filter_map(next).collect()
            }
        };
        Group { keyword: KeywordId::NONE, anchor: DocId::NONE, runs }
    }

    /// All parts in random order.
    fn shuffled(&self, (epoch, round): (u32, u32), parts: &[Vec<Run>]) -> Vec<Run> {
        let (input, seed) = (self.context.input, self.context.options.policies.seed);
        let mut all: Vec<Run> = parts.concat();
        all.sort_by_cached_key(|run| {
            let counter = (u64::from(epoch) << 56)
                .wrapping_add(u64::from(round) << 32)
                .wrapping_add(u64::from(run.start));
            let key = input.key(run.doc);
            (draw(seed, "part", key, counter), key, run.start)
        });
        all
    }
}

/// The first part of each, then the second of each that has one, and so on.
fn in_turns(parts: &[Vec<Run>]) -> Vec<Run> {
    let most = parts.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).flat_map(|i| parts.iter().filter_map(move |own| own.get(i).copied())).collect()
}

impl Grouping for Interleave<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        self.pool = pool.to_vec();
        Ok(self.context.one_round(&mut self.used))
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let docs = self.context.in_order(epoch, round, self.pool.clone());
        let whole = |&doc: &DocId| self.context.whole(doc);
        if let Some(documents) = self.options.documents {
            for some in docs.chunks(documents as usize) {
                let runs: Vec<Run> = some.iter().map(whole).collect();
                take(self.group((epoch, round), &runs))?;
            }
            return Ok(());
        }
        let capacity = self.context.shape.capacity();
        let (mut runs, mut room) = (Vec::new(), capacity);
        for mut rest in docs.iter().map(whole) {
            while rest.len > 0 {
                let len = rest.len.min(room);
                runs.push(Run { len, ..rest });
                (rest.start, rest.len, room) = (rest.start + len, rest.len - len, room - len);
                if room == 0 {
                    take(self.group((epoch, round), &runs))?;
                    (room, _) = (capacity, runs.clear());
                }
            }
        }
        take(self.group((epoch, round), &runs))
    }

    fn by_range(&self) -> bool {
        true
    }
}
