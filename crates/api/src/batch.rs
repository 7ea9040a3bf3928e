//! Sequences on their way to a caller: token ids end to end, and the pieces of all sequences as
//! columns.

use longweave_formats::{PieceRow, SequenceBatch, SequenceRecord};

/// The length of a string that is absent.
pub const ABSENT: u32 = u32::MAX;

/// A run of sequences. Piece columns are equally long; sequence `i` has the pieces
/// `piece_offsets[i]..piece_offsets[i + 1]`. An output without full provenance has only ids, or
/// no pieces at all: then the other piece columns are empty.
#[derive(Debug, Default)]
pub struct Batch {
    /// Token ids, `sequences · length`.
    pub input_ids: Vec<u32>,
    /// Tokens of a sequence.
    pub length: u32,
    /// Tokens of each sequence before padding.
    pub token_counts: Vec<u32>,
    /// Index of each sequence's first piece, and the number of pieces.
    pub piece_offsets: Vec<u32>,
    /// First token of each piece in its sequence.
    pub starts: Vec<u32>,
    /// Tokens of each piece, its separator included.
    pub lengths: Vec<u32>,
    /// First token of each piece in its document.
    pub doc_offsets: Vec<u32>,
    /// The plan's number of the group that each piece belongs to.
    pub groups: Vec<u32>,
    /// The document of each piece.
    pub doc_ids: Strings,
    /// The reason of each piece, or none.
    pub reasons: Strings,
}

/// Strings end to end. A host with UTF-16 strings takes them apart without decoding each.
#[derive(Debug, Default)]
pub struct Strings {
    /// The strings, concatenated.
    pub text: String,
    /// UTF-16 code units of each; [`ABSENT`] for none.
    pub lengths: Vec<u32>,
}

impl Strings {
    /// Appends a string, or the absence of one.
    pub fn push(&mut self, value: Option<&str>) {
        let Some(value) = value else { return self.lengths.push(ABSENT) };
        let units = if value.is_ascii() { value.len() } else { value.encode_utf16().count() };
        self.text.push_str(value);
        self.lengths.push(units as u32);
    }
}

impl Batch {
    /// The sequences of a batch as it is packed.
    pub(crate) fn packed(from: &SequenceBatch<'_>) -> Batch {
        let pieces = from.pieces();
        let numbers = |of: fn(&PieceRow<'_>) -> u32| pieces.iter().map(of).collect();
        let mut batch = Batch {
            input_ids: from.input_ids().to_vec(),
            length: (from.input_ids().len() / from.len().max(1)) as u32,
            token_counts: from.n_tokens().to_vec(),
            piece_offsets: (0..=from.len()).map(|i| from.own().begin(i) as u32).collect(),
            starts: numbers(|p| p.start),
            lengths: numbers(|p| p.len),
            doc_offsets: numbers(|p| p.offset),
            groups: numbers(|p| p.group),
            ..Batch::default()
        };
        pieces.iter().for_each(|p| batch.doc_ids.push(Some(p.doc_id)));
        pieces.iter().for_each(|p| batch.reasons.push(p.reason));
        batch
    }

    /// The given sequences; `None` for none.
    pub(crate) fn of(records: Vec<SequenceRecord>) -> Option<Batch> {
        let length = records.first()?.input_ids.len() as u32;
        let mut batch = Batch { length, piece_offsets: vec![0], ..Batch::default() };
        batch.input_ids.reserve_exact(length as usize * records.len());
        for record in records {
            batch.input_ids.extend_from_slice(&record.input_ids);
            batch.token_counts.push(record.n_tokens);
            batch.starts.extend_from_slice(&record.doc_starts);
            batch.lengths.extend_from_slice(&record.doc_lens);
            batch.doc_offsets.extend_from_slice(&record.doc_offsets);
            batch.groups.extend_from_slice(&record.groups);
            record.doc_ids.iter().for_each(|id| batch.doc_ids.push(Some(id)));
            record.reasons.iter().for_each(|reason| batch.reasons.push(reason.as_deref()));
            batch.piece_offsets.push(batch.doc_ids.lengths.len() as u32);
        }
        Some(batch)
    }

    /// Number of sequences.
    pub fn sequences(&self) -> u32 {
        self.token_counts.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_count_utf16_units_and_keep_absence() {
        let mut strings = Strings::default();
        [Some("ab"), None, Some(""), Some("é𝄞")].into_iter().for_each(|value| strings.push(value));
        assert_eq!(strings.text, "abé𝄞");
        assert_eq!(strings.lengths, [2, ABSENT, 0, 3]);
    }

    #[test]
    fn pieces_of_sequences_are_found_by_offsets() {
        let record = |pieces: u32| SequenceRecord {
            input_ids: vec![7; 4],
            n_tokens: 4,
            doc_ids: (0..pieces).map(|i| format!("d{i}")).collect(),
            doc_starts: (0..pieces).collect(),
            doc_lens: vec![1; pieces as usize],
            doc_offsets: vec![0; pieces as usize],
            reasons: vec![None; pieces as usize],
            groups: vec![0; pieces as usize],
        };
        let records = vec![record(2), record(0), record(1)];
        let packed = Batch::packed(&SequenceBatch::of(&records));
        for batch in [packed, Batch::of(records).unwrap()] {
            assert_eq!((batch.sequences(), batch.length, batch.input_ids.len()), (3, 4, 12));
            assert_eq!(batch.piece_offsets, [0, 2, 2, 3]);
            assert_eq!(batch.starts, [0, 1, 0]);
            assert_eq!(batch.doc_ids.text, "d0d1d0");
        }
        assert!(Batch::of(Vec::new()).is_none());
    }
}
