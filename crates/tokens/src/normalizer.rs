//! Normalizers: steps that rewrite a text. In: a text. Out: the text as tokenizers 0.23 rewrites it,
//! borrowed where nothing changes.

use std::borrow::Cow;

use longweave_common::Result;
use memchr::memmem::Finder;
use serde_json::{Value, json};
use tokenizers::pipeline::{Normalizer as _, NormalizerChain, PipelineTokenizer};

use crate::component::{Uncovered, library, name, pattern};
use crate::file::failed;

pub(crate) enum Normalizer {
    Library(Box<Library>),
    /// A text that is not empty gets this before it.
    Prepend(String),
    /// Every place of a text becomes another.
    Text(Box<Finder<'static>>, String),
    /// Every match of a pattern becomes the same text.
    Pattern(onig::Regex, String),
}

/// A normalizer of tokenizers 1.0.
pub(crate) struct Library {
    /// A tokenizer without anything else.
    tokenizer: PipelineTokenizer,
    /// Where the normalizer reads ASCII characters one by one.
    ascii: Option<Ascii>,
}

/// Results for ASCII characters.
struct Ascii {
    /// By character: itself, another, `REMOVED`, or `OTHER`.
    table: [u8; 128],
    /// Whether all that print stay as they are.
    keeps_printing: bool,
    /// Whether a text can be cut between any two ASCII characters but CR and LF.
    cuts: bool,
}

const REMOVED: u8 = 128;
/// Not one ASCII character or none.
const OTHER: u8 = 129;

impl Normalizer {
    /// `Err` says why a component is not covered.
    pub(crate) fn new(component: &Value) -> Result<Normalizer, Uncovered> {
        let kind = name(component);
        match kind {
            "Prepend" => {
                let text = component["prepend"].as_str().ok_or("its `Prepend` has no text")?;
                return Ok(Normalizer::Prepend(text.to_owned()));
            }
            "Replace" => {
                let by = component["content"].as_str().unwrap_or_default().to_owned();
                let given = &component["pattern"];
                if let Some(regex) = given["Regex"].as_str() {
                    return Ok(Normalizer::Pattern(pattern(regex)?, by));
                }
                let text = given["String"].as_str().filter(|text| !text.is_empty());
                let text = text.ok_or("its `Replace` has no pattern")?;
                return Ok(Normalizer::Text(Box::new(Finder::new(text).into_owned()), by));
            }
            "NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt" | "Lowercase" | "StripAccents" | "Strip"
            | "BertNormalizer" | "Precompiled" => {}
            _ => return Err(format!("its normalizer `{kind}` is not covered")),
        }
        let tokenizer = library(json!({ "normalizer": component }))?;
        // `Strip` asks where a text begins and ends.
        let ascii = (kind != "Strip").then(|| Ascii::new(&tokenizer, kind != "Lowercase"));
        let ascii = ascii.transpose().map_err(|e| e.message().to_owned())?;
        Ok(Normalizer::Library(Box::new(Library { tokenizer, ascii })))
    }

    /// Whether no space is left.
    pub(crate) fn removes_spaces(&self) -> bool {
        matches!(self, Normalizer::Text(text, by) if text.needle() == b" " && !by.contains(' '))
    }

    /// The text rewritten, or `None` where it stays as it is.
    fn normalize(&self, text: &str) -> Result<Option<String>> {
        match self {
            Normalizer::Library(library) => library.normalize(text),
            Normalizer::Prepend(before) => Ok(Some(format!("{before}{text}"))),
            Normalizer::Text(finder, by) => {
                let length = finder.needle().len();
                let places = finder.find_iter(text.as_bytes()).map(|at| (at, at + length));
                Ok(replace(text, places, by))
            }
            Normalizer::Pattern(pattern, by) => Ok(replace(text, pattern.find_iter(text), by)),
        }
    }
}

fn replace(
    text: &str,
    mut places: impl Iterator<Item = (usize, usize)>,
    by: &str,
) -> Option<String> {
    let first = places.next()?;
    let mut changed = String::with_capacity(text.len() + text.len() / 2);
    let mut done = 0;
    for (start, end) in std::iter::once(first).chain(places) {
        changed.push_str(&text[done..start]);
        changed.push_str(by);
        done = end;
    }
    changed.push_str(&text[done..]);
    Some(changed)
}

/// A text after each of the normalizers.
pub(crate) fn normalize<'t>(normalizers: &[Normalizer], text: &'t str) -> Result<Cow<'t, str>> {
    let mut text = Cow::Borrowed(text);
    for normalizer in normalizers {
        if text.is_empty() {
            break;
        }
        if let Some(changed) = normalizer.normalize(&text)? {
            text = Cow::Owned(changed);
        }
    }
    Ok(text)
}

/// A text that begins at byte `start` of its document, after the normalizers of a tokenizer.
pub(crate) fn normalize_at<'t>(
    tokenizer: &PipelineTokenizer,
    text: &'t str,
    start: usize,
) -> Result<Cow<'t, str>> {
    let normalized = match tokenizer.get_normalizers() {
        [only] => only.normalize(text, start),
        several => NormalizerChain(several).normalize(text, start),
    };
    normalized.map_err(|e| failed("encode a text", &e))
}

