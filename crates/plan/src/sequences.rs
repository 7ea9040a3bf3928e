//! Sequences as pieces, in flat columns: the plan in memory, and the part of a plan file that a
//! reader holds. Lengths in tokens.

use std::ops::Range;

use longweave_common::{DocId, GroupId, KeywordId, Offsets};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Forest, Method, PlanOptions};

/// A run of one document's virtual tokens: its begin token (where there is one), its own tokens with
/// the markers of its parts (`interleave`), its separator's.
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
    /// Where documents are cut into parts; `None` for methods that have none.
    pub cuts: Option<Cuts>,
}

/// The cuts between the parts of a document, and the tokens of the markers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cuts {
    /// Parts of a document, of equal length.
    pub parts: u32,
    /// Tokens of a part, in place of `parts`.
    pub part_tokens: Option<u32>,
    /// Tokens of the marker at the end of each part but the last.
    pub end: u32,
    /// Tokens of the marker at the beginning of each part but the first.
    pub begin: u32,
}

impl Cuts {
    /// Parts of a document of `len` tokens.
    pub fn count(&self, len: u32) -> u32 {
        self.part_tokens.map_or(self.parts.min(len), |tokens| len.div_ceil(tokens.max(1))).max(1)
    }

    /// The document's own tokens before part `i`.
    fn own(&self, len: u32, i: u32) -> u32 {
        let before = match self.part_tokens {
            Some(tokens) => u64::from(i) * u64::from(tokens),
            None => u64::from(len) * u64::from(i) / u64::from(self.count(len)),
        };
        before.min(u64::from(len)) as u32
    }
}

/// The tokens of a piece by kind, in their order. A piece is in one part of its document; a document
/// that is not cut is one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceTokens {
    /// Whether the part is the first of its document.
    pub first: bool,
    /// Whether the part is the last of its document.
    pub last: bool,
    /// Of the begin token, or of the marker at the beginning of a part that is not the first.
    pub before: Range<u32>,
    /// Of the document's own tokens.
    pub own: Range<u32>,
    /// Of the separator, or of the marker at the end of a part that is not the last.
    pub after: Range<u32>,
}

impl PieceTokens {
    /// Tokens of the document that precede the piece; of a piece of its separator alone, with the
    /// separator's.
    pub fn offset(&self) -> u32 {
        self.own.start + if self.own.is_empty() { self.after.start } else { 0 }
    }
}

impl Shape {
    /// The shape that `options` ask for.
    pub fn of(options: &PlanOptions) -> Shape {
        let policies = &options.policies;
        let cuts = match &options.method {
            Method::Interleave(interleave) => Some(Cuts {
                parts: interleave.parts,
                part_tokens: interleave.part_tokens,
                end: policies.part_end,
                begin: policies.part_begin,
            }),
            _ => None,
        };
        Shape {
            length: policies.length,
            lead: policies.lead,
            separator: policies.separator,
            sequence_bos: policies.sequence_bos,
            cuts,
        }
    }

    /// Virtual tokens that the pieces of a sequence can hold.
    pub fn capacity(&self) -> u32 {
        self.length - u32::from(self.sequence_bos)
    }

    /// Virtual tokens of a document of `len` tokens.
    #[inline]
    pub fn virtual_len(&self, len: u32) -> u64 {
        let markers = match self.cuts {
            Some(Cuts { end: 0, begin: 0, .. }) | None => 0,
            Some(cuts) => {
                u64::from(cuts.count(len) - 1) * (u64::from(cuts.end) + u64::from(cuts.begin))
            }
        };
        u64::from(self.lead) + u64::from(len) + u64::from(self.separator) + markers
    }

    /// Parts of a document of `len` tokens.
    pub fn part_count(&self, len: u32) -> u32 {
        self.cuts.map_or(1, |cuts| cuts.count(len))
    }

