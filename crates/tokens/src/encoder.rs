//! Encoders over a `tokenizer.json`. Special tokens are not added; truncation, padding and dropout
//! of the file are switched off.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use longweave_common::{Code, Error, Result, ResultExt, catch_panic};
use serde_json::Value;
use tokenizers::pipeline::{EncodeOptions, PipelineToken, PipelineTokenizer};

use crate::cost::{Runs, exact_cost, fast_cost};

/// Text to ids and back.
pub trait Encoder: Send + Sync {
    /// Appends the ids of `text`; adds no special token, but recognises those that the text
    /// contains, as tokenizers does.
    fn encode(&self, text: &str, out: &mut Vec<u32>) -> Result<()>;
    /// Bytes of heap that encoding `text` takes at most, its ids counted, the text not; measured,
    /// and rounded up.
    fn cost(&self, text: &str) -> u64;
    /// The text of `ids`, special tokens included.
    fn decode(&self, ids: &[u32]) -> Result<String>;
    /// The id of a token as it is written in the vocabulary or among the added tokens.
    fn token_to_id(&self, token: &str) -> Option<u32>;
    /// The largest id that can occur.
    fn max_id(&self) -> u32;
    /// Which encoder this is, with its version.
    fn name(&self) -> &'static str;
}

/// A tokenizer.json that was loaded.
pub struct Loaded {
    pub encoder: Arc<dyn Encoder>,
    /// Why the fast encoder does not cover the file, where it does not.
    pub exact_fallback: Option<String>,
}

/// Loads a tokenizer.json with the fast encoder, else with the exact one.
///
/// Errors: `TOKENIZER_INVALID`, naming the file and what both say; `INPUT_NOT_FOUND`.
pub fn load(path: &Path) -> Result<Loaded> {
    let file = TokenizerFile::read(path)?;
    // On 1,139 of 236,217 real texts the fast encoder's ids for a Unigram model are others
    // (benches/tokenize).
    let fast = if file.unigram {
        Err("its ids for Unigram models are not always those of tokenizers 0.23".into())
    } else {
        Fast::new(&file)
    };
    match fast {
        Ok(fast) => Ok(Loaded { encoder: Arc::new(fast), exact_fallback: None }),
        Err(why) => {
            Ok(Loaded { encoder: Arc::new(Exact::new(&file, path)?), exact_fallback: Some(why) })
        }
    }
}

/// Loads a tokenizer.json with the fast encoder, also where its ids can be others than those of
/// 0.23: to compare the two.
///
/// Errors: as [`load`], and where the fast encoder does not cover the file.
pub fn load_fast(path: &Path) -> Result<Arc<dyn Encoder>> {
    Ok(Arc::new(Fast::new(&TokenizerFile::read(path)?).map_err(|why| invalid(path, &why))?))
}

/// Loads a tokenizer.json with tokenizers 0.23, the encoder whose ids count.
///
/// Errors: as [`load`].
pub fn load_exact(path: &Path) -> Result<Arc<dyn Encoder>> {
    Ok(Arc::new(Exact::new(&TokenizerFile::read(path)?, path)?))
}

/// A tokenizer.json without truncation, padding and dropout, and its tokens.
struct TokenizerFile {
    text: String,
    unigram: bool,
    runs: Runs,
    vocabulary: Arc<Vocabulary>,
}

struct Vocabulary {
    ids: HashMap<String, u32>,
    max_id: u32,
}

impl TokenizerFile {
    fn read(path: &Path) -> Result<TokenizerFile> {
        let text = std::fs::read_to_string(path).at("read", path)?;
        let mut value: Value = serde_json::from_str(&text)
            .map_err(|e| invalid(path, &format!("it is not JSON ({e})")))?;
        let Some(object) = value.as_object_mut() else {
            return Err(invalid(path, "it is not a JSON object"));
        };
        for section in ["truncation", "padding"] {
            object.insert(section.into(), Value::Null);
        }
        // Dropout makes the same text come out differently each time; it is for training with the
        // tokenizer, not for data.
        if let Some(dropout) = object.get_mut("model").and_then(|m| m.get_mut("dropout")) {
            *dropout = Value::Null;
        }
        let vocabulary = Vocabulary::of(&value).ok_or_else(|| {
            let message = "it has no `model.vocab`; it must be a tokenizer.json as Hugging Face's tokenizers writes it, not a vocab.json, a \
                           tokenizer_config.json or a SentencePiece model";
            invalid(path, message)
        })?;
        // Files of old versions leave the type out; only Unigram's vocabulary is a list.
        let unigram = value["model"]["vocab"].is_array();
        let runs = Runs::of(&value["pre_tokenizer"]);
        Ok(TokenizerFile {
            text: value.to_string(),
            unigram,
            runs,
            vocabulary: Arc::new(vocabulary),
        })
    }
}

