//! `interleave`: some documents of the pool, cut into parts that are laid in turn or in random
//! order (Skywork 2024, Untie the Knots 2024, the interleaved data set of OLMo-core).
//!
//! Costs 4 bytes a document of the pool, and 12 a part of one group.

use std::collections::HashMap;

use longweave_common::random::draw;
use longweave_common::{DocId, KeywordId, Result};

use super::context::{Group, Grouping, PlanContext, Run, Take, limit_uses};
use crate::{InterleaveOptions, PartOrder};

pub(crate) struct Interleave<'a> {
    context: PlanContext<'a>,
    options: &'a InterleaveOptions,
    pool: Vec<DocId>,
    used: Vec<u64>,
}

impl<'a> Interleave<'a> {
    pub(crate) fn new(context: PlanContext<'a>, options: &'a InterleaveOptions) -> Interleave<'a> {
        Interleave { context, options, pool: Vec::new(), used: Vec::new() }
    }

    /// The parts of a run, in order.
    fn parts(&self, run: Run) -> Vec<Run> {
        let end =
            |i: u32, parts: u32| (u64::from(run.len) * u64::from(i) / u64::from(parts)) as u32;
        let part =
            |start: u32, end: u32| Run { doc: run.doc, start: run.start + start, len: end - start };
        match self.options.part_tokens {
            Some(tokens) => (0..run.len.div_ceil(tokens))
                .map(|i| part(i * tokens, run.len.min((i + 1).saturating_mul(tokens))))
                .collect(),
            None => {
                let parts = self.options.parts.min(run.len);
                (0..parts).map(|i| part(end(i, parts), end(i + 1, parts))).collect()
            }
        }
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
        let mut uses = [1];
        limit_uses(self.context.options.policies.max_uses, &mut uses, &mut self.used);
        Ok(uses[0])
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
