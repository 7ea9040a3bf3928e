//! The learned score of a phrase, log-odds times 100,000: a sum over small regression trees, learned by benches/queries/train.py. Whole numbers, the same on every machine.

use super::phrases::FEATURES;
use super::weights::TREES;

/// A node of a tree: where `features[feature]` is at most `most` go to `left`, else to `right`. A leaf leads nowhere (0, the root) and has a value.
#[derive(Clone, Copy)]
pub(super) struct Node {
    feature: u8,
    most: u8,
    left: u8,
    right: u8,
    value: i32,
}

pub(super) const fn node(feature: u8, most: u8, left: u8, right: u8) -> Node {
    Node { feature, most, left, right, value: 0 }
}

pub(super) const fn leaf(value: i32) -> Node {
    Node { feature: 0, most: 0, left: 0, right: 0, value }
}

/// How likely a question that a person asks has the phrase, or its last word: larger is likelier.
pub(super) fn score(features: &[u8; FEATURES]) -> i32 {
    let value = |tree: &[Node]| {
        let mut at = &tree[0];
        // The root is nobody's child.
        while at.left != 0 {
            at = &tree[usize::from(if features[usize::from(at.feature)] <= at.most { at.left } else { at.right })];
        }
        at.value
    };
    TREES.iter().map(|tree| value(tree)).sum()
}
