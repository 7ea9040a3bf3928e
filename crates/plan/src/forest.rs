//! The hierarchy of phrases that `fill: related` climbs: a forest given by the index, as flat
//! columns, without the phrases' text. A plan names a phrase by its node number; the index keeps
//! the text.

use longweave_common::random::Key;
use longweave_common::{Code, Error, Offsets, Result};

/// A forest over phrases: nodes are numbered in byte order of their phrases, and every keyword's
/// phrase is a node. Or a forest over documents: their nodes come first, then those at which they
/// join.
///
/// Costs 20 bytes a node and 4 bytes a keyword or document; 12 bytes a node more while planning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forest {
    /// The parent of each node; [`Forest::NONE`] for a root.
    pub parent: Vec<u32>,
    /// The [`Key`] of each node's phrase, or of the document that stands for it.
    pub key: Vec<u128>,
    /// The node of each keyword's phrase, by `KeywordId`; [`Forest::NONE`] for a keyword that
    /// stands alone.
    pub node_of_keyword: Vec<u32>,
    /// The node of each document, by `DocId`; [`Forest::NONE`] for one that stands alone. Empty in
    /// a forest over phrases.
    pub node_of_document: Vec<u32>,
}

impl Forest {
    /// The value that stands for "no node" in flat columns.
    pub const NONE: u32 = u32::MAX;

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.parent.is_empty()
    }

    /// The key of a node's phrase; panics beyond the end, as a slice does.
    pub(crate) fn key_of(&self, node: u32) -> Key {
        Key(self.key[node as usize])
    }
}

/// A checked forest with its nodes in the order in which they are visited: children before parents,
/// children and roots in byte order of phrase.
pub(crate) struct PostOrder {
    /// The nodes: children before their parent.
    pub(crate) order: Vec<u32>,
}

impl PostOrder {
    /// Checks that `forest` is one, and orders its nodes.
    ///
    /// Errors: `FILE_CORRUPT` for columns of unequal length, a number beyond the end, a cycle, or
    /// two keywords at one node.
    pub(crate) fn new(forest: &Forest) -> Result<PostOrder> {
        let n = forest.len();
        if forest.key.len() != n || n >= Forest::NONE as usize {
            return Err(corrupt(&format!("has {n} parents and {} keys", forest.key.len())));
        }
        for (node, &parent) in forest.parent.iter().enumerate() {
            if parent != Forest::NONE && parent as usize >= n {
                return Err(corrupt(&format!(
                    "gives node {node} the parent {parent}, but has {n} nodes"
                )));
            }
        }
        // The children of each node, in node order; roots are those of node `n`.
        let slot = |&parent: &u32| if parent == Forest::NONE { n } else { parent as usize };
        let (of_node, children) = Offsets::sort(n + 1, forest.parent.iter().map(slot).zip(0u32..));
        let (mut order, mut visited) = (Vec::with_capacity(n), vec![false; n]);
        // For each node, the place of the child that is visited next.
        let mut next: Vec<u32> = (0..=n).map(|node| of_node.begin(node) as u32).collect();
        let mut path = vec![n];
        while let Some(&node) = path.last() {
            if u64::from(next[node]) < of_node.begin(node + 1) {
                let child = children[next[node] as usize] as usize;
                next[node] += 1;
                path.push(child);
            } else {
                path.pop();
                if node < n {
                    visited[node] = true;
                    order.push(node as u32);
                }
            }
        }
        if order.len() < n {
            let node = visited.iter().position(|&v| !v).unwrap_or(0);
            return Err(corrupt(&format!("has a cycle that node {node} is on or below")));
        }
        let mut taken = vec![false; n];
        for (what, nodes) in
            [("keyword", &forest.node_of_keyword), ("document", &forest.node_of_document)]
        {
            for (number, &node) in nodes.iter().enumerate().filter(|&(_, &n)| n != Forest::NONE) {
                match taken.get_mut(node as usize) {
                    Some(taken) if !*taken => *taken = true,
                    Some(_) => {
                        return Err(corrupt(&format!(
                            "puts {what} {number} at node {node}, which has another one"
                        )));
                    }
                    None => {
                        return Err(corrupt(&format!(
                            "puts {what} {number} at node {node}, but has {n} nodes"
                        )));
                    }
                }
            }
        }
        Ok(PostOrder { order })
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(
        Code::FileCorrupt,
        format!("the hierarchy of keywords {what}; delete the index stage's folder and run again"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: u32 = Forest::NONE;

    fn forest(parent: &[u32]) -> Forest {
        Forest {
            parent: parent.to_vec(),
            key: (0..parent.len() as u128).collect(),
            ..Forest::default()
        }
    }

    #[test]
    fn children_come_before_parents_in_node_order() {
        for (parent, expected) in [
            (&[][..], &[][..]),
            (&[NONE, NONE], &[0, 1]),
            (&[1, NONE, 1], &[0, 2, 1]),
            (&[3, 3, NONE, 2, NONE], &[0, 1, 3, 2, 4]),
            (&[NONE, 0, 1, 2], &[3, 2, 1, 0]),
        ] {
            let post_order = PostOrder::new(&forest(parent)).unwrap();
            assert_eq!(post_order.order, expected, "{parent:?}");
        }
    }

    #[test]
    fn what_is_no_forest_is_refused() {
        let cases = [
            forest(&[0]),
            forest(&[1, 0, NONE]),
            forest(&[NONE, 2]),
            Forest { key: vec![1], ..forest(&[NONE, NONE]) },
            Forest { node_of_keyword: vec![0, 0], ..forest(&[NONE]) },
            Forest { node_of_keyword: vec![1], ..forest(&[NONE]) },
            Forest { node_of_document: vec![0, NONE, 0], ..forest(&[NONE]) },
            Forest { node_of_document: vec![1], ..forest(&[NONE]) },
        ];
        for case in cases {
            assert_eq!(
                PostOrder::new(&case).err().map(|e| e.code()),
                Some(Code::FileCorrupt),
                "{case:?}"
            );
        }
    }

    #[test]
    fn a_chain_of_a_million_nodes_needs_no_deep_stack() {
        let n = 1_000_000u32;
        let chain = Forest {
            parent: (0..n).map(|i| if i + 1 == n { NONE } else { i + 1 }).collect(),
            key: vec![0; n as usize],
            ..Forest::default()
        };
        assert!(PostOrder::new(&chain).unwrap().order.iter().copied().eq(0..n));
    }
}
