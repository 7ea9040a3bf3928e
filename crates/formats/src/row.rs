//! A sequence with what its pieces are, in the words of the Parquet columns; and runs of sequences
//! as they are written.

use longweave_common::Offsets;
use serde::{Deserialize, Serialize};

/// A sequence to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceRow<'a> {
    /// Token ids, exactly `length`.
    pub input_ids: &'a [u32],
    /// Tokens before padding.
    pub n_tokens: u32,
    /// Its pieces, in order.
    pub pieces: &'a [PieceRow<'a>],
}

impl<'a> SequenceRow<'a> {
    /// Where documents end, for readers that divide a sequence among them: a begin token of the
    /// sequence belongs to the first, padding to the last.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u32> + use<'a> {
        let inner = self.pieces.iter().skip(1).map(|piece| piece.start);
        inner.chain([self.input_ids.len() as u32])
    }
}

/// A piece of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PieceRow<'a> {
    /// Its document.
    pub doc_id: &'a str,
    /// Where it begins in the sequence.
    pub start: u32,
    /// Its tokens, separator included.
    pub len: u32,
    /// Where it begins in its document.
    pub offset: u32,
    /// Why it is there: a keyword, or the id of the document it is a neighbour of.
    pub reason: Option<&'a str>,
    /// The plan's number of the group that brought it.
    pub group: u32,
}

/// Sequences of one length, end to end. Costs 4 bytes a token and 56 a piece, and no allocation
/// where it is filled again with as many.
#[derive(Clone, Debug, Default)]
pub struct SequenceBatch<'a> {
    length: usize,
    input_ids: Vec<u32>,
    n_tokens: Vec<u32>,
    /// The pieces of each sequence.
    own: Offsets,
    pieces: Vec<PieceRow<'a>>,
}

/// The place of a sequence in a batch. Its content is that of an earlier sequence.
pub struct SequencePlace<'b, 'a> {
    pub input_ids: &'b mut [u32],
    pub n_tokens: &'b mut u32,
    pub pieces: &'b mut [PieceRow<'a>],
}

impl<'a> SequenceBatch<'a> {
    /// Places for sequences of `length` tokens, to be filled in any order, one for each number of
    /// pieces.
    pub fn refill(
        &mut self,
        length: u32,
        pieces: impl Iterator<Item = usize>,
    ) -> Vec<SequencePlace<'_, 'a>> {
        self.length = length as usize;
        self.own.clear();
        let mut end = 0;
        for pieces in pieces {
            end += pieces;
            self.own.push(end);
        }
        self.input_ids.resize(self.length * self.own.len(), 0);
        self.n_tokens.resize(self.own.len(), 0);
        self.pieces.resize(end, PieceRow::default());
        let mut rest = self.pieces.as_mut_slice();
        let places = self.input_ids.chunks_exact_mut(self.length).zip(&mut self.n_tokens);
        places
            .enumerate()
            .map(|(i, (input_ids, n_tokens))| {
                let (pieces, after) =
                    std::mem::take(&mut rest).split_at_mut(self.own.range(i).len());
                rest = after;
                SequencePlace { input_ids, n_tokens, pieces }
            })
            .collect()
    }

    /// The given sequences, all of one length.
    pub fn of(records: &'a [SequenceRecord]) -> SequenceBatch<'a> {
        let mut batch = SequenceBatch::default();
        let length = records.first().map_or(1, |record| record.input_ids.len() as u32);
        let places = batch.refill(length, records.iter().map(|record| record.doc_ids.len()));
        for (place, record) in places.into_iter().zip(records) {
            place.input_ids.copy_from_slice(&record.input_ids);
            *place.n_tokens = record.n_tokens;
            for (i, piece) in place.pieces.iter_mut().enumerate() {
                *piece = PieceRow {
                    doc_id: &record.doc_ids[i],
                    start: record.doc_starts[i],
                    len: record.doc_lens[i],
                    offset: record.doc_offsets[i],
                    reason: record.reasons[i].as_deref(),
                    group: record.groups[i],
                };
            }
        }
        batch
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// The token ids of all sequences, end to end.
    pub fn input_ids(&self) -> &[u32] {
        &self.input_ids
    }

    /// Tokens of each sequence before padding.
    pub fn n_tokens(&self) -> &[u32] {
        &self.n_tokens
    }

    /// The pieces of all sequences, end to end.
    pub fn pieces(&self) -> &[PieceRow<'a>] {
        &self.pieces
    }

    /// The pieces of each sequence.
    pub fn own(&self) -> &Offsets {
        &self.own
    }

    /// All sequences in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = SequenceRow<'_>> {
        (0..self.len()).map(|i| SequenceRow {
            input_ids: &self.input_ids[i * self.length..(i + 1) * self.length],
            n_tokens: self.n_tokens[i],
            pieces: &self.pieces[self.own.range(i)],
        })
    }

    /// Copies of all sequences.
    pub fn records(&self) -> Vec<SequenceRecord> {
        let record = |row: SequenceRow<'_>| SequenceRecord {
            input_ids: row.input_ids.to_vec(),
            n_tokens: row.n_tokens,
            doc_ids: row.pieces.iter().map(|p| p.doc_id.to_owned()).collect(),
            doc_starts: row.pieces.iter().map(|p| p.start).collect(),
            doc_lens: row.pieces.iter().map(|p| p.len).collect(),
            doc_offsets: row.pieces.iter().map(|p| p.offset).collect(),
            reasons: row.pieces.iter().map(|p| p.reason.map(str::to_owned)).collect(),
            groups: row.pieces.iter().map(|p| p.group).collect(),
        };
        self.rows().map(record).collect()
    }
}

/// A sequence that was read or assembled. Lists that the output does not tell are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRecord {
    /// See [`SequenceRow`].
    pub input_ids: Vec<u32>,
    /// See [`SequenceRow`].
    pub n_tokens: u32,
    /// See [`PieceRow`]; so all lists that follow.
    #[serde(default)]
    pub doc_ids: Vec<String>,
    #[serde(default)]
    pub doc_starts: Vec<u32>,
    #[serde(default)]
    pub doc_lens: Vec<u32>,
    #[serde(default)]
    pub doc_offsets: Vec<u32>,
    #[serde(default)]
    pub reasons: Vec<Option<String>>,
    #[serde(default)]
    pub groups: Vec<u32>,
}
