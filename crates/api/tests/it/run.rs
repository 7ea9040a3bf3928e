//! Whole runs: the same bytes however they are made, and corpora at the edges.

use std::fs;
use std::io::Write;
use std::sync::mpsc;

use longweave_api::commands;
use longweave_api::read::OutputReader;
use longweave_api::run::{Mode, Run};
use longweave_common::Cancel;
use longweave_run::RunContext;
use longweave_stages::{
    DOCUMENTS, EMBED, EXTRACT, INDEX, INGEST, MATCHES, NEIGHBOURS, PACK, PLAN, POSTINGS, PREDICT,
    SCATTER, SPOOL, STAGES, TOPICS, VECTORS,
};
use longweave_storage::DoneRecord;
use serde_json::{Value, json};

use crate::{Place, code, corpus, row, sequences, standard};

#[test]
fn bytes_do_not_depend_on_threads_splits_memory_or_packing() {
    let place = Place::with_documents(80);
    let text = corpus(80);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    fs::write(place.path("corpus.jsonl.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(
        place.path("corpus.jsonl.zst"),
        zstd::stream::encode_all(text.as_bytes(), 1).unwrap(),
    )
    .unwrap();
    let path = |name: &str| json!([place.path(name).to_str().unwrap()]);
    for (name, method) in [("quest", vec![]), ("standard", vec![standard()])] {
        let run = |suffix: &str, change: (&'static str, Value)| {
            let changes: Vec<_> = method
                .iter()
                .cloned()
                .chain([change, ("/output/format", json!("parquet"))])
                .collect();
            sequences(place.run_in(&format!("{name}-{suffix}"), &changes).unwrap().out())
        };
        let first = run("first", ("/threads", json!(2)));
        assert!(first.len() > 1);
        assert_eq!(run("one", ("/threads", json!(1))), first);
        assert_eq!(run("seven", ("/threads", json!(7))), first);
        assert_eq!(run("splits", ("/splitBytes", json!(300))), first);
        assert_eq!(run("small", ("/memory", json!(16 << 20))), first);
        assert_eq!(run("gz", ("/corpus", path("corpus.jsonl.gz"))), first);
        assert_eq!(run("zst", ("/corpus", path("corpus.jsonl.zst"))), first);
        assert_eq!(run("scatter", ("/packing", json!("scatter"))), first);
    }
}

#[test]
fn gathered_and_scattered_outputs_are_the_same_in_every_format_with_cuts_begin_tokens_and_a_holdout()
 {
    let place = Place::with_documents(80);
    let zst = json!([place.path("corpus.jsonl.zst").to_str().unwrap()]);
    fs::write(
        place.path("corpus.jsonl.zst"),
        zstd::stream::encode_all(corpus(80).as_bytes(), 1).unwrap(),
    )
    .unwrap();
    let changes = [
        ("/splitBytes", json!(300)),
        ("/bos", json!("document")),
        ("/bosToken", json!("token:<s>")),
        ("/holdout", json!(0.3)),
        ("/output/shardTokens", json!(256)),
        ("/incomplete", json!("pad")),
        ("/work", json!(place.path("work").to_str().unwrap())),
        ("/corpus", zst),
    ];
    for format in ["jsonl", "parquet", "mds"] {
        let run = |packing: &str| {
            let name = format!("{format}-{packing}");
            let more = [("/packing", json!(packing)), ("/output/format", json!(format))];
            let run = place.run_in(&name, &[&changes[..], &more].concat()).unwrap();
            assert!(
                run.stages().any(|stage| stage == SPOOL),
                "the packed file is large compared to a split"
            );
            let scattered = run.tasks(SCATTER).unwrap().unwrap();
            assert_eq!(scattered > 1, packing == "scatter", "{scattered} tasks");
            (sequences(run.out()), sequences(&run.out().join("holdout")))
        };
        let gathered = run("gather");
        assert!(gathered.0.len() > 2 && !gathered.1.is_empty(), "several shards of both parts");
        assert_eq!(run("scatter"), gathered, "{format}");
    }
}

/// Runs to the end, pushing rows 0..`documents` where its corpus is null.
fn finish(options: &Value, documents: usize) -> Result<Value, String> {
    let run = Run::start(&options.to_string(), Mode::Run).unwrap();
    let (send, receive) = mpsc::channel();
    if options["corpus"].is_null() {
        let (pushed, answers) = mpsc::channel();
        for i in 0..documents {
            let row = row(i);
            let fields = json!({ "id": row["id"], "text": row["text"], "queries": row["q"] });
            let pushed = pushed.clone();
            run.push(format!("{fields}\n"), move |result| pushed.send(result.is_ok()).unwrap());
        }
        run.end_input(move |result| pushed.send(result.is_ok()).unwrap());
        let answers: Vec<bool> = answers.iter().take(documents + 1).collect();
        assert!(answers[..documents].iter().all(|ok| *ok), "what is pushed is taken");
    }
    run.finished(move |outcome| {
        send.send(outcome.map_err(|e| e.code().name().to_owned())).unwrap()
    });
    let outcome = receive.recv_timeout(crate::PATIENCE).expect("the run ends");
    outcome.map(|summary| serde_json::from_str(&summary).unwrap())
}

#[test]
fn pushed_documents_give_the_bytes_of_the_file_and_can_be_pushed_again() {
    let place = Place::with_documents(80);
    let file = place.run_in("file", &[]).unwrap();
    let out = json!(place.path("pushed").to_str().unwrap());
    let options = place.json(&[("/corpus", Value::Null), ("/output/directory", out)]);
    let summary = finish(&options, 80).unwrap();
    assert_eq!(summary["corpus"]["documents"], 80);
    assert_eq!(sequences(&place.path("pushed")), sequences(file.out()));
    assert_eq!(finish(&options, 80).unwrap()["corpus"]["documents"], 80);
    assert_eq!(finish(&options, 79).unwrap_err(), "INPUT_CHANGED");
    assert_eq!(finish(&options, 0).unwrap_err(), "CORPUS_EMPTY");
}

#[test]
fn the_spool_of_a_running_run_is_not_replaced() {
    let place = Place::new();
    let options = |out: &str| {
        place.json(&[
            ("/corpus", Value::Null),
            ("/work", json!(place.path("work").to_str().unwrap())),
            ("/output/directory", json!(place.path(out).to_str().unwrap())),
        ])
    };
    let first = Run::start(&options("a").to_string(), Mode::Run).unwrap();
    let (send, receive) = mpsc::channel();
    first.push("{\"text\":\"t\"}\n".into(), move |result| send.send(result.is_ok()).unwrap());
    assert!(receive.recv().unwrap());
    let second = Run::start(&options("b").to_string(), Mode::Run).unwrap();
    let (send, receive) = mpsc::channel();
    second.finished(move |outcome| {
        send.send(outcome.map_err(|e| e.code().name().to_owned())).unwrap()
    });
    assert_eq!(receive.recv_timeout(crate::PATIENCE).unwrap().unwrap_err(), "RUN_LOCKED");
    first.close();
    second.close();
}

#[test]
fn the_least_memory_serves_many_tasks_on_many_threads() {
    let place = Place::with_documents(400);
    let small = [
        ("/memory", json!(16 << 20)),
        ("/threads", json!(7)),
        ("/splitBytes", json!(500)),
        ("/output/format", json!("parquet")),
    ];
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send.send(place.run_in("small", &small).map(|run| run.tasks(INGEST).unwrap())).unwrap()
        });
        let tasks = receive.recv_timeout(crate::PATIENCE).expect("no task waits for ever").unwrap();
        assert!(tasks.unwrap() > 100, "{tasks:?}");
    });
    commands::verify(&place.path("small"), &Cancel::new()).unwrap();
}

