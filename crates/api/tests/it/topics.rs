//! `topics` from end to end: lists of a file, of keywords and of a command; the same sequences for any
//! number of threads and any division into splits; what is found again by another run.

use std::collections::BTreeSet;
use std::fs;

use longweave_api::commands;
use longweave_api::read::OutputReader;
use longweave_common::Cancel;
use longweave_run::RunContext;
use longweave_stages::{MATCHES, POSTINGS, TOPICS};
use serde_json::{Value, json};

use crate::{Place, code, sequences};

type Change = (&'static str, Value);

const LIST: &str = "{\"topic\": \"fifty\", \"query\": \"w50 w51\"}\nw3 W4\nw90\nnothing\n";

fn method(within: &str) -> Change {
    let method = json!({
        "name": "topics", "pool": "all", "documents": 12, "order": "shuffle", "sequences": 2,
        "within": within, "k": 6, "chunkChars": 30, "reuse": "sequence", "fill": "next"
    });
    ("/method", method)
}

fn of_file(place: &Place) -> Vec<Change> {
    fs::write(place.path("topics.txt"), LIST).unwrap();
    let path = place.path("topics.txt");
    vec![("/topics/source", json!("file")), ("/topics/file", json!(path.to_str().unwrap()))]
}

/// The reasons of pieces of the first sequences.
fn reasons(run: &RunContext) -> BTreeSet<String> {
    let options = json!({ "why": true, "words": 4, "tokenizer": null }).to_string();
    let options = commands::show_options(&options).unwrap();
    let mut reader = OutputReader::open(run.out(), &Cancel::new()).unwrap();
    let mut show = |number: u64| json!(reader.show(number, &options, &Cancel::new()).unwrap());
    let pieces = (0..3).flat_map(|number| show(number)["pieces"].as_array().unwrap().clone());
    pieces
        .map(|piece| {
            let documents = piece["pass"]["documents"].as_u64().unwrap();
            assert!((1..=12).contains(&documents), "{piece}");
            piece["reason"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn sequences_are_the_same_for_any_threads_splits_and_memory_and_say_their_topics() {
    let place = Place::with_documents(90);
    for within in ["documents", "nextlong"] {
        let made = |label: &str, more: &[Change]| {
            let out = format!("{within}-{label}");
            let work = ("/work", json!(place.path(&format!("{out}-work")).to_str().unwrap()));
            let changes = [&of_file(&place)[..], &[method(within), work], more].concat();
            place.run_in(&out, &changes).unwrap_or_else(|e| panic!("{out}: {e}"))
        };
        let run = made("whole", &[("/threads", json!(1))]);
        let whole = sequences(run.out());
        for (label, change) in [
            ("threads", ("/threads", json!(5))),
            ("splits", ("/splitBytes", json!(900))),
            ("memory", ("/memory", json!(16 << 20))),
        ] {
            assert!(sequences(made(label, &[change]).out()) == whole, "{within}: {label}");
        }
        let found = reasons(&run);
        if within == "documents" {
            let topics = ["fifty", "w3 W4", "w90"].map(str::to_owned);
            assert!(found.is_subset(&BTreeSet::from(topics)) && found.len() > 1, "{found:?}");
        } else {
            assert!(found.iter().any(|reason| reason.starts_with("doc-")), "{found:?}");
        }
    }
}

#[test]
fn keywords_are_topics_where_enough_documents_have_them() {
    let place = Place::with_documents(90);
    let least = |least: u32| ("/topics/minDocuments", json!(least));
    // The phrases of queries are of no use: they are in no text.
    let named = place.path("named.jsonl");
    let named_rows: String = (0..90)
        .map(|i| {
            let (a, b) = (i % 9, i * 7 % 13);
            format!(
                "{}\n",
                json!({ "id": format!("doc-{i}"), "q": format!("river{a} bridge{b}"),
                "text": format!("river{a} and bridge{b} w1 w2 w3 w4 w5 river{a}") })
            )
        })
        .collect();
    fs::write(&named, named_rows).unwrap();
    let corpus = ("/corpus", json!([named.to_str().unwrap()]));
    let run = place.run_in("some", &[method("documents"), corpus.clone(), least(1)]).unwrap();
    assert!(reasons(&run).iter().all(|reason| reason.starts_with("river")));
    let none = place.run_in("none", &[method("documents"), corpus, least(99)]);
    assert_eq!(code(none), "TOPICS_INVALID");
}

#[cfg(unix)]
#[test]
fn a_command_runs_once_for_all_runs_of_a_work_directory() {
    let place = Place::with_documents(60);
    of_file(&place);
    let (list, calls) = (place.path("topics.txt"), place.path("calls"));
    let command = format!("echo x >> '{}'; cat '{}'", calls.display(), list.display());
    let made = |name: &str, more: &[Change]| {
        let work = ("/work", json!(place.path("work").to_str().unwrap()));
        let source = ("/topics/source", json!("command"));
        let changes = [method("documents"), work, source, ("/topics/command", json!(command))];
        place.run_in(name, &[&changes[..], more].concat()).unwrap()
    };
    let first = made("first", &[]);
    let second = made("second", &[("/length", json!(32)), ("/seed", json!(5))]);
    assert_eq!(fs::read_to_string(calls).unwrap(), "x\n");
    for stage in [TOPICS, POSTINGS, MATCHES] {
        assert_eq!(first.directory(stage), second.directory(stage));
    }
    let by_file = [of_file(&place), vec![method("documents")]].concat();
    let by_file = place.run_in("file", &by_file).unwrap();
    assert!(sequences(first.out()) == sequences(by_file.out()), "equal lists give equal sequences");
}

#[cfg(unix)]
#[test]
fn a_command_that_is_repeated_has_to_write_the_same_topics() {
    let place = Place::with_documents(60);
    of_file(&place);
    let list = place.path("topics.txt");
    let changes = |seed: u64| {
        vec![
            method("documents"),
            ("/work", json!(place.path("work").to_str().unwrap())),
            ("/seed", json!(seed)),
            ("/topics/source", json!("command")),
            ("/topics/command", json!(format!("cat '{}'", list.display()))),
        ]
    };
    let first = place.run_in("first", &changes(1)).unwrap();
    let table = || {
        let names = fs::read_dir(first.directory(TOPICS)).unwrap().flatten();
        let is_table =
            |path: &std::path::PathBuf| path.to_str().unwrap().ends_with(".topics.arrow");
        names.map(|entry| entry.path()).find(is_table).unwrap()
    };
    let damage = || {
        let path = table();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    // Packing meets the damage after it opened the table. It reads the one that is written again.
    damage();
    let again = place.run_in("again", &changes(2)).unwrap();
    assert!(reasons(&again).len() > 1);
    // Documents were searched with the first list, so that names of another one would be wrong.
    damage();
    fs::write(&list, "w1\nw2\n").unwrap();
    let error = place.run_in("other", &changes(3)).err().unwrap();
    assert_eq!(error.code().name(), "TOPICS_INVALID");
    assert!(error.message().contains("writes other topics than before"), "{error}");
    fs::write(&list, LIST).unwrap();
    place.run_in("other", &changes(3)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_wrong_line_of_a_command_is_named_however_much_follows_it() {
    let place = Place::with_documents(20);
    let command = "echo w3; echo '{\"topic\": 5}'; yes w4 | head -n 200000";
    let changes = [
        method("documents"),
        ("/topics/source", json!("command")),
        ("/topics/command", json!(command)),
    ];
    let error = place.run_in("out", &changes).err().unwrap();
    assert_eq!(error.code().name(), "TOPICS_INVALID");
    assert!(error.message().contains("`topics.command`:2: "), "{error}");
}

#[test]
fn a_list_or_command_that_gives_no_topics_ends_the_run() {
    let place = Place::with_documents(20);
    let with = |name: &str, changes: &[Change]| {
        code(place.run_in(name, &[&[method("documents")], changes].concat()))
    };
    fs::write(place.path("empty.txt"), "\n").unwrap();
    let file = |name: &str| ("/topics/file", json!(place.path(name).to_str().unwrap()));
    let source = |name: &str| ("/topics/source", json!(name));
    fs::write(place.path("strange.txt"), "zebra\n").unwrap();
    for (name, expected) in [
        ("empty.txt", "TOPICS_INVALID"),
        ("missing.txt", "INPUT_NOT_FOUND"),
        ("strange.txt", "PLAN_EMPTY"),
    ] {
        assert_eq!(with(name.trim_end_matches(".txt"), &[source("file"), file(name)]), expected);
    }
    let command = [source("command"), ("/topics/command", json!("exit 4"))];
    assert_eq!(with("command", &command), "TOPICS_INVALID");
}
