//! The wanted fields of a JSON object, read into buffers that are reused from row to row. Other fields
//! are skipped unparsed.

use std::fmt;

use longweave_common::Code;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::CorpusOptions;
use crate::fields::{Bad, Fields};

/// Most bytes of a reason: the parser repeats strings that it did not expect.
const LONGEST_REASON: usize = 400;
/// Most names of fields in a reason.
const MOST_NAMES: usize = 16;
/// The files of a command that converts a corpus.
const IN_AND_OUT: &str = "FILE > NEW_FILE.jsonl";

/// Parses one line.
pub(crate) fn parse(line: &str, options: &CorpusOptions, fields: &mut Fields) -> Result<(), Bad> {
    fields.clear();
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let row = Row { options, fields };
    row.deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| bad(line, &error))
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

/// Visits of all kinds of JSON but those that a visitor takes, as errors that say what was found.
macro_rules! refuse {
    ($($kind:ident)*) => {
        $(refuse!(@ $kind);)*
    };
    (@ bool) => {
        fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
            Err(self.found(if value { "true" } else { "false" }))
        }
    };
    (@ number) => {
        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Err(self.found("a number"))
        }
        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Err(self.found("a number"))
        }
        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Err(self.found("a number"))
        }
    };
    (@ string) => {
        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Err(self.found("a string"))
        }
    };
    (@ null) => {
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Err(self.found("null"))
        }
    };
    (@ array) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.found("an array"))
        }
    };
    (@ object) => {
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.found("an object"))
        }
    };
}

struct Row<'a> {
    options: &'a CorpusOptions,
    fields: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Row<'_> {
    fn found<E: serde::de::Error>(&self, found: &str) -> E {
        E::custom(format!("the row is {found}, not an object"))
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    refuse!(bool number string null array);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Row { options, fields } = self;
        let is = |key: &str, field: &Option<String>| field.as_deref() == Some(key);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let (is_text, is_id) = (key == options.text_field, is(&key, &options.id_field));
            let (is_source, is_query) =
                (is(&key, &options.source_field), is(&key, &options.query_field));
            // A field may serve more than once (text and id, say): its first role reads it, the others copy.
            if is_text {
                fields.text.clear();
                let field = Field::new(&key, "a string");
                map.next_value_seed(Text { out: &mut fields.text, numbers: false, field })?;
                fields.has_text = true;
                if is_id {
                    fields.id.clone_from(&fields.text);
                    fields.has_id = true;
                }
            } else if is_id {
                fields.id.clear();
                let field = Field::new(&key, "a string or an integer");
                map.next_value_seed(Text { out: &mut fields.id, numbers: true, field })?;
                fields.has_id = true;
            } else if is_source {
                fields.source.clear();
                let field = Field::new(&key, "a string or null");
                fields.has_source =
                    map.next_value_seed(Optional { out: &mut fields.source, field })?;
            } else if is_query {
                fields.queries.clear();
                let field = Field::new(&key, "a string or a list of strings");
                map.next_value_seed(Queries { out: &mut fields.queries, field })?;
                continue;
            } else {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if is_source && (is_text || is_id) {
                fields.source = if is_text { fields.text.clone() } else { fields.id.clone() };
                fields.has_source = true;
            }
            if is_query {
                let query = [&fields.text, &fields.id, &fields.source][if is_text {
                    0
                } else if is_id {
                    1
                } else {
                    2
                }];
                fields.queries = vec![query.clone()];
            }
        }
        Ok(())
    }
}

/// A field in messages.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'a str,
    /// "is", or "holds" for the elements of a list.
    verb: &'static str,
    /// The values that it may have.
    expected: &'static str,
}

impl<'a> Field<'a> {
    fn new(name: &'a str, expected: &'static str) -> Field<'a> {
        Field { name, verb: "is", expected }
    }

    fn found<E: serde::de::Error>(self, found: &str) -> E {
        let Field { name, verb, expected } = self;
        E::custom(format!("\"{name}\" {verb} {found}, not {expected}"))
    }
}

/// A string into `out`; where `numbers` are allowed, an integer too.
struct Text<'a> {
    out: &'a mut String,
    numbers: bool,
    field: Field<'a>,
}

impl Text<'_> {
    fn found<E: serde::de::Error>(&self, found: &str) -> E {
        self.field.found(found)
    }

    fn integer<E: serde::de::Error>(self, number: impl fmt::Display) -> Result<(), E> {
        if !self.numbers {
            return Err(self.found("a number"));
        }
        self.out.push_str(&number.to_string());
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.out.push_str(text);
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.integer(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.integer(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        Err(self.found(match self.numbers {
            false => "a number",
            true if number.abs() >= 9e18 => "a number of more than 64 bits",
            true => "a number with a fraction or an exponent",
        }))
    }

    refuse!(bool null array object);
}

/// A string or null into `out`. Its value is whether it was a string.
struct Optional<'a> {
    out: &'a mut String,
    field: Field<'a>,
}

impl Optional<'_> {
    fn found<E: serde::de::Error>(&self, found: &str) -> E {
        self.field.found(found)
    }
}

impl<'de> DeserializeSeed<'de> for Optional<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Optional<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        self.out.push_str(text);
        Ok(true)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    refuse!(bool number array object);
}

/// A string, a list of strings, or null into `out`.
struct Queries<'a> {
    out: &'a mut Vec<String>,
    field: Field<'a>,
}

impl Queries<'_> {
    fn found<E: serde::de::Error>(&self, found: &str) -> E {
        self.field.found(found)
    }
}

impl<'de> DeserializeSeed<'de> for Queries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Queries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.out.push(text.to_owned());
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Queries { out, field } = self;
        loop {
            let mut query = String::new();
            let field = Field { verb: "holds", expected: "strings", ..field };
            let item = Text { out: &mut query, numbers: false, field };
            let Some(()) = list.next_element_seed(item)? else { return Ok(()) };
            out.push(query);
        }
    }

    refuse!(bool number object);
}
