//! The one arranger: lays units (lists of pieces that belong together) into sequences of exactly
//! the capacity. No method does this itself.

use std::collections::{BTreeSet, HashMap, VecDeque};

use longweave_common::DocId;

use crate::stats::DroppedTokens;
use crate::{Incomplete, OrderedSequences, Overflow, Piece, PlanOptions, Rule, Sequence, Shape};

/// Pieces that belong together, in order.
pub(crate) type Unit = Vec<Piece>;

/// A sequence that is not full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) pieces: Vec<Piece>,
    /// Virtual tokens of the pieces.
    pub(crate) len: u32,
}

impl Open {
    fn push(&mut self, piece: Piece) {
        self.len += piece.len;
        self.pieces.push(piece);
    }
}

/// Units put off that are found not eligible before a pass over them ends: what bounds the work on
/// a document that is everywhere.
const PASS: usize = 64;

/// The repeats that a sequence must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepeatPolicy {
    /// Nothing can: units hold each document once, and nothing is carried.
    Nothing,
    /// Documents, and only those of a sequence carried over from an earlier round can: units hold
    /// each document once.
    Carried,
    Documents,
    Tokens,
}

impl RepeatPolicy {
    fn clash(self, a: Piece, b: Piece) -> bool {
        a.doc == b.doc
            && (self != RepeatPolicy::Tokens
                || (a.start < b.start + b.len && b.start < a.start + a.len))
    }
}

/// The content of the open sequence, as far as it matters.
struct Held {
    repeats: RepeatPolicy,
    pieces: HashMap<DocId, Vec<Piece>>,
}

impl Held {
    fn new(repeats: RepeatPolicy, open: &Open) -> Held {
        let repeats = if repeats == RepeatPolicy::Carried && open.pieces.is_empty() {
            RepeatPolicy::Nothing
        } else {
            repeats
        };
        let mut held = Held { repeats, pieces: HashMap::new() };
        if repeats != RepeatPolicy::Nothing {
            open.pieces.iter().for_each(|&piece| held.insert(piece));
        }
        held
    }

    fn insert(&mut self, piece: Piece) {
        self.pieces.entry(piece.doc).or_default().push(piece);
    }

    fn add(&mut self, piece: Piece) {
        if matches!(self.repeats, RepeatPolicy::Documents | RepeatPolicy::Tokens) {
            self.insert(piece);
        }
    }

    /// The sequence was finished.
    fn clear(&mut self) {
        self.pieces.clear();
        if self.repeats == RepeatPolicy::Carried {
            self.repeats = RepeatPolicy::Nothing;
        }
    }

    fn conflicts(&self, unit: &[Piece]) -> bool {
        let clash = |piece: &Piece| {
            self.pieces
                .get(&piece.doc)
                .is_some_and(|own| own.iter().any(|&other| self.repeats.clash(other, *piece)))
        };
        !self.pieces.is_empty() && unit.iter().any(clash)
    }
}

/// Where finished sequences go, and what was dropped on the way.
pub(crate) struct Sink<'a> {
    pub(crate) shape: Shape,
    pub(crate) overflow: Overflow,
    pub(crate) incomplete: Incomplete,
    pub(crate) lens: &'a [u32],
    pub(crate) sequences: OrderedSequences,
    pub(crate) dropped: DroppedTokens,
    pub(crate) epoch: u32,
    pub(crate) round: u32,
}

/// Why sequences are finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Why {
    pub(crate) rule: Rule,
    pub(crate) node: Option<u32>,
}

impl Why {
    pub(crate) const fn rule(rule: Rule) -> Why {
        Why { rule, node: None }
    }
}

impl<'a> Sink<'a> {
    pub(crate) fn new(options: &PlanOptions, lens: &'a [u32]) -> Sink<'a> {
        let policies = &options.policies;
        Sink {
            shape: Shape::of(options),
            overflow: policies.overflow,
            incomplete: policies.incomplete,
            lens,
            sequences: OrderedSequences::default(),
            dropped: DroppedTokens::default(),
            epoch: 0,
            round: 0,
        }
    }

    /// Own tokens of pieces.
    pub(crate) fn own<'p>(&self, pieces: impl IntoIterator<Item = &'p Piece>) -> u64 {
        pieces
            .into_iter()
            .map(|&p| self.shape.tokens(p, self.lens[p.doc.index()]).own.len() as u64)
            .sum()
    }

    /// Finishes a sequence, full or to be padded.
    pub(crate) fn finish(&mut self, pieces: &[Piece], len: u32, why: Why) {
        self.sequences.push(Sequence {
            number: 0,
            pieces,
            rule: why.rule,
            node: why.node,
            n_tokens: len + u32::from(self.shape.sequence_bos),
            epoch: self.epoch,
            round: self.round,
        });
    }

    /// Ends a sequence that cannot be filled.
    pub(crate) fn end(&mut self, open: &Open) {
        if open.pieces.is_empty() {
            return;
        }
        match self.incomplete {
            Incomplete::Pad => self.finish(&open.pieces, open.len, Why::rule(Rule::Last)),
            Incomplete::Drop => self.dropped.incomplete += self.own(&open.pieces),
        }
    }

