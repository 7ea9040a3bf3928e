//! Numbering: every distinct phrase among the candidates of all documents gets a number, in memory
//! or on the disk: partition by partition of the phrases' hashes, in each in the order in which
//! they first occur.

mod in_memory;
mod on_disk;

pub(crate) use in_memory::in_memory;
pub(crate) use on_disk::{Dealt, on_disk};

use longweave_common::{Offsets, Result};
use longweave_storage::Stored;
use rayon::prelude::*;

use crate::candidates::CandidateTable;

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

/// The place of a phrase: table, row in its strings.
pub(crate) type Place = (u32, u32);

/// The candidates of all documents as numbers of distinct phrases. Costs 8 bytes a document, 7 a
/// distinct phrase, and what `numbers` and `texts` hold.
pub(crate) struct Numbered<'a> {
    /// Each document's occurrences among all.
    pub(crate) rows: Offsets,
    /// The phrase of each occurrence.
    pub(crate) numbers: Stored<u32>,
    /// By phrase: documents that have it.
    pub(crate) documents: Vec<u32>,
    /// By phrase: whether it says something.
    pub(crate) informative: Vec<bool>,
    /// By phrase: its words.
    pub(crate) words: Vec<u16>,
    pub(crate) texts: Texts<'a>,
}

/// Phrases by number.
pub(crate) enum Texts<'a> {
    /// Where each stands for the first time in tables that are in memory.
    Tables { tables: &'a [CandidateTable], places: Vec<Place> },
    /// On the disk, one file a partition, in the order of numbers.
    Files(Dealt<'a>),
}

impl Texts<'_> {
    /// The phrases of rising numbers.
    pub(crate) fn of(&self, numbers: &[u32]) -> Result<Vec<String>> {
        match self {
            Texts::Tables { tables, places } => {
                let text = |&number: &u32| {
                    let (table, row) = places[number as usize];
                    tables[table as usize].phrases.get(row as usize).to_owned()
                };
                Ok(numbers.par_iter().map(text).collect())
            }
            Texts::Files(dealt) => dealt.texts(numbers),
        }
    }
}
