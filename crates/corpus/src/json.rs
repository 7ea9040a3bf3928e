//! The wanted fields of a JSON object, read into buffers that are reused from row to row. Other fields
//! are skipped unparsed.
//!
//! A wanted name is a path: `meta.source` is the key `meta.source`, else the key `source` of the
//! object at `meta`. Keys may have dots at each level; the longest key at the top counts. Of a key
//! that occurs twice, the last value counts.

use std::fmt;

use longweave_common::Code;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::fields::{Bad, Fields, TOKEN_BYTES, no_token};
use crate::{CorpusOptions, LoneSurrogates, repair};

/// Most bytes of a reason: the parser repeats strings that it did not expect.
const LONGEST_REASON: usize = 400;
/// Most names of fields in a reason.
const MOST_NAMES: usize = 16;
/// Whole numbers below this are exact as floats.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;
/// The files of a command that converts a corpus.
const IN_AND_OUT: &str = "FILE > NEW_FILE.jsonl";

/// Parses one line. NaN, infinities and lone surrogates, which JSON lacks, are replaced first where
/// the line has them.
pub(crate) fn parse(line: &str, options: &CorpusOptions, fields: &mut Fields) -> Result<(), Bad> {
    let Err(error) = parse_strictly(line, options, fields) else { return Ok(()) };
    let Some(repaired) = repair::repaired(line) else { return Err(bad(line, &error)) };
    if let Some((escape, column)) = &repaired.surrogate
        && options.lone_surrogates == LoneSurrogates::Reject
    {
        let reason = format!("lone surrogate {escape} at column {column}");
        return Err(Bad::new(Code::BadRow, reason)
            .fixed_by("fix the row, or set `loneSurrogates: replace`"));
    }
    parse_strictly(&repaired.line, options, fields).map_err(|_| bad(line, &error))?;
    fields.replaced = repaired.surrogate.is_some();
    Ok(())
}

fn parse_strictly(
    line: &str,
    options: &CorpusOptions,
    fields: &mut Fields,
) -> Result<(), serde_json::Error> {
    fields.clear();
    let tokens = options.tokens_field.as_deref();
    let rest = [
        Some(options.text_field.as_str()).filter(|_| tokens.is_none()),
        options.id_field.as_deref(),
        options.source_field.as_deref(),
        options.query_field.as_deref(),
        tokens,
    ];
    let mut found = Found { options, fields, keys: [0; USES] };
    let mut deserializer = serde_json::Deserializer::from_str(line);
    deserializer.deserialize_any(Row { found: &mut found, rest })?;
    deserializer.end()
}

/// The reason that a line cannot be used.
fn bad(line: &str, error: &serde_json::Error) -> Bad {
    // The line number is always 1 here; the column is what helps.
    let text = error.to_string();
    let (reason, column) = text.rsplit_once(" at line 1 column ").unwrap_or((&text, ""));
    let kept = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
    let more = if kept.len() < reason.len() { "…" } else { "" };
    let at = if column.is_empty() { String::new() } else { format!(" at column {column}") };
    let objects = |filter: &str| format!("write one object a line: jq -c {filter} {IN_AND_OUT}");
    match line.trim() {
        "[" => {
            Bad::new(Code::BadRow, "the file is a JSON array, not JSONL").fixed_by(objects("'.[]'"))
        }
        "{" => Bad::new(Code::BadRow, "the object does not end on its line").fixed_by(objects(".")),
        row if error.is_data() => {
            let bad = Bad::new(Code::BadRow, format!("{kept}{more}"));
            if row.starts_with('[') { bad.fixed_by(objects("'.[]'")) } else { bad }
        }
        _ if error.is_eof() => Bad::new(Code::BadRow, "the line ends before its JSON object does"),
        _ => Bad::new(Code::BadRow, format!("the line is not JSON: {kept}{more}{at}")),
    }
}

/// Names of the fields of an object, for messages; empty for a line that is not an object.
pub(crate) fn names(line: &[u8]) -> String {
    let Ok(Names(names)) = serde_json::from_slice(line) else { return String::new() };
    let mut shown = String::new();
    for (i, name) in names.iter().enumerate() {
        if shown.len() + name.len() > LONGEST_REASON {
            return shown + if i > 0 { ", …" } else { "" };
        }
        shown += if i > 0 { ", \"" } else { "\"" };
        shown += name;
        shown += "\"";
    }
    shown
}

/// The names of an object's fields.
struct Names(Vec<String>);

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
            if names.len() < MOST_NAMES {
                names.push(name);
            }
        }
        Ok(Names(names))
    }
}

