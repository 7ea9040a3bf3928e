use longweave_neighbours::{Bm25, QueryRanking, QueryWords, ScoredDocuments, WordCounter};
use proptest::prelude::*;

/// The lists that the steps give, `k` places each: (score, document).
fn lists(
    texts: &[&str],
    queries: &[&str],
    k: usize,
    all_words: bool,
    lanes: usize,
) -> Vec<Vec<(u32, u32)>> {
    let words = QueryWords::of(queries.iter().copied());
    let mut counter = WordCounter::new(&words);
    let (mut counts, mut lengths) = (Vec::new(), Vec::new());
    let mut having = vec![0; words.len()];
    for text in texts {
        let mut own = Vec::new();
        lengths.push(counter.count(text, &mut own));
        own.iter().for_each(|&(word, _)| having[word as usize] += 1);
        counts.push(own);
    }
    let documents = lengths.iter().filter(|&&length| length > 0).count() as u64;
    let all = lengths.iter().map(|&length| u64::from(length)).sum();
    let bm25 = Bm25::new(1.2, 0.75, documents, all, &having);
    let mut ranking = QueryRanking::new(&words, &bm25, 0..queries.len(), k, all_words, lanes);
    for (i, own) in counts.iter().enumerate() {
        let mut scored = ScoredDocuments::default();
        let score = |&(word, count): &(u32, u16)| (word, bm25.score(word, count, lengths[i]));
        scored.push(own.iter().filter(|pair| bm25.weighs(pair.0)).map(score));
        ranking.offer(i as u32, &scored);
    }
    ranking.lists().map(Iterator::collect).collect()
}

/// Scores by the formula, of words between spaces; with `all`, 0 for a text that lacks a word of some
/// weight.
fn naive(texts: &[&str], query: &str, all: bool) -> Vec<f64> {
    let cut = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let texts: Vec<Vec<String>> = texts.iter().map(|text| cut(text)).collect();
    let n = texts.iter().filter(|text| !text.is_empty()).count() as f64;
    let mean = texts.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let score = |text: &Vec<String>| -> f64 {
        let idf = |word: &String| {
            let having = texts.iter().filter(|text| text.contains(word)).count() as f64;
            ((n - having + 0.5) / (having + 0.5)).ln().max(0.0)
        };
        if all && cut(query).iter().any(|word| idf(word) > 0.0 && !text.contains(word)) {
            return 0.0;
        }
        let of_word = |word: &String| {
            let f = text.iter().filter(|&other| other == word).count() as f64;
            idf(word) * f / (f + 1.2 * (0.25 + 0.75 * text.len() as f64 / mean))
        };
        cut(query).iter().map(of_word).sum()
    };
    texts.iter().map(score).collect()
}

#[test]
fn a_score_is_that_of_the_formula() {
    let texts = [
        "The tin whistle is a woodwind instrument",
        "A whistle whistle whistle",
        "Tin is a metal",
        "Rivers of the south",
        "",
        "Mountains and rivers, of the north",
    ];
    // N = 5, and 7 + 4 + 4 + 4 + 6 words: 5 in the mean. Two documents have "tin", two "whistle":
    // ln(3.5 / 2.5) each. "a" is in three of five, and weighs nothing.
    let weight = (3.5f64 / 2.5).ln();
    let one = |f: f64, length: f64| weight * f / (f + 1.2 * (0.25 + 0.75 * length / 5.0));
    let expected = [(0u32, 2.0 * one(1.0, 7.0)), (1, one(3.0, 4.0)), (2, one(1.0, 4.0))];
    let found = &lists(&texts, &["a Tin WHISTLE"], 9, false, 1)[0];
    let mut sorted = expected;
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(found.iter().map(|f| f.1).collect::<Vec<_>>(), sorted.map(|e| e.0));
    for (found, expected) in found.iter().zip(sorted) {
        assert!((f64::from(found.0) / f64::from(1 << 20) - expected.1).abs() < 2e-6, "{found:?}");
    }
    assert_eq!(lists(&texts, &["a Tin WHISTLE", "nothing", ""], 2, false, 3)[0][..], found[..2]);
    assert_eq!(lists(&texts, &["a Tin WHISTLE"], 9, true, 1)[0], found[..1], "it has both words");
    assert!(lists(&texts, &["a", "", "of xyz"], 2, true, 2).iter().all(Vec::is_empty));
}

#[test]
fn a_word_that_a_query_has_twice_counts_twice() {
    let texts = ["ash oak", "ash ash elm", "oak fir", "fir yew", "yew elm", "box"];
    let [once, twice] =
        ["ash", "ash ASH"].map(|query| lists(&texts, &[query], 9, true, 1).remove(0));
    let doubled: Vec<_> = once.iter().map(|&(score, doc)| (2 * score, doc)).collect();
    assert_eq!((&twice, once.len()), (&doubled, 2));
}

proptest! {
    #[test]
    fn lists_are_those_of_the_formula_for_any_number_of_threads(
        texts in prop::collection::vec("[a-f]( [a-f]){0,8}|", 1..30),
        queries in prop::collection::vec("[a-h]( [a-h]){0,3}", 1..6), k in 1usize..6, all: bool, lanes in 1usize..5,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        let found = lists(&texts, &queries, k, all, lanes);
        prop_assert_eq!(&lists(&texts, &queries, k, all, 1), &found);
        for (query, list) in queries.iter().zip(found) {
            let scores = naive(&texts, query, all);
            let mut best: Vec<f64> = scores.iter().copied().filter(|&score| score > 1e-5).collect();
            best.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(list.len(), best.len().min(k));
            for (i, &(score, document)) in list.iter().enumerate() {
                let score = f64::from(score) / f64::from(1 << 20);
                prop_assert!((score - best[i]).abs() < 1e-5 && (score - scores[document as usize]).abs() < 1e-5);
            }
            prop_assert!(list.windows(2).all(|w| w[0].0 > w[1].0 || (w[0].0 == w[1].0 && w[0].1 < w[1].1)));
        }
    }
}
