//! Sequences as pieces, in flat columns: the plan in memory, and the part of a plan file that a
//! reader holds. Lengths in tokens.

use std::ops::Range;

use longweave_common::{DocId, GroupId, KeywordId, Offsets};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Forest, Policies};

/// A run of one document's virtual tokens: its begin token (where there is one), its own tokens,
/// its separator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The document.
    pub doc: DocId,
    /// First virtual token, from 0.
    pub start: u32,
    /// Number of virtual tokens, at least 1.
    pub len: u32,
    /// The group that brought it.
    pub group: GroupId,
}

/// The rule that filled a sequence: `group` with one group, `next` with leftovers in random order,
/// `related` with leftovers of related keywords, `pad` with one leftover and padding, `last` with
/// what an epoch left incomplete and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// One group.
    Group,
    /// Leftovers in random order.
    Next,
    /// Leftovers whose keywords meet at a phrase of the hierarchy.
    Related,
    /// One leftover, padded.
    Pad,
    /// Incomplete at the end of an epoch, padded.
    Last,
}

impl Rule {
    /// All rules, in the order of their numbers in files.
    pub const ALL: [Rule; 5] = [Rule::Group, Rule::Next, Rule::Related, Rule::Pad, Rule::Last];

    /// The name in reports and provenance.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Group => "group",
            Rule::Next => "next",
            Rule::Related => "related",
            Rule::Pad => "pad",
            Rule::Last => "last",
        }
    }
}

/// The tokens of every sequence and document of a plan that are not the documents' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shape {
    /// Tokens of a sequence.
    pub length: u32,
    /// Begin tokens before each document.
    pub lead: u32,
    /// Tokens of the separator after each document.
    pub separator: u32,
    /// Whether each sequence starts with a begin token.
    pub sequence_bos: bool,
}

impl Shape {
    /// The shape that `policies` ask for.
    pub fn of(policies: &Policies) -> Shape {
        let Policies { length, lead, separator, sequence_bos, .. } = *policies;
        Shape { length, lead, separator, sequence_bos }
    }

    /// Virtual tokens that the pieces of a sequence can hold.
    pub fn capacity(&self) -> u32 {
        self.length - u32::from(self.sequence_bos)
    }

    /// Virtual tokens of a document of `len` tokens.
    pub fn virtual_len(&self, len: u32) -> u64 {
        u64::from(self.lead) + u64::from(len) + u64::from(self.separator)
    }

    /// The parts of a piece of a document of `len` tokens: (begin tokens, the document's own, the
    /// separator's).
    pub fn parts(&self, piece: Piece, len: u32) -> (u32, u32, u32) {
        let (start, end) = (u64::from(piece.start), u64::from(piece.start) + u64::from(piece.len));
        let (own, after) = (u64::from(self.lead), u64::from(self.lead) + u64::from(len));
        let overlap = |a: u64, b: u64| end.min(b).saturating_sub(start.max(a)) as u32;
        (overlap(0, own), overlap(own, after), overlap(after, u64::MAX))
    }
}

/// Sequences in flat columns: 25 bytes a sequence and 16 a piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    pub(crate) first: u64,
    /// The pieces of each sequence.
    pub(crate) own: Offsets,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) nodes: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) epochs: Vec<u32>,
    pub(crate) rounds: Vec<u32>,
}

/// One sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// Its number in the plan, from 0.
    pub number: u64,
    /// Its pieces, in order; never empty.
    pub pieces: &'a [Piece],
    /// The rule that put them together.
    pub rule: Rule,
    /// The node of the hierarchy where they met (rule `related`).
    pub node: Option<u32>,
    /// Tokens before padding: the pieces' and the sequence's begin token.
    pub n_tokens: u32,
    /// The epoch it was planned in, from 0.
    pub epoch: u32,
    /// The round of that epoch it was finished in, from 0.
    pub round: u32,
}

impl Sequences {
    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// The number in the plan of the first one.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// All pieces, sequence after sequence.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Places in [`Sequences::pieces`] of the pieces of the `i`-th sequence; panics beyond the end,
    /// as a slice does.
    pub fn range(&self, i: usize) -> Range<usize> {
        self.own.range(i)
    }

