//! Partitions of phrases by their hashes, and what makes two phrases one.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

/// log2 of the number of partitions.
const PARTITION_BITS: u32 = 8;
/// Number of partitions.
pub(crate) const PARTITIONS: usize = 1 << PARTITION_BITS;

/// The partition of a phrase by its hash.
pub(crate) fn partition(hash: u64) -> usize {
    (hash >> (64 - PARTITION_BITS)) as usize
}

/// The rules by which phrases are numbered.
#[derive(Clone, Copy)]
pub(crate) struct Naming {
    /// Whether a phrase and its plural are one.
    pub(crate) searchable: bool,
}

impl Naming {
    /// The text that all phrases of one number share.
    pub(crate) fn key(self, text: &str) -> Cow<'_, str> {
        if self.searchable { longweave_keywords::singular(text) } else { Cow::Borrowed(text) }
    }

    /// The xxh3-64 of [`Naming::key`].
    pub(crate) fn hash(self, text: &str) -> u64 {
        xxh3_64(self.key(text).as_bytes())
    }

    /// By what a phrase is chosen among equally frequent ones: its rank, or its words, 65,535 for any
    /// more.
    pub(crate) fn rank(self, text: &str) -> u16 {
        match self.searchable {
            true => longweave_keywords::rank(text),
            false => u16::try_from(text.split(' ').count()).unwrap_or(u16::MAX),
        }
    }
}

/// The spellings of a number, a phrase and its plural, and how often each occurs. The name is the
/// commoner one; of equals the first in byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spellings<T> {
    pub(crate) first: T,
    pub(crate) counts: [u32; 2],
    pub(crate) other: Option<T>,
}

impl<T: Copy> Spellings<T> {
    pub(crate) fn new(first: T) -> Spellings<T> {
        Spellings { first, counts: [0; 2], other: None }
    }

    /// Counts an occurrence, of which is known whether it is spelled as the first.
    pub(crate) fn count(&mut self, is_first: bool, spelling: impl FnOnce() -> T) {
        if is_first {
            self.counts[0] += 1;
        } else {
            self.other.get_or_insert_with(spelling);
            self.counts[1] += 1;
        }
    }

    /// All occurrences.
    pub(crate) fn all(&self) -> u32 {
        self.counts[0] + self.counts[1]
    }

    /// The name, where `text` gives a spelling.
    pub(crate) fn name<'a>(&self, text: impl Fn(T) -> &'a str) -> T {
        let [first, second] = self.counts;
        match self.other {
            Some(other)
                if second > first || (second == first && text(other) < text(self.first)) =>
            {
                other
            }
            _ => self.first,
        }
    }
}
