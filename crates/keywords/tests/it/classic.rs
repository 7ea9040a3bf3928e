//! The rules of the first public RAKE, kept to reproduce published figures: ASCII words, every
//! apostrophe a break, numbers without a score.

use std::collections::HashMap;

use longweave_keywords::StopList;

/// The phrases of a text by the classic rules.
pub(crate) struct Classic {
    /// Distinct candidates with their scores, by falling score, ties in order of first appearance.
    pub(crate) keywords: Vec<(String, f64)>,
    /// Distinct words with a score.
    pub(crate) words: usize,
}

pub(crate) fn classic(text: &str, stop: &StopList) -> Classic {
    let mut phrases: Vec<String> = Vec::new();
    sentences(text, |sentence| pieces(sentence, stop, &mut phrases));
    let mut counts: HashMap<&str, (u32, u32)> = HashMap::new();
    for phrase in &phrases {
        let words: Vec<&str> = words(phrase).collect();
        for &word in &words {
            let (degree, frequency) = counts.entry(word).or_default();
            *degree += words.len() as u32;
            *frequency += 1;
        }
    }
    let mut keywords: Vec<(String, f64)> = Vec::new();
    for phrase in &phrases {
        if keywords.iter().all(|(known, _)| known != phrase) {
            let score =
                words(phrase).map(|w| f64::from(counts[w].0) / f64::from(counts[w].1)).sum();
            keywords.push((phrase.clone(), score));
        }
    }
    keywords.sort_by(|a, b| b.1.total_cmp(&a.1));
    Classic { words: counts.len(), keywords }
}

fn sentences(text: &str, mut take: impl FnMut(&str)) {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut start = 0;
    let space =
        |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(|(_, c)| c.is_whitespace());
    for (i, &(at, c)) in chars.iter().enumerate() {
        let mark = matches!(
            c,
            '.' | '!'
                | '?'
                | ','
                | ';'
                | ':'
                | '\t'
                | '\\'
                | '"'
                | '('
                | ')'
                | '\''
                | '\u{2019}'
                | '\u{2013}'
        );
        let dash = c == '-' && space(i.checked_sub(1)) && space(Some(i + 1));
        if mark || dash {
            take(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    take(&text[start..]);
}

/// The trimmed, lower-cased runs between stop words.
fn pieces(sentence: &str, stop: &StopList, out: &mut Vec<String>) {
    let lower = sentence.to_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut start, mut at) = (0, 0);
    let mut add = |piece: &str| {
        if !piece.trim().is_empty() {
            out.push(piece.trim().to_owned());
        }
    };
    while let Some(from) = lower[at..].find(word).map(|i| at + i) {
        let end = from + lower[from..].find(|c| !word(c)).unwrap_or(lower.len() - from);
        if stop.contains(&lower[from..end]) && !lower[end..].starts_with('-') {
            add(&lower[start..from]);
            start = end;
        }
        at = end;
    }
    add(&lower[start..]);
}

fn words(phrase: &str) -> impl Iterator<Item = &str> {
    phrase
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '/')))
        .filter(|w| {
            let digits = w.strip_prefix(['+', '-']).unwrap_or(w);
            !w.is_empty() && (digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()))
        })
}

#[test]
fn a_stop_word_before_a_hyphen_stays() {
    let stop = StopList::smart();
    let found: Vec<_> = classic("the on-line system's 12 users", &stop)
        .keywords
        .into_iter()
        .map(|(p, _)| p)
        .collect();
    assert_eq!(found, ["on-line system", "12 users"]);
}
