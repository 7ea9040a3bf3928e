//! Bands: parts of a signature. Two texts that share all hashes of a band are compared.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The least probability with which a pair at the threshold shares a band.
const FOUND: f64 = 0.95;

/// How a signature is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Number of bands, at least 1.
    pub number: u32,
    /// Hashes of a band, at least 1.
    pub rows: u32,
}

impl Bands {
    /// The bands with the most rows, and therefore the fewest comparisons, for which two texts with
    /// a Jaccard index of `threshold` share a band with a probability of at least 0.95: 1 − (1 −
    /// thresholdʳ)ᵇ for b bands of r rows.
    pub fn for_threshold(threshold: f64, hashes: u32) -> Bands {
        let found = |rows: &u32| {
            let together = power(threshold, *rows);
            1.0 - power(1.0 - together, hashes / rows) >= FOUND
        };
        let rows = (1..=hashes).rev().find(found).unwrap_or(1);
        Bands { number: hashes / rows, rows }
    }

    /// A hash of the least hashes of each band.
    pub fn hashes(self, least: &[u32]) -> impl Iterator<Item = u64> + '_ {
        let mut bytes = Vec::with_capacity(4 * self.rows as usize);
        let bands = least.chunks_exact(self.rows as usize).take(self.number as usize);
        bands.zip(0..).map(move |(band, number)| {
            bytes.clear();
            bytes.extend(band.iter().flat_map(|hash| hash.to_le_bytes()));
            xxh3_64_with_seed(&bytes, number)
        })
    }
}

/// x to the nth by multiplications, the same on every machine.
fn power(x: f64, n: u32) -> f64 {
    (0..n).fold(1.0, |product, _| product * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_follow_from_the_threshold() {
        for (threshold, hashes, number, rows) in [
            (0.8, 128, 18, 7),
            (0.5, 128, 42, 3),
            (0.9, 128, 10, 12),
            (0.8, 256, 28, 9),
            (1.0, 128, 1, 128),
            (0.01, 16, 16, 1),
        ] {
            let bands = Bands::for_threshold(threshold, hashes);
            assert_eq!(bands, Bands { number, rows }, "{threshold} {hashes}");
        }
    }

    #[test]
    fn a_band_depends_on_its_hashes_and_its_place() {
        let bands = Bands { number: 3, rows: 2 };
        let hashes: Vec<u64> = bands.hashes(&[1, 2, 1, 2, 3, 4, 5]).collect();
        assert_eq!(hashes.len(), 3);
        assert_ne!(hashes[0], hashes[1]);
        let other: Vec<u64> = bands.hashes(&[1, 2, 9, 2, 3, 4, 9]).collect();
        assert_eq!((hashes[0], hashes[2]), (other[0], other[2]));
        assert_ne!(hashes[1], other[1]);
    }
}
