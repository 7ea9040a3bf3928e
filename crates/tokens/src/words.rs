//! The ids of words: a table of those that a thread met, and the model that reads the others. In:
//! a text and where its words are. Out: ids.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::Result;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BpeConfig, PipelineBPE, Vocab};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pipeline::{
    Model as _, NormalizerChain, PipelineModel, PipelineModelScratch, PipelinePostProcessor,
    PipelinePreTokenizer, PipelineToken, PipelineTokenizer, Span,
};
use tokenizers::vocab::bucket_added_vocabulary::{AddedToken, AddedVocabulary};
use tokenizers_exact::{PreTokenizedString, PreTokenizerWrapper};

use crate::bpe::Bpe;
use crate::component::{Uncovered, library, name, scheme};
use crate::exact::{Exact, pre_tokenize};
use crate::file::{Kind, Model, Vocabulary, failed};
use crate::reserved::Reserved;
use crate::table::WordTable;
use crate::train::byte_letters;
use crate::unigram::Unigram;

/// A model and what of a pre-tokenizer is left for it.
pub(crate) struct Words {
    rest: Rest,
    model: WordModel,
    /// Tells the words of one tokenizer from those of another.
    number: u64,
}

pub(crate) enum WordModel {
    Bpe(Box<Bpe>),
    Unigram(Box<Unigram>),
    /// Of tokenizers 1.0.
    Library(Box<Library>),
    /// Of tokenizers 0.23.
    Exact(Arc<Exact>),
}

/// A model of tokenizers 1.0.
pub(crate) struct Library {
    /// Holds the model, and decodes.
    tokenizer: PipelineTokenizer,
    scratch: Mutex<Vec<(PipelineModelScratch, Vec<PipelineToken>)>>,
    /// Whether it has a table of words itself, as BPE has.
    keeps_words: bool,
}

/// Words that a model of tokenizers 1.0 reads at a time.
const AT_A_TIME: usize = 4096;

/// The part of a pre-tokenizer that is left for a word.
pub(crate) enum Rest {
    Nothing,
    /// `ByteLevel`, which writes each byte as a letter.
    Bytes(Box<[char; 256]>),
    /// `Metaspace`: spaces become its replacement, which begins each word.
    Metaspace {
        replacement: String,
        prepends: bool,
        cuts: bool,
    },
    /// Others, by the code of 0.23.
    Exact(Box<PreTokenizerWrapper>),
}

/// The table of the tokenizer that a thread used last.
type Kept = Option<(u64, WordTable)>;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(None) };
}

