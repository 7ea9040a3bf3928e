//! Tokenizers in other forms than tokenizer.json, converted where all that is needed is in the
//! file: Mistral's tekken.json, and SentencePiece models that merge pairs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::train::byte_letters;

/// The names that tokenizers have in directories of models, the first to count first.
const NAMES: [&str; 5] =
    ["tokenizer.json", "tekken.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];

/// The tokenizer in the directory of a model: its tokenizer.json where it has one.
pub fn file_of(directory: &Path) -> PathBuf {
    let found = NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| directory.join(NAMES[0]))
}

/// How users convert what is not read here.
const CONVERT: &str = "use the tokenizer.json of the same model, or make one with transformers: `AutoTokenizer.from_pretrained(DIR).save_pretrained(OUT)`";

/// A tokenizer.json with the ids of a tokenizer in another form; `None` where it has none of these
/// forms.
///
/// Errors: what is missing, and how to convert the file.
pub(crate) fn convert(bytes: &[u8]) -> Result<Option<Value>, String> {
    if bytes.first() == Some(&0x0a) && std::str::from_utf8(bytes).map_or(true, |t| !is_json(t)) {
        let Some(model) = Piece::model(bytes) else { return Ok(None) };
        return piece_model(&model).map(Some).map_err(|what| format!("{what}; {CONVERT}"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    if is_ranks(text) {
        return Err(format!(
            "it holds tiktoken ranks, without the pattern that cuts text and the special tokens; {CONVERT}"
        ));
    }
    if !text.contains("\"token_bytes\"") {
        return Ok(None);
    }
    match serde_json::from_str(text) {
        Ok(file) => tekken(file).map(Some),
        Err(_) => Ok(None),
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Whether a file has lines of a token in base64 and its rank.
fn is_ranks(text: &str) -> bool {
    text.lines().next().is_some_and(|line| {
        line.split_once(' ').is_some_and(|(token, rank)| {
            rank.parse::<u32>().is_ok() && STANDARD.decode(token).is_ok()
        })
    })
}

/// Mistral's tekken.json.
#[derive(Deserialize)]
struct Tekken {
    config: TekkenConfig,
    vocab: Vec<TekkenToken>,
    special_tokens: Option<Vec<TekkenSpecial>>,
}

#[derive(Deserialize)]
struct TekkenConfig {
    pattern: String,
    default_vocab_size: usize,
    default_num_special_tokens: usize,
    version: Option<String>,
}

#[derive(Deserialize)]
struct TekkenToken {
    token_bytes: String,
}

#[derive(Deserialize)]
struct TekkenSpecial {
    rank: usize,
    token_str: String,
}

/// The special tokens of files that list none, by id.
const TEKKEN_SPECIAL: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

fn tekken(file: Tekken) -> Result<Value, String> {
    let Tekken { config, vocab, special_tokens } = file;
    let specials = config.default_num_special_tokens;
    let ordinary = config
        .default_vocab_size
        .checked_sub(specials)
        .filter(|&n| n <= vocab.len() && specials <= 1 << 20);
    let ordinary = ordinary.ok_or("its `config` asks for more tokens than it has")?;
    let mut names: Vec<String> = (0..specials).map(|id| format!("<SPECIAL_{id}>")).collect();
    match (special_tokens, config.version.as_deref()) {
        (Some(given), _) => {
            for TekkenSpecial { rank, token_str } in given {
                *names.get_mut(rank).ok_or("a special token has a rank beyond their number")? =
                    token_str;
            }
        }
        (None, None | Some("v3" | "v7")) => {
            names.iter_mut().zip(TEKKEN_SPECIAL).for_each(|(name, known)| *name = known.into());
        }
        (None, Some(version)) => {
            return Err(format!("it lists no special tokens, which files of version {version} do"));
        }
    }
    let mut ranks: HashMap<Vec<u8>, u32> = HashMap::new();
    for (rank, token) in (0..).zip(&vocab[..ordinary]) {
        let bytes = STANDARD.decode(&token.token_bytes).map_err(|e| e.to_string())?;
        if bytes.is_empty() || ranks.insert(bytes, rank).is_some() {
            return Err(format!("its token of rank {rank} is empty or there twice"));
        }
    }
    let letters = byte_letters();
    let spelled = |bytes: &[u8]| bytes.iter().map(|&b| letters[usize::from(b)]).collect::<String>();
    let mut ids: BTreeMap<String, u32> =
        ranks.iter().map(|(bytes, rank)| (spelled(bytes), rank + specials as u32)).collect();
    for (name, id) in names.iter().zip(0..) {
        if ids.insert(name.clone(), id).is_some() {
            return Err(format!("its special token {name:?} is there twice"));
        }
    }
    let mut tokens: Vec<(&Vec<u8>, u32)> =
        ranks.iter().map(|(bytes, &rank)| (bytes, rank)).collect();
    tokens.sort_unstable_by_key(|&(_, rank)| rank);
    let mut merges = Vec::new();
    for (token, _) in tokens {
        let halves = (1..token.len()).map(|at| token.split_at(at));
        let known = halves.filter_map(|(a, b)| Some((*ranks.get(a)?, *ranks.get(b)?, a, b)));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        merges.extend(known.into_iter().map(|(_, _, a, b)| [spelled(a), spelled(b)]));
    }
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    let split = json!({ "type": "Split", "pattern": { "Regex": config.pattern }, "behavior": "Isolated", "invert": false });
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": names.iter().zip(0..).map(|(name, id)| added(name, id, true, false)).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [split, byte_level] },
        "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": true, "vocab": ids, "merges": merges,
        },
    }))
}

fn added(content: &str, id: u32, special: bool, normalized: bool) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": normalized, "special": special })
}

