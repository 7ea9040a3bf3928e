//! The one arranger: lays units (lists of pieces that belong together) into sequences of exactly the capacity. No method does this itself.

use std::collections::{BTreeSet, HashSet};

use longweave_common::DocId;

use crate::stats::DroppedTokens;
use crate::{LastFill, Overflow, Piece, Policies, Rule, Sequence, Sequences, Shape};

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

/// Where finished sequences go, and what was dropped on the way.
pub(crate) struct Sink<'a> {
    pub(crate) shape: Shape,
    pub(crate) overflow: Overflow,
    pub(crate) last_fill: LastFill,
    pub(crate) lens: &'a [u32],
    pub(crate) sequences: Sequences,
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
    pub(crate) fn new(policies: &Policies, lens: &'a [u32]) -> Sink<'a> {
        Sink {
            shape: Shape::of(policies),
            overflow: policies.overflow,
            last_fill: policies.last_fill,
            lens,
            sequences: Sequences::default(),
            dropped: DroppedTokens::default(),
            epoch: 0,
            round: 0,
        }
    }

    /// Own tokens of pieces.
    pub(crate) fn own(&self, pieces: &[Piece]) -> u64 {
        pieces.iter().map(|&p| u64::from(self.shape.parts(p, self.lens[p.doc.index()]).1)).sum()
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
        match self.last_fill {
            LastFill::Pad => self.finish(&open.pieces, open.len, Why::rule(Rule::Last)),
            LastFill::Drop => self.dropped.last_fill += self.own(&open.pieces),
        }
    }

    /// Lays `units` after what `open` holds; gives the sequence that is open at the end. `carried`: whether `open` comes from an
    /// earlier round, so that its documents can come again.
    pub(crate) fn arrange(&mut self, units: impl IntoIterator<Item = Unit>, open: Open, carried: bool, why: Why) -> Open {
        match self.overflow {
            Overflow::Whole => self.best_fit(units, open, why),
            Overflow::Split | Overflow::Truncate => self.lay_out(units, open, carried, why),
        }
    }

    fn lay_out(&mut self, units: impl IntoIterator<Item = Unit>, mut open: Open, carried: bool, why: Why) -> Open {
        // Documents that must not come again before the carried sequence is finished; within a round no document comes twice.
        let mut taken: HashSet<DocId> = if carried { open.pieces.iter().map(|p| p.doc).collect() } else { HashSet::new() };
        let mut put_off: Vec<Unit> = Vec::new();
        for unit in units {
            if !taken.is_empty() && unit.iter().any(|p| taken.contains(&p.doc)) {
                put_off.push(unit);
                continue;
            }
            let finished = self.lay(&unit, &mut open, why);
            if finished && !taken.is_empty() {
                taken.clear();
                for unit in put_off.drain(..) {
                    self.lay(&unit, &mut open, why);
                }
            }
        }
        if !put_off.is_empty() {
            self.end(&open);
            open = Open::default();
            for unit in put_off {
                self.lay(&unit, &mut open, why);
            }
        }
        open
    }

    /// Lays one unit down; whether a sequence was finished.
    fn lay(&mut self, unit: &[Piece], open: &mut Open, why: Why) -> bool {
        let capacity = self.shape.capacity();
        let mut finished = false;
        for &whole in unit {
            let mut rest = whole;
            while rest.len > 0 {
                let len = rest.len.min(capacity - open.len);
                open.push(Piece { len, ..rest });
                rest.start += len;
                rest.len -= len;
                if open.len == capacity {
                    self.finish(&open.pieces, capacity, why);
                    open.pieces.clear();
                    open.len = 0;
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

    fn best_fit(&mut self, units: impl IntoIterator<Item = Unit>, open: Open, why: Why) -> Open {
        let capacity = self.shape.capacity();
        let mut pieces: Vec<Piece> = Vec::new();
        for mut piece in units.into_iter().flatten() {
            while piece.len >= capacity {
                self.finish(&[Piece { len: capacity, ..piece }], capacity, why);
                piece.start += capacity;
                piece.len -= capacity;
            }
            if piece.len > 0 {
                pieces.push(piece);
            }
        }
        pieces.sort_unstable_by_key(|p| (std::cmp::Reverse(p.len), p.doc, p.start));
        let mut bins: Vec<Open> = Vec::new();
        let mut rooms: BTreeSet<(u32, usize)> = BTreeSet::new();
        let mut first: HashSet<DocId> = HashSet::new();
        if !open.pieces.is_empty() {
            first.extend(open.pieces.iter().map(|p| p.doc));
            rooms.insert((capacity - open.len, 0));
            bins.push(open);
        }
        for piece in pieces {
            let fits = |&&(_, bin): &&(u32, usize)| !(bin == 0 && first.contains(&piece.doc));
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
