//! Near-duplicates from end to end: planted copies are found, listed and counted, for any threads,
//! splits and parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use longweave_run::RunContext;
use longweave_stages::clusters::ClusterCounts;
use longweave_stages::plan::PlanCounts;
use serde_json::{Value, json};

use crate::{Place, code, sequences};

/// Texts of 60 words each that have no run of words in common.
fn text(n: usize) -> Vec<String> {
    (0..60).map(|w| format!("w{n}x{w}")).collect()
}

/// Of twenty texts the first five come again, as they are, with one other word, with words more at
/// the end, with half of the words, and with another letter; the ids are the text's number and a kind.
fn rows() -> Vec<Value> {
    let row = |id: String, words: &[String]| json!({ "id": id, "text": words.join(" "), "q": "q" });
    let mut rows: Vec<Value> = (0..20).map(|n| row(format!("{n}-first"), &text(n))).collect();
    for n in 0..5 {
        let words = text(n);
        rows.push(row(format!("{n}-copy"), &words));
        let mut edited = words.clone();
        edited[59] = "another".into();
        rows.push(row(format!("{n}-edited"), &edited));
        let more = (0..6).map(|w| format!("more{w}")).collect();
        rows.push(row(format!("{n}-longer"), &[words.clone(), more].concat()));
        rows.push(row(format!("{n}-half"), &words[..30]));
        let mut upper = words.clone();
        upper[0] = upper[0].to_uppercase();
        rows.push(row(format!("{n}-upper"), &upper));
    }
    rows
}

fn place() -> Place {
    let place = Place::new();
    let lines: String = rows().iter().map(|row| format!("{row}\n")).collect();
    fs::write(place.path("corpus.jsonl"), lines).unwrap();
    place
}

fn near(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let standard = json!({ "name": "standard", "pool": "all", "fill": "next" });
    let mut changes =
        vec![("/method", standard), ("/dedup", json!("near")), ("/incomplete", json!("pad"))];
    changes.extend_from_slice(more);
    changes
}

/// The documents left out, by id: (kept, kind, similarity).
fn listed(out: &Path) -> BTreeMap<String, (String, String, f64)> {
    let packed = fs::read(out.join("duplicates.jsonl.zst")).unwrap();
    let lines = String::from_utf8(zstd::stream::decode_all(&packed[..]).unwrap()).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("id"), (text("kept"), text("kind"), line["similarity"].as_f64().unwrap()))
    };
    lines.lines().map(line).collect()
}

fn counts(run: &RunContext) -> (u64, u64, u64) {
    let excluded = run.counts::<PlanCounts>(0).unwrap().main.excluded;
    (excluded.duplicate, excluded.near_duplicate, excluded.other_part)
}

#[test]
fn planted_copies_are_left_out_and_listed_with_the_document_that_stays() {
    let place = place();
    for (keep, kept, exact) in [("longest", "longer", 0), ("first", "first", 5)] {
        let run = place.run_in(keep, &near(&[("/near/keep", json!(keep))])).unwrap();
        let found = listed(&place.path(keep));
        let names = ["first", "copy", "edited", "longer", "upper"];
        let expected: BTreeSet<String> = (0..5)
            .flat_map(|n| {
                names.iter().filter(|name| **name != kept).map(move |k| format!("{n}-{k}"))
            })
            .collect();
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected);
        for (id, (by, kind, similarity)) in &found {
            let (n, name) = id.split_once('-').unwrap();
            assert_eq!(*by, format!("{n}-{kept}"));
            let equal = kept == "first" && name == "copy";
            assert_eq!((kind == "exact", *similarity == 1.0 && kind == "exact"), (equal, equal));
            assert!(*similarity > 0.8, "{id}: {similarity}");
        }
        assert_eq!(counts(&run), (exact, 20 - exact, 0));
        let ClusterCounts { clusters, documents } = run.counts(0).unwrap();
        assert_eq!((clusters, documents), (5, 25));
    }
}

#[test]
fn sequences_and_the_list_are_the_same_for_any_threads_and_splits() {
    let place = place();
    let made = |name: &str, more: &[(&'static str, Value)]| {
        let work = ("/work", json!(place.path(&format!("{name}-work")).to_str().unwrap()));
        let changes = [near(&[work]), more.to_vec()].concat();
        place.run_in(name, &changes).unwrap();
        let list = fs::read(place.path(name).join("duplicates.jsonl.zst")).unwrap();
        (sequences(&place.path(name)), list)
    };
    let one = made("one", &[("/threads", json!(1))]);
    assert_eq!(made("split", &[("/splitBytes", json!(700))]), one);
    assert_eq!(made("small", &[("/memory", json!(16 << 20)), ("/threads", json!(3))]), one);
}

#[test]
fn no_text_is_in_both_parts() {
    let place = place();
    for seed in 0..8 {
        let out = format!("out{seed}");
        let more = [("/holdout", json!(0.5)), ("/seed", json!(seed))];
        let run = place.run_in(&out, &near(&more)).unwrap();
        let PlanCounts { main, holdout } = run.counts(0).unwrap();
        let held = holdout.unwrap();
        let pools = main.pool_documents + held.pool_documents;
        assert_eq!((pools, listed(&place.path(&out)).len()), (25, 20));
        let left_out = [&main, &held].map(|s| s.excluded.duplicate + s.excluded.near_duplicate);
        assert_eq!(left_out.iter().sum::<u64>(), 20);
        assert!(!place.path(&out).join("holdout/duplicates.jsonl.zst").exists());
    }
}

#[test]
fn a_corpus_without_copies_has_no_list() {
    let place = Place::new();
    let lines: String = rows()[..20].iter().map(|row| format!("{row}\n")).collect();
    fs::write(place.path("corpus.jsonl"), lines).unwrap();
    let run = place.run_in("out", &near(&[])).unwrap();
    assert_eq!(counts(&run), (0, 0, 0));
    assert!(!place.path("out/duplicates.jsonl.zst").exists());
}

#[test]
fn bands_that_the_signature_does_not_hold_are_refused() {
    let place = place();
    for (bands, rows) in
        [(json!(20), json!(10)), (json!(200), Value::Null), (Value::Null, json!(0))]
    {
        let changes = near(&[("/near/bands", bands), ("/near/rows", rows)]);
        let options = place.json(&changes).to_string();
        assert_eq!(code(longweave_run::RunOptions::parse(&options)), "OPTIONS_INVALID");
    }
}
