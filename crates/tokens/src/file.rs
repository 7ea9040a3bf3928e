//! A tokenizer.json, parsed once: its components as JSON, its model and added tokens as typed
//! values.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Code, Error, Result, ResultExt};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::forms::{self, file_of};

/// A token that is found in a text before its model sees it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AddedToken {
    pub(crate) content: String,
    /// As tokenizers assigns it: the model's where it has the token, else the next free one.
    #[serde(skip)]
    pub(crate) id: u32,
    #[serde(default)]
    pub(crate) single_word: bool,
    #[serde(default)]
    pub(crate) lstrip: bool,
    #[serde(default)]
    pub(crate) rstrip: bool,
    #[serde(default)]
    pub(crate) normalized: bool,
    #[serde(default)]
    pub(crate) special: bool,
}

/// The kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bpe,
    Unigram,
    WordPiece,
    WordLevel,
}

/// The section `model`.
#[derive(Deserialize)]
pub(crate) struct Model {
    #[serde(rename = "type")]
    name: Option<String>,
    pub(crate) vocab: Option<Tokens>,
    #[serde(default)]
    pub(crate) merges: Option<Merges>,
    pub(crate) unk_token: Option<String>,
    pub(crate) unk_id: Option<u32>,
    pub(crate) continuing_subword_prefix: Option<String>,
    pub(crate) end_of_word_suffix: Option<String>,
    pub(crate) fuse_unk: Option<bool>,
    pub(crate) byte_fallback: Option<bool>,
    pub(crate) ignore_merges: Option<bool>,
    pub(crate) max_input_chars_per_word: Option<usize>,
}

impl Model {
    /// Files of old versions leave the type out.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.name.as_deref() {
            Some("BPE") => Some(Kind::Bpe),
            Some("Unigram") => Some(Kind::Unigram),
            Some("WordPiece") => Some(Kind::WordPiece),
            Some("WordLevel") => Some(Kind::WordLevel),
            Some(_) => None,
            None if self.merges.is_some() => Some(Kind::Bpe),
            None if self.continuing_subword_prefix.is_some() => Some(Kind::WordPiece),
            None if self.vocab.as_ref().is_some_and(|v| v.list) => Some(Kind::Unigram),
            None => Some(Kind::WordLevel),
        }
    }

    /// Whether tokens of a word are written with something before or after them.
    pub(crate) fn has_affixes(&self) -> bool {
        let is_set = |affix: &Option<String>| affix.as_ref().is_some_and(|a| !a.is_empty());
        is_set(&self.continuing_subword_prefix) || is_set(&self.end_of_word_suffix)
    }
}

/// A vocabulary as the file writes it.
pub(crate) struct Tokens {
    pub(crate) ids: Vec<(String, u32)>,
    /// Unigram's: pairs of token and score, the id is the place.
    list: bool,
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tokens, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tokens with ids, or a list of tokens with scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
                let mut ids = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    ids.push(entry);
                }
                Ok(Tokens { ids, list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
                let mut ids = Vec::new();
                while let Some((token, _)) = list.next_element::<(String, f64)>()? {
                    ids.push((token, ids.len() as u32));
                }
                Ok(Tokens { ids, list: true })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Merges in order, in either of the two ways they are written.
pub(crate) struct Merges(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Merges, D::Error> {
        struct Merge(Option<(String, String)>);
        impl<'de> Deserialize<'de> for Merge {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Merge, D::Error> {
                struct Reader;
                impl<'de> Visitor<'de> for Reader {
                    type Value = Merge;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a pair of tokens, or two with a space between them")
                    }

                    fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<Merge, E> {
                        if line.starts_with("#version") {
                            return Ok(Merge(None));
                        }
                        match line.split_once(' ') {
                            Some((a, b)) if !b.contains(' ') => {
                                Ok(Merge(Some((a.to_owned(), b.to_owned()))))
                            }
                            _ => Err(E::custom(format!(
                                "the merge {line:?} does not have two tokens"
                            ))),
                        }
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge, A::Error> {
                        let mut next = || {
                            pair.next_element()?
                                .ok_or_else(|| A::Error::custom("a merge has two tokens"))
                        };
                        let merge = (next()?, next()?);
                        if pair.next_element::<String>()?.is_some() {
                            return Err(A::Error::custom("a merge has more than two tokens"));
                        }
                        Ok(Merge(Some(merge)))
                    }
                }
                deserializer.deserialize_any(Reader)
            }
        }
        let merges = Vec::<Merge>::deserialize(deserializer)?;
        Ok(Merges(merges.into_iter().filter_map(|merge| merge.0).collect()))
    }
}

#[derive(Deserialize)]
struct Sections {
    version: Option<String>,
    added_tokens: Option<Vec<AddedToken>>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    decoder: Option<Value>,
    model: Option<Model>,
}

/// A tokenizer.json.
pub(crate) struct TokenizerFile {
    pub(crate) source: Arc<Source>,
    /// Null where there is none, as for the next two.
    pub(crate) normalizer: Value,
    pub(crate) pre_tokenizer: Value,
    pub(crate) decoder: Value,
    pub(crate) model: Model,
    pub(crate) vocabulary: Arc<Vocabulary>,
}

/// Tokens and their ids.
pub(crate) struct Vocabulary {
    ids: HashMap<String, u32>,
    pub(crate) max_id: u32,
    /// By id, as the last definition of each says.
    pub(crate) added: Vec<AddedToken>,
    /// The id of what the model does not know.
    pub(crate) unknown: Option<u32>,
}

impl Vocabulary {
    /// Tokens up to an id, of which no text is known.
    pub(crate) fn without_texts(max_id: u32) -> Vocabulary {
        Vocabulary { ids: HashMap::new(), max_id, added: Vec::new(), unknown: None }
    }

    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// How the tokens are written whose ids `chosen` takes.
    pub(crate) fn texts(&self, chosen: impl Fn(u32) -> bool) -> Vec<String> {
        self.ids.iter().filter(|&(_, &id)| chosen(id)).map(|(text, _)| text.clone()).collect()
    }

    /// Takes the ids that tokenizers gives to added tokens, whatever the file says they are.
    fn new(model: &Model, tokens: &Tokens, added: Vec<AddedToken>) -> Option<Vocabulary> {
        let mut ids: HashMap<String, u32> = tokens.ids.iter().cloned().collect();
        let unknown = model.unk_token.as_ref().and_then(|token| ids.get(token).copied());
        let unknown = unknown.or(model.unk_id);
        let mut next = if tokens.list { tokens.ids.len() } else { ids.len() } as u32;
        let mut by_id = std::collections::BTreeMap::new();
        for mut token in added {
            if token.content.is_empty() {
                continue;
            }
            token.id = *ids.entry(token.content.clone()).or_insert_with(|| {
                next += 1;
                next - 1
            });
            by_id.insert(token.id, token);
        }
        let max_id = ids.values().copied().max()?;
        Some(Vocabulary { ids, max_id, added: by_id.into_values().collect(), unknown })
    }
}

/// The bytes of a tokenizer.json.
pub(crate) enum Source {
    /// Those of a file, which are read again when they are needed again.
    File { path: PathBuf, hash: u128 },
    /// Those that a file of another form was converted to.
    Converted { path: PathBuf, json: String },
}

impl Source {
    pub(crate) fn path(&self) -> &Path {
        let (Source::File { path, .. } | Source::Converted { path, .. }) = self;
        path
    }

    /// Errors: `INPUT_CHANGED`, `IO`.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        match self {
            Source::Converted { json, .. } => Ok(json.clone().into_bytes()),
            Source::File { path, hash } => {
                let bytes = std::fs::read(path).at("read", path)?;
                if xxh3_128(&bytes) == *hash {
                    return Ok(bytes);
                }
                let message = format!("{} changed after it was loaded; run again", path.display());
                Err(Error::new(Code::InputChanged, message)
                    .with("file", path.display().to_string()))
            }
        }
    }
}

