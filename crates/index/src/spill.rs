//! Numbering on the disk, for candidates that do not fit into memory: occurrences are dealt to one
//! file a partition, each partition is numbered alone, and the numbers are merged back into the
//! order of documents. Gives what [`crate::numbering::in_memory`] gives.
//!
//! Costs in memory: one split's table a thread, two buffers of [`BUFFER`] bytes a partition, one
//! partition's phrases and 12 bytes an occurrence of it a thread; 4 bytes an occurrence more where
//! the numbers take no more than an eighth of the memory bound. On the disk: every occurrence's
//! text and 5 bytes, and every distinct phrase. Files in the scratch folder: `NNN.texts` (u32
//! length and bytes of each occurrence), `NNN.phrases` (the same of each distinct phrase),
//! `NNN.numbers` (u32), `partitions` (u8 by occurrence) and `NNN.features` (u32: of each occurrence
//! how many features it has, and their numbers); columns of all occurrences' numbers and of the
//! hierarchy are set aside there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use hashbrown::HashTable;
use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_keywords::Boilerplate;
use longweave_storage::{ArrayFile, ArrayWriter, Stored};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::candidates::CandidateTable;
use crate::features::{Words, distinct};
use crate::lists::Lists;
use crate::numbering::{Numbered, PARTITIONS, Texts, partition, words};

/// Bytes of a partition's buffer.
const BUFFER: usize = 64 << 10;

/// A folder of its own, removed with everything in it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, in place of what a killed attempt left there.
    pub(crate) fn create(path: &Path) -> Result<Scratch> {
        if path.exists() {
            fs::remove_dir_all(path).at("remove", path)?;
        }
        fs::create_dir_all(path).at("create", path)?;
        Ok(Scratch(path.to_owned()))
    }

    fn file(&self, partition: usize, kind: &str) -> PathBuf {
        self.0.join(format!("{partition:03}.{kind}"))
    }

    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next attempt removes leftovers, or the removal of the stage's folder does.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes to a file of the scratch folder.
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Output {
    fn create(path: PathBuf) -> Result<Output> {
        let file = BufWriter::with_capacity(BUFFER, File::create(&path).at("create", &path)?);
        Ok(Output { path, file })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).at("write", &self.path)
    }

    fn text(&mut self, text: &str) -> Result<()> {
        let len = u32::try_from(text.len())
            .map_err(|_| Error::new(Code::Internal, "a phrase has more than 4 GiB"))?;
        self.put(&len.to_le_bytes())?;
        self.put(text.as_bytes())
    }

    fn finish(mut self) -> Result<()> {
        self.file.flush().at("write", &self.path)
    }
}

/// Reads a file of the scratch folder from its beginning to its end.
struct Input {
    path: PathBuf,
    file: BufReader<File>,
}

impl Input {
    fn open(path: PathBuf) -> Result<Input> {
        let file = BufReader::with_capacity(BUFFER, File::open(&path).at("open", &path)?);
        Ok(Input { path, file })
    }

    fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes).at("read", &self.path)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The next text into `text`; false after the last.
    fn text(&mut self, text: &mut String) -> Result<bool> {
        text.clear();
        let mut bytes = [0; 4];
        match self.file.read(&mut bytes[..1]).at("read", &self.path)? {
            0 => return Ok(false),
            _ => self.file.read_exact(&mut bytes[1..]).at("read", &self.path)?,
        }
        let len = u32::from_le_bytes(bytes);
        let read =
            (&mut self.file).take(u64::from(len)).read_to_string(text).at("read", &self.path)?;
        if read < len as usize {
            return Err(Error::new(
                Code::FileCorrupt,
                format!("{} ends in the middle of a phrase", self.path.display()),
            ));
        }
        Ok(true)
    }
}

/// Calls `visit` with each number and its phrase, from the partitions' files in order.
pub(crate) fn each_text(files: &[PathBuf], mut visit: impl FnMut(u32, &str)) -> Result<()> {
    let (mut text, mut number) = (String::new(), 0);
    for file in files {
        let mut input = Input::open(file.clone())?;
        while input.text(&mut text)? {
            visit(number, &text);
            number += 1;
        }
    }
    Ok(())
}

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
    let occurrences = rows.last().copied().unwrap_or(0);
    let numbers = merge(ctx, &bases, occurrences, scratch)?;
    let numbers = if occurrences * 4 <= ctx.budget.limit() / 8 {
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

/// Distributes all occurrences over partitions. Returns the end of each document's occurrences.
fn deal(ctx: &Ctx, files: &[(PathBuf, u32)], scratch: &Scratch) -> Result<Vec<u64>> {
    let mut outputs = (0..PARTITIONS)
        .map(|p| Output::create(scratch.file(p, "texts")))
        .collect::<Result<Vec<_>>>()?;
    let mut partitions = Output::create(scratch.0.join("partitions"))?;
    let (mut rows, mut occurrences) = (Vec::new(), 0u64);
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
            rows.extend(table.ends.iter().map(|end| occurrences + end));
            occurrences += of.len() as u64;
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
    let (mut held, mut ends, mut hashes): (String, Vec<usize>, Vec<u64>) =
        (String::new(), Vec::new(), Vec::new());
    let mut known: HashTable<u32> = HashTable::new();
    let mut text = String::new();
    while input.text(&mut text)? {
        let hash = xxh3_64(text.as_bytes());
        let of = |n: u32| &held[if n == 0 { 0 } else { ends[n as usize - 1] }..ends[n as usize]];
        let number = match known.find(hash, |&n| hashes[n as usize] == hash && of(n) == text) {
            Some(&number) => number,
            None => {
                let number = ends.len() as u32;
                hashes.push(hash);
                known.insert_unique(hash, number, |&n| hashes[n as usize]);
                held.push_str(&text);
                ends.push(held.len());
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
    let mut partitions = Input::open(scratch.0.join("partitions"))?;
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

/// Hands on the features of document after document: those of all occurrences, partition by
/// partition, merged back into the order of documents.
pub(crate) fn features(
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
    let mut partitions = Input::open(scratch.0.join("partitions"))?;
    let mut inputs = (0..PARTITIONS)
        .map(|p| Input::open(scratch.file(p, "features")))
        .collect::<Result<Vec<_>>>()?;
    let (mut row, mut of) = (Vec::new(), Vec::new());
    for document in 0..numbered.rows() {
        if document % BUFFER == 0 {
            ctx.cancel.check()?;
        }
        let occurrences = numbered.range(document);
        of.resize((occurrences.end - occurrences.start) as usize, 0);
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