/// The uses of a field: index of the arrays below.
const TEXT: usize = 0;
const ID: usize = 1;
const SOURCE: usize = 2;
const QUERIES: usize = 3;
const TOKENS: usize = 4;
const USES: usize = 5;
/// The values that each may have.
const EXPECTED: [&str; USES] = [
    "a string",
    "a string or an integer",
    "a string, a number, true, false or null",
    "a string or a list of strings",
    "a list of token ids",
];

/// By use: the path below the current object, where one is wanted.
type Rest<'a> = [Option<&'a str>; USES];

/// The fields so far.
struct Found<'a> {
    options: &'a CorpusOptions,
    fields: &'a mut Fields,
    /// By use: bytes of the key of the row that led to the value.
    keys: [usize; USES],
}

impl Found<'_> {
    fn name(&self, of: usize) -> &str {
        let options = self.options;
        let optional =
            [&options.id_field, &options.source_field, &options.query_field, &options.tokens_field];
        if of == TEXT {
            &options.text_field
        } else {
            optional[of - 1].as_deref().unwrap_or_default()
        }
    }

    fn error<E: serde::de::Error>(&self, of: usize, found: &str) -> E {
        E::custom(format!("\"{}\" is {found}, not {}", self.name(of), EXPECTED[of]))
    }
}

/// The wanted fields that a key names.
#[derive(Clone, Copy)]
struct Match<'a> {
    /// By use: the value is the field.
    is: [bool; USES],
    /// By use: the field is below the value.
    below: Rest<'a>,
    /// Bytes of the key.
    length: usize,
}

impl Match<'_> {
    fn is_leaf(&self) -> bool {
        self.is.contains(&true)
    }
}

/// Compares a key with the wanted paths.
struct Key<'a>(Rest<'a>);

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Match<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Match<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Match<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Match<'a>, E> {
        let rest = self.0.map(|wanted| wanted.and_then(|wanted| wanted.strip_prefix(key)));
        Ok(Match {
            is: rest.map(|rest| rest == Some("")),
            below: rest.map(|rest| rest.and_then(|rest| rest.strip_prefix('.'))),
            length: key.len(),
        })
    }
}

/// Visits the object of a line.
struct Row<'a, 'f> {
    found: &'a mut Found<'f>,
    rest: Rest<'a>,
}

