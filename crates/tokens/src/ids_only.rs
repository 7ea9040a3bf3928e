//! A vocabulary without texts, for corpora of token ids: its size and special ids, from the
//! config.json of a model. A token is written as the decimal number of its id.

use std::io::Read;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use serde_json::Value;

use crate::encoder::Encoder;
use crate::file::Vocabulary;
use crate::reserved::Reserved;

/// Most bytes of a config.json.
const LONGEST: u64 = 1 << 20;
/// No vocabulary has more tokens.
const MOST_TOKENS: u64 = 1 << 24;

/// The part of a model's config.json that is about its text: an object with `vocab_size`, at the top
/// or at `text_config`. `None` for another file.
pub(crate) fn config(path: &Path) -> Result<Option<Value>> {
    if !std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LONGEST) {
        return Ok(None);
    }
    let file = std::fs::File::open(path).at("open", path)?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).at("read", path)?;
    let Ok(mut whole) = serde_json::from_slice::<Value>(&bytes) else { return Ok(None) };
    let has_size = |value: &Value| value["vocab_size"].is_u64();
    if !whole["model"].is_null() {
        return Ok(None);
    }
    let text = whole.get_mut("text_config").map(Value::take).filter(has_size);
    Ok(Some(whole).filter(has_size).or(text))
}

/// See the module.
pub(crate) struct IdsOnly {
    path: PathBuf,
    vocabulary: Vocabulary,
}

impl IdsOnly {
    /// Reads a config.json; `None` for another file.
    ///
    /// Errors: `TOKENIZER_INVALID` for a size that no vocabulary has.
    pub(crate) fn read(path: &Path) -> Result<Option<IdsOnly>> {
        let Some(config) = config(path)? else { return Ok(None) };
        let size = config["vocab_size"].as_u64().unwrap_or(0);
        if !(1..=MOST_TOKENS).contains(&size) {
            let file = path.display();
            let message = format!("{file}: `vocab_size` is {size}, not from 1 to {MOST_TOKENS}");
            return Err(Error::new(Code::TokenizerInvalid, message).with("file", file.to_string()));
        }
        let vocabulary = Vocabulary::without_texts(size as u32 - 1);
        Ok(Some(IdsOnly { path: path.to_owned(), vocabulary }))
    }
}

impl Encoder for IdsOnly {
    fn encode(&self, _: &str, _: Option<&Reserved>, _: &mut Vec<u32>) -> Result<()> {
        let file = self.path.display().to_string();
        let message = format!(
            "{file} gives the size of a vocabulary, and no texts of tokens: it serves corpora of \
             token ids alone; give the tokenizer.json of the model to encode a text"
        );
        Err(Error::new(Code::TokenizerInvalid, message).with("file", file))
    }

    fn cost(&self, _: &str) -> u64 {
        0
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        let id = token.parse().ok().filter(|&id| id <= self.vocabulary.max_id)?;
        (self.id_to_token(id)? == token).then_some(id)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        (id <= self.vocabulary.max_id).then(|| id.to_string())
    }

    fn special_tokens(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    fn reserve(&self, more: &[u32]) -> Result<Reserved> {
        Reserved::new(&self.vocabulary, more)
    }

    fn max_id(&self) -> u32 {
        self.vocabulary.max_id
    }

    fn name(&self) -> &'static str {
        "ids without texts"
    }

    fn has_texts(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::{ModelFiles, SpecialOptions, SpecialTokens};

    fn special(path: &Path, separator: &str) -> Result<SpecialTokens> {
        let encoder = crate::load(path)?.encoder;
        let auto = || "auto".to_owned();
        let options = SpecialOptions {
            separator: separator.into(),
            pad: auto(),
            bos: auto(),
            part_end: "none".into(),
            part_begin: "none".into(),
        };
        SpecialTokens::resolve(&*encoder, &options, &ModelFiles::beside(path)?)
    }

    #[test]
    fn a_config_gives_the_size_and_the_special_ids_of_a_vocabulary() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(r#"{"vocab_size": 50304, "eos_token_id": [7, 8], "pad_token_id": 1}"#);
        let encoder = crate::load(&path).unwrap().encoder;
        assert_eq!((encoder.max_id(), encoder.has_texts()), (50_303, false));
        assert_eq!(encoder.decode(&[3, 50_303]).unwrap(), "3 50303");
        for (token, id) in [("50303", Some(50_303)), ("50304", None), ("+3", None), ("x", None)] {
            assert_eq!(encoder.token_to_id(token), id, "{token}");
        }
        let error = encoder.encode("a", None, &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), Code::TokenizerInvalid);
        let found = special(&path, "auto").unwrap();
        assert_eq!((found.separator, found.pad, found.bos), (vec![7], Some(1), None));
        assert_eq!(special(&path, "token:9").unwrap().separator, [9]);
        write(r#"{"text_config": {"vocab_size": 10, "eos_token_id": 2}, "eos_token_id": 3}"#);
        assert_eq!(special(&path, "auto").unwrap().separator, [2]);
        write(r#"{"vocab_size": 10}"#);
        let error = special(&path, "auto").err().unwrap();
        assert_eq!(error.code(), Code::TokenNotFound);
        assert!(error.message().contains("`separator: token:TEXT`; its tokens are ids"), "{error}");
        for text in [r#"{"vocab_size": 0}"#, r#"{"vocab_size": 16777217}"#, r#"{"vocab": 5}"#] {
            write(text);
            assert_eq!(crate::load(&path).err().unwrap().code(), Code::TokenizerInvalid, "{text}");
        }
    }
}
