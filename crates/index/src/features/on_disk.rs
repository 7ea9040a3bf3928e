//! Features by the files of a numbering on the disk. Adds `NNN.features` to them (u32: of each
//! occurrence how many features it has, and their numbers).

use longweave_common::{Ctx, Offsets, Result};
use rayon::prelude::*;

use super::words::{Words, distinct};
use crate::lists::{Lists, in_order};
use crate::numbering::{Dealt, Numbered, PARTITIONS};
use crate::scratch::{BUFFER, Input, Output};
use crate::stored::Space;

/// Passes on the features of document after document: those of all occurrences, partition by
/// partition, merged back into the order of documents, split by split.
pub(super) fn features(
    ctx: &Ctx,
    numbered: &Numbered<'_>,
    dealt: &Dealt<'_>,
    words: &Words,
    space: Space<'_>,
    mut take: impl FnMut(&Lists<u32>) -> Result<()> + Send,
) -> Result<()> {
    let ends: Vec<Offsets> = (0..PARTITIONS)
        .into_par_iter()
        .map(|p| of_partition(ctx, p, numbered, dealt, words))
        .collect::<Result<_>>()?;
    let files = dealt.open("features")?;
    let make = |split: usize, _: &mut (), _: &mut Vec<()>| -> Result<Lists<u32>> {
        let mut parts = files.read(split, |p| ends[p].span(split))?;
        let (mut lists, mut row) = (Lists::new(), Vec::new());
        let mut at = 0;
        for document in dealt.documents(split) {
            let occurrences = numbered.rows.range(document).len();
            row.clear();
            for _ in 0..occurrences {
                for _ in 0..parts.u32(at) {
                    row.push(parts.u32(at));
                }
                at += 1;
            }
            distinct(&mut row);
            row.iter().for_each(|&feature| lists.push(feature));
            lists.end();
        }
        Ok(lists)
    };
    let size = |split: usize| 4 * dealt.occurrences(split);
    in_order(ctx, dealt.splits(), space.most::<u32>(), size, make, |_, made| {
        made.iter().try_for_each(&mut take)
    })
}

/// Writes the features of a partition's occurrences. Returns where those of each split end, in
/// bytes.
fn of_partition(
    ctx: &Ctx,
    p: usize,
    numbered: &Numbered<'_>,
    dealt: &Dealt<'_>,
    words: &Words,
) -> Result<Offsets> {
    ctx.cancel.check()?;
    // The features of each phrase of the partition, then of each of its occurrences.
    let (mut of_phrase, mut met) = (Lists::new(), words.met());
    let mut input = Input::open(dealt.file(p, "phrases"))?;
    let mut number = dealt.first(p);
    while let Some(text) = input.text()? {
        if numbered.informative[number as usize] {
            of_phrase.push(number);
            met.of(text, |word| of_phrase.push(word));
        }
        of_phrase.end();
        number += 1;
    }
    let mut numbers = Input::open(dealt.file(p, "numbers"))?;
    let mut output = Output::create(dealt.file(p, "features"))?;
    let (mut bytes, mut put, mut ends) = (Vec::with_capacity(2 * BUFFER), 0, Offsets::default());
    for split in 0..dealt.splits() {
        for _ in dealt.part(split, p) {
            let own = of_phrase.get(numbers.u32()? as usize);
            bytes.extend_from_slice(&(own.len() as u32).to_le_bytes());
            own.iter().for_each(|feature| bytes.extend_from_slice(&feature.to_le_bytes()));
            if bytes.len() >= BUFFER {
                output.put(&bytes)?;
                put += bytes.len();
                bytes.clear();
            }
        }
        ends.push(put + bytes.len());
    }
    output.put(&bytes)?;
    output.finish()?;
    Ok(ends)
}
