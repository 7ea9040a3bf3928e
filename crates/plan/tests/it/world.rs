//! Random small corpora and options.

use std::collections::BTreeMap;
use std::sync::Mutex;

use longweave_common::random::Key;
use longweave_common::{Ctx, KeywordId};
use longweave_plan::{
    Dedup, Fill, Forest, LastFill, Method, Overflow, PlanInput, PlanOptions, Policies, Pool, PoolOptions, QuestOptions, SplitBy,
    StandardOptions,
};
use proptest::prelude::*;

/// A corpus of metadata.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lens: Vec<u32>,
    pub(crate) keys: Vec<u128>,
    pub(crate) texts: Vec<u128>,
    pub(crate) keyword_of: Vec<KeywordId>,
    pub(crate) keyword_keys: Vec<u128>,
    pub(crate) forest: Forest,
}

impl World {
    /// Documents with (length, keyword, text); keywords are numbered 0..`keywords`, one of them more means none.
    pub(crate) fn new(documents: &[(u32, u32, u8)], keywords: u32) -> World {
        let names: Vec<String> = (0..keywords).map(|k| format!("k{k:03}")).collect();
        // A forest of keywords alone: k's parent is ⌊k/3⌋ where that is another.
        let parent = (0..keywords).map(|k| if k < 3 { Forest::NONE } else { k / 3 }).collect();
        World {
            lens: documents.iter().map(|d| d.0).collect(),
            keys: (0..documents.len()).map(|d| Key::of(&format!("doc-{d}")).0).collect(),
            texts: documents.iter().map(|d| u128::from(d.2)).collect(),
            keyword_of: documents.iter().map(|d| if d.1 < keywords { KeywordId::new(d.1) } else { KeywordId::NONE }).collect(),
            keyword_keys: names.iter().map(|n| Key::of(n).0).collect(),
            forest: Forest { parent, key: names.iter().map(|n| Key::of(n).0).collect(), node_of_keyword: (0..keywords).collect() },
        }
    }

    pub(crate) fn input(&self) -> PlanInput<'_> {
        PlanInput {
            lens: &self.lens,
            keys: &self.keys,
            text_hashes: Some(&self.texts),
            keyword_of: Some(&self.keyword_of),
            keyword_keys: &self.keyword_keys,
            forest: Some(&self.forest),
        }
    }
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    (1u32..12).prop_flat_map(|keywords| {
        prop::collection::vec((0u32..40, 0..keywords + 2, any::<u8>()), 1..60).prop_map(move |documents| World::new(&documents, keywords))
    })
}

pub(crate) fn methods() -> impl Strategy<Value = Method> {
    let pool = prop::sample::select(vec![Pool::Keyworded, Pool::All]);
    let by = prop::sample::select(vec![SplitBy::Keywords, SplitBy::Documents, SplitBy::Tokens]);
    let share = prop::option::of(0.05f64..0.9);
    let quest = (pool.clone(), 0.0f64..=1.0, by, 1.0f64..4.0, share, 1u32..4).prop_map(
        |(pool, split_ratio, split_by, oversample, short_share, min_group)| {
            Method::Quest(QuestOptions { pool, split_ratio, split_by, oversample, short_share, min_group })
        },
    );
    prop_oneof![3 => quest, 1 => pool.prop_map(|pool| Method::Standard(StandardOptions { pool }))]
}

pub(crate) fn options() -> impl Strategy<Value = PlanOptions> {
    let fill = prop::sample::select(vec![Fill::Next, Fill::Related, Fill::Drop, Fill::Pad]);
    let overflow = prop::sample::select(vec![Overflow::Split, Overflow::Truncate, Overflow::Whole]);
    let last = prop::sample::select(vec![LastFill::Drop, LastFill::Pad]);
    let shape = (2u32..60, 0u32..2, 0u32..3, any::<bool>());
    let limits =
        (0u32..5, prop::option::of(10u32..40), prop::option::of(1u32..4), prop::option::of(1u64..2000), any::<u64>(), any::<bool>());
    (methods(), fill, overflow, last, shape, limits).prop_map(
        |(method, fill, overflow, last_fill, (length, lead, separator, sequence_bos), (min, max, uses, tokens, seed, dedup))| {
            let dedup = if dedup { Dedup::Exact } else { Dedup::None };
            PlanOptions {
                method,
                pool: PoolOptions { min_tokens: min, max_tokens: max, holdout: 0.0, dedup },
                policies: Policies { length, lead, separator, sequence_bos, overflow, fill, last_fill, tokens, seed, max_uses: uses },
            }
        },
    )
}

/// A context that all tests share: starting threads for each of thousands of cases would cost more than planning them.
pub(crate) fn ctx(threads: usize) -> Ctx {
    static MADE: Mutex<BTreeMap<usize, Ctx>> = Mutex::new(BTreeMap::new());
    MADE.lock().unwrap().entry(threads).or_insert_with(|| Ctx::new(threads, 1 << 30).unwrap()).clone()
}
