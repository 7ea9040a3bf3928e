//! Special tokens are found in the files of a model or by mark and name, and are nothing that text
//! becomes.

use std::path::Path;

use longweave_common::{Error, Result};
use longweave_tokens::{ModelFiles, Origin, SpecialOptions, SpecialTokens, load};
use serde_json::{Value, json};

/// A tokenizer of words with added tokens, each with its mark as special.
fn write(directory: &Path, added: &[(&str, bool)]) {
    let added: Vec<Value> = added
        .iter()
        .map(|(content, special)| {
            json!({ "id": 0, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special })
        })
        .collect();
    let model = json!({ "type": "WordLevel", "vocab": { "a": 0, "b": 1, "<|endoftext|>": 2, "<unk>": 3 }, "unk_token": "<unk>" });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null, "model": model,
    });
    std::fs::write(directory.join("tokenizer.json"), file.to_string()).unwrap();
}

fn resolve(directory: &Path, separator: &str) -> Result<SpecialTokens> {
    with_markers(directory, [separator, "none", "none"])
}

fn with_markers(directory: &Path, [separator, end, begin]: [&str; 3]) -> Result<SpecialTokens> {
    let path = directory.join("tokenizer.json");
    let options = SpecialOptions {
        separator: separator.into(),
        pad: "auto".into(),
        bos: "auto".into(),
        part_end: end.into(),
        part_begin: begin.into(),
    };
    let encoder = load(&path)?.encoder;
    SpecialTokens::resolve(&*encoder, &options, &ModelFiles::beside(&path)?)
}

/// The tokens that were taken, by option.
fn taken(found: &SpecialTokens) -> Vec<(&str, &str, &Origin)> {
    found.choices.iter().map(|c| (c.option, c.token.as_str(), &c.by)).collect()
}

#[test]
fn a_token_of_the_ordinary_vocabulary_is_never_taken() {
    let directory = tempfile::tempdir().unwrap();
    // HTML tags and a chat's turn, as in Gemma and Qwen; `<|endoftext|>` is a word of the model.
    write(
        directory.path(),
        &[
            ("</s>", false),
            ("<s>", false),
            ("<eos>", true),
            ("<bos>", true),
            ("<|im_start|>", true),
        ],
    );
    let found = resolve(directory.path(), "auto").unwrap();
    assert_eq!(
        taken(&found),
        [("separator", "<eos>", &Origin::Name), ("bosToken", "<bos>", &Origin::Name)]
    );
    write(
        directory.path(),
        &[("</s>", false), ("<|im_start|>", true), ("<|im_end|>", true), ("<|reserved_1|>", true)],
    );
    let error: Error = resolve(directory.path(), "auto").unwrap_err();
    assert_eq!(error.code().name(), "TOKEN_NOT_FOUND");
    let listed =
        "its special tokens are token:<|im_start|>, token:<|im_end|>, token:<|reserved_1|>";
    assert!(error.message().ends_with(listed), "{error}");
    assert_eq!(resolve(directory.path(), "none").unwrap().bos, None);
    write(directory.path(), &[("</s>", false)]);
    let error = resolve(directory.path(), "auto").unwrap_err();
    assert!(error.message().ends_with("its file marks no token special"), "{error}");
}

