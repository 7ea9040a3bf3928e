//! Words of a text: UTF-8 in, words or (feature, count) out.
//!
//! A word is a maximal run of alphanumeric characters and combining marks, in lower case. Of scripts
//! that put no spaces between words ([`is_unspaced`]) each character is a word, each two that follow
//! each other, and each word of three characters and more that ICU's dictionaries find: nearest
//! neighbours are of one topic more often than by characters or by the dictionaries' words alone. A
//! word's feature is the low 16 bits of its xxh3-64 (seed 0); words that share one are counted
//! together.

use longweave_language::{Language, is_mark, is_unspaced, words_in};
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

/// Fewest characters of a word of the dictionaries that counts: shorter ones are characters and pairs.
const LONG_WORD: usize = 3;
/// Most bytes of a character with its marks.
const MOST_CHARACTER_BYTES: usize = 32;

/// Counts words. About 270 kB, so keep it.
pub struct TermCounter {
    /// By feature; zeros between two texts.
    counts: Vec<u32>,
    /// A bit for each feature with a count.
    seen: Vec<u64>,
    cutter: WordCutter,
}

/// Divides texts into words.
#[derive(Default)]
pub struct WordCutter {
    word: Vec<u8>,
    /// The last character with its marks, where it is of a script without spaces; else empty.
    before: Vec<u8>,
}

/// Whether a character is a mark other than a letter, like a tone of Thai; a vowel that is written as a
/// mark is a letter.
fn is_mere_mark(character: char) -> bool {
    is_mark(character) && !character.is_alphanumeric()
}

impl Default for TermCounter {
    fn default() -> TermCounter {
        TermCounter {
            counts: vec![0; FEATURES],
            seen: vec![0; FEATURES / 64],
            cutter: WordCutter::default(),
        }
    }
}

impl TermCounter {
    /// Replaces `out` by the features of a text with their counts, features rising.
    pub fn count(&mut self, text: &str, out: &mut Vec<(u32, u32)>) {
        let TermCounter { counts, seen, cutter } = self;
        cutter.cut(text, &mut |word| {
            let feature = xxh3_64(word) as usize % FEATURES;
            counts[feature] += 1;
            seen[feature / 64] |= 1 << (feature % 64);
        });
        out.clear();
        for (group, bits) in (0u32..).zip(&mut self.seen) {
            while *bits != 0 {
                let feature = group * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out.push((feature, std::mem::take(&mut self.counts[feature as usize])));
            }
        }
    }
}

impl WordCutter {
    /// Passes each word of a text to `take`, in lower case.
    pub fn cut(&mut self, text: &str, take: &mut impl FnMut(&[u8])) {
        // Long words are found run by run: a run may have signs between its letters.
        let (mut at, mut run_end) = (0, 0);
        while let Some(&byte) = text.as_bytes().get(at) {
            if let Some(&lower) = LOWER.get(usize::from(byte)) {
                self.before.clear();
                at += 1;
                if lower == 0 {
                    self.end_word(take);
                } else {
                    self.word.push(lower);
                }
            } else if let Some(character) = text[at..].chars().next() {
                if at >= run_end && is_unspaced(character) {
                    run_end = at + long_words(&text[at..], take);
                }
                self.character(character, take);
                at += character.len_utf8();
            }
        }
        self.end_word(take);
        self.before.clear();
    }

    /// Takes a character that is not ASCII.
    fn character(&mut self, character: char, take: &mut impl FnMut(&[u8])) {
        let mut bytes = [0; 4];
        if is_mere_mark(character) {
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            if !self.word.is_empty() {
                self.word.extend_from_slice(bytes);
            } else if (1..MOST_CHARACTER_BYTES).contains(&self.before.len()) {
                self.before.extend_from_slice(bytes);
            }
        } else if !character.is_alphanumeric() {
            self.end_word(take);
            self.before.clear();
        } else if is_unspaced(character) {
            self.end_word(take);
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            take(bytes);
            if !self.before.is_empty() {
                self.before.extend_from_slice(bytes);
                take(&self.before);
                self.before.clear();
            }
            self.before.extend_from_slice(bytes);
        } else {
            self.before.clear();
            for lower in character.to_lowercase() {
                self.word.extend_from_slice(lower.encode_utf8(&mut bytes).as_bytes());
            }
        }
    }

    fn end_word(&mut self, take: &mut impl FnMut(&[u8])) {
        if !self.word.is_empty() {
            take(&self.word);
            self.word.clear();
        }
    }
}

/// Passes on the long words of the text without spaces that a text begins with; its bytes.
fn long_words(text: &str, take: &mut impl FnMut(&[u8])) -> usize {
    let end = text.find(|c| !is_unspaced(c) && !is_mere_mark(c)).unwrap_or(text.len());
    let run = &text[..end];
    for range in words_in(run, Language::UNKNOWN) {
        if run[range.clone()].chars().filter(|&c| !is_mere_mark(c)).count() >= LONG_WORD {
            take(run[range].as_bytes());
        }
    }
    end
}