    /// Lays `units` after what `open` holds; gives the sequence that is open at the end.
    pub(crate) fn arrange(
        &mut self,
        units: impl IntoIterator<Item = Unit>,
        open: Open,
        repeats: RepeatPolicy,
        why: Why,
    ) -> Open {
        match self.overflow {
            Overflow::Whole => self.best_fit(units, open, repeats, why),
            Overflow::Split | Overflow::Truncate => self.lay_out(units, open, repeats, why),
        }
    }

    fn lay_out(
        &mut self,
        units: impl IntoIterator<Item = Unit>,
        mut open: Open,
        repeats: RepeatPolicy,
        why: Why,
    ) -> Open {
        let mut held = Held::new(repeats, &open);
        let mut put_off: VecDeque<Unit> = VecDeque::new();
        for unit in units {
            if held.conflicts(&unit) {
                put_off.push_back(unit);
            } else if self.lay(&unit, &mut open, &mut held, why) {
                self.lay_put_off(&mut put_off, &mut open, &mut held, why);
            }
        }
        while !put_off.is_empty() {
            let before = put_off.len();
            self.lay_put_off(&mut put_off, &mut open, &mut held, why);
            if put_off.len() == before {
                self.end(&open);
                open = Open::default();
                held.clear();
            }
        }
        open
    }

    /// Goes through the units put off, once: lays down those that are eligible, until [`PASS`] were
    /// not.
    fn lay_put_off(
        &mut self,
        put_off: &mut VecDeque<Unit>,
        open: &mut Open,
        held: &mut Held,
        why: Why,
    ) {
        let mut still: Vec<Unit> = Vec::new();
        while still.len() < PASS
            && let Some(unit) = put_off.pop_front()
        {
            if held.conflicts(&unit) {
                still.push(unit);
            } else {
                self.lay(&unit, open, held, why);
            }
        }
        for unit in still.into_iter().rev() {
            put_off.push_front(unit);
        }
    }

    /// Places one unit. Returns whether it finished a sequence.
    fn lay(&mut self, unit: &[Piece], open: &mut Open, held: &mut Held, why: Why) -> bool {
        let capacity = self.shape.capacity();
        let mut finished = false;
        for &whole in unit {
            let mut rest = whole;
            while rest.len > 0 {
                let len = rest.len.min(capacity - open.len);
                open.push(Piece { len, ..rest });
                held.add(Piece { len, ..rest });
                rest.start += len;
                rest.len -= len;
                if open.len == capacity {
                    self.finish(&open.pieces, capacity, why);
                    open.pieces.clear();
                    open.len = 0;
                    held.clear();
                    finished = true;
                    if self.overflow == Overflow::Truncate && rest.len > 0 {
                        self.dropped.truncate += self.own(&[rest]);
                        break;
                    }
                }
            }
        }
        finished
    }

    fn best_fit(
        &mut self,
        units: impl IntoIterator<Item = Unit>,
        open: Open,
        repeats: RepeatPolicy,
        why: Why,
    ) -> Open {
        let capacity = self.shape.capacity();
        let given: Vec<Piece> = units.into_iter().flatten().collect();
        let len: u64 = given.iter().map(|piece| u64::from(piece.len)).sum();
        if repeats == RepeatPolicy::Nothing && why.rule == Rule::Group && len <= u64::from(capacity)
        {
            let group = Open { pieces: given, len: len as u32 };
            if group.len < capacity {
                return group;
            }
            self.finish(&group.pieces, group.len, why);
            return Open::default();
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for mut piece in given {
            while piece.len >= capacity {
                self.finish(&[Piece { len: capacity, ..piece }], capacity, why);
                piece.start += capacity;
                piece.len -= capacity;
            }
            if piece.len > 0 {
                pieces.push(piece);
            }
        }
        pieces.sort_by_key(|p| (std::cmp::Reverse(p.len), p.doc, p.start));
        let mut bins: Vec<Open> = Vec::new();
        let mut rooms: BTreeSet<(u32, usize)> = BTreeSet::new();
        let first = Held::new(repeats, &open);
        if !open.pieces.is_empty() {
            rooms.insert((capacity - open.len, 0));
            bins.push(open);
        }
        for piece in pieces {
            let holds = |bin: usize| match repeats {
                RepeatPolicy::Nothing => false,
                // Only the carried sequence can hold a document of this round.
                RepeatPolicy::Carried => bin == 0 && first.conflicts(&[piece]),
                RepeatPolicy::Documents | RepeatPolicy::Tokens => {
                    bins[bin].pieces.iter().any(|other| repeats.clash(*other, piece))
                }
            };
            let fits = |&&(_, bin): &&(u32, usize)| !holds(bin);
            let found = rooms.range((piece.len, 0)..).find(fits).copied();
            let bin = match found {
                Some(entry) => {
                    rooms.remove(&entry);
                    entry.1
                }
                None => {
                    bins.push(Open::default());
                    bins.len() - 1
                }
            };
            bins[bin].push(piece);
            if bins[bin].len < capacity {
                rooms.insert((capacity - bins[bin].len, bin));
            }
        }
        // The one with the most room stays open, the newest of equals.
        let left = rooms.last().map(|&(_, bin)| bin);
        for (number, bin) in bins.iter().enumerate() {
            if Some(number) != left {
                self.finish(&bin.pieces, bin.len, why);
            }
        }
        left.map(|bin| bins.swap_remove(bin)).unwrap_or_default()
    }
}
