//! The tokens between, before and after documents.

use longweave_common::{Code, Error, Result};

use crate::Encoder;

/// End-of-text tokens by name, the likelier first.
const SEPARATORS: &[&str] = &[
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "[SEP]",
    "<sep>",
    "[EOS]",
    "<EOS>",
];
/// Padding tokens by name.
const PADDINGS: &[&str] =
    &["<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>", "<PAD>"];
/// Begin tokens by name.
const BEGINS: &[&str] = &[
    "<|begin_of_text|>",
    "<s>",
    "<bos>",
    "[CLS]",
    "<|startoftext|>",
    "<|im_start|>",
    "[BOS]",
    "<BOS>",
];

/// The requested special tokens. `auto` looks for the tokenizer's own by its usual names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialOptions {
    /// `auto`, `none`, `token:TEXT` (one token of the vocabulary) or `text:TEXT` (the ids of a string, in
    /// which `\n`, `\r`, `\t` and `\\` are escapes).
    pub separator: String,
    /// `auto` or `token:TEXT`.
    pub pad: String,
    /// `auto` or `token:TEXT`.
    pub bos: String,
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
}

impl SpecialTokens {
    /// Finds the tokens.
    ///
    /// Errors: `TOKEN_NOT_FOUND`, naming candidates, when no separator is known or a named token
    /// does not exist; `OPTIONS_INVALID` for another form.
    pub fn resolve(encoder: &dyn Encoder, options: &SpecialOptions) -> Result<SpecialTokens> {
        let separator = match options.separator.as_str() {
            "none" => Vec::new(),
            "auto" => {
                vec![first(encoder, SEPARATORS).ok_or_else(|| unknown(encoder, "separator"))?]
            }
            other => match other.strip_prefix("text:") {
                Some(text) => {
                    let mut ids = Vec::new();
                    encoder.encode(&unescaped(text)?, &mut ids)?;
                    if ids.is_empty() {
                        return Err(invalid(
                            "separator",
                            "`text:` and a string that has tokens",
                            other,
                        ));
                    }
                    ids
                }
                None => vec![named(
                    encoder,
                    "separator",
                    other,
                    "`auto`, `none`, `token:TEXT` or `text:TEXT`",
                )?],
            },
        };
        let single = |option, value: &str, names| match value {
            "auto" => Ok(first(encoder, names)),
            other => named(encoder, option, other, "`auto` or `token:TEXT`").map(Some),
        };
        Ok(SpecialTokens {
            separator,
            pad: single("padToken", &options.pad, PADDINGS)?,
            bos: single("bosToken", &options.bos, BEGINS)?,
        })
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

/// A text with its escapes replaced: in a shell, a line feed is easier to type as `\n`.
///
/// Errors: `OPTIONS_INVALID` for another escape.
fn unescaped(text: &str) -> Result<String> {
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
                    return Err(invalid("separator", expected, &format!("text:{text}")));
                }
            },
            c => c,
        });
    }
    Ok(out)
}

fn first(encoder: &dyn Encoder, names: &[&str]) -> Option<u32> {
    names.iter().find_map(|name| encoder.token_to_id(name))
}

fn named(encoder: &dyn Encoder, option: &str, value: &str, expected: &str) -> Result<u32> {
    let token = value.strip_prefix("token:").ok_or_else(|| invalid(option, expected, value))?;
    encoder.token_to_id(token).ok_or_else(|| {
        let message =
            format!("`{option}`: the tokenizer has no token \"{token}\"{}", candidates(encoder));
        Error::new(Code::TokenNotFound, message).with("option", option).with("token", token)
    })
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

/// Special tokens that the tokenizer does have.
fn candidates(encoder: &dyn Encoder) -> String {
    let known = SEPARATORS
        .iter()
        .chain(PADDINGS)
        .chain(BEGINS)
        .copied()
        .chain(["<unk>", "[UNK]", "[MASK]"]);
    let found: Vec<String> =
        known.filter(|t| encoder.token_to_id(t).is_some()).map(|t| format!("token:{t}")).collect();
    if found.is_empty() { String::new() } else { format!("; it has {}", found.join(", ")) }
}
