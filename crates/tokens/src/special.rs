//! The tokens between, before and after documents: found in the files of their model, never
//! guessed from an ordinary vocabulary.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use serde_json::Value;

use crate::{Encoder, ids_only};

/// End-of-text tokens by name, the likelier first. None ends a turn of a chat.
const SEPARATORS: &[&str] = &[
    "<|endoftext|>",
    "<|end_of_text|>",
    "<eos>",
    "<eod>",
    "</s>",
    "<｜end▁of▁sentence｜>",
    "<EOS_TOKEN>",
    "<|eos|>",
    "<|EOS|>",
    "<EOT>",
    "[e~[",
    "[EOS]",
    "<EOS>",
    "[SEP]",
    "<sep>",
];
/// Padding tokens by name.
const PADDINGS: &[&str] = &[
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<|padding|>",
    "<｜▁pad▁｜>",
    "<|finetune_right_pad_id|>",
    "<|finetune_right_pad|>",
    "<PAD>",
    "<PAD_TOKEN>",
    "<|PAD|>",
];
/// Begin tokens by name. None begins a turn of a chat.
const BEGINS: &[&str] = &[
    "<|begin_of_text|>",
    "<bos>",
    "<s>",
    "<｜begin▁of▁sentence｜>",
    "<BOS_TOKEN>",
    "<|bos|>",
    "<|BOS|>",
    "[CLS]",
    "<|startoftext|>",
    "[BOS]",
    "<BOS>",
];

/// Most special tokens that a message lists.
const LISTED: usize = 30;

/// The requested special tokens. `auto` looks for the tokenizer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialOptions {
    /// `auto`, `none`, `token:TEXT` (one token of the vocabulary) or `text:TEXT` (the ids of a string, in
    /// which `\n`, `\r`, `\t` and `\\` are escapes).
    pub separator: String,
    /// `auto` or `token:TEXT`.
    pub pad: String,
    /// `auto` or `token:TEXT`.
    pub bos: String,
    /// At the end of each part of a document but the last: `none`, `token:TEXT` or `text:TEXT`, as
    /// `separator`.
    pub part_end: String,
    /// At the beginning of each part of a document but the first.
    pub part_begin: String,
}

/// The tokens found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Ids of the separator, none for `none`.
    pub separator: Vec<u32>,
    /// The padding token, where one is known.
    pub pad: Option<u32>,
    /// The begin token, where one is known.
    pub bos: Option<u32>,
    /// Ids of the marker at the end of a part, none for `none`.
    pub part_end: Vec<u32>,
    /// Ids of the marker at the beginning of a part, none for `none`.
    pub part_begin: Vec<u32>,
    /// How each was found, those of `text:` excepted.
    pub choices: Vec<Choice>,
}

/// A token that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The option: `separator`, `padToken`, `bosToken`, `partEnd` or `partBegin`.
    pub option: &'static str,
    /// The token as the vocabulary writes it.
    pub token: String,
    pub id: u32,
    /// The file that names it, with the field.
    pub by: Origin,
}

/// The reason for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The option names it.
    Option,
    /// A file of the model names it.
    File { path: PathBuf, field: String },
    /// It is marked special and has one of the usual names.
    Name,
}

/// The files next to a tokenizer that name its special tokens, and a config.json in place of one, the
/// first to count first.
#[derive(Debug, Default)]
pub struct ModelFiles {
    files: Vec<(PathBuf, Value)>,
}

impl ModelFiles {
    /// Reads those that are next to a tokenizer.
    ///
    /// Errors: `TOKENIZER_INVALID` for one that is not JSON; `IO`.
    pub fn beside(tokenizer: &Path) -> Result<ModelFiles> {
        let mut files = Vec::new();
        for name in ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json"] {
            let path = tokenizer.with_file_name(name);
            if !path.is_file() {
                continue;
            }
            let bytes = std::fs::read(&path).at("read", &path)?;
            let value = serde_json::from_slice(&bytes).map_err(|e| {
                let message = format!(
                    "{} is not JSON ({e}); it names the special tokens of the tokenizer next to it: fetch it again or remove it",
                    path.display()
                );
                Error::new(Code::TokenizerInvalid, message).with("file", path.display().to_string())
            })?;
            files.push((path, value));
        }
        if let Some(config) = ids_only::config(tokenizer)? {
            files.push((tokenizer.to_owned(), config));
        }
        Ok(ModelFiles { files })
    }

    /// The token that the files name for a role (`eos`, `bos`, `pad`), where the tokenizer has it.
    fn find(&self, encoder: &dyn Encoder, role: &str) -> Option<(String, u32, Origin)> {
        self.files.iter().find_map(|(path, value)| {
            let origin = |field: String| Origin::File { path: path.clone(), field };
            let field = format!("{role}_token");
            let named = &value[&field];
            if let Some(token) = named.as_str().or_else(|| named["content"].as_str())
                && let Some(id) = encoder.token_to_id(token)
            {
                return Some((token.to_owned(), id, origin(field)));
            }
            let field = format!("{role}_token_id");
            let given = &value[&field];
            let id = given.as_array().and_then(|list| list.first()).unwrap_or(given).as_u64()?;
            let id = u32::try_from(id).ok()?;
            Some((encoder.id_to_token(id)?, id, origin(field)))
        })
    }
}

