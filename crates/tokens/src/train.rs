//! Training a byte-level BPE tokenizer, for demos and tests: GPT-2's splitting into words, merges
//! by falling count.

use std::collections::BTreeMap;

use longweave_common::{Code, Error, Result};
use serde_json::json;
use tokenizers::Trainer;
use tokenizers::trainers::bpe::BpeTrainerBuilder;
use tokenizers::vocab::bucket_added_vocabulary::AddedToken;

/// How to train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainOptions {
    /// Tokens in all, special ones included; at least 256 and one for each special token.
    pub vocab_size: u32,
    /// Fewest occurrences of a pair that is merged.
    pub min_frequency: u32,
    /// Special tokens, which get the first ids.
    pub special_tokens: Vec<String>,
}

/// Trains on `texts` and gives a tokenizer.json, the same for the same texts in the same order.
///
/// Errors: `OPTIONS_INVALID` for too small a vocabulary, `CORPUS_EMPTY` for texts that contain no
/// word.
pub fn train_bpe<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    options: &TrainOptions,
) -> Result<String> {
    let least = 256 + options.special_tokens.len();
    if (options.vocab_size as usize) < least {
        let message = format!(
            "`vocabSize` must be at least {least} (256 bytes and the special tokens), but is {}",
            options.vocab_size
        );
        return Err(Error::new(Code::OptionsInvalid, message).with("option", "vocabSize"));
    }
    let bytes = byte_letters();
    let special =
        options.special_tokens.iter().map(|t| AddedToken::from(t.clone(), true)).collect();
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(options.vocab_size as usize)
        .min_frequency(u64::from(options.min_frequency))
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(bytes.iter().copied().collect())
        .build();
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(Code::Internal, format!("the tokenizer cannot be trained: {e}"))
    };
    let letters = |word: &str| word.bytes().map(|b| bytes[usize::from(b)]).collect::<String>();
    trainer.feed(texts, |text| Ok(words(text).map(letters).collect())).map_err(failed)?;
    if trainer.get_word_count() == 0 {
        return Err(Error::new(Code::CorpusEmpty, "there is no text to train a tokenizer on"));
    }
    let (vocab, merges, _) = trainer.train_vocab().map_err(failed)?;
    let vocab: BTreeMap<&str, u32> =
        vocab.iter().map(|(token, &id)| (token.as_str(), id)).collect();
    let added: Vec<_> = options
        .special_tokens
        .iter()
        .map(|token| json!({ "id": vocab[token.as_str()], "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }))
        .collect();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges.iter().map(|(a, b)| [a, b]).collect::<Vec<_>>(),
        },
    });
    serde_json::to_string_pretty(&file)
        .map_err(|e| Error::new(Code::Internal, format!("the tokenizer as JSON: {e}")))
}

/// GPT-2's letter for each byte: itself where it prints, else one from U+0100 on.
pub(crate) fn byte_letters() -> [char; 256] {
    let mut letters = ['\0'; 256];
    let mut next = 256u32;
    for byte in 0..=255u8 {
        let prints = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        letters[usize::from(byte)] = if prints {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).expect("256 to 323 are letters")
        };
    }
    letters
}

/// GPT-2's words: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let len = word_len(rest)?;
        let (word, after) = rest.split_at(len);
        rest = after;
        Some(word)
    })
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(c: char) -> Class {
    if c.is_whitespace() {
        Class::Space
    } else if c.is_alphabetic() {
        Class::Letter
    } else if c.is_numeric() {
        Class::Number
    } else {
        Class::Other
    }
}

fn word_len(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if first == '\''
        && let Some(suffix) =
            ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].into_iter().find(|s| text.starts_with(s))
    {
        return Some(suffix.len());
    }
    let lead = usize::from(first == ' ');
    let after = text[lead..].chars().next();
    if let Some(kind) = after.map(class).filter(|&k| k != Class::Space)
        && (lead == 1 || class(first) != Class::Space)
    {
        let end = text[lead..].find(|c| class(c) != kind).unwrap_or(text.len() - lead);
        return Some(lead + end);
    }
    let end = text.find(|c| class(c) != Class::Space).unwrap_or(text.len());
    // White space before a word leaves its last character to the word.
    let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
    Some(if end < text.len() && end > last { end - last } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load, load_exact};

    #[test]
    fn words_are_gpt2s() {
        let cases: [(&str, &[&str]); 6] = [
            ("Hello world", &["Hello", " world"]),
            ("it's  two", &["it", "'s", " ", " two"]),
            ("a1 b!?", &["a", "1", " b", "!?"]),
            ("x\n\ny", &["x", "\n", "\n", "y"]),
            ("end  ", &["end", "  "]),
            ("«é» 12", &["«", "é", "»", " 12"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_trained_tokenizer_loads_in_both_encoders_with_equal_ids_and_gives_the_text_back() {
        let texts = [
            "the cat sat on the mat",
            "the dog sat on the log — naïve façade",
            "1234 cats,\n\n  and dogs! 你好",
        ];
        let options = TrainOptions {
            vocab_size: 300,
            min_frequency: 1,
            special_tokens: vec!["<|endoftext|>".into(), "<pad>".into()],
        };
        let json = train_bpe(texts.into_iter(), &options).unwrap();
        assert_eq!(json, train_bpe(texts.into_iter(), &options).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokenizer.json");
        std::fs::write(&path, json).unwrap();
        let (fast, exact) = (load(&path).unwrap(), load_exact(&path).unwrap());
        assert_eq!(fast.exact_fallback, None);
        assert_eq!(
            (fast.encoder.token_to_id("<|endoftext|>"), fast.encoder.max_id()),
            (Some(0), 299)
        );
        for text in texts.into_iter().chain(["something <|endoftext|> else\t\u{1f600}"]) {
            let (mut a, mut b) = (vec![], vec![]);
            fast.encoder.encode(text, None, &mut a).unwrap();
            exact.encode(text, None, &mut b).unwrap();
            assert_eq!(a, b, "{text:?}");
            assert_eq!(fast.encoder.decode(&a).unwrap(), text);
        }
    }

    #[test]
    fn too_small_a_vocabulary_and_no_text_are_refused() {
        let options = TrainOptions { vocab_size: 255, min_frequency: 1, special_tokens: vec![] };
        assert_eq!(
            train_bpe(["a"].into_iter(), &options).unwrap_err().code(),
            Code::OptionsInvalid
        );
        let options = TrainOptions { vocab_size: 300, ..options };
        assert_eq!(train_bpe([].into_iter(), &options).unwrap_err().code(), Code::CorpusEmpty);
    }
}
