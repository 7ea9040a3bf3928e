//! Small tokenizers of every kind of model, made by hand, with the other fields of their files, and
//! models that the fast encoder does not cover.

use std::path::PathBuf;

use longweave_tokens::{Loaded, load, load_exact};
use serde_json::{Value, json};

fn write(directory: &tempfile::TempDir, file: &Value) -> PathBuf {
    let path = directory.path().join("tokenizer.json");
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

fn file(model: Value, pre_tokenizer: Value, added: &[(&str, u32)]) -> Value {
    let added: Vec<_> = added
        .iter()
        .map(|(content, id)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": pre_tokenizer,
        "post_processor": null, "decoder": null, "model": model,
    })
}

fn word_piece() -> Value {
    let vocab = json!({ "[UNK]": 0, "play": 1, "##ing": 2, "##ed": 3, "the": 4, "[SEP]": 5 });
    let model = json!({ "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab });
    file(model, json!({ "type": "Whitespace" }), &[("[SEP]", 5)])
}

fn unigram() -> Value {
    let vocab = json!([
        ["<unk>", 0.0],
        ["▁the", -1.0],
        ["▁", -2.0],
        ["c", -3.0],
        ["at", -2.5],
        ["▁cat", -8.0],
        ["</s>", 0.0]
    ]);
    let model = json!({ "type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false });
    file(
        model,
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true }),
        &[("</s>", 6)],
    )
}

fn bpe() -> Value {
    let vocab = json!({ "a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "1": 5, "<eos>": 6 });
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": [["a", "b"], ["ab", "c"]],
    });
    file(model, json!({ "type": "Whitespace" }), &[("<eos>", 6)])
}

fn ids(loaded: &Loaded, text: &str) -> Vec<u32> {
    let mut ids = vec![];
    loaded.encoder.encode(text, None, &mut ids).unwrap();
    ids
}

#[test]
fn every_kind_of_model_gives_the_ids_worked_out_by_hand() {
    for (name, file, text, expected, max_id) in [
        ("WordPiece", word_piece(), "the playing played[SEP] xyz", vec![4, 1, 2, 1, 3, 5, 0], 5),
        // "▁cat" as one piece scores -8; "▁", "c", "at" together -7.5.
        ("Unigram", unigram(), "the cat", vec![1, 2, 3, 4], 6),
        ("BPE", bpe(), "abc ab<eos>cab", vec![4, 3, 6, 2, 3], 6),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = write(&directory, &file);
        let loaded = load(&path).unwrap();
        assert_eq!(
            (ids(&loaded, text), loaded.encoder.max_id()),
            (expected.clone(), max_id),
            "{name}"
        );
        assert_eq!(loaded.exact_fallback, None, "{name}");
        let mut exact = vec![];
        load_exact(&path).unwrap().encode(text, None, &mut exact).unwrap();
        assert_eq!(exact, expected, "{name} by the exact encoder");
        assert_eq!(ids(&loaded, ""), [0u32; 0], "{name}");
    }
}

#[test]
fn truncation_padding_and_dropout_of_the_file_are_off() {
    let mut file = bpe();
    file["truncation"] =
        json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
    file["padding"] = json!({
        "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 6, "pad_type_id": 0, "pad_token": "<eos>"
    });
    file["model"]["dropout"] = json!(0.9);
    let directory = tempfile::tempdir().unwrap();
    let path = write(&directory, &file);
    let text = "abc abc abc abc abc abc";
    assert_eq!(ids(&load(&path).unwrap(), text), [4; 6]);
    let mut exact = vec![];
    load_exact(&path).unwrap().encode(text, None, &mut exact).unwrap();
    assert_eq!(exact, [4; 6]);
}

#[test]
fn what_the_fast_encoder_does_not_cover_is_read_by_the_exact_one_which_is_said() {
    let mut file = bpe();
    let pairs = json!({ "type": "FixedLength", "length": 2 });
    file["pre_tokenizer"] =
        json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, pairs] });
    let directory = tempfile::tempdir().unwrap();
    let path = write(&directory, &file);
    let loaded = load(&path).unwrap();
    assert!(
        loaded.exact_fallback.as_ref().is_some_and(|why| why.contains("FixedLength")),
        "{:?}",
        loaded.exact_fallback
    );
    assert_eq!(loaded.encoder.name(), "tokenizers 0.23.2");
    assert_eq!(ids(&loaded, "abc1ab<eos>"), [3, 2, 5, 3, 6]);
    assert_eq!(loaded.encoder.decode(&[4, 6]).unwrap(), "abc <eos>");
}
