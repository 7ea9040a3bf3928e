//! Which documents take part, and which are left out as duplicates.

use std::cmp::Ordering;
use std::ops::Range;

use longweave_common::random::{Key, chance, draw};
use longweave_common::{Code, DocId, Error, Result};
use rayon::prelude::*;

use crate::stats::ExcludedDocuments;
use crate::{Dedup, Keep, LengthShare, Method, Part, PlanInput, PlanOptions, Pool};

/// The number of draws.
pub(crate) const ALL: u128 = 1 << 64;

/// A document that is left out because another one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The document that is left out.
    pub doc: DocId,
    /// The document that stays, in one of the two parts.
    pub kept: DocId,
    pub likeness: Likeness,
}

/// How alike a duplicate and the document that stays are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Equal text.
    Exact,
    /// A text of the same cluster.
    Near,
}

/// The documents of a part, in `DocId` order.
pub(crate) struct PartPool {
    pub(crate) documents: Vec<DocId>,
    /// Why others are not in it.
    pub(crate) excluded: ExcludedDocuments,
    /// The duplicates of both parts, in `DocId` order.
    pub(crate) duplicates: Vec<Duplicate>,
}

impl PartPool {
    /// The pool of a part. Duplicates are left out before documents are held out, so that no text
    /// is in both parts.
    pub(crate) fn of(input: &PlanInput<'_>, options: &PlanOptions, part: Part) -> Result<PartPool> {
        let keyworded = options.method.pool() == Pool::Keyworded;
        if keyworded && input.keyword_of.is_none() {
            return Err(Error::new(Code::Internal, "a keyworded pool needs keywords"));
        }
        let limits = &options.pool;
        let (least, most) = (limits.min_tokens.max(1), limits.max_tokens.unwrap_or(u32::MAX));
        let (seed, holdout) = (options.policies.seed, limits.holdout);
        let is_other_part = |doc: DocId| {
            let held_out =
                holdout > 0.0 && chance(draw(seed, "holdout", input.key(doc), 0), holdout);
            held_out != (part == Part::HeldOut)
        };
        let no_keyword = |doc: DocId| keyworded && input.keyword(doc).is_none();
        let mut excluded = ExcludedDocuments::default();
        let mut documents = Vec::new();
        for (row, &len) in input.lens.iter().enumerate() {
            let doc = DocId::new(row as u32);
            // Documents of the other part can be those that stay.
            let compared = limits.dedup != Dedup::None && !no_keyword(doc);
            let reason = if len == 0 {
                &mut excluded.empty
            } else if len < least {
                &mut excluded.too_short
            } else if len > most {
                &mut excluded.too_long
            } else if !compared && is_other_part(doc) {
                &mut excluded.other_part
            } else if no_keyword(doc) {
                &mut excluded.without_keyword
            } else if input.weight(doc) <= 0.0 {
                &mut excluded.without_weight
            } else {
                documents.push(doc);
                continue;
            };
            *reason += 1;
        }
        let duplicates = duplicates(input, limits.dedup, &mut documents)?;
        if limits.dedup != Dedup::None {
            let before = documents.len();
            documents.retain(|&doc| !is_other_part(doc));
            excluded.other_part += (before - documents.len()) as u64;
        }
        for &Duplicate { doc, likeness, .. } in &duplicates {
            let reason = match (is_other_part(doc), likeness) {
                (true, _) => &mut excluded.other_part,
                (false, Likeness::Exact) => &mut excluded.duplicate,
                (false, Likeness::Near) => &mut excluded.near_duplicate,
            };
            *reason += 1;
        }
        if let Some(own) = interval(&limits.lengths, options.policies.length) {
            let by_keyword = matches!(options.method, Method::Quest(_));
            let before = documents.len();
            documents.retain(|&doc| {
                let keyword = input.keyword(doc);
                let key = if by_keyword && !keyword.is_none() {
                    input.keyword_key(keyword)
                } else {
                    input.key(doc)
                };
                own.contains(&u128::from(draw(seed, "length", key, 0)))
            });
            excluded.other_length = (before - documents.len()) as u64;
        }
        Ok(PartPool { documents, excluded, duplicates })
    }
}

