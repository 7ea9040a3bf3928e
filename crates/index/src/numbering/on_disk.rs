//! Numbering on the disk, for candidates that do not fit into memory: occurrences are dealt to one
//! file a partition, each partition is numbered alone, and the numbers are merged back into the
//! order of documents. Gives what [`in_memory`](super::in_memory()) gives.
//!
//! Costs in memory: the candidates of some splits, which take no more than a quarter of the memory
//! bound or are two; two buffers of [`BUFFER`](crate::scratch::BUFFER) bytes a partition, one
//! partition's phrases and 12 bytes an occurrence of it a thread; 2 KiB a split; 4 bytes an
//! occurrence more where the numbers take no more than an eighth of the memory bound. On the disk:
//! every occurrence's text and 5 bytes, and every distinct phrase. Files in the scratch folder:
//! `NNN.texts` (u32 length and bytes of each occurrence), `NNN.phrases` (the same of each distinct
//! phrase), `NNN.numbers` (u32) and `partitions` (u8 by occurrence); the column of all occurrences'
//! numbers is set aside there.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use hashbrown::HashTable;
use longweave_common::{Code, Ctx, Error, Offsets, Result, ResultExt};
use longweave_keywords::Boilerplate;
use longweave_storage::{Stored, StoredWriter};
use rayon::prelude::*;

use super::dealt::Dealt;
use super::numbered::{Numbered, Texts};
use super::partitions::{Naming, PARTITIONS, Spellings, partition};
use crate::candidates::{CandidateTable, sizes};
use crate::lists::{Lists, in_order};
use crate::scratch::{Input, Output, Scratch, push_text};

/// Numbers the phrases of the tables at `files`.
pub(crate) fn on_disk<'a>(
    ctx: &Ctx,
    files: &[(PathBuf, u32)],
    boilerplate: &Boilerplate,
    scratch: &'a Scratch,
    naming: Naming,
) -> Result<Numbered<'a>> {
    let (rows, mut dealt) = deal(ctx, files, scratch, naming)?;
    let parts: Vec<Part> = (0..PARTITIONS)
        .into_par_iter()
        .map(|p| number_partition(ctx, p, boilerplate, scratch, naming))
        .collect::<Result<_>>()?;
    for part in &parts {
        dealt.bases.push(dealt.first(dealt.bases.len() - 1) + part.documents.len() as u32);
    }
    let numbers = merge(ctx, &dealt)?;
    let (mut documents, mut informative, mut ranks) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        documents.extend(part.documents);
        informative.extend(part.informative);
        ranks.extend(part.ranks);
    }
    Ok(Numbered { rows, numbers, documents, informative, ranks, texts: Texts::Files(dealt) })
}

/// The candidates of a split, by partition.
struct SplitTexts {
    first: u32,
    rows: Offsets,
    /// The partition of each occurrence.
    partitions: Vec<u8>,
    /// Of each partition, as its file holds them.
    texts: Vec<Vec<u8>>,
}

/// Distributes all occurrences over partitions. Returns each document's occurrences.
fn deal<'a>(
    ctx: &Ctx,
    files: &[(PathBuf, u32)],
    scratch: &'a Scratch,
    naming: Naming,
) -> Result<(Offsets, Dealt<'a>)> {
    let mut outputs = (0..PARTITIONS)
        .map(|p| Output::create(scratch.file(p, "texts")))
        .collect::<Result<Vec<_>>>()?;
    let mut partitions = Output::create(scratch.column("partitions"))?;
    let mut rows = Offsets::default();
    let mut dealt =
        Dealt { scratch, bases: vec![0], documents: vec![0], before: vec![0; PARTITIONS] };
    let bytes = files
        .iter()
        .map(|(prefix, _)| Ok(sizes(prefix)?.0 as usize))
        .collect::<Result<Vec<usize>>>()?;
    let read = |split: usize, _: &mut (), _: &mut Vec<()>| -> Result<SplitTexts> {
        let (prefix, first) = &files[split];
        let table = CandidateTable::open(prefix, *first)?;
        let mut partitions = Vec::with_capacity(table.phrases.len());
        let mut texts: Vec<Vec<u8>> =
            (0..PARTITIONS).map(|_| Vec::with_capacity(bytes[split] / PARTITIONS)).collect();
        for text in table.phrases.iter() {
            let p = partition(naming.hash(text));
            partitions.push(p as u8);
            push_text(text, &mut texts[p])?;
        }
        Ok(SplitTexts { first: table.first, rows: table.rows, partitions, texts })
    };
    let write = |_: &Lists<()>, splits: &[SplitTexts]| {
        for split in splits {
            if split.first as usize != rows.len() {
                let message = format!(
                    "the candidates of document {} follow those of {} documents",
                    split.first,
                    rows.len()
                );
                return Err(Error::new(
                    Code::FileCorrupt,
                    message + "; delete the work directory and run again",
                ));
            }
            partitions.put(&split.partitions)?;
            rows.extend(&split.rows);
            dealt.documents.push(rows.len());
            let mut counts = [0; PARTITIONS];
            split.partitions.iter().for_each(|&p| counts[usize::from(p)] += 1);
            let begin = dealt.before.len() - PARTITIONS;
            for (p, count) in counts.into_iter().enumerate() {
                dealt.before.push(dealt.before[begin + p] + count);
            }
        }
        outputs.par_iter_mut().enumerate().try_for_each(|(p, output)| {
            splits.iter().try_for_each(|split| output.put(&split.texts[p]))
        })
    };
    let most = (ctx.budget.limit() / 4) as usize;
    in_order(ctx, files.len(), most, |split| bytes[split], read, write)?;
    outputs.into_iter().try_for_each(Output::finish)?;
    partitions.finish()?;
    Ok((rows, dealt))
}

