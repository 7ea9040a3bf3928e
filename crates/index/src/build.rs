//! Building: occurrences of candidates become numbers of distinct phrases ([`Numbered`]), documents
//! choose among numbers, keywords get their lists and hierarchy. Whether phrases were numbered in
//! memory or on the disk ([`crate::numbering`]) changes nothing.

use std::path::{Path, PathBuf};

use longweave_common::random::{Key, below, draw};
use longweave_common::{Code, Ctx, Error, KeywordId, Result, return_freed_memory};
use longweave_keywords::Boilerplate;
use longweave_neighbours::Vectors;
use rayon::prelude::*;

use crate::candidates::{CandidateTable, sizes};
use crate::features::Features;
use crate::index::postings;
use crate::numbering::{Naming, Numbered, in_memory, on_disk};
use crate::scratch::Scratch;
use crate::stored::Space;
use crate::{Hierarchy, Index, IndexOptions, Representative, affinity, hierarchy, vector_affinity};

/// Documents that choose at once.
const BLOCK: usize = 4096;
/// A column of the hierarchy takes at most this part of the memory bound: up to four are held, in
/// addition to other data.
const COLUMN_SHARE: u64 = 8;
/// Bytes of an occurrence while phrases are numbered in memory, in addition to its text.
const OCCURRENCE_BYTES: u64 = 44;

fn check_order(rows: usize, in_order: bool, documents: usize) -> Result<()> {
    if rows == documents && in_order {
        return Ok(());
    }
    let message = format!(
        "there are candidates of {rows} documents, but {documents} documents; delete the work \
         directory and run again"
    );
    Err(Error::new(Code::FileCorrupt, message))
}

fn naming_of(options: &IndexOptions) -> Naming {
    Naming { searchable: options.searchable }
}

/// Whether tables, in order, are of all documents.
fn check_tables(tables: &[CandidateTable], documents: usize) -> Result<()> {
    let rows: usize = tables.iter().map(CandidateTable::rows).sum();
    let in_order = tables
        .iter()
        .scan(0, |at, t| Some(std::mem::replace(at, *at + t.rows()) == t.first as usize))
        .all(|fits| fits);
    check_order(rows, in_order, documents)
}

/// The documents of an index.
#[derive(Clone, Copy)]
pub struct IndexedDocuments<'a> {
    pub number: usize,
    /// [`Key`] of each id, by `DocId`, where [`IndexOptions::needs_keys`]; else empty.
    pub keys: &'a [u128],
    /// Needed for [`Hierarchy::Vectors`].
    pub vectors: Option<&'a Vectors>,
}

impl<'a> IndexedDocuments<'a> {
    /// All that have a key, without vectors.
    pub fn with(keys: &'a [u128]) -> IndexedDocuments<'a> {
        IndexedDocuments { number: keys.len(), keys, vectors: None }
    }
}

/// Builds the index of a corpus in memory.
///
/// Errors: `FILE_CORRUPT` when tables and documents disagree, `CANCELLED`.
pub fn build(
    ctx: &Ctx,
    tables: &[CandidateTable],
    documents: IndexedDocuments<'_>,
    boilerplate: &Boilerplate,
    options: &IndexOptions,
) -> Result<Index> {
    check_tables(tables, documents.number)?;
    let builder =
        IndexBuilder { ctx, documents, options, space: Space { most: u64::MAX, scratch: None } };
    ctx.pool.install(|| builder.finish(in_memory(ctx, tables, boilerplate, naming_of(options))?))
}

/// Builds the same index from the tables at `files`, each with the `DocId` of its first row. Where
/// they would take more than half of the memory bound they are numbered on disk. Columns of the
/// hierarchy that would take more than an eighth of it are on disk too: in `scratch`, which is
/// emptied before and removed after.
///
/// Errors: as [`build`], and those of reading and writing.
pub fn build_from_files(
    ctx: &Ctx,
    files: &[(PathBuf, u32)],
    documents: IndexedDocuments<'_>,
    boilerplate: &Boilerplate,
    options: &IndexOptions,
    scratch: &Path,
) -> Result<Index> {
    let mut needed = 0u64;
    for (prefix, _) in files {
        let (bytes, occurrences) = sizes(prefix)?;
        needed += bytes + occurrences * OCCURRENCE_BYTES;
    }
    let scratch = Scratch::create(scratch)?;
    let space = Space { most: ctx.budget.limit() / COLUMN_SHARE, scratch: Some(&scratch) };
    let builder = IndexBuilder { ctx, documents, options, space };
    ctx.pool.install(|| {
        if needed <= ctx.budget.limit() / 2 {
            let open = |(prefix, first): &(PathBuf, u32)| CandidateTable::open(prefix, *first);
            let tables = files.iter().map(open).collect::<Result<Vec<_>>>()?;
            check_tables(&tables, documents.number)?;
            let numbered = in_memory(ctx, &tables, boilerplate, naming_of(options))?;
            return_freed_memory();
            return builder.finish(numbered);
        }
        let numbered = on_disk(ctx, files, boilerplate, &scratch, naming_of(options))?;
        check_order(numbered.rows.len(), true, documents.number)?;
        return_freed_memory();
        builder.finish(numbered)
    })
}

/// The input of an index, except the candidates.
struct IndexBuilder<'a> {
    ctx: &'a Ctx,
    documents: IndexedDocuments<'a>,
    options: &'a IndexOptions,
    space: Space<'a>,
}

