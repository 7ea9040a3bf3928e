//! A tokenizer as steps, each done by the fastest code whose results are those of tokenizers 0.23:
//! added tokens, normalizers, cuts into words, model.
//!
//! The components and options that are listed here were compared with 0.23 on every code point and
//! by random texts (benches/tokenize). Others stop the construction, and the exact encoder reads
//! the file. Regular expressions that tokenizers 1.0 does not know are cut by the engine of 0.23.
//! Where its model differs, the model of 0.23 reads each word once and its ids are kept.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::Result;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BpeConfig, PipelineBPE, Vocab};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pipeline::{
    Model as _, Normalizer as _, NormalizerChain, PipelineModel, PipelineModelScratch,
    PipelinePostProcessor, PipelinePreTokenizer, PipelineToken, PipelineTokenizer,
    PreTokenizer as _, PreTokenizerScratch, Span, split_matches,
};
use tokenizers::utils::{Grammar, is_deepseek, recognize};
use tokenizers::vocab::bucket_added_vocabulary::{AddedToken, AddedVocabulary};
use tokenizers_exact::{PreTokenizedString, PreTokenizerWrapper};

use crate::added::{AddedTokens, Part};
use crate::exact::{Exact, pre_tokenize};
use crate::file::{Kind, Model, TokenizerFile, Vocabulary, failed};
use crate::reserved::Reserved;
use crate::train::byte_letters;

/// GPT-2's words, into which `ByteLevel` cuts.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

pub(crate) struct Pipeline {
    added: AddedTokens,
    normalizers: Vec<Normalizer>,
    opening: Option<Opening>,
    cuts: Vec<Cut>,
    words: Words,
}

/// A step that rewrites a text.
enum Normalizer {
    /// The only normalizer of a tokenizer without anything else.
    Library(PipelineTokenizer),
    /// Every match of a pattern becomes the same text.
    Replace(onig::Regex, String),
}

/// The part of a pre-tokenizer that rewrites a text, done before it is cut.
enum Opening {
    /// `ByteLevel`: a text that does not begin with a space gets one.
    Space,
    /// `Metaspace`: the only normalizer of a tokenizer without anything else.
    Metaspace(PipelineTokenizer),
}

/// A step that cuts a text into words.
enum Cut {
    /// The pre-tokenizer of a tokenizer without anything else.
    Library(PipelineTokenizer),
    Pattern(onig::Regex, Behavior),
    /// Before each space, where `Metaspace` cuts.
    BeforeSpaces,
}

/// A pattern's `behavior` and `invert`.
struct Behavior {
    matches: tokenizers::SplitDelimiterBehavior,
    inverted: bool,
}

/// The ids of words.
enum Words {
    Fast(Box<FastWords>),
    Kept(KeptWords),
}

/// The model of tokenizers 1.0.
struct FastWords {
    /// Holds the model, and decodes.
    tokenizer: PipelineTokenizer,
    scratch: Mutex<Vec<PipelineModelScratch>>,
}

/// The model of tokenizers 0.23 and the part of its pre-tokenizer that is left, whose results are
/// kept by word.
struct KeptWords {
    exact: Arc<Exact>,
    rest: Rest,
    /// Tells the words of one tokenizer from those of another.
    number: u64,
}

