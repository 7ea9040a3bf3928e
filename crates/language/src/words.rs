//! The words of a text, the only definition that longweave has of them. Blocks of 64 bytes become bit
//! masks first, so that a step passes over a whole word of ASCII, not over a byte.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use crate::Language;
use crate::masks::{BLOCK, masks};
use crate::segment::{BOUNDARY, is_spaced_by_clause, is_unspaced, word_ends};

/// Whether a character is one of words; a combining mark is.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '+' | '#') || is_mark(c)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// The words of an English text as RAKE takes them, possessive endings kept: byte ranges in order.
/// Characters of a script without spaces are one word. The text between two words is never empty.
pub fn words(text: &str) -> Words<'_> {
    words_in(text, Language::ENGLISH)
}

/// The words of a text in a language: byte ranges in order. In all languages but English, ICU's
/// dictionaries divide what is written without spaces, except next to a space of no width, which is
/// the writer's own boundary; joiners of no width belong to words. In Catalan, French and Italian an
/// apostrophe ends a word. Two words may touch.
pub fn words_in(text: &str, language: Language) -> Words<'_> {
    let mut words = Words {
        text,
        at: 0,
        block: 0,
        word: 0,
        high: 0,
        divides: language != Language::ENGLISH,
        elides: language.elides(),
        ends: Vec::new(),
        base: 0,
    };
    words.load();
    words
}

/// Whether a phrase continues over what is between two words of a text: white space with at most one
/// line break. In all languages but English nothing and a space of no width continue it too, and
/// white space between two words of Thai, Lao, Burmese or Khmer ends it, where it separates clauses.
pub fn continues_phrase(text: &str, between: Range<usize>, language: Language) -> bool {
    let gap = &text[between.clone()];
    if language == Language::ENGLISH {
        return gap.chars().all(char::is_whitespace) && gap.matches('\n').count() < 2;
    }
    let mut spaces = 0;
    for c in gap.chars() {
        if c != BOUNDARY && !c.is_whitespace() {
            return false;
        }
        spaces += usize::from(c != BOUNDARY);
    }
    gap.matches('\n').count() < 2 && (spaces == 0 || !separates_clauses(text, between))
}

/// Whether both sides of a gap are of scripts that put spaces between clauses.
fn separates_clauses(text: &str, gap: Range<usize>) -> bool {
    let (before, after) = (text[..gap.start].chars().next_back(), text[gap.end..].chars().next());
    before.is_some_and(is_spaced_by_clause) && after.is_some_and(is_spaced_by_clause)
}

/// See [`words`] and [`words_in`].
pub struct Words<'t> {
    text: &'t str,
    at: usize,
    /// Where the block of `word` and `high` begins.
    block: usize,
    /// Bytes that are ASCII characters of words.
    word: u64,
    /// Bytes that are not ASCII.
    high: u64,
    /// Whether scripts without spaces are divided.
    divides: bool,
    elides: bool,
    /// Ends of the words of the current run without spaces, after its begin at `base`; the last first.
    ends: Vec<usize>,
    base: usize,
}

