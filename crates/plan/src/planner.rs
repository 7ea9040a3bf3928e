//! From metadata to a plan: epochs of rounds of groups, their tails by the fill policy, the
//! sequences in their final order.
//!
//! Costs, in addition to the input and the method's own: 8 bytes a document of the pool and 8 a
//! keyword; 16 bytes a piece and 33 a sequence, 40 more a sequence while an epoch is put in order; 16
//! a group;
//! with `fill: related` 8 bytes a node of the hierarchy, 72 a tail and 16 a piece of it.

use longweave_common::random::{Key, draw};
use longweave_common::{Code, Ctx, DocId, Error, GroupId, KeywordId, Result};

use crate::arrange::{Open, RepeatPolicy, Sink, Unit, Why};
use crate::forest::PostOrder;
use crate::methods::{self, Group, Grouping, PlanContext, Run, round_key};
use crate::mix::Mix;
use crate::pool::{Duplicate, PartPool, by_draw};
use crate::stats::{PlanStats, gather};
use crate::{
    Fill, Forest, Groups, OrderedSequences, Part, Piece, PlanInput, PlanOptions, Rule, Shape,
};

/// All sequences of an output as pieces, in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Length, begin tokens, separators.
    pub shape: Shape,
    pub sequences: OrderedSequences,
    /// The groups that pieces name.
    pub groups: Groups,
    /// Documents of both parts that were left out as duplicates, in `DocId` order.
    pub duplicates: Vec<Duplicate>,
    /// Counts for the summary.
    pub stats: PlanStats,
}

/// The tail of a group, and the key that decides its place among the tails.
struct Tail {
    unit: Unit,
    keyword: KeywordId,
    key: Key,
}

/// Units by node. Costs 4 bytes a node, and 24 a unit and its pieces.
struct OwnUnits {
    /// The place of each node's; `u32::MAX` for none.
    place: Vec<u32>,
    units: Vec<Unit>,
}

impl OwnUnits {
    fn new(nodes: usize) -> OwnUnits {
        OwnUnits { place: vec![u32::MAX; nodes], units: Vec::new() }
    }

    /// A node's unit, empty before it was asked for.
    fn of(&mut self, node: u32) -> &mut Unit {
        let place = &mut self.place[node as usize];
        if *place == u32::MAX {
            *place = self.units.len() as u32;
            self.units.push(Unit::new());
        }
        &mut self.units[*place as usize]
    }

    /// Takes a node's unit, if it has one.
    fn take(&mut self, node: u32) -> Option<Unit> {
        let unit = self.units.get_mut(self.place[node as usize] as usize)?;
        Some(std::mem::take(unit))
    }
}

struct Planner<'a> {
    ctx: &'a Ctx,
    input: &'a PlanInput<'a>,
    options: &'a PlanOptions,
    sink: Sink<'a>,
    groups: Groups,
    forest: Option<(&'a Forest, PostOrder)>,
    used_tokens: u64,
    /// The sequence that an epoch left open.
    open: Open,
}

/// Plans the sequences of a part.
///
/// Errors: `OPTIONS_INVALID`; `FILE_CORRUPT` when columns disagree; of the main part `NO_KEYWORDS`
/// and `PLAN_EMPTY`; `PLAN_TOO_LARGE`; `CANCELLED`.
pub fn plan(ctx: &Ctx, input: &PlanInput<'_>, options: &PlanOptions, part: Part) -> Result<Plan> {
    options.check()?;
    input.check()?;
    ctx.pool.install(|| plan_inside(ctx, input, options, part))
}

