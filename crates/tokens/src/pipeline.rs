//! A tokenizer as steps, each done by the fastest code whose results are those of tokenizers 0.23:
//! added tokens, normalizers, cuts into words, model.
//!
//! The components and options that are listed here were compared with 0.23 on every code point and
//! by random texts (benches/tokenize). Others stop the construction, and the exact encoder reads
//! the file. Regular expressions that tokenizers 1.0 does not know are cut by the engine of 0.23.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use longweave_common::Result;
use serde_json::{Value, json};
use tokenizers::pipeline::{
    PipelineTokenizer, PreTokenizer as _, PreTokenizerScratch, Span, split_matches,
};
use tokenizers::utils::{Grammar, is_deepseek, recognize};

use crate::added::AddedTokens;
use crate::bpe::{Bpe, joined_to};
use crate::component::{Uncovered, library, name, pattern, scheme};
use crate::exact::{Exact, pieces};
use crate::file::{Kind, Model, TokenizerFile, failed};
use crate::normalizer::{Normalizer, normalize, normalize_at};
use crate::reserved::Reserved;
use crate::unigram::Unigram;
use crate::words::{Library, Rest, WordModel, Words, bytes};

/// GPT-2's words, into which `ByteLevel` cuts.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// SentencePiece's mark of a word's beginning.
const MARK: char = '▁';

pub(crate) struct Pipeline {
    added: AddedTokens,
    normalizers: Vec<Normalizer>,
    opening: Option<Opening>,
    cuts: Vec<Cut>,
    words: Words,
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
    /// Before each [`MARK`] after a character other than it and these: no merge reaches over that place.
    BeforeMarks(HashSet<char>),
}

/// A pattern's `behavior` and `invert`.
struct Behavior {
    matches: tokenizers::SplitDelimiterBehavior,
    inverted: bool,
}

/// Scratch of a thread.
#[derive(Default)]
struct Scratch {
    spans: Vec<Span>,
    next: Vec<Span>,
    cut: PreTokenizerScratch,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Pipeline {
    /// `exact` loads the exact encoder, where its model is needed. `Err` says which part of the
    /// file is not covered.
    pub(crate) fn new(
        file: TokenizerFile,
        exact: impl FnOnce() -> Result<Arc<Exact>>,
    ) -> Result<Pipeline, Uncovered> {
        let kind = file.model.kind().ok_or("the kind of its model is unknown")?;
        let steps = members(&file.normalizer, "normalizers");
        let normalizers: Vec<Normalizer> =
            steps.into_iter().map(Normalizer::new).collect::<Result<_, _>>()?;
        let added = AddedTokens::new(&file.vocabulary.added, |text| {
            Ok(normalize(&normalizers, text)?.into_owned())
        });
        let added = added.map_err(|e| e.message().to_owned())?;
        let steps = members(&file.pre_tokenizer, "pretokenizers");
        let Plan { opening, mut cuts, mut rest, byte_level } = plan(&steps, kind, &normalizers)?;
        if kind == Kind::Bpe
            && !byte_level
            && rest.is_empty()
            && file.model.ignore_merges != Some(true)
            && let Some(joined) = joined_to(MARK, &file.model)
        {
            cuts.push(Cut::BeforeMarks(joined));
        }
        let model = if rest.is_empty() && is_covered(&file.model, kind, byte_level) {
            let TokenizerFile { model, vocabulary, decoder, .. } = file;
            let library = Library::new(model, &vocabulary, kind, byte_level, &decoder)?;
            WordModel::Library(Box::new(library))
        } else if let Some(model) = own(&file, kind, &rest, byte_level)? {
            model
        } else {
            rest.extend(byte_level.then(bytes));
            WordModel::Exact(exact().map_err(|e| e.message().to_owned())?)
        };
        Ok(Pipeline {
            added,
            normalizers,
            opening,
            cuts,
            words: Words::new(Rest::new(rest)?, model),
        })
    }

    pub(crate) fn model(&self) -> &WordModel {
        self.words.model()
    }

    /// Appends the ids of a text. None of `reserved` is among them.
    pub(crate) fn encode(
        &self,
        text: &str,
        reserved: Option<&Reserved>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let skip = |id| reserved.is_some_and(|reserved| reserved.is_reserved(id));
        SCRATCH.with_borrow_mut(|scratch| {
            self.added.split(text, false, skip, out, |text, start, out| {
                let text = normalize(&self.normalizers, text)?;
                self.added.split(&text, true, skip, out, |text, inner, out| {
                    self.encode_part(text, start + inner, reserved, scratch, out)
                })
            })
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
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let text = match &self.opening {
            None => Cow::Borrowed(text),
            Some(Opening::Space) if text.starts_with(' ') => Cow::Borrowed(text),
            Some(Opening::Space) => Cow::Owned(format!(" {text}")),
            Some(Opening::Metaspace(library)) => normalize_at(library, text, start)?,
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
        self.words.encode(&text, &scratch.spans, reserved, out)
    }

    /// The text of ids, where the fast steps decode.
    pub(crate) fn decode(&self, ids: &[u32]) -> Option<Result<String>> {
        self.words.decode(ids)
    }
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
            Cut::BeforeMarks(joined) => {
                let mut mark = [0; 4];
                let mark = MARK.encode_utf8(&mut mark).as_bytes();
                let mut from = 0;
                for at in memchr::memchr_iter(mark[0], text.as_bytes()) {
                    if at == 0 || !text.as_bytes()[at..].starts_with(mark) {
                        continue;
                    }
                    let before = text[..at].chars().next_back();
                    if before.is_some_and(|before| before != MARK && !joined.contains(&before)) {
                        out.push(Span::new(from, at as u32));
                        from = at as u32;
                    }
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

/// A model of our own, where one covers the file's.
fn own(
    file: &TokenizerFile,
    kind: Kind,
    rest: &[Value],
    byte_level: bool,
) -> Result<Option<WordModel>, Uncovered> {
    let letters = rest.first().is_some_and(|first| *first == bytes());
    Ok(match kind {
        Kind::Bpe if byte_level || letters => {
            Bpe::new(&file.model, letters).map(|model| WordModel::Bpe(Box::new(model)))
        }
        Kind::Unigram if !byte_level => {
            let bytes = file.source.read().map_err(|e| e.message().to_owned())?;
            let (pieces, unknown) = pieces(&bytes)?;
            let fallback = file.model.byte_fallback == Some(true);
            let model = Unigram::new(&pieces, unknown, fallback);
            model.map(|model| WordModel::Unigram(Box::new(model)))
        }
        _ => None,
    })
}

/// Whether the model of tokenizers 1.0 gives the ids of 0.23.
fn is_covered(model: &Model, kind: Kind, byte_level: bool) -> bool {
    match kind {
        _ if byte_level && kind != Kind::Bpe => false,
        // In 1.0 a word of one character loses its affixes.
        Kind::Bpe => !model.has_affixes(),
        Kind::WordPiece | Kind::WordLevel => model.unk_token.is_some(),
        Kind::Unigram => false,
    }
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

/// Plans what follows the normalizers.
fn plan(members: &[&Value], kind: Kind, normalizers: &[Normalizer]) -> Result<Plan, Uncovered> {
    let is_raw = normalizers.is_empty();
    let has_spaces = !normalizers.last().is_some_and(Normalizer::removes_spaces);
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
            "Split" if !has_spaces && first["pattern"]["String"] == " " => {}
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