#[test]
fn markers_of_parts_are_one_token_or_a_text_and_errors_name_their_option() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("<eos>", true), ("<part>", false), ("a", false), ("b", false)]);
    let found = with_markers(directory.path(), ["auto", "token:<part>", "text:a b"]).unwrap();
    let ids = |ids: &[u32]| ids.to_vec();
    let id = |token| found.choices.iter().find(|choice| choice.option == token).map(|c| c.id);
    assert_eq!(found.part_end, [id("partEnd").unwrap()]);
    assert_eq!((found.part_begin.len(), id("partBegin")), (2, None));
    assert_ne!(found.part_end, ids(&found.separator));
    for (given, option, found) in [
        (["none", "auto", "none"], "partEnd", "auto"),
        (["none", "none", "text:a\\x"], "partBegin", "text:a\\x"),
        (["none", "text:", "none"], "partEnd", "text:"),
    ] {
        let error = with_markers(directory.path(), given).unwrap_err();
        assert_eq!(error.code().name(), "OPTIONS_INVALID");
        assert_eq!(error.details()["option"], option, "{error}");
        assert_eq!(error.details()["found"], found, "{error}");
    }
    let error = with_markers(directory.path(), ["none", "token:<no>", "none"]).unwrap_err();
    assert_eq!(error.code().name(), "TOKEN_NOT_FOUND");
}

#[test]
fn the_files_of_a_model_name_the_tokens_before_names_do() {
    let directory = tempfile::tempdir().unwrap();
    let all =
        [("</s>", true), ("<end>", true), ("<begin>", true), ("<gap>", true), ("<pad>", true)];
    write(directory.path(), &all);
    let file = |name: &str, value: Value| {
        std::fs::write(directory.path().join(name), value.to_string()).unwrap();
    };
    let origin = |name: &str, field: &str| Origin::File {
        path: directory.path().join(name),
        field: field.into(),
    };
    file(
        "generation_config.json",
        json!({ "eos_token_id": [5, 4], "bos_token_id": 6, "pad_token_id": null }),
    );
    let found = resolve(directory.path(), "auto").unwrap();
    let generation = |field| origin("generation_config.json", field);
    assert_eq!(
        taken(&found),
        [
            ("separator", "<end>", &generation("eos_token_id")),
            ("padToken", "<pad>", &Origin::Name),
            ("bosToken", "<begin>", &generation("bos_token_id")),
        ]
    );
    // A token that the tokenizer lacks, and null, name none.
    file(
        "special_tokens_map.json",
        json!({ "eos_token": { "content": "<gap>", "lstrip": false }, "bos_token": "<none>" }),
    );
    file("tokenizer_config.json", json!({ "eos_token": null, "pad_token": "<gap>" }));
    let found = resolve(directory.path(), "auto").unwrap();
    assert_eq!(
        taken(&found),
        [
            ("separator", "<gap>", &origin("special_tokens_map.json", "eos_token")),
            ("padToken", "<gap>", &origin("tokenizer_config.json", "pad_token")),
            ("bosToken", "<begin>", &generation("bos_token_id")),
        ]
    );
    let found = resolve(directory.path(), "token:</s>").unwrap();
    assert_eq!(taken(&found)[0], ("separator", "</s>", &Origin::Option));
    std::fs::write(directory.path().join("tokenizer_config.json"), "{").unwrap();
    let error = resolve(directory.path(), "auto").unwrap_err();
    assert!(error.message().contains("tokenizer_config.json is not JSON"), "{error}");
}

#[test]
fn reserved_tokens_are_counted_and_never_encoded() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("<eos>", true), ("</s>", false)]);
    let encoder = load(&directory.path().join("tokenizer.json")).unwrap().encoder;
    let text = "a <eos> b</s><|endoftext|> <eos><eos> <eo <|endoftext|>";
    let ids = |more: &[u32]| {
        let reserved = encoder.reserve(more).unwrap();
        let mut ids = Vec::new();
        encoder.encode(text, Some(&reserved), &mut ids).unwrap();
        (reserved.count(text), reserved.find(text).map(str::to_owned), ids)
    };
    let end = encoder.token_to_id("</s>").unwrap();
    assert_eq!(ids(&[]), (3, Some("<eos>".into()), vec![0, 3, 1, end, 2, 3, 3, 2]));
    // The model knows `<|endoftext|>` as a word: it is cut after its first character.
    assert_eq!(ids(&[end, 2]), (6, Some("<eos>".into()), vec![0, 3, 3, 3, 3, 3, 3]));
}