/// The part of a pre-tokenizer that is left for a word.
enum Rest {
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

impl Rest {
    fn new(members: Vec<Value>) -> Result<Rest, Uncovered> {
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

/// Scratch of a thread.
#[derive(Default)]
struct Scratch {
    spans: Vec<Span>,
    next: Vec<Span>,
    cut: PreTokenizerScratch,
    tokens: Vec<PipelineToken>,
}

/// Words of a tokenizer with their ids, of the last one that a thread used.
#[derive(Default)]
struct Kept {
    number: u64,
    words: HashMap<Box<str>, Box<[u32]>>,
}

/// Ids of a text that are kept from text to text.
const KEPT_TOKENS: usize = 1 << 16;
/// Words that a thread keeps with their ids, and bytes of the longest.
const KEPT_WORDS: usize = 1 << 16;
const KEPT_BYTES: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Why the fast steps do not cover a file.
type Uncovered = String;

impl Pipeline {
    /// `exact` loads the exact encoder, where its model is needed. `Err` says which part of the
    /// file is not covered.
    pub(crate) fn new(
        file: TokenizerFile,
        exact: impl FnOnce() -> Result<Arc<Exact>>,
    ) -> Result<Pipeline, Uncovered> {
        let kind = file.model.kind().ok_or("the kind of its model is unknown")?;
        let members = members(&file.normalizer, "normalizers");
        let normalizers: Vec<Normalizer> =
            members.iter().map(|member| normalizer(member)).collect::<Result<_, _>>()?;
        let chain = Chain(&normalizers);
        let added = AddedTokens::new(&file.vocabulary.added, |text| {
            Ok(chain.normalize(text)?.into_owned())
        });
        let added = added.map_err(|e| e.message().to_owned())?;
        let members = self::members(&file.pre_tokenizer, "pretokenizers");
        let Plan { opening, cuts, mut rest, byte_level } =
            plan(&members, kind, normalizers.is_empty())?;
        let words = if rest.is_empty() && is_fast(&file.model, kind, byte_level) {
            let decoder = library(json!({ "decoder": file.decoder }))?;
            Words::Fast(Box::new(FastWords::new(
                file.model,
                &file.vocabulary,
                kind,
                byte_level,
                &decoder,
            )?))
        } else {
            rest.extend(byte_level.then(bytes));
            let rest = Rest::new(rest)?;
            static NUMBER: AtomicU64 = AtomicU64::new(1);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let exact = exact().map_err(|e| e.message().to_owned())?;
            Words::Kept(KeptWords { exact, rest, number })
        };
        Ok(Pipeline { added, normalizers, opening, cuts, words })
    }

    /// Whether the model is that of tokenizers 1.0.
    pub(crate) fn is_fast(&self) -> bool {
        matches!(self.words, Words::Fast(_))
    }

    /// Appends the ids of a text. None of `reserved` is among them.
    pub(crate) fn encode(
        &self,
        text: &str,
        reserved: Option<&Reserved>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let skip = |id| reserved.is_some_and(|reserved| reserved.is_reserved(id));
        let chain = Chain(&self.normalizers);
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.tokens.clear();
            self.added.split(text, false, skip, |part| {
                let (text, start) = match part {
                    Part::Token(id) => {
                        scratch.tokens.push(id.into());
                        return Ok(());
                    }
                    Part::Text(text, start) => (text, start),
                };
                let text = chain.normalize(text)?;
                self.added.split(&text, true, skip, |part| match part {
                    Part::Token(id) => {
                        scratch.tokens.push(id.into());
                        Ok(())
                    }
                    Part::Text(text, inner) => {
                        self.encode_part(text, start + inner, reserved, scratch)
                    }
                })
            })?;
            if out.is_empty() {
                out.reserve_exact(scratch.tokens.len()); // a large text alone
            }
            out.extend(scratch.tokens.iter().map(|token| token.id()));
            scratch.tokens.clear();
            scratch.tokens.shrink_to(KEPT_TOKENS);
            Ok(())
        })
    }

    /// Appends the ids of normalized text without added tokens, which begins at byte `start` of its
    /// document.
    fn encode_part(
        &self,
        text: &str,
        start: usize,
        reserved: Option<&Reserved>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let text = match &self.opening {
            None => Cow::Borrowed(text),
            Some(Opening::Space) if text.starts_with(' ') => Cow::Borrowed(text),
            Some(Opening::Space) => Cow::Owned(format!(" {text}")),
            Some(Opening::Metaspace(library)) => normalize(library, text, start)?,
        };
        if text.is_empty() {
            return Ok(());
        }
        if text.len() > u32::MAX as usize {
            return Err(failed("encode a text", &"it has more than 4 GiB"));
        }
        scratch.spans.clear();
        match self.cuts.first() {
            Some(Cut::Library(library)) => library
                .get_pre_tokenizer()
                .pre_tokenize(&text, &mut scratch.cut, &mut scratch.spans)
                .map_err(|e| failed("encode a text", &e))?,
            Some(cut) => cut.apply(&text, 0, &mut scratch.cut, &mut scratch.spans)?,
            None => scratch.spans.push(Span::new(0, text.len() as u32)),
        }
        for cut in self.cuts.iter().skip(1) {
            scratch.next.clear();
            for span in &scratch.spans {
                cut.apply(&text[span.range()], span.start, &mut scratch.cut, &mut scratch.next)?;
            }
            std::mem::swap(&mut scratch.spans, &mut scratch.next);
        }
        let Scratch { spans, tokens, .. } = scratch;
        match &self.words {
            Words::Fast(words) => words.encode(&text, spans, reserved, tokens),
            Words::Kept(words) => words.encode(&text, spans, reserved, tokens),
        }
    }

    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.words {
            Words::Fast(words) => {
                words.tokenizer.decode(ids, false).map_err(|e| failed("decode ids", &e))
            }
            Words::Kept(words) => words.exact.decode(ids),
        }
    }
}

