//! Prints the characters on which tokenizers 1.0 and 0.23 differ, as the table of
//! `src/unicode.rs`: `cargo run --profile quick -p longweave-tokens --example unicode_tables`.
//! Every character goes through every component that has tables, in several surroundings.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokenizers::pipeline::{
    Normalizer as _, NormalizerChain, PipelineTokenizer, PreTokenizer as _, PreTokenizerScratch,
};
use tokenizers::utils::DEEPSEEK_PATTERNS;
use tokenizers_exact::{
    NormalizedString, Normalizer as _, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const AROUND_WORDS: [&str; 5] = ["xCy", " C.", "CC1", "AC", "C  "];
const AROUND_MARKS: [&str; 7] =
    ["C", "eC", "C\u{301}a", "C\u{327}", "\u{301}C", "\u{327}C", "\u{1100}C"];

fn library(mut sections: Value) -> PipelineTokenizer {
    sections["version"] = "1.0".into();
    sections["model"] = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
    tokenizers::canonicalize_value(&mut sections).unwrap();
    tokenizers::from_json(&sections.to_string()).unwrap()
}

fn main() {
    let split = |regex: &str| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
    let plain = |name: &str| json!({ "type": name });
    let bert = |lowercase: bool| json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": lowercase });
    let mut cutting: Vec<Value> = [GPT2, CL100K, QWEN, O200K, TEKKEN].map(split).into();
    cutting.push(json!({ "type": "Sequence", "pretokenizers": DEEPSEEK_PATTERNS.map(split) }));
    cutting
        .extend(["Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"].map(plain));
    cutting.push(json!({ "type": "Punctuation", "behavior": "Isolated" }));
    cutting.push(json!({ "type": "Digits", "individual_digits": true }));
    let mut rewriting: Vec<Value> =
        ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"].map(plain).into();
    rewriting.extend([bert(true), bert(false)]);
    rewriting.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));

    let mut disputed = BTreeSet::new();
    for component in &cutting {
        let exact: PreTokenizerWrapper = serde_json::from_value(component.clone()).unwrap();
        let fast = library(json!({ "pre_tokenizer": component }));
        let mut scratch = PreTokenizerScratch::default();
        for c in '\u{1}'..=char::MAX {
            for around in AROUND_WORDS {
                let text = around.replace('C', c.encode_utf8(&mut [0; 4]));
                let mut words = PreTokenizedString::from(text.as_str());
                exact.pre_tokenize(&mut words).unwrap();
                let words = words.get_splits(OffsetReferential::Original, OffsetType::Byte);
                let mut spans = Vec::new();
                fast.get_pre_tokenizer().pre_tokenize(&text, &mut scratch, &mut spans).unwrap();
                let spans = spans.iter().map(|span| (span.start as usize, span.end as usize));
                if !spans.eq(words.iter().map(|(_, range, _)| *range)) {
                    disputed.insert(c);
                }
            }
        }
    }
    for component in &rewriting {
        let exact: NormalizerWrapper = serde_json::from_value(component.clone()).unwrap();
        let fast = library(json!({ "normalizer": component }));
        let decomposes = component["type"] == "NFD";
        for c in '\u{1}'..=char::MAX {
            for around in AROUND_MARKS {
                let text = around.replace('C', c.encode_utf8(&mut [0; 4]));
                let mut expected = NormalizedString::from(text.as_str());
                exact.normalize(&mut expected).unwrap();
                let found = NormalizerChain(fast.get_normalizers()).normalize(&text, 0).unwrap();
                if found != expected.get() {
                    disputed.insert(c);
                    // The parts of a composition that only one of the two knows.
                    if decomposes && around == "C" {
                        disputed.extend(found.chars().next());
                    }
                }
            }
        }
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for c in disputed.into_iter().map(u32::from) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == c => *last = c,
            _ => ranges.push((c, c)),
        }
    }
    for (first, last) in ranges {
        println!("    (0x{first:05X}, 0x{last:05X}),");
    }
}