fn plan_inside(
    ctx: &Ctx,
    input: &PlanInput<'_>,
    options: &PlanOptions,
    part: Part,
) -> Result<Plan> {
    let shape = Shape::of(options);
    let PartPool { documents: pool, excluded, duplicates } = PartPool::of(input, options, part)?;
    if part == Part::Main && pool.is_empty() && excluded.without_keyword > 0 {
        let message = format!(
            "none of {} documents has a keyword, so a keyworded pool is empty; check `minScore`, \
             the stop list and the queries, or set `pool: all`",
            excluded.without_keyword
        );
        return Err(Error::new(Code::NoKeywords, message));
    }
    if let Some(doc) =
        pool.iter().find(|d| shape.virtual_len(input.lens[d.index()]) > i32::MAX as u64)
    {
        return Err(Error::new(
            Code::PlanTooLarge,
            format!("document {doc} has more than 2³¹−1 tokens; divide it, or give `maxTokens`"),
        ));
    }
    let pool_tokens = pool.iter().map(|d| u64::from(input.lens[d.index()])).sum();
    let mut stats = PlanStats {
        documents: input.lens.len() as u64,
        pool_documents: pool.len() as u64,
        excluded,
        ..PlanStats::default()
    };
    stats.tokens.pool = pool_tokens;
    let mut method = methods::method(PlanContext { ctx, input, options, shape }, &pool)?;
    let mix = Mix::of(input, options, &pool, part)?;
    let forest = match (options.policies.fill, input.forest) {
        (Fill::Related, Some(forest)) => Some((forest, PostOrder::new(forest)?)),
        _ => None,
    };
    let sink = Sink::new(options, input.lens);
    let mut planner = Planner {
        ctx,
        input,
        options,
        sink,
        groups: Groups::default(),
        forest,
        used_tokens: 0,
        open: Open::default(),
    };
    let wanted = options.policies.tokens.map(|tokens| tokens.div_ceil(u64::from(shape.length)));
    loop {
        let open = planner.open.len;
        let mixed =
            mix.as_ref().map(|mix| mix.epoch(input, options.policies.seed, &pool, stats.epochs));
        planner.epoch(&mut *method, stats.epochs, mixed.as_deref().unwrap_or(&pool))?;
        stats.epochs += 1;
        ctx.cancel.check()?;
        if mix.is_none() {
            planner.end();
        }
        let made = planner.sink.sequences.unordered();
        let nothing_more = made.is_empty() && (mix.is_none() || planner.open.len <= open);
        let done = wanted.is_none_or(|wanted| made.end >= wanted) || nothing_more;
        if done {
            planner.end();
        }
        planner.shuffle(stats.epochs - 1);
        ctx.cancel.check()?;
        if done {
            break;
        }
    }
    let mut all = std::mem::take(&mut planner.sink.sequences);
    if let Some(wanted) = wanted {
        stats.sequences_missing = wanted.saturating_sub(all.len() as u64);
        let keep = (wanted as usize).min(all.len());
        let dropped = (keep..all.len()).flat_map(|i| all.get(i).pieces);
        planner.sink.dropped.budget = planner.sink.own(dropped);
        all.truncate(keep);
    }
    if all.is_empty() && part == Part::Main {
        return Err(empty(&stats, input, options, shape));
    }
    stats.tokens.used = planner.used_tokens;
    stats.tokens.dropped = planner.sink.dropped.clone();
    stats.groups = planner.groups.len() as u64;
    method.report(&mut stats);
    gather(&mut stats, input, &pool, shape, &all, |doc| method.is_short(doc));
    for (number, source) in stats.sources.iter_mut().enumerate() {
        source.rate = 1.0;
        if let Some((share, rate)) = mix.as_ref().map(|mix| mix.of_source(number)) {
            (source.wanted, source.rate) = (Some(share), rate);
        }
    }
    Ok(Plan { shape, sequences: all, groups: planner.groups, duplicates, stats })
}

