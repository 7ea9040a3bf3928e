//! Columns for trainers in addition to the ids: lists of numbers, one list a sequence.

use std::iter::repeat_n;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int32Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::FieldRef;

use crate::row::SequenceRow;
use crate::{Column, SequenceBatch, WriterOptions};

/// The label that takes no part in the loss, as torch has it.
const NO_LABEL: i32 = -100;

/// A column of a part; `element` is the field of its lists' items.
pub(crate) fn list(
    column: Column,
    options: &WriterOptions,
    part: &SequenceBatch<'_>,
    element: &FieldRef,
) -> ListArray {
    let (mut numbers, mut weights) = (Vec::new(), Vec::new());
    let mut ends = Vec::with_capacity(part.len() + 1);
    ends.push(0);
    for row in part.rows() {
        if column == Column::LossWeights {
            append_weights(options, &row, &mut weights);
        } else {
            append(column, options.mask_first, &row, &mut numbers);
        }
        // A part has fewer numbers than 2³¹, as a sequence has fewer tokens.
        ends.push((numbers.len() + weights.len()) as i32);
    }
    let values: ArrayRef = match column {
        Column::LossWeights => Arc::new(Float32Array::from(weights)),
        _ => Arc::new(Int32Array::from(numbers)),
    };
    ListArray::new(Arc::clone(element), OffsetBuffer::new(ends.into()), values, None)
}

/// Tokens of each document of a sequence, in order; a begin token of the sequence belongs to the
/// first, padding to the last.
fn spans<'a>(row: &SequenceRow<'a>) -> impl Iterator<Item = u32> + use<'a> {
    let mut start = 0;
    row.ends().map(move |end| {
        let tokens = end - start;
        start = end;
        tokens
    })
}

/// Appends the numbers of a sequence.
fn append(column: Column, mask_first: bool, row: &SequenceRow<'_>, values: &mut Vec<i32>) {
    let own = &row.input_ids[..row.n_tokens as usize];
    let padding = row.input_ids.len() - own.len();
    let begin = values.len();
    let out_of_loss = match column {
        Column::SeqLengths => {
            values.extend(spans(row).map(|tokens| tokens as i32));
            return;
        }
        Column::PositionIds => {
            values.extend(spans(row).flat_map(|tokens| 0..tokens as i32));
            return;
        }
        Column::AttentionMask => {
            let numbers = (1..).zip(spans(row));
            values.extend(numbers.flat_map(|(number, tokens)| repeat_n(number, tokens as usize)));
            let end = values.len();
            values[end - padding..].fill(0);
            return;
        }
        Column::Labels => {
            values.extend(own.iter().map(|&id| id as i32));
            NO_LABEL
        }
        Column::LabelMask | Column::LossWeights => {
            values.extend(repeat_n(1, own.len()));
            0
        }
    };
    values.extend(repeat_n(out_of_loss, padding));
    if mask_first {
        firsts(row).for_each(|first| values[begin + first] = out_of_loss);
    }
}

/// Where documents begin in a sequence.
pub(crate) fn firsts<'a>(row: &SequenceRow<'a>) -> impl Iterator<Item = usize> + use<'a> {
    let mut start = 0;
    spans(row).map(move |tokens| {
        let first = start;
        start += tokens as usize;
        first
    })
}

/// Appends the weights of a sequence.
fn append_weights(options: &WriterOptions, row: &SequenceRow<'_>, values: &mut Vec<f32>) {
    let weight = |before: u32| {
        let bucket = (u64::from(before) + 1).ilog2() as usize;
        // A context longer than any that was counted is as rare as the longest.
        let weights = &options.weights;
        let thousandths = weights.get(bucket).or(weights.last());
        thousandths.map_or(1.0, |&thousandths| thousandths as f32 / 1000.0)
    };
    let begin = values.len();
    values.extend(spans(row).flat_map(|tokens| (0..tokens).map(weight)));
    values[begin + row.n_tokens as usize..].fill(0.0);
    if options.mask_first {
        firsts(row).for_each(|first| values[begin + first] = 0.0);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::{Compression, Format, MdsIndices, PieceRow, Provenance, SequenceRow};

    /// A begin token belongs to the first document, padding to the last, in all but labels and
    /// masks.
    #[test]
    fn columns_divide_a_sequence_among_its_documents() {
        let piece = |start, len| PieceRow { start, len, ..PieceRow::default() };
        let pieces = [piece(1, 2), piece(3, 2)];
        let row = SequenceRow { input_ids: &[9, 5, 6, 7, 8, 0, 0], n_tokens: 5, pieces: &pieces };
        let cases = [
            (Column::SeqLengths, vec![3, 4], vec![3, 4]),
            (Column::PositionIds, vec![0, 1, 2, 0, 1, 2, 3], vec![0, 1, 2, 0, 1, 2, 3]),
            (Column::AttentionMask, vec![1, 1, 1, 2, 2, 0, 0], vec![1, 1, 1, 2, 2, 0, 0]),
            (
                Column::Labels,
                vec![9, 5, 6, 7, 8, -100, -100],
                vec![-100, 5, 6, -100, 8, -100, -100],
            ),
            (Column::LabelMask, vec![1, 1, 1, 1, 1, 0, 0], vec![0, 1, 1, 0, 1, 0, 0]),
        ];
        assert_eq!(cases.each_ref().map(|case| case.0), Column::ALL[..5]);
        for (column, expected, without_first) in cases {
            for (mask_first, expected) in [(false, expected), (true, without_first)] {
                let mut values = Vec::new();
                append(column, mask_first, &row, &mut values);
                assert_eq!(values, expected, "{column:?}");
            }
        }
    }

    #[test]
    fn weights_follow_from_the_tokens_of_the_document_before() {
        let piece = |start, len| PieceRow { start, len, ..PieceRow::default() };
        let pieces = [piece(1, 4), piece(5, 2)];
        let row =
            SequenceRow { input_ids: &[9, 5, 6, 7, 8, 3, 4, 0], n_tokens: 7, pieces: &pieces };
        let options = |mask_first| WriterOptions {
            weights: vec![500, 1000, 2500],
            mask_first,
            ..options(Format::Parquet)
        };
        let mut values = Vec::new();
        append_weights(&options(false), &row, &mut values);
        assert_eq!(values, [0.5, 1.0, 1.0, 2.5, 2.5, 0.5, 1.0, 0.0]);
        values.clear();
        append_weights(&options(true), &row, &mut values);
        assert_eq!(values, [0.0, 1.0, 1.0, 2.5, 2.5, 0.0, 1.0, 0.0]);
    }

    fn options(format: Format) -> WriterOptions {
        WriterOptions {
            format,
            length: 8,
            max_id: 10,
            tokenizer: String::new(),
            method: String::new(),
            domain: String::new(),
            provenance: Provenance::None,
            compression: Compression::None,
            mds_indices: MdsIndices::Sequence,
            mds_shard_bytes: None,
            columns: Vec::new(),
            mask_first: false,
            weights: Vec::new(),
        }
    }

    #[test]
    fn a_sequence_without_pieces_is_one_document() {
        let mut batch = SequenceBatch::default();
        for place in batch.refill(2, [0, 0].into_iter()) {
            place.input_ids.copy_from_slice(&[4, 5]);
            *place.n_tokens = 2;
        }
        let element = Arc::new(Field::new("item", DataType::Int32, true));
        let lists = list(Column::PositionIds, &options(Format::Parquet), &batch, &element);
        assert_eq!(lists.value_offsets(), [0, 2, 4]);
        assert_eq!(lists.values().as_primitive::<Int32Type>().values(), &[0, 1, 0, 1]);
    }
}
