//! The features of each document: its informative candidates and their words, as numbers. Phrases
//! have the numbers that they have in [`Numbered`]; words follow, in the order in which they first
//! occur among phrases.
//!
//! Costs in memory: 8 bytes a document, about 40 a distinct word while features are made, and those
//! of a column ([`Space`]); where phrases are held in memory, 8 a phrase and 4 a word of each more
//! meanwhile, and on the disk those of one partition of phrases.

use hashbrown::HashMap;
use longweave_common::random::Key;
use longweave_common::{Ctx, DocId, Result};
use longweave_storage::Stored;

use crate::lists::{Lists, in_order};
use crate::numbering::{Numbered, Texts};
use crate::spill;
use crate::stored::{ColumnWriter, Space};

/// The features of all documents, of each in rising order, each once.
pub(crate) struct Features {
    ends: Vec<u64>,
    items: Stored<u32>,
    /// Those below are phrases, the others words.
    pub(crate) phrases: u32,
    /// How many there are.
    pub(crate) all: usize,
}

impl Features {
    /// Those of the documents that are numbered.
    pub(crate) fn of(ctx: &Ctx, numbered: &Numbered<'_>, space: Space<'_>) -> Result<Features> {
        let mut words = Words::after(numbered.documents.len() as u32);
        let mut builder = FeatureBuilder {
            ends: Vec::with_capacity(numbered.rows()),
            items: space.store("features"),
        };
        match (&numbered.texts, space.scratch) {
            (Texts::Files(files), Some(scratch)) => {
                spill::features(ctx, files, numbered, &mut words, scratch, |row| builder.push(row))?
            }
            _ => held(ctx, numbered, &mut words, space, |row| builder.push(row))?,
        }
        Ok(Features {
            ends: builder.ends,
            items: builder.items.finish()?,
            phrases: words.first,
            all: words.first as usize + words.known.len(),
        })
    }

    fn range(&self, doc: DocId) -> std::ops::Range<u64> {
        let start = if doc.index() == 0 { 0 } else { self.ends[doc.index() - 1] };
        start..self.ends[doc.index()]
    }

    /// How many a document has.
    pub(crate) fn len(&self, doc: DocId) -> usize {
        let range = self.range(doc);
        (range.end - range.start) as usize
    }

    /// Appends those of a document.
    pub(crate) fn append(
        &self,
        doc: DocId,
        buffer: &mut Vec<u32>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.extend_from_slice(self.items.get(self.range(doc), buffer)?);
        Ok(())
    }
}

struct FeatureBuilder {
    ends: Vec<u64>,
    items: ColumnWriter<u32>,
}

impl FeatureBuilder {
    fn push(&mut self, row: &[u32]) -> Result<()> {
        self.items.push(row)?;
        self.ends.push(self.items.len());
        Ok(())
    }
}

/// Numbers of words.
pub(crate) struct Words {
    first: u32,
    known: HashMap<[u8; 16], u32>,
}

impl Words {
    /// None yet; their numbers begin at `first`.
    fn after(first: u32) -> Words {
        Words { first, known: HashMap::new() }
    }

    /// Calls `visit` with the number of each word of a phrase.
    pub(crate) fn of(&mut self, phrase: &str, mut visit: impl FnMut(u32)) {
        for word in phrase.split(' ').filter(|w| !w.is_empty()) {
            let next = self.first + self.known.len() as u32;
            visit(*self.known.entry(Key::of(word).0.to_le_bytes()).or_insert(next));
        }
    }
}

/// Sorts features; each once.
pub(crate) fn distinct(features: &mut Vec<u32>) {
    features.sort_unstable();
    features.dedup();
}

/// Hands on the features of document after document, by the words of all phrases in memory.
fn held(
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
    let occurrences = |row: usize| (numbered.range(row).end - numbered.range(row).start) as usize;
    let make = |row: usize, out: &mut Vec<u32>| -> Result<()> {
        let (mut own, mut buffer) = (Vec::new(), Vec::new());
        for &number in numbered
            .numbers
            .get(numbered.range(row), &mut buffer)?
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
    in_order(ctx, numbered.rows(), space.most::<u32>(), |row| 4 * occurrences(row), make, take)
}
