//! The index, hierarchy and all, against the naive one; files whose checksums are right and that do
//! not fit each other.

use longweave_common::{Budget, Code, DocId, KeywordId};
use longweave_index::{
    CandidateTable, CandidateWriter, Index, IndexOptions, IndexedDocuments, build_from_files,
};
use longweave_keywords::Boilerplate;
use longweave_plan::Forest;
use longweave_storage::write_array;
use proptest::prelude::*;

use crate::naive::{self, Naive};
use crate::{COMMON, Corpus, built, corpus, ctx, files, folder, keys, of_a_document, options};

/// Corpora large enough for features with more clusters than champions.
fn large_corpora() -> impl Strategy<Value = Corpus> {
    let word = prop::sample::select(vec![
        "ash", "birch", "élan", "fox", "jay", "kind", "lake", "oak", "pike", "tree", "warm", "ötzi",
    ]);
    let phrase = (prop::collection::vec(word, 1..4), any::<bool>());
    let phrase = phrase.prop_map(|(words, plural)| words.join(" ") + if plural { "s" } else { "" });
    prop::collection::vec(prop::collection::btree_set(phrase, 0..5).prop_map(of_a_document), 0..160)
}

/// Everything an index tells.
fn told(index: &Index) -> Naive {
    let keywords: Vec<KeywordId> = (0..index.len() as u32).map(KeywordId::new).collect();
    Naive {
        keywords: keywords.iter().map(|&k| index.phrase(k).to_owned()).collect(),
        keyword_of: index
            .keyword_of()
            .iter()
            .map(|&k| (!k.is_none()).then(|| index.phrase(k).to_owned()))
            .collect(),
        postings: keywords
            .iter()
            .map(|&k| index.postings(k).iter().map(|d| d.get()).collect())
            .collect(),
        nodes: (0..index.forest().len() as u32).map(|n| index.node_phrase(n).to_owned()).collect(),
        parent: index.forest().parent.clone(),
        node_of_keyword: index.forest().node_of_keyword.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_is_what_a_naive_one_is(corpus in large_corpora(), options in options(), size in 1..200usize) {
        let said = Boilerplate::none().with(["warm kind"]);
        let expected = naive::index(&corpus, &keys(&corpus), "warm kind", &options);
        prop_assert_eq!(told(&built(&corpus, size, 2, &said, &options)), expected);
    }

    #[test]
    fn whatever_memory_there_is_the_index_is_the_same(corpus in large_corpora(), options in options(), size in 1..200usize, memory in 1..100_000u64) {
        let said = Boilerplate::none().with(["warm kind"]);
        let directory = folder();
        let files = files(&corpus, size, directory.path());
        let mut ctx = ctx(2).clone();
        ctx.budget = Budget::new(memory);
        let index = build_from_files(&ctx, &files, IndexedDocuments::with(&keys(&corpus)), &said, &options, &directory.path().join("scratch")).unwrap();
        prop_assert_eq!(told(&index), told(&built(&corpus, size, 2, &said, &options)));
    }
}

#[test]
fn a_feature_that_all_have_is_no_more_work_than_its_champions() {
    let corpus: Corpus = (0..30_000)
        .map(|d| {
            vec!["common ground".to_owned(), format!("thing{} word{}", d % 15_000, d % 15_000)]
        })
        .collect();
    let options = IndexOptions { max_keyword_share: 0.001, ..COMMON };
    let index = built(&corpus, 4096, 2, &Boilerplate::none(), &options);
    assert_eq!(index.len(), 15_000);
    let forest = index.forest();
    assert!(
        forest.parent.iter().filter(|&&p| p == Forest::NONE).count() < 15_000 / 4,
        "most keywords find another by what all have"
    );
}

#[test]
fn files_that_disagree_are_refused() {
    let good = built(
        &corpus(&[&["oak tree"], &["ash tree"], &["ash tree"], &[]]),
        9,
        1,
        &Boilerplate::none(),
        &COMMON,
    );
    assert_eq!(good.postings(KeywordId::new(0)), [DocId::new(1), DocId::new(2)]);
    let cases: [(&str, &[u32]); 3] = [
        ("keywords", &[1, 0, 2, u32::MAX]),
        ("node_of_keyword", &[0]),
        ("node_parent", &[u32::MAX]),
    ];
    for (name, values) in cases {
        let directory = tempfile::tempdir().unwrap();
        good.write(directory.path()).unwrap();
        write_array(&directory.path().join(name), values).unwrap();
        assert_eq!(
            Index::open(directory.path()).err().map(|e| e.code()),
            Some(Code::FileCorrupt),
            "{name} {values:?}"
        );
    }
    for ends in [&[2u64, 1][..], &[1], &[1, 3]] {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("candidates");
        let mut writer = CandidateWriter::create(&prefix).unwrap();
        for row in [["oak tree"], ["ash tree"]] {
            writer.push(row).unwrap();
        }
        writer.commit().unwrap();
        assert!(CandidateTable::open(&prefix, 0).is_ok());
        write_array(&directory.path().join("candidates.ends"), ends).unwrap();
        assert_eq!(
            CandidateTable::open(&prefix, 0).err().map(|e| e.code()),
            Some(Code::FileCorrupt),
            "candidates' ends {ends:?}"
        );
    }
}
