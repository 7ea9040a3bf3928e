//! The result of numbering, in memory or on the disk.

use longweave_common::{Offsets, Result};
use longweave_storage::Stored;
use rayon::prelude::*;

use super::dealt::Dealt;
use crate::candidates::CandidateTable;

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
    /// By phrase: its rank, or its words.
    pub(crate) ranks: Vec<u16>,
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