impl Vocabulary {
    fn of(file: &Value) -> Option<Vocabulary> {
        let mut ids = HashMap::new();
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        match &file["model"]["vocab"] {
            Value::Object(map) => {
                ids.extend(map.iter().filter_map(|(token, v)| Some((token.clone(), id(v)?))))
            }
            // Unigram: pairs of token and score, the id is the place.
            Value::Array(list) => ids.extend(
                list.iter()
                    .enumerate()
                    .filter_map(|(i, v)| Some((v.get(0)?.as_str()?.to_owned(), i as u32))),
            ),
            _ => return None,
        }
        for added in file["added_tokens"].as_array().into_iter().flatten() {
            if let (Some(content), Some(id)) = (added["content"].as_str(), id(&added["id"])) {
                ids.insert(content.to_owned(), id);
            }
        }
        let max_id = ids.values().copied().max()?;
        Some(Vocabulary { ids, max_id })
    }
}

fn invalid(path: &Path, what: &str) -> Error {
    Error::new(
        Code::TokenizerInvalid,
        format!("the tokenizer {} does not load: {what}", path.display()),
    )
    .with("file", path.display().to_string())
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::TokenizerInvalid, format!("the tokenizer cannot {what}: {error}"))
}

/// Ids of a text in the fast encoder's own type that are kept from text to text.
const KEPT: usize = 1 << 16;

struct Fast {
    tokenizer: PipelineTokenizer,
    runs: Runs,
    options: EncodeOptions,
    vocabulary: Arc<Vocabulary>,
}

impl Fast {
    /// `Err` says why the fast encoder does not cover the file.
    fn new(file: &TokenizerFile) -> Result<Fast, String> {
        let load = || {
            let loaded = tokenizers::canonicalize_str(&file.text).map_err(|e| e.to_string());
            let loaded = loaded
                .and_then(|canonical| tokenizers::from_json(&canonical).map_err(|e| e.to_string()));
            loaded.map_err(|what| failed("be loaded", &what))
        };
        // The library panics on some files.
        let tokenizer = catch_panic(load, |what| failed("be loaded", &what))
            .map_err(|e| e.message().to_owned())?;
        let (runs, vocabulary) = (file.runs, Arc::clone(&file.vocabulary));
        Ok(Fast { tokenizer, runs, options: EncodeOptions::no_specials(), vocabulary })
    }
}

thread_local! {
    /// Ids of one text in the fast encoder's own type, kept from text to text.
    static TOKENS: std::cell::RefCell<Vec<PipelineToken>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Encoder for Fast {
    fn encode(&self, text: &str, out: &mut Vec<u32>) -> Result<()> {
        TOKENS.with_borrow_mut(|tokens| {
            tokens.clear();
            self.tokenizer
                .encode_into(text, &self.options, tokens)
                .map_err(|e| failed("encode a text", &e))?;
            if out.is_empty() {
                out.reserve_exact(tokens.len()); // a large text alone
            }
            out.extend(tokens.iter().map(|t| t.id()));
            tokens.clear();
            tokens.shrink_to(KEPT);
            Ok(())
        })
    }

    fn cost(&self, text: &str) -> u64 {
        fast_cost(text, self.runs)
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, false).map_err(|e| failed("decode ids", &e))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.ids.get(token).copied()
    }

    fn max_id(&self) -> u32 {
        self.vocabulary.max_id
    }

    fn name(&self) -> &'static str {
        "tokenizers 1.0.0-rc.3"
    }
}

struct Exact {
    tokenizer: tokenizers_exact::Tokenizer,
    vocabulary: Arc<Vocabulary>,
}

impl Exact {
    fn new(file: &TokenizerFile, path: &Path) -> Result<Exact> {
        let load = || {
            tokenizers_exact::Tokenizer::from_bytes(file.text.as_bytes())
                .map_err(|e| invalid(path, &e.to_string()))
        };
        let tokenizer = catch_panic(load, |what| invalid(path, what))?;
        Ok(Exact { tokenizer, vocabulary: Arc::clone(&file.vocabulary) })
    }
}

impl Encoder for Exact {
    fn encode(&self, text: &str, out: &mut Vec<u32>) -> Result<()> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|e| failed("encode a text", &e))?;
        out.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    fn cost(&self, text: &str) -> u64 {
        exact_cost(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, false).map_err(|e| failed("decode ids", &e))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.ids.get(token).copied()
    }

    fn max_id(&self) -> u32 {
        self.vocabulary.max_id
    }

    fn name(&self) -> &'static str {
        "tokenizers 0.23.2"
    }
}
