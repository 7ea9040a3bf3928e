//! Hashes of words and of runs of numbered words. They decide only the place of an entry in a table
//! in memory.

pub use xxhash_rust::xxh3::xxh3_64 as hash_bytes;

/// The hash of a run of numbered words.
pub fn hash_words(words: &[u32]) -> u64 {
    let hash = words.iter().fold(0x9e37_79b9_7f4a_7c15u64, |h, &w| {
        (h ^ u64::from(w)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
    });
    hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}
