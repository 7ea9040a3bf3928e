//! Lines of JSON with what other writers add to it: `NaN` and `Infinity` of Python, and halves of
//! surrogate pairs of JavaScript, Java and Python.

/// A line that was repaired.
pub(crate) struct Repaired {
    pub(crate) line: String,
    /// The first lone surrogate, as it was escaped, and its column from 1.
    pub(crate) surrogate: Option<(String, usize)>,
}

/// The line with `null` for numbers that JSON lacks, and U+FFFD for lone surrogates; `None` where it
/// has neither.
pub(crate) fn repaired(line: &str) -> Option<Repaired> {
    let bytes = line.as_bytes();
    let mut out = String::new();
    let (mut surrogate, mut kept, mut at, mut in_string) = (None, 0, 0, false);
    while at < bytes.len() {
        let (length, replacement) = match bytes[at] {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => match escaped_unit(&bytes[at..]) {
                Some(0xd800..=0xdbff)
                    if matches!(escaped_unit(&bytes[at + 6..]), Some(0xdc00..=0xdfff)) =>
                {
                    (12, None)
                }
                Some(0xd800..=0xdfff) => {
                    surrogate.get_or_insert_with(|| (line[at..at + 6].to_owned(), at + 1));
                    (6, Some("\u{fffd}"))
                }
                _ => (2, None),
            },
            b'N' | b'I' | b'-' if !in_string => {
                let number = ["NaN", "Infinity", "-Infinity"]
                    .into_iter()
                    .find(|number| bytes[at..].starts_with(number.as_bytes()));
                (number.map_or(1, str::len), number.map(|_| "null"))
            }
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            out.push_str(&line[kept..at]);
            out.push_str(replacement);
            kept = at + length;
        }
        at += length;
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&line[kept..]);
    Some(Repaired { line: out, surrogate })
}

/// The UTF-16 code unit of the escape `\uXXXX` at the beginning.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_json_lacks_is_replaced() {
        let line = |line| repaired(line).map(|repaired| repaired.line);
        for (given, expected) in [
            (r#"{"a":NaN,"b":[-Infinity,Infinity]}"#, Some(r#"{"a":null,"b":[null,null]}"#)),
            (r#"{"a":"NaN -Infinity \" NaN"}"#, None),
            (r#"{"a":"\ud83d"}"#, Some("{\"a\":\"\u{fffd}\"}")),
            (r#"{"a":"\udE00\uD83D"}"#, Some("{\"a\":\"\u{fffd}\u{fffd}\"}")),
            (r#"{"a":"\ud83d\ude00 \\ud83d"}"#, None),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, Some("{\"a\":\"\u{fffd}\\ud83d\\ude00\"}")),
            (r#"{"a":"\ud8"#, None),
            ("\\", None),
            (r#"{"é":"\"#, None),
        ] {
            assert_eq!(line(given).as_deref(), expected, "{given}");
        }
        let repaired = repaired("{\"é\":\"\\udc00\"}").unwrap();
        assert_eq!(repaired.surrogate, Some(("\\udc00".to_owned(), 8)));
    }
}
