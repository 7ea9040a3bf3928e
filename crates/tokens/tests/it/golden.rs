//! Small tokenizers of every pipeline give the ids that tokenizers' Python package gives
//! (fixtures/tokenizers/make.py).

use std::path::{Path, PathBuf};

use longweave_tokens::{Encoder, load, load_exact};
use serde_json::Value;

const FAST: &str = "tokenizers 1.0.0-rc.3";
const KEPT: &str = "tokenizers 0.23.2, words kept";

/// Each file of the fixtures with the encoder that reads it.
const FILES: [(&str, &str); 40] = [
    ("added", FAST),
    ("albert", KEPT),
    ("bert-cased", FAST),
    ("bert-uncased", FAST),
    ("bloom", FAST),
    ("cl100k-removed", FAST),
    ("claude", FAST),
    ("clip", KEPT),
    ("deepseek-coder", FAST),
    ("deepseek3", FAST),
    ("digits-2", FAST),
    ("digits-all", FAST),
    ("falcon", KEPT),
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
    ("mt5", KEPT),
    ("qwen2", FAST),
    ("qwen35", FAST),
    ("starcoder", FAST),
    ("t5", KEPT),
    ("tekken", FAST),
    ("unigram-bytes", KEPT),
    ("unknown-apart", FAST),
    ("whole", FAST),
    ("word-level", FAST),
    ("word-level-behaviors", FAST),
    ("word-level-spaces", FAST),
    ("word-level-split", FAST),
    ("word-piece-words", FAST),
    ("xlm-roberta", KEPT),
    ("xlnet", KEPT),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(name)
}

fn numbers(list: &Value) -> Vec<u32> {
    serde_json::from_value(list.clone()).unwrap()
}

/// The texts, and by file the ids of each.
fn golden() -> (Vec<String>, Value) {
    let mut golden: Value =
        serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    (serde_json::from_value(golden["texts"].take()).unwrap(), golden["files"].take())
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
    let (texts, files) = golden();
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
    let (texts, files) = golden();
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
