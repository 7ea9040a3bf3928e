//! RAKE with buffers that are reused from text to text; no allocation per word.
//!
//! A word **[ours]** is a run of letters, digits, marks, `_`, `+` and `#`, joined inside by a
//! hyphen, an apostrophe or, between digits, a point or comma; a possessive `'s` falls away. The
//! words of a phrase are separated by white space with at most one line break; anything else ends
//! the phrase, as does a stop word. A phrase has at least one letter. Of languages other than
//! English, words that are written without a space between them follow each other in a phrase, and
//! a space ends a phrase where it separates clauses. The phrase that is given out has spaces between
//! its words in every script.

use std::ops::Range;

use hashbrown::HashTable;
use longweave_common::Offsets;
use longweave_language::{Language, continues_phrase, words_in};

use crate::hash::{hash_bytes, hash_words};
use crate::{StopList, begins_name, normalise_into};

/// Options of the extraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RakeOptions {
    /// Least score of a keyword.
    pub min_score: f64,
    /// Most words of a keyword.
    pub max_words: usize,
    /// Whether stop words of English that begin a name are words of it ([`begins_name`]).
    pub names: bool,
}

impl Default for RakeOptions {
    fn default() -> RakeOptions {
        RakeOptions { min_score: 0.0, max_words: usize::MAX, names: false }
    }
}

/// A keyword extractor: a stop list, options, and the language whose words it reads. Threads can
/// share it, each with its own [`Scratch`].
#[derive(Clone, Debug)]
pub struct Rake {
    stop: StopList,
    options: RakeOptions,
    language: Language,
}

/// Buffers of one extraction, reused by the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The normalised text.
    text: String,
    /// Places of distinct words in `text`.
    words: Vec<(u32, u32)>,
    /// The number of occurrences of each distinct word in phrases.
    frequency: Vec<u32>,
    /// For each distinct word, the number of words of the phrases that contain it, itself included.
    degree: Vec<u32>,
    /// Distinct words by text.
    known_words: HashTable<u32>,
    /// Words of all distinct phrases end to end.
    phrase_words: Vec<u32>,
    /// The distinct phrases in `phrase_words`.
    phrases: Offsets,
    /// Distinct phrases by words.
    known_phrases: HashTable<u32>,
    /// The phrase that is given out.
    phrase: String,
}

impl Scratch {
    fn clear(&mut self) {
        self.text.clear();
        self.words.clear();
        self.frequency.clear();
        self.degree.clear();
        self.known_words.clear();
        self.phrase_words.clear();
        self.phrases.clear();
        self.known_phrases.clear();
    }
}

impl Rake {
    /// An extractor that reads words as in English.
    pub fn new(stop: StopList, options: RakeOptions) -> Rake {
        Rake { stop, options, language: Language::ENGLISH }
    }

    /// The same, which reads words as in a language.
    #[must_use]
    pub fn in_language(self, language: Language) -> Rake {
        Rake { language, ..self }
    }

    /// Fresh buffers.
    pub fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    /// Calls `take` with each distinct keyword of `text` and its score, in order of first
    /// appearance.
    pub fn extract(&self, scratch: &mut Scratch, text: &str, mut take: impl FnMut(&str, f64)) {
        scratch.clear();
        normalise_into(text, &mut scratch.text);
        self.collect(scratch, text);
        for phrase in 0..scratch.phrases.len() {
            let words = &scratch.phrase_words[scratch.phrases.range(phrase)];
            if words.len() > self.options.max_words {
                continue;
            }
            let score: f64 = words
                .iter()
                .map(|&w| {
                    f64::from(scratch.degree[w as usize]) / f64::from(scratch.frequency[w as usize])
                })
                .sum();
            if score < self.options.min_score {
                continue;
            }
            scratch.phrase.clear();
            for &word in words {
                if !scratch.phrase.is_empty() {
                    scratch.phrase.push(' ');
                }
                let (from, to) = scratch.words[word as usize];
                scratch.phrase.push_str(&scratch.text[from as usize..to as usize]);
            }
            if scratch.phrase.chars().any(char::is_alphabetic) {
                take(&scratch.phrase, score);
            }
        }
    }

