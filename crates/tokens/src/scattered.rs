//! Tokens in the order of a plan: for each split a column with the own tokens of every piece that
//! it holds, one piece after the other as the plan orders them. A reader that follows a plan reads
//! each split from its beginning to its end.
//!
//! Files: `NNNNN.ids`, and `NNNNN.sums` (u64, the xxh3-64 of what each output shard reads of it),
//! so that a shard that reads its part of every split knows that it read what was written.

use std::path::{Path, PathBuf};

use longweave_common::{Ctx, DocId, Error, Offsets, Result};
use longweave_storage::{
    ArrayFile, ArrayWriter, FileRecord, Scalar, Stored, hash_elements, read_array, with_suffix,
    write_array,
};
use xxhash_rust::xxh3::Xxh3Default;

use crate::columns::{Column, Columns, Ids};
use crate::store::split_of;

/// Ids that are written at once, about.
const GATHERED: usize = 1 << 15;

/// A run of one row's own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRun {
    /// The row of the split.
    pub row: u32,
    /// Its first token.
    pub start: u32,
    /// Tokens, at least 1.
    pub len: u32,
}

/// A split's ids, compared with their checksum.
fn source<T: Scalar>(file: ArrayFile<T>, hold: bool) -> Result<Stored<T>> {
    if hold {
        return file.read_all().map(Stored::Held);
    }
    file.check()?;
    Ok(Stored::File(file))
}

/// Writes the tokens of a split, whose store is at `store`, in the order of `runs` to `PREFIX.ids`.
/// `shards` are the numbers of tokens in front of each output shard, and one more: all. The split's
/// ids are held in memory where they take no more than a quarter of the budget.
///
/// Errors: `FILE_CORRUPT` when the store is damaged or runs reach beyond it, `CANCELLED`, those of
/// writing.
pub fn scatter_split(
    ctx: &Ctx,
    store: &Path,
    runs: impl Iterator<Item = RowRun>,
    shards: &[u64],
    prefix: &Path,
) -> Result<Vec<FileRecord>> {
    match Column::open(&with_suffix(store, ".ids"))? {
        Column::U16(file) => scatter(ctx, store, file, runs, shards, prefix),
        Column::U32(file) => scatter(ctx, store, file, runs, shards, prefix),
    }
}

fn scatter<T: Scalar>(
    ctx: &Ctx,
    store: &Path,
    file: ArrayFile<T>,
    runs: impl Iterator<Item = RowRun>,
    shards: &[u64],
    prefix: &Path,
) -> Result<Vec<FileRecord>> {
    let corrupt = || {
        let message = format!(
            "the plan asks for tokens that {} does not have; delete the work directory and run again",
            store.display()
        );
        Error::corrupt(store, message)
    };
    let rows = Offsets::from_ends(read_array(&with_suffix(store, ".ends"))?).ok_or_else(corrupt)?;
    let bytes = file.len().saturating_mul(T::WIDTH as u64);
    let hold = bytes <= ctx.budget.limit() / 4;
    let _held = ctx.budget.reserve(if hold { bytes } else { 0 }, &ctx.cancel)?;
    let source = source(file, hold)?;
    let ids_path = with_suffix(prefix, ".ids");
    let mut writer: ArrayWriter<T> = ArrayWriter::create(&ids_path)?;
    let mut sums = Sums {
        hash: Xxh3Default::new(),
        shards,
        at: 0,
        sums: Vec::with_capacity(shards.len().saturating_sub(1)),
    };
    let (mut buffer, mut gathered) = (Vec::new(), Vec::with_capacity(GATHERED));
    for (i, run) in runs.enumerate() {
        if i % 4096 == 0 {
            ctx.cancel.check()?;
        }
        let row = run.row as usize;
        let own = (row < rows.len()).then(|| rows.span(row)).and_then(|own| {
            let start = own.start.saturating_add(run.start.into());
            let end = start.saturating_add(run.len.into());
            (end <= own.end).then_some(start..end)
        });
        gathered.extend_from_slice(source.get(own.ok_or_else(corrupt)?, &mut buffer)?);
        if gathered.len() >= GATHERED {
            writer.push(&gathered)?;
            sums.add(&gathered);
            gathered.clear();
        }
    }
    writer.push(&gathered)?;
    sums.add(&gathered);
    let sums_path = with_suffix(prefix, ".sums");
    Ok(vec![
        FileRecord::at(&ids_path, writer.commit()?),
        FileRecord::at(&sums_path, write_array(&sums_path, &sums.finish())?),
    ])
}

/// Checksums of what each output shard reads of a split.
struct Sums<'a> {
    hash: Xxh3Default,
    shards: &'a [u64],
    at: u64,
    sums: Vec<u64>,
}