impl TokenizerFile {
    /// Errors: `TOKENIZER_INVALID`, naming the file; `INPUT_NOT_FOUND`.
    pub(crate) fn read(path: &Path) -> Result<TokenizerFile> {
        let path = if path.is_dir() { file_of(path) } else { path.to_owned() };
        let bytes = std::fs::read(&path).at("read", &path)?;
        if let Some(converted) = forms::convert(&bytes).map_err(|what| invalid(&path, &what))? {
            let json = converted.to_string();
            return TokenizerFile::parse(json.clone().as_bytes(), Source::Converted { path, json });
        }
        let hash = xxh3_128(&bytes);
        TokenizerFile::parse(&bytes, Source::File { path, hash })
    }

    fn parse(bytes: &[u8], source: Source) -> Result<TokenizerFile> {
        let path = source.path();
        let text = std::str::from_utf8(bytes).map_err(|_| invalid(path, "it is not UTF-8"))?;
        let sections: Sections = serde_json::from_str(text).map_err(|e| {
            let what = if e.is_data() && !text.trim_start().starts_with('{') {
                "it is not a JSON object".to_owned()
            } else if e.is_data() {
                format!("it is not as Hugging Face's tokenizers writes it ({e})")
            } else {
                format!("it is not JSON ({e})")
            };
            invalid(path, &what)
        })?;
        let no_model = || {
            let message = "it has no `model.vocab`; it must be a tokenizer.json as Hugging Face's tokenizers writes it, not a vocab.json, a \
                           tokenizer_config.json or a SentencePiece model";
            invalid(path, message)
        };
        let model = sections.model.ok_or_else(no_model)?;
        if let Some(version) = sections.version.filter(|v| v != "1.0") {
            let what = format!("its version is {version:?}; tokenizers 0.23 reads \"1.0\"");
            return Err(invalid(path, &what));
        }
        let tokens = model.vocab.as_ref().ok_or_else(no_model)?;
        let vocabulary = Vocabulary::new(&model, tokens, sections.added_tokens.unwrap_or_default());
        let vocabulary = Arc::new(vocabulary.ok_or_else(no_model)?);
        Ok(TokenizerFile {
            normalizer: sections.normalizer.unwrap_or_default(),
            pre_tokenizer: sections.pre_tokenizer.unwrap_or_default(),
            decoder: sections.decoder.unwrap_or_default(),
            source: Arc::new(source),
            model,
            vocabulary,
        })
    }
}

/// The error of a file that is not a tokenizer.
pub(crate) fn invalid(path: &Path, what: &str) -> Error {
    let message = format!("the tokenizer {} does not load: {what}", path.display());
    Error::new(Code::TokenizerInvalid, message).with("file", path.display().to_string())
}

/// The error of a text that a tokenizer does not encode or decode.
pub(crate) fn failed(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::TokenizerInvalid, format!("the tokenizer cannot {what}: {error}"))
}
