//! Keyed random numbers: a pure function of (seed, purpose, key, counter), so that no draw depends
//! on any other draw, on the order of work or on the number of threads. docs/planning.md gives the
//! same definition in words.
//!
//! `draw = xxh3_64(key as 16 bytes LE ‖ counter as 8 bytes LE ‖ purpose as UTF-8, seed)`.

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// The key of a draw: the xxh3-128 (seed 0) of a document's id or of a keyword, in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u128);

impl Key {
    /// The key of a document's id or of a keyword.
    pub fn of(text: &str) -> Key {
        Key(xxh3_128(text.as_bytes()))
    }

    /// The key of a document that has token ids in place of a text.
    pub fn of_ids(ids: &[u32]) -> Key {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        Key(xxh3_128(&bytes))
    }
}

/// 64 random bits for (seed, purpose, key, counter). `purpose` is at most 40 bytes of UTF-8.
pub fn draw(seed: u64, purpose: &str, key: Key, counter: u64) -> u64 {
    let mut bytes = [0u8; 64];
    let end = 24 + purpose.len();
    assert!(end <= bytes.len(), "purposes are literals of at most 40 bytes");
    bytes[..16].copy_from_slice(&key.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&counter.to_le_bytes());
    bytes[24..end].copy_from_slice(purpose.as_bytes());
    xxh3_64_with_seed(&bytes[..end], seed)
}

/// A number in `0..n` from 64 random bits: the high word of `draw · n`. `n` must not be 0.
pub fn below(draw: u64, n: u64) -> u64 {
    ((u128::from(draw) * u128::from(n)) >> 64) as u64
}

/// Whether an event of probability `p` happens: `draw < p · 2⁶⁴`; always for `p ≥ 1`, never for `p
/// ≤ 0`.
pub fn chance(draw: u64, p: f64) -> bool {
    // Multiplication by a power of two and the conversion are exact or saturating: the same on
    // every machine.
    p >= 1.0 || (p > 0.0 && draw < (p * 18_446_744_073_709_551_616.0) as u64)
}

/// Those of the `number` lowest draws, lowest first; equal draws in the order of what they are
/// about.
pub fn lowest<T: Ord>(mut draws: Vec<(u64, T)>, number: usize) -> Vec<T> {
    if number < draws.len() {
        draws.select_nth_unstable(number);
        draws.truncate(number);
    }
    draws.sort_unstable();
    draws.into_iter().map(|(_, about)| about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_fixed_for_ever() {
        // A change here changes every plan ever made with this version: CHANGELOG line and new
        // golden hashes. The literals come from another implementation of xxh3 (hash-wasm).
        assert_eq!(Key::of("a").0, 0xa96f_af70_5af1_6834_e6c6_32b6_1e96_4e1f);
        assert_eq!(draw(42, "order", Key::of("doc-1"), 3), 0x9796_c820_3a70_465b);
        assert_eq!(draw(0, "holdout", Key::of("a"), 0), 0x4bc2_5b8e_70c4_1c90);
        let counter = (1 << 32) + 5;
        assert_eq!(draw(7, "separate", Key::of("größe 東京"), counter), 0x0c33_e63a_de68_431f);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut seen = [0u32; 7];
        for i in 0..70_000 {
            seen[below(draw(1, "test", Key(i), 0), 7) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
    }

    #[test]
    fn the_lowest_come_in_order() {
        let draws = vec![(7, 'a'), (3, 'c'), (9, 'd'), (3, 'b')];
        assert_eq!(lowest(draws.clone(), 2), ['b', 'c']);
        assert_eq!(lowest(draws, 9), ['b', 'c', 'a', 'd']);
    }

    #[test]
    fn chance_holds_at_its_ends() {
        assert!(chance(u64::MAX, 1.0));
        assert!(!chance(0, 0.0));
        let hits = (0..100_000).filter(|&i| chance(draw(9, "test", Key(i), 0), 0.3)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
    }
}
