//! A document as tokens: each word's number and kind, where phrases and sentences end. Words are
//! numbered once for many documents, so that what depends on the word alone (normal form, stop
//! word, ending) is found once.

use hashbrown::{HashMap, HashTable};
use longweave_keywords::{StopList, hash_bytes, normalise_into, strip_possessive, words};

/// The role of a word next to a phrase. The kinds of stop words separate a noun's surroundings from
/// a verb's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A word of phrases.
    Content,
    /// No word: punctuation, the beginning, the end.
    Edge,
    Article,
    Preposition,
    To,
    Pronoun,
    Auxiliary,
    Conjunction,
    Other,
}

const ARTICLES: &str = "a an the this that these those my your his her its our their some any each \
                        every no another such which whose both all several many few other first \
                        second third one two three four five six seven eight nine";
const PREPOSITIONS: &str = "of in on at by for with from into about between through during against \
                            among within without under over after before than like upon via per \
                            toward towards across along around behind below beneath beside besides \
                            beyond despite down near off onto out outside since throughout till \
                            until unto up as regarding inside amongst except following according \
                            containing concerning";
const PRONOUNS: &str = "i you he she it we they him me us them himself herself itself themselves \
                        myself yourself who what there everyone anyone someone everybody anybody \
                        nobody something anything everything nothing i'm i've i'd i'll you're \
                        you've you'd you'll he's it's we're we've we'll we'd they're they've \
                        they'd they'll that's there's let's";
const AUXILIARIES: &str = "is are was were be been being am has have had having do does did will \
                           would can could may might must shall should cannot can't don't doesn't \
                           didn't isn't aren't wasn't weren't won't wouldn't couldn't shouldn't \
                           hasn't haven't hadn't not never";
const CONJUNCTIONS: &str =
    "and or but nor if when while because so where whether though although unless how why whereas";

/// How a word ends: nouns, verbs and adjectives of English often show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    Plain,
    Past,
    Ing,
    Adverb,
    Noun,
    Agent,
    Plural,
    Adjective,
    Superlative,
}

fn ending(word: &str) -> Ending {
    let ends = |list: &[&str]| list.iter().any(|e| word.len() > e.len() + 2 && word.ends_with(e));
    if ends(&["ed"]) {
        Ending::Past
    } else if ends(&["ing"]) {
        Ending::Ing
    } else if ends(&["ly"]) {
        Ending::Adverb
    } else if ends(&[
        "tion", "sion", "ment", "ness", "ity", "ism", "ship", "ance", "ence", "logy", "ist", "age",
        "ure", "dom",
    ]) {
        Ending::Noun
    } else if ends(&["er", "or"]) {
        Ending::Agent
    } else if ends(&["est"]) {
        Ending::Superlative
    } else if ends(&["al", "ive", "ous", "ful", "ic", "able", "ible", "less", "ary", "ish"]) {
        Ending::Adjective
    } else if word.ends_with('s') && !ends(&["ss", "us", "is"]) {
        Ending::Plural
    } else {
        Ending::Plain
    }
}

/// The properties of a word by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    start: u32,
    end: u32,
    pub(super) kind: Kind,
    pub(super) ending: Ending,
    /// Whether it has a letter.
    pub(super) letter: bool,
    /// Whether it has a digit.
    pub(super) digit: bool,
    /// Characters.
    pub(super) length: u8,
    /// 0 for a word that is not common in English, else 1 (the rarest) to 11 (the commonest).
    pub(super) common: u8,
    /// Times in the document.
    pub(super) count: u32,
}

/// A word of the document at its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) word: u32,
    pub(super) kind: Kind,
    /// A phrase ends before it.
    pub(super) breaks: bool,
    /// Begins with a capital.
    pub(super) capital: bool,
    /// In the heading of a Markdown text.
    pub(super) heading: bool,
    /// Sentences before its own.
    pub(super) sentence: u32,
}

/// Bytes of numbered words above which numbering restarts.
const MOST_BYTES: usize = 1 << 20;

/// The numbers of words; threads share it.
pub(super) struct Lists {
    stop: StopList,
    kinds: HashMap<&'static str, Kind>,
    common: HashMap<&'static str, u8>,
}

impl Lists {
    pub(super) fn new() -> Lists {
        let lists = [
            (CONJUNCTIONS, Kind::Conjunction),
            (PREPOSITIONS, Kind::Preposition),
            (AUXILIARIES, Kind::Auxiliary),
            (PRONOUNS, Kind::Pronoun),
            (ARTICLES, Kind::Article),
            ("to", Kind::To),
        ];
        let kinds = lists
            .iter()
            .flat_map(|&(list, kind)| list.split_whitespace().map(move |w| (w, kind)))
            .collect();
        let common = include_str!("common.txt").lines().filter(|l| !l.starts_with('#')).enumerate();
        let common = common
            .map(|(rank, word)| (word, 11 - (rank as u32 / 2).max(1).ilog2().min(10) as u8))
            .collect();
        Lists { stop: StopList::smart(), kinds, common }
    }
}