impl Library {
    fn normalize(&self, text: &str) -> Result<Option<String>> {
        match &self.ascii {
            Some(ascii) if ascii.cuts || text.is_ascii() => {
                ascii.normalize(text, |part| normalize_at(&self.tokenizer, part, 0))
            }
            _ => match normalize_at(&self.tokenizer, text, 0)? {
                Cow::Borrowed(same) if same.len() == text.len() => Ok(None),
                changed => Ok(Some(changed.into_owned())),
            },
        }
    }
}

impl Ascii {
    fn new(tokenizer: &PipelineTokenizer, cuts: bool) -> Result<Ascii> {
        let mut table = [OTHER; 128];
        for (place, character) in table.iter_mut().zip('\0'..) {
            let text = character.to_string();
            *place = match normalize_at(tokenizer, &text, 0)?.as_bytes() {
                [] => REMOVED,
                &[byte] if byte < 128 => byte,
                _ => OTHER,
            };
        }
        let mut printing = (b' '..=b'~').map(|byte| table[usize::from(byte)] == byte);
        Ok(Ascii { table, keeps_printing: printing.all(|keeps| keeps), cuts })
    }

    /// A text rewritten: ASCII by the table, by `other` the parts around what is not.
    fn normalize<'t>(
        &self,
        text: &'t str,
        other: impl Fn(&'t str) -> Result<Cow<'t, str>>,
    ) -> Result<Option<String>> {
        let bytes = text.as_bytes();
        let mut out = String::new();
        // `text[..done]` is in `out`. A text can be cut at `at`.
        let (mut done, mut at) = (0, 0);
        while at < bytes.len() {
            if self.keeps_printing && next_eight_print(bytes, at) {
                // Whether the last is a part of its own depends on what follows.
                at += 7;
                continue;
            }
            let (byte, next) = (bytes[at], bytes.get(at + 1).copied().unwrap_or(0));
            let by = if can_cut(byte, next) { self.table[usize::from(byte)] } else { OTHER };
            if by == byte {
                at += 1;
                continue;
            }
            let mut end = at + 1;
            if by == OTHER {
                while end < bytes.len() && !can_cut(bytes[end - 1], bytes[end]) {
                    end += 1;
                }
            }
            if done == 0 {
                out.reserve(text.len() + text.len() / 8);
            }
            out.push_str(&text[done..at]);
            match by {
                OTHER => out.push_str(&other(&text[at..end])?),
                REMOVED => {}
                byte => out.push(char::from(byte)),
            }
            (done, at) = (end, end);
        }
        if done == 0 {
            return Ok(None);
        }
        out.push_str(&text[done..]);
        Ok(Some(out))
    }
}

/// Whether both bytes are ASCII characters that no normalizer reads as one.
fn can_cut(first: u8, second: u8) -> bool {
    first < 128 && second < 128 && (first, second) != (b'\r', b'\n')
}

/// Whether eight ASCII characters that print begin at a byte.
fn next_eight_print(bytes: &[u8], at: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = HIGH >> 7;
    let Some(eight) = bytes.get(at..at + 8) else { return false };
    let eight = u64::from_le_bytes(eight.try_into().expect("the slice has 8 bytes"));
    // The high bit of a byte is set by what lies outside of 0x20 to 0x7e.
    let above = (eight & !HIGH) + ONES;
    let below = (eight | HIGH) - 0x20 * ONES;
    (eight | above | !below) & HIGH == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eight_characters_that_print_are_told_from_others() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut bytes = *b"abcdefgh";
                bytes[place] = byte;
                let prints = (0x20..=0x7e).contains(&byte);
                assert_eq!(next_eight_print(&bytes, 0), prints, "{byte:#x} at {place}");
            }
        }
    }

    fn components() -> Vec<(Value, Library)> {
        let t5 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokenizers/t5.json");
        let t5: Value = serde_json::from_slice(&std::fs::read(t5).unwrap()).unwrap();
        let mut components: Vec<Value> =
            ["NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents", "Lowercase"]
                .iter()
                .map(|kind| json!({ "type": kind }))
                .collect();
        components.push(json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true }));
        components.push(t5["normalizer"].clone());
        components
            .into_iter()
            .map(|component| match Normalizer::new(&component).unwrap() {
                Normalizer::Library(library) => (component, *library),
                _ => panic!("{component} is not of the library"),
            })
            .collect()
    }

    fn texts() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[ -~]{1,20}",
            "[\\r\\n\\t\\x00-\\x1f\\x7f]{1,3}",
            "[éñßΣς“’…–™ﬁＡ½\u{300}-\u{310}\u{200b}-\u{200f}\u{600}-\u{605}]{1,4}",
            "[\u{1100}-\u{11ff}가-힣\u{1f1e6}-\u{1f1ff}👩👨❤\u{fe0f}\u{200d}]{1,4}",
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn parts_are_normalized_as_the_whole_text_is(texts in prop::collection::vec(texts(), 8)) {
            thread_local! { static COMPONENTS: Vec<(Value, Library)> = components(); }
            COMPONENTS.with(|components| {
                for (component, library) in components {
                    for text in &texts {
                        let expected = normalize_at(&library.tokenizer, text, 0).unwrap();
                        let found = library.normalize(text).unwrap();
                        let found = found.as_deref().unwrap_or(text);
                        prop_assert_eq!(found, &*expected, "{} of {:?}", &component["type"], text);
                    }
                }
                Ok(())
            })?;
        }
    }
}