/// The columns of a partition's phrases.
struct Part {
    documents: Vec<u32>,
    informative: Vec<bool>,
    ranks: Vec<u16>,
}

/// Texts end to end.
#[derive(Default)]
struct Spelled {
    texts: String,
    ends: Offsets,
}

impl Spelled {
    /// The number of a text that is added.
    fn push(&mut self, text: &str) -> u32 {
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        self.ends.len() as u32 - 1
    }

    fn get(&self, number: u32) -> &str {
        &self.texts[self.ends.range(number as usize)]
    }
}

fn number_partition(
    ctx: &Ctx,
    p: usize,
    boilerplate: &Boilerplate,
    scratch: &Scratch,
    naming: Naming,
) -> Result<Part> {
    ctx.cancel.check()?;
    let mut input = Input::open(scratch.file(p, "texts"))?;
    let mut numbers = Output::create(scratch.file(p, "numbers"))?;
    let mut phrases = Output::create(scratch.file(p, "phrases"))?;
    let mut part = Part { documents: Vec::new(), informative: Vec::new(), ranks: Vec::new() };
    // The distinct spellings end to end.
    let (mut held, mut hashes) = (Spelled::default(), Vec::<u64>::new());
    let mut spellings: Vec<Spellings<u32>> = Vec::new();
    let mut known: HashTable<u32> = HashTable::new();
    while let Some(text) = input.text()? {
        let hash = naming.hash(text);
        let mut is_first = true;
        let same = |&number: &u32| {
            hashes[number as usize] == hash && {
                let first = held.get(spellings[number as usize].first);
                is_first = first == text;
                is_first || (naming.searchable && naming.key(first) == naming.key(text))
            }
        };
        let number = match known.find(hash, same) {
            Some(&number) => number,
            None => {
                let number = spellings.len() as u32;
                hashes.push(hash);
                known.insert_unique(hash, number, |&n| hashes[n as usize]);
                spellings.push(Spellings::new(held.push(text)));
                is_first = true;
                number
            }
        };
        spellings[number as usize].count(is_first, || held.push(text));
        numbers.put(&number.to_le_bytes())?;
    }
    numbers.finish()?;
    for own in &spellings {
        let name = held.get(own.name(|spelling| held.get(spelling)));
        part.documents.push(own.all());
        part.informative.push(!boilerplate.contains(name));
        part.ranks.push(naming.rank(name));
        phrases.text(name)?;
    }
    phrases.finish()?;
    fs::remove_file(&input.path).at("remove", &input.path)?;
    Ok(part)
}

/// Merges the partitions' numbers into the order of occurrences, split by split.
fn merge(ctx: &Ctx, dealt: &Dealt<'_>) -> Result<Stored<u32>> {
    let most = (ctx.budget.limit() / 8 / 4) as usize;
    let mut numbers = StoredWriter::new(most, Some(dealt.scratch.column("numbers")));
    let files = dealt.open("numbers")?;
    let make = |split: usize, _: &mut (), out: &mut Vec<u32>| -> Result<()> {
        let span = |p: usize| {
            let Range { start, end } = dealt.part(split, p);
            4 * start..4 * end
        };
        let mut parts = files.read(split, span)?;
        for occurrence in 0..dealt.occurrences(split) {
            let base = dealt.first(usize::from(parts.partitions[occurrence]));
            out.push(base + parts.u32(occurrence));
        }
        Ok(())
    };
    let size = |split: usize| dealt.occurrences(split);
    in_order(ctx, dealt.splits(), most.max(1), size, make, |lists, _| {
        numbers.push(lists.parts().0)
    })?;
    numbers.finish()
}
