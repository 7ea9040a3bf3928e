//! The plan of one tiny corpus, for ever: a change here changes every plan ever made with this version, and needs a CHANGELOG line.

use longweave_plan::{
    Dedup, Fill, LastFill, Method, Overflow, Part, Plan, PlanOptions, Policies, Pool, PoolOptions, QuestOptions, SplitBy, StandardOptions,
    plan,
};

use crate::world::{World, ctx};

pub(crate) fn golden_plan(method: Method, fill: Fill) -> Plan {
    let documents: Vec<(u32, u32, u8)> = (0..200u32).map(|i| (5 + i * 7 % 60, i * i % 23, 0)).collect();
    let world = World::new(&documents, 20);
    let options = PlanOptions {
        method,
        pool: PoolOptions { min_tokens: 1, max_tokens: None, holdout: 0.0, dedup: Dedup::None },
        policies: Policies {
            length: 128,
            lead: 0,
            separator: 1,
            sequence_bos: true,
            overflow: Overflow::Split,
            fill,
            last_fill: LastFill::Drop,
            tokens: None,
            seed: 7,
            max_uses: None,
        },
    };
    plan(&ctx(2), &world.input(), &options, Part::Main).unwrap()
}

fn hash(method: Method, fill: Fill) -> String {
    let plan = golden_plan(method, fill);
    let directory = tempfile::tempdir().unwrap();
    let files = longweave_plan::write_plan(directory.path(), &plan, 1 << 20).unwrap();
    files.iter().filter(|f| f.name.starts_with("00000")).map(|f| f.xxh3.as_str()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn quest() -> Method {
    Method::Quest(QuestOptions {
        pool: Pool::Keyworded,
        split_ratio: 0.2,
        split_by: SplitBy::Keywords,
        oversample: 2.5,
        short_share: None,
        min_group: 2,
    })
}

#[test]
fn plans_are_fixed_for_ever() {
    let found =
        [hash(Method::Standard(StandardOptions { pool: Pool::All }), Fill::Next), hash(quest(), Fill::Next), hash(quest(), Fill::Related)];
    assert_eq!(found, ["907c60e91205994a 1157ba7c99b5ee42", "061f639bce0cb2a4 6cfec0a01269fd40", "f2bf019153627e9f 2cc46c9a63ba80c4"]);
}
