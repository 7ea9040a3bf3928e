//! Stop lists and the list of boilerplate phrases.

use std::sync::Arc;

use hashbrown::HashSet;
use longweave_language::Language;

use crate::normalise;

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// Words that end a phrase. Cloning shares the list.
#[derive(Clone, Debug)]
pub struct StopList {
    words: Arc<HashSet<Box<str>>>,
    /// Whether a word of hiragana alone is one: in Japanese those are particles and endings, and hardly
    /// a noun.
    hiragana: bool,
}

impl StopList {
    /// The SMART list, 570 English words: the paper's.
    pub fn smart() -> StopList {
        StopList::of(Language::ENGLISH)
    }

    /// The list of a language: of English SMART, of others that of Stopwords ISO, of a language
    /// without one an empty list.
    pub fn of(language: Language) -> StopList {
        let hiragana = language.code() == "ja";
        StopList { hiragana, ..StopList::from_words(language.stop_words()) }
    }

    /// Fox's list, 425 English words.
    pub fn fox() -> StopList {
        StopList::from_words(words(include_str!("../data/fox.txt")))
    }

    /// A built-in list: `smart`, `fox`, or the code of a language that has a list.
    pub fn named(name: &str) -> Option<StopList> {
        match name {
            "smart" => Some(StopList::smart()),
            "fox" => Some(StopList::fox()),
            code => {
                let language = Language::all().find(|language| language.code() == code)?;
                language.has_stop_words().then(|| StopList::of(language))
            }
        }
    }

    /// The names of the built-in lists, for messages: `smart`, `fox`, then codes.
    pub fn names() -> String {
        let codes = Language::all().filter(|language| language.has_stop_words());
        ["smart", "fox"].into_iter().chain(codes.map(Language::code)).collect::<Vec<_>>().join(", ")
    }

    /// A list of the given words, normalised.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> StopList {
        let words = words.into_iter().map(|w| normalise(w).into_boxed_str());
        StopList { words: Arc::new(words.filter(|w| !w.is_empty()).collect()), hiragana: false }
    }

    /// Whether a normalised word ends a phrase.
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains(word)
            || self.hiragana && word.chars().all(|c| matches!(c, '\u{3041}'..='\u{309f}' | 'ー'))
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Boilerplate: phrases that name no subject ("following sentence", "best way"), compared as a
/// whole.
#[derive(Clone, Debug, Default)]
pub struct Boilerplate(HashSet<Box<str>>);

impl Boilerplate {
    /// The list that comes with longweave.
    pub fn built_in() -> Boilerplate {
        Boilerplate::none().with(words(include_str!("../data/boilerplate.txt")))
    }

    /// An empty list.
    pub fn none() -> Boilerplate {
        Boilerplate::default()
    }

    /// The list with more phrases, normalised.
    #[must_use]
    pub fn with<'a>(mut self, phrases: impl IntoIterator<Item = &'a str>) -> Boilerplate {
        self.0.extend(phrases.into_iter().map(|p| normalise(p).into_boxed_str()));
        self
    }

    /// Whether a normalised phrase says nothing.
    pub fn contains(&self, phrase: &str) -> bool {
        self.0.contains(phrase)
    }
}
