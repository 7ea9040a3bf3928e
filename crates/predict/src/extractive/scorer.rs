//! The learned score of a phrase, log-odds times 100,000: a sum over small regression trees,
//! learned by benches/queries/train.py. Whole numbers, the same on every machine.
//!
//! Trees are not walked. Each has a bit for each of its leaves, from the left; what a feature rules
//! out is the same for all values between two of its thresholds, so that one mask over all trees is
//! ready for each such range; the leaf that is reached is the lowest that no feature rules out
//! (QuickScorer, Lucchese et al. 2015).

use std::sync::LazyLock;

use super::tree::{FEATURES, Node};
use super::weights::TREES;

/// How likely a question that a person asks has the phrase, or its last word: larger is likelier.
pub(super) fn score(features: &[u8; FEATURES]) -> i32 {
    SCORER.score(features)
}

/// Leaves of a tree at most.
const LEAVES: usize = 8;
/// A byte for each tree, with a bit for each leaf; a round number of them.
type Mask = [u8; TREES.len().next_multiple_of(16)];

struct Scorer {
    /// For each feature and value, which of `masks`.
    of: [[u16; 256]; FEATURES],
    /// Leaves that are not ruled out.
    masks: Vec<Mask>,
    /// Values of each tree's leaves, from the left.
    leaves: [[i32; LEAVES]; TREES.len()],
}

static SCORER: LazyLock<Scorer> = LazyLock::new(Scorer::new);

impl Scorer {
    fn new() -> Scorer {
        let mut leaves = [[0; LEAVES]; TREES.len()];
        // Of each feature: a threshold, and what is ruled out above it.
        let mut ruled: Vec<Vec<(u8, usize, u8)>> = vec![Vec::new(); FEATURES];
        for (number, (tree, values)) in TREES.iter().zip(&mut leaves).enumerate() {
            let mut found = Vec::new();
            visit(tree, 0, &mut found, &mut |node, left| {
                ruled[usize::from(node.feature)].push((node.most, number, !left))
            });
            values[..found.len()].copy_from_slice(&found);
        }
        let (mut of, mut masks) = ([[0; 256]; FEATURES], Vec::new());
        for (ruled, of) in ruled.iter_mut().zip(&mut of) {
            ruled.sort_unstable();
            let (mut mask, mut rules) = ([u8::MAX; size_of::<Mask>()], ruled.iter().peekable());
            masks.push(mask);
            for value in 0..=u8::MAX {
                let before = masks.len();
                while let Some(&(_, tree, left)) = rules.next_if(|&&(most, ..)| most < value) {
                    mask[tree] &= left;
                    masks.truncate(before);
                    masks.push(mask);
                }
                of[usize::from(value)] = (masks.len() - 1) as u16;
            }
        }
        Scorer { of, masks, leaves }
    }

    fn score(&self, features: &[u8; FEATURES]) -> i32 {
        let mut left = [u8::MAX; size_of::<Mask>()];
        for (of, &value) in self.of.iter().zip(features) {
            let mask = &self.masks[usize::from(of[usize::from(value)])];
            left.iter_mut().zip(mask).for_each(|(left, mask)| *left &= mask);
        }
        self.leaves
            .iter()
            .zip(&left)
            .map(|(values, left)| values[left.trailing_zeros() as usize])
            .sum()
    }
}

/// Appends the values of the leaves below `at` to `leaves`, from the left, and calls `rule` with
/// each node and the bits of the leaves to its left.
fn visit(tree: &[Node], at: u8, leaves: &mut Vec<i32>, rule: &mut impl FnMut(&Node, u8)) {
    let node = &tree[usize::from(at)];
    // The root is nobody's child.
    if node.left == 0 {
        leaves.push(node.value);
        return;
    }
    let first = leaves.len();
    visit(tree, node.left, leaves, rule);
    rule(node, (first..leaves.len()).fold(0, |bits, leaf| bits | 1 << leaf));
    visit(tree, node.right, leaves, rule);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tree by tree, node by node.
    fn walked(features: &[u8; FEATURES]) -> i32 {
        let value = |tree: &[Node]| {
            let mut at = &tree[0];
            while at.left != 0 {
                at = &tree[usize::from(if features[usize::from(at.feature)] <= at.most {
                    at.left
                } else {
                    at.right
                })];
            }
            at.value
        };
        TREES.iter().map(|tree| value(tree)).sum()
    }

    #[test]
    fn there_is_a_mask_for_each_range_between_thresholds() {
        let mut thresholds: Vec<(u8, u8)> =
            TREES.iter().flatten().filter(|n| n.left != 0).map(|n| (n.feature, n.most)).collect();
        thresholds.sort_unstable();
        thresholds.dedup();
        assert_eq!(SCORER.masks.len(), thresholds.len() + FEATURES);
    }

    proptest! {
        #[test]
        fn scores_are_those_of_walking_the_trees(
            features in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], FEATURES).prop_map(|f| <[u8; FEATURES]>::try_from(f).unwrap()),
        ) {
            prop_assert_eq!(score(&features), walked(&features));
        }
    }
}