/// The fields of a SentencePiece model that decide ids.
struct PieceModel {
    pieces: Vec<Piece>,
    /// 1 for Unigram, 2 for BPE.
    kind: u64,
    byte_fallback: bool,
    suffixes: bool,
    charsmap: bool,
    prefix: bool,
    collapses: bool,
    escapes: bool,
}

/// A piece of a SentencePiece model.
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

const NORMAL: u64 = 1;
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const BYTE: u64 = 6;

/// A field of a protocol buffer.
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
    Float(f32),
}

/// The fields of a message; ends with `None` where the bytes are not a message.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Option<(u64, Field<'b>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut field = || {
            let tag = self.number()?;
            let value = match tag & 7 {
                0 => Field::Number(self.number()?),
                1 => Field::Bytes(self.take(8)?),
                2 => {
                    let len = usize::try_from(self.number()?).ok()?;
                    Field::Bytes(self.take(len)?)
                }
                5 => Field::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
                _ => return None,
            };
            Some((tag >> 3, value))
        };
        let field = field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl Piece {
    /// A SentencePiece model, where the bytes are one.
    fn model(bytes: &[u8]) -> Option<PieceModel> {
        let mut model = PieceModel {
            pieces: Vec::new(),
            kind: 1,
            byte_fallback: false,
            suffixes: false,
            charsmap: false,
            prefix: true,
            collapses: true,
            escapes: true,
        };
        for field in Fields(bytes) {
            match field? {
                (1, Field::Bytes(piece)) => model.pieces.push(Piece::read(piece)?),
                (2, Field::Bytes(trainer)) => {
                    for field in Fields(trainer) {
                        match field? {
                            (3, Field::Number(kind)) => model.kind = kind,
                            (24, Field::Number(is)) => model.suffixes = is != 0,
                            (35, Field::Number(is)) => model.byte_fallback = is != 0,
                            _ => {}
                        }
                    }
                }
                (3, Field::Bytes(normalizer)) => {
                    for field in Fields(normalizer) {
                        match field? {
                            (2, Field::Bytes(map)) => model.charsmap = !map.is_empty(),
                            (3, Field::Number(is)) => model.prefix = is != 0,
                            (4, Field::Number(is)) => model.collapses = is != 0,
                            (5, Field::Number(is)) => model.escapes = is != 0,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        (!model.pieces.is_empty()).then_some(model)
    }

    fn read(bytes: &[u8]) -> Option<Piece> {
        let mut piece = Piece { text: String::new(), score: 0.0, kind: NORMAL };
        for field in Fields(bytes) {
            match field? {
                (1, Field::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?.to_owned(),
                (2, Field::Float(score)) => piece.score = score,
                (3, Field::Number(kind)) => piece.kind = kind,
                _ => {}
            }
        }
        Some(piece)
    }
}

/// A model that merges pairs and leaves text as it is, except spaces, like those of Llama 2, Mistral
/// and Gemma.
fn piece_model(model: &PieceModel) -> Result<Value, String> {
    let refuse = |what: &str| Err(format!("it is a SentencePiece model {what}"));
    if model.kind != 2 {
        return refuse("that does not merge pairs (Unigram, words or characters)");
    }
    if model.charsmap || model.collapses || !model.escapes || model.suffixes {
        return refuse("that rewrites text");
    }
    let known =
        |piece: &Piece| [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE].contains(&piece.kind);
    if !model.pieces.iter().all(known) {
        return refuse("with pieces that are not used");
    }
    if model.prefix && model.pieces.iter().any(|piece| piece.kind == USER_DEFINED) {
        return refuse("with pieces of its own user and a space before each text");
    }
    let ids: BTreeMap<&str, u32> =
        model.pieces.iter().zip(0..).map(|(piece, id)| (piece.text.as_str(), id)).collect();
    if ids.len() != model.pieces.len() {
        return refuse("with a piece that is there twice");
    }
    let Some(unknown) = model.pieces.iter().find(|piece| piece.kind == UNKNOWN) else {
        return refuse("without a piece for what is unknown");
    };
    let mut normal: Vec<&Piece> = model.pieces.iter().filter(|p| p.kind == NORMAL).collect();
    // Runs of spaces have one score: the library makes the longest from the left, as here.
    normal.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.text.len().cmp(&a.text.len())));
    let texts: HashSet<&str> = normal.iter().map(|piece| piece.text.as_str()).collect();
    let mut merges = Vec::new();
    let mut last: Option<&Piece> = None;
    for piece in normal {
        let ends = piece.text.char_indices().map(|(at, _)| at).skip(1);
        let halves = ends.map(|at| piece.text.split_at(at));
        let halves = halves.filter(|(a, b)| texts.contains(a) && texts.contains(b));
        let mut halves: Vec<(&str, &str)> = halves.collect();
        if halves.is_empty() {
            continue;
        }
        let is_run = |piece: &Piece| piece.text.chars().all(|c| c == '▁');
        if last.is_some_and(|last| last.score == piece.score && !(is_run(last) && is_run(piece))) {
            return refuse("with two merges of one score");
        }
        last = Some(piece);
        halves.sort_unstable_by_key(|(a, b)| (ids[a], ids[b]));
        merges.extend(halves);
    }
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let normalizer = if model.prefix {
        json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": "▁" }, spaces] })
    } else {
        spaces
    };
    let back = json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " });
    let mut decoders = vec![back, json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    if model.prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let tokens = model.pieces.iter().zip(0..).filter_map(|(piece, id)| match piece.kind {
        CONTROL | UNKNOWN => Some(added(&piece.text, id, true, false)),
        USER_DEFINED => Some(added(&piece.text, id, false, true)),
        _ => None,
    });
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": tokens.collect::<Vec<_>>(),
        "normalizer": normalizer, "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown.text, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": model.byte_fallback, "ignore_merges": false, "vocab": ids,
            "merges": merges.into_iter().map(|(a, b)| [a, b]).collect::<Vec<_>>(),
        },
    }))
}
