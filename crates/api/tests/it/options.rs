//! Options as JSON: every field must be given, no other, and values out of range are named.

use longweave_run::RunOptions;
use serde_json::{Value, json};

use crate::{Place, standard};

fn pointers(prefix: &str, value: &Value, out: &mut Vec<String>) {
    if let Some(map) = value.as_object() {
        for (key, value) in map {
            let pointer = format!("{prefix}/{key}");
            pointers(&pointer, value, out);
            out.push(pointer);
        }
    }
}

fn parse(json: &Value) -> String {
    RunOptions::parse(&json.to_string())
        .err()
        .map_or_else(|| "fine".to_owned(), |e| format!("{} {}", e.code().name(), e.message()))
}

#[test]
fn every_field_must_be_given_and_no_other() {
    let place = Place::new();
    let methods = [
        json!({ "name": "knn", "pool": "all", "k": 20, "fill": "next" }),
        json!({ "name": "iclm", "pool": "all", "k": 20, "variant": "paper", "fill": "next" }),
        json!({ "name": "long", "pool": "all", "threshold": 9, "mode": "filter", "longShare": 0.7, "fill": "drop" }),
        json!({ "name": "nextlong", "pool": "all", "k": 20, "chunkChars": 9, "reuse": "run", "fill": "pad" }),
        json!({
            "name": "topics", "pool": "all", "documents": 9, "order": "score", "sequences": 4,
            "within": "nextlong", "k": 20, "chunkChars": 9, "reuse": "run", "fill": "pad"
        }),
        json!({ "name": "interleave", "pool": "all", "groupDocuments": null, "parts": 4, "partTokens": null, "partEnd": "none", "partBegin": "none", "partOrder": "turns", "fill": "next" }),
    ];
    let mut changes = vec![vec![], vec![standard()]];
    changes.extend(methods.map(|method| vec![("/method", method)]));
    for changes in changes {
        let whole = place.json(&changes);
        assert_eq!(
            serde_json::to_value(RunOptions::parse(&whole.to_string()).unwrap()).unwrap(),
            whole
        );
        let mut all = Vec::new();
        pointers("", &whole, &mut all);
        assert!(all.len() > 40);
        for pointer in all {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let mut lacking = whole.clone();
            lacking.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
            assert!(parse(&lacking).starts_with("OPTIONS_INVALID"), "{pointer} may be left out");
        }
        for section in ["", "/queries", "/keywords", "/topics", "/method", "/output"] {
            let mut extra = whole.clone();
            extra.pointer_mut(section).unwrap()["colour"] = json!("blue");
            assert!(parse(&extra).contains("colour"), "{section}/colour is taken");
        }
    }
    // Parquet files hold this text.
    let nextlong =
        r#"{"name":"nextlong","pool":"all","k":20,"chunkChars":9,"reuse":"run","fill":"pad"}"#;
    let change = ("/method", serde_json::from_str(nextlong).unwrap());
    let options = place.options(&[change]);
    assert_eq!(serde_json::to_string(&options.method).unwrap(), nextlong);
    assert!(parse(&json!("text")).starts_with("OPTIONS_INVALID"));
}

#[test]
fn values_out_of_range_are_named() {
    let place = Place::new();
    for (pointer, value, option) in [
        ("/output/directory", Value::Null, "output.directory"),
        ("/output/directory", json!("s3://bucket/out"), "output.directory"),
        ("/output/upload", json!("https://host/out"), "output.upload"),
        ("/output/upload", json!("s3://"), "output.upload"),
        ("/work", json!("s3://bucket/work"), "work"),
        ("/corpus", json!([]), "corpus"),
        ("/memory", json!((16 << 20) - 1), "memory"),
        ("/output/shardTokens", json!(0), "output.shardTokens"),
        ("/splitBytes", json!(0), "splitBytes"),
        ("/queryField", Value::Null, "queries.predictor"),
        ("/queries/segmentTokens", json!(0), "queries.segmentTokens"),
        ("/keywords/maxKeywordShare", json!(0.0), "keywords.maxKeywordShare"),
        ("/keywords/maxKeywordShare", json!(1.5), "keywords.maxKeywordShare"),
        ("/length", json!(0), "length"),
        ("/tokens", json!(0), "tokens"),
        ("/holdout", json!(-0.1), "holdout"),
        ("/method/oversample", json!(0.9), "oversample"),
        ("/method", json!({ "name": "knn", "pool": "all", "k": 0, "fill": "next" }), "k"),
        ("/topics/source", json!("file"), "topics.file"),
        ("/topics/source", json!("command"), "topics.command"),
        ("/topics/most", json!(0), "topics.most"),
        ("/topics/minDocuments", json!(0), "topics.minDocuments"),
        ("/topics/k1", json!(-0.1), "topics.k1"),
        ("/topics/b", json!(1.1), "topics.b"),
        ("/output/maskFirst", json!(true), "output.maskFirst"),
    ] {
        let error = RunOptions::parse(&place.json(&[(pointer, value)]).to_string()).unwrap_err();
        assert_eq!(
            (error.code().name(), error.details()["option"].as_str()),
            ("OPTIONS_INVALID", Some(option)),
            "{pointer}: {error}"
        );
    }
    for (pointer, value) in [
        ("/seed", json!(-1)),
        ("/method/name", json!("guess")),
        ("/overflow", json!("Split")),
        ("/length", json!("64")),
    ] {
        assert!(
            parse(&place.json(&[(pointer, value)])).starts_with("OPTIONS_INVALID"),
            "{pointer}"
        );
    }
}
