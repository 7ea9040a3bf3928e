//! The wanted fields of a JSON object, read into buffers that are reused from row to row; other fields are passed over unparsed.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::CorpusOptions;
use crate::lines::KEPT;

/// Bytes of what is said to be wrong: the parser repeats strings that it did not expect.
const LONGEST_REASON: usize = 400;

/// What a row holds.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) text: String,
    pub(crate) has_text: bool,
    pub(crate) id: String,
    pub(crate) has_id: bool,
    pub(crate) source: String,
    pub(crate) has_source: bool,
    pub(crate) queries: Vec<String>,
}

impl Fields {
    pub(crate) fn clear(&mut self) {
        for field in [&mut self.text, &mut self.id, &mut self.source] {
            field.clear();
            field.shrink_to(KEPT);
        }
        self.queries.clear();
        self.queries.shrink_to(1024);
        (self.has_text, self.has_id, self.has_source) = (false, false, false);
    }
}

/// Parses one line. `Err` says in words what is wrong.
pub(crate) fn parse(
    line: &str,
    options: &CorpusOptions,
    fields: &mut Fields,
) -> Result<(), String> {
    fields.clear();
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let row = Row { options, fields };
    row.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|e| {
        // The line number is always 1 here; the column is what helps.
        let text = e.to_string();
        let (what, column) = text.rsplit_once(" at line 1 column ").unwrap_or((&text, ""));
        let told = &what[..what.floor_char_boundary(LONGEST_REASON)];
        let more = if told.len() < what.len() { "…" } else { "" };
        if column.is_empty() {
            format!("{told}{more}")
        } else {
            format!("{told}{more} at column {column}")
        }
    })
}

struct Row<'a> {
    options: &'a CorpusOptions,
    fields: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

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
                map.next_value_seed(Text { out: &mut fields.text, numbers: false, what: &key })?;
                fields.has_text = true;
                if is_id {
                    fields.id.clone_from(&fields.text);
                    fields.has_id = true;
                }
            } else if is_id {
                fields.id.clear();
                map.next_value_seed(Text { out: &mut fields.id, numbers: true, what: &key })?;
                fields.has_id = true;
            } else if is_source {
                fields.source.clear();
                fields.has_source =
                    map.next_value_seed(Optional { out: &mut fields.source, what: &key })?;
            } else if is_query {
                fields.queries.clear();
                map.next_value_seed(Queries { out: &mut fields.queries, what: &key })?;
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

/// A string into `out`; where `numbers` are allowed, an integer too.
struct Text<'a> {
    out: &'a mut String,
    numbers: bool,
    what: &'a str,
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
        write!(
            f,
            "a string{} in the field \"{}\"",
            if self.numbers { " or an integer" } else { "" },
            self.what
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.out.push_str(text);
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        if !self.numbers {
            return Err(E::invalid_type(serde::de::Unexpected::Unsigned(number), &self));
        }
        self.out.push_str(&number.to_string());
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        if !self.numbers {
            return Err(E::invalid_type(serde::de::Unexpected::Signed(number), &self));
        }
        self.out.push_str(&number.to_string());
        Ok(())
    }
}

/// A string or null into `out`; whether it was a string.
struct Optional<'a> {
    out: &'a mut String,
    what: &'a str,
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
        write!(f, "a string or null in the field \"{}\"", self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        self.out.push_str(text);
        Ok(true)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// A string, a list of strings, or null into `out`.
struct Queries<'a> {
    out: &'a mut Vec<String>,
    what: &'a str,
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
        write!(f, "a string or a list of strings in the field \"{}\"", self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.out.push(text.to_owned());
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(query) = list
            .next_element::<String>()
            .map_err(|e| A::Error::custom(format!("{e} in the field \"{}\"", self.what)))?
        {
            self.out.push(query);
        }
        Ok(())
    }
}
