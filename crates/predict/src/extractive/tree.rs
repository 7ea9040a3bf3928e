//! The form of the scorer's trees.

/// Numbers that the scorer looks at.
pub(super) const FEATURES: usize = 34;

/// A node of a tree: where `features[feature]` is at most `most` go to `left`, else to `right`. A
/// leaf leads nowhere (0, the root) and has a value.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) feature: u8,
    pub(super) most: u8,
    pub(super) left: u8,
    pub(super) right: u8,
    pub(super) value: i32,
}

pub(super) const fn node(feature: u8, most: u8, left: u8, right: u8) -> Node {
    Node { feature, most, left, right, value: 0 }
}

pub(super) const fn leaf(value: i32) -> Node {
    Node { feature: 0, most: 0, left: 0, right: 0, value }
}
