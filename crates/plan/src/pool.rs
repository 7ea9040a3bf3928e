//! Which documents take part.

use std::ops::Range;

use longweave_common::random::{Key, chance, draw};
use longweave_common::{Code, DocId, Error, Result};
use rayon::prelude::*;

use crate::stats::ExcludedDocuments;
use crate::{Dedup, LengthShare, Method, Part, PlanInput, PlanOptions, Pool};

/// The number of draws.
pub(crate) const ALL: u128 = 1 << 64;

/// The documents of a part's pool in `DocId` order, and why others are not in it.
pub(crate) fn pool(
    input: &PlanInput<'_>,
    options: &PlanOptions,
    part: Part,
) -> Result<(Vec<DocId>, ExcludedDocuments)> {
    let keyworded = options.method.pool() == Pool::Keyworded;
    if keyworded && input.keyword_of.is_none() {
        return Err(Error::new(Code::Internal, "a keyworded pool needs keywords"));
    }
    let limits = &options.pool;
    let (least, most) = (limits.min_tokens.max(1), limits.max_tokens.unwrap_or(u32::MAX));
    let mut excluded = ExcludedDocuments::default();
    let mut pool = Vec::new();
    for (row, &len) in input.lens.iter().enumerate() {
        let doc = DocId::new(row as u32);
        let held_out = limits.holdout > 0.0
            && chance(draw(options.policies.seed, "holdout", input.key(doc), 0), limits.holdout);
        let reason = if len == 0 {
            &mut excluded.empty
        } else if len < least {
            &mut excluded.too_short
        } else if len > most {
            &mut excluded.too_long
        } else if held_out != (part == Part::HeldOut) {
            &mut excluded.other_part
        } else if keyworded && input.keyword(doc).is_none() {
            &mut excluded.without_keyword
        } else if input.weight(doc) <= 0.0 {
            &mut excluded.without_weight
        } else {
            pool.push(doc);
            continue;
        };
        *reason += 1;
    }
    if limits.dedup == Dedup::Exact {
        let hashes = input
            .text_hashes
            .ok_or_else(|| Error::new(Code::Internal, "`dedup: exact` needs hashes of texts"))?;
        let mut order = pool.clone();
        order.par_sort_unstable_by_key(|&doc| (hashes[doc.index()], doc));
        let before = pool.len();
        pool = order
            .chunk_by(|a, b| hashes[a.index()] == hashes[b.index()])
            .map(|same| same[0])
            .collect();
        pool.par_sort_unstable();
        excluded.duplicate = (before - pool.len()) as u64;
    }
    if let Some(own) = interval(&limits.lengths, options.policies.length) {
        let by_keyword = matches!(options.method, Method::Quest(_));
        let before = pool.len();
        pool.retain(|&doc| {
            let keyword = input.keyword(doc);
            let key = if by_keyword && !keyword.is_none() {
                input.keyword_key(keyword)
            } else {
                input.key(doc)
            };
            own.contains(&u128::from(draw(options.policies.seed, "length", key, 0)))
        });
        excluded.other_length = (before - pool.len()) as u64;
    }
    Ok((pool, excluded))
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

/// Sorts documents into random order by (`purpose`, `counter`) over their ids' keys; ties by
/// `DocId`.
pub(crate) fn shuffle(
    input: &PlanInput<'_>,
    seed: u64,
    purpose: &str,
    counter: u64,
    docs: &mut [DocId],
) {
    let place = |doc: &DocId| {
        let key: Key = input.key(*doc);
        (draw(seed, purpose, key, counter), key, *doc)
    };
    if docs.len() > 1 << 14 {
        docs.par_sort_by_cached_key(place)
    } else {
        docs.sort_by_cached_key(place)
    }
}
