//! Random small corpora and options.

use std::collections::BTreeMap;
use std::sync::Mutex;

use longweave_common::random::Key;
use longweave_common::{Ctx, DocId, KeywordId, Offsets};
use longweave_plan::{
    Chunks, Dedup, Fill, Forest, Heads, IclmOptions, IclmVariant, Incomplete, InterleaveOptions,
    Keep, KnnOptions, LengthShare, LongMode, LongOptions, Method, NeighbourLists, Neighbours,
    NextlongOptions, Overflow, PartOrder, PlanInput, PlanOptions, Policies, Pool, PoolOptions,
    QuestOptions, Reuse, SourceWeight, SplitBy, StandardOptions, TopicLists, TopicOrder,
    TopicsOptions, Within,
};
use proptest::prelude::*;

/// A corpus of metadata.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lens: Vec<u32>,
    pub(crate) keys: Vec<u128>,
    pub(crate) texts: Vec<u128>,
    /// The first document of each cluster: of eight texts that follow each other.
    pub(crate) near: Vec<u32>,
    pub(crate) keyword_of: Vec<KeywordId>,
    pub(crate) keyword_keys: Vec<u128>,
    pub(crate) forest: Forest,
    pub(crate) sources: Vec<u32>,
    /// Lists of documents.
    pub(crate) neighbours: Neighbours,
    pub(crate) chunks: Chunks,
    /// Lists of chunks.
    pub(crate) chunk_neighbours: Neighbours,
    pub(crate) heads: Texts,
    pub(crate) topics: TopicLists,
    pub(crate) weights: Option<Vec<SourceWeight>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Texts(Vec<String>);

impl Heads for Texts {
    fn head(&self, doc: DocId) -> &str {
        &self.0[doc.index()]
    }
}

/// Similarities that a pair of rows has in either order; each row's list is sorted as lists are.
/// About a third of the pairs have none.
fn lists(
    rows: usize,
    k: usize,
    owner: impl Fn(usize) -> u32,
    alone: impl Fn(usize) -> bool,
) -> Neighbours {
    let similarity = |a: usize, b: usize| {
        let (low, high) = (a.min(b) as u128, a.max(b) as u128);
        (longweave_common::random::draw(5, "similarity", Key(low << 64 | high), 0) % 30) as i32 - 10
    };
    let (mut ids, mut similarities) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let others =
            (0..rows).filter(|&o| o != row && owner(o) != owner(row) && !alone(o) && !alone(row));
        let mut list: Vec<(i32, usize)> =
            others.map(|o| (similarity(row, o), o)).filter(|l| l.0 > 0).collect();
        list.sort_by_key(|&(similarity, other)| (-similarity, other));
        list.truncate(k);
        ids.extend((0..k).map(|i| list.get(i).map_or(u32::MAX, |l| l.1 as u32)));
        similarities.extend((0..k).map(|i| list.get(i).map_or(0, |l| l.0)));
    }
    Neighbours::new(k, ids, similarities).unwrap()
}

/// Seven topics; each has about a third of the documents, in an order of its own, the last none.
fn topics(documents: usize) -> TopicLists {
    let (mut own, mut docs) = (Offsets::default(), Vec::new());
    for topic in 0..7u128 {
        let draw = |doc: usize| {
            longweave_common::random::draw(6, "topic", Key(topic << 64 | doc as u128), 0)
        };
        let mut list: Vec<usize> =
            (0..documents).filter(|&doc| topic < 6 && draw(doc) % 3 == 0).collect();
        list.sort_by_key(|&doc| draw(doc));
        docs.extend(list.into_iter().map(|doc| DocId::new(doc as u32)));
        own.push(docs.len());
    }
    let keys = (0..7).map(|topic| Key::of(&format!("topic {topic}")).0).collect();
    TopicLists::new(keys, own, docs).unwrap()
}

