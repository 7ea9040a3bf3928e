//! Words of a text: UTF-8 in, (feature, count) out.
//!
//! A word is a maximal run of alphanumeric characters, in lower case. Of scripts that put no spaces
//! between words each character is a word, and each two that follow each other: ideographs with 々 〆
//! 〇 (U+3005–3007, U+3400–4DBF, U+4E00–9FFF, U+F900–FAFF, U+20000–3FFFF), kana and bopomofo
//! (U+3040–312F, U+31A0–31FF, U+FF66–FF9F), Thai and Lao (U+0E00–0EFF), Burmese (U+1000–109F),
//! Khmer (U+1780–17FF). Hangul has spaces. A word's feature is the low 16 bits of its xxh3-64 (seed
//! 0); words that share one are counted together.

use xxhash_rust::xxh3::xxh3_64;

/// Number of features.
pub const FEATURES: usize = 1 << 16;

/// Of ASCII: lower case of letters and digits, 0 for all else.
const LOWER: [u8; 128] = {
    let mut lower = [0; 128];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            lower[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

/// Counts words. About 270 kB, so keep it.
pub struct TermCounter {
    /// By feature; zeros between two texts.
    counts: Vec<u32>,
    /// A bit for each feature with a count.
    seen: Vec<u64>,
    word: Vec<u8>,
}

impl Default for TermCounter {
    fn default() -> TermCounter {
        TermCounter { counts: vec![0; FEATURES], seen: vec![0; FEATURES / 64], word: Vec::new() }
    }
}

impl TermCounter {
    /// Replaces `out` by the features of a text with their counts, features rising.
    pub fn count(&mut self, text: &str, out: &mut Vec<(u32, u32)>) {
        // The last character, where it is of a script without spaces.
        let mut before: Option<char> = None;
        let mut at = 0;
        while let Some(&byte) = text.as_bytes().get(at) {
            if let Some(&lower) = LOWER.get(usize::from(byte)) {
                before = None;
                at += 1;
                if lower == 0 {
                    self.end_word();
                } else {
                    self.word.push(lower);
                }
            } else if let Some(character) = text[at..].chars().next() {
                before = self.character(character, before);
                at += character.len_utf8();
            }
        }
        self.end_word();
        out.clear();
        for (group, bits) in (0u32..).zip(&mut self.seen) {
            while *bits != 0 {
                let feature = group * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out.push((feature, std::mem::take(&mut self.counts[feature as usize])));
            }
        }
    }

    /// Takes a character that is not ASCII, and returns it if its script has no spaces.
    fn character(&mut self, character: char, before: Option<char>) -> Option<char> {
        let mut bytes = [0; 8];
        if !character.is_alphanumeric() {
            self.end_word();
            None
        } else if unspaced(character) {
            self.end_word();
            let first = before.map_or(0, |before| before.encode_utf8(&mut bytes).len());
            let end = first + character.encode_utf8(&mut bytes[first..]).len();
            self.add(&bytes[first..end]);
            if first > 0 {
                self.add(&bytes[..end]);
            }
            Some(character)
        } else {
            for lower in character.to_lowercase() {
                self.word.extend_from_slice(lower.encode_utf8(&mut bytes).as_bytes());
            }
            None
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            let word = std::mem::take(&mut self.word);
            self.add(&word);
            self.word = word;
            self.word.clear();
        }
    }

    fn add(&mut self, word: &[u8]) {
        let feature = xxh3_64(word) as usize % FEATURES;
        self.counts[feature] += 1;
        self.seen[feature / 64] |= 1 << (feature % 64);
    }
}

/// Whether a character's script puts no spaces between words.
fn unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}'
        | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}
