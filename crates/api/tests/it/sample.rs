//! Options and a corpus of small runs, for tests of this crate and of the worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Options of a quest run over `corpus.jsonl` into `out`, changed by JSON pointers; `path` is that
/// of a file by its name.
pub(crate) fn options(path: &dyn Fn(&str) -> String, changes: &[(&str, Value)]) -> Value {
    let output = json!({
        "directory": path("out"), "upload": null, "format": "jsonl", "provenance": "full",
        "shardTokens": 1024, "compression": "none",
        "mdsIndices": "sequence", "mdsShardBytes": null, "columns": null,
        "maskFirst": false, "lossWeightScale": "root", "lossWeightLimit": 8.0
    });
    let mut options = json!({
        "corpus": [path("corpus.jsonl")], "corpusRoot": null, "textField": "text", "tokensField": null,
        "idField": "id", "queryField": "q", "sourceField": null,
        "onBadRow": "fail", "onDuplicateId": "fail", "maxDocumentBytes": 4 << 20,
        "splitBytes": 4096, "tokenizer": path("tokenizer.json"),
        "queries": {
            "predictor": "precomputed", "file": null, "segmentTokens": 384, "model": null,
            "device": "auto", "prefix": null, "decoding": "sample",
            "temperature": 1.0, "topK": 25, "topP": 0.95, "queriesPerSegment": 1,
            "maxQueryTokens": 64, "batchTokens": 8192, "decodeRows": 64,
            "tf32": true, "deviceMemory": null, "onnxRuntime": null, "checkpointSeconds": 20.0,
        },
        "keywords": {
            "language": "auto", "stopWords": "auto", "minScore": 3.0, "phrases": "all",
            "boilerplate": "builtin",
            "boilerplatePhrases": [], "representative": "common",
            "maxKeywordShare": 1.0, "minKeywordCap": 2, "hierarchy": "suffix"
        },
        "vectors": {
            "source": "tfidf", "file": null, "dimensions": 16, "sample": 64, "model": null,
            "device": "cpu", "batchTokens": 256, "tf32": true,
            "deviceMemory": null, "onnxRuntime": null, "pooling": "auto", "prefix": "",
            "maxTokens": null
        },
        "neighbours": { "search": "auto", "lists": null, "probes": null, "recallSample": 16 },
        "topics": {
            "source": "keywords", "file": null, "command": null, "most": 100, "minDocuments": 2,
            "match": "any", "k1": 1.2, "b": 0.75
        },
        "method": {
            "name": "quest", "pool": "keyworded", "splitRatio": 0.2, "splitBy": "keywords",
            "oversample": 2.0, "shortShare": null,
            "minKeywordDocuments": 2, "fill": "related"
        },
        "length": 64, "tokens": null, "seed": 0, "separator": "auto", "bos": "none",
        "bosToken": "auto", "padToken": "auto", "specialText": "text",
        "overflow": "split", "incomplete": "drop", "minTokens": 1, "maxTokens": null,
        "maxUses": null, "holdout": 0.0, "dedup": "none",
        "near": { "threshold": 0.8, "words": 5, "hashes": 128, "bands": null, "rows": null, "keep": "longest" },
        "output": output,
        "work": null, "threads": 2, "packing": "auto", "memory": 64 << 20,
        "diskCheck": "refuse", "clean": "none"
    });
    let of_rows = json!({
        "corpusPreset": null, "corpusSkip": [], "textJoin": "\n",
        "loneSurrogates": "replace", "maxBadRows": null, "languageField": null,
        "sources": {}, "lengths": [],
    });
    options.as_object_mut().unwrap().extend(of_rows.as_object().unwrap().clone());
    for (pointer, value) in changes {
        *options.pointer_mut(pointer).unwrap_or_else(|| panic!("no option at {pointer}")) =
            value.clone();
    }
    options
}

pub(crate) const SUBJECTS: [&str; 7] = [
    "blue whale migration",
    "grey whale migration",
    "roman aqueduct building",
    "aqueduct building",
    "alpine meadow flowers",
    "tin whistle",
    "whale migration",
];

/// Rows with an id, a text of 5 to 44 words and a query that is a phrase.
pub(crate) fn row(i: usize) -> Value {
    let words: Vec<String> =
        (0..5 + i * 7 % 40).map(|w| format!("w{}", (i * 31 + w * 17) % 97)).collect();
    json!({ "id": format!("doc-{i}"), "text": words.join(" "),
        "q": SUBJECTS[i * i % 11 % SUBJECTS.len()] })
}

pub(crate) fn corpus(documents: usize) -> String {
    (0..documents).map(|i| format!("{}\n", row(i))).collect()
}

/// All files below a directory; none where it is not there, as that of a stage without tasks.
pub(crate) fn files(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files(&path, &format!("{name}/"), found);
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
}
