//! Features by the words of all phrases, which are held in memory.

use longweave_common::{Ctx, Result};

use super::words::{Words, distinct};
use crate::lists::{Lists, in_order};
use crate::numbering::Numbered;
use crate::stored::Space;

/// Hands on the features of document after document.
pub(super) fn features(
    ctx: &Ctx,
    numbered: &Numbered<'_>,
    words: &mut Words,
    space: Space<'_>,
    take: impl FnMut(&[u32]) -> Result<()>,
) -> Result<()> {
    let mut of_phrase = Lists::new();
    numbered.texts.each(numbered.documents.len() as u32, |number, text| {
        if numbered.informative[number as usize] {
            words.of(text, |word| of_phrase.push(word));
        }
        of_phrase.end();
    })?;
    let make = |row: usize, out: &mut Vec<u32>| -> Result<()> {
        let (mut own, mut buffer) = (Vec::new(), Vec::new());
        for &number in numbered
            .numbers
            .get(numbered.rows.span(row), &mut buffer)?
            .iter()
            .filter(|&&n| numbered.informative[n as usize])
        {
            own.push(number);
            own.extend_from_slice(of_phrase.get(number as usize));
        }
        distinct(&mut own);
        out.extend_from_slice(&own);
        Ok(())
    };
    let size = |row: usize| 4 * numbered.rows.range(row).len();
    in_order(ctx, numbered.rows.len(), space.most::<u32>(), size, make, take)
}
