//! Numbering: every distinct phrase among the candidates of all documents gets a number. In memory,
//! all occurrences are hashed in parallel and dealt to partitions by the hash's first bits
//! (counting sort); each partition numbers its phrases in a table of its own, in the order in which
//! they first occur.
//!
//! Costs in memory, in addition to the tables: 24 bytes an occurrence, 24 a distinct phrase, 8 a
//! document.

use std::ops::Range;
use std::path::PathBuf;

use hashbrown::HashTable;
use longweave_common::{Ctx, Result};
use longweave_keywords::Boilerplate;
use longweave_storage::Stored;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::candidates::CandidateTable;
use crate::spill;

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
type Place = (u32, u32);

/// The candidates of all documents as numbers of distinct phrases. Costs 8 bytes a document, 7 a
/// distinct phrase, and what `numbers` and `texts` hold.
pub(crate) struct Numbered<'a> {
    /// Where each document's occurrences end among all.
    pub(crate) rows: Vec<u64>,
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

impl Numbered<'_> {
    /// Number of documents.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Places of a document's occurrences among all.
    pub(crate) fn range(&self, row: usize) -> Range<u64> {
        let start = if row == 0 { 0 } else { self.rows[row - 1] };
        start..self.rows[row]
    }
}

/// Phrases by number.
pub(crate) enum Texts<'a> {
    /// Where each stands for the first time in tables that are in memory.
    Tables { tables: &'a [CandidateTable], places: Vec<Place> },
    /// On the disk, one file a partition, in the order of numbers.
    Files(Vec<PathBuf>),
}

impl Texts<'_> {
    /// Calls `visit` with each number and its phrase, in order; there are `all`.
    pub(crate) fn each(&self, all: u32, mut visit: impl FnMut(u32, &str)) -> Result<()> {
        match self {
            Texts::Tables { tables, places } => {
                for (number, &(table, row)) in (0..all).zip(places) {
                    visit(number, tables[table as usize].phrases.get(row as usize));
                }
                Ok(())
            }
            Texts::Files(files) => spill::each_text(files, visit),
        }
    }

    /// The phrases of rising numbers.
    pub(crate) fn of(&self, numbers: &[u32]) -> Result<Vec<String>> {
        match self {
            Texts::Tables { tables, places } => {
                let text = |&number: &u32| {
                    let (table, row) = places[number as usize];
                    tables[table as usize].phrases.get(row as usize).to_owned()
                };
                Ok(numbers.iter().map(text).collect())
            }
            Texts::Files(files) => {
                let mut found = Vec::with_capacity(numbers.len());
                spill::each_text(files, |number, text| {
                    if numbers.get(found.len()) == Some(&number) {
                        found.push(text.to_owned());
                    }
                })?;
                Ok(found)
            }
        }
    }
}

/// Numbers the phrases of tables that are in memory.
pub(crate) fn in_memory<'a>(
    ctx: &Ctx,
    tables: &'a [CandidateTable],
    boilerplate: &Boilerplate,
) -> Result<Numbered<'a>> {
    let hashes: Vec<Vec<u64>> = tables
        .par_iter()
        .map(|t| (0..t.phrases.len()).map(|row| xxh3_64(t.phrases.get(row).as_bytes())).collect())
        .collect();
    ctx.cancel.check()?;
    // Counting sort of all occurrences by partition, tables and rows in order within each.
    let partitions = PARTITIONS;
    let mut ends = vec![0usize; partitions + 1];
    for &hash in hashes.iter().flatten() {
        ends[partition(hash) + 1] += 1;
    }
    for p in 0..partitions {
        ends[p + 1] += ends[p];
    }
    let mut next = ends.clone();
    let mut sorted: Vec<Place> = vec![(0, 0); ends[partitions]];
    for (table, hashes) in hashes.iter().enumerate() {
        for (row, &hash) in hashes.iter().enumerate() {
            let at = &mut next[partition(hash)];
            sorted[*at] = (table as u32, row as u32);
            *at += 1;
        }
    }
    ctx.cancel.check()?;
    struct Part {
        places: Vec<Place>,
        documents: Vec<u32>,
        numbers: Vec<u32>,
    }
    let text = |(table, row): Place| tables[table as usize].phrases.get(row as usize);
    let parts: Vec<Part> = (0..partitions)
        .into_par_iter()
        .map(|p| {
            let mine = &sorted[ends[p]..ends[p + 1]];
            let mut part = Part {
                places: Vec::new(),
                documents: Vec::new(),
                numbers: Vec::with_capacity(mine.len()),
            };
            let mut known: HashTable<u32> = HashTable::with_capacity(mine.len() / 2);
            let hash_of = |(table, row): Place| hashes[table as usize][row as usize];
            for &place in mine {
                let hash = hash_of(place);
                let same = |&n: &u32| {
                    hash_of(part.places[n as usize]) == hash
                        && text(part.places[n as usize]) == text(place)
                };
                let number = match known.find(hash, same) {
                    Some(&number) => number,
                    None => {
                        let number = part.places.len() as u32;
                        known.insert_unique(hash, number, |&n| hash_of(part.places[n as usize]));
                        part.places.push(place);
                        part.documents.push(0);
                        number
                    }
                };
                part.documents[number as usize] += 1;
                part.numbers.push(number);
            }
            part
        })
        .collect();
    // Where each table's occurrences begin among all.
    let begins: Vec<usize> =
        tables.iter().scan(0, |at, t| Some(std::mem::replace(at, *at + t.phrases.len()))).collect();
    let mut numbers = vec![0u32; ends[partitions]];
    let (mut places, mut documents) = (Vec::new(), Vec::new());
    for (p, part) in parts.into_iter().enumerate() {
        let base = places.len() as u32;
        for (&(table, row), number) in sorted[ends[p]..ends[p + 1]].iter().zip(part.numbers) {
            numbers[begins[table as usize] + row as usize] = base + number;
        }
        places.extend(part.places);
        documents.extend(part.documents);
    }
    let of_text = |&place: &Place| (!boilerplate.contains(text(place)), words(text(place)));
    let (informative, words) = places.par_iter().map(of_text).unzip();
    let rows = tables
        .iter()
        .zip(&begins)
        .flat_map(|(t, &begin)| t.ends.iter().map(move |&end| begin as u64 + end))
        .collect();
    Ok(Numbered {
        rows,
        numbers: Stored::Held(numbers),
        documents,
        informative,
        words,
        texts: Texts::Tables { tables, places },
    })
}
