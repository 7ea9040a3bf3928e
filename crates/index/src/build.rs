//! Building: all occurrences of candidates are hashed in parallel and dealt to partitions by the hash's first bits (counting sort);
//! each partition numbers its distinct phrases in a table of its own; documents then choose among numbers.
//!
//! Costs, beside the tables: 20 bytes an occurrence, 24 a distinct phrase, 8 a document.

use hashbrown::{HashMap, HashTable};
use longweave_common::random::{Key, below, draw};
use longweave_common::{Code, Ctx, DocId, Error, KeywordId, Result};
use longweave_keywords::NonInformative;
use longweave_neighbours::Vectors;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::affinity::{Features, Lists};
use crate::candidates::CandidateTable;
use crate::{Hierarchy, Index, IndexOptions, Representative, affinity, hierarchy, nearness};

/// log2 of the number of partitions.
const PARTITION_BITS: u32 = 8;

/// Where a phrase stands: table, row in its strings.
type Place = (u32, u32);

/// The distinct phrases of all tables, by number.
pub(crate) struct Phrases<'a> {
    tables: &'a [CandidateTable],
    /// Where each stands for the first time.
    places: Vec<Place>,
    /// Documents that have it.
    pub(crate) documents: Vec<u32>,
    /// The number of each occurrence, by table.
    pub(crate) numbers: Vec<Vec<u32>>,
}

impl<'a> Phrases<'a> {
    pub(crate) fn text(&self, number: u32) -> &'a str {
        let (table, row) = self.places[number as usize];
        self.tables[table as usize].phrases.get(row as usize)
    }
}

/// Builds the index of the corpus whose documents have `keys` ([`Key`] of each id, by `DocId`). `vectors`, of each document, are needed for
/// [`Hierarchy::Vectors`].
///
/// Errors: `FILE_CORRUPT` when tables and keys disagree, `CANCELLED`.
pub fn build(
    ctx: &Ctx,
    tables: &[CandidateTable],
    keys: &[u128],
    non_informative: &NonInformative,
    options: &IndexOptions,
    vectors: Option<&Vectors>,
) -> Result<Index> {
    let rows: usize = tables.iter().map(CandidateTable::rows).sum();
    let in_order = tables.iter().scan(0, |at, t| Some(std::mem::replace(at, *at + t.rows()) == t.first as usize)).all(|fits| fits);
    if rows != keys.len() || !in_order {
        let message =
            format!("there are candidates of {rows} documents, but {} documents; delete the work directory and run again", keys.len());
        return Err(Error::new(Code::FileCorrupt, message));
    }
    ctx.pool.install(|| {
        let phrases = number_phrases(ctx, tables)?;
        let informative: Vec<bool> =
            (0..phrases.documents.len() as u32).into_par_iter().map(|n| !non_informative.contains(phrases.text(n))).collect();
        let chosen = choose(ctx, tables, keys, &phrases, &informative, options)?;
        ctx.cancel.check()?;
        assemble(ctx, tables, &phrases, &chosen, &informative, options, vectors)
    })
}

