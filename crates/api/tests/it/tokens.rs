//! Corpora that are tokenized already: the same documents as text and as token ids give the same
//! sequences.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use longweave_tokens::Encoder;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::{Place, row, sequences, standard};

const DOCUMENTS: usize = 60;

/// The tokenizer of a place.
fn encoder(place: &Place) -> Arc<dyn Encoder> {
    longweave_tokens::load(&place.path("tokenizer.json")).unwrap().encoder
}

/// The ids of the documents; every third has two separators at its end.
fn ids(encoder: &dyn Encoder) -> Vec<Vec<u32>> {
    let separator = encoder.token_to_id("<|endoftext|>").unwrap();
    let of = |i: usize| {
        let (row, mut ids) = (row(i), Vec::new());
        encoder.encode(row["text"].as_str().unwrap(), None, &mut ids).unwrap();
        ids.extend(vec![separator; if i.is_multiple_of(3) { 2 } else { 0 }]);
        ids
    };
    (0..DOCUMENTS).map(of).collect()
}

fn parquet(path: &Path, ids: &[Vec<u32>]) {
    let mut lists = ListBuilder::new(Int64Builder::new());
    ids.iter().for_each(|ids| lists.append_value(ids.iter().map(|&id| Some(i64::from(id)))));
    let strings = |field: &str| -> ArrayRef {
        let value = |i: usize| row(i)[field].as_str().unwrap().to_owned();
        Arc::new(StringArray::from_iter_values((0..ids.len()).map(value)))
    };
    let columns =
        [("id", strings("id")), ("q", strings("q")), ("ids", Arc::new(lists.finish()) as ArrayRef)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn methods() -> [(&'static str, Vec<(&'static str, Value)>); 3] {
    [
        ("quest", vec![]),
        ("extractive", vec![("/queries/predictor", json!("extractive"))]),
        ("standard", vec![standard()]),
    ]
}

#[test]
fn rows_of_text_and_of_token_ids_give_the_same_sequences() {
    let place = Place::with_documents(DOCUMENTS);
    let ids = ids(&*encoder(&place));
    let rows: Vec<String> = ids
        .iter()
        .enumerate()
        .map(|(i, ids)| {
            let row = row(i);
            json!({ "id": row["id"], "q": row["q"], "text": 7, "m": { "ids": ids } }).to_string()
        })
        .collect();
    fs::write(place.path("ids.jsonl"), rows.join("\n")).unwrap();
    fs::write(place.path("ids.json"), format!("[{}]", rows.join(","))).unwrap();
    parquet(&place.path("ids.parquet"), &ids);
    let corpora = [("ids.jsonl", "m.ids"), ("ids.json", "m.ids"), ("ids.parquet", "ids")];
    for (method, changes) in methods() {
        place.run_in(&format!("text-{method}"), &changes).unwrap();
        let text = sequences(&place.path(&format!("text-{method}")));
        for (name, field) in corpora {
            let corpus = json!([place.path(name).to_str().unwrap()]);
            let own = [("/corpus", corpus), ("/tokensField", json!(field))];
            let changes: Vec<_> = changes.iter().cloned().chain(own).collect();
            let out = format!("{name}-{method}");
            place.run_in(&out, &changes).unwrap();
            assert!(sequences(&place.path(&out)) == text, "{method} {name}");
        }
    }
}

#[test]
fn ids_beyond_the_vocabulary_are_bad_rows_and_rows_of_separators_are_empty() {
    let place = Place::new();
    let encoder = encoder(&place);
    let (greatest, end) = (encoder.max_id(), encoder.token_to_id("<|endoftext|>").unwrap());
    let lists =
        [json!([5, 6]), json!([5, greatest + 1]), json!([end, end]), json!([]), json!(null)];
    let rows: Vec<String> = lists.iter().map(|ids| json!({ "ids": ids }).to_string()).collect();
    fs::write(place.path("corpus.jsonl"), rows.join("\n")).unwrap();
    let given = [
        standard(),
        ("/tokensField", json!("ids")),
        ("/idField", Value::Null),
        ("/incomplete", json!("pad")),
    ];
    let says = format!(
        "corpus.jsonl:2: token id {} is not in the vocabulary of the tokenizer, whose greatest is \
         {greatest}",
        greatest + 1
    );
    let error = place.run_in("fails", &given).err().unwrap();
    assert!(error.message().contains(&says), "{error}");
    let skip = [&given[..], &[("/onBadRow", json!("skip"))]].concat();
    let run = place.run_in("skips", &skip).unwrap();
    let counts: Vec<longweave_stages::ingest::IngestCounts> = run.all_counts().unwrap();
    let [counts] = &counts[..] else { panic!("one split") };
    assert_eq!((counts.accepted, counts.rejected, counts.empty), (1, 1, 3));
    assert_eq!((counts.tokens, counts.bytes), (2, 8));
}

#[test]
fn a_config_in_place_of_the_tokenizer_gives_the_same_sequences_of_ids() {
    let place = Place::new();
    let encoder = encoder(&place);
    let lists = ids(&*encoder);
    let of = |(i, ids): (usize, &Vec<u32>)| json!({ "ids": ids, "q": row(i)["q"] }).to_string();
    let rows: Vec<String> = lists.iter().enumerate().map(of).collect();
    fs::write(place.path("corpus.jsonl"), rows.join("\n")).unwrap();
    let size = encoder.max_id() + 1;
    let end = encoder.token_to_id("<|endoftext|>").unwrap();
    let config = json!({ "vocab_size": size, "eos_token_id": end, "model_type": "gpt2" });
    fs::write(place.path("config.json"), config.to_string()).unwrap();
    let given = [("/tokensField", json!("ids")), ("/idField", Value::Null)];
    let tokenizer = ("/tokenizer", json!(place.path("config.json").to_str().unwrap()));
    let without = [&given[..], &[tokenizer]].concat();
    for (name, method) in [("quest", vec![]), ("standard", vec![standard()])] {
        let (known, unknown) = (format!("known-{name}"), format!("unknown-{name}"));
        place.run_in(&known, &[&given[..], &method].concat()).unwrap();
        place.run_in(&unknown, &[&without[..], &method].concat()).unwrap();
        assert!(sequences(&place.path(&unknown)) == sequences(&place.path(&known)), "{name}");
    }
    let reads = [&without[..], &[("/queries/predictor", json!("extractive"))]].concat();
    let error = place.run_in("reads", &reads).err().unwrap();
    assert_eq!(error.code().name(), "OPTIONS_INVALID", "{error}");
    assert!(error.message().starts_with("`queries.predictor` reads the texts"), "{error}");
    fs::write(place.path("corpus.jsonl"), row(1).to_string()).unwrap();
    let texts = [&without[2..], &[standard()]].concat();
    let error = place.run_in("texts", &texts).err().unwrap();
    assert_eq!(error.code().name(), "TOKENIZER_INVALID", "{error}");
}

#[test]
fn a_document_of_ids_that_is_larger_than_a_batch_is_taken_whole() {
    let place = Place::new();
    // `memory` of 64 MiB makes batches of 2 MiB.
    let long: Vec<u32> = (0..700_000).map(|i| 3 + i % 200).collect();
    let rows = [json!({ "ids": [5, 6] }), json!({ "ids": long }), json!({ "ids": [7] })];
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(place.path("corpus.jsonl"), rows.join("\n")).unwrap();
    let given = [
        standard(),
        ("/tokensField", json!("ids")),
        ("/idField", Value::Null),
        ("/length", json!(4096)),
        ("/splitBytes", json!(1 << 30)),
    ];
    let run = place.run_in("out", &given).unwrap();
    let lens =
        longweave_stages::ingest::IngestPaths::of(&run.directory(longweave_stages::INGEST), 0).lens;
    assert_eq!(longweave_storage::read_array::<u32>(&lens).unwrap(), [2, 700_000, 1]);
    let store = longweave_stages::ingest::tokens(&run).unwrap();
    let mut found = Vec::new();
    store.read_into(longweave_common::DocId::new(1), 0, 700_000, &mut found).unwrap();
    assert!(found == long);
}

#[test]
fn token_files_give_the_sequences_of_the_same_documents_as_text() {
    let place = Place::new();
    let ids = ids(&*encoder(&place));
    let file = |name: &str, bytes: Vec<u8>| fs::write(place.path(name), bytes).unwrap();
    let numbers = |numbers: Vec<usize>| -> Vec<u8> {
        numbers.into_iter().flat_map(|n| (n as u64).to_le_bytes()).collect()
    };
    let lens: Vec<usize> = ids.iter().map(Vec::len).collect();
    let ends: Vec<usize> = (1..=DOCUMENTS).map(|n| lens[..n].iter().sum()).collect();
    let starts: Vec<usize> = (0..DOCUMENTS).map(|n| 2 * lens[..n].iter().sum::<usize>()).collect();
    let bytes: Vec<u8> = ids.iter().flatten().flat_map(|&id| (id as u16).to_le_bytes()).collect();
    let lens: Vec<u8> = lens.iter().flat_map(|&n| (n as u32).to_le_bytes()).collect();
    let head =
        [b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0\x08".to_vec(), numbers(vec![DOCUMENTS, DOCUMENTS + 1])];
    file(
        "ids.idx",
        [head.concat(), lens, numbers(starts), numbers((0..=DOCUMENTS).collect())].concat(),
    );
    file("ids.bin", bytes.clone());
    file("ids.ds.index", numbers(ends.clone()));
    file("ids.ds", bytes.clone());
    file("ids.npy", bytes);
    let line = |i: usize| format!("{},{},{i},x.jsonl.gz,{i}\r\n", ends[i] - ids[i].len(), ends[i]);
    let csv: String = (0..DOCUMENTS).map(line).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(csv.as_bytes()).unwrap();
    file("ids.csv.gz", packed.finish().unwrap());
    for name in ["ids.idx", "ids.ds", "ids.npy"] {
        let rows: Vec<String> = (0..DOCUMENTS)
            .map(|i| json!({ "id": format!("{name}:{i}"), "text": row(i)["text"] }).to_string())
            .collect();
        file("corpus.jsonl", rows.join("\n").into_bytes());
        for (method, changes) in &methods()[1..] {
            let (text, tokens) = (format!("text-{name}-{method}"), format!("{name}-{method}"));
            place.run_in(&text, changes).unwrap();
            let corpus = ("/corpus", json!([place.path(name).to_str().unwrap()]));
            let own = [corpus, ("/idField", Value::Null), ("/splitBytes", json!(1000))];
            place.run_in(&tokens, &[&changes[..], &own].concat()).unwrap();
            let same = sequences(&place.path(&tokens)) == sequences(&place.path(&text));
            assert!(same, "{name} {method}");
        }
    }
}
