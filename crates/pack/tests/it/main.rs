//! The packer against a naive assembly, on plans of random small corpora.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::path::Path;
use std::sync::OnceLock;

use longweave_common::random::Key;
use longweave_common::{Code, Ctx, DocId, KeywordId, Result};
use longweave_formats::{SequenceBatch, SequenceRecord, SequenceWriter, ShardFile};
use longweave_pack::{PackSource, Placement, ShardTokens, TokenSource, assemble, pack_shard};
use longweave_plan::{
    Fill, Incomplete, InterleaveOptions, Method, NamedGroups, Overflow, Part, PartOrder, Piece,
    Plan, PlanInput, PlanOptions, Policies, Pool, PoolOptions, QuestOptions, SplitBy, plan,
};
use longweave_tokens::{RowRun, ScatteredTokens, TokenWriter, Width, scatter_split};
use proptest::prelude::*;

const BOS: u32 = 1;
const PAD: u32 = 2;
const SEPARATOR: [u32; 4] = [3, 4, 5, 6];
const PART_END: [u32; 2] = [7, 8];
const PART_BEGIN: [u32; 2] = [9, 10];

fn ctx() -> &'static Ctx {
    static CTX: OnceLock<Ctx> = OnceLock::new();
    CTX.get_or_init(|| Ctx::new(2, 1 << 30).unwrap())
}

/// Documents' tokens; each token encodes its place: document · 1,000 + place + 100.
struct Tokens(Vec<Vec<u32>>);

impl TokenSource for Tokens {
    fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        out.copy_from_slice(&self.0[doc.index()][start as usize..][..out.len()]);
        Ok(())
    }
}

/// Collects what is written.
#[derive(Default)]
struct Collector(Vec<SequenceRecord>);

impl SequenceWriter for Collector {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        self.0.extend(parts.iter().flat_map(SequenceBatch::records));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        Ok(Vec::new())
    }
}

#[derive(Clone, Debug)]
struct World {
    tokens: Vec<Vec<u32>>,
    ids: Vec<String>,
    keywords: Vec<KeywordId>,
}

fn worlds() -> impl Strategy<Value = World> {
    prop::collection::vec((0u32..30, 0u32..4), 1..30).prop_map(|documents| World {
        tokens: documents
            .iter()
            .zip(0u32..)
            .map(|(&(n, _), d)| (0..n).map(|i| d * 1000 + i + 100).collect())
            .collect(),
        ids: (0..documents.len()).map(|d| format!("doc-{d}")).collect(),
        keywords: documents
            .iter()
            .map(|&(_, k)| if k < 3 { KeywordId::new(k) } else { KeywordId::NONE })
            .collect(),
    })
}

fn policies() -> impl Strategy<Value = Policies> {
    let overflow = prop::sample::select(vec![Overflow::Split, Overflow::Truncate, Overflow::Whole]);
    let fill = prop::sample::select(vec![Fill::Next, Fill::Pad]);
    (2u32..40, 0u32..2, 0u32..5, any::<bool>(), overflow, fill, any::<u64>()).prop_map(
        |(length, lead, separator, sequence_bos, overflow, fill, seed)| Policies {
            length,
            lead,
            separator,
            sequence_bos,
            part_end: 0,
            part_begin: 0,
            overflow,
            fill,
            incomplete: Incomplete::Pad,
            tokens: None,
            seed,
            max_uses: None,
        },
    )
}

fn planned(world: &World, policies: &Policies) -> Option<Plan> {
    planned_by(world, policies, quest())
}

fn quest() -> Method {
    Method::Quest(QuestOptions {
        pool: Pool::All,
        split_ratio: 0.5,
        split_by: SplitBy::Keywords,
        oversample: 2.0,
        short_share: None,
        min_keyword_documents: 1,
    })
}

fn planned_by(world: &World, policies: &Policies, method: Method) -> Option<Plan> {
    let lens: Vec<u32> = world.tokens.iter().map(|t| t.len() as u32).collect();
    let keys: Vec<u128> = world.ids.iter().map(|id| Key::of(id).0).collect();
    let keyword_keys: Vec<u128> = ["a", "b", "c"].map(|k| Key::of(k).0).to_vec();
    let input = PlanInput {
        lens: &lens,
        keys: &keys,
        text_hashes: None,
        near: None,
        keyword_of: Some(&world.keywords),
        keyword_keys: &keyword_keys,
        forest: None,
        sources: None,
        weights: None,
        neighbours: None,
        chunks: None,
        topics: None,
        heads: None,
    };
    plan(
        ctx(),
        &input,
        &PlanOptions { method, pool: PoolOptions::ALL, policies: policies.clone() },
        Part::Main,
    )
    .ok()
}

