//! Clusters: documents that are connected by pairs.

/// Disjoint sets of documents (Tarjan 1975), 4 bytes a document. The result depends on the pairs,
/// not on their order.
pub struct Clusters {
    /// A document of the same cluster that is not larger; a root is its own.
    parents: Vec<u32>,
}

impl Clusters {
    /// Documents 0 to `documents`, each by itself.
    pub fn new(documents: u32) -> Clusters {
        Clusters { parents: (0..documents).collect() }
    }

    /// Joins the clusters of two documents; panics for one beyond the end.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    fn root(&mut self, mut document: u32) -> u32 {
        loop {
            let parent = self.parents[document as usize];
            if parent == document {
                return document;
            }
            let above = self.parents[parent as usize];
            self.parents[document as usize] = above;
            document = above;
        }
    }

    /// The first document of each document's cluster.
    pub fn first(mut self) -> Vec<u32> {
        for document in 0..self.parents.len() {
            // Parents come first, so theirs is a root already.
            self.parents[document] = self.parents[self.parents[document] as usize];
        }
        self.parents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_connect_clusters_in_any_order() {
        let pairs = [(5, 6), (1, 5), (2, 3), (6, 9), (9, 1), (7, 7), (3, 0)];
        let of = |pairs: &mut dyn Iterator<Item = (u32, u32)>| {
            let mut clusters = Clusters::new(10);
            pairs.for_each(|(a, b)| clusters.join(a, b));
            clusters.first()
        };
        let expected = [0, 1, 0, 0, 4, 1, 1, 7, 8, 1];
        assert_eq!(of(&mut pairs.into_iter()), expected);
        assert_eq!(of(&mut pairs.into_iter().rev().map(|(a, b)| (b, a))), expected);
    }
}