fn number_phrases<'a>(ctx: &Ctx, tables: &'a [CandidateTable]) -> Result<Phrases<'a>> {
    let hashes: Vec<Vec<u64>> =
        tables.par_iter().map(|t| (0..t.phrases.len()).map(|row| xxh3_64(t.phrases.get(row).as_bytes())).collect()).collect();
    ctx.cancel.check()?;
    // Counting sort of all occurrences by partition, tables and rows in order within each.
    let partitions = 1usize << PARTITION_BITS;
    let partition = |hash: u64| (hash >> (64 - PARTITION_BITS)) as usize;
    let mut ends = vec![0usize; partitions + 1];
    for &hash in hashes.iter().flatten() {
        ends[partition(hash) + 1] += 1;
    }
    for p in 0..partitions {
        ends[p + 1] += ends[p];
    }
    let mut next = ends.clone();
    let mut sorted: Vec<Place> = vec![(0, 0); ends[partitions]];
    for (table, hashes) in hashes.iter().enumerate() {
        for (row, &hash) in hashes.iter().enumerate() {
            let at = &mut next[partition(hash)];
            sorted[*at] = (table as u32, row as u32);
            *at += 1;
        }
    }
    ctx.cancel.check()?;
    struct Part {
        places: Vec<Place>,
        documents: Vec<u32>,
        numbers: Vec<u32>,
    }
    let text = |(table, row): Place| tables[table as usize].phrases.get(row as usize);
    let parts: Vec<Part> = (0..partitions)
        .into_par_iter()
        .map(|p| {
            let mine = &sorted[ends[p]..ends[p + 1]];
            let mut part = Part { places: Vec::new(), documents: Vec::new(), numbers: Vec::with_capacity(mine.len()) };
            let mut known: HashTable<u32> = HashTable::with_capacity(mine.len() / 2);
            let hash_of = |(table, row): Place| hashes[table as usize][row as usize];
            for &place in mine {
                let hash = hash_of(place);
                let same = |&n: &u32| hash_of(part.places[n as usize]) == hash && text(part.places[n as usize]) == text(place);
                let number = match known.find(hash, same) {
                    Some(&number) => number,
                    None => {
                        let number = part.places.len() as u32;
                        known.insert_unique(hash, number, |&n| hash_of(part.places[n as usize]));
                        part.places.push(place);
                        part.documents.push(0);
                        number
                    }
                };
                part.documents[number as usize] += 1;
                part.numbers.push(number);
            }
            part
        })
        .collect();
    let mut phrases =
        Phrases { tables, places: Vec::new(), documents: Vec::new(), numbers: hashes.iter().map(|h| vec![0; h.len()]).collect() };
    for (p, part) in parts.into_iter().enumerate() {
        let base = phrases.places.len() as u32;
        for (&(table, row), number) in sorted[ends[p]..ends[p + 1]].iter().zip(part.numbers) {
            phrases.numbers[table as usize][row as usize] = base + number;
        }
        phrases.places.extend(part.places);
        phrases.documents.extend(part.documents);
    }
    Ok(phrases)
}

/// The number of the phrase that represents each document; `u32::MAX` for none.
fn choose(
    ctx: &Ctx,
    tables: &[CandidateTable],
    keys: &[u128],
    phrases: &Phrases<'_>,
    informative: &[bool],
    options: &IndexOptions,
) -> Result<Vec<u32>> {
    let with_candidate: usize = tables.iter().map(|t| (0..t.rows()).filter(|&row| !t.range(row).is_empty()).count()).sum();
    // A product of a count and a share, floored: the same on every machine.
    let cap = ((options.common_cap * with_candidate as f64) as u32).max(options.common_floor).max(1);
    let words: Vec<u32> = (0..phrases.documents.len() as u32).into_par_iter().map(|n| phrases.text(n).split(' ').count() as u32).collect();
    let of_row = |(table, row): (usize, usize)| -> u32 {
        let doc = tables[table].first as usize + row;
        let candidates = tables[table].range(row).map(|i| phrases.numbers[table][i]).filter(|&n| informative[n as usize]);
        match options.representative {
            Representative::Random => {
                let candidates: Vec<u32> = candidates.collect();
                match candidates.len() {
                    0 => u32::MAX,
                    n => candidates[below(draw(options.seed, "representative", Key(keys[doc]), 0), n as u64) as usize],
                }
            }
            Representative::Common => {
                // Candidates come in byte order, so the first of equals is the first in byte order.
                let mut best: Option<(bool, u32, u32, u32)> = None;
                for n in candidates {
                    let documents = phrases.documents[n as usize];
                    let under = documents <= cap;
                    let rank = if under { documents } else { u32::MAX - documents };
                    let entry = (under, rank, words[n as usize], n);
                    if best.is_none_or(|b| (entry.0, entry.1, entry.2) > (b.0, b.1, b.2)) {
                        best = Some(entry);
                    }
                }
                best.map_or(u32::MAX, |b| b.3)
            }
        }
    };
    let mut chosen = Vec::with_capacity(keys.len());
    for (table, rows) in tables.iter().enumerate() {
        ctx.cancel.check()?;
        chosen.extend((0..rows.rows()).into_par_iter().map(|row| of_row((table, row))).collect::<Vec<u32>>());
    }
    Ok(chosen)
}

