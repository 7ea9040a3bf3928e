use longweave_common::Code;
use longweave_common::random::{Key, below, draw};
use longweave_neighbours::{
    Counts, Projection, Query, Search, VectorSet, Vectors, Weights, nearest,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::ctx;

const FEATURES: usize = 100;

/// Documents of two topics in turn: eight of 40 words of the topic's own, three of 20 that both
/// have.
fn corpus(documents: usize) -> Vec<Vec<(u32, u32)>> {
    let words = |i: usize| {
        let pick =
            |counter, first, n| first + below(draw(2, "word", Key(i as u128), counter), n) as u32;
        let own = (0..8).map(|c| pick(c, (i % 2) as u32 * 40, 40));
        let mut words: Vec<u32> = own.chain((8..11).map(|c| pick(c, 80, 20))).collect();
        words.sort_unstable();
        words.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect()
    };
    (0..documents).map(words).collect()
}

fn weights(corpus: &[Vec<(u32, u32)>]) -> Weights {
    let mut document_frequency = vec![0; FEATURES];
    corpus.iter().flatten().for_each(|&(feature, _)| document_frequency[feature as usize] += 1);
    Weights::new(&document_frequency, corpus.len() as u64)
}

fn sample(corpus: &[Vec<(u32, u32)>]) -> Counts {
    let mut counts = Counts::default();
    corpus.iter().for_each(|row| counts.push(row));
    counts
}

fn project(projection: &Projection, weights: &Weights, row: &[(u32, u32)]) -> Vec<f32> {
    let mut out = vec![5.0];
    projection.project(weights, row, &mut out);
    out
}

#[test]
fn documents_of_a_topic_are_neighbours_where_they_share_no_word_too() {
    let corpus = corpus(300);
    let weights = weights(&corpus);
    // The second half was not in the sample.
    let projection = Projection::fit(ctx(2), &sample(&corpus[..150]), &weights, 2, 3, 1).unwrap();
    let mut vectors = Vectors::with_capacity(2, corpus.len());
    corpus.iter().for_each(|row| vectors.push(&project(&projection, &weights, row)));
    let set = VectorSet::held(ctx(2), vectors).unwrap();
    let lists = nearest(
        ctx(2),
        &Query { vectors: &set, owners: None, k: 100, search: Search::Exact, seed: 0 },
    )
    .unwrap();
    let (mut same, mut without_word, mut listed) = (0, 0, 0);
    for row in 0..corpus.len() {
        for (id, _) in lists.get(row) {
            let shared = corpus[row].iter().any(|a| corpus[id as usize].iter().any(|b| a.0 == b.0));
            listed += 1;
            same += u32::from(row % 2 == id as usize % 2);
            without_word += u32::from(!shared && row % 2 == id as usize % 2);
        }
    }
    assert!(same * 100 >= listed * 97, "{same} of {listed}");
    assert!(without_word > 1000, "{without_word}");
}

#[test]
fn projections_are_equal_for_any_number_of_threads_and_fixed_for_ever() {
    let corpus = corpus(200);
    let fit = |threads| {
        Projection::fit(ctx(threads), &sample(&corpus), &weights(&corpus), 37, 3, 9).unwrap()
    };
    let projection = fit(1);
    assert!(fit(2) == projection && fit(5) == projection);
    let mut vectors = Vectors::with_capacity(37, corpus.len());
    corpus.iter().for_each(|row| vectors.push(&project(&projection, &weights(&corpus), row)));
    let bytes: Vec<u8> = vectors.data().iter().flat_map(|x| x.to_le_bytes()).collect();
    // A change here changes plans: CHANGELOG line and a new golden hash. Another number on another
    // machine is a bug.
    assert_eq!(xxh3_64(&bytes), 12_155_297_921_253_635_292);
    assert!(
        Projection::fit(ctx(1), &sample(&corpus), &weights(&corpus), 37, 3, 10).unwrap()
            != projection
    );
}

#[test]
fn enough_columns_keep_all_of_a_document_and_the_others_are_zeros() {
    // Five documents of different words, each ten times: rank 5.
    let corpus: Vec<Vec<(u32, u32)>> =
        (0..50).map(|i| (0..6).map(|w| (i % 5 * 7 + w, 1 + i % 3)).collect()).collect();
    let weights = weights(&corpus);
    for dims in [5, 12] {
        let projection = Projection::fit(ctx(2), &sample(&corpus), &weights, dims, 3, 4).unwrap();
        for row in &corpus {
            let vector = project(&projection, &weights, row);
            let norm: f32 = vector.iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-4, "{norm}");
            assert!(vector[5..].iter().all(|&x| x == 0.0), "{vector:?}");
        }
    }
    let few = Projection::fit(ctx(2), &sample(&corpus[..3]), &weights, 12, 3, 4).unwrap();
    let word = |feature: u32| project(&few, &weights, &[(feature, 1)]);
    assert!((0..FEATURES as u32).all(|feature| word(feature)[3..].iter().all(|&x| x == 0.0)));
    assert!((0..FEATURES as u32).any(|feature| word(feature).iter().any(|&x| x != 0.0)));
}

#[test]
fn words_of_one_document_or_of_all_weigh_nothing() {
    let weights = Weights::new(&[0, 1, 2, 8], 8);
    let mut counts = Counts::default();
    counts.push(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
    counts.push(&[(2, 3), (3, 1)]);
    let projection = Projection::fit(ctx(1), &counts, &weights, 2, 3, 0).unwrap();
    assert_eq!(project(&projection, &weights, &[(0, 1), (1, 9), (3, 9)]), [0.0, 0.0]);
    assert_ne!(project(&projection, &weights, &[(2, 1)]), [0.0, 0.0]);
    assert_eq!(project(&projection, &weights, &[]), [0.0, 0.0]);
    let none = Projection::fit(ctx(1), &Counts::default(), &weights, 2, 3, 0).unwrap();
    assert_eq!(project(&none, &weights, &[(2, 1)]), [0.0, 0.0]);
}

#[test]
fn a_raised_flag_ends_the_fit() {
    let corpus = corpus(40);
    let cancelled = ctx(1).with_child_cancel();
    cancelled.cancel.cancel();
    let error =
        Projection::fit(&cancelled, &sample(&corpus), &weights(&corpus), 3, 3, 0).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
}