    /// Splits the normalised text into phrases and counts their words.
    fn collect(&self, scratch: &mut Scratch, original: &str) {
        let text = std::mem::take(&mut scratch.text);
        let mut phrase_start = 0;
        let mut last_end = 0;
        let english = self.language == Language::ENGLISH;
        for Range { start, end } in words_in(&text, self.language) {
            // Most words of English are a space apart.
            let is_space = english && text.as_bytes()[last_end..start] == *b" ";
            if !is_space && !continues_phrase(&text, last_end..start, self.language) {
                end_phrase(scratch, &mut phrase_start);
            }
            let word = &text[start..end];
            if (self.stop.contains(word)
                || (word.contains('’') && self.stop.contains(&word.replace('’', "'"))))
                && !(english && self.options.names && is_name(original.as_bytes(), word, end))
            {
                end_phrase(scratch, &mut phrase_start);
            } else {
                let word = strip_possessive(word);
                let number = intern(scratch, &text, start, start + word.len());
                scratch.phrase_words.push(number);
            }
            last_end = end;
        }
        end_phrase(scratch, &mut phrase_start);
        scratch.text = text;
    }
}

/// Whether a word that ends at `end` begins a name in the original text: it and the word after the
/// next space have capitals. Places of the normalised text are those of the original where it is
/// ASCII so far; elsewhere no capital is found, as a rule.
fn is_name(original: &[u8], word: &str, end: usize) -> bool {
    let capital = |at: usize| original.get(at).is_some_and(u8::is_ascii_uppercase);
    begins_name(word)
        && capital(end - word.len())
        && original.get(end) == Some(&b' ')
        && capital(end + 1)
}

/// A normalised word without its possessive `'s`, once.
pub fn strip_possessive(word: &str) -> &str {
    let bare =
        word.strip_suffix('s').and_then(|w| w.strip_suffix('\'').or_else(|| w.strip_suffix('’')));
    bare.filter(|b| !b.is_empty()).unwrap_or(word)
}

fn intern(scratch: &mut Scratch, text: &str, start: usize, end: usize) -> u32 {
    let word = &text[start..end];
    let of = |words: &[(u32, u32)], i: u32| {
        let (from, to) = words[i as usize];
        from as usize..to as usize
    };
    let hash = hash_bytes(word.as_bytes());
    let Scratch { words, known_words, frequency, degree, .. } = scratch;
    if let Some(&known) = known_words.find(hash, |&i| text[of(words, i)] == *word) {
        return known;
    }
    let number = words.len() as u32;
    words.push((start as u32, end as u32));
    frequency.push(0);
    degree.push(0);
    known_words.insert_unique(hash, number, |&i| hash_bytes(text[of(words, i)].as_bytes()));
    number
}

/// Counts the words of the phrase that is open, and keeps it unless it is known.
fn end_phrase(scratch: &mut Scratch, start: &mut usize) {
    let Scratch { phrase_words, phrases, known_phrases, frequency, degree, .. } = scratch;
    let words = &phrase_words[*start..];
    if words.is_empty() {
        return;
    }
    for &word in words {
        frequency[word as usize] += 1;
        degree[word as usize] += words.len() as u32;
    }
    let hash = hash_words(words);
    if known_phrases.find(hash, |&i| phrase_words[phrases.range(i as usize)] == *words).is_some() {
        phrase_words.truncate(*start);
        return;
    }
    let number = phrases.len() as u32;
    phrases.push(phrase_words.len());
    known_phrases
        .insert_unique(hash, number, |&i| hash_words(&phrase_words[phrases.range(i as usize)]));
    *start = phrase_words.len();
}