/// Calls `with` with everything that is packed from.
fn with_source<T>(
    world: &World,
    plan: &Plan,
    with: impl FnOnce(&PackSource<'_>, &Tokens) -> T,
) -> T {
    let tokens = Tokens(world.tokens.clone());
    let sequences = plan.sequences.copy(0..plan.sequences.len());
    let pieces = sequences.pieces();
    let lens: Vec<u32> = pieces.iter().map(|p| tokens.0[p.doc.index()].len() as u32).collect();
    let groups = NamedGroups::of(&plan.groups, pieces);
    let phrase = |k: KeywordId| (!k.is_none()).then(|| ["a", "b", "c"][k.index()]);
    let id = |doc: DocId| world.ids[doc.index()].as_str();
    let source = PackSource {
        shape: plan.shape,
        sequences: &sequences,
        lens: &lens,
        groups: &groups,
        id: &id,
        phrase: &phrase,
        separator: &SEPARATOR[..plan.shape.separator as usize],
        part_end: &PART_END[..plan.shape.cuts.map_or(0, |cuts| cuts.end as usize)],
        part_begin: &PART_BEGIN[..plan.shape.cuts.map_or(0, |cuts| cuts.begin as usize)],
        bos: Some(BOS),
        pad: Some(PAD),
    };
    with(&source, &tokens)
}

/// All sequences of the plan.
fn assembled(world: &World, plan: &Plan) -> Vec<SequenceRecord> {
    with_source(world, plan, |source, tokens| {
        // Earlier sequences leave no trace in a batch.
        let mut batch = SequenceBatch::default();
        assemble(ctx(), source, tokens, 0..1, &mut batch).unwrap();
        assemble(ctx(), source, tokens, 0..plan.sequences.len(), &mut batch).unwrap();
        batch.records()
    })
}

/// A document as the plan sees it: its begin token, its own, its separator's.
fn whole(world: &World, plan: &Plan, doc: DocId) -> Vec<u32> {
    let begin = vec![BOS; plan.shape.lead as usize];
    [begin.as_slice(), &world.tokens[doc.index()], &SEPARATOR[..plan.shape.separator as usize]]
        .concat()
}

proptest! {
    #[test]
    fn between_the_parts_of_a_document_are_its_markers(world in worlds(), policies in policies(), parts in 1u32..5, part_tokens in prop::option::of(1u32..9), (part_end, part_begin) in (0u32..3, 0u32..3)) {
        let interleave = InterleaveOptions { pool: Pool::All, documents: None, parts, part_tokens, part_end: String::new(), part_begin: String::new(), order: PartOrder::Shuffle };
        let policies = Policies { part_end, part_begin, overflow: Overflow::Split, ..policies };
        let Some(plan) = planned_by(&world, &policies, Method::Interleave(interleave)) else { return Ok(()) };
        // Documents written out by their parts, by the definition of docs/planning.md.
        let documents: Vec<Vec<u32>> = world.tokens.iter().map(|own| {
            let count = part_tokens.map_or((parts as usize).min(own.len()), |tokens| own.len().div_ceil(tokens as usize)).max(1);
            let cut = |i: usize| part_tokens.map_or(own.len() * i / count, |tokens| (i * tokens as usize).min(own.len()));
            let mut all = vec![BOS; policies.lead as usize];
            for part in 0..count {
                if part > 0 {
                    all.extend(&PART_END[..part_end as usize]);
                    all.extend(&PART_BEGIN[..part_begin as usize]);
                }
                all.extend(&own[cut(part)..cut(part + 1)]);
            }
            all.extend(&SEPARATOR[..policies.separator as usize]);
            all
        }).collect();
        let records = assembled(&world, &plan);
        for (record, planned) in records.iter().zip(plan.sequences.iter()) {
            let mut expected = vec![BOS; usize::from(plan.shape.sequence_bos)];
            for (i, piece) in planned.pieces.iter().enumerate() {
                let (start, end) = (piece.start as usize, (piece.start + piece.len) as usize);
                let taken = &documents[piece.doc.index()][start..end];
                expected.extend_from_slice(taken);
                // The offset is that of the first own token, where the piece has one.
                if let Some(first) = taken.iter().find(|&&id| id >= 100) {
                    prop_assert_eq!(record.doc_offsets[i], first % 1000 - 100);
                }
            }
            prop_assert_eq!(record.n_tokens as usize, expected.len());
            expected.resize(policies.length as usize, PAD);
            prop_assert_eq!(&record.input_ids, &expected);
        }
    }

    #[test]
    fn sequences_are_slices_of_whole_documents_laid_end_to_end(world in worlds(), policies in policies()) {
        let Some(plan) = planned(&world, &policies) else { return Ok(()) };
        let records = assembled(&world, &plan);
        prop_assert_eq!(records.len(), plan.sequences.len());
        for (record, planned) in records.iter().zip(plan.sequences.iter()) {
            let mut expected = vec![BOS; usize::from(plan.shape.sequence_bos)];
            for (i, piece) in planned.pieces.iter().enumerate() {
                // Provenance tiles the sequence and says where in the document a piece begins.
                prop_assert_eq!(record.doc_starts[i] as usize, expected.len());
                prop_assert_eq!(record.doc_lens[i], piece.len);
                prop_assert_eq!(record.doc_offsets[i], piece.start.saturating_sub(plan.shape.lead));
                prop_assert_eq!(&record.doc_ids[i], &world.ids[piece.doc.index()]);
                prop_assert_eq!(record.groups[i], piece.group.get());
                let keyword = plan.groups.keywords[piece.group.index()];
                prop_assert_eq!(record.reasons[i].as_deref(), (!keyword.is_none()).then(|| ["a", "b", "c"][keyword.index()]));
                let (start, end) = (piece.start as usize, (piece.start + piece.len) as usize);
                expected.extend_from_slice(&whole(&world, &plan, piece.doc)[start..end]);
            }
            prop_assert_eq!(record.doc_starts.len(), planned.pieces.len());
            prop_assert_eq!(record.n_tokens as usize, expected.len());
            expected.resize(policies.length as usize, PAD);
            prop_assert_eq!(&record.input_ids, &expected);
        }
    }

    #[test]
    fn what_is_written_is_what_is_assembled_whatever_the_memory_bound_and_threads(world in worlds(), policies in policies(), limit in 2_000u64..20_000) {
        let Some(plan) = planned(&world, &policies) else { return Ok(()) };
        let all = assembled(&world, &plan);
        let mut small = ctx().clone();
        small.budget = longweave_common::Budget::new(limit);
        let mut written = Collector::default();
        // A writer that needs more than the whole bound works alone; it does not wait for ever.
        with_source(&world, &plan, |source, tokens| pack_shard(&small, source, &mut written, limit * 10, ShardTokens::Gather(tokens))).unwrap();
        prop_assert_eq!(written.0, all);
    }
}

/// Stores the documents in splits of `size` and scatters them for one output shard; returns the
/// place of each split.
fn scattered(
    ctx: &Ctx,
    world: &World,
    plan: &Plan,
    size: usize,
    directory: &Path,
) -> Result<ScatteredTokens> {
    let mut splits = Vec::new();
    for (number, documents) in world.tokens.chunks(size).enumerate() {
        let first = number * size;
        let store = directory.join(format!("{number:05}.tokens"));
        let mut writer = TokenWriter::create(&store, Width::U16)?;
        documents.iter().try_for_each(|document| writer.push(document))?;
        writer.commit()?;
        let mine = plan
            .sequences
            .pieces()
            .filter(|piece| (first..first + documents.len()).contains(&piece.doc.index()));
        let run = |piece: &Piece| {
            let len = world.tokens[piece.doc.index()].len() as u32;
            let own = plan.shape.tokens(*piece, len).own.len() as u32;
            RowRun {
                row: (piece.doc.index() - first) as u32,
                start: piece.start.saturating_sub(plan.shape.lead).min(len),
                len: own,
            }
        };
        let runs: Vec<RowRun> = mine.map(run).filter(|run| run.len > 0).collect();
        let shards = [0, runs.iter().map(|run| u64::from(run.len)).sum()];
        let prefix = directory.join(format!("{number:05}"));
        scatter_split(ctx, &store, runs.into_iter(), &shards, &prefix)?;
        splits.push((first as u32, prefix));
    }
    Ok(ScatteredTokens::new(splits))
}

/// Packs the plan's sequences from scattered tokens under a bound of `limit` bytes.
fn placed(
    world: &World,
    plan: &Plan,
    store: &ScatteredTokens,
    limit: u64,
) -> Result<Vec<SequenceRecord>> {
    let mut small = ctx().clone();
    small.budget = longweave_common::Budget::new(limit);
    let mut written = Collector::default();
    let placement = Placement { store, shard: 0, starts: vec![0; store.splits()] };
    with_source(world, plan, |source, _| {
        pack_shard(&small, source, &mut written, 0, ShardTokens::Place(placement))
    })?;
    Ok(written.0)
}

proptest! {
    // Each case makes several files durable.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scattering_and_placing_give_what_gathering_gives(
        world in worlds(), policies in policies(), size in 1usize..12, limit in 2_000u64..20_000, scatter_limit in prop::sample::select(vec![40u64, 1 << 20])
    ) {
        let Some(plan) = planned(&world, &policies) else { return Ok(()) };
        let directory = tempfile::tempdir().unwrap();
        let mut small = ctx().clone();
        small.budget = longweave_common::Budget::new(scatter_limit);
        let store = scattered(&small, &world, &plan, size, directory.path()).unwrap();
        let all = assembled(&world, &plan);
        prop_assert_eq!(placed(&world, &plan, &store, limit).unwrap(), all);
    }
}

