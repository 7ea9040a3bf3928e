//! The kernels: one inner loop each, over inputs that never change, on one thread.

use std::path::Path;

use longweave_common::random::Key;
use longweave_common::{Ctx, DocId, KeywordId, Offsets, Result};
use longweave_corpus::{Before, CorpusOptions, RowReader, inventory};
use longweave_formats::{
    Compression, Format, MdsIndices, Provenance, SequenceBatch, WriterOptions, open_writer,
};
use longweave_index::{
    CandidateTable, CandidateWriter, Hierarchy, IndexOptions, IndexedDocuments, Representative,
    build,
};
use longweave_keywords::{Boilerplate, Rake, RakeOptions, StopList};
use longweave_language::Language;
use longweave_neighbours::{
    FEATURES, Query, Search, TermCounter, VectorSet, Vectors, Weights, nearest,
};
use longweave_pack::{PackSource, ShardTokens, TokenSource, assemble, pack_shard};
use longweave_plan::{
    Fill, Forest, Incomplete, Method, NamedGroups, Overflow, Part, PlanInput, PlanOptions,
    Policies, Pool, PoolOptions, QuestOptions, Sequences, Shape, SplitBy, StandardOptions, plan,
};
use longweave_predict::{DocumentRef, Extractive, ExtractiveOptions, Predictor, Queries};
use longweave_report::Meter;
use longweave_storage::{ArrayFile, hash_elements, write_array};
use tempfile::TempDir;
use xxhash_rust::xxh3::Xxh3Default;

use crate::inputs::{frequent, random, texts};

/// Returns what it did, so that it is not left out.
pub(crate) type Work = Box<dyn FnMut() -> u64 + Send>;

pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) prepare: fn(&Ctx) -> Work,
}

macro_rules! kernels {
    ($($name:ident),*) => { &[$(Kernel { name: stringify!($name), prepare: $name }),*] };
}

pub(crate) const KERNELS: &[Kernel] = kernels![
    read_rows,
    rake,
    predict,
    encode_bytes,
    encode_pieces,
    encode_unigram,
    index_suffix,
    index_affinity,
    plan_quest,
    nearest_vectors,
    measure_sequence,
    assemble_sequences,
    write_parquet,
    write_mds,
    read_columns
];

fn read_rows(ctx: &Ctx) -> Work {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("corpus.jsonl");
    let row = |(i, text): (usize, &String)| {
        serde_json::json!({ "id": i, "text": text, "meta": { "url": "a", "n": [1, 2] } })
            .to_string()
            + "\n"
    };
    std::fs::write(&path, texts(400).iter().enumerate().map(row).collect::<String>()).unwrap();
    let options = CorpusOptions {
        id_field: Some("id".into()),
        ..CorpusOptions::of_files(vec![path.to_string_lossy().into_owned()], "text")
    };
    let ctx = ctx.clone();
    let inventory = inventory(&ctx, &options).unwrap();
    Box::new(move || {
        let _ = &folder;
        let mut rows = RowReader::open(&ctx, &options, &inventory, 0, Before::default()).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        count
    })
}

fn rake(_: &Ctx) -> Work {
    let rake = Rake::new(StopList::smart(), RakeOptions::default());
    let (texts, mut scratch) = (texts(60), rake.scratch());
    Box::new(move || {
        let mut found = 0;
        texts.iter().for_each(|text| rake.extract(&mut scratch, text, |_, _| found += 1));
        found
    })
}

fn predict(ctx: &Ctx) -> Work {
    let predictor = Extractive::new(ExtractiveOptions { segment_tokens: 384 });
    let texts = texts(60);
    let ctx = ctx.clone();
    Box::new(move || {
        let batch: Vec<DocumentRef<'_>> = texts
            .iter()
            .map(|text| DocumentRef { id: "", text, language: Language::ENGLISH, queries: &[] })
            .collect();
        let mut queries = Queries::default();
        predictor.predict(&ctx, &batch, &mut queries).unwrap();
        queries.documents() as u64
    })
}