impl Sums<'_> {
    fn add<T: Scalar>(&mut self, mut ids: &[T]) {
        while !ids.is_empty() {
            self.close();
            let end = self.shards.get(self.sums.len() + 1).copied().unwrap_or(u64::MAX);
            let n = (end - self.at).min(ids.len() as u64) as usize;
            hash_elements(&ids[..n], &mut self.hash);
            self.at += n as u64;
            ids = &ids[n..];
        }
    }

    /// Ends the shards that end here.
    fn close(&mut self) {
        while self.sums.len() + 1 < self.shards.len() && self.shards[self.sums.len() + 1] <= self.at
        {
            self.sums.push(std::mem::take(&mut self.hash).digest());
        }
    }

    fn finish(mut self) -> Vec<u64> {
        self.close();
        self.sums
    }
}

/// Reads scattered tokens. Threads can share it; a bounded number of files is open.
pub struct ScatteredTokens {
    first: Vec<u32>,
    columns: Columns,
    sums: Vec<PathBuf>,
}

impl ScatteredTokens {
    /// Opens what [`scatter_split`] wrote of all splits, each with the `DocId` of its first row, in
    /// order.
    pub fn new(splits: Vec<(u32, PathBuf)>) -> ScatteredTokens {
        ScatteredTokens {
            first: splits.iter().map(|(first, _)| *first).collect(),
            columns: Columns::unchecked(
                splits.iter().map(|(_, prefix)| with_suffix(prefix, ".ids")).collect(),
            ),
            sums: splits.iter().map(|(_, prefix)| with_suffix(prefix, ".sums")).collect(),
        }
    }

    /// Number of splits.
    pub fn splits(&self) -> usize {
        self.first.len()
    }

    /// The split of a document.
    pub fn split_of(&self, doc: DocId) -> usize {
        split_of(&self.first, doc)
    }

    /// Appends `n` ids of a split from `start` on to `ids`, and their bytes to a checksum.
    ///
    /// Errors: `FILE_CORRUPT` beyond the end.
    pub fn read(
        &self,
        split: usize,
        start: u64,
        n: usize,
        ids: &mut Ids,
        hash: &mut Xxh3Default,
    ) -> Result<()> {
        let before = ids.len();
        ids.append(&*self.columns.get(split)?, start, n)?;
        ids.hash(before..before + n, hash);
        Ok(())
    }

    /// Reopens the file of a split when it is next read: the file was replaced.
    pub fn forget(&self, split: usize) {
        self.columns.forget(split);
    }

    /// Compares the checksum of what an output shard read of a split with what was written for it.
    ///
    /// Errors: `FILE_CORRUPT`.
    pub fn check(&self, split: usize, shard: usize, sum: u64) -> Result<()> {
        let sums = ArrayFile::<u64>::open(&self.sums[split])?;
        let mut written = Vec::new();
        sums.read_into(shard as u64, 1, &mut written)?;
        if written == [sum] {
            return Ok(());
        }
        self.columns.forget(split);
        let path = self.columns.path(split);
        let message = format!(
            "{} does not match its checksum; delete it and run again; the task that made it then runs again",
            path.display()
        );
        Err(Error::corrupt(path, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenWriter, Width};

    #[test]
    fn tokens_that_were_made_again_are_read_once_the_old_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let (ctx, prefix) = (Ctx::new(1, 1 << 20).unwrap(), directory.path().join("00000"));
        let make = |tokens: &[u32]| {
            let store = directory.path().join("tokens");
            let mut writer = TokenWriter::create(&store, Width::U16).unwrap();
            writer.push(tokens).unwrap();
            writer.commit().unwrap();
            scatter_split(
                &ctx,
                &store,
                [RowRun { row: 0, start: 0, len: 3 }].into_iter(),
                &[0, 3],
                &prefix,
            )
            .unwrap();
        };
        make(&[1, 2, 4]);
        let store = ScatteredTokens::new(vec![(0, prefix.clone())]);
        let read = || {
            let (mut ids, mut hash, mut out) =
                (Ids::U16(Vec::new()), Xxh3Default::new(), Vec::new());
            store.read(0, 0, 3, &mut ids, &mut hash).unwrap();
            out.resize(3, 0);
            ids.copy(0, &mut out);
            (out, hash.digest())
        };
        assert_eq!(read().0, [1, 2, 4]);
        make(&[1, 2, 3]);
        // The file that is open is the old one; its checksum is not that of the new sums.
        store.forget(0);
        let (ids, sum) = read();
        assert_eq!(ids, [1, 2, 3]);
        store.check(0, 0, sum).unwrap();
    }
}