#[test]
fn a_changed_scattered_token_is_noticed_before_a_shard_is_finished() {
    let (world, policies) = one_document();
    let plan = planned(&world, &policies).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = scattered(ctx(), &world, &plan, 1, directory.path()).unwrap();
    let path = directory.path().join("00000.ids");
    let good = std::fs::read(&path).unwrap();
    for at in 32..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert_eq!(
            placed(&world, &plan, &store, 1 << 20).unwrap_err().code(),
            Code::FileCorrupt,
            "byte {at}"
        );
    }
    std::fs::write(&path, &good).unwrap();
    placed(&world, &plan, &store, 1 << 20).unwrap();
}

#[test]
fn runs_beyond_a_row_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("00000.tokens");
    let mut writer = TokenWriter::create(&store, Width::U32).unwrap();
    writer.push(&[1, 2, 3]).unwrap();
    writer.push(&[4]).unwrap();
    writer.commit().unwrap();
    for (row, start, len) in [(0, 0, 4), (0, 3, 1), (1, 0, 2), (2, 0, 1), (0, u32::MAX, u32::MAX)] {
        let runs = [RowRun { row, start, len }].into_iter();
        let error = scatter_split(ctx(), &store, runs, &[0, 4], &directory.path().join("00000"))
            .unwrap_err();
        assert_eq!(error.code(), Code::FileCorrupt, "row {row}, {start} + {len}");
    }
}