#[test]
fn documents_larger_than_the_memory_allows_at_once_are_taken_one_by_one() {
    let place = Place::new();
    let text =
        |i: usize| (0..200_000 + i).map(|w| format!("w{}", w % 97)).collect::<Vec<_>>().join(" ");
    let rows: String = (0..6)
        .map(|i| {
            format!("{}\n", json!({ "id": format!("doc-{i}"), "text": if i % 2 == 0 { text(i) } else { "w1".into() }, "q": "tin whistle" }))
        })
        .collect();
    fs::write(place.path("corpus.jsonl"), rows).unwrap();
    let run = |out: &str, memory: u64| {
        let sizes = [
            ("/memory", json!(memory)),
            ("/threads", json!(4)),
            ("/splitBytes", json!(500_000)),
            ("/length", json!(4096)),
            ("/output/shardTokens", json!(1 << 20)),
        ];
        sequences(place.run_in(out, &sizes).unwrap().out())
    };
    assert_eq!(run("small", 16 << 20), run("large", 1 << 30));
}

#[test]
fn corpora_without_a_document_and_with_one() {
    let blank = "{\"id\":\"a\",\"text\":\" \",\"q\":\"\"}\n";
    let bad = "nonsense\n{\"id\":\"b\"}\n";
    for (content, changes, expected) in [
        ("", vec![], "CORPUS_EMPTY"),
        ("\n \n", vec![], "CORPUS_EMPTY"),
        (blank, vec![], "CORPUS_EMPTY"),
        (bad, vec![], "BAD_ROW"),
        (bad, vec![("/onBadRow", json!("skip"))], "CORPUS_EMPTY"),
        ("{\"id\":\"a\",\"text\":\"t\",\"q\":\"the\"}\n", vec![], "NO_KEYWORDS"),
        ("{\"id\":\"a\",\"text\":\"t\",\"q\":\"tin whistle\"}\n", vec![], "PLAN_EMPTY"),
        (
            "{\"id\":\"a\",\"text\":\"t\",\"q\":\"tin whistle\"}\n",
            vec![("/incomplete", json!("pad"))],
            "NONE",
        ),
        (
            "{\"id\":\"a\",\"text\":\"t\"}\n{\"id\":\"a\",\"text\":\"u\"}\n",
            vec![standard()],
            "DUPLICATE_ID",
        ),
    ] {
        let place = Place::new();
        fs::write(place.path("corpus.jsonl"), content).unwrap();
        let result = place.run_in("out", &changes);
        assert_eq!(code(result), expected, "{content:?} {changes:?}");
    }
}