struct Chain<'a>(&'a [Normalizer]);

impl Chain<'_> {
    fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        let mut text = Cow::Borrowed(text);
        for normalizer in self.0 {
            if text.is_empty() {
                break;
            }
            let changed = match normalizer {
                Normalizer::Library(library) => match normalize(library, &text, 0)? {
                    Cow::Borrowed(same) if same.len() == text.len() => None,
                    changed => Some(changed.into_owned()),
                },
                Normalizer::Replace(pattern, by) => {
                    let mut changed: Option<String> = None;
                    let mut done = 0;
                    for (start, end) in pattern.find_iter(&text) {
                        let changed = changed.get_or_insert_default();
                        changed.push_str(&text[done..start]);
                        changed.push_str(by);
                        done = end;
                    }
                    changed.map(|changed| changed + &text[done..])
                }
            };
            if let Some(changed) = changed {
                text = Cow::Owned(changed);
            }
        }
        Ok(text)
    }
}

fn normalize<'t>(library: &PipelineTokenizer, text: &'t str, start: usize) -> Result<Cow<'t, str>> {
    let normalized = match library.get_normalizers() {
        [only] => only.normalize(text, start),
        several => NormalizerChain(several).normalize(text, start),
    };
    normalized.map_err(|e| failed("encode a text", &e))
}

impl Cut {
    /// Appends the words of a text that begins at byte `start` of what is cut.
    fn apply(
        &self,
        text: &str,
        start: u32,
        scratch: &mut PreTokenizerScratch,
        out: &mut Vec<Span>,
    ) -> Result<()> {
        let before = out.len();
        match self {
            Cut::Library(library) => library
                .get_pre_tokenizer()
                .pre_tokenize(text, scratch, out)
                .map_err(|e| failed("encode a text", &e))?,
            Cut::Pattern(pattern, behavior) => {
                let mut parts = Vec::new();
                let mut done = 0;
                for (start, end) in pattern.find_iter(text) {
                    if done != start {
                        parts.push(((done, start), behavior.inverted));
                    }
                    parts.push(((start, end), !behavior.inverted));
                    done = end;
                }
                if done != text.len() {
                    parts.push(((done, text.len()), behavior.inverted));
                }
                split_matches(out, parts, behavior.matches);
            }
            Cut::BeforeSpaces => {
                let mut from = 0;
                for at in memchr::memchr_iter(b' ', text.as_bytes()).filter(|&at| at > 0) {
                    out.push(Span::new(from, at as u32));
                    from = at as u32;
                }
                out.push(Span::new(from, text.len() as u32));
            }
        }
        for span in &mut out[before..] {
            *span = Span::new(span.start + start, span.end + start);
        }
        Ok(())
    }
}

