//! Planning for synthetic documents: `plan METHOD DOCUMENTS LENGTH`. Lengths, keywords and
//! neighbours are drawn; the input is made first, its size is printed with the peak.

use longweave_benches::{arguments, memory, print, time};
use longweave_common::random::{Key, draw};
use longweave_common::{Ctx, DocId, KeywordId, Offsets};
use longweave_plan::{
    Chunks, Fill, Forest, Heads, IclmOptions, IclmVariant, Incomplete, InterleaveOptions,
    KnnOptions, LongMode, LongOptions, Method, NeighbourLists, Neighbours, NextlongOptions,
    Overflow, Part, PartOrder, PlanInput, PlanOptions, Policies, Pool, PoolOptions, QuestOptions,
    Reuse, SplitBy, StandardOptions, TopicLists, TopicOrder, TopicsOptions, Within, plan,
};
use serde_json::json;

#[derive(Debug)]
struct Texts(Vec<String>);

impl Heads for Texts {
    fn head(&self, doc: DocId) -> &str {
        &self.0[doc.index() % self.0.len()]
    }
}

fn random(purpose: &str, i: usize) -> u64 {
    draw(1, purpose, Key(i as u128), 0)
}

/// Lists whose members lie near each other, as those of documents about one thing would: `k` of the
/// 4 k rows around.
fn lists(rows: usize, k: usize) -> Neighbours {
    let (mut ids, mut similarities) = (Vec::with_capacity(rows * k), Vec::with_capacity(rows * k));
    for row in 0..rows {
        let start = random("list", row) as usize % (3 * k);
        for i in 0..k {
            let id = (row + rows + start + i + 1 - 2 * k) % rows;
            let id = if id == row { (row + 2 * k + 1) % rows } else { id };
            ids.push(id as u32);
            similarities.push(((k - i) << 20) as i32);
        }
    }
    Neighbours::new(k, ids, similarities).expect("lists")
}

const TOPICS: usize = 32_768;
const TOPIC_DOCUMENTS: usize = 256;

/// Topics whose documents are drawn from all.
fn topics(documents: usize) -> TopicLists {
    let (mut own, mut docs) = (Offsets::default(), Vec::new());
    for topic in 0..TOPICS {
        let doc = |i: usize| random("topic", topic * TOPIC_DOCUMENTS + i) as usize % documents;
        let mut list: Vec<usize> = (0..TOPIC_DOCUMENTS).map(doc).collect();
        list.sort_unstable();
        list.dedup();
        docs.extend(list.into_iter().map(|doc| DocId::new(doc as u32)));
        own.push(docs.len());
    }
    let keys = (0..TOPICS).map(|topic| Key::of(&format!("t{topic}")).0).collect();
    TopicLists::new(keys, own, docs).expect("lists")
}

