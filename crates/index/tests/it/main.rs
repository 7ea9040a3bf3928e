//! The index against a plain one made of maps, on random small corpora; its forest; its files.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod hierarchy;
mod naive;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longweave_common::random::{Key, below, draw};
use longweave_common::{Code, Ctx, DocId, KeywordId};
use longweave_index::{
    CandidateTable, CandidateWriter, Hierarchy, Index, IndexOptions, IndexedDocuments,
    Representative, build, build_from_files, sweep_scratch,
};
use longweave_keywords::{Boilerplate, singular};
use longweave_plan::Forest;
use proptest::prelude::*;

/// Candidates of each document: distinct, in byte order.
type Corpus = Vec<Vec<String>>;

fn ctx(threads: usize) -> &'static Ctx {
    static ALL: [OnceLock<Ctx>; 3] = [const { OnceLock::new() }; 3];
    ALL[threads.min(3) - 1].get_or_init(|| Ctx::new(threads, 1 << 30).unwrap())
}

fn corpora() -> impl Strategy<Value = Corpus> {
    let word = prop::sample::select(vec![
        "steam", "engine", "river", "bridge", "old", "wooden", "player", "chess",
    ]);
    let phrase = (prop::collection::vec(word, 1..4), any::<bool>());
    let phrase = phrase.prop_map(|(words, plural)| words.join(" ") + if plural { "s" } else { "" });
    prop::collection::vec(prop::collection::btree_set(phrase, 0..5).prop_map(of_a_document), 1..40)
}

/// Candidates as a document has them: of a phrase and its plural one.
fn of_a_document(phrases: BTreeSet<String>) -> Vec<String> {
    let mut known = HashSet::new();
    phrases.into_iter().filter(|phrase| known.insert(singular(phrase).into_owned())).collect()
}

fn options() -> impl Strategy<Value = IndexOptions> {
    let representative = prop::sample::select(vec![Representative::Random, Representative::Common]);
    let hierarchy = prop::sample::select(vec![Hierarchy::Suffix, Hierarchy::Affinity]);
    (any::<u64>(), representative, any::<bool>(), 0.01f64..1.0, 1u32..6, hierarchy).prop_map(
        |(seed, representative, searchable, max_keyword_share, min_keyword_cap, hierarchy)| {
            IndexOptions {
                seed,
                representative,
                searchable,
                max_keyword_share,
                min_keyword_cap,
                hierarchy,
            }
        },
    )
}

/// Keys are given only where they are said to be needed.
fn documents<'a>(keys: &'a [u128], options: &IndexOptions) -> IndexedDocuments<'a> {
    let given = if options.needs_keys() { keys } else { &[] };
    IndexedDocuments { number: keys.len(), keys: given, vectors: None }
}

fn keys(corpus: &Corpus) -> Vec<u128> {
    (0..corpus.len()).map(|i| Key::of(&format!("document {i}")).0).collect()
}

/// A folder in memory where there is a file system in memory: what is numbered on the disk makes
/// hundreds of small files.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Writes tables of `split` documents each below `directory`; where each is, with its first
/// document.
fn files(corpus: &Corpus, split: usize, directory: &Path) -> Vec<(PathBuf, u32)> {
    let mut first = 0;
    let mut files = Vec::new();
    for (number, rows) in corpus.chunks(split).enumerate() {
        let prefix = directory.join(number.to_string());
        let mut writer = CandidateWriter::create(&prefix).unwrap();
        rows.iter().for_each(|phrases| writer.push(phrases.iter().map(String::as_str)).unwrap());
        writer.commit().unwrap();
        files.push((prefix, first));
        first += rows.len() as u32;
    }
    files
}

fn tables(corpus: &Corpus, split: usize) -> Vec<CandidateTable> {
    let directory = tempfile::tempdir().unwrap();
    let files = files(corpus, split, directory.path());
    files.iter().map(|(prefix, first)| CandidateTable::open(prefix, *first).unwrap()).collect()
}

fn built(
    corpus: &Corpus,
    split: usize,
    threads: usize,
    said: &Boilerplate,
    options: &IndexOptions,
) -> Index {
    build(
        ctx(threads),
        &tables(corpus, split),
        IndexedDocuments::with(&keys(corpus)),
        said,
        options,
    )
    .unwrap()
}

/// Everything that an index says.
fn content(index: &Index) -> impl Clone + PartialEq + std::fmt::Debug + use<> {
    let keywords = (0..index.len() as u32).map(KeywordId::new);
    let lists: Vec<(String, Vec<DocId>)> =
        keywords.map(|k| (index.phrase(k).to_owned(), index.postings(k).to_vec())).collect();
    let nodes: Vec<String> =
        (0..index.forest().len() as u32).map(|n| index.node_phrase(n).to_owned()).collect();
    (
        lists,
        index.keyword_of().to_vec(),
        index.keyword_keys().to_vec(),
        index.forest().clone(),
        nodes,
    )
}

