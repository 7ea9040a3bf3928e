//! The plan of one tiny corpus, for ever: a change here changes every plan ever made with this
//! version, and needs a CHANGELOG line.

use longweave_plan::{
    Fill, Forest, IclmOptions, IclmVariant, Incomplete, InterleaveOptions, KnnOptions, LongMode,
    LongOptions, Method, NextlongOptions, Overflow, Part, PartOrder, Plan, PlanOptions, Policies,
    Pool, PoolOptions, QuestOptions, Reuse, Rule, SplitBy, StandardOptions, TopicOrder,
    TopicsOptions, Within, plan,
};
use longweave_storage::{FileRecord, write_array};

use crate::world::{World, ctx};

fn world() -> World {
    let documents: Vec<(u32, u32, u8)> =
        (0..200u32).map(|i| (5 + i * 7 % 60, i * i % 23, i as u8)).collect();
    World::new(&documents, 20)
}

/// Tokens of the documents of [`golden_plan`].
pub(crate) fn golden_lens() -> Vec<u32> {
    world().lens
}

pub(crate) fn golden_plan(method: Method, fill: Fill) -> Plan {
    golden_plan_of(&world(), method, fill)
}

fn golden_plan_of(world: &World, method: Method, fill: Fill) -> Plan {
    let options = PlanOptions {
        method,
        pool: PoolOptions::ALL,
        policies: Policies {
            length: 128,
            lead: 0,
            separator: 1,
            sequence_bos: true,
            part_end: 0,
            part_begin: 0,
            overflow: Overflow::Split,
            fill,
            incomplete: Incomplete::Drop,
            tokens: None,
            seed: 7,
            max_uses: None,
        },
    };
    plan(&ctx(2), &world.input(&options.method), &options, Part::Main).unwrap()
}

fn hash(method: Method, fill: Fill) -> String {
    hash_of(&golden_plan(method, fill))
}

fn hash_of(plan: &Plan) -> String {
    let (mut sequences, mut pieces) = (Vec::new(), Vec::new());
    for s in plan.sequences.iter() {
        let rule = Rule::ALL.iter().position(|&r| r == s.rule).unwrap() as u32;
        let node = s.node.unwrap_or(Forest::NONE);
        sequences.extend([s.pieces.len() as u32, rule, node, s.n_tokens, s.epoch, s.round]);
        pieces.extend(s.pieces.iter().flat_map(|p| [p.doc.get(), p.start, p.len, p.group.get()]));
    }
    // Columns of a format of their own, so that hashes outlive the formats of plan files.
    let directory = tempfile::tempdir().unwrap();
    let hash = |name: &str, column: &[u32]| {
        let sealed = write_array(&directory.path().join(name), column).unwrap();
        FileRecord::new(name, sealed).xxh3
    };
    format!("{} {}", hash("sequences", &sequences), hash("pieces", &pieces))
}

pub(crate) fn quest() -> Method {
    Method::Quest(QuestOptions {
        pool: Pool::Keyworded,
        split_ratio: 0.2,
        split_by: SplitBy::Keywords,
        oversample: 2.5,
        short_share: None,
        min_keyword_documents: 2,
    })
}

pub(crate) fn topics(within: Within) -> Method {
    Method::Topics(TopicsOptions {
        pool: Pool::All,
        documents: 99,
        order: TopicOrder::Shuffle,
        sequences: 3,
        within,
        k: 6,
        chunk_chars: 7,
        reuse: Reuse::Sequence,
    })
}

pub(crate) fn interleave(order: PartOrder) -> Method {
    Method::Interleave(InterleaveOptions {
        pool: Pool::All,
        documents: None,
        parts: 3,
        part_tokens: None,
        part_end: "none".into(),
        part_begin: "none".into(),
        order,
    })
}

#[test]
fn plans_are_fixed_for_ever() {
    let pool = Pool::All;
    let found = [
        hash(Method::Standard(StandardOptions { pool }), Fill::Next),
        hash(quest(), Fill::Next),
        hash(quest(), Fill::Related),
        hash(Method::Knn(KnnOptions { pool, k: 5 }), Fill::Next),
        hash(Method::Iclm(IclmOptions { pool, k: 5, variant: IclmVariant::Paper }), Fill::Next),
        hash(Method::Iclm(IclmOptions { pool, k: 5, variant: IclmVariant::Release }), Fill::Next),
        hash(
            Method::Long(LongOptions {
                pool,
                threshold: 30,
                mode: LongMode::Filter,
                long_share: 0.7,
            }),
            Fill::Next,
        ),
        hash(
            Method::Long(LongOptions {
                pool,
                threshold: 50,
                mode: LongMode::Upsample,
                long_share: 0.7,
            }),
            Fill::Next,
        ),
        hash(
            Method::Nextlong(NextlongOptions {
                pool,
                k: 6,
                chunk_chars: 7,
                reuse: Reuse::Sequence,
            }),
            Fill::Next,
        ),
        hash(
            Method::Nextlong(NextlongOptions { pool, k: 6, chunk_chars: 7, reuse: Reuse::Run }),
            Fill::Next,
        ),
        hash(topics(Within::Documents), Fill::Next),
        hash(topics(Within::Nextlong), Fill::Next),
        hash(interleave(PartOrder::Turns), Fill::Next),
        hash(interleave(PartOrder::ShuffleInOrder), Fill::Next),
        hash_of(&golden_plan_of(&world().joined_by_document(), quest(), Fill::Related)),
    ];
    let expected = [
        "907c60e91205994a 1157ba7c99b5ee42",
        "061f639bce0cb2a4 6cfec0a01269fd40",
        "f2bf019153627e9f 2cc46c9a63ba80c4",
        "8d8a8f9467cf6b71 8ab7ca10e875030f",
        "219027a3526820a3 399f87f74a7b6467",
        "65258123a88c10d7 b2a3bb4f13cf0772",
        "6bb23f72140d5f1f cd0fc0df065a11f6",
        "b2ff45f8820757e6 fae84e82e242e20d",
        "b51f3cd7b4f7a450 714234460db34617",
        "43046acb4a3ca235 2fb21b265c12da50",
        "909b60c94a816f95 c77d1bf39daa4736",
        "c60d56a5f1c3557b 9e13cea51c6bbaff",
        "6c764df2bc0e4a7e 12bc1719a62b2b8c",
        "5cc20f42ce3e14a2 9a99e29e8804d702",
        "e7bc117e2bd3b5cb 6cef47b533bad9cf",
    ];
    assert_eq!(found, expected);
}