impl FastWords {
    fn new(
        model: Model,
        vocabulary: &Vocabulary,
        kind: Kind,
        byte_level: bool,
        decoder: &PipelineTokenizer,
    ) -> Result<FastWords, Uncovered> {
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
            Kind::Unigram => return Err("Unigram has no fast model".into()),
        };
        let model = model.map_err(|e| e.to_string())?;
        // Only to decode; each token has the id that it has in the vocabulary.
        let mut added = AddedVocabulary::new();
        let tokens = vocabulary.added.iter();
        let tokens =
            tokens.map(|t| AddedToken::from(t.content.clone(), t.special).normalized(false));
        added
            .add_tokens(
                tokens,
                tokens_of_model,
                |token| vocabulary.id(token),
                None::<&NormalizerChain<'_>>,
            )
            .map_err(|e| e.to_string())?;
        let tokenizer = PipelineTokenizer::from_parts(
            added,
            Vec::new(),
            PipelinePreTokenizer::None,
            model,
            PipelinePostProcessor::default(),
            decoder.get_decoder().cloned(),
            std::collections::BTreeMap::new(),
            None,
            None,
        );
        Ok(FastWords { tokenizer, scratch: Mutex::default() })
    }

    fn encode(
        &self,
        text: &str,
        spans: &[Span],
        reserved: Option<&Reserved>,
        out: &mut Vec<PipelineToken>,
    ) -> Result<()> {
        let model = self.tokenizer.get_model();
        let pool = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = pool().pop().unwrap_or_else(|| model.init_scratch());
        let before = out.len();
        out.reserve(spans.len());
        let failed = |e| failed("encode a text", &e);
        model.tokenize_spans(text, spans, &mut scratch, out).map_err(failed)?;
        if let Some(reserved) = reserved
            && reserved.are_in(PipelineToken::cast_slice(&out[before..]))
        {
            out.truncate(before);
            let scratch = RefCell::new(&mut scratch);
            let mut ids = Vec::new();
            for span in spans {
                reserved.encode_apart(&text[span.range()], &mut ids, |word, ids| {
                    let mut tokens = Vec::new();
                    let span = [Span::new(0, word.len() as u32)];
                    let scratch = &mut **scratch.borrow_mut();
                    model.tokenize_spans(word, &span, scratch, &mut tokens).map_err(failed)?;
                    ids.extend(tokens.iter().map(|token| token.id()));
                    Ok(())
                })?;
            }
            out.extend(ids.into_iter().map(PipelineToken::from));
        }
        pool().push(scratch);
        Ok(())
    }
}

impl KeptWords {
    fn encode(
        &self,
        text: &str,
        spans: &[Span],
        reserved: Option<&Reserved>,
        out: &mut Vec<PipelineToken>,
    ) -> Result<()> {
        KEPT.with_borrow_mut(|kept| {
            if kept.number != self.number {
                *kept = Kept { number: self.number, words: HashMap::new() };
            }
            let mut ids = Vec::new();
            for span in spans {
                let word = &text[span.range()];
                if let Some(known) = kept.words.get(word) {
                    self.push(word, known, reserved, out)?;
                    continue;
                }
                ids.clear();
                self.tokenize(word, None, &mut ids)?;
                self.push(word, &ids, reserved, out)?;
                if word.len() <= KEPT_BYTES {
                    if kept.words.len() >= KEPT_WORDS {
                        kept.words.clear();
                    }
                    kept.words.insert(word.into(), ids.as_slice().into());
                }
            }
            Ok(())
        })
    }

    fn push(
        &self,
        word: &str,
        ids: &[u32],
        reserved: Option<&Reserved>,
        out: &mut Vec<PipelineToken>,
    ) -> Result<()> {
        if reserved.is_some_and(|reserved| reserved.are_in(ids)) {
            let mut ids = Vec::new();
            self.tokenize(word, reserved, &mut ids)?;
            out.extend(ids.into_iter().map(PipelineToken::from));
        } else {
            out.extend(ids.iter().map(|&id| PipelineToken::from(id)));
        }
        Ok(())
    }

    fn tokenize(&self, word: &str, reserved: Option<&Reserved>, out: &mut Vec<u32>) -> Result<()> {
        self.rest.cut(word, |word| match reserved {
            None => self.exact.tokenize(word, out),
            Some(reserved) => {
                reserved.encode_apart(word, out, |part, out| self.exact.tokenize(part, out))
            }
        })
    }
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

/// The components of a section, those of sequences one by one.
fn members<'v>(section: &'v Value, list: &str) -> Vec<&'v Value> {
    match section[list].as_array() {
        Some(several) if section["type"] == "Sequence" => {
            several.iter().flat_map(|member| members(member, list)).collect()
        }
        _ if section.is_null() => Vec::new(),
        _ => vec![section],
    }
}

/// Whether the model of tokenizers 1.0 gives the ids of 0.23.
fn is_fast(model: &Model, kind: Kind, byte_level: bool) -> bool {
    match kind {
        _ if byte_level && kind != Kind::Bpe => false,
        // In 1.0 a word of one character loses its affixes.
        Kind::Bpe => !model.has_affixes(),
        Kind::WordPiece | Kind::WordLevel => model.unk_token.is_some(),
        Kind::Unigram => false,
    }
}

