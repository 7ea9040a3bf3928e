//! Words of scripts that put no spaces between them, by ICU's dictionaries: Chinese, Japanese, Thai,
//! Lao, Burmese, Khmer. Whole numbers only, so that they are the same on every machine.

use std::sync::LazyLock;

use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(Default::default()));

/// A space of no width: the boundary of a word in a script without spaces.
pub const BOUNDARY: char = '\u{200b}';

/// Whether a character's script puts no spaces between words: ideographs with 々 〆 〇
/// (U+3005–3007, U+3400–4DBF, U+4E00–9FFF, U+F900–FAFF, U+20000–3FFFF), kana and bopomofo
/// (U+3040–312F, U+31A0–31FF, U+FF66–FF9F), Thai and Lao (U+0E00–0EFF), Burmese (U+1000–109F),
/// Khmer (U+1780–17FF). Hangul has spaces.
pub fn is_unspaced(character: char) -> bool {
    is_spaced_by_clause(character)
        || matches!(character,
            // The numerals of the second line become ideographs when they are normalised.
            '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}'
            | '\u{3038}'..='\u{303a}' | '\u{3192}'..='\u{3195}' | '\u{3280}'..='\u{3289}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether a character's script puts spaces between clauses, as others put commas.
pub(crate) fn is_spaced_by_clause(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Appends the ends of the words of a text without spaces to `ends`, the last first.
pub(crate) fn word_ends(text: &str, ends: &mut Vec<usize>) {
    let first = ends.len();
    ends.extend(SEGMENTER.segment_str(text).filter(|&end| end > 0));
    if ends.last() != Some(&text.len()) || ends.len() == first {
        ends.push(text.len());
    }
    ends[first..].reverse();
}
