//! Features by the words of all phrases, which are held in memory.

use longweave_common::{Ctx, Result};
use rayon::prelude::*;

use super::words::{Words, distinct};
use crate::candidates::CandidateTable;
use crate::lists::{Lists, in_order};
use crate::numbering::{Numbered, Place};
use crate::stored::Space;

/// Phrases whose words are found at once.
const BLOCK: usize = 1 << 14;

/// Passes on the features of document after document; `places` are those of the phrases in
/// `tables`.
pub(super) fn features(
    ctx: &Ctx,
    numbered: &Numbered<'_>,
    (tables, places): (&[CandidateTable], &[Place]),
    words: &Words,
    space: Space<'_>,
    mut take: impl FnMut(&Lists<u32>) -> Result<()> + Send,
) -> Result<()> {
    let of_block = |(places, informative): (&[Place], &[bool])| {
        let (mut met, mut of_phrase) = (words.met(), Lists::new());
        for (&(table, row), &informative) in places.iter().zip(informative) {
            if informative {
                let text = tables[table as usize].phrases.get(row as usize);
                met.of(text, |word| of_phrase.push(word));
            }
            of_phrase.end();
        }
        of_phrase
    };
    let blocks = places.par_chunks(BLOCK).zip(numbered.informative.par_chunks(BLOCK));
    let of_phrase: Vec<Lists<u32>> = blocks.map(of_block).collect();
    #[derive(Default)]
    struct Buffers {
        own: Vec<u32>,
        numbers: Vec<u32>,
    }
    let make = |row: usize, buffers: &mut Buffers, out: &mut Vec<u32>| -> Result<()> {
        let Buffers { own, numbers } = buffers;
        own.clear();
        let numbers = numbered.numbers.get(numbered.rows.span(row), numbers)?.iter();
        for number in numbers.map(|&n| n as usize).filter(|&n| numbered.informative[n]) {
            own.push(number as u32);
            own.extend_from_slice(of_phrase[number / BLOCK].get(number % BLOCK));
        }
        distinct(own);
        out.extend_from_slice(own);
        Ok(())
    };
    let size = |row: usize| 4 * numbered.rows.range(row).len();
    in_order(ctx, numbered.rows.len(), space.most::<u32>(), size, make, |lists, _| take(lists))
}