impl Row<'_, '_> {
    fn refuse<E: serde::de::Error>(found: &str) -> E {
        E::custom(format!("the row is {found}, not an object"))
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        Err(Self::refuse(if value { "true" } else { "false" }))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(Self::refuse("a number"))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(Self::refuse("a number"))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(Self::refuse("a number"))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(Self::refuse("a string"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(Self::refuse("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(Self::refuse("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_object(map, self.found, self.rest, None)
    }
}

/// Reads the wanted fields of an object. `top` has the bytes of the row's key that leads to it; `None`
/// for the row.
fn read_object<'de, A: MapAccess<'de>>(
    mut map: A,
    found: &mut Found<'_>,
    rest: Rest<'_>,
    top: Option<usize>,
) -> Result<(), A::Error> {
    while let Some(mut key) = map.next_key_seed(Key(rest))? {
        let top = top.unwrap_or(key.length);
        for of in 0..USES {
            if found.keys[of] > top {
                (key.is[of], key.below[of]) = (false, None);
            }
        }
        if key.is_leaf() || key.below.iter().any(Option::is_some) {
            map.next_value_seed(Value { found: &mut *found, key, top })?;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// The value of a wanted key.
struct Value<'a, 'f> {
    found: &'a mut Found<'f>,
    key: Match<'a>,
    top: usize,
}

/// A scalar of JSON.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(&'a dyn fmt::Display),
    Float(f64),
    Text(&'a str),
}

impl Value<'_, '_> {
    fn take<E: serde::de::Error>(self, value: &Scalar<'_>) -> Result<(), E> {
        for of in (0..USES).filter(|&of| self.key.is[of]) {
            self.found.keys[of] = self.top;
            if of == QUERIES && self.key.is[ID] {
                // An id that serves as a query may be a number.
                self.found.fields.queries = vec![self.found.fields.id.clone()];
            } else {
                self.found.take(of, value)?;
            }
        }
        Ok(())
    }
}

impl Found<'_> {
    /// Makes a scalar the value of a field.
    fn take<E: serde::de::Error>(&mut self, of: usize, value: &Scalar<'_>) -> Result<(), E> {
        match of {
            QUERIES => self.fields.queries.clear(),
            TOKENS => self.fields.tokens.clear(),
            _ => {}
        }
        let fields = &mut *self.fields;
        let (out, has) = match of {
            TEXT => (&mut fields.text, &mut fields.has_text),
            ID => (&mut fields.id, &mut fields.has_id),
            _ => (&mut fields.source, &mut fields.has_source),
        };
        let wrong = match (value, of) {
            (Scalar::Text(text), QUERIES) => {
                self.fields.queries.push((*text).to_owned());
                return Ok(());
            }
            (Scalar::Null, QUERIES) => return Ok(()),
            (Scalar::Null, TOKENS) => {
                self.fields.has_tokens = true;
                return Ok(());
            }
            (Scalar::Text(_), TOKENS) => "a string",
            (Scalar::Null, TEXT) => {
                out.clear();
                *has = true;
                return Ok(());
            }
            (Scalar::Null, SOURCE) => {
                *has = false;
                return Ok(());
            }
            (Scalar::Text(text), _) => {
                out.clear();
                out.push_str(text);
                *has = true;
                return Ok(());
            }
            (Scalar::Integer(number), ID | SOURCE) => {
                *out = number.to_string();
                *has = true;
                return Ok(());
            }
            (Scalar::Float(number), ID | SOURCE)
                if of == SOURCE || number.fract() == 0.0 && number.abs() < MOST_WHOLE =>
            {
                *out = number.to_string();
                *has = true;
                return Ok(());
            }
            (Scalar::Bool(value), SOURCE) => {
                *out = value.to_string();
                *has = true;
                return Ok(());
            }
            (Scalar::Float(number), ID) if number.abs() >= MOST_WHOLE => {
                "a number of more than 64 bits"
            }
            (Scalar::Float(_), ID) => "a number with a fraction",
            (Scalar::Integer(_) | Scalar::Float(_), _) => "a number",
            (Scalar::Bool(true), _) => "true",
            (Scalar::Bool(false), _) => "false",
            (Scalar::Null, _) => "null",
        };
        Err(self.error(of, wrong))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.take(&Scalar::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.take(&Scalar::Integer(&number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.take(&Scalar::Integer(&number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.take(&Scalar::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.take(&Scalar::Text(text))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.take(&Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value { found, key, top } = self;
        if !key.is_leaf() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        if let Some(of) = [ID, SOURCE].into_iter().find(|&of| key.is[of]) {
            return Err(found.error(of, "an array"));
        }
        if key.is[TOKENS] {
            found.keys[TOKENS] = top;
            found.fields.tokens.clear();
            found.fields.has_tokens = true;
            while list.next_element_seed(Token { found })?.is_some() {}
            return Ok(());
        }
        let of = if key.is[TEXT] { TEXT } else { QUERIES };
        let mut strings: Vec<String> = Vec::new();
        while let Some(item) = list.next_element_seed(Item { found, of })? {
            strings.extend(item);
        }
        for of in [TEXT, QUERIES].into_iter().filter(|&of| key.is[of]) {
            found.keys[of] = top;
        }
        if key.is[TEXT] {
            found.fields.text = strings.join(&found.options.text_join);
            found.fields.has_text = true;
        }
        if key.is[QUERIES] {
            found.fields.queries = strings;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Value { found, key, top } = self;
        if let Some(of) = (0..USES).find(|&of| key.is[of]) {
            return Err(found.error(of, "an object"));
        }
        if key.below.iter().all(Option::is_none) {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        read_object(map, found, key.below, Some(top))
    }
}

/// An element of a list of token ids, which is appended. Of a list that is too large for a document,
/// only the beginning is kept.
struct Token<'a, 'f> {
    found: &'a mut Found<'f>,
}

impl Token<'_, '_> {
    fn refuse<E: serde::de::Error>(&self, value: impl fmt::Display) -> E {
        E::custom(format!("\"{}\" holds {}", self.found.name(TOKENS), no_token(value)))
    }
}

impl<'de> DeserializeSeed<'de> for Token<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Token<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token id")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        Err(self.refuse(value))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        let id = u32::try_from(number).map_err(|_| self.refuse(number))?;
        let most = self.found.options.max_document_bytes / TOKEN_BYTES;
        let tokens = &mut self.found.fields.tokens;
        if tokens.len() as u64 <= most {
            tokens.push(id);
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        Err(self.refuse(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        Err(self.refuse(format_args!("{number:?}")))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.refuse("a string"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(self.refuse("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refuse("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refuse("an object"))
    }
}

/// An element of a list of strings; `None` for null.
struct Item<'a, 'f> {
    found: &'a Found<'f>,
    of: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        use serde_json::Value;
        let other = match serde::Deserialize::deserialize(deserializer)? {
            Value::String(text) => return Ok(Some(text)),
            Value::Null => return Ok(None),
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(_) => "a number",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let name = self.found.name(self.of);
        Err(D::Error::custom(format!("\"{name}\" holds {other}, not strings")))
    }
}