/// The keyword of each document, slowly.
fn chosen(corpus: &Corpus, said: &Boilerplate, options: &IndexOptions) -> Vec<Option<String>> {
    let mut frequency: BTreeMap<&str, u32> = BTreeMap::new();
    corpus.iter().flatten().for_each(|p| *frequency.entry(p).or_default() += 1);
    let with_candidate = corpus.iter().filter(|c| !c.is_empty()).count() as f64;
    let cap = ((options.max_keyword_share * with_candidate).floor() as u32)
        .max(options.min_keyword_cap)
        .max(1);
    let keys = keys(corpus);
    let of = |(document, candidates): (usize, &Vec<String>)| -> Option<String> {
        let left: Vec<&String> = candidates.iter().filter(|p| !said.contains(p)).collect();
        if options.representative == Representative::Random {
            let at = below(
                draw(options.seed, "representative", Key(keys[document]), 0),
                left.len().max(1) as u64,
            );
            return left.get(at as usize).map(|&p| p.clone());
        }
        let words = |p: &str| p.split(' ').count();
        // Below the cap the commonest; where all are above it, the rarest. Then more words, then
        // byte order.
        let below = left.iter().filter(|p| frequency[p.as_str()] <= cap);
        let commonest = below
            .min_by_key(|p| (std::cmp::Reverse((frequency[p.as_str()], words(p))), p.as_str()));
        let rarest = left
            .iter()
            .min_by_key(|p| (frequency[p.as_str()], std::cmp::Reverse(words(p)), p.as_str()));
        commonest.or(rarest).map(|&p| p.clone())
    };
    corpus.iter().enumerate().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn keywords_and_lists_are_those_of_a_plain_index(corpus in corpora(), options in options(), split in 1usize..12, drop_bridge in any::<bool>()) {
        let options = IndexOptions { searchable: false, ..options };
        let said = if drop_bridge { Boilerplate::none().with(["bridge", "old bridge"]) } else { Boilerplate::none() };
        let index = built(&corpus, split, 2, &said, &options);
        let mut lists: BTreeMap<String, Vec<DocId>> = BTreeMap::new();
        for (document, keyword) in chosen(&corpus, &said, &options).into_iter().enumerate() {
            let found = index.keyword_of()[document];
            prop_assert_eq!((!found.is_none()).then(|| index.phrase(found)), keyword.as_deref(), "document {}", document);
            if let Some(keyword) = keyword {
                lists.entry(keyword).or_default().push(DocId::new(document as u32));
            }
        }
        prop_assert_eq!(index.len(), lists.len());
        for (number, (phrase, documents)) in lists.into_iter().enumerate() {
            let keyword = KeywordId::new(number as u32);
            prop_assert_eq!((index.phrase(keyword), index.postings(keyword)), (phrase.as_str(), &documents[..]));
            prop_assert_eq!(index.keyword_keys()[number], Key::of(&phrase).0);
        }
    }

    #[test]
    fn an_index_is_the_same_for_any_number_of_threads_and_any_splits(corpus in corpora(), options in options(), split in 1usize..12) {
        let one = content(&built(&corpus, corpus.len(), 1, &Boilerplate::none(), &options));
        for threads in [2, 7] {
            let more = content(&built(&corpus, split, threads, &Boilerplate::none(), &options));
            prop_assert_eq!(&more, &one);
        }
    }

    #[test]
    fn an_index_that_is_numbered_on_the_disk_is_the_one_that_is_numbered_in_memory(corpus in corpora(), options in options(), split in 1usize..12, held in any::<bool>()) {
        let said = Boilerplate::none().with(["bridge", "old bridge"]);
        let directory = folder();
        let files = files(&corpus, split, directory.path());
        let mut small = ctx(2).clone();
        // Too little for the tables either way; enough to hold the numbers, or not.
        small.budget = longweave_common::Budget::new(if held { 256 } else { 2 });
        let scratch = directory.path().join("scratch");
        let killed = directory.path().join("scratch-00000000deadbeef");
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join("000.keys"), "").unwrap();
        let left = || std::fs::read_dir(directory.path()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("scratch")).count();
        let index = build_from_files(&small, &files, documents(&keys(&corpus), &options), &said, &options, &scratch).unwrap();
        prop_assert_eq!(left(), 1, "an attempt removes its own folder and no other");
        sweep_scratch(&scratch);
        prop_assert_eq!(left(), 0);
        prop_assert_eq!(content(&index), content(&built(&corpus, split, 2, &said, &options)));
        let enough = build_from_files(ctx(2), &files, documents(&keys(&corpus), &options), &said, &options, &scratch).unwrap();
        prop_assert_eq!(content(&enough), content(&index));
    }

    #[test]
    fn the_hierarchy_is_a_forest_in_which_each_keyword_has_its_node(corpus in corpora(), options in options()) {
        let index = built(&corpus, 7, 2, &Boilerplate::none(), &options);
        let forest = index.forest();
        for start in 0..forest.len() {
            let (mut at, mut steps) = (start as u32, 0);
            while at != Forest::NONE {
                at = forest.parent[at as usize];
                steps += 1;
                prop_assert!(steps <= forest.len(), "a cycle above node {}", start);
            }
            prop_assert_eq!(forest.key[start], Key::of(index.node_phrase(start as u32)).0);
            let next = start as u32 + 1;
            prop_assert!(next as usize == forest.len() || index.node_phrase(start as u32) <= index.node_phrase(next));
        }
        let nodes: HashSet<u32> = forest.node_of_keyword.iter().copied().collect();
        prop_assert_eq!(nodes.len(), index.len());
        for (keyword, &node) in forest.node_of_keyword.iter().enumerate() {
            prop_assert_eq!(index.node_phrase(node), index.phrase(KeywordId::new(keyword as u32)));
        }
    }

    #[test]
    fn an_index_reads_back_as_it_was_written(corpus in corpora(), options in options()) {
        let directory = tempfile::tempdir().unwrap();
        let index = built(&corpus, 9, 2, &Boilerplate::none(), &options);
        index.write(directory.path()).unwrap();
        let read = Index::open(directory.path()).unwrap();
        prop_assert_eq!(content(&read), content(&index));
    }
}