pub(super) struct Scanner<'a> {
    lists: &'a Lists,
    text: String,
    words: Vec<Word>,
    known: HashTable<u32>,
    folded: String,
    pub(super) tokens: Vec<Token>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(lists: &'a Lists) -> Scanner<'a> {
        let (text, folded) = (String::new(), String::new());
        Scanner {
            lists,
            text,
            words: Vec::new(),
            known: HashTable::new(),
            folded,
            tokens: Vec::new(),
        }
    }

    pub(super) fn word(&self, number: u32) -> &Word {
        &self.words[number as usize]
    }

    pub(super) fn text(&self, number: u32) -> &str {
        let word = &self.words[number as usize];
        &self.text[word.start as usize..word.end as usize]
    }

    /// Reads a document into `tokens`. Fenced code is left out.
    pub(super) fn scan(&mut self, text: &str) {
        for token in &self.tokens {
            self.words[token.word as usize].count = 0;
        }
        self.tokens.clear();
        if self.text.len() > MOST_BYTES {
            self.text.clear();
            self.words.clear();
            self.known.clear();
        }
        let fences = text.matches(FENCE).count();
        let fences = fences > 0 && fences.is_multiple_of(2);
        let (mut last, mut line, mut sentence) = (0, 0, 0);
        let (mut fenced, mut heading, mut breaks) = (false, false, true);
        for range in words(text) {
            let gap = &text[last..range.start];
            if gap.len() != 1 || gap != " " {
                let end = Gap::of(gap, last - line);
                if let Some(at) = gap.rfind('\n') {
                    line = last + at + 1;
                    heading = text[line..range.start].starts_with('#');
                } else if last == 0 {
                    heading = gap.starts_with('#');
                }
                if fences && gap.matches(FENCE).count() % 2 == 1 {
                    fenced = !fenced;
                }
                breaks |= end != Gap::Joins;
                sentence += u32::from(end == Gap::Sentence && !self.tokens.is_empty());
            }
            last = range.end;
            if fenced {
                breaks = true;
                continue;
            }
            let original = &text[range];
            let word = self.number(original);
            let known = &mut self.words[word as usize];
            known.count += 1;
            let capital = original.as_bytes()[0].is_ascii_uppercase()
                || (!original.is_ascii() && original.starts_with(char::is_uppercase));
            self.tokens.push(Token { word, kind: known.kind, breaks, capital, heading, sentence });
            breaks = false;
        }
    }

    /// The number of a word, by its normal form without possessive endings.
    fn number(&mut self, original: &str) -> u32 {
        let Scanner {
            lists: Lists { stop, kinds, common },
            text,
            words: numbered,
            known,
            folded,
            ..
        } = self;
        folded.clear();
        normalise_into(original, folded);
        let mut bare = folded.as_str();
        while strip_possessive(bare).len() < bare.len() {
            bare = strip_possessive(bare);
        }
        let hash = hash_bytes(bare.as_bytes());
        let of = |w: &Word| w.start as usize..w.end as usize;
        if let Some(&number) = known.find(hash, |&n| text[of(&numbered[n as usize])] == *bare) {
            return number;
        }
        let straight = bare.replace('’', "'");
        // A character can fold to several with punctuation between ("½"): such a word does not
        // count.
        let whole = bare.is_ascii() || words(bare).next().is_some_and(|r| r == (0..bare.len()));
        let kind = match (whole, stop.contains(bare) || stop.contains(&straight)) {
            (false, _) => Kind::Edge,
            (true, true) => kinds.get(straight.as_str()).copied().unwrap_or(Kind::Other),
            (true, false) => Kind::Content,
        };
        let number = numbered.len() as u32;
        numbered.push(Word {
            start: text.len() as u32,
            end: (text.len() + bare.len()) as u32,
            kind,
            ending: ending(bare),
            letter: bare.chars().any(char::is_alphabetic),
            digit: bare.chars().any(char::is_numeric),
            length: bare.chars().take(255).count() as u8,
            common: common.get(bare).copied().unwrap_or(0),
            count: 0,
        });
        text.push_str(bare);
        known.insert_unique(hash, number, |&n| {
            hash_bytes(&text.as_bytes()[of(&numbered[n as usize])])
        });
        number
    }
}

const FENCE: &str = "```";
/// Bytes of a line above which a line break is taken for a wrapped one.
const WRAPPED: usize = 40;

/// How the text between two words affects a phrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Joins,
    Phrase,
    Sentence,
}

impl Gap {
    /// Of white space or punctuation, `line` bytes into a line.
    fn of(gap: &str, line: usize) -> Gap {
        let bytes = gap.as_bytes();
        let stops = |i: usize| {
            matches!(bytes[i], b'.' | b'!' | b'?')
                && bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace)
        };
        let breaks = bytes.iter().filter(|&&b| b == b'\n').count();
        if breaks > 1
            || (breaks == 1 && (line < WRAPPED || gap.ends_with("  ")))
            || (0..bytes.len()).any(stops)
        {
            Gap::Sentence
        } else if gap.chars().all(char::is_whitespace) {
            Gap::Joins
        } else {
            Gap::Phrase
        }
    }
}
