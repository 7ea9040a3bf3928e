//! Words of a text: UTF-8 in, (feature, count) out.
//!
//! A word is a run of as many alphanumeric characters as stand together, in lower case. Of scripts that put no spaces between words each
//! character is a word, and each two that follow each other: ideographs with 々 〆 〇 (U+3005–3007, U+3400–4DBF, U+4E00–9FFF, U+F900–FAFF,
//! U+20000–3FFFF), kana and bopomofo (U+3040–312F, U+31A0–31FF, U+FF66–FF9F), Thai and Lao (U+0E00–0EFF), Burmese (U+1000–109F), Khmer
//! (U+1780–17FF). Hangul has spaces. A word's feature is the low 16 bits of its xxh3-64 (seed 0); words that share one are counted together.

use xxhash_rust::xxh3::xxh3_64;

/// Number of features.
pub const FEATURES: usize = 1 << 16;

/// Counts words. About 260 kB, so keep it.
pub struct TermCounter {
    /// By feature; zeros between two texts.
    counts: Vec<u32>,
    /// A bit for each feature with a count.
    seen: Vec<u64>,
    word: String,
}

impl Default for TermCounter {
    fn default() -> TermCounter {
        TermCounter { counts: vec![0; FEATURES], seen: vec![0; FEATURES / 64], word: String::new() }
    }
}

impl TermCounter {
    /// Replaces `out` by the features of a text with their counts, features rising.
    pub fn count(&mut self, text: &str, out: &mut Vec<(u32, u32)>) {
        if text.is_ascii() {
            self.ascii(text);
        } else {
            self.any(text);
        }
        out.clear();
        for (group, bits) in (0u32..).zip(&mut self.seen) {
            while *bits != 0 {
                let feature = group * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out.push((feature, std::mem::take(&mut self.counts[feature as usize])));
            }
        }
    }

    fn ascii(&mut self, text: &str) {
        let mut lower = std::mem::take(&mut self.word);
        lower.push_str(text);
        lower.make_ascii_lowercase();
        for word in lower.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
            if !word.is_empty() {
                self.add(word);
            }
        }
        lower.clear();
        self.word = lower;
    }

    fn any(&mut self, text: &str) {
        let mut word = std::mem::take(&mut self.word);
        // The last character, where it is of a script without spaces.
        let mut before: Option<char> = None;
        for character in text.chars() {
            let alphanumeric = character.is_alphanumeric();
            if alphanumeric && !unspaced(character) {
                word.extend(character.to_lowercase());
                before = None;
                continue;
            }
            if !word.is_empty() {
                self.add(word.as_bytes());
                word.clear();
            }
            if alphanumeric {
                let mut bytes = [0; 8];
                let first = before.map_or(0, |before| before.encode_utf8(&mut bytes).len());
                let end = first + character.encode_utf8(&mut bytes[first..]).len();
                self.add(&bytes[first..end]);
                if first > 0 {
                    self.add(&bytes[..end]);
                }
            }
            before = alphanumeric.then_some(character);
        }
        if !word.is_empty() {
            self.add(word.as_bytes());
            word.clear();
        }
        self.word = word;
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