impl World {
    /// Documents with (length, keyword, text); keywords are numbered 0..`keywords`, one of them
    /// more means none.
    pub(crate) fn new(documents: &[(u32, u32, u8)], keywords: u32) -> World {
        let mut world = World::without_lists(documents, keywords);
        let lens = &world.lens;
        world.neighbours = lists(lens.len(), 5, |d| d as u32, |d| lens[d] == 0 || d % 7 == 5);
        let owners = world.chunks.owners();
        world.chunk_neighbours = lists(owners.len(), 6, |c| owners[c], |c| c % 11 == 3);
        world
    }

    /// The same world with one document more.
    pub(crate) fn with(&self, len: u32, keyword: u32) -> World {
        let keyword_of = |k: &KeywordId| if k.is_none() { u32::MAX } else { k.get() };
        let mut documents: Vec<(u32, u32, u8)> = self
            .lens
            .iter()
            .zip(&self.keyword_of)
            .zip(&self.texts)
            .map(|((&len, k), &text)| (len, keyword_of(k), text as u8))
            .collect();
        documents.push((len, keyword, 0));
        let weights = self.weights.clone();
        World { weights, ..World::new(&documents, self.keyword_keys.len() as u32) }
    }

    /// Weights of the three sources.
    pub(crate) fn weighed(self, weights: [f64; 3]) -> World {
        let weigh = |(n, weight)| SourceWeight { name: format!("source {n}"), weight };
        World { weights: Some((0..).zip(weights).map(weigh).collect()), ..self }
    }

    /// With a forest over documents: those with a keyword, three by three, up to one root.
    pub(crate) fn joined_by_document(self) -> World {
        let mut forest = Forest {
            node_of_keyword: vec![Forest::NONE; self.keyword_keys.len()],
            node_of_document: vec![Forest::NONE; self.lens.len()],
            ..Forest::default()
        };
        for document in (0..self.lens.len()).filter(|&d| !self.keyword_of[d].is_none()) {
            forest.node_of_document[document] = forest.key.len() as u32;
            forest.key.push(self.keys[document]);
        }
        forest.parent = vec![Forest::NONE; forest.key.len()];
        let mut level: Vec<u32> = (0..forest.key.len() as u32).collect();
        while level.len() > 1 {
            let mut next = Vec::new();
            for children in level.chunks(3) {
                let node = forest.key.len() as u32;
                children.iter().for_each(|&child| forest.parent[child as usize] = node);
                forest.parent.push(Forest::NONE);
                forest.key.push(forest.key[children[0] as usize]);
                next.push(node);
            }
            level = next;
        }
        World { forest, ..self }
    }

    /// The same, without neighbours.
    pub(crate) fn without_lists(documents: &[(u32, u32, u8)], keywords: u32) -> World {
        let names: Vec<String> = (0..keywords).map(|k| format!("k{k:03}")).collect();
        // A forest of keywords alone: k's parent is ⌊k/3⌋ where that is another.
        let lens: Vec<u32> = documents.iter().map(|d| d.0).collect();
        // Chunks of seven tokens, the last one shorter.
        let cut = |len: u32| (0..len.div_ceil(7)).map(move |i| (len - i * 7).min(7));
        let chunk_lens: Vec<u32> = lens.iter().flat_map(|&len| cut(len)).collect();
        let chunks = Chunks::new(lens.iter().map(|len| len.div_ceil(7)), &chunk_lens).unwrap();
        let parent = (0..keywords).map(|k| if k < 3 { Forest::NONE } else { k / 3 }).collect();
        World {
            neighbours: Neighbours::default(),
            chunk_neighbours: Neighbours::default(),
            chunks,
            topics: topics(lens.len()),
            sources: documents.iter().map(|d| u32::from(d.2 % 3)).collect(),
            // A third of the texts begin alike.
            heads: Texts(
                documents
                    .iter()
                    .map(|d| {
                        if d.2 % 3 == 0 {
                            "all begin alike".into()
                        } else {
                            format!("{} begins so", d.2)
                        }
                    })
                    .collect(),
            ),
            lens,
            weights: None,
            keys: (0..documents.len()).map(|d| Key::of(&format!("doc-{d}")).0).collect(),
            texts: documents.iter().map(|d| u128::from(d.2)).collect(),
            near: documents
                .iter()
                .map(|d| documents.iter().position(|o| o.2 / 8 == d.2 / 8).unwrap() as u32)
                .collect(),
            keyword_of: documents
                .iter()
                .map(|d| if d.1 < keywords { KeywordId::new(d.1) } else { KeywordId::NONE })
                .collect(),
            keyword_keys: names.iter().map(|n| Key::of(n).0).collect(),
            forest: Forest {
                parent,
                key: names.iter().map(|n| Key::of(n).0).collect(),
                node_of_keyword: (0..keywords).collect(),
                node_of_document: Vec::new(),
            },
        }
    }

