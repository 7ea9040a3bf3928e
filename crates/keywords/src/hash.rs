//! Hashes of words and of runs of numbered words. They decide only the place of an entry in a table
//! in memory.

/// The hash of a word: FNV-1a, finished so that high bits depend on all input.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    hash ^ (hash >> 29)
}

/// The hash of a run of numbered words.
pub fn hash_words(words: &[u32]) -> u64 {
    let hash = words.iter().fold(0x9e37_79b9_7f4a_7c15u64, |h, &w| {
        (h ^ u64::from(w)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
    });
    hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}