impl Words {
    pub(crate) fn new(rest: Rest, model: WordModel) -> Words {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Words { rest, model, number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn model(&self) -> &WordModel {
        &self.model
    }

    /// Appends the ids of the words of a text. None of `reserved` is among them.
    pub(crate) fn encode(
        &self,
        text: &str,
        spans: &[Span],
        reserved: Option<&Reserved>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let before = out.len();
        // One endless text of one-byte words does not double the room that it needs.
        out.reserve(spans.len());
        match &self.model {
            WordModel::Library(library) if library.keeps_words => {
                library.tokenize(text, spans, out)?;
            }
            _ => self.encode_kept(text, spans, out)?,
        }
        if reserved.is_some_and(|reserved| reserved.are_in(&out[before..])) {
            out.truncate(before);
            for span in spans {
                self.tokenize(&text[span.range()], reserved, out)?;
            }
        }
        Ok(())
    }

    /// Appends the ids of words, of which the thread keeps a table.
    fn encode_kept(&self, text: &str, spans: &[Span], out: &mut Vec<u32>) -> Result<()> {
        KEPT.with_borrow_mut(|kept| {
            if kept.as_ref().is_none_or(|(number, _)| *number != self.number) {
                *kept = Some((self.number, WordTable::new()));
            }
            let Some((_, table)) = kept else { return Ok(()) };
            for span in spans {
                let (start, end) = (span.start as usize, span.end as usize);
                if !table.push(text.as_bytes(), start, end, out) {
                    let first = out.len();
                    self.tokenize(&text[start..end], None, out)?;
                    table.insert(&text.as_bytes()[start..end], &out[first..]);
                }
            }
            Ok(())
        })
    }

    fn tokenize(&self, word: &str, reserved: Option<&Reserved>, out: &mut Vec<u32>) -> Result<()> {
        self.rest.cut(word, |word| match reserved {
            None => self.model.tokenize(word, out),
            Some(reserved) => {
                reserved.encode_apart(word, out, |part, out| self.model.tokenize(part, out))
            }
        })
    }

    /// The text of ids, where the model has a decoder of its own.
    pub(crate) fn decode(&self, ids: &[u32]) -> Option<Result<String>> {
        let WordModel::Library(library) = &self.model else { return None };
        Some(library.tokenizer.decode(ids, false).map_err(|e| failed("decode ids", &e)))
    }
}

impl WordModel {
    /// Appends the ids of a word.
    fn tokenize(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        match self {
            WordModel::Bpe(model) => model.tokenize(word, out),
            WordModel::Unigram(model) => model.tokenize(word, out),
            WordModel::Library(library) => {
                library.tokenize(word, &[Span::new(0, word.len() as u32)], out)?;
            }
            WordModel::Exact(exact) => exact.tokenize(word, out)?,
        }
        Ok(())
    }
}

impl Rest {
    pub(crate) fn new(members: Vec<Value>) -> Result<Rest, Uncovered> {
        match members.as_slice() {
            [] => Ok(Rest::Nothing),
            [only] if *only == bytes() => Ok(Rest::Bytes(Box::new(byte_letters()))),
            [only] if name(only) == "Metaspace" => Ok(Rest::Metaspace {
                replacement: only["replacement"].as_str().unwrap_or("▁").to_owned(),
                prepends: scheme(only)? == "always",
                cuts: only["split"].as_bool().unwrap_or(true),
            }),
            _ => {
                let all = json!({ "type": "Sequence", "pretokenizers": members });
                serde_json::from_value(all).map(Rest::Exact).map_err(|e| e.to_string())
            }
        }
    }

    /// Calls `each` with the words that the model reads.
    fn cut(&self, word: &str, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        match self {
            Rest::Nothing => each(word),
            Rest::Bytes(letters) => {
                each(&word.bytes().map(|b| letters[usize::from(b)]).collect::<String>())
            }
            Rest::Metaspace { replacement, prepends, cuts } => {
                let mut word = word.replace(' ', replacement);
                if *prepends && !word.starts_with(replacement.as_str()) {
                    word.insert_str(0, replacement);
                }
                if !*cuts {
                    return each(&word);
                }
                let mut from = 0;
                for (at, _) in word.match_indices(replacement.as_str()).filter(|&(at, _)| at > 0) {
                    each(&word[from..at])?;
                    from = at;
                }
                each(&word[from..])
            }
            Rest::Exact(rest) => pre_tokenize(Some(rest), PreTokenizedString::from(word))?
                .iter()
                .try_for_each(|word| each(word)),
        }
    }
}

/// The rewriting of `ByteLevel`, without its cuts.
pub(crate) fn bytes() -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false })
}