/// Why a plan has no sequence: the pool is too small, or its groups are.
fn empty(stats: &PlanStats, input: &PlanInput<'_>, options: &PlanOptions, shape: Shape) -> Error {
    let (documents, tokens, length) = (stats.pool_documents, stats.tokens.pool, shape.length);
    let pool = format!("{documents} documents with {tokens} tokens");
    let message = if tokens < u64::from(length) {
        format!(
            "the pool of {pool} does not fill one sequence of {length} tokens; give more \
             documents, a smaller `length`, or `incomplete: pad`"
        )
    } else {
        let alone = if input.topics.is_some_and(|topics| topics.documents() == 0) {
            ": no document has a word of a topic that fewer than half of the documents have"
        } else if input.neighbours.is_some_and(|neighbours| !neighbours.any()) {
            ": no document has a neighbour, because none has a vector (`vectors: tfidf` needs words)"
        } else {
            ""
        };
        let fill = match options.policies.fill {
            Fill::Drop => "`fill: next`, ",
            _ => "",
        };
        format!(
            "no group of the pool of {pool} fills one sequence of {length} tokens{alone}; set \
             {fill}a smaller `length`, or `incomplete: pad`"
        )
    };
    Error::new(Code::PlanEmpty, message).with("tokens", tokens).with("length", length)
}

