//! Encoders over a `tokenizer.json`: the ids of tokenizers 0.23 as its Python package gives them,
//! from the fastest code that gives them. Special tokens are not added; truncation, padding and
//! dropout of the file are switched off.

use std::path::Path;
use std::sync::Arc;

use longweave_common::{Result, catch_panic};
use once_cell::sync::OnceCell;

use crate::cost::{Runs, exact_cost, fast_cost, kept_cost};
use crate::encoder::Encoder;
use crate::exact::Exact;
use crate::file::{Source, TokenizerFile, Vocabulary, failed, invalid};
use crate::ids_only::IdsOnly;
use crate::pipeline::Pipeline;
use crate::reserved::Reserved;
use crate::unicode::is_disputed;
use crate::words::WordModel;

/// A tokenizer.json that was loaded.
pub struct Loaded {
    pub encoder: Arc<dyn Encoder>,
    /// Why the fast encoder does not cover the file, where it does not.
    pub exact_fallback: Option<String>,
}

/// Loads a tokenizer.json with the fast encoder, else with the exact one; of a model's config.json the
/// size of the vocabulary.
///
/// Errors: `TOKENIZER_INVALID`, naming the file; `INPUT_NOT_FOUND`.
pub fn load(path: &Path) -> Result<Loaded> {
    if let Some(ids) = IdsOnly::read(path)? {
        return Ok(Loaded { encoder: Arc::new(ids), exact_fallback: None });
    }
    let (mut tokenizer, file) = Tokenizer::open(path)?;
    let exact_fallback = tokenizer.take_fast(file).err();
    if exact_fallback.is_some() {
        tokenizer.exact()?;
    }
    Ok(Loaded { encoder: Arc::new(tokenizer), exact_fallback })
}

/// Loads a tokenizer.json with tokenizers 0.23, the encoder whose ids count.
///
/// Errors: as [`load`].
pub fn load_exact(path: &Path) -> Result<Arc<dyn Encoder>> {
    let (tokenizer, _) = Tokenizer::open(path)?;
    tokenizer.exact()?;
    Ok(Arc::new(tokenizer))
}

/// A text with letters, digits, punctuation and white space of several kinds, which a file must
/// encode when it is loaded.
const PROBE: &str = "aB 1é中\n  x-_.!'s\t12345 \u{a0}Ωß  \u{1f600}\r\n";

struct Tokenizer {
    source: Arc<Source>,
    vocabulary: Arc<Vocabulary>,
    fast: Option<Pipeline>,
    runs: Runs,
    /// Loaded once a text needs it.
    exact: OnceCell<Arc<Exact>>,
}

impl Tokenizer {
    fn open(path: &Path) -> Result<(Tokenizer, TokenizerFile)> {
        let file = TokenizerFile::read(path)?;
        let tokenizer = Tokenizer {
            source: Arc::clone(&file.source),
            vocabulary: Arc::clone(&file.vocabulary),
            fast: None,
            runs: Runs::of(&file.pre_tokenizer),
            exact: OnceCell::new(),
        };
        Ok((tokenizer, file))
    }

    /// Takes the fast encoder, once it has encoded a text.
    fn take_fast(&mut self, file: TokenizerFile) -> Result<(), String> {
        let path = self.source.path();
        let load = || {
            let uncovered = |what: String| failed("be loaded", &what);
            let fast = Pipeline::new(file, || self.exact().cloned()).map_err(uncovered)?;
            let mut ids = Vec::new();
            fast.encode(PROBE, None, &mut ids)?;
            if let Some(exact) = self.exact.get() {
                let mut expected = Vec::new();
                exact.encode(PROBE, None, &mut expected)?;
                if ids != expected {
                    return Err(invalid(path, "its fast encoder has other ids"));
                }
            }
            Ok(fast)
        };
        // The library panics on some files.
        let fast = catch_panic(load, |what| failed("be loaded", &what));
        self.fast = Some(fast.map_err(|e| e.message().to_owned())?);
        Ok(())
    }

    fn exact(&self) -> Result<&Arc<Exact>> {
        self.exact.get_or_try_init(|| Exact::new(&self.source, &self.vocabulary).map(Arc::new))
    }
}

impl Encoder for Tokenizer {
    fn encode(&self, text: &str, reserved: Option<&Reserved>, out: &mut Vec<u32>) -> Result<()> {
        // A message of a library can contain the text.
        let panicked = |_: &str| failed("encode a text", &"it panicked");
        if let Some(fast) = self.fast.as_ref().filter(|_| !is_disputed(text)) {
            let before = out.len();
            if catch_panic(|| fast.encode(text, reserved, out), panicked).is_ok() {
                return Ok(());
            }
            out.truncate(before);
        }
        let exact = self.exact()?;
        catch_panic(|| exact.encode(text, reserved, out), panicked)
    }

    fn cost(&self, text: &str) -> u64 {
        let exact = || exact_cost(text);
        match &self.fast {
            None => exact(),
            Some(_) if is_disputed(text) => exact(),
            Some(fast) => match fast.model() {
                WordModel::Exact(_) => kept_cost(text, self.runs),
                _ => fast_cost(text, self.runs),
            },
        }
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        match self.fast.as_ref().and_then(|fast| fast.decode(ids)) {
            Some(decoded) => decoded,
            None => self.exact()?.decode(ids),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.vocabulary.texts(|other| other == id).pop()
    }

    fn special_tokens(&self) -> Vec<(String, u32)> {
        let special = self.vocabulary.added.iter().filter(|token| token.special);
        special.map(|token| (token.content.clone(), token.id)).collect()
    }

    fn reserve(&self, more: &[u32]) -> Result<Reserved> {
        Reserved::new(&self.vocabulary, more)
    }

    fn max_id(&self) -> u32 {
        self.vocabulary.max_id
    }

    fn name(&self) -> &'static str {
        match self.fast.as_ref().map(Pipeline::model) {
            Some(WordModel::Bpe(_) | WordModel::Unigram(_)) => "longweave",
            Some(WordModel::Library(_)) => "tokenizers 1.0.0-rc.3",
            Some(WordModel::Exact(_)) => "tokenizers 0.23.2, words kept",
            None => "tokenizers 0.23.2",
        }
    }
}