impl SpecialTokens {
    /// Finds the tokens.
    ///
    /// Errors: `TOKEN_NOT_FOUND`, with the file's special tokens, when no separator is known or a
    /// named token does not exist; `OPTIONS_INVALID` for another form.
    pub fn resolve(
        encoder: &dyn Encoder,
        options: &SpecialOptions,
        files: &ModelFiles,
    ) -> Result<SpecialTokens> {
        let mut choices = Vec::new();
        let separator = match options.separator.as_str() {
            "auto" => {
                let found = own(encoder, files, "eos", SEPARATORS);
                let (token, id, by) = found.ok_or_else(|| unknown(encoder, "separator"))?;
                choices.push(Choice { option: "separator", token, id, by });
                vec![id]
            }
            other => {
                let expected = "`auto`, `none`, `token:TEXT` or `text:TEXT`";
                marker(encoder, "separator", other, expected, &mut choices)?
            }
        };
        let expected = "`none`, `token:TEXT` or `text:TEXT`";
        let part_end = marker(encoder, "partEnd", &options.part_end, expected, &mut choices)?;
        let part_begin = marker(encoder, "partBegin", &options.part_begin, expected, &mut choices)?;
        let mut single = |option, value: &str, role, names| -> Result<Option<u32>> {
            let choice = match value {
                "auto" => own(encoder, files, role, names).map(|(token, id, by)| Choice {
                    option,
                    token,
                    id,
                    by,
                }),
                other => Some(named(encoder, option, other, "`auto` or `token:TEXT`")?),
            };
            let id = choice.as_ref().map(|choice| choice.id);
            choices.extend(choice);
            Ok(id)
        };
        let pad = single("padToken", &options.pad, "pad", PADDINGS)?;
        let bos = single("bosToken", &options.bos, "bos", BEGINS)?;
        Ok(SpecialTokens { separator, pad, bos, part_end, part_begin, choices })
    }

    /// The padding token.
    ///
    /// Errors: `TOKEN_NOT_FOUND`.
    pub fn require_pad(&self, encoder: &dyn Encoder) -> Result<u32> {
        self.pad.ok_or_else(|| unknown(encoder, "padToken"))
    }

    /// The begin token.
    ///
    /// Errors: `TOKEN_NOT_FOUND`.
    pub fn require_bos(&self, encoder: &dyn Encoder) -> Result<u32> {
        self.bos.ok_or_else(|| unknown(encoder, "bosToken"))
    }
}

/// The ids of a marker that is given as `none`, `token:TEXT` or `text:TEXT`.
///
/// Errors: as [`SpecialTokens::resolve`].
fn marker(
    encoder: &dyn Encoder,
    option: &'static str,
    given: &str,
    expected: &str,
    choices: &mut Vec<Choice>,
) -> Result<Vec<u32>> {
    if given == "none" {
        return Ok(Vec::new());
    }
    let Some(text) = given.strip_prefix("text:") else {
        let choice = named(encoder, option, given, expected)?;
        let id = choice.id;
        choices.push(choice);
        return Ok(vec![id]);
    };
    let mut ids = Vec::new();
    encoder.encode(&unescaped(option, text)?, None, &mut ids)?;
    if ids.is_empty() {
        return Err(invalid(option, "`text:` and a string that has tokens", given));
    }
    Ok(ids)
}

/// A text with its escapes replaced: in a shell, a line feed is easier to type as `\n`.
///
/// Errors: `OPTIONS_INVALID` for another escape.
fn unescaped(option: &'static str, text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('\\') => '\\',
                _ => {
                    let expected =
                        "`text:` with `\\n`, `\\r`, `\\t` or `\\\\` where it has a backslash";
                    return Err(invalid(option, expected, &format!("text:{text}")));
                }
            },
            c => c,
        });
    }
    Ok(out)
}

/// The tokenizer's own token for a role: what the files of its model name, else the first of
/// `names` that is marked special.
fn own(
    encoder: &dyn Encoder,
    files: &ModelFiles,
    role: &str,
    names: &[&str],
) -> Option<(String, u32, Origin)> {
    files.find(encoder, role).or_else(|| {
        let special = encoder.special_tokens();
        names.iter().find_map(|name| {
            let (token, id) = special.iter().find(|(token, _)| token == name)?;
            Some((token.clone(), *id, Origin::Name))
        })
    })
}

fn named(
    encoder: &dyn Encoder,
    option: &'static str,
    value: &str,
    expected: &str,
) -> Result<Choice> {
    let token = value.strip_prefix("token:").ok_or_else(|| invalid(option, expected, value))?;
    let id = encoder.token_to_id(token).ok_or_else(|| {
        let message =
            format!("`{option}`: the tokenizer has no token \"{token}\"{}", candidates(encoder));
        Error::new(Code::TokenNotFound, message).with("option", option).with("token", token)
    })?;
    Ok(Choice { option, token: token.to_owned(), id, by: Origin::Option })
}

fn invalid(option: &str, expected: &str, found: &str) -> Error {
    let message = format!("`{option}` must be {expected}, but is \"{found}\"");
    Error::new(Code::OptionsInvalid, message)
        .with("option", option)
        .with("expected", expected)
        .with("found", found)
}

fn unknown(encoder: &dyn Encoder, option: &str) -> Error {
    let message = format!(
        "the tokenizer has no known token for `{option}`; set `{option}: token:TEXT`{}",
        candidates(encoder)
    );
    Error::new(Code::TokenNotFound, message).with("option", option)
}

/// The special tokens of the file, those with a number last.
fn candidates(encoder: &dyn Encoder) -> String {
    let mut special = encoder.special_tokens();
    if !encoder.has_texts() {
        return "; its tokens are ids, as in `token:0`".into();
    }
    if special.is_empty() {
        return "; its file marks no token special".into();
    }
    special.sort_by_key(|(token, id)| (token.contains(|c: char| c.is_ascii_digit()), *id));
    let listed: Vec<String> =
        special.iter().take(LISTED).map(|(token, _)| format!("token:{token}")).collect();
    let more = match special.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; its special tokens are {}{more}", listed.join(", "))
}