fn one_document() -> (World, Policies) {
    let world = World {
        tokens: vec![(100..120).collect()],
        ids: vec!["d".into()],
        keywords: vec![KeywordId::new(0)],
    };
    let policies = Policies {
        length: 8,
        lead: 1,
        separator: 2,
        sequence_bos: true,
        part_end: 0,
        part_begin: 0,
        overflow: Overflow::Split,
        fill: Fill::Next,
        incomplete: Incomplete::Pad,
        tokens: None,
        seed: 0,
        max_uses: None,
    };
    (world, policies)
}

#[test]
fn tokens_that_are_needed_and_not_known_are_named() {
    let (world, policies) = one_document();
    let plan = planned(&world, &policies).unwrap();
    let message = |change: fn(&mut PackSource<'_>)| {
        with_source(&world, &plan, |source, tokens| {
            let mut source = PackSource { ..*source };
            change(&mut source);
            let mut batch = SequenceBatch::default();
            let all = 0..plan.sequences.len();
            assemble(ctx(), &source, tokens, all, &mut batch).unwrap_err().message().to_owned()
        })
    };
    assert!(message(|s| s.bos = None).contains("begin token"));
    assert!(message(|s| s.pad = None).contains("padding token"));
    assert!(message(|s| s.separator = &[3]).contains("separator"));
}

#[test]
fn a_sequence_larger_than_the_memory_bound_and_a_cancelled_run_are_refused() {
    let (world, policies) = one_document();
    let plan = planned(&world, &policies).unwrap();
    let mut small = ctx().clone();
    small.budget = longweave_common::Budget::new(100);
    let pack = |ctx: &Ctx| {
        with_source(&world, &plan, |source, tokens| {
            pack_shard(ctx, source, &mut Collector::default(), 0, ShardTokens::Gather(tokens))
        })
        .unwrap_err()
        .code()
    };
    assert_eq!(pack(&small), Code::MemoryBudget);
    let cancelled = ctx().with_child_cancel();
    cancelled.cancel.cancel();
    assert_eq!(pack(&cancelled), Code::Cancelled);
}
