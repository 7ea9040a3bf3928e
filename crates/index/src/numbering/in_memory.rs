//! Numbering in memory: blocks of occurrences are hashed and dealt to partitions (counting sort);
//! each partition numbers its phrases in a table of its own.
//!
//! Costs in memory, in addition to the tables: 20 bytes an occurrence, 32 a distinct phrase, 8 a
//! document.

use std::ops::Range;

use hashbrown::HashTable;
use longweave_common::{Ctx, Offsets, Result};
use longweave_keywords::Boilerplate;
use longweave_storage::{Stored, StringTable};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::numbered::{Numbered, Place, Texts};
use super::partitions::{PARTITIONS, partition, words};
use crate::candidates::CandidateTable;

/// Occurrences that are dealt at once.
const BLOCK: usize = 1 << 16;

/// Consecutive occurrences of a table.
struct Block {
    table: u32,
    /// The first one's row among the table's strings.
    first: u32,
    hashes: Vec<u64>,
    /// Those of each partition among `rows`.
    dealt: Offsets,
    /// Rows from `first` on.
    rows: Vec<u32>,
}

impl Block {
    fn new(table: u32, phrases: &StringTable, rows: Range<usize>) -> Block {
        let first = rows.start as u32;
        let hashes: Vec<u64> = rows.map(|row| xxh3_64(phrases.get(row).as_bytes())).collect();
        let occurrences = hashes.iter().map(|&hash| partition(hash)).zip(0..);
        let (dealt, rows) = Offsets::sort(PARTITIONS, occurrences);
        Block { table, first, hashes, dealt, rows }
    }
}

/// The phrases of a partition, and the number of each of its occurrences there.
#[derive(Default)]
struct Part {
    places: Vec<Place>,
    documents: Vec<u32>,
    numbers: Vec<u32>,
    /// Where the numbers of each block end.
    ends: Offsets,
}

fn number_partition<'a>(p: usize, blocks: &[Block], text: impl Fn(Place) -> &'a str) -> Part {
    let occurrences = blocks.iter().map(|block| block.dealt.range(p).len()).sum();
    let mut part = Part { numbers: Vec::with_capacity(occurrences), ..Part::default() };
    // Hash and number.
    let mut known: HashTable<(u64, u32)> = HashTable::with_capacity(occurrences / 2);
    for block in blocks {
        for &row in &block.rows[block.dealt.range(p)] {
            let hash = block.hashes[row as usize];
            let place = (block.table, block.first + row);
            let same = |&(other, number): &(u64, u32)| {
                other == hash && text(part.places[number as usize]) == text(place)
            };
            let number = match known.find(hash, same) {
                Some(&(_, number)) => number,
                None => {
                    let number = part.places.len() as u32;
                    known.insert_unique(hash, (hash, number), |entry| entry.0);
                    part.places.push(place);
                    part.documents.push(0);
                    number
                }
            };
            part.documents[number as usize] += 1;
            part.numbers.push(number);
        }
        part.ends.push(part.numbers.len());
    }
    part
}

/// Numbers the phrases of tables that are in memory.
pub(crate) fn in_memory<'a>(
    ctx: &Ctx,
    tables: &'a [CandidateTable],
    boilerplate: &Boilerplate,
) -> Result<Numbered<'a>> {
    let blocks: Vec<Block> = tables
        .iter()
        .enumerate()
        .flat_map(|(table, t)| {
            let rows = t.phrases.len();
            (0..rows).step_by(BLOCK).map(move |row| (table, row..rows.min(row + BLOCK)))
        })
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(table, rows)| Block::new(table as u32, &tables[table].phrases, rows))
        .collect();
    ctx.cancel.check()?;
    let text = |(table, row): Place| tables[table as usize].phrases.get(row as usize);
    let parts: Vec<Part> =
        (0..PARTITIONS).into_par_iter().map(|p| number_partition(p, &blocks, text)).collect();
    ctx.cancel.check()?;
    let bases: Vec<u32> = parts
        .iter()
        .scan(0, |at, part| Some(std::mem::replace(at, *at + part.places.len() as u32)))
        .collect();
    let mut numbers = vec![0u32; blocks.iter().map(|block| block.hashes.len()).sum()];
    let (mut rest, mut by_block) = (&mut numbers[..], Vec::with_capacity(blocks.len()));
    for block in &blocks {
        let (own, others) = rest.split_at_mut(block.hashes.len());
        by_block.push(own);
        rest = others;
    }
    by_block.into_par_iter().zip(&blocks).enumerate().for_each(|(number, (own, block))| {
        for (p, part) in parts.iter().enumerate() {
            let theirs = &part.numbers[part.ends.range(number)];
            for (&row, number) in block.rows[block.dealt.range(p)].iter().zip(theirs) {
                own[row as usize] = bases[p] + number;
            }
        }
    });
    drop(blocks);
    let (mut places, mut documents) = (Vec::new(), Vec::new());
    for part in parts {
        places.extend(part.places);
        documents.extend(part.documents);
    }
    let of_text = |&place: &Place| (!boilerplate.contains(text(place)), words(text(place)));
    let (informative, words) = places.par_iter().map(of_text).unzip();
    let mut rows = Offsets::default();
    tables.iter().for_each(|table| rows.extend(&table.rows));
    Ok(Numbered {
        rows,
        numbers: Stored::Held(numbers),
        documents,
        informative,
        words,
        texts: Texts::Tables { tables, places },
    })
}