    pub(crate) fn input(&self, method: &Method) -> PlanInput<'_> {
        let by_chunk = method.chunk_chars().is_some();
        PlanInput {
            lens: &self.lens,
            keys: &self.keys,
            text_hashes: Some(&self.texts),
            near: Some(&self.near),
            keyword_of: Some(&self.keyword_of),
            keyword_keys: &self.keyword_keys,
            forest: Some(&self.forest),
            sources: Some(&self.sources),
            weights: self.weights.as_deref(),
            neighbours: method.neighbours().map(|_| match by_chunk {
                true => &self.chunk_neighbours as &dyn NeighbourLists,
                false => &self.neighbours,
            }),
            chunks: by_chunk.then_some(&self.chunks),
            topics: method.topic_documents().map(|_| &self.topics),
            heads: Some(&self.heads),
        }
    }
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    (1u32..12).prop_flat_map(|keywords| {
        let weights = prop::option::weighted(0.3, [0.1f64..1.0, 0.1f64..1.0, 0.1f64..1.0]);
        let documents = prop::collection::vec((0u32..40, 0..keywords + 2, any::<u8>()), 1..60);
        let by_document = prop::bool::weighted(0.3);
        (documents, weights, by_document).prop_map(move |(documents, weights, by_document)| {
            let world = World::new(&documents, keywords);
            let world = if by_document { world.joined_by_document() } else { world };
            match weights {
                Some(weights) => world.weighed(weights),
                None => world,
            }
        })
    })
}

pub(crate) fn methods() -> impl Strategy<Value = Method> {
    let pool = prop::sample::select(vec![Pool::Keyworded, Pool::All]);
    let by = prop::sample::select(vec![SplitBy::Keywords, SplitBy::Documents, SplitBy::Tokens]);
    let share = prop::option::of(0.05f64..0.9);
    let quest = (pool.clone(), 0.0f64..=1.0, by, 1.0f64..4.0, share, 1u32..4).prop_map(
        |(pool, split_ratio, split_by, oversample, short_share, min_keyword_documents)| {
            Method::Quest(QuestOptions {
                pool,
                split_ratio,
                split_by,
                oversample,
                short_share,
                min_keyword_documents,
            })
        },
    );
    let variant = prop::sample::select(vec![IclmVariant::Paper, IclmVariant::Release]);
    let iclm = (pool.clone(), variant)
        .prop_map(|(pool, variant)| Method::Iclm(IclmOptions { pool, k: 5, variant }));
    let mode = prop::sample::select(vec![LongMode::Filter, LongMode::Upsample]);
    let long = (pool.clone(), 1u32..40, mode, 0.1f64..0.95).prop_map(
        |(pool, threshold, mode, long_share)| {
            Method::Long(LongOptions { pool, threshold, mode, long_share })
        },
    );
    let reuse = prop::sample::select(vec![Reuse::Sequence, Reuse::Run]);
    let nextlong = (pool.clone(), reuse.clone()).prop_map(|(pool, reuse)| {
        Method::Nextlong(NextlongOptions { pool, k: 6, chunk_chars: 7, reuse })
    });
    let order = vec![TopicOrder::Shuffle, TopicOrder::Score, TopicOrder::Reversed];
    let order = prop::sample::select(order);
    let within = prop::sample::select(vec![Within::Documents, Within::Nextlong]);
    let topics = (pool.clone(), order, 1u32..5, within, reuse).prop_map(
        |(pool, order, sequences, within, reuse)| {
            Method::Topics(TopicsOptions {
                pool,
                documents: 99,
                order,
                sequences,
                within,
                k: 6,
                chunk_chars: 7,
                reuse,
            })
        },
    );
    let order =
        prop::sample::select(vec![PartOrder::Turns, PartOrder::Shuffle, PartOrder::ShuffleInOrder]);
    let tokens = prop::option::of(1u32..30);
    let interleave = (pool.clone(), prop::option::of(1u32..6), 1u32..6, tokens, order).prop_map(
        |(pool, documents, parts, part_tokens, order)| {
            Method::Interleave(InterleaveOptions {
                pool,
                documents,
                parts,
                part_tokens,
                part_end: String::new(),
                part_begin: String::new(),
                order,
            })
        },
    );
    prop_oneof![
        3 => quest,
        1 => pool.clone().prop_map(|pool| Method::Standard(StandardOptions { pool })),
        2 => pool.prop_map(|pool| Method::Knn(KnnOptions { pool, k: 5 })),
        2 => iclm,
        2 => long,
        2 => nextlong,
        3 => topics,
        2 => interleave,
    ]
}