    /// The `i`-th sequence; panics beyond the end, as a slice does.
    pub fn get(&self, i: usize) -> Sequence<'_> {
        Sequence {
            number: self.first + i as u64,
            pieces: &self.pieces[self.range(i)],
            rule: self.rules[i],
            node: Some(self.nodes[i]).filter(|&node| node != Forest::NONE),
            n_tokens: self.tokens[i],
            epoch: self.epochs[i],
            round: self.rounds[i],
        }
    }

    /// All sequences in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sequence<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Place in `pieces` after the first `n` sequences.
    pub(crate) fn piece_end(&self, n: usize) -> usize {
        self.own.begin(n) as usize
    }

    /// Keeps the first `n` sequences.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.pieces.truncate(self.piece_end(n));
        self.own.truncate(n);
        self.rules.truncate(n);
        self.nodes.truncate(n);
        self.tokens.truncate(n);
        self.epochs.truncate(n);
        self.rounds.truncate(n);
    }

    pub(crate) fn push(&mut self, sequence: Sequence<'_>) {
        self.pieces.extend_from_slice(sequence.pieces);
        self.own.push(self.pieces.len());
        self.rules.push(sequence.rule);
        self.nodes.push(sequence.node.unwrap_or(Forest::NONE));
        self.tokens.push(sequence.n_tokens);
        self.epochs.push(sequence.epoch);
        self.rounds.push(sequence.round);
    }
}

/// The groups of a plan by `GroupId`, in flat columns: 16 bytes a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The keyword, [`KeywordId::NONE`] for a group without one.
    pub keywords: Vec<KeywordId>,
    /// The document that the group's others are neighbours of, [`DocId::NONE`] for a group without
    /// one.
    pub anchors: Vec<DocId>,
    /// The epoch, from 0.
    pub epochs: Vec<u32>,
    /// The round of the epoch, from 0.
    pub rounds: Vec<u32>,
}

impl Groups {
    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keywords.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keywords.is_empty()
    }

    /// The group; panics beyond the end, as a slice does.
    pub fn get(&self, group: GroupId) -> Group {
        let i = group.index();
        Group {
            keyword: self.keywords[i],
            anchor: self.anchors[i],
            epoch: self.epochs[i],
            round: self.rounds[i],
        }
    }
}

/// One group: see [`Groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub keyword: KeywordId,
    pub anchor: DocId,
    pub epoch: u32,
    pub round: u32,
}

/// The groups that some pieces name, by rising `GroupId`: 20 bytes a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedGroups(Vec<(GroupId, Group)>);

impl NamedGroups {
    /// The groups of `all` that `pieces` name.
    pub fn of(all: &Groups, pieces: &[Piece]) -> NamedGroups {
        let mut named: Vec<GroupId> = pieces.iter().map(|piece| piece.group).collect();
        named.sort_unstable();
        named.dedup();
        NamedGroups(named.into_iter().map(|group| (group, all.get(group))).collect())
    }

    /// Groups in any order; one that comes twice is the same.
    pub(crate) fn collect(groups: impl Iterator<Item = (GroupId, Group)>) -> NamedGroups {
        let mut groups: Vec<(GroupId, Group)> = groups.collect();
        groups.sort_unstable_by_key(|&(number, _)| number);
        groups.dedup_by_key(|&mut (number, _)| number);
        NamedGroups(groups)
    }

    /// A group that is named.
    pub fn get(&self, group: GroupId) -> Option<Group> {
        // Most parts of a plan name a run of numbers without a gap.
        let first = self.0.first()?.0;
        let place = group.index().checked_sub(first.index())?;
        let found = self.0.get(place).filter(|&&(number, _)| number == group);
        let found = found.or_else(|| {
            let place = self.0.binary_search_by_key(&group, |&(number, _)| number).ok()?;
            self.0.get(place)
        });
        found.map(|&(_, group)| group)
    }

    /// All of them with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, Group)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_told_apart_into_begin_own_and_separator() {
        let shape = Shape { length: 100, lead: 1, separator: 2, sequence_bos: true };
        assert_eq!((shape.capacity(), shape.virtual_len(5)), (99, 8));
        for (start, len, expected) in [
            (0, 8, (1, 5, 2)),
            (0, 1, (1, 0, 0)),
            (3, 2, (0, 2, 0)),
            (5, 3, (0, 1, 2)),
            (7, 1, (0, 0, 1)),
        ] {
            let piece = Piece { doc: DocId::new(0), start, len, group: GroupId::new(0) };
            assert_eq!(shape.parts(piece, 5), expected, "{start}+{len}");
        }
    }
}
