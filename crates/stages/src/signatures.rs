//! Signatures: of each document of a split the MinHash signature of its text, and the hashes of its
//! bands, in an order in which documents that share a band are found.
//!
//! Texts are decoded from the tokens, so that the corpus is not read again. Files, `NNNNN` the
//! split: `NNNNN.signatures` (u8 by row: the signature, then its checksum in 8 bytes),
//! `NNNNN.bands` (u32: upper and lower half of a band's hash, and the row) and `NNNNN.ranges` (u64:
//! the end of a range of `bands`, in entries, and its checksum). Rows are taken in blocks of 32,768.
//! In `bands`, block follows block, in it band follows band, and its entries are sorted. A band's
//! entries are 256 ranges, by the highest byte of the hash. A document that has no words is in no
//! band.

use std::ops::Range;
use std::path::{Path, PathBuf};

use longweave_common::{DocId, Error};
use longweave_duplicates::{Bands, Hashes, runs};
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord, hash_elements, read_array};
use longweave_tokens::TokenStore;
use rayon::prelude::*;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::embed::{BATCH_TOKENS, COST, next_rows};
use crate::ingest::{INGEST, IngestPaths};
use crate::prelude::*;
use crate::scan::{self, Rows};

/// Rows of a block.
const BLOCK: usize = 1 << 15;
/// Ranges of a band's entries in a block.
pub(crate) const RANGES: u32 = 256;
/// Bytes of a signature's checksum.
const SUM: usize = 8;

/// Counts of a task, in its done record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SignatureCounts {
    /// Documents with a signature.
    pub documents: u64,
}

pub const SIGNATURES: Stage =
    Stage::new("signatures", "Making signatures", ProgressUnit::Documents, 1, &SignaturesStage);

struct SignaturesStage;

impl StageSpec for SignaturesStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![INGEST]
    }

    fn needed(&self, options: &RunOptions, _inventory: &Inventory) -> bool {
        options.needs_signatures()
    }

    fn identity(&self, file: &RunFile) -> Value {
        let near = &file.options.near;
        let bands = near.bands();
        json!({ "words": near.words, "hashes": near.hashes, "bands": bands.number, "rows": bands.rows })
    }

    fn tasks(&self, run: &RunContext) -> Result<Option<u32>> {
        Ok(Some(run.file.inventory.splits.len() as u32))
    }

    fn units(&self, run: &RunContext, tasks: &[u32]) -> Result<u64> {
        scan::rows_in(run, tasks)
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let (near, splits) = (&run.options().near, run.file.inventory.splits.len() as f64);
        let (hashes, bands) = (f64::from(near.hashes), f64::from(near.bands().number));
        let ranges = (facts.rows / BLOCK as f64 + splits) * 16.0 * f64::from(RANGES) * bands;
        Ok(facts.rows * (hashes + SUM as f64 + 12.0 * bands) + ranges)
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, task: u32) -> Result<DoneRecord> {
        let near = &run.options().near;
        let (hashes, bands) = (Hashes::new(near.hashes as usize), near.bands());
        let encoder = run.resources.encoder()?;
        let ingested = IngestPaths::of(&run.directory(INGEST), task);
        let lens = read_array::<u32>(&ingested.lens)?;
        let store = TokenStore::open(vec![(0, ingested.tokens)])?;
        let mut files =
            SignatureFiles::create(&run.directory(SIGNATURES), task, near.hashes, bands)?;

        let block = (BLOCK.min(lens.len()) * bands.number as usize * size_of::<Entry>()) as u64;
        let block = block.min(ctx.budget.limit() / 2);
        // Signatures that are made at once.
        let row_bytes = 4 * u64::from(near.hashes) + 24;
        let most_rows = (ctx.budget.limit() / 8 / row_bytes).clamp(1, BLOCK as u64) as usize;
        let signed = row_bytes * most_rows as u64;
        let limit = BATCH_TOKENS.min(ctx.budget.limit() / COST / 8);
        let mut held = ctx.budget.reserve(block + signed + COST * limit, &ctx.cancel)?;
        let (mut row, mut documents) = (0, 0);
        while row < lens.len() {
            ctx.cancel.check()?;
            let of_block = (BLOCK - row % BLOCK).min(most_rows);
            let (rows, tokens) = next_rows(&lens[row..lens.len().min(row + of_block)], limit);
            held = held.exchange(block + signed + COST * tokens.max(limit), &ctx.cancel)?;
            let sign = |row: usize| -> Result<Option<Vec<u32>>> {
                let mut ids = Vec::new();
                store.read_into(DocId::new(row as u32), 0, lens[row], &mut ids)?;
                let runs = runs(&encoder.decode(&ids)?, near.words as usize);
                Ok((!runs.is_empty()).then(|| hashes.least(&runs)))
            };
            let least: Vec<Option<Vec<u32>>> = ctx.pool.install(|| {
                (row..row + rows).into_par_iter().with_min_len(8).map(sign).collect::<Result<_>>()
            })?;
            for (least, row) in least.iter().zip(row as u32..) {
                files.push(row, least.as_deref())?;
                documents += u64::from(least.is_some());
            }
            row += rows;
            if row % BLOCK == 0 || row == lens.len() {
                ctx.pool.install(|| files.end_block())?;
            }
            ctx.progress.advance(rows as u64);
        }
        SignatureCounts { documents }.done(files.commit()?)
    }
}

