use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longweave_common::{Code, Ctx, ProgressSink};
use longweave_neighbours::{
    Lists, Query, Search, VectorSet, Vectors, nearest, nearest_in_order, recall, similarity,
};
use longweave_storage::{ArrayFile, write_array};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::{ctx, random};

fn vectors(dims: usize, rows: &[Vec<f64>]) -> VectorSet {
    let mut vectors = Vectors::with_capacity(dims, rows.len());
    rows.iter().for_each(|row| vectors.push_f64(row));
    VectorSet::held(ctx(1), vectors).unwrap()
}

fn row(vectors: &VectorSet, i: usize) -> Vec<i16> {
    let mut row = Vec::new();
    vectors.pick(&[i as u32], &mut row).unwrap();
    row
}

/// By its definition.
fn naive(query: &Query<'_>) -> Vec<Vec<(u32, i32)>> {
    let rows = 0..query.vectors.rows();
    let all: Vec<Vec<i16>> = rows.clone().map(|i| row(query.vectors, i)).collect();
    let list = |i: usize| {
        let others = rows
            .clone()
            .filter(|&j| j != i && query.owners.is_none_or(|owners| owners[i] != owners[j]));
        let mut list: Vec<(u32, i32)> =
            others.map(|j| (j as u32, similarity(&all[i], &all[j]))).collect();
        list.retain(|&(_, similarity)| similarity > 0);
        list.sort_by_key(|&(_, similarity)| std::cmp::Reverse(similarity));
        list.truncate(query.k);
        list
    };
    rows.clone().map(list).collect()
}

fn all(lists: &Lists, rows: usize) -> Vec<Vec<(u32, i32)>> {
    (0..rows).map(|row| lists.get(row).collect()).collect()
}

/// Groups of rows around common centres, and one row without a vector.
pub(crate) fn clustered(rows: usize, dims: usize, groups: usize) -> VectorSet {
    let component = |i: usize, j: usize| {
        if i == 17 { 0.0 } else { random("centre", i % groups, j) + 0.7 * random("noise", i, j) }
    };
    vectors(
        dims,
        &(0..rows).map(|i| (0..dims).map(|j| component(i, j)).collect()).collect::<Vec<_>>(),
    )
}

const INVERTED: Search = Search::Inverted { lists: None, probes: None };

/// Few values, so that there are ties, zeros and opposite vectors; more rows than are compared at
/// once, now and then.
fn inputs() -> impl Strategy<Value = (usize, Vec<Vec<f64>>, Option<Vec<u32>>)> {
    let value = prop::sample::select(vec![-2.0, -1.0, 0.0, 0.0, 1.0, 1.0, 3.0]);
    (1usize..20, prop_oneof![9 => 0usize..40, 1 => 120usize..300]).prop_flat_map(move |(dims, rows)| {
        let row = prop_oneof![1 => Just(vec![0.0; dims]), 8 => prop::collection::vec(value.clone(), dims)];
        (Just(dims), prop::collection::vec(row, rows), prop::option::of(prop::collection::vec(0u32..6, rows)))
    })
}

/// Counts its reports.
#[derive(Default)]
struct Told(AtomicU64);

impl ProgressSink for Told {
    fn advance(&self, units: u64) {
        self.0.fetch_add(units, Ordering::Relaxed);
    }
}