fn encode(file: &str) -> Work {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokens/tests/fixtures/tokenizers");
    let encoder = longweave_tokens::load(&folder.join(file)).unwrap().encoder;
    let (texts, mut ids) = (texts(60), Vec::new());
    Box::new(move || {
        ids.clear();
        texts.iter().for_each(|text| encoder.encode(text, None, &mut ids).unwrap());
        ids.len() as u64
    })
}

fn encode_bytes(_: &Ctx) -> Work {
    encode("gpt2.json")
}

fn encode_pieces(_: &Ctx) -> Work {
    encode("llama2.json")
}

fn encode_unigram(_: &Ctx) -> Work {
    encode("t5.json")
}

/// An index over 4,000 documents with about ten phrases each.
fn index(ctx: &Ctx, hierarchy: Hierarchy) -> Work {
    let folder = TempDir::new().unwrap();
    let documents = 4_000;
    let prefix = folder.path().join("candidates");
    let mut writer = CandidateWriter::create(&prefix).unwrap();
    for document in 0..documents {
        let mut phrases: Vec<String> = (0..10)
            .map(|i| {
                let at = document * 10 + i;
                let subject = document % 50 * 20 + random("term", at, 20);
                format!(
                    "w{} t{}",
                    frequent("head", at, 500),
                    if i < 4 { subject } else { frequent("t", at, 9_000) }
                )
            })
            .collect();
        phrases.sort_unstable();
        phrases.dedup();
        writer.push(phrases.iter().map(String::as_str)).unwrap();
    }
    writer.commit().unwrap();
    let tables = [CandidateTable::open(&prefix, 0).unwrap()];
    let keys: Vec<u128> = (0..documents).map(|i| Key::of(&i.to_string()).0).collect();
    let options = IndexOptions {
        seed: 0,
        representative: Representative::Common,
        searchable: true,
        max_keyword_share: 1.0,
        min_keyword_cap: 1,
        hierarchy,
    };
    let ctx = ctx.clone();
    Box::new(move || {
        let _ = &folder;
        build(&ctx, &tables, IndexedDocuments::with(&keys), &Boilerplate::none(), &options)
            .unwrap()
            .len() as u64
    })
}

fn index_suffix(ctx: &Ctx) -> Work {
    index(ctx, Hierarchy::Suffix)
}

fn index_affinity(ctx: &Ctx) -> Work {
    index(ctx, Hierarchy::Affinity)
}

fn policies(length: u32, fill: Fill) -> Policies {
    Policies {
        length,
        lead: 0,
        separator: 1,
        sequence_bos: false,
        part_end: 0,
        part_begin: 0,
        overflow: Overflow::Split,
        fill,
        incomplete: Incomplete::Drop,
        tokens: None,
        seed: 0,
        max_uses: None,
    }
}

fn plan_quest(ctx: &Ctx) -> Work {
    let (documents, keywords) = (20_000, 2_000);
    let lens: Vec<u32> = (0..documents).map(|i| 40 + random("len", i, 900) as u32).collect();
    let keys: Vec<u128> = (0..documents).map(|i| Key::of(&i.to_string()).0).collect();
    let keyword_of: Vec<KeywordId> =
        (0..documents).map(|i| KeywordId::new(frequent("keyword", i, keywords) as u32)).collect();
    let keyword_keys: Vec<u128> = (0..keywords).map(|k| Key::of(&format!("k{k}")).0).collect();
    let forest = Forest {
        parent: (0..keywords as u32).map(|k| if k < 3 { Forest::NONE } else { k / 3 }).collect(),
        key: keyword_keys.clone(),
        node_of_keyword: (0..keywords as u32).collect(),
        node_of_document: Vec::new(),
    };
    let options = PlanOptions {
        method: Method::Quest(QuestOptions {
            pool: Pool::All,
            split_ratio: 0.2,
            split_by: SplitBy::Keywords,
            oversample: 2.0,
            short_share: None,
            min_keyword_documents: 2,
        }),
        pool: PoolOptions::ALL,
        policies: policies(4096, Fill::Related),
    };
    let ctx = ctx.clone();
    Box::new(move || {
        let input = PlanInput {
            keyword_of: Some(&keyword_of[..]),
            keyword_keys: &keyword_keys,
            forest: Some(&forest),
            ..bare(&lens, &keys)
        };
        plan(&ctx, &input, &options, Part::Main).unwrap().sequences.len() as u64
    })
}