impl Counts for SignatureCounts {
    const STAGE: Stage = SIGNATURES;
}

/// The hash of a band, and the row.
type Entry = (u64, u32);

/// The names of a split's files.
struct SignatureNames {
    signatures: PathBuf,
    bands: PathBuf,
    ranges: PathBuf,
}

impl SignatureNames {
    fn of(directory: &Path, split: u32) -> SignatureNames {
        let name = |kind: &str| directory.join(format!("{split:05}.{kind}"));
        SignatureNames {
            signatures: name("signatures"),
            bands: name("bands"),
            ranges: name("ranges"),
        }
    }
}

struct SignatureFiles {
    names: SignatureNames,
    signatures: ArrayWriter<u8>,
    bands: ArrayWriter<u32>,
    ranges: ArrayWriter<u64>,
    /// Of the open block, by band.
    entries: Vec<Vec<Entry>>,
    division: Bands,
    signature: Vec<u8>,
    hashes: usize,
    end: u64,
}

impl SignatureFiles {
    fn create(
        directory: &Path,
        split: u32,
        hashes: u32,
        division: Bands,
    ) -> Result<SignatureFiles> {
        let names = SignatureNames::of(directory, split);
        Ok(SignatureFiles {
            signatures: ArrayWriter::create(&names.signatures)?,
            bands: ArrayWriter::create(&names.bands)?,
            ranges: ArrayWriter::create(&names.ranges)?,
            names,
            entries: vec![Vec::new(); division.number as usize],
            division,
            signature: Vec::new(),
            hashes: hashes as usize,
            end: 0,
        })
    }