fn main() {
    let arguments = arguments();
    let (name, documents): (&str, usize) =
        (&arguments[0], arguments[1].parse().expect("documents"));
    let length: u32 = arguments[2].parse().expect("a length");
    let ctx = Ctx::new(0, 2 << 30).expect("threads");
    // 40 to about 3,000 tokens, most of them short.
    let lens: Vec<u32> = (0..documents)
        .map(|i| 40 + (random("len", i) % 150 * (random("len2", i) % 20)) as u32)
        .collect();
    let keys: Vec<u128> = (0..documents).map(|i| Key::of(&i.to_string()).0).collect();
    let quest = name.starts_with("quest");
    // A tenth as many keywords as documents, by a power law.
    let keywords = if quest { documents / 10 } else { 0 };
    let keyword_of: Vec<KeywordId> = if quest {
        let keyword = |i: usize| {
            let u = (random("keyword", i) >> 11) as f64 / (1u64 << 53) as f64;
            KeywordId::new(((keywords as f64).powf(u) - 1.0) as u32 % keywords as u32)
        };
        (0..documents).map(keyword).collect()
    } else {
        Vec::new()
    };
    let keyword_keys: Vec<u128> = (0..keywords).map(|k| Key::of(&format!("k{k}")).0).collect();
    let parent = (0..keywords as u32).map(|k| if k < 3 { Forest::NONE } else { k / 3 }).collect();
    let forest = Forest {
        parent,
        key: keyword_keys.clone(),
        node_of_keyword: (0..keywords as u32).collect(),
        node_of_document: Vec::new(),
    };
    let (k, by_chunk) = match name {
        "knn" => (20, false),
        "iclm" | "iclm-release" => (10, false),
        "nextlong" | "topics-nextlong" => (16, true),
        _ => (0, false),
    };
    let chunks = by_chunk.then(|| {
        let cut = |len: u32| (0..len.div_ceil(500)).map(move |i| (len - i * 500).min(500));
        let chunk_lens: Vec<u32> = lens.iter().flat_map(|&len| cut(len)).collect();
        Chunks::new(lens.iter().map(|len| len.div_ceil(500)), &chunk_lens).expect("chunks")
    });
    let neighbours = (k > 0).then(|| lists(chunks.as_ref().map_or(documents, Chunks::len), k));
    let letter = |i: usize, c: usize| char::from(b'a' + (random("head", i * 100 + c) % 26) as u8);
    let heads = Texts((0..10_000).map(|i| (0..100).map(|c| letter(i, c)).collect()).collect());
    let topics = name.starts_with("topics").then(|| topics(documents));
    let pool = Pool::All;
    let method = match name {
        "standard" | "standard-whole" => Method::Standard(StandardOptions { pool }),
        "quest" | "quest-next" => {
            let (split_by, oversample) = (SplitBy::Keywords, 2.0);
            Method::Quest(QuestOptions {
                pool,
                split_ratio: 0.2,
                split_by,
                oversample,
                short_share: None,
                min_keyword_documents: 2,
            })
        }
        "knn" => Method::Knn(KnnOptions { pool, k: 20 }),
        "iclm" => Method::Iclm(IclmOptions { pool, k: 20, variant: IclmVariant::Paper }),
        "iclm-release" => Method::Iclm(IclmOptions { pool, k: 20, variant: IclmVariant::Release }),
        "long" => Method::Long(LongOptions {
            pool,
            threshold: 1500,
            mode: LongMode::Upsample,
            long_share: 0.7,
        }),
        "nextlong" => Method::Nextlong(NextlongOptions {
            pool,
            k: 20,
            chunk_chars: 4000,
            reuse: Reuse::Sequence,
        }),
        "topics" | "topics-nextlong" => Method::Topics(TopicsOptions {
            pool,
            documents: TOPIC_DOCUMENTS as u32,
            order: TopicOrder::Shuffle,
            sequences: 4,
            within: if by_chunk { Within::Nextlong } else { Within::Documents },
            k: 20,
            chunk_chars: 4000,
            reuse: Reuse::Sequence,
        }),
        "interleave" => Method::Interleave(InterleaveOptions {
            pool,
            documents: None,
            parts: 4,
            part_tokens: None,
            part_end: "none".into(),
            part_begin: "none".into(),
            order: PartOrder::Turns,
        }),
        other => panic!("no method {other}"),
    };
    let options = PlanOptions {
        method,
        pool: PoolOptions::ALL,
        policies: Policies {
            length,
            lead: 0,
            separator: 1,
            sequence_bos: false,
            part_end: 0,
            part_begin: 0,
            overflow: if name.ends_with("whole") { Overflow::Whole } else { Overflow::Split },
            fill: if name == "quest" { Fill::Related } else { Fill::Next },
            incomplete: Incomplete::Pad,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    };
    let input = PlanInput {
        lens: &lens,
        keys: &keys,
        text_hashes: None,
        near: None,
        keyword_of: quest.then_some(&keyword_of[..]),
        keyword_keys: &keyword_keys,
        forest: quest.then_some(&forest),
        sources: None,
        weights: None,
        neighbours: neighbours.as_ref().map(|lists| lists as &dyn NeighbourLists),
        chunks: chunks.as_ref(),
        topics: topics.as_ref(),
        heads: Some(&heads),
    };
    let before = memory();
    let (seconds, made) = time(1, || plan(&ctx, &input, &options, Part::Main).expect("a plan"));
    print(
        json!({ "seconds": seconds, "input": before, "sequences": made.stats.sequences, "pieces": made.stats.pieces.total, "tokens": made.stats.tokens.in_sequences }),
    );
}
