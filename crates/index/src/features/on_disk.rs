//! Features by the files of a numbering on the disk. Adds `NNN.features` to them (u32: of each
//! occurrence how many features it has, and their numbers).

use std::io::{BufRead, Read};
use std::path::PathBuf;

use longweave_common::{Ctx, Result, ResultExt};

use super::words::{Words, distinct};
use crate::lists::Lists;
use crate::numbering::{Numbered, PARTITIONS};
use crate::scratch::{BUFFER, Input, Output, Scratch};

/// Hands on the features of document after document: those of all occurrences, partition by
/// partition, merged back into the order of documents.
pub(super) fn features(
    ctx: &Ctx,
    phrases: &[PathBuf],
    numbered: &Numbered<'_>,
    all: &mut Words,
    scratch: &Scratch,
    mut take: impl FnMut(&[u32]) -> Result<()>,
) -> Result<()> {
    let (mut base, mut text) = (0, String::new());
    for (p, phrases) in phrases.iter().enumerate() {
        ctx.cancel.check()?;
        // The features of each phrase of the partition, then of each of its occurrences.
        let mut of_phrase: Lists<u32> = Lists::new();
        let mut input = Input::open(phrases.clone())?;
        while input.text(&mut text)? {
            let number = base + of_phrase.len() as u32;
            if numbered.informative[number as usize] {
                of_phrase.push(number);
                all.of(&text, |word| of_phrase.push(word));
            }
            of_phrase.end();
        }
        base += of_phrase.len() as u32;
        let mut numbers = Input::open(scratch.file(p, "numbers"))?;
        let mut output = Output::create(scratch.file(p, "features"))?;
        while !numbers.file.fill_buf().at("read", &numbers.path)?.is_empty() {
            let own = of_phrase.get(numbers.u32()? as usize);
            output.put(&(own.len() as u32).to_le_bytes())?;
            own.iter().try_for_each(|feature| output.put(&feature.to_le_bytes()))?;
        }
        output.finish()?;
    }
    let mut partitions = Input::open(scratch.column("partitions"))?;
    let mut inputs = (0..PARTITIONS)
        .map(|p| Input::open(scratch.file(p, "features")))
        .collect::<Result<Vec<_>>>()?;
    let (mut row, mut of) = (Vec::new(), Vec::new());
    for document in 0..numbered.rows.len() {
        if document % BUFFER == 0 {
            ctx.cancel.check()?;
        }
        of.resize(numbered.rows.range(document).len(), 0);
        partitions.file.read_exact(&mut of).at("read", &partitions.path)?;
        row.clear();
        for &p in &of {
            let input = &mut inputs[usize::from(p)];
            for _ in 0..input.u32()? {
                row.push(input.u32()?);
            }
        }
        distinct(&mut row);
        take(&row)?;
    }
    Ok(())
}