    /// The next row; `None` for a document that has no words.
    fn push(&mut self, row: u32, least: Option<&[u32]>) -> Result<()> {
        self.signature.clear();
        self.signature.extend(least.into_iter().flat_map(Hashes::signature));
        self.signature.resize(self.hashes, 0);
        let sum = xxh3_64(&self.signature);
        self.signature.extend(sum.to_le_bytes());
        self.signatures.push(&self.signature)?;
        for (entries, hash) in self
            .entries
            .iter_mut()
            .zip(least.into_iter().flat_map(|least| self.division.hashes(least)))
        {
            entries.push((hash, row));
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        self.entries.par_iter_mut().for_each(|entries| entries.sort_unstable());
        for entries in &mut self.entries {
            let mut rest = entries.as_slice();
            for range in 0..u64::from(RANGES) {
                let (own, after) =
                    rest.split_at(rest.partition_point(|&(hash, _)| hash >> 56 <= range));
                let packed: Vec<u32> = own
                    .iter()
                    .flat_map(|&(hash, row)| [(hash >> 32) as u32, hash as u32, row])
                    .collect();
                self.bands.push(&packed)?;
                self.end += own.len() as u64;
                self.ranges.push(&[self.end, sum_of(&packed)])?;
                rest = after;
            }
            entries.clear();
        }
        Ok(())
    }

    fn commit(self) -> Result<Vec<FileRecord>> {
        Ok(vec![
            FileRecord::at(&self.names.signatures, self.signatures.commit()?),
            FileRecord::at(&self.names.bands, self.bands.commit()?),
            FileRecord::at(&self.names.ranges, self.ranges.commit()?),
        ])
    }
}

fn sum_of(packed: &[u32]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash_elements(packed, &mut hash);
    hash.digest()
}

/// Compares the checksums of a task's share of the files, so that all tasks together find damage
/// where no one reads.
pub(crate) fn check_share(ctx: &Ctx, run: &RunContext, task: u32, tasks: u32) -> Result<()> {
    let directory = run.directory(SIGNATURES);
    let splits = run.file.inventory.splits.len() as u32;
    for split in (task..splits).step_by(tasks as usize) {
        ctx.cancel.check()?;
        let names = SignatureNames::of(&directory, split);
        ArrayFile::<u64>::open(&names.ranges)?.check()?;
        ArrayFile::<u32>::open(&names.bands)?.check()?;
        ArrayFile::<u8>::open(&names.signatures)?.check()?;
    }
    Ok(())
}

/// Appends the entries of a band whose hashes are in some ranges, of all documents: (hash,
/// document). They are in no order.
pub(crate) fn read_band(
    ctx: &Ctx,
    run: &RunContext,
    rows: &Rows,
    band: u32,
    ranges: Range<u32>,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let (directory, bands) = (run.directory(SIGNATURES), run.options().near.bands().number);
    let (mut ends, mut packed) = (Vec::new(), Vec::new());
    for (split, &first) in (0..).zip(&rows.first[..rows.first.len() - 1]) {
        ctx.cancel.check()?;
        let names = SignatureNames::of(&directory, split);
        let (file, places) =
            (ArrayFile::<u32>::open(&names.bands)?, ArrayFile::<u64>::open(&names.ranges)?);
        for block in 0..u64::from(rows.count(split as usize)).div_ceil(BLOCK as u64) {
            let place = (block * u64::from(bands) + u64::from(band)) * u64::from(RANGES)
                + u64::from(ranges.start);
            // The end of the range before these is where they begin.
            let before = u64::from(place > 0);
            ends.clear();
            places.read_into(
                2 * (place - before),
                2 * (ranges.len() + before as usize),
                &mut ends,
            )?;
            let mut start = if before > 0 { ends[0] } else { 0 };
            for range in ends[2 * before as usize..].chunks_exact(2) {
                let (end, sum) = (range[0], range[1]);
                packed.clear();
                let own = end.checked_sub(start).filter(|&own| own <= BLOCK as u64);
                let own = own.ok_or_else(|| damaged(&names.ranges))?;
                file.read_into(3 * start, 3 * own as usize, &mut packed)?;
                if sum_of(&packed) != sum {
                    return Err(damaged(&names.bands));
                }
                let entry = |e: &[u32]| (u64::from(e[0]) << 32 | u64::from(e[1]), first + e[2]);
                entries.extend(packed.chunks_exact(3).map(entry));
                start = end;
            }
        }
    }
    Ok(())
}

/// The signatures of some documents, rising, one after the other.
pub(crate) fn read_signatures(
    ctx: &Ctx,
    run: &RunContext,
    rows: &Rows,
    documents: &[u32],
) -> Result<Vec<u8>> {
    let (directory, hashes) = (run.directory(SIGNATURES), run.options().near.hashes as usize);
    let mut signatures = Vec::with_capacity(documents.len() * hashes);
    let mut own = Vec::with_capacity(hashes + SUM);
    let split = |doc: u32| rows.place(DocId::new(doc)).0;
    for same in documents.chunk_by(|&a, &b| split(a) == split(b)) {
        ctx.cancel.check()?;
        let path = SignatureNames::of(&directory, split(same[0]) as u32).signatures;
        let file = ArrayFile::<u8>::open(&path)?;
        for &doc in same {
            let (_, row) = rows.place(DocId::new(doc));
            own.clear();
            file.read_into(u64::from(row) * (hashes + SUM) as u64, hashes + SUM, &mut own)?;
            let (signature, sum) = own.split_at(hashes);
            if sum != xxh3_64(signature).to_le_bytes() {
                return Err(damaged(&path));
            }
            signatures.extend_from_slice(signature);
        }
    }
    Ok(signatures)
}

fn damaged(path: &Path) -> Error {
    let message = format!(
        "{} does not match its checksums; delete it and run again; its split is then read again",
        path.display()
    );
    Error::corrupt(path, message)
}
