//! JSON in lines that a person can read, short where there are many: members of the first
//! [`DEPTH`] levels are indented, those below them follow on the same line.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Levels whose members have lines of their own.
const DEPTH: usize = 3;

#[derive(Default)]
pub(crate) struct Lines {
    /// Arrays and objects that are open.
    level: usize,
    /// Whether the one that was ended last or is open has members.
    filled: bool,
}

impl Lines {
    fn begin<W: ?Sized + Write>(&mut self, bracket: &[u8], writer: &mut W) -> io::Result<()> {
        self.level += 1;
        self.filled = false;
        writer.write_all(bracket)
    }

    fn member<W: ?Sized + Write>(&mut self, first: bool, writer: &mut W) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(self.level, writer)
    }

    fn end<W: ?Sized + Write>(&mut self, bracket: &[u8], writer: &mut W) -> io::Result<()> {
        self.level -= 1;
        if self.filled && self.level < DEPTH {
            writer.write_all(b"\n")?;
            (0..self.level).try_for_each(|_| writer.write_all(b"  "))?;
        }
        self.filled = true;
        writer.write_all(bracket)
    }

    /// Begins a line of a member at a level that has such.
    fn line<W: ?Sized + Write>(&self, level: usize, writer: &mut W) -> io::Result<()> {
        if level > DEPTH {
            return Ok(());
        }
        writer.write_all(b"\n")?;
        (0..level).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(b"[", writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(b"]", writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.member(first, w)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(b"{", writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(b"}", writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.member(first, w)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.level > DEPTH { b":" } else { b": " })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Serializer, Value, json};

    use super::*;

    fn text(value: &Value) -> String {
        let mut text = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut text, Lines::default());
        value.serialize(&mut serializer).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_first_levels_have_lines_and_what_is_below_them_is_on_one() {
        let value = json!({
            "a": [], "b": {}, "c": 1,
            "d": { "e": [{ "f": [1, { "g": [] }], "h": {} }, 2], "i": "x" },
        });
        let expected = r#"{
  "a": [],
  "b": {},
  "c": 1,
  "d": {
    "e": [
      {"f":[1,{"g":[]}],"h":{}},
      2
    ],
    "i": "x"
  }
}"#;
        assert_eq!(text(&value), expected);
        assert_eq!(serde_json::from_str::<Value>(expected).unwrap(), value);
    }
}