/// Lengths with their shares.
pub(crate) fn lengths(shares: &[(u32, f64)]) -> Vec<LengthShare> {
    shares.iter().map(|&(length, share)| LengthShare { length, share }).collect()
}

pub(crate) fn options() -> impl Strategy<Value = PlanOptions> {
    let fill = prop::sample::select(vec![Fill::Next, Fill::Related, Fill::Drop, Fill::Pad]);
    let overflow = prop::sample::select(vec![Overflow::Split, Overflow::Truncate, Overflow::Whole]);
    let last = prop::sample::select(vec![Incomplete::Drop, Incomplete::Pad]);
    let shape = (2u32..60, 0u32..2, 0u32..3, any::<bool>(), 0u32..3, 0u32..3);
    let limits = (
        0u32..5,
        prop::option::of(10u32..40),
        prop::option::of(1u32..4),
        prop::option::of(1u64..2000),
        any::<u64>(),
        prop::sample::select(vec![
            Dedup::None,
            Dedup::None,
            Dedup::Exact,
            Dedup::Near(Keep::First),
            Dedup::Near(Keep::Longest),
        ]),
        prop::option::weighted(0.3, 0.1f64..5.0),
    );
    (methods(), fill, overflow, last, shape, limits).prop_map(
        |(
            method,
            fill,
            overflow,
            incomplete,
            (length, lead, separator, sequence_bos, part_end, part_begin),
            (min, max, uses, tokens, seed, dedup, share),
        )| {
            let fill = if fill == Fill::Related && !matches!(method, Method::Quest(_)) {
                Fill::Next
            } else {
                fill
            };
            PlanOptions {
                method,
                pool: PoolOptions {
                    min_tokens: min,
                    max_tokens: max,
                    holdout: 0.0,
                    dedup,
                    lengths: share.map_or_else(Vec::new, |share| {
                        lengths(&[(length, share), (length + 1, 1.0)])
                    }),
                },
                policies: Policies {
                    length,
                    lead,
                    separator,
                    sequence_bos,
                    part_end,
                    part_begin,
                    overflow,
                    fill,
                    incomplete,
                    tokens,
                    seed,
                    max_uses: uses,
                },
            }
        },
    )
}

/// A context that all tests share: starting threads for each of thousands of cases would cost more
/// than planning them.
pub(crate) fn ctx(threads: usize) -> Ctx {
    static MADE: Mutex<BTreeMap<usize, Ctx>> = Mutex::new(BTreeMap::new());
    MADE.lock()
        .unwrap()
        .entry(threads)
        .or_insert_with(|| Ctx::new(threads, 1 << 30).unwrap())
        .clone()
}
