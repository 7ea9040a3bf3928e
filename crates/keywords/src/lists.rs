//! Stop lists and the list of boilerplate phrases.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::normalise;

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// Words that end a phrase. Cloning shares the list.
#[derive(Clone, Debug)]
pub struct StopList(Arc<HashSet<Box<str>>>);

impl StopList {
    /// The SMART list, 570 English words: the paper's.
    pub fn smart() -> StopList {
        StopList::from_words(words(include_str!("../data/smart.txt")))
    }

    /// Fox's list, 425 English words.
    pub fn fox() -> StopList {
        StopList::from_words(words(include_str!("../data/fox.txt")))
    }

    /// A built-in list: `smart` or `fox`.
    pub fn named(name: &str) -> Option<StopList> {
        match name {
            "smart" => Some(StopList::smart()),
            "fox" => Some(StopList::fox()),
            _ => None,
        }
    }

    /// A list of the given words, normalised.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> StopList {
        StopList(Arc::new(
            words
                .into_iter()
                .map(|w| normalise(w).into_boxed_str())
                .filter(|w| !w.is_empty())
                .collect(),
        ))
    }

    /// Whether a normalised word ends a phrase.
    pub fn contains(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