impl Library {
    pub(crate) fn new(
        model: Model,
        vocabulary: &Vocabulary,
        kind: Kind,
        byte_level: bool,
        decoder: &Value,
    ) -> Result<Library, Uncovered> {
        let mut tokens: Vocab =
            model.vocab.map(|v| v.ids).unwrap_or_default().into_iter().collect();
        let tokens_of_model = tokens.len();
        if kind == Kind::Bpe
            && model.byte_fallback == Some(true)
            && model.ignore_merges != Some(true)
        {
            add_unused_bytes(&mut tokens, vocabulary.max_id);
        }
        let model = match kind {
            Kind::Bpe => PipelineBPE::from_config(BpeConfig {
                vocab: tokens,
                merges: model.merges.map(|m| m.0).unwrap_or_default(),
                byte_level,
                unk_token: model.unk_token,
                fuse_unk: model.fuse_unk.unwrap_or(false),
                byte_fallback: model.byte_fallback.unwrap_or(false),
                ignore_merges: model.ignore_merges.unwrap_or(false),
                ..BpeConfig::default()
            })
            .map(PipelineModel::BPE),
            Kind::WordPiece => WordPiece::builder()
                .vocab(tokens)
                .unk_token(model.unk_token.unwrap_or_default())
                .continuing_subword_prefix(model.continuing_subword_prefix.unwrap_or_default())
                .max_input_chars_per_word(model.max_input_chars_per_word.unwrap_or(100))
                .build()
                .and_then(TryInto::try_into)
                .map(PipelineModel::WordPiece),
            Kind::WordLevel => WordLevel::builder()
                .vocab(tokens)
                .unk_token(model.unk_token.unwrap_or_default())
                .build()
                .map(PipelineModel::WordLevel),
            Kind::Unigram => return Err("Unigram has no model in tokenizers 1.0".into()),
        };
        let model = model.map_err(|e| e.to_string())?;
        let tokenizer = with_decoder(model, tokens_of_model, vocabulary, decoder)?;
        Ok(Library { tokenizer, scratch: Mutex::default(), keeps_words: kind == Kind::Bpe })
    }

    /// Appends the ids of the words of a text.
    fn tokenize(&self, text: &str, spans: &[Span], out: &mut Vec<u32>) -> Result<()> {
        let model = self.tokenizer.get_model();
        let pool = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || (model.init_scratch(), Vec::new());
        let (mut scratch, mut tokens) = pool().pop().unwrap_or_else(fresh);
        // Few words at a time, whose tokens are soon copied.
        for spans in spans.chunks(AT_A_TIME) {
            tokens.clear();
            model
                .tokenize_spans(text, spans, &mut scratch, &mut tokens)
                .map_err(|e| failed("encode a text", &e))?;
            out.extend_from_slice(PipelineToken::cast_slice(&tokens));
        }
        tokens.shrink_to(2 * AT_A_TIME);
        pool().push((scratch, tokens));
        Ok(())
    }
}

/// A tokenizer that decodes the ids of a model. Each added token has the id that it has in the
/// vocabulary.
fn with_decoder(
    model: PipelineModel,
    tokens_of_model: usize,
    vocabulary: &Vocabulary,
    decoder: &Value,
) -> Result<PipelineTokenizer, Uncovered> {
    let mut added = AddedVocabulary::new();
    let tokens = vocabulary
        .added
        .iter()
        .map(|t| AddedToken::from(t.content.clone(), t.special).normalized(false));
    let id = |token: &str| vocabulary.id(token);
    added
        .add_tokens(tokens, tokens_of_model, id, None::<&NormalizerChain<'_>>)
        .map_err(|e| e.to_string())?;
    Ok(PipelineTokenizer::from_parts(
        added,
        Vec::new(),
        PipelinePreTokenizer::None,
        model,
        PipelinePostProcessor::default(),
        library(json!({ "decoder": decoder }))?.get_decoder().cloned(),
        BTreeMap::new(),
        None,
        None,
    ))
}

/// Gives ids beyond the last to the byte tokens that a vocabulary lacks and never uses: those of
/// ASCII characters that are tokens themselves, which occur in no other character. tokenizers 1.0
/// asks for all 256.
fn add_unused_bytes(tokens: &mut Vocab, max_id: u32) {
    let mut next = max_id;
    for byte in 0..128u8 {
        let name = format!("<{byte:#04X}>");
        if !tokens.contains_key(&name) && tokens.contains_key(&char::from(byte).to_string()) {
            next += 1;
            tokens.insert(name, next);
        }
    }
}