impl Words<'_> {
    /// Reads the block, zeros after the end.
    fn load(&mut self) {
        let rest = &self.text.as_bytes()[self.block.min(self.text.len())..];
        (self.word, self.high) = match rest.first_chunk() {
            Some(bytes) => masks(bytes),
            None => {
                let mut bytes = [0; BLOCK];
                bytes[..rest.len()].copy_from_slice(rest);
                masks(&bytes)
            }
        };
    }

    /// Bits of the block from `at` on, `at` in the block or the one after it, which is then read.
    #[inline(always)]
    fn from(&mut self, at: usize) -> u64 {
        if at >= self.block + BLOCK {
            self.block += BLOCK;
            self.load();
        }
        u64::MAX << (at % BLOCK)
    }

    /// The first byte from `at` on that can begin a word.
    #[inline(always)]
    fn next_start(&mut self, at: usize) -> Option<usize> {
        let mut bits = self.from(at) & (self.word | self.high);
        while bits == 0 {
            self.block += BLOCK;
            if self.block >= self.text.len() {
                return None;
            }
            self.load();
            bits = self.word | self.high;
        }
        Some(self.block + bits.trailing_zeros() as usize)
    }

    /// The end of the ASCII characters of words from `at` on. The zeros after the text end it.
    #[inline(always)]
    fn run_end(&mut self, at: usize) -> usize {
        let mut others = self.from(at) & !self.word;
        while others == 0 {
            self.block += BLOCK;
            self.load();
            others = !self.word;
        }
        self.block + others.trailing_zeros() as usize
    }
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let mut start = self.next_start(self.at)?;
        let bytes = self.text.as_bytes();
        if !bytes[start].is_ascii() {
            start = self.first_word_character(start)?;
            if self.divides
                && let Some(end) = self.unspaced_end(start)
            {
                self.at = end;
                return Some(start..end);
            }
        }
        let mut end = self.run_end(start);
        if bytes.get(end).is_some_and(|&byte| CONTINUES[usize::from(byte)]) {
            end = self.word_end(start, end);
        }
        self.at = end;
        Some(start..end)
    }
}

impl Words<'_> {
    /// The first character of a word from `start` on, where there is one that is not ASCII.
    fn first_word_character(&mut self, mut start: usize) -> Option<usize> {
        loop {
            let c = self.text[start..].chars().next()?;
            if is_word(c) {
                return Some(start);
            }
            start = self.next_start(start + c.len_utf8())?;
        }
    }

    /// The end of the word that begins at `start`, whose characters up to `end` are known.
    fn word_end(&mut self, start: usize, mut end: usize) -> usize {
        let text = self.text;
        let char_at = |at: usize| text[at..].chars().next();
        loop {
            let Some(c) = char_at(end) else { return end };
            let after = end + c.len_utf8();
            if self.divides && is_unspaced(c) {
                return end;
            }
            if !is_word(c) {
                let Some(next) = char_at(after) else { return end };
                let previous = || text[start..end].chars().next_back();
                let follows = is_word(next) && !(self.divides && is_unspaced(next));
                let joins = match c {
                    '-' | '‐' => follows,
                    '.' | ',' => next.is_numeric() && previous().is_some_and(char::is_numeric),
                    ZWNJ | ZWJ => self.divides && follows,
                    c => is_apostrophe(c) && follows && !self.elides,
                };
                if !joins {
                    return end;
                }
            }
            end = self.run_end(after);
        }
    }
}

impl Words<'_> {
    /// The end of the word that begins at `start`, if its script has no spaces.
    fn unspaced_end(&mut self, start: usize) -> Option<usize> {
        if self.ends.is_empty() {
            let rest = &self.text[start..];
            let first = rest.chars().next().filter(|&c| is_unspaced(c))?;
            let of_run = |&(_, c): &(usize, char)| is_word(c) && (is_unspaced(c) || is_mark(c));
            let more = rest.char_indices().skip(1).find(|c| !of_run(c));
            let length = more.map_or(rest.len(), |(at, _)| at);
            self.base = start;
            let bounded =
                self.text[..start].ends_with(BOUNDARY) || rest[length..].starts_with(BOUNDARY);
            if bounded || length == first.len_utf8() {
                self.ends.push(length);
            } else {
                word_ends(&rest[..length], &mut self.ends);
            }
        }
        let end = self.base + self.ends.pop()?;
        if end >= self.block + BLOCK {
            self.block = end / BLOCK * BLOCK;
            self.load();
        }
        Some(end)
    }
}

/// Whether a character is a combining mark, which belongs to the word before it.
pub fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