/// A tokenizer of tokenizers 1.0 that has these sections and the smallest model.
fn library(mut sections: Value) -> Result<PipelineTokenizer, Uncovered> {
    sections["version"] = "1.0".into();
    sections["model"] = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
    tokenizers::canonicalize_value(&mut sections).map_err(|e| e.to_string())?;
    tokenizers::from_json(&sections.to_string()).map_err(|e| e.to_string())
}

fn pattern(pattern: &str) -> Result<onig::Regex, Uncovered> {
    onig::Regex::new(pattern).map_err(|e| format!("the pattern {pattern:?} is invalid: {e}"))
}

/// The type of a component.
fn name(component: &Value) -> &str {
    component["type"].as_str().unwrap_or_default()
}

fn normalizer(component: &Value) -> Result<Normalizer, Uncovered> {
    let is_covered = match name(component) {
        "NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt" | "Lowercase" | "StripAccents" | "Strip"
        | "Prepend" | "BertNormalizer" | "Precompiled" => true,
        "Replace" => match &component["pattern"] {
            Value::Object(given) if given.contains_key("Regex") => {
                let regex = pattern(given["Regex"].as_str().unwrap_or_default())?;
                let by = component["content"].as_str().unwrap_or_default();
                return Ok(Normalizer::Replace(regex, by.to_owned()));
            }
            given => given["String"].as_str().is_some_and(|text| !text.is_empty()),
        },
        _ => false,
    };
    if !is_covered {
        return Err(format!("its normalizer `{}` is not covered", name(component)));
    }
    let library = library(json!({ "normalizer": component }))?;
    Ok(Normalizer::Library(library))
}

/// A pre-tokenizer as steps.
struct Plan {
    opening: Option<Opening>,
    cuts: Vec<Cut>,
    /// Members that are left for the words of the cuts.
    rest: Vec<Value>,
    /// Whether the model reads bytes written as `ByteLevel` writes them, after `rest`.
    byte_level: bool,
}

/// The rewriting of `ByteLevel`, without its cuts.
fn bytes() -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false })
}

/// `is_raw` says that no normalizer comes before.
fn plan(members: &[&Value], kind: Kind, is_raw: bool) -> Result<Plan, Uncovered> {
    let mut plan = Plan { opening: None, cuts: Vec::new(), rest: Vec::new(), byte_level: false };
    let mut left = members;
    while let Some((&first, others)) = left.split_first() {
        if let [a, b, c, ..] = left
            && let (Some(a), Some(b), Some(c)) = (isolated(a), isolated(b), isolated(c))
            && is_deepseek(a, b, c)
        {
            let three = json!({ "type": "Sequence", "pretokenizers": left[..3] });
            plan.cuts.push(Cut::Library(library(json!({ "pre_tokenizer": three }))?));
            left = &left[3..];
            continue;
        }
        match name(first) {
            "Split" => plan.cuts.push(split(first)?),
            "Whitespace" | "WhitespaceSplit" | "BertPreTokenizer" | "Punctuation" | "Digits"
            | "UnicodeScripts" | "CharDelimiterSplit" => {
                plan.cuts.push(Cut::Library(library(json!({ "pre_tokenizer": first }))?));
            }
            "ByteLevel" => {
                let flag = |name: &str| first[name].as_bool().unwrap_or(true);
                match flag("add_prefix_space") {
                    false => {}
                    true if plan.cuts.is_empty() => plan.opening = Some(Opening::Space),
                    true => return Err("its `ByteLevel` adds a space to words of another".into()),
                }
                if flag("use_regex") {
                    let gpt2 = json!({ "type": "Split", "pattern": { "Regex": GPT2 }, "behavior": "Isolated", "invert": false });
                    plan.cuts.push(split(&gpt2)?);
                }
                if others.is_empty() {
                    plan.byte_level = true;
                } else {
                    plan.rest =
                        std::iter::once(bytes()).chain(others.iter().copied().cloned()).collect();
                    break;
                }
            }
            "Metaspace" => {
                let scheme = scheme(first)?;
                let splits = first["split"].as_bool().unwrap_or(true);
                if plan.cuts.is_empty() && others.is_empty() && kind == Kind::Bpe {
                    if scheme == "first" && !is_raw {
                        return Err("its `Metaspace` asks where a normalized text began".into());
                    }
                    let replacement = first["replacement"].as_str().unwrap_or("▁");
                    let metaspace = json!({ "type": "MetaspaceNormalizer", "replacement": replacement, "prepend": scheme, "drop_whitespace": false });
                    plan.opening =
                        Some(Opening::Metaspace(library(json!({ "normalizer": metaspace }))?));
                    if splits {
                        let before = json!({ "type": "Split", "pattern": { "String": replacement }, "behavior": "MergedWithNext", "invert": false });
                        plan.cuts.push(Cut::Library(library(json!({ "pre_tokenizer": before }))?));
                    }
                } else if scheme == "first" {
                    return Err("its `Metaspace` asks where a text began".into());
                } else {
                    if splits {
                        plan.cuts.push(Cut::BeforeSpaces);
                    }
                    plan.rest = left.iter().copied().cloned().collect();
                    break;
                }
            }
            other => return Err(format!("its pre-tokenizer `{other}` is not covered")),
        }
        left = others;
    }
    Ok(plan)
}

