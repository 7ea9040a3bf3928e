//! The learned score of a phrase, log-odds times 100,000: a sum over small regression trees,
//! learned by benches/queries/train.py. Whole numbers, the same on every machine.
//!
//! Trees are not walked. Each has a bit for each of its leaves, from the left; what a feature rules
//! out is the same for all values between two of its thresholds, so that one mask over all trees is
//! ready for each such range; the leaf that is reached is the lowest that no feature rules out
//! (QuickScorer, Lucchese et al. 2015).

use super::tree::{FEATURES, Node};
use super::weights::TREES;

/// Leaves of a tree at most.
const LEAVES: usize = 8;
/// A byte for each tree, with a bit for each leaf, eight trees in a number; some trees are of nothing.
type Mask = [u64; TREES.len().div_ceil(8)];

/// The trees, ready to score.
pub(super) struct Scorer {
    /// The features that rule something out.
    features: Vec<Feature>,
    /// Leaves that are not ruled out.
    masks: Vec<Mask>,
    /// Values of each tree's leaves, from the left.
    leaves: Vec<[i32; LEAVES]>,
}

struct Feature {
    number: u8,
    /// For each value, which of the masks.
    of: [u16; 256],
}

impl Scorer {
    pub(super) fn new() -> Scorer {
        let mut leaves = vec![[0; LEAVES]; size_of::<Mask>()];
        // Of each feature: a threshold, and what is ruled out above it.
        let mut ruled: Vec<Vec<(u8, usize, u8)>> = vec![Vec::new(); FEATURES];
        for (number, (tree, values)) in TREES.iter().zip(&mut leaves).enumerate() {
            let mut found = Vec::new();
            visit(tree, 0, &mut found, &mut |node, left| {
                ruled[usize::from(node.feature)].push((node.most, number, !left))
            });
            values[..found.len()].copy_from_slice(&found);
        }
        let (mut features, mut masks) = (Vec::new(), Vec::new());
        for (number, ruled) in (0..).zip(&mut ruled).filter(|(_, ruled)| !ruled.is_empty()) {
            ruled.sort_unstable();
            let (mut mask, mut rules) = ([u8::MAX; size_of::<Mask>()], ruled.iter().peekable());
            let (mut of, first) = ([0; 256], masks.len());
            for value in 0..=u8::MAX {
                let before = masks.len();
                while let Some(&(_, tree, left)) = rules.next_if(|&&(most, ..)| most < value) {
                    mask[tree] &= left;
                    masks.truncate(before);
                }
                if masks.len() == before.min(first) || masks.last() != Some(&mask) {
                    masks.push(mask);
                }
                of[usize::from(value)] = (masks.len() - 1) as u16;
            }
            features.push(Feature { number, of });
        }
        let eight = |mask: [u8; size_of::<Mask>()]| {
            std::array::from_fn(|i| u64::from_le_bytes(mask.as_chunks().0[i]))
        };
        Scorer { features, masks: masks.into_iter().map(eight).collect(), leaves }
    }

    /// How likely a question that a person asks has the phrase, or its last word: larger is likelier.
    pub(super) fn score(&self, features: &[u8; FEATURES]) -> i32 {
        let mut left = [u64::MAX; size_of::<Mask>() / 8];
        for Feature { number, of } in &self.features {
            let mask = &self.masks[usize::from(of[usize::from(features[usize::from(*number)])])];
            left.iter_mut().zip(mask).for_each(|(left, mask)| *left &= mask);
        }
        let mut score = 0i32;
        let (trees, _) = self.leaves.as_chunks::<8>();
        for (mut left, trees) in left.into_iter().zip(trees) {
            for values in trees {
                let leaf = left.trailing_zeros() as usize % LEAVES;
                score = score.wrapping_add(values[leaf]);
                left >>= 8;
            }
        }
        score
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
        let scorer = Scorer::new();
        assert_eq!(scorer.masks.len(), thresholds.len() + scorer.features.len());
    }

    proptest! {
        #[test]
        fn scores_are_those_of_walking_the_trees(
            features in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], FEATURES).prop_map(|f| <[u8; FEATURES]>::try_from(f).unwrap()),
        ) {
            prop_assert_eq!(Scorer::new().score(&features), walked(&features));
        }
    }
}