#[test]
fn duplicate_ids_are_renamed_in_order_past_those_that_exist() {
    let place = Place::new();
    let ids = ["x", "y", "x", "x#2", "x", "y"];
    let rows: String = ids
        .iter()
        .enumerate()
        .map(|(i, id)| format!("{}\n", json!({ "id": id, "text": format!("text {i}"), "q": "" })))
        .collect();
    fs::write(place.path("corpus.jsonl"), rows).unwrap();
    let changes = [
        standard(),
        ("/onDuplicateId", json!("suffix")),
        ("/length", json!(4)),
        ("/incomplete", json!("pad")),
    ];
    for (out, split_bytes) in [("one", 1 << 20), ("many", 10)] {
        let run = place
            .run_in(out, &[&changes[..], &[("/splitBytes", json!(split_bytes))]].concat())
            .unwrap();
        let table =
            longweave_storage::read_strings(&run.directory(DOCUMENTS).join("ids.arrow")).unwrap();
        assert_eq!(table.iter().collect::<Vec<_>>(), ["x", "y", "x#3", "x#2", "x#4", "y#2"]);
        assert_eq!(run.done(DOCUMENTS, 0).unwrap().unwrap().counts["renamed"], 3);
    }
    // The message names the first two places, with lines counted from the start of the file.
    let error = place.run_in("fail", &[standard(), ("/splitBytes", json!(10))]).err().unwrap();
    assert!(
        error.message().starts_with(
            "3 documents have the id \"x\", the first two at corpus.jsonl:1 and corpus.jsonl:3;"
        ),
        "{error}"
    );
}

