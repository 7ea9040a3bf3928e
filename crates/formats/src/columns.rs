//! Columns for trainers in addition to the ids: lists of numbers, one list a sequence.

use std::iter::repeat_n;
use std::sync::Arc;

use arrow_array::{Int32Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::FieldRef;

use crate::row::SequenceRow;
use crate::{Column, SequenceBatch};

/// The label that takes no part in the loss, as torch has it.
const NO_LABEL: i32 = -100;

/// A column of a part; `element` is the field of its lists' items, int32.
pub(crate) fn list(column: Column, part: &SequenceBatch<'_>, element: &FieldRef) -> ListArray {
    let mut values = Vec::new();
    let mut ends = Vec::with_capacity(part.len() + 1);
    ends.push(0);
    for row in part.rows() {
        append(column, &row, &mut values);
        // A part has fewer numbers than 2³¹, as a sequence has fewer tokens.
        ends.push(values.len() as i32);
    }
    let values = Arc::new(Int32Array::from(values));
    ListArray::new(Arc::clone(element), OffsetBuffer::new(ends.into()), values, None)
}

/// Appends the numbers of a sequence.
fn append(column: Column, row: &SequenceRow<'_>, values: &mut Vec<i32>) {
    let own = &row.input_ids[..row.n_tokens as usize];
    let padding = row.input_ids.len() - own.len();
    let mut start = 0;
    let spans = row.ends().map(|end| {
        let tokens = end - start;
        start = end;
        tokens
    });
    match column {
        Column::SeqLengths => values.extend(spans.map(|tokens| tokens as i32)),
        Column::PositionIds => values.extend(spans.flat_map(|tokens| 0..tokens as i32)),
        Column::AttentionMask => {
            let numbers = (1..).zip(spans);
            values.extend(numbers.flat_map(|(number, tokens)| repeat_n(number, tokens as usize)));
            let end = values.len();
            values[end - padding..].fill(0);
        }
        Column::Labels => {
            values.extend(own.iter().map(|&id| id as i32));
            values.extend(repeat_n(NO_LABEL, padding));
        }
        Column::LabelMask => {
            values.extend(repeat_n(1, own.len()));
            values.extend(repeat_n(0, padding));
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::{PieceRow, SequenceRow};

    /// A begin token belongs to the first document, padding to the last, in all but labels and
    /// masks.
    #[test]
    fn columns_divide_a_sequence_among_its_documents() {
        let piece = |start, len| PieceRow { start, len, ..PieceRow::default() };
        let pieces = [piece(1, 2), piece(3, 2)];
        let row = SequenceRow { input_ids: &[9, 5, 6, 7, 8, 0, 0], n_tokens: 5, pieces: &pieces };
        let cases = [
            (Column::SeqLengths, vec![3, 4]),
            (Column::PositionIds, vec![0, 1, 2, 0, 1, 2, 3]),
            (Column::AttentionMask, vec![1, 1, 1, 2, 2, 0, 0]),
            (Column::Labels, vec![9, 5, 6, 7, 8, -100, -100]),
            (Column::LabelMask, vec![1, 1, 1, 1, 1, 0, 0]),
        ];
        assert_eq!(cases.each_ref().map(|case| case.0), Column::ALL);
        for (column, expected) in cases {
            let mut values = Vec::new();
            append(column, &row, &mut values);
            assert_eq!(values, expected, "{column:?}");
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
        let lists = list(Column::PositionIds, &batch, &element);
        assert_eq!(lists.value_offsets(), [0, 2, 4]);
        assert_eq!(lists.values().as_primitive::<Int32Type>().values(), &[0, 1, 0, 1]);
    }
}
