//! The files that a numbering on the disk leaves, read split by split.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use longweave_common::{Result, ResultExt};
use longweave_storage::read_exact_at;
use rayon::prelude::*;

use super::partitions::PARTITIONS;
use crate::scratch::{Input, Scratch};

/// The files of a numbering, and which part of each belongs to which split.
pub(crate) struct Dealt<'a> {
    pub(super) scratch: &'a Scratch,
    /// The number of each partition's first phrase, and after them how many there are.
    pub(super) bases: Vec<u32>,
    /// The first document of each split, and after them how many there are.
    pub(super) documents: Vec<usize>,
    /// Split after split and in the end: occurrences of each partition before it.
    pub(super) before: Vec<u64>,
}

impl Dealt<'_> {
    /// A file of a partition.
    pub(crate) fn file(&self, partition: usize, kind: &str) -> PathBuf {
        self.scratch.file(partition, kind)
    }

    /// The number of a partition's first phrase.
    pub(crate) fn first(&self, partition: usize) -> u32 {
        self.bases[partition]
    }

    pub(crate) fn splits(&self) -> usize {
        self.documents.len() - 1
    }

    pub(crate) fn documents(&self, split: usize) -> Range<usize> {
        self.documents[split]..self.documents[split + 1]
    }

    /// A split's occurrences among those of a partition.
    pub(crate) fn part(&self, split: usize, partition: usize) -> Range<u64> {
        let at = split * PARTITIONS + partition;
        self.before[at]..self.before[at + PARTITIONS]
    }

    pub(super) fn begin(&self, split: usize) -> u64 {
        self.before[split * PARTITIONS..][..PARTITIONS].iter().sum()
    }

    /// Occurrences of a split.
    pub(crate) fn occurrences(&self, split: usize) -> usize {
        (self.begin(split + 1) - self.begin(split)) as usize
    }

    /// The phrases of rising numbers.
    pub(crate) fn texts(&self, numbers: &[u32]) -> Result<Vec<String>> {
        let of_partition = |p: usize| -> Result<Vec<String>> {
            let place = |number: u32| numbers.partition_point(|&n| n < number);
            let mut wanted = numbers[place(self.bases[p])..place(self.bases[p + 1])].iter();
            let (mut next, mut found) = (wanted.next(), Vec::with_capacity(wanted.len() + 1));
            let mut input = Input::open(self.file(p, "phrases"))?;
            let mut number = self.bases[p];
            while next.is_some()
                && let Some(text) = input.text()?
            {
                if next == Some(&number) {
                    found.push(text.to_owned());
                    next = wanted.next();
                }
                number += 1;
            }
            Ok(found)
        };
        let parts = (0..PARTITIONS).into_par_iter().map(of_partition);
        Ok(parts.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Opens one kind of files, to read them split by split.
    pub(crate) fn open(&self, kind: &str) -> Result<DealtFiles<'_>> {
        let open = |path: PathBuf| -> Result<(File, PathBuf)> {
            Ok((File::open(&path).at("open", &path)?, path))
        };
        let files = (0..PARTITIONS).map(|p| open(self.file(p, kind))).collect::<Result<_>>()?;
        Ok(DealtFiles { dealt: self, files, partitions: open(self.scratch.column("partitions"))? })
    }
}

/// Files of all partitions.
pub(crate) struct DealtFiles<'a> {
    dealt: &'a Dealt<'a>,
    files: Vec<(File, PathBuf)>,
    partitions: (File, PathBuf),
}

impl DealtFiles<'_> {
    /// The part of a split in all files; `span` gives its bytes in a partition's file.
    pub(crate) fn read(
        &self,
        split: usize,
        span: impl Fn(usize) -> Range<u64>,
    ) -> Result<SplitParts> {
        let (file, path) = &self.partitions;
        let mut partitions = vec![0; self.dealt.occurrences(split)];
        read_exact_at(file, &mut partitions, self.dealt.begin(split)).at("read", path)?;
        let (mut bytes, mut next) = (Vec::new(), Vec::with_capacity(PARTITIONS));
        for (p, (file, path)) in self.files.iter().enumerate() {
            let (span, begin) = (span(p), bytes.len());
            next.push(begin);
            bytes.resize(begin + (span.end - span.start) as usize, 0);
            read_exact_at(file, &mut bytes[begin..], span.start).at("read", path)?;
        }
        Ok(SplitParts { partitions, bytes, next })
    }
}

/// The parts of a split in the files of all partitions.
pub(crate) struct SplitParts {
    /// The partition of each occurrence.
    pub(super) partitions: Vec<u8>,
    bytes: Vec<u8>,
    /// The place of each partition's next number in `bytes`.
    next: Vec<usize>,
}

impl SplitParts {
    /// The next number of the partition of an occurrence.
    pub(crate) fn u32(&mut self, occurrence: usize) -> u32 {
        let next = &mut self.next[usize::from(self.partitions[occurrence])];
        let bytes = [0, 1, 2, 3].map(|at| self.bytes[*next + at]);
        *next += 4;
        u32::from_le_bytes(bytes)
    }
}
