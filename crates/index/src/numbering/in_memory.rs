//! Numbering in memory: blocks of occurrences are hashed and dealt to partitions (counting sort);
//! each partition numbers its phrases in a table of its own.
//!
//! Costs in memory, in addition to the tables: 20 bytes an occurrence, 48 a distinct phrase, 8 a
//! document.

use std::ops::Range;

use hashbrown::HashTable;
use longweave_common::{Ctx, Offsets, Result};
use longweave_keywords::Boilerplate;
use longweave_storage::{Stored, StringTable};
use rayon::prelude::*;

use super::numbered::{Numbered, Place, Texts};
use super::partitions::{Naming, PARTITIONS, Spellings, partition};
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
    fn new(table: u32, phrases: &StringTable, rows: Range<usize>, naming: Naming) -> Block {
        let first = rows.start as u32;
        let hashes: Vec<u64> = rows.map(|row| naming.hash(phrases.get(row))).collect();
        let occurrences = hashes.iter().map(|&hash| partition(hash)).zip(0..);
        let (dealt, rows) = Offsets::sort(PARTITIONS, occurrences);
        Block { table, first, hashes, dealt, rows }
    }
}

/// The phrases of a partition, and the number of each of its occurrences there.
#[derive(Default)]
struct Part {
    spellings: Vec<Spellings<Place>>,
    numbers: Vec<u32>,
    /// Where the numbers of each block end.
    ends: Offsets,
}

fn number_partition<'a>(
    p: usize,
    blocks: &[Block],
    text: impl Fn(Place) -> &'a str,
    naming: Naming,
) -> Part {
    let occurrences = blocks.iter().map(|block| block.dealt.range(p).len()).sum();
    let mut part = Part { numbers: Vec::with_capacity(occurrences), ..Part::default() };
    // Hash and number.
    let mut known: HashTable<(u64, u32)> = HashTable::with_capacity(occurrences / 2);
    for block in blocks {
        for &row in &block.rows[block.dealt.range(p)] {
            let hash = block.hashes[row as usize];
            let place = (block.table, block.first + row);
            let mut is_first = true;
            let same = |&(other, number): &(u64, u32)| {
                other == hash && {
                    let first = text(part.spellings[number as usize].first);
                    is_first = first == text(place);
                    is_first || (naming.searchable && naming.key(first) == naming.key(text(place)))
                }
            };
            let number = match known.find(hash, same) {
                Some(&(_, number)) => number,
                None => {
                    let number = part.spellings.len() as u32;
                    known.insert_unique(hash, (hash, number), |entry| entry.0);
                    part.spellings.push(Spellings::new(place));
                    is_first = true;
                    number
                }
            };
            part.spellings[number as usize].count(is_first, || place);
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
    naming: Naming,
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
        .map(|(table, rows)| Block::new(table as u32, &tables[table].phrases, rows, naming))
        .collect();
    ctx.cancel.check()?;
    let text = |(table, row): Place| tables[table as usize].phrases.get(row as usize);
    let parts: Vec<Part> = (0..PARTITIONS)
        .into_par_iter()
        .map(|p| number_partition(p, &blocks, text, naming))
        .collect();
    ctx.cancel.check()?;
    let bases: Vec<u32> = parts
        .iter()
        .scan(0, |at, part| Some(std::mem::replace(at, *at + part.spellings.len() as u32)))
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
        places.extend(part.spellings.iter().map(|spellings| spellings.name(text)));
        documents.extend(part.spellings.iter().map(Spellings::all));
    }
    let of_text = |&place: &Place| (!boilerplate.contains(text(place)), naming.rank(text(place)));
    let (informative, ranks) = places.par_iter().map(of_text).unzip();
    let mut rows = Offsets::default();
    tables.iter().for_each(|table| rows.extend(&table.rows));
    Ok(Numbered {
        rows,
        numbers: Stored::Held(numbers),
        documents,
        informative,
        ranks,
        texts: Texts::Tables { tables, places },
    })
}
