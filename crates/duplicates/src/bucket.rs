//! A bucket: documents that share a band, compared one after another.

/// Leaders of a bucket at most, so that a bucket of n documents costs at most 64 · n comparisons.
const LEADERS: usize = 64;
/// Equal bytes of different hashes, by chance.
const CHANCE: f64 = 1.0 / 256.0;

/// Whether signatures are near.
#[derive(Clone, Copy, Debug)]
pub struct Nearness {
    /// Fewest equal bytes of two signatures that are near.
    least: usize,
}

impl Nearness {
    /// For signatures of `hashes` bytes, whose texts are near from an estimated Jaccard index of
    /// `threshold` on.
    pub fn new(threshold: f64, hashes: usize) -> Nearness {
        let near = |&equal: &usize| estimate(equal, hashes) >= threshold;
        Nearness { least: (0..=hashes).find(near).unwrap_or(hashes) }
    }

    fn holds(self, a: &[u8], b: &[u8]) -> bool {
        equal(a, b) >= self.least
    }

    /// The estimated Jaccard index of the texts of two signatures, 0 to 1.
    pub fn estimate(a: &[u8], b: &[u8]) -> f64 {
        estimate(equal(a, b), a.len())
    }
}

fn equal(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

fn estimate(equal: usize, hashes: usize) -> f64 {
    ((equal as f64 / hashes as f64 - CHANCE) / (1.0 - CHANCE)).max(0.0)
}

/// The leaders of a bucket: documents that were not near a leader before them.
#[derive(Default)]
pub struct Bucket {
    documents: Vec<u32>,
    signatures: Vec<u8>,
}

impl Bucket {
    /// Begins another bucket.
    pub fn clear(&mut self) {
        self.documents.clear();
        self.signatures.clear();
    }

    /// Compares a document with the leaders, in their order. Returns the first that it is near.
    /// Without one it is a leader itself, if the bucket does not have 64 yet.
    pub fn take(&mut self, nearness: Nearness, document: u32, signature: &[u8]) -> Option<u32> {
        let mut leaders = self.documents.iter().zip(self.signatures.chunks_exact(signature.len()));
        let found = leaders.find(|(_, own)| nearness.holds(own, signature)).map(|(&doc, _)| doc);
        if found.is_none() && self.documents.len() < LEADERS {
            self.documents.push(document);
            self.signatures.extend_from_slice(signature);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_taken_off_the_share_of_equal_bytes() {
        assert_eq!((estimate(128, 128), estimate(0, 128)), (1.0, 0.0));
        let half = Nearness::estimate(&[1; 64], &[[1; 32], [2; 32]].concat());
        assert!((half - 0.498).abs() < 1e-3, "{half}");
    }

    #[test]
    fn a_document_is_near_the_first_leader_that_it_resembles() {
        let nearness = Nearness::new(0.75, 4);
        let mut bucket = Bucket::default();
        let mut take = |document, signature: [u8; 4]| bucket.take(nearness, document, &signature);
        assert_eq!(take(3, [1, 1, 1, 1]), None);
        assert_eq!(take(5, [2, 2, 2, 2]), None);
        assert_eq!(take(6, [2, 2, 2, 2]), Some(5));
        assert_eq!(take(9, [1, 1, 1, 1]), Some(3));
        assert_eq!(take(11, [1, 1, 2, 2]), None);
        bucket.clear();
        assert_eq!(bucket.take(nearness, 12, &[1, 1, 1, 1]), None);
    }

    #[test]
    fn leaders_are_bounded() {
        let nearness = Nearness::new(1.0, 1);
        let mut bucket = Bucket::default();
        assert!((0..200).all(|i| bucket.take(nearness, i, &[i as u8]).is_none()));
        assert_eq!(bucket.documents.len(), LEADERS);
        assert_eq!(bucket.take(nearness, 200, &[63]), Some(63));
        assert_eq!(bucket.take(nearness, 201, &[64]), None);
    }
}