#[test]
fn a_plain_file_and_its_packed_copy_have_the_same_default_ids_which_is_said() {
    let place = Place::new();
    fs::create_dir(place.path("data")).unwrap();
    fs::write(place.path("data/a.jsonl"), "{\"text\":\"t\"}\n").unwrap();
    fs::write(
        place.path("data/a.jsonl.zst"),
        zstd::stream::encode_all(&b"{\"text\":\"u\"}\n"[..], 1).unwrap(),
    )
    .unwrap();
    let changes = [
        standard(),
        ("/corpus", json!([place.path("data").to_str().unwrap()])),
        ("/idField", Value::Null),
    ];
    let error = place.run_in("out", &changes).err().unwrap();
    assert_eq!(error.code().name(), "DUPLICATE_ID");
    assert!(error.message().contains("a.jsonl:1 and a.jsonl.zst:1"), "{error}");
}

#[test]
fn what_is_held_out_is_a_second_output_of_other_documents() {
    let place = Place::with_documents(80);
    let run =
        place.run_in("out", &[("/holdout", json!(0.4)), ("/incomplete", json!("pad"))]).unwrap();
    let report: Value =
        serde_json::from_str(&commands::verify(run.out(), &Cancel::new()).unwrap()).unwrap();
    assert!(report["holdout"]["sequences"].as_u64().unwrap() > 0);
    let documents = |out: &std::path::Path| -> std::collections::BTreeSet<String> {
        let lines: Vec<Vec<u8>> = sequences(out).into_values().collect();
        let text = String::from_utf8(lines.concat()).unwrap();
        text.lines()
            .flat_map(|l| {
                serde_json::from_str::<Value>(l).unwrap()["doc_ids"].as_array().unwrap().clone()
            })
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    };
    let (main, held) = (documents(run.out()), documents(&run.out().join("holdout")));
    assert!(main.is_disjoint(&held));
    assert_eq!(main.len() + held.len(), 80);
    commands::verify(&run.out().join("holdout"), &Cancel::new()).unwrap();
}

