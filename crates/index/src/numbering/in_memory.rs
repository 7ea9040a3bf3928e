//! Numbering in memory: all occurrences are hashed in parallel and dealt to partitions (counting
//! sort); each partition numbers its phrases in a table of its own.
//!
//! Costs in memory, in addition to the tables: 24 bytes an occurrence, 24 a distinct phrase, 8 a
//! document.

use hashbrown::HashTable;
use longweave_common::{Ctx, Offsets, Result};
use longweave_keywords::Boilerplate;
use longweave_storage::Stored;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{Numbered, PARTITIONS, Place, Texts, partition, words};
use crate::candidates::CandidateTable;

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
    // By partition, in each in the order of tables and rows.
    let occurrences = hashes.iter().enumerate().flat_map(|(table, hashes)| {
        let place = move |(row, &hash)| (partition(hash), (table as u32, row as u32));
        hashes.iter().enumerate().map(place)
    });
    let (dealt, sorted) = Offsets::sort(PARTITIONS, occurrences);
    ctx.cancel.check()?;
    struct Part {
        places: Vec<Place>,
        documents: Vec<u32>,
        numbers: Vec<u32>,
    }
    let text = |(table, row): Place| tables[table as usize].phrases.get(row as usize);
    let parts: Vec<Part> = (0..PARTITIONS)
        .into_par_iter()
        .map(|p| {
            let mine = &sorted[dealt.range(p)];
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
    let mut numbers = vec![0u32; sorted.len()];
    let (mut places, mut documents) = (Vec::new(), Vec::new());
    for (p, part) in parts.into_iter().enumerate() {
        let base = places.len() as u32;
        for (&(table, row), number) in sorted[dealt.range(p)].iter().zip(part.numbers) {
            numbers[begins[table as usize] + row as usize] = base + number;
        }
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