fn bare<'a>(lens: &'a [u32], keys: &'a [u128]) -> PlanInput<'a> {
    PlanInput {
        lens,
        keys,
        text_hashes: None,
        near: None,
        keyword_of: None,
        keyword_keys: &[],
        forest: None,
        sources: None,
        weights: None,
        neighbours: None,
        chunks: None,
        topics: None,
        heads: None,
    }
}

fn nearest_vectors(ctx: &Ctx) -> Work {
    let (rows, dims) = (3_000, 64);
    let mut vectors = Vectors::with_capacity(dims, rows);
    for row in 0..rows {
        let number = |i: usize| {
            let own = random("own", row * dims + i, 2001) as f32 - 1000.0;
            let shared = random("shared", row % 60 * dims + i, 2001) as f32 - 1000.0;
            own + 2.0 * shared
        };
        vectors.push(&(0..dims).map(number).collect::<Vec<_>>());
    }
    let ctx = ctx.clone();
    let vectors = VectorSet::held(&ctx, vectors).unwrap();
    Box::new(move || {
        let search = Search::Inverted { lists: None, probes: None };
        let query = Query { vectors: &vectors, owners: None, k: 10, search, seed: 0 };
        nearest(&ctx, &query).unwrap();
        rows as u64
    })
}

fn measure_sequence(_: &Ctx) -> Work {
    let texts = texts(24);
    let (mut counter, mut row, mut frequency) =
        (TermCounter::default(), Vec::new(), vec![0; FEATURES]);
    for text in &texts {
        counter.count(text, &mut row);
        row.iter().for_each(|&(feature, _)| frequency[feature as usize] += 1);
    }
    let weights = Weights::new(&frequency, texts.len() as u64);
    let tokens: Vec<u32> = (0..8192).map(|i| frequent("token", i, 30_000) as u32).collect();
    Box::new(move || {
        let documents: Vec<&str> = texts.iter().map(String::as_str).collect();
        Meter::new(&weights).measure(&documents, &tokens).distinct.len() as u64
    })
}

/// Documents end to end.
struct Tokens {
    ids: Vec<u32>,
    documents: Offsets,
}

impl TokenSource for Tokens {
    fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        let from = self.documents.range(doc.index()).start + start as usize;
        out.copy_from_slice(&self.ids[from..from + out.len()]);
        Ok(())
    }
}

const LENGTH: u32 = 4096;

/// A standard plan over documents held in memory, and how they are packed.
struct Packed {
    tokens: Tokens,
    names: Vec<String>,
    shape: Shape,
    sequences: Sequences,
    lens: Vec<u32>,
    groups: NamedGroups,
}