/// Takes the duplicates out of `documents`. Costs 8 bytes a document, and 12 a duplicate.
fn duplicates(
    input: &PlanInput<'_>,
    dedup: Dedup,
    documents: &mut Vec<DocId>,
) -> Result<Vec<Duplicate>> {
    if dedup == Dedup::None {
        return Ok(Vec::new());
    }
    let missing = |what: &str| Error::new(Code::Internal, format!("`dedup` needs {what}"));
    let hashes = input.text_hashes.ok_or_else(|| missing("hashes of texts"))?;
    let mut stays: Vec<DocId> = (0..input.lens.len() as u32).map(DocId::new).collect();
    // Of documents with equal `key`, in that order, the first by `rank` stays.
    let mut leave_out = |documents: &mut Vec<DocId>,
                         key: &(dyn Fn(DocId) -> u128 + Sync),
                         rank: &(dyn Fn(DocId) -> (u32, DocId) + Sync)| {
        documents.par_sort_unstable_by_key(|&doc| (key(doc), rank(doc)));
        for same in documents.chunk_by(|&a, &b| key(a) == key(b)) {
            same.iter().for_each(|doc| stays[doc.index()] = same[0]);
        }
        documents.retain(|doc| stays[doc.index()] == *doc);
    };
    let eligible = documents.clone();
    leave_out(documents, &|doc| hashes[doc.index()], &|doc| (0, doc));
    if let Dedup::Near(keep) = dedup {
        let near = input.near.ok_or_else(|| missing("clusters of near-duplicates"))?;
        leave_out(documents, &|doc| near[doc.index()].into(), &|doc| match keep {
            Keep::First => (0, doc),
            Keep::Longest => (u32::MAX - input.lens[doc.index()], doc),
        });
    }
    documents.par_sort_unstable();
    let duplicate = |doc: DocId| {
        // A copy of a document that is near another one points to the other.
        let kept = stays[stays[doc.index()].index()];
        let exact = hashes[doc.index()] == hashes[kept.index()];
        let likeness = if exact { Likeness::Exact } else { Likeness::Near };
        (kept != doc).then_some(Duplicate { doc, kept, likeness })
    };
    Ok(eligible.into_iter().filter_map(duplicate).collect())
}

/// The draws that belong to a length; `None` where one length has all.
fn interval(lengths: &[LengthShare], length: u32) -> Option<Range<u128>> {
    let own = lengths.iter().position(|other| other.length == length)?;
    let sum = |lengths: &[LengthShare]| lengths.iter().map(|length| length.share).sum::<f64>();
    let bound = |place: usize| {
        if place == lengths.len() {
            ALL
        } else {
            (sum(&lengths[..place]) / sum(lengths) * ALL as f64) as u128
        }
    };
    Some(bound(own)..bound(own + 1))
}

/// The order of things by their draws, ties by key, then by number. Draws alone are kept with the
/// numbers: kept keys would triple the memory of a sort, and two draws are seldom equal.
pub(crate) fn by_draw<T: Copy + Ord>(
    key: impl Fn(T) -> Key,
) -> impl Fn(&(u64, T), &(u64, T)) -> Ordering {
    move |a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))).then_with(|| a.1.cmp(&b.1))
}

/// Sorts documents into random order by (`purpose`, `counter`) over their ids' keys; ties by
/// `DocId`.
pub(crate) fn shuffle(
    input: &PlanInput<'_>,
    seed: u64,
    purpose: &str,
    counter: u64,
    docs: &mut [DocId],
) {
    let with_draw = |&doc: &DocId| (draw(seed, purpose, input.key(doc), counter), doc);
    let order = by_draw(|doc| input.key(doc));
    let mut drawn: Vec<(u64, DocId)>;
    if docs.len() > 1 << 14 {
        drawn = docs.par_iter().map(with_draw).collect();
        drawn.par_sort_unstable_by(order);
    } else {
        drawn = docs.iter().map(with_draw).collect();
        drawn.sort_unstable_by(order);
    }
    docs.iter_mut().zip(drawn).for_each(|(to, (_, doc))| *to = doc);
}