/// `Metaspace`'s `prepend_scheme`, as 0.23 reads it.
fn scheme(metaspace: &Value) -> Result<&'static str, Uncovered> {
    match (metaspace["prepend_scheme"].as_str(), metaspace["add_prefix_space"].as_bool()) {
        (Some("never"), _) => Ok("never"),
        (_, Some(false)) => Err("its `Metaspace` contradicts itself".into()),
        (None | Some("always"), _) => Ok("always"),
        (Some("first"), _) => Ok("first"),
        (Some(other), _) => Err(format!("its `Metaspace` prepends {other:?}")),
    }
}

/// The pattern of a `Split` whose matches are words of their own.
fn isolated(component: &Value) -> Option<&str> {
    let is_plain = name(component) == "Split"
        && component["behavior"] == "Isolated"
        && component["invert"] == false;
    component["pattern"]["Regex"].as_str().filter(|_| is_plain)
}

fn split(component: &Value) -> Result<Cut, Uncovered> {
    use tokenizers::SplitDelimiterBehavior::{
        Contiguous, Isolated, MergedWithNext, MergedWithPrevious, Removed,
    };
    let inverted = component["invert"].as_bool().unwrap_or(false);
    let matches = match component["behavior"].as_str() {
        Some("Isolated") => Isolated,
        Some("Removed") => Removed,
        Some("MergedWithPrevious") => MergedWithPrevious,
        Some("MergedWithNext") => MergedWithNext,
        Some("Contiguous") => Contiguous,
        other => return Err(format!("its `Split` behaves as {other:?}")),
    };
    let given = &component["pattern"];
    if let Some(regex) = given["Regex"].as_str() {
        // Both ways to write it keep every match; these patterns match everything.
        let keeps_all = matches == Isolated && !inverted || matches == Removed && inverted;
        if keeps_all && recognize(regex).is_some_and(is_known) {
            let component = json!({ "type": "Split", "pattern": given, "behavior": "Isolated", "invert": false });
            return Ok(Cut::Library(library(json!({ "pre_tokenizer": component }))?));
        }
        return Ok(Cut::Pattern(pattern(regex)?, Behavior { matches, inverted }));
    }
    match given["String"].as_str() {
        Some(text) if !text.is_empty() => {
            let (options, plain) = (onig::RegexOptions::REGEX_OPTION_NONE, onig::Syntax::asis());
            let text =
                onig::Regex::with_options(text, options, plain).map_err(|e| e.to_string())?;
            Ok(Cut::Pattern(text, Behavior { matches, inverted }))
        }
        _ => Err("its `Split` has no pattern".into()),
    }
}

/// The patterns whose words were found equal to those of 0.23. 1.0 cuts Kimi's otherwise, and the
/// digits of two more as those of a third.
fn is_known(grammar: Grammar) -> bool {
    match grammar {
        Grammar::Gpt2 | Grammar::O200k | Grammar::Tekken => true,
        Grammar::Cl100k { digit_cap } => digit_cap == 1 || digit_cap == 3,
        Grammar::Kimi => false,
    }
}
