//! Partitions of phrases by their hashes.

/// log2 of the number of partitions.
const PARTITION_BITS: u32 = 8;
/// Number of partitions.
pub(crate) const PARTITIONS: usize = 1 << PARTITION_BITS;

/// The partition of a phrase by its xxh3-64.
pub(crate) fn partition(hash: u64) -> usize {
    (hash >> (64 - PARTITION_BITS)) as usize
}

/// Words of a phrase; 65,535 for any more.
pub(crate) fn words(text: &str) -> u16 {
    u16::try_from(text.split(' ').count()).unwrap_or(u16::MAX)
}