fn corpus(rows: &[&[&str]]) -> Corpus {
    rows.iter().map(|row| row.iter().map(|p| (*p).to_owned()).collect()).collect()
}

const COMMON: IndexOptions = IndexOptions {
    seed: 0,
    representative: Representative::Common,
    searchable: false,
    max_keyword_share: 1.0,
    min_keyword_cap: 1,
    hierarchy: Hierarchy::Affinity,
};

#[test]
fn keywords_whose_documents_share_candidates_meet_before_others() {
    let index = built(
        &corpus(&[
            &["green energy", "solar panel"],
            &["solar panel", "wind power"],
            &["green energy", "wind turbine"],
            &["wind power", "wind turbine"],
            &["chess board", "grand master"],
            &["chess opening", "grand master"],
            &["chess opening", "queen pawn"],
            &["chess board", "queen pawn"],
        ]),
        8,
        1,
        &Boilerplate::none(),
        &COMMON,
    );
    let root = |document: usize| {
        let mut node = index.forest().node_of_keyword[index.keyword_of()[document].index()];
        while index.forest().parent[node as usize] != Forest::NONE {
            node = index.forest().parent[node as usize];
        }
        node
    };
    let roots: Vec<u32> = (0..8).map(root).collect();
    assert!(
        roots[..4].iter().all(|&r| r == roots[0]) && roots[4..].iter().all(|&r| r == roots[4]),
        "{roots:?}"
    );
    assert_ne!(roots[0], roots[4], "nothing connects energy and chess");
}

#[test]
fn tables_that_are_not_of_these_documents_are_refused() {
    let rows = corpus(&[&["a b"], &["c d"], &[]]);
    let keys = keys(&rows);
    for (tables, keys) in
        [(tables(&rows, 2), &keys[..2]), (tables(&rows, 1).into_iter().rev().collect(), &keys[..])]
    {
        let error =
            build(ctx(1), &tables, IndexedDocuments::with(keys), &Boilerplate::none(), &COMMON)
                .err()
                .unwrap();
        assert_eq!(error.code(), Code::FileCorrupt, "{error}");
    }
}

#[test]
fn files_that_were_cut_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    built(&corpus(&[&["a b", "c d"], &["c d"]]), 2, 1, &Boilerplate::none(), &COMMON)
        .write(directory.path())
        .unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let refused = Index::open(directory.path()).err().map(|e| e.code());
        assert!(
            refused == Some(Code::FileCorrupt) || path.extension().is_some_and(|e| e == "arrow"),
            "{}",
            path.display()
        );
        std::fs::write(&path, bytes).unwrap();
    }
    Index::open(directory.path()).unwrap();
}

#[test]
fn the_commonest_keywords_come_first() {
    let index = built(
        &corpus(&[&["b b"], &["a a"], &["c c"], &["c c"]]),
        4,
        1,
        &Boilerplate::none(),
        &COMMON,
    );
    assert_eq!(index.top(2), [("c c", 2), ("a a", 1)]);
}