/// A document's candidates for its keyword: the distinct keywords of its queries, each query taken
/// by itself, in byte order.
pub fn candidates<'a>(
    rake: &Rake,
    scratch: &mut Scratch,
    queries: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut found = Vec::new();
    for query in queries {
        rake.extract(scratch, query, |phrase, _| found.push(phrase.to_owned()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keywords(options: RakeOptions, text: &str) -> Vec<(String, f64)> {
        let rake = Rake::new(StopList::smart(), options);
        let mut found = vec![];
        rake.extract(&mut rake.scratch(), text, |phrase, score| {
            found.push((phrase.to_owned(), score))
        });
        found
    }

    fn phrases(text: &str) -> Vec<String> {
        keywords(RakeOptions::default(), text).into_iter().map(|(phrase, _)| phrase).collect()
    }

    #[test]
    fn phrases_end_at_stop_words_and_punctuation() {
        for (text, expected) in [
            (
                "What is the capital city of Northern Ireland?",
                &["capital city", "northern ireland"][..],
            ),
            ("grand piano\n\nblack keys\nwhite keys", &["grand piano", "black keys white keys"]),
            ("red apples, green pears; blue plums", &["red apples", "green pears", "blue plums"]),
            ("red apples red apples", &["red apples red apples"]),
            ("red apples and red apples", &["red apples"]),
            ("Google's privacy policy isn't clear", &["google privacy policy", "clear"]),
            ("the well-known state-of-the-art model", &["well-known state-of-the-art model"]),
            (
                "windows 95 drivers cost 3.50 dollars in 1996",
                &["windows 95 drivers cost 3.50 dollars"],
            ),
            ("C++ and C# compilers", &["c++", "c# compilers"]),
            ("столица Франции — Париж", &["столица франции", "париж"]),
            ("東京都の人口", &["東京都の人口"]),
            ("", &[]),
            ("the of and", &[]),
            ("don’t stop", &["stop"]),
        ] {
            assert_eq!(phrases(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_phrase_of_n_words_that_do_not_repeat_scores_n_squared() {
        assert_eq!(
            keywords(RakeOptions::default(), "deep blue sea and grand piano of quiet"),
            [("deep blue sea".into(), 9.0), ("grand piano".into(), 4.0), ("quiet".into(), 1.0)]
        );
    }

    #[test]
    fn names_keep_the_stop_word_that_they_begin_with() {
        let text = "who built new York in New York City after the Second World War? A New plan";
        let names = RakeOptions { names: true, ..RakeOptions::default() };
        let of = |options| keywords(options, text).into_iter().map(|k| k.0).collect::<Vec<_>>();
        assert_eq!(of(names), ["built", "york", "new york city", "second world war", "plan"]);
        assert_eq!(of(RakeOptions::default()), ["built", "york", "york city", "world war", "plan"]);
    }

    #[test]
    fn keywords_below_the_least_score_or_above_the_most_words_are_left_out() {
        let options = RakeOptions { min_score: 3.0, max_words: 2, ..RakeOptions::default() };
        let found = keywords(options, "tall building, house, very large green garden");
        assert_eq!(found, [("tall building".into(), 4.0)]);
    }

    #[test]
    fn candidates_are_distinct_and_in_byte_order() {
        let rake =
            Rake::new(StopList::smart(), RakeOptions { min_score: 3.0, ..RakeOptions::default() });
        let found = candidates(
            &rake,
            &mut rake.scratch(),
            ["zebra crossing", "apple pie and zebra crossing", "word"],
        );
        assert_eq!(found, ["apple pie", "zebra crossing"]);
    }

    proptest! {
        #[test]
        fn no_phrase_holds_a_stop_word_and_every_phrase_is_normalised(text in "[a-zA-ZéÀß .,'’\\-0-9\n]{0,80}|\\PC{0,40}") {
            let stop = StopList::smart();
            for phrase in phrases(&text) {
                prop_assert_eq!(&crate::normalise(&phrase), &phrase);
                prop_assert!(phrase.split(' ').all(|w| !stop.contains(w) || !text.to_lowercase().contains(&format!(" {w} "))), "{}", phrase);
            }
        }

        #[test]
        fn buffers_that_were_used_give_the_same_as_fresh_ones(a in "\\PC{0,60}", b in "[a-z ,]{0,60}") {
            let rake = Rake::new(StopList::smart(), RakeOptions::default());
            let mut used = rake.scratch();
            rake.extract(&mut used, &a, |_, _| ());
            let (mut x, mut y) = (vec![], vec![]);
            rake.extract(&mut used, &b, |p, s| x.push((p.to_owned(), s)));
            rake.extract(&mut rake.scratch(), &b, |p, s| y.push((p.to_owned(), s)));
            prop_assert_eq!(x, y);
        }
    }
}
