//! Numbering on the disk, for candidates that do not fit into memory: occurrences are dealt to one
//! file a partition, each partition is numbered alone, and the numbers are merged back into the
//! order of documents. Gives what [`in_memory`](super::in_memory()) gives.
//!
//! Costs in memory: one split's table a thread, two buffers of [`BUFFER`] bytes a partition, one
//! partition's phrases and 12 bytes an occurrence of it a thread; 4 bytes an occurrence more where
//! the numbers take no more than an eighth of the memory bound. On the disk: every occurrence's
//! text and 5 bytes, and every distinct phrase. Files in the scratch folder: `NNN.texts` (u32
//! length and bytes of each occurrence), `NNN.phrases` (the same of each distinct phrase),
//! `NNN.numbers` (u32) and `partitions` (u8 by occurrence); the column of all occurrences' numbers
//! is set aside there.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use hashbrown::HashTable;
use longweave_common::{Code, Ctx, Error, Offsets, Result, ResultExt};
use longweave_keywords::Boilerplate;
use longweave_storage::{ArrayFile, ArrayWriter, Stored};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{Numbered, PARTITIONS, Texts, partition, words};
use crate::candidates::CandidateTable;
use crate::scratch::{BUFFER, Input, Output, Scratch};

/// Numbers the phrases of the tables at `files`.
pub(crate) fn on_disk(
    ctx: &Ctx,
    files: &[(PathBuf, u32)],
    boilerplate: &Boilerplate,
    scratch: &Scratch,
) -> Result<Numbered<'static>> {
    let rows = deal(ctx, files, scratch)?;
    let parts: Vec<Part> = (0..PARTITIONS)
        .into_par_iter()
        .map(|p| number_partition(ctx, p, boilerplate, scratch))
        .collect::<Result<_>>()?;
    let bases: Vec<u32> = parts
        .iter()
        .scan(0, |at, part| Some(std::mem::replace(at, *at + part.documents.len() as u32)))
        .collect();
    let numbers = merge(ctx, &bases, rows.end(), scratch)?;
    let numbers = if rows.end() * 4 <= ctx.budget.limit() / 8 {
        Stored::Held(numbers.read_all()?)
    } else {
        Stored::File(numbers)
    };
    let (mut documents, mut informative, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        documents.extend(part.documents);
        informative.extend(part.informative);
        words.extend(part.words);
    }
    let texts = Texts::Files((0..PARTITIONS).map(|p| scratch.file(p, "phrases")).collect());
    Ok(Numbered { rows, numbers, documents, informative, words, texts })
}

/// Distributes all occurrences over partitions. Returns each document's occurrences.
fn deal(ctx: &Ctx, files: &[(PathBuf, u32)], scratch: &Scratch) -> Result<Offsets> {
    let mut outputs = (0..PARTITIONS)
        .map(|p| Output::create(scratch.file(p, "texts")))
        .collect::<Result<Vec<_>>>()?;
    let mut partitions = Output::create(scratch.column("partitions"))?;
    let mut rows = Offsets::default();
    for files in files.chunks(ctx.pool.current_num_threads()) {
        ctx.cancel.check()?;
        let open = |(prefix, first): &(PathBuf, u32)| -> Result<(CandidateTable, Vec<u8>)> {
            let table = CandidateTable::open(prefix, *first)?;
            let partitions = table
                .phrases
                .iter()
                .map(|text| partition(xxh3_64(text.as_bytes())) as u8)
                .collect();
            Ok((table, partitions))
        };
        for (table, of) in files.par_iter().map(open).collect::<Result<Vec<_>>>()? {
            if table.first as usize != rows.len() {
                let message = format!(
                    "the candidates of document {} follow those of {} documents",
                    table.first,
                    rows.len()
                );
                return Err(Error::new(
                    Code::FileCorrupt,
                    message + "; delete the work directory and run again",
                ));
            }
            for (text, &p) in table.phrases.iter().zip(&of) {
                outputs[usize::from(p)].text(text)?;
            }
            partitions.put(&of)?;
            rows.extend(&table.rows);
        }
    }
    outputs.into_iter().try_for_each(Output::finish)?;
    partitions.finish()?;
    Ok(rows)
}

/// The columns of a partition's phrases.
struct Part {
    documents: Vec<u32>,
    informative: Vec<bool>,
    words: Vec<u16>,
}

fn number_partition(
    ctx: &Ctx,
    p: usize,
    boilerplate: &Boilerplate,
    scratch: &Scratch,
) -> Result<Part> {
    ctx.cancel.check()?;
    let mut input = Input::open(scratch.file(p, "texts"))?;
    let mut numbers = Output::create(scratch.file(p, "numbers"))?;
    let mut phrases = Output::create(scratch.file(p, "phrases"))?;
    let mut part = Part { documents: Vec::new(), informative: Vec::new(), words: Vec::new() };
    // The distinct phrases end to end.
    let (mut held, mut places, mut hashes) = (String::new(), Offsets::default(), Vec::<u64>::new());
    let mut known: HashTable<u32> = HashTable::new();
    let mut text = String::new();
    while input.text(&mut text)? {
        let hash = xxh3_64(text.as_bytes());
        let of = |n: u32| &held[places.range(n as usize)];
        let number = match known.find(hash, |&n| hashes[n as usize] == hash && of(n) == text) {
            Some(&number) => number,
            None => {
                let number = places.len() as u32;
                hashes.push(hash);
                known.insert_unique(hash, number, |&n| hashes[n as usize]);
                held.push_str(&text);
                places.push(held.len());
                part.documents.push(0);
                part.informative.push(!boilerplate.contains(&text));
                part.words.push(words(&text));
                phrases.text(&text)?;
                number
            }
        };
        part.documents[number as usize] += 1;
        numbers.put(&number.to_le_bytes())?;
    }
    numbers.finish()?;
    phrases.finish()?;
    fs::remove_file(&input.path).at("remove", &input.path)?;
    Ok(part)
}

/// Merges the partitions' numbers into the order of occurrences.
fn merge(ctx: &Ctx, bases: &[u32], occurrences: u64, scratch: &Scratch) -> Result<ArrayFile<u32>> {
    let mut partitions = Input::open(scratch.column("partitions"))?;
    let mut inputs = (0..PARTITIONS)
        .map(|p| Input::open(scratch.file(p, "numbers")))
        .collect::<Result<Vec<_>>>()?;
    let mut writer = ArrayWriter::create(&scratch.column("numbers"))?;
    let (mut of, mut numbers) = (vec![0u8; BUFFER], Vec::with_capacity(BUFFER));
    let mut left = occurrences;
    while left > 0 {
        ctx.cancel.check()?;
        let of = &mut of[..left.min(BUFFER as u64) as usize];
        partitions.file.read_exact(of).at("read", &partitions.path)?;
        numbers.clear();
        for &p in &*of {
            numbers.push(bases[usize::from(p)] + inputs[usize::from(p)].u32()?);
        }
        writer.push(&numbers)?;
        left -= of.len() as u64;
    }
    writer.into_unlinked()
}
