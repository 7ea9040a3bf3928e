//! Small tokenizers of every pipeline give the ids that tokenizers' Python package gives
//! (fixtures/tokenizers/make.py).

use std::path::{Path, PathBuf};

use longweave_tokens::{Encoder, load, load_exact};
use serde_json::Value;

const FAST: &str = "tokenizers 1.0.0-rc.3";
const KEPT: &str = "tokenizers 0.23.2, words kept";
const OWN: &str = "longweave";

/// Each file of the fixtures with the encoder that reads it.
const FILES: [(&str, &str); 40] = [
    ("added", FAST),
    ("albert", OWN),
    ("bert-cased", FAST),
    ("bert-uncased", FAST),
    ("bloom", FAST),
    ("cl100k-removed", FAST),
    ("claude", FAST),
    ("clip", OWN),
    ("deepseek-coder", FAST),
    ("deepseek3", FAST),
    ("digits-2", FAST),
    ("digits-all", FAST),
    ("falcon", OWN),
    ("gemma", FAST),
    ("gpt1", KEPT),
    ("gpt2", FAST),
    ("gpt2-prefix-space", FAST),
    ("gpt4o", FAST),
    ("kimi", FAST),
    ("llama2", FAST),
    ("llama3", FAST),
    ("metaspace-cut", FAST),
    ("mistral1", FAST),
    ("mistral3", FAST),
    ("mt5", OWN),
    ("qwen2", FAST),
    ("qwen35", FAST),
    ("starcoder", FAST),
    ("t5", OWN),
    ("tekken", FAST),
    ("unigram-bytes", OWN),
    ("unknown-apart", FAST),
    ("whole", FAST),
    ("word-level", FAST),
    ("word-level-behaviors", FAST),
    ("word-level-spaces", FAST),
    ("word-level-split", FAST),
    ("word-piece-words", FAST),
    ("xlm-roberta", OWN),
    ("xlnet", OWN),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(name)
}

fn numbers(list: &Value) -> Vec<u32> {
    serde_json::from_value(list.clone()).unwrap()
}

/// The texts, and by file the ids of each, of the files that `list` names.
fn golden(list: &str) -> (Vec<String>, Value) {
    let mut golden: Value =
        serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    (serde_json::from_value(golden["texts"].take()).unwrap(), golden[list].take())
}

/// Texts that differ, with what was found and expected.
fn differences(encoder: &dyn Encoder, texts: &[String], expected: &[Vec<u32>]) -> Vec<String> {
    let mut found = Vec::new();
    for (text, expected) in texts.iter().zip(expected) {
        let mut ids = Vec::new();
        encoder.encode(text, None, &mut ids).unwrap();
        if ids != *expected {
            found.push(format!("{}: {text:?}: {ids:?}, not {expected:?}", encoder.name()));
        }
    }
    found
}

#[test]
fn ids_are_those_of_the_python_package_for_every_pipeline() {
    let (texts, files) = golden("files");
    assert_eq!(files.as_object().unwrap().len(), FILES.len());
    let mut wrong = Vec::new();
    for (name, encoder) in FILES {
        let expected: Vec<Vec<u32>> =
            files[name]["ids"].as_array().unwrap().iter().map(numbers).collect();
        assert_eq!(expected.len(), texts.len(), "{name}");
        let path = fixture(&format!("{name}.json"));
        let loaded = load(&path).unwrap();
        if loaded.encoder.name() != encoder {
            wrong.push(format!("{name}: {}: {:?}", loaded.encoder.name(), loaded.exact_fallback));
        }
        for encoder in [loaded.encoder, load_exact(&path).unwrap()] {
            let found = differences(&*encoder, &texts, &expected);
            wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reserved_tokens_are_text_and_other_text_keeps_its_ids() {
    let (texts, files) = golden("files");
    let mut cut = 0;
    for (name, _) in FILES {
        let path = fixture(&format!("{name}.json"));
        for encoder in [load(&path).unwrap().encoder, load_exact(&path).unwrap()] {
            let reserved = encoder.reserve(&[]).unwrap();
            let special: Vec<u32> = encoder.special_tokens().iter().map(|&(_, id)| id).collect();
            let unknown = encoder.token_to_id("<unk>").or(encoder.token_to_id("[UNK]"));
            let forbidden =
                |ids: &[u32]| ids.iter().any(|id| special.contains(id) && Some(*id) != unknown);
            let mut expected: Vec<Vec<u32>> =
                files[name]["ids"].as_array().unwrap().iter().map(numbers).collect();
            for changed in files[name]["specialAsText"].as_array().unwrap() {
                expected[changed[0].as_u64().unwrap() as usize] = numbers(&changed[1]);
            }
            for (text, expected) in texts.iter().zip(expected) {
                let mut ids = Vec::new();
                encoder.encode(text, Some(&reserved), &mut ids).unwrap();
                assert!(!forbidden(&ids), "{name}: {text:?}: {ids:?}");
                if forbidden(&expected) {
                    cut += 1; // the package takes a piece of the vocabulary for a special token
                } else {
                    assert_eq!(ids, expected, "{name} by {}: {text:?}", encoder.name());
                }
            }
        }
    }
    assert!(cut > 0, "no text of the fixtures needs its words cut");
}

#[test]
fn files_in_other_forms_have_the_ids_of_their_own_libraries() {
    let (texts, files) = golden("forms");
    for name in ["llama.model", "gemma.model", "tekken-ranks.json"] {
        for encoder in [load(&fixture(name)).unwrap().encoder, load_exact(&fixture(name)).unwrap()]
        {
            let reserved = encoder.reserve(&[]).unwrap();
            for (text, expected) in texts.iter().zip(files[name].as_array().unwrap()) {
                let mut ids = Vec::new();
                encoder.encode(text, Some(&reserved), &mut ids).unwrap();
                assert_eq!(ids, numbers(expected), "{name} by {}: {text:?}", encoder.name());
            }
            assert!(encoder.special_tokens().iter().any(|(token, id)| token == "</s>" && *id == 2));
        }
    }
}

#[test]
fn a_file_that_lacks_what_decides_ids_is_refused_with_the_way_to_convert_it() {
    // One piece of a Unigram model, in SentencePiece's own form.
    let unigram = [&[0x0a, 8, 0x0a, 1, b'a', 0x15, 0, 0, 0, 0][..], &[0x12, 2, 0x18, 1]].concat();
    let cases: [(&str, &[u8], &str); 3] = [
        ("tokenizer.model", &unigram, "it is a SentencePiece model that does not merge pairs"),
        ("ranks.tiktoken", b"IQ== 0\nIg== 1\n", "it holds tiktoken ranks, without the pattern"),
        ("cut.model", &unigram[..7], "it is not "),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (name, content, part) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = load(&path).err().unwrap();
        assert_eq!(error.code().name(), "TOKENIZER_INVALID");
        assert!(error.message().contains(part), "{name}: {error}");
        assert_eq!(error.message().contains("save_pretrained"), name != "cut.model", "{error}");
    }
}

#[test]
fn a_directory_is_read_by_its_tokenizer_json_first() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("tekken-ranks.json"), directory.path().join("tekken.json")).unwrap();
    let max_id = || load(directory.path()).unwrap().encoder.max_id();
    let tekken = max_id();
    std::fs::copy(fixture("word-level.json"), directory.path().join("tokenizer.json")).unwrap();
    assert_ne!(max_id(), tekken);
    let path = directory.path().join("empty");
    std::fs::create_dir(&path).unwrap();
    assert_eq!(load(&path).err().unwrap().code().name(), "INPUT_NOT_FOUND");
}
