//! Normal form of words and phrases: NFKC, lower case, single spaces.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// The normal form of a phrase: NFKC, lower case, white space as single spaces, none at the ends.
pub fn normalise(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    normalise_into(text, &mut folded);
    let mut out = String::with_capacity(folded.len());
    for word in folded.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Appends the NFKC, lower-case form of `text`; white space stays as it is.
pub fn normalise_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        lower(text.chars(), out);
    } else {
        lower(text.nfkc(), out);
    }
}

/// Lower case, and again composed: lower-casing can give a letter and a mark apart ("İ").
fn lower(chars: impl Iterator<Item = char>, out: &mut String) {
    let start = out.len();
    out.extend(chars.flat_map(char::to_lowercase));
    if is_nfkc_quick(out[start..].chars()) != IsNormalized::Yes {
        let composed: String = out[start..].nfkc().collect();
        out.truncate(start);
        out.push_str(&composed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_folded() {
        for (text, expected) in [
            ("  Two\t\nWords ", "two words"),
            ("ﬁne Ⅷ", "fine viii"),
            ("ＣＡＦÉ", "café"),
            ("cafe\u{301}", "café"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("", ""),
        ] {
            assert_eq!(normalise(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in any::<String>()) {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
