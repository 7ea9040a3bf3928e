//! Published figures: the example of Rose et al. (2010) and the 500 Inspec test abstracts, from the
//! shared data where it is present.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests are tests

mod classic;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use longweave_keywords::{Rake, RakeOptions, StopList};
use serde_json::Value;

use crate::classic::classic;

/// A file of the shared data; `None`, said on stderr, where it is missing and not required.
fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LONGWEAVE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(
        std::env::var("LONGWEAVE_REQUIRE_DATA").as_deref() != Ok("1"),
        "{} is required",
        file.display()
    );
    eprintln!("skipped: {} is missing", file.display());
    None
}

#[test]
fn the_worked_example_is_reproduced_to_its_printed_digits_by_both_dialects() {
    let Some(path) = data("rake/rose-example.json") else { return };
    let example: Value = serde_json::from_reader(File::open(path).unwrap()).unwrap();
    let text = example["text"].as_str().unwrap();
    let stop = StopList::smart();
    let rake = Rake::new(stop.clone(), RakeOptions::default());
    let mut ours = Vec::new();
    rake.extract(&mut rake.scratch(), text, |phrase, score| ours.push((phrase.to_owned(), score)));
    let expected = example["scores"].as_array().unwrap();
    assert_eq!(expected.len(), 24);
    for (dialect, found) in [("default", ours), ("classic", classic(text, &stop).keywords)] {
        assert_eq!(found.len(), expected.len(), "{dialect}: {found:?}");
        for row in expected {
            let (keyword, score) =
                (row["keyword"].as_str().unwrap(), row["score"].as_f64().unwrap());
            let (_, got) = found
                .iter()
                .find(|(p, _)| p == keyword)
                .unwrap_or_else(|| panic!("{dialect} lacks {keyword}"));
            assert!(
                (got - score).abs() < 0.0005 + 1e-9,
                "{dialect}: {keyword} scores {got}, printed {score}"
            );
        }
    }
}

#[test]
fn inspec_figures_are_exact() {
    let Some(path) = data("rake/inspec500.jsonl.zst") else { return };
    let lines: Vec<String> = BufReader::new(zstd::Decoder::new(File::open(path).unwrap()).unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines.len(), 500);
    for (stop, expected) in
        [(StopList::fox(), (7906, 2076, 4913)), (StopList::smart(), (7956, 2232, 4913))]
    {
        let (mut extracted, mut correct, mut gold) = (0, 0, 0);
        for line in &lines {
            let row: Value = serde_json::from_str(line).unwrap();
            let found = classic(row["text"].as_str().unwrap(), &stop);
            let wanted: HashSet<String> = row["keywords"]
                .as_array()
                .unwrap()
                .iter()
                .map(|k| k.as_str().unwrap().to_lowercase())
                .collect();
            let kept = &found.keywords[..(found.words / 3).min(found.keywords.len())];
            extracted += kept.len();
            correct += kept.iter().filter(|(p, _)| wanted.contains(p)).count();
            gold += wanted.len();
        }
        assert_eq!((extracted, correct, gold), expected);
    }
}