impl Planner<'_> {
    fn epoch(&mut self, method: &mut dyn Grouping, epoch: u32, pool: &[DocId]) -> Result<()> {
        let rounds = method.begin(epoch, pool)?;
        let repeats = match (method.repeats(), method.by_range()) {
            (false, true) if self.input.weights.is_some() => RepeatPolicy::Tokens,
            (false, _) => RepeatPolicy::Carried,
            (true, false) => RepeatPolicy::Documents,
            (true, true) => RepeatPolicy::Tokens,
        };
        let mut open = std::mem::take(&mut self.open);
        for round in 0..rounds {
            (self.sink.epoch, self.sink.round) = (epoch, round);
            let mut tails = Vec::new();
            method.round(epoch, round, &mut |group| {
                tails.extend(self.arrange_group(group)?);
                Ok(())
            })?;
            open = self.fill(tails, open, repeats, round_key(epoch, round))?;
        }
        self.open = open;
        Ok(())
    }

    /// Ends the open sequence.
    fn end(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.sink.end(&open);
    }

    /// Arranges a group alone. Returns its leftover.
    fn arrange_group(&mut self, group: Group) -> Result<Option<Tail>> {
        let Some(first) = group.runs.first() else { return Ok(None) };
        self.ctx.cancel.check()?;
        let id = GroupId::from_index(self.groups.len()).ok_or_else(|| {
            Error::new(
                Code::PlanTooLarge,
                "a plan can hold 2³²−1 groups; ask for fewer `tokens`, or divide the corpus",
            )
        })?;
        self.groups.keywords.push(group.keyword);
        self.groups.anchors.push(group.anchor);
        self.groups.epochs.push(self.sink.epoch);
        self.groups.rounds.push(self.sink.round);
        let key = if group.keyword.is_none() {
            self.input.key(first.doc)
        } else {
            self.input.group_key(group.keyword)
        };
        let piece = |run: &Run| Piece { doc: run.doc, start: run.start, len: run.len, group: id };
        self.used_tokens += group.runs.iter().map(|run| self.sink.own(&[piece(run)])).sum::<u64>();
        let units = group.runs.iter().map(|run| vec![piece(run)]);
        let open = self.sink.arrange(
            units,
            Open::default(),
            RepeatPolicy::Nothing,
            Why::rule(Rule::Group),
        );
        Ok((!open.pieces.is_empty()).then_some(Tail {
            unit: open.pieces,
            keyword: group.keyword,
            key,
        }))
    }

    /// Treats the tails of a round. Takes the open sequence of the round before and returns the one
    /// for the next round.
    fn fill(
        &mut self,
        tails: Vec<Tail>,
        open: Open,
        repeats: RepeatPolicy,
        round_key: u64,
    ) -> Result<Open> {
        match self.options.policies.fill {
            Fill::Drop => {
                for tail in &tails {
                    self.sink.dropped.fill += self.sink.own(&tail.unit);
                }
                Ok(open)
            }
            Fill::Pad => {
                for tail in &tails {
                    let len = tail.unit.iter().map(|p| p.len).sum();
                    self.sink.finish(&tail.unit, len, Why::rule(Rule::Pad));
                }
                Ok(open)
            }
            Fill::Next => Ok(self.next(tails, open, repeats, round_key)),
            Fill::Related => {
                let tails = self.related(tails, round_key)?;
                Ok(self.next(tails, open, repeats, round_key))
            }
        }
    }

    fn in_random_order(&self, tails: &mut [Tail], round_key: u64) {
        let seed = self.options.policies.seed;
        let draws = tails.iter().map(|tail| draw(seed, "tail", tail.key, round_key));
        let mut order: Vec<(u64, u32)> = draws.zip(0..).collect();
        order.sort_unstable_by(by_draw(|tail| tails[tail as usize].key));
        for i in 0..tails.len() {
            let mut from = order[i].1 as usize;
            // The one that was there has been swapped to where its place got its own from.
            while from < i {
                from = order[from].1 as usize;
            }
            tails.swap(i, from);
        }
    }

    fn next(
        &mut self,
        mut tails: Vec<Tail>,
        open: Open,
        repeats: RepeatPolicy,
        round_key: u64,
    ) -> Open {
        self.in_random_order(&mut tails, round_key);
        self.sink.arrange(tails.into_iter().map(|t| t.unit), open, repeats, Why::rule(Rule::Next))
    }

    /// Combines leftovers up the hierarchy. Returns those that filled no sequence at any phrase.
    fn related(&mut self, tails: Vec<Tail>, round_key: u64) -> Result<Vec<Tail>> {
        let Some((forest, post_order)) = self.forest.take() else { return Ok(tails) };
        let mut own = OwnUnits::new(forest.len());
        let mut left = Vec::new();
        for mut tail in tails {
            if tail.keyword.is_none() {
                left.push(tail);
                continue;
            }
            // Each document climbs from its own node, or the tail from that of its keyword.
            tail.unit.retain(|&piece| {
                let node = forest.node_of_document.get(piece.doc.index());
                let node = node.copied().filter(|&node| node != Forest::NONE);
                if let Some(node) = node {
                    own.of(node).push(piece);
                }
                node.is_none()
            });
            let node = forest.node_of_keyword[tail.keyword.index()];
            match node {
                _ if tail.unit.is_empty() => {}
                Forest::NONE => left.push(tail),
                node => *own.of(node) = tail.unit,
            }
        }
        // Leftovers that came up, with the node that they came to. Those of a node are the last when
        // it is visited: all below it came before, and nothing else after those.
        let mut below: Vec<(u32, Tail)> = Vec::new();
        for &node in &post_order.order {
            let first = below.iter().rposition(|&(parent, _)| parent != node).map_or(0, |i| i + 1);
            let mut children: Vec<Tail> = below.drain(first..).map(|(_, tail)| tail).collect();
            self.in_random_order(&mut children, round_key);
            let mut units: Vec<Unit> =
                own.take(node).into_iter().chain(children.into_iter().map(|t| t.unit)).collect();
            let unit = match units.len() {
                0 => continue,
                1 => units.swap_remove(0),
                _ => {
                    self.ctx.cancel.check()?;
                    self.sink
                        .arrange(
                            units,
                            Open::default(),
                            RepeatPolicy::Nothing,
                            Why { rule: Rule::Related, node: Some(node) },
                        )
                        .pieces
                }
            };
            if unit.is_empty() {
                continue;
            }
            let tail = Tail { unit, keyword: KeywordId::NONE, key: forest.key_of(node) };
            match forest.parent[node as usize] {
                Forest::NONE => left.push(tail),
                parent => below.push((parent, tail)),
            }
        }
        self.forest = Some((forest, post_order));
        Ok(left)
    }

    /// Puts the epoch's sequences in random order, after those of epochs before it.
    fn shuffle(&mut self, epoch: u32) {
        let (input, seed) = (self.input, self.options.policies.seed);
        self.sink.sequences.order_by(|sequence| {
            let first = sequence.pieces[0];
            let counter = (u64::from(epoch) << 56)
                .wrapping_add(u64::from(sequence.round) << 32)
                .wrapping_add(u64::from(first.start));
            let key = input.key(first.doc);
            (draw(seed, "sequence", key, counter), key)
        });
    }
}