#[test]
fn progress_comes_to_the_number_of_rows() {
    let vectors = clustered(3000, 8, 40);
    let given = |lists, probes| Search::Inverted { lists, probes };
    for (search, k) in [
        (Search::Exact, 3),
        (INVERTED, 3),
        (given(Some(7), Some(3)), 3),
        (given(Some(1), None), 1),
        (INVERTED, 0),
    ] {
        let told = Arc::new(Told::default());
        let ctx = ctx(2).with_progress(Arc::clone(&told) as Arc<dyn ProgressSink>);
        let query = Query { vectors: &vectors, owners: None, k, search, seed: 0 };
        let lists = nearest(&ctx, &query).unwrap();
        assert_eq!(told.0.load(Ordering::Relaxed), 3000, "{search:?}");
        recall(&ctx, &query, &lists, 20).unwrap();
        assert_eq!(told.0.load(Ordering::Relaxed), 3000, "{search:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn exact_lists_are_those_of_a_plain_loop((dims, rows, owners) in inputs(), k in 1usize..50) {
        let vectors = vectors(dims, &rows);
        let query = Query { vectors: &vectors, owners: owners.as_deref(), k, search: Search::Exact, seed: 0 };
        let lists = nearest(ctx(2), &query).unwrap();
        prop_assert_eq!(all(&lists, rows.len()), naive(&query));
        prop_assert_eq!((lists.ids.len(), lists.similarities.len()), (rows.len() * k, rows.len() * k));
        prop_assert!(lists.ids.iter().zip(&lists.similarities).all(|(&id, &similarity)| (id == u32::MAX) == (similarity == 0)));
    }

    #[test]
    fn inverted_lists_are_exact_ones_where_all_parts_are_searched((dims, rows, owners) in inputs(), k in 1usize..50, lists in 1u32..60, seed: u64) {
        let vectors = vectors(dims, &rows);
        let search = Search::Inverted { lists: Some(lists), probes: Some(lists) };
        let query = Query { vectors: &vectors, owners: owners.as_deref(), k, search, seed };
        let found = nearest(ctx(2), &query).unwrap();
        prop_assert_eq!(all(&found, rows.len()), naive(&query));
        let recall = recall(ctx(2), &query, &found, 5).unwrap();
        prop_assert_eq!(recall.found, recall.expected);
    }
}

#[test]
fn lists_are_equal_for_any_number_of_threads() {
    let vectors = clustered(3000, 40, 60);
    let owners: Vec<u32> = (0..3000).map(|i| i / 3).collect();
    for search in [Search::Exact, INVERTED] {
        let query = Query { vectors: &vectors, owners: Some(&owners), k: 7, search, seed: 3 };
        let lists = nearest(ctx(1), &query).unwrap();
        let sampled = recall(ctx(1), &query, &lists, 100).unwrap();
        for threads in [2, 5] {
            assert!(
                nearest(ctx(threads), &query).unwrap() == lists,
                "{search:?}, {threads} threads"
            );
            assert_eq!(recall(ctx(threads), &query, &lists, 100).unwrap(), sampled);
        }
    }
}

#[test]
fn lists_are_equal_in_memory_and_on_the_disk() {
    let mut held = Vectors::with_capacity(24, 3000);
    let set = clustered(3000, 24, 60);
    (0..3000).for_each(|i| held.push_fixed(&row(&set, i)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    write_array(&path, held.data()).unwrap();
    let scratch = folder.path().join("scratch");
    for memory in [8, 1 << 14, 1 << 20] {
        let ctx = Ctx::new(2, memory).unwrap();
        let column = VectorSet::open(&ctx, 24, vec![ArrayFile::open(&path).unwrap()]).unwrap();
        for search in [Search::Exact, INVERTED] {
            let query = Query { vectors: &set, owners: None, k: 7, search, seed: 3 };
            let expected = nearest(&ctx, &query).unwrap();
            let (mut ids, mut similarities) = (Vec::new(), Vec::new());
            let query = Query { vectors: &column, ..query };
            nearest_in_order(&ctx, &query, Some(&scratch), |own, their_similarities| {
                ids.extend_from_slice(own);
                similarities.extend_from_slice(their_similarities);
                Ok(())
            })
            .unwrap();
            assert!(ids == expected.ids && similarities == expected.similarities, "{memory}");
        }
    }
    let left = std::fs::read_dir(&scratch).unwrap().count();
    assert_eq!(left, 0, "columns on disk leave nothing");
}

#[test]
fn a_column_that_is_no_vectors_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    let code = |dims, data: &[i16]| {
        write_array(&path, data).unwrap();
        let set = VectorSet::open(ctx(1), dims, vec![ArrayFile::open(&path).unwrap()]);
        set.map(|set| set.present().to_vec()).map_err(|e| e.code())
    };
    assert_eq!(code(0, &[]), Err(Code::FileCorrupt));
    assert_eq!(code(2, &[1, 2, 3]), Err(Code::FileCorrupt));
    assert_eq!(code(2, &[0, 16_384, -32_768, -32_768]), Err(Code::FileCorrupt));
    assert_eq!(code(2, &[0, 16_384, 0, 0, 16_384, 0]), Ok(vec![0, 2]));
}

#[test]
fn lists_are_fixed_for_ever() {
    // A change here changes plans: CHANGELOG line and new golden hashes.
    let vectors = clustered(1000, 24, 30);
    let digest = |search| {
        let lists =
            nearest(ctx(2), &Query { vectors: &vectors, owners: None, k: 5, search, seed: 1 })
                .unwrap();
        xxh3_64(&lists.ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>())
    };
    assert_eq!(digest(Search::Exact), 14_355_242_603_998_940_036);
    assert_eq!(
        digest(Search::Inverted { lists: None, probes: Some(2) }),
        8_325_434_270_745_969_958
    );
}

#[test]
fn inverted_search_finds_most_neighbours_and_only_allowed_ones() {
    let rows = 6000;
    let vectors = clustered(rows, 32, 300);
    let owners: Vec<u32> = (0..rows as u32).map(|i| i % 500).collect();
    let query =
        Query { vectors: &vectors, owners: Some(&owners), k: 10, search: INVERTED, seed: 5 };
    let lists = nearest(ctx(2), &query).unwrap();
    let exact = nearest(ctx(2), &Query { search: Search::Exact, ..query }).unwrap();
    let own: Vec<Vec<i16>> = (0..rows).map(|i| row(&vectors, i)).collect();
    let (mut found, mut expected) = (0, 0);
    for (row, list) in all(&lists, rows).into_iter().enumerate() {
        assert!(list.is_sorted_by(|a, b| (b.1, a.0) < (a.1, b.0)), "row {row}");
        assert!(
            list.iter()
                .all(|&(id, _)| id != row as u32 && id != 17 && owners[id as usize] != owners[row]),
            "row {row}"
        );
        assert!(
            list.iter().all(|&(id, s)| s > 0 && s == similarity(&own[row], &own[id as usize])),
            "row {row}"
        );
        expected += exact.get(row).count() as u64;
        found += exact.get(row).filter(|neighbour| list.contains(neighbour)).count() as u64;
    }
    assert!(found * 10 >= expected * 9, "{found} of {expected}");
    assert!(lists.get(17).next().is_none());
    let counted = recall(ctx(2), &query, &lists, usize::MAX).unwrap();
    assert_eq!(
        (counted.sampled, counted.found, counted.expected),
        (rows as u64 - 1, found, expected)
    );
    let sampled = recall(ctx(2), &query, &lists, 400).unwrap();
    assert_eq!(sampled.sampled, 400);
    assert!(
        (sampled.found as f64 / sampled.expected as f64 - found as f64 / expected as f64).abs()
            < 0.03
    );
}

#[test]
fn more_parts_searched_find_more() {
    let vectors = clustered(4000, 32, 4000);
    let share = |probes| {
        let search = Search::Inverted { lists: Some(200), probes: Some(probes) };
        let query = Query { vectors: &vectors, owners: None, k: 10, search, seed: 5 };
        let lists = nearest(ctx(2), &query).unwrap();
        recall(ctx(2), &query, &lists, 200).unwrap().found
    };
    let shares: Vec<u64> = [1, 8, 40, 200].map(share).to_vec();
    assert!(shares.is_sorted_by(|a, b| a < b) && shares[3] == 2000, "{shares:?}");
}

#[test]
fn nothing_in_gives_nothing_out() {
    for search in [Search::Exact, INVERTED] {
        for (vectors, k) in [
            (vectors(3, &[]), 4),
            (vectors(3, &vec![vec![0.0; 3]; 5]), 4),
            (vectors(1, &vec![vec![1.0]; 5]), 0),
        ] {
            let query = Query { vectors: &vectors, owners: None, k, search, seed: 0 };
            let lists = nearest(ctx(1), &query).unwrap();
            assert!(all(&lists, vectors.rows()).iter().all(Vec::is_empty));
            assert_eq!(recall(ctx(1), &query, &lists, 10).unwrap().expected, 0);
        }
    }
}

#[test]
fn a_raised_flag_ends_the_search() {
    let vectors = clustered(100, 8, 10);
    let cancelled = ctx(2).with_child_cancel();
    cancelled.cancel.cancel();
    for search in [Search::Exact, INVERTED] {
        let query = Query { vectors: &vectors, owners: None, k: 3, search, seed: 0 };
        assert_eq!(nearest(&cancelled, &query).unwrap_err().code(), Code::Cancelled);
    }
}