impl Packed {
    fn new(ctx: &Ctx) -> Packed {
        let mut tokens = Tokens { ids: Vec::new(), documents: Offsets::default() };
        for document in 0..1_000 {
            let from = tokens.ids.len();
            let length = 20 + random("len", document, 700);
            tokens.ids.extend((from..from + length).map(|i| frequent("id", i, 50_000) as u32));
            tokens.documents.push(tokens.ids.len());
        }
        let documents = tokens.documents.len();
        let names: Vec<String> = (0..documents).map(|i| format!("document-{i}")).collect();
        let keys: Vec<u128> = names.iter().map(|name| Key::of(name).0).collect();
        let lens: Vec<u32> =
            (0..documents).map(|d| tokens.documents.range(d).len() as u32).collect();
        let options = PlanOptions {
            method: Method::Standard(StandardOptions { pool: Pool::All }),
            pool: PoolOptions::ALL,
            policies: policies(LENGTH, Fill::Next),
        };
        let plan = plan(ctx, &bare(&lens, &keys), &options, Part::Main).unwrap();
        let sequences = plan.sequences.copy(0..plan.sequences.len());
        let pieces = sequences.pieces();
        let lens = pieces.iter().map(|piece| lens[piece.doc.index()]).collect();
        let groups = NamedGroups::of(&plan.groups, pieces);
        Packed { tokens, names, shape: plan.shape, sequences, lens, groups }
    }

    fn with<T>(&self, work: impl FnOnce(&PackSource<'_>) -> T) -> T {
        work(&PackSource {
            shape: self.shape,
            sequences: &self.sequences,
            lens: &self.lens,
            groups: &self.groups,
            id: &|doc| self.names[doc.index()].as_str(),
            phrase: &|_| None,
            separator: &[0],
            part_end: &[],
            part_begin: &[],
            bos: None,
            pad: None,
        })
    }
}

fn assemble_sequences(ctx: &Ctx) -> Work {
    let packed = Packed::new(ctx);
    let ctx = ctx.clone();
    Box::new(move || {
        packed.with(|source| {
            let sequences = source.sequences.len();
            assemble(&ctx, source, &packed.tokens, 0..sequences, &mut SequenceBatch::default())
                .unwrap();
            sequences as u64
        })
    })
}

fn write(ctx: &Ctx, format: Format) -> Work {
    let (packed, folder) = (Packed::new(ctx), TempDir::new().unwrap());
    let options = WriterOptions {
        format,
        length: LENGTH,
        max_id: 50_000,
        tokenizer: String::new(),
        method: "{}".into(),
        domain: "standard".into(),
        provenance: Provenance::Full,
        compression: if format == Format::Parquet { Compression::Zstd } else { Compression::None },
        mds_indices: MdsIndices::Sequence,
        mds_shard_bytes: None,
        columns: Vec::new(),
        mask_first: false,
        weights: Vec::new(),
    };
    let ctx = ctx.clone();
    Box::new(move || {
        packed.with(|source| {
            let sequences = source.sequences;
            let pieces: Vec<u32> =
                (0..sequences.len()).map(|i| sequences.range(i).len() as u32).collect();
            let mut writer = open_writer(&options, folder.path(), 0, &pieces).unwrap();
            pack_shard(&ctx, source, &mut *writer, 0, ShardTokens::Gather(&packed.tokens)).unwrap();
            writer.finish().unwrap()[0].record.bytes
        })
    })
}

fn write_parquet(ctx: &Ctx) -> Work {
    write(ctx, Format::Parquet)
}

fn write_mds(ctx: &Ctx) -> Work {
    write(ctx, Format::Mds)
}

/// A column as it is, made wider, and summed: what stages do with each token and each vector.
fn read_columns(_: &Ctx) -> Work {
    const ELEMENTS: usize = 1 << 20;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("column");
    let elements: Vec<u16> = (0..ELEMENTS).map(|i| i as u16).collect();
    write_array(&path, &elements).unwrap();
    let column = ArrayFile::<u16>::open(&path).unwrap();
    let (mut own, mut wide) = (vec![0u16; ELEMENTS], vec![0u32; ELEMENTS]);
    Box::new(move || {
        let _ = &folder;
        column.read(0, &mut own).unwrap();
        column.read_wider(0, &mut wide).unwrap();
        let mut hash = Xxh3Default::new();
        hash_elements(&own, &mut hash);
        hash.digest() ^ u64::from(wide[ELEMENTS - 1])
    })
}
