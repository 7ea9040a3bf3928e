//! The words of a text. Blocks of 64 bytes become bit masks first, so that a step passes over a whole
//! word of ASCII, not over a byte.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use crate::masks::{BLOCK, masks};

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '+' | '#') || (!c.is_ascii() && is_combining_mark(c))
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// The words of a text as [`Rake`](crate::Rake) takes them, possessive endings kept: byte ranges in
/// order. The text between two words is never empty.
pub fn words(text: &str) -> Words<'_> {
    let mut words = Words { text, at: 0, block: 0, word: 0, high: 0 };
    words.load();
    words
}

/// See [`words`].
pub struct Words<'t> {
    text: &'t str,
    at: usize,
    /// Where the block of `word` and `high` begins.
    block: usize,
    /// Bytes that are ASCII characters of words.
    word: u64,
    /// Bytes that are not ASCII.
    high: u64,
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
            if !is_word(c) {
                let Some(next) = char_at(after) else { return end };
                let previous = || text[start..end].chars().next_back();
                let joins = match c {
                    '-' | '‐' => is_word(next),
                    '.' | ',' => next.is_numeric() && previous().is_some_and(char::is_numeric),
                    c => is_apostrophe(c) && is_word(next),
                };
                if !joins {
                    return end;
                }
            }
            end = self.run_end(after);
        }
    }
}

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

    proptest! {
        #[test]
        fn words_are_those_that_reading_character_by_character_gives(
            text in "\\PC{0,60}|([a-c]|[0-9]|½|é|e\u{301}|’|‐|[-'.,_+# \n]){0,60}|[a-c0-9]{55,70}(’|-|,|é| )[a-c0-9]{0,70}[ .]{60,66}[a-z]{0,9}"
        ) {
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), slowly(&text));
        }
    }
}
