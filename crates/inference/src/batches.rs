//! Batches of segments by length: a pure function of the lengths and the options, so that a resumed
//! task makes the same ones.
//!
//! A batch is what the decoder holds at once. Its rows are encoded in parts, each within a budget
//! of tokens with its padding counted: the encoder wants few long rows at a time, the decoder,
//! which reads all its weights at every step, as many as it can get.

use std::ops::Range;

/// How large batches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most tokens of an encoder's part, padding counted; a longer row is a part alone.
    pub batch_tokens: usize,
    /// Most rows of the decoder; a segment has as many as it gets queries.
    pub decode_rows: usize,
    pub rows_per_segment: usize,
}

/// Segments that are decoded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Places of the segments in the list of lengths, longest first.
    pub segments: Vec<usize>,
    /// Tokens that every row is padded to.
    pub width: usize,
    /// Runs of `segments` that are encoded together.
    pub parts: Vec<Range<usize>>,
}

/// Rows that are encoded together and leave nothing to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Places in the list of lengths, longest first.
    pub(crate) rows: Vec<usize>,
    /// Tokens that every row is padded to: those of the longest.
    pub(crate) width: usize,
}

/// Groups of all rows within a budget of tokens, padding counted; a longer row is a group alone.
pub(crate) fn groups(lengths: &[u32], batch_tokens: usize) -> Vec<Group> {
    let order = longest_first(lengths);
    let mut groups = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&longest) = rest.first() {
        let width = lengths[longest] as usize;
        let (rows, after) = rest.split_at((batch_tokens / width.max(1)).clamp(1, rest.len()));
        groups.push(Group { rows: rows.to_vec(), width });
        rest = after;
    }
    groups
}

fn longest_first(lengths: &[u32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lengths[i]), i));
    order
}

/// Batches of all segments, longest first: what does not fit into a device's memory fails at once.
pub fn batches(lengths: &[u32], options: &BatchOptions) -> Vec<Batch> {
    let order = longest_first(lengths);
    let most = (options.decode_rows / options.rows_per_segment.max(1)).max(1);
    order
        .chunks(most)
        .map(|segments| {
            let width = lengths[segments[0]] as usize;
            let rows = (options.batch_tokens / width.max(1)).max(1);
            let parts = (0..segments.len())
                .step_by(rows)
                .map(|start| start..(start + rows).min(segments.len()))
                .collect();
            Batch { segments: segments.to_vec(), width, parts }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_is_in_one_part_of_one_batch_and_budgets_hold() {
        let lengths: Vec<u32> = (0..1_000u32).map(|i| i * 7_919 % 300 + 1).collect();
        for (batch_tokens, decode_rows, rows_per_segment) in
            [(1, 1, 1), (512, 64, 1), (4_096, 64, 3), (100_000, 7, 9)]
        {
            let made =
                batches(&lengths, &BatchOptions { batch_tokens, decode_rows, rows_per_segment });
            let mut seen = vec![0; lengths.len()];
            for batch in &made {
                assert!(
                    batch.segments.len() * rows_per_segment <= decode_rows
                        || batch.segments.len() == 1
                );
                assert!(batch.segments.iter().all(|&s| lengths[s] as usize <= batch.width));
                assert!(
                    batch
                        .parts
                        .iter()
                        .all(|p| p.len() * batch.width <= batch_tokens || p.len() == 1)
                );
                let covered: Vec<usize> = batch.parts.iter().cloned().flatten().collect();
                assert_eq!(covered, (0..batch.segments.len()).collect::<Vec<_>>());
                batch.segments.iter().for_each(|&s| seen[s] += 1);
            }
            assert!(seen.iter().all(|&n| n == 1));
            assert!(made.windows(2).all(|w| w[0].width >= w[1].width));
        }
        assert!(
            batches(&[], &BatchOptions { batch_tokens: 1, decode_rows: 1, rows_per_segment: 1 })
                .is_empty()
        );
    }

    #[test]
    fn a_group_is_as_wide_as_its_own_longest_row() {
        let made = groups(&[3, 90, 80, 2, 4], 100);
        assert_eq!(
            made.iter().map(|g| (g.rows.clone(), g.width)).collect::<Vec<_>>(),
            [(vec![1], 90), (vec![2], 80), (vec![4, 0, 3], 4)]
        );
        assert_eq!(groups(&[7, 7], 1).len(), 2);
        assert!(groups(&[], 100).is_empty());
    }
}
