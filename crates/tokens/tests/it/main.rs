//! Golden ids of real tokenizers, from the shared data where it is present.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests are tests

mod golden;
mod models;
mod special;
mod store;

use std::fs::File;
use std::path::PathBuf;

use longweave_tokens::{ModelFiles, SpecialOptions, SpecialTokens, load, load_exact};
use serde_json::Value;

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
fn ids_are_those_of_tokenizers_0_23_for_every_kind_of_model() {
    let Some(path) = data("tokenizers/tokens.json") else { return };
    let golden: Value = serde_json::from_reader(File::open(&path).unwrap()).unwrap();
    let texts: Vec<&str> =
        golden["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(texts.len(), 61);
    for (file, expected) in golden["tokenizers"].as_object().unwrap() {
        let Some(path) = data(&format!("tokenizers/{file}")) else { return };
        let (loaded, exact) = (load(&path).unwrap(), load_exact(&path).unwrap());
        for (text, case) in texts.iter().zip(expected["cases"].as_array().unwrap()) {
            let wanted: Vec<u32> = case["ids"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .collect();
            for encoder in [&loaded.encoder, &exact] {
                let mut ids = vec![];
                encoder.encode(text, None, &mut ids).unwrap();
                assert_eq!(ids, wanted, "{file} by {}: {text:?}", encoder.name());
                assert!(ids.iter().all(|&id| id <= encoder.max_id()));
            }
        }
        assert_eq!(loaded.exact_fallback, None, "{file}");
    }
}

#[test]
fn special_tokens_are_found_by_their_usual_names_and_others_can_be_named() {
    let Some(path) = data("tokenizers/gpt2-tokenizer.json") else { return };
    let encoder = load(&path).unwrap().encoder;
    let options = |separator: &str, pad: &str| SpecialOptions {
        separator: separator.into(),
        pad: pad.into(),
        bos: "auto".into(),
        part_end: "none".into(),
        part_begin: "none".into(),
    };
    let found = SpecialTokens::resolve(&*encoder, &options("auto", "auto"), &ModelFiles::default())
        .unwrap();
    assert_eq!((found.separator, found.pad), (vec![50256], None));
    let text = SpecialTokens::resolve(
        &*encoder,
        &options("text:\n\n", "token:<|endoftext|>"),
        &ModelFiles::default(),
    )
    .unwrap();
    assert_eq!((text.separator, text.pad), (vec![628], Some(50256)));
    for (separator, code) in [
        ("token:<|nope|>", "TOKEN_NOT_FOUND"),
        ("nonsense", "OPTIONS_INVALID"),
        ("text:", "OPTIONS_INVALID"),
    ] {
        let error =
            SpecialTokens::resolve(&*encoder, &options(separator, "auto"), &ModelFiles::default())
                .unwrap_err();
        assert_eq!(error.code().name(), code, "{separator}");
    }
    let error = SpecialTokens::resolve(
        &*encoder,
        &options("token:<|nope|>", "auto"),
        &ModelFiles::default(),
    )
    .unwrap_err();
    assert!(error.message().contains("token:<|endoftext|>"), "{error}");
}

#[test]
fn files_that_are_no_tokenizer_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.json");
    for (content, part) in [
        ("", "it is not JSON"),
        ("[1]", "it is not a JSON object"),
        ("{}", "model.vocab"),
        (r#"{"model":{"type":"BPE","vocab":{"a":0},"merges":[["x","y"]]}}"#, "does not load"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = load(&path).err().unwrap_or_else(|| panic!("{content} loads"));
        assert_eq!(error.code().name(), "TOKENIZER_INVALID", "{content}");
        assert!(
            error.message().contains(part) && error.message().contains("t.json"),
            "{content}: {error}"
        );
    }
    assert_eq!(
        load(&directory.path().join("none.json")).err().unwrap().code().name(),
        "INPUT_NOT_FOUND"
    );
}