#[test]
fn every_file_of_a_finished_run_is_verified_and_no_other_is_taken() {
    let place = Place::with_documents(80);
    fs::write(place.path("corpus.jsonl"), corpus(80) + "{\"id\":7}\n").unwrap();
    let changes =
        [("/holdout", json!(0.4)), ("/incomplete", json!("pad")), ("/onBadRow", json!("skip"))];
    let out = place.run_in("out", &changes).unwrap().out().to_owned();
    let verified = || code(commands::verify(&out, &Cancel::new()));
    let files = crate::output(&out);
    for name in
        ["README.md", "SHA256SUMS", "rejects.jsonl", "report.json", "holdout/longweave.json"]
    {
        assert!(files.contains_key(name), "{name} of {:?}", files.keys());
    }
    for (name, good) in &files {
        let path = out.join(name);
        let mut changed = good.clone();
        changed[good.len() / 2] ^= 1;
        for bad in [&changed, &good[..good.len() - 1], &[good, &b"\n"[..]].concat(), b""] {
            fs::write(&path, bad).unwrap();
            assert!(["VERIFY_FAILED", "FILE_CORRUPT"].contains(&verified()), "{name}");
        }
        fs::remove_file(&path).unwrap();
        let expected = if name == "longweave.json" { "OUTPUT_NOT_FOUND" } else { "VERIFY_FAILED" };
        assert_eq!(verified(), expected, "{name}");
        fs::write(&path, good).unwrap();
    }
    for stranger in ["empty", "00099.jsonl", "holdout/empty", "sub/folder/file"] {
        let path = out.join(stranger);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(verified(), "VERIFY_FAILED", "{stranger}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(verified(), "NONE");
    fs::remove_dir_all(out.join("holdout")).unwrap();
    assert_eq!(verified(), "VERIFY_FAILED");
}

#[test]
fn sequences_in_memory_are_those_that_would_be_written() {
    let place = Place::with_documents(80);
    let written = place.run_in("written", &[]).unwrap();
    let expected: Vec<u64> = sequences(written.out())
        .into_values()
        .flat_map(|bytes| {
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .flat_map(|l| {
            serde_json::from_str::<Value>(&l).unwrap()["input_ids"].as_array().unwrap().clone()
        })
        .map(|id| id.as_u64().unwrap())
        .collect();
    let options =
        place.json(&[("/output/format", json!("memory")), ("/output/directory", Value::Null)]);
    let run = Run::start(&options.to_string(), Mode::Run).unwrap();
    assert_eq!(code(run.read(0, 0, &Cancel::new())), "STAGE_NOT_READY");
    ended(&run).unwrap();
    for size in [0, 1, 3] {
        let mut found: Vec<u64> = Vec::new();
        let mut next = 0;
        while let Some(batch) = run.read(next, size, &Cancel::new()).unwrap() {
            assert_eq!(batch.input_ids.len(), 64 * batch.sequences() as usize);
            found.extend(batch.input_ids.iter().map(|&id| u64::from(id)));
            next += u64::from(batch.sequences());
        }
        assert_eq!(found, expected);
    }
    let cancelled = Cancel::new();
    cancelled.cancel();
    assert_eq!(code(run.read(0, 0, &cancelled)), "CANCELLED");
    run.close();
    assert_eq!(code(run.read(0, 0, &Cancel::new())), "HANDLE_CLOSED");
}

/// The outcome of a run.
fn ended(run: &Run) -> Result<String, String> {
    let (send, receive) = mpsc::channel();
    run.finished(move |outcome| {
        send.send(outcome.map_err(|e| e.code().name().to_owned())).unwrap()
    });
    receive.recv_timeout(crate::PATIENCE).expect("the run ends")
}

#[test]
fn everything_that_was_asked_is_answered_when_a_run_ends_whatever_ends_it() {
    let place = Place::with_documents(20);
    let missing = json!(place.path("missing.json").to_str().unwrap());
    let options = place.json(&[
        ("/corpus", Value::Null),
        ("/tokenizer", missing),
        ("/output/format", json!("memory")),
        ("/output/directory", Value::Null),
    ]);
    let run = Run::start(&options.to_string(), Mode::Run).unwrap();
    let (send, receive) = mpsc::channel();
    for i in 0..50 {
        let send = send.clone();
        run.push(format!("{{\"text\":\"text {i}\"}}\n"), move |result| {
            send.send(code(result)).unwrap()
        });
    }
    run.end_input(move |result| send.send(code(result)).unwrap());
    let answers: Vec<&str> = receive.iter().collect();
    assert_eq!(answers, vec!["CANCELLED"; 51], "each once, and no callback is kept");
    assert_eq!(ended(&run).unwrap_err(), "INPUT_NOT_FOUND");
    assert_eq!(code(run.read(0, 0, &Cancel::new())), "INPUT_NOT_FOUND");
    let (send, receive) = mpsc::channel();
    run.next_event(move |event| send.send(event.is_none()).unwrap());
    assert!(receive.recv().unwrap(), "no event comes after the end");
}

#[test]
fn a_sequence_is_shown_with_its_documents_words_and_why_they_stand_together() {
    let place = Place::with_documents(80);
    let run =
        place.run_in("out", &[("/holdout", json!(0.3)), ("/incomplete", json!("pad"))]).unwrap();
    let show = |out: &std::path::Path, sequence: u64| {
        let options = commands::show_options(
            &json!({ "why": true, "words": 4, "tokenizer": null }).to_string(),
        )?;
        let shown =
            OutputReader::open(out, &Cancel::new())?.show(sequence, &options, &Cancel::new());
        shown.map(|shown| json!(shown).to_string())
    };
    let mut rules = std::collections::BTreeSet::new();
    for out in [run.out().to_owned(), run.out().join("holdout")] {
        let count = serde_json::from_str::<Value>(&show(&out, 0).unwrap()).unwrap()["sequences"]
            .as_u64()
            .unwrap();
        for sequence in 0..count {
            let shown: Value = serde_json::from_str(&show(&out, sequence).unwrap()).unwrap();
            rules.insert(shown["why"]["rule"].as_str().unwrap().to_owned());
            let mut end = 0;
            for piece in shown["pieces"].as_array().unwrap() {
                let id = piece["docId"].as_str().unwrap();
                let row = row(id.strip_prefix("doc-").unwrap().parse().unwrap());
                assert_eq!(piece["reason"], row["q"], "{id}");
                let (text, words) =
                    (row["text"].as_str().unwrap(), piece["text"].as_str().unwrap());
                assert!(format!("{text}<|endoftext|>").contains(words), "{id}: {words:?}");
                assert!(
                    piece["docOffset"] != 0
                        || text.starts_with(words)
                        || words.contains("<|endoftext|>"),
                    "{id}: {words:?}"
                );
                assert_eq!(piece["start"].as_u64().unwrap(), end);
                end += piece["length"].as_u64().unwrap();
            }
            assert_eq!(shown["tokenCount"].as_u64().unwrap(), end);
        }
        assert_eq!(code(show(&out, count)), "SEQUENCE_NOT_FOUND");
    }
    assert!(rules.contains("group") && rules.len() > 1, "{rules:?}");
    let top: Vec<Value> =
        serde_json::from_str(&commands::top_keywords(run.out(), 3).unwrap()).unwrap();
    let counts: Vec<u64> = top.iter().map(|k| k["documents"].as_u64().unwrap()).collect();
    assert!(counts.len() == 3 && counts.is_sorted_by(|a, b| a >= b), "{top:?}");
}

#[test]
fn counts_that_a_done_record_lacks_are_corruption_and_not_zero() {
    let place = Place::with_documents(60);
    let nextlong = json!({ "name": "nextlong", "pool": "all", "k": 5, "chunkChars": 30, "reuse": "run", "fill": "next" });
    let topics = json!({ "name": "topics", "pool": "all", "documents": 9, "order": "score", "sequences": 2, "within": "documents", "k": 5, "chunkChars": 30, "reuse": "run", "fill": "next" });
    fs::write(place.path("topics.txt"), "w3 w50\nw90\n").unwrap();
    let file = json!(place.path("topics.txt").to_str().unwrap());
    let topics =
        vec![("/method", topics), ("/topics/source", json!("file")), ("/topics/file", file)];
    for (name, changes, stages) in [
        ("topics", topics, vec![TOPICS, POSTINGS, MATCHES]),
        ("quest", vec![], vec![PREDICT, EXTRACT, INDEX, PLAN, DOCUMENTS]),
        ("nextlong", vec![("/method", nextlong)], vec![EMBED, VECTORS, NEIGHBOURS]),
    ] {
        let run = place.run_in(name, &changes).unwrap();
        let out = ("/output/directory", json!(place.path(name).to_str().unwrap()));
        let options = place.json(&[changes, vec![out]].concat());
        finish(&options, 0).unwrap();
        for stage in stages {
            let path = run.directory(stage).join("done/00000.json");
            let whole = DoneRecord::load(&path).unwrap().unwrap();
            DoneRecord { counts: json!({}), ..whole.clone() }.write(&path).unwrap();
            // The counts of some are read by the next stage alone.
            let reader = [(POSTINGS, MATCHES), (MATCHES, PLAN)].into_iter().find(|r| r.0 == stage);
            if let Some((_, reader)) = reader {
                fs::remove_file(run.directory(reader).join("done/00000.json")).unwrap();
            }
            assert_eq!(finish(&options, 0), Err("FILE_CORRUPT".into()), "{}", stage.name);
            if stage == PLAN {
                let run = RunContext::open(STAGES, run.out()).unwrap();
                let error = run.tasks(PACK).unwrap_err();
                let corrupt = error.corrupt_file().unwrap();
                assert_eq!((&corrupt.file, corrupt.made_by), (&path, Some(("plan", 0))));
            }
            whole.write(&path).unwrap();
            if reader.is_some() {
                finish(&options, 0).unwrap();
            }
        }
        finish(&options, 0).unwrap();
    }
}