impl IndexBuilder<'_> {
    fn finish(&self, numbered: Numbered<'_>) -> Result<Index> {
        let chosen = choose(self.ctx, &numbered, self.documents.keys, self.options)?;
        self.ctx.cancel.check()?;
        self.assemble(numbered, &chosen)
    }

    fn assemble(&self, numbered: Numbered<'_>, chosen: &[u32]) -> Result<Index> {
        let IndexBuilder { ctx, documents: IndexedDocuments { keys, vectors, .. }, options, space } =
            *self;
        let mut used: Vec<u32> = chosen.iter().copied().filter(|&n| n != u32::MAX).collect();
        used.par_sort_unstable();
        used.dedup();
        let mut named: Vec<(String, u32)> =
            numbered.texts.of(&used)?.into_iter().zip(used).collect();
        named.par_sort_unstable();
        let mut keyword_of_phrase = vec![KeywordId::NONE; numbered.documents.len()];
        for (keyword, &(_, number)) in named.iter().enumerate() {
            keyword_of_phrase[number as usize] = KeywordId::new(keyword as u32);
        }
        let keyword_of: Vec<KeywordId> = chosen
            .par_iter()
            .map(|&n| if n == u32::MAX { KeywordId::NONE } else { keyword_of_phrase[n as usize] })
            .collect();
        drop(keyword_of_phrase);
        let phrases: Vec<String> = named.into_iter().map(|(text, _)| text).collect();
        let (postings, docs) = postings(&keyword_of, phrases.len());
        let keywords: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let documents = |keyword: usize| &docs[postings.range(keyword)];
        let tree = match options.hierarchy {
            Hierarchy::Suffix => hierarchy::suffix(&keywords, 1),
            Hierarchy::Vectors => {
                let vectors = vectors.filter(|v| v.rows() == keyword_of.len());
                let vectors = vectors.ok_or_else(|| {
                    Error::new(
                        Code::Internal,
                        "the hierarchy of keywords needs a vector of each document",
                    )
                })?;
                hierarchy::of_documents(&keyword_of, keywords.len(), keys, |clusters| {
                    vector_affinity::joins(ctx, clusters, vectors)
                })?
            }
            Hierarchy::Affinity => {
                let features = Features::of(ctx, &numbered, space)?;
                drop(numbered);
                return_freed_memory();
                hierarchy::joined(&keywords, documents, |clusters| {
                    affinity::joins(ctx, clusters, &features, space)
                })?
            }
        };
        Ok(Index::new(phrases, keyword_of, postings, docs, tree))
    }
}

/// The number of the phrase that represents each document; `u32::MAX` for none.
fn choose(
    ctx: &Ctx,
    numbered: &Numbered<'_>,
    keys: &[u128],
    options: &IndexOptions,
) -> Result<Vec<u32>> {
    let with_candidate = (0..numbered.rows.len())
        .into_par_iter()
        .filter(|&row| !numbered.rows.range(row).is_empty())
        .count();
    // A product of a count and a share, floored: the same on every machine.
    let cap = ((options.max_keyword_share * with_candidate as f64) as u32)
        .max(options.min_keyword_cap)
        .max(1);
    let of_row = |doc: usize, numbers: &[u32]| -> u32 {
        let candidates = numbers.iter().copied().filter(|&n| numbered.informative[n as usize]);
        match options.representative {
            Representative::Random => {
                let candidates: Vec<u32> = candidates.collect();
                match candidates.len() {
                    0 => u32::MAX,
                    n => {
                        candidates[below(
                            draw(options.seed, "representative", Key(keys[doc]), 0),
                            n as u64,
                        ) as usize]
                    }
                }
            }
            Representative::Common => {
                // Candidates come in byte order, so the first of equals is the first in byte order.
                let mut best: Option<(bool, u32, u16, u32)> = None;
                for n in candidates {
                    let documents = numbered.documents[n as usize];
                    let under = documents <= cap;
                    let rank = if under { documents } else { u32::MAX - documents };
                    let entry = (under, rank, numbered.ranks[n as usize], n);
                    if best.is_none_or(|b| (entry.0, entry.1, entry.2) > (b.0, b.1, b.2)) {
                        best = Some(entry);
                    }
                }
                best.map_or(u32::MAX, |b| b.3)
            }
        }
    };
    let of_block = |block: usize| -> Result<Vec<u32>> {
        ctx.cancel.check()?;
        let rows = block * BLOCK..numbered.rows.len().min((block + 1) * BLOCK);
        let mut buffer = Vec::new();
        let start = numbered.rows.begin(rows.start);
        let numbers = numbered.numbers.get(start..numbered.rows.begin(rows.end), &mut buffer)?;
        let at = |row: usize| (numbered.rows.begin(row) - start) as usize;
        Ok(rows.map(|row| of_row(row, &numbers[at(row)..at(row + 1)])).collect())
    };
    let blocks: Vec<Vec<u32>> = (0..numbered.rows.len().div_ceil(BLOCK))
        .into_par_iter()
        .map(of_block)
        .collect::<Result<_>>()?;
    Ok(blocks.concat())
}