fn assemble(
    ctx: &Ctx,
    tables: &[CandidateTable],
    phrases: &Phrases<'_>,
    chosen: &[u32],
    informative: &[bool],
    options: &IndexOptions,
    vectors: Option<&Vectors>,
) -> Result<Index> {
    let mut used: Vec<u32> = chosen.iter().copied().filter(|&n| n != u32::MAX).collect();
    used.par_sort_unstable();
    used.dedup();
    used.par_sort_unstable_by_key(|&n| phrases.text(n));
    let mut keyword_of_phrase = vec![KeywordId::NONE; phrases.documents.len()];
    for (keyword, &number) in used.iter().enumerate() {
        keyword_of_phrase[number as usize] = KeywordId::new(keyword as u32);
    }
    let keyword_of: Vec<KeywordId> =
        chosen.par_iter().map(|&n| if n == u32::MAX { KeywordId::NONE } else { keyword_of_phrase[n as usize] }).collect();
    // Posting lists by counting sort.
    let mut ends = vec![0u64; used.len()];
    for keyword in keyword_of.iter().filter(|k| !k.is_none()) {
        ends[keyword.index()] += 1;
    }
    let mut total = 0;
    for end in &mut ends {
        let count = std::mem::replace(end, total);
        total += count;
    }
    let mut docs = vec![DocId::new(0); total as usize];
    for (doc, keyword) in keyword_of.iter().enumerate().filter(|(_, k)| !k.is_none()) {
        let at = &mut ends[keyword.index()];
        docs[*at as usize] = DocId::new(doc as u32);
        *at += 1;
    }
    let keywords: Vec<&str> = used.iter().map(|&n| phrases.text(n)).collect();
    let documents = |keyword: usize| &docs[if keyword == 0 { 0 } else { ends[keyword - 1] as usize }..ends[keyword] as usize];
    let tree = match options.hierarchy {
        Hierarchy::Suffix => hierarchy::suffix(&keywords, 1),
        Hierarchy::Vectors => {
            let vectors = vectors.filter(|v| v.rows() == keyword_of.len());
            let vectors = vectors.ok_or_else(|| Error::new(Code::Internal, "the hierarchy of keywords needs a vector of each document"))?;
            hierarchy::joined(&keywords, documents, |clusters| nearness::joins(ctx, clusters, vectors))?
        }
        Hierarchy::Affinity => {
            let words = words_of(phrases, informative);
            let of_document = |doc: DocId, out: &mut Vec<u32>| {
                let start = out.len();
                let table = tables.partition_point(|t| t.first <= doc.get()) - 1;
                let numbers = tables[table].range((doc.get() - tables[table].first) as usize).map(|i| phrases.numbers[table][i]);
                for number in numbers.filter(|&n| informative[n as usize]) {
                    out.push(number);
                    out.extend_from_slice(words.get(number as usize));
                }
                out[start..].sort_unstable();
                let mut last = None;
                let mut end = start;
                for i in start..out.len() {
                    if last != Some(out[i]) {
                        last = Some(out[i]);
                        out[end] = out[i];
                        end += 1;
                    }
                }
                out.truncate(end);
            };
            let features = Features { of_document: &of_document, phrases: phrases.documents.len() as u32 };
            hierarchy::joined(&keywords, documents, |clusters| affinity::joins(ctx, clusters, &features))?
        }
    };
    Ok(Index::new(keywords.iter().map(|&k| k.to_owned()).collect(), keyword_of, ends, docs, tree))
}

/// The words of each phrase, as features numbered after the phrases; none for a phrase that says nothing.
fn words_of(phrases: &Phrases<'_>, informative: &[bool]) -> Lists<u32> {
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut words = Lists::new();
    for number in 0..phrases.documents.len() as u32 {
        let text = if informative[number as usize] { phrases.text(number) } else { "" };
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let next = phrases.documents.len() as u32 + known.len() as u32;
            words.push(*known.entry(word).or_insert(next));
        }
        words.end();
    }
    words
}