/// Joiners of no width: Persian and the scripts of India have them inside words.
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// Bytes after which a word of ASCII may continue.
const CONTINUES: [bool; 256] = {
    let mut continues = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        continues[byte] = byte >= 128 || matches!(byte as u8, b'-' | b'\'' | b'.' | b',');
        byte += 1;
    }
    continues
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Character by character.
    fn slowly(text: &str) -> Vec<Range<usize>> {
        let chars: Vec<(usize, char)> = text.char_indices().collect();
        let (mut found, mut open) = (Vec::<Range<usize>>::new(), false);
        for (i, &(at, c)) in chars.iter().enumerate() {
            let next = chars.get(i + 1).map_or(' ', |c| c.1);
            let joins = match c {
                '-' | '‐' | '\'' | '’' => is_word(next),
                '.' | ',' => i > 0 && chars[i - 1].1.is_numeric() && next.is_numeric(),
                _ => false,
            };
            match (is_word(c), open) {
                (true, false) => found.push(at..at + c.len_utf8()),
                (true, true) => found.last_mut().unwrap().end = at + c.len_utf8(),
                (false, _) => {}
            }
            open = is_word(c) || (open && joins);
        }
        found
    }

    fn in_language<'t>(text: &'t str, code: &str) -> Vec<&'t str> {
        words_in(text, Language::known(code)).map(|range| &text[range]).collect()
    }

    #[test]
    fn words_are_those_of_the_language() {
        for (code, text, expected) in [
            ("en", "東京都の人口", &["東京都の人口"][..]),
            ("ja", "東京都の人口は多い。", &["東京", "都", "の", "人口", "は", "多い"]),
            (
                "zh",
                "植物利用光能，A型iPhone手机",
                &["植物", "利用", "光能", "a", "型", "iphone", "手机"],
            ),
            ("zh", "光能植物\u{200b}x", &["光能植物", "x"]),
            ("th", "ภาษาไทยเป็นภาษา", &["ภาษา", "ไทย", "เป็น", "ภาษา"]),
            ("hi", "हिन्दी में लिखा है।", &["हिन्दी", "में", "लिखा", "है"]),
            ("ar", "العَرَبِيَّة لغة", &["العَرَبِيَّة", "لغة"]),
            ("fa", "می\u{200c}شود، خانه", &["می\u{200c}شود", "خانه"]),
            ("fr", "l'énergie d’État", &["l", "énergie", "d", "état"]),
            ("tr", "Ankara'nın nüfusu", &["ankara'nın", "nüfusu"]),
            ("ko", "서울의 인구", &["서울의", "인구"]),
        ] {
            let folded = text.to_lowercase();
            assert_eq!(in_language(&folded, code), expected, "{code}: {text}");
        }
    }

    proptest! {
        #[test]
        fn words_of_any_language_are_whole_characters_in_order_and_lose_none(
            text in "\\PC{0,60}|([a-c]|[0-9]|é|[一-三]|[あ-お]|[ก-ฮ]|[\u{e48}-\u{e4b}]|[က-တ]|[ក-ត]|\u{94d}|\u{200b}|\u{200c}|[-'., \n]){0,60}|[一-九]{20,60}[a-c ]{0,70}[あ-お]{0,40}",
            number in 0..Language::COUNT as u8,
        ) {
            let language = Language::of_number(number).unwrap();
            let mut last = 0;
            for range in words_in(&text, language) {
                prop_assert!(range.start >= last && range.start < range.end);
                prop_assert!(!text[last..range.start].contains(is_word), "{:?}", &text[last..range.start]);
                prop_assert!(text.is_char_boundary(range.end));
                last = range.end;
            }
            prop_assert!(!text[last..].contains(is_word));
        }

        #[test]
        fn words_are_those_that_reading_character_by_character_gives(
            text in "\\PC{0,60}|([a-c]|[0-9]|½|é|e\u{301}|’|‐|[-'.,_+# \n]){0,60}|[a-c0-9]{55,70}(’|-|,|é| )[a-c0-9]{0,70}[ .]{60,66}[a-z]{0,9}"
        ) {
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), slowly(&text));
        }
    }
}