    /// The virtual token that part `i` of a document of `len` tokens begins with; the document's
    /// end for the number of parts.
    pub fn part_begin(&self, len: u32, i: u32) -> u64 {
        match self.cuts {
            _ if i == 0 => 0,
            Some(cuts) if i < cuts.count(len) => {
                let markers =
                    u64::from(cuts.end) * u64::from(i) + u64::from(cuts.begin) * u64::from(i - 1);
                u64::from(self.lead) + u64::from(cuts.own(len, i)) + markers
            }
            _ => self.virtual_len(len),
        }
    }

    /// The part of a document of `len` tokens that virtual token `at` is in.
    pub(crate) fn part_of(&self, len: u32, at: u32) -> u32 {
        let (mut low, mut high) = (0, self.part_count(len));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.part_begin(len, middle) <= u64::from(at) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The tokens of a piece of a document of `len` tokens. One that reaches into the next part,
    /// which no plan has, gives fewer tokens than its length.
    #[inline]
    pub fn tokens(&self, piece: Piece, len: u32) -> PieceTokens {
        let start = u64::from(piece.start);
        let Some(cuts) = self.cuts else {
            let all = (true, true);
            return tokens_of(all, start, piece.len, self.lead, 0..len, self.separator);
        };
        let part = self.part_of(len, piece.start);
        let (first, last) = (part == 0, part + 1 == cuts.count(len));
        let before = if first { self.lead } else { cuts.begin };
        let after = if last { self.separator } else { cuts.end };
        let own = cuts.own(len, part)..cuts.own(len, part + 1);
        let start = start - self.part_begin(len, part);
        tokens_of((first, last), start, piece.len, before, own, after)
    }
}

/// The tokens of a piece of a part that has `before`, `own` and `after` of each kind.
#[inline]
fn tokens_of(
    (first, last): (bool, bool),
    start: u64,
    len: u32,
    before: u32,
    own: Range<u32>,
    after: u32,
) -> PieceTokens {
    let end = start + u64::from(len);
    let own_len = own.end - own.start;
    let clip = |from: u64, tokens: u32| {
        let place = |at: u64| at.saturating_sub(from).min(u64::from(tokens)) as u32;
        place(start)..place(end)
    };
    let taken = clip(u64::from(before), own_len);
    PieceTokens {
        first,
        last,
        before: clip(0, before),
        own: own.start + taken.start..own.start + taken.end,
        after: clip(u64::from(before) + u64::from(own_len), after),
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

/// The sequences of a plan, where they were made, and the order in which they are written: 33 bytes
/// a sequence and 16 a piece.
#[derive(Clone, Debug, Default)]
pub struct OrderedSequences {
    made: Sequences,
    order: Vec<u64>,
}

impl PartialEq for OrderedSequences {
    fn eq(&self, other: &OrderedSequences) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl OrderedSequences {
    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The `i`-th sequence; panics beyond the end, as a slice does.
    pub fn get(&self, i: usize) -> Sequence<'_> {
        Sequence { number: i as u64, ..self.made.get(self.order[i] as usize) }
    }

    /// All sequences in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sequence<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// All pieces, sequence after sequence.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.iter().flat_map(|sequence| sequence.pieces)
    }

    /// A copy of some sequences, one after the other; panics beyond the end, as a slice does.
    pub fn copy(&self, range: Range<usize>) -> Sequences {
        let mut copy = Sequences { first: range.start as u64, ..Sequences::default() };
        range.for_each(|i| copy.push(self.get(i)));
        copy
    }

    /// Adds a sequence that has no place in the order yet.
    pub(crate) fn push(&mut self, sequence: Sequence<'_>) {
        self.made.push(sequence);
    }

    /// Sequences that have no place in the order yet.
    pub(crate) fn unordered(&self) -> Range<u64> {
        self.len() as u64..self.made.len() as u64
    }

    /// Puts the sequences without a place at the end of the order, sorted by `key`.
    pub(crate) fn order_by<K: Ord>(&mut self, key: impl Fn(Sequence<'_>) -> K) {
        let start = self.len();
        self.order.extend(start as u64..self.made.len() as u64);
        self.order[start..].sort_by_cached_key(|&i| key(self.made.get(i as usize)));
    }

    /// Takes all sequences but the first `n` out of the order.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.order.truncate(n);
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
    pub fn of<'a>(all: &Groups, pieces: impl IntoIterator<Item = &'a Piece>) -> NamedGroups {
        let mut named: Vec<GroupId> = pieces.into_iter().map(|piece| piece.group).collect();
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

    const SHAPE: Shape =
        Shape { length: 100, lead: 1, separator: 2, sequence_bos: true, cuts: None };

    fn piece(start: u32, len: u32) -> Piece {
        Piece { doc: DocId::new(0), start, len, group: GroupId::new(0) }
    }

    #[test]
    fn a_piece_is_told_apart_into_begin_own_and_separator() {
        assert_eq!((SHAPE.capacity(), SHAPE.virtual_len(5)), (99, 8));
        for (start, len, before, own, after, offset) in [
            (0, 8, 0..1, 0..5, 0..2, 0),
            (0, 1, 0..1, 0..0, 0..0, 0),
            (3, 2, 1..1, 2..4, 0..0, 2),
            (5, 3, 1..1, 4..5, 0..2, 4),
            (7, 1, 1..1, 5..5, 1..2, 6),
        ] {
            let tokens = SHAPE.tokens(piece(start, len), 5);
            assert_eq!(tokens.offset(), offset, "{start}+{len}");
            let expected = PieceTokens { first: true, last: true, before, own, after };
            assert_eq!(tokens, expected, "{start}+{len}");
        }
    }

    /// The kind and number of each virtual token of a document.
    fn written_out(shape: Shape, len: u32) -> Vec<String> {
        let cuts = shape.cuts.unwrap();
        let named = |name: &'static str, n: u32| (0..n).map(move |i| format!("{name}{i}"));
        let mut all: Vec<String> = named("bos", shape.lead).collect();
        let parts = cuts.count(len);
        for part in 0..parts {
            if part > 0 {
                all.extend(named("begin", cuts.begin));
            }
            let own = cuts.own(len, part)..cuts.own(len, part + 1);
            all.extend(own.map(|i| format!("own{i}")));
            all.extend(if part + 1 < parts {
                named("end", cuts.end)
            } else {
                named("separator", shape.separator)
            });
        }
        all
    }

    #[test]
    fn a_document_with_markers_is_its_parts_one_after_the_other() {
        for (len, parts, part_tokens, end, begin) in
            [(10, 3, None, 2, 1), (10, 3, Some(4), 0, 2), (2, 5, None, 1, 0), (1, 1, None, 3, 3)]
        {
            let cuts = Some(Cuts { parts, part_tokens, end, begin });
            let shape = Shape { cuts, ..SHAPE };
            let all = written_out(shape, len);
            assert_eq!(shape.virtual_len(len), all.len() as u64);
            for part in 0..shape.part_count(len) {
                let range =
                    shape.part_begin(len, part) as u32..shape.part_begin(len, part + 1) as u32;
                for start in range.clone() {
                    for stop in start + 1..=range.end {
                        let found = shape.tokens(piece(start, stop - start), len);
                        let name = |inner: bool, edge: &str, other: &str, n: u32| {
                            format!("{}{n}", if inner { other } else { edge })
                        };
                        let before = found.before.map(|i| name(!found.first, "bos", "begin", i));
                        let own = found.own.map(|i| format!("own{i}"));
                        let after = found.after.map(|i| name(!found.last, "separator", "end", i));
                        let tokens: Vec<String> = before.chain(own).chain(after).collect();
                        assert_eq!(tokens, all[start as usize..stop as usize]);
                    }
                }
            }
        }
    }
}
