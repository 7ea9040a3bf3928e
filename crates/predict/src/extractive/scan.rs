//! A document as tokens: each word's number and kind, where phrases and sentences end. Words are
//! numbered once for many documents, so that what depends on the word and its language alone (normal
//! form, stop word, ending) is found once.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hashbrown::HashMap;
use longweave_keywords::{StopList, begins_name, hash_bytes, normalise_into, strip_possessive};
use longweave_language::{Language, common_english, continues_phrase, words, words_in};
use memchr::memmem;

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
    key: Key,
    start: u32,
    end: u32,
    pub(super) kind: Kind,
    pub(super) ending: Ending,
    /// Whether a name can begin with it though it is a stop word.
    pub(super) begins_name: bool,
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

/// Stop words and other lists of a language; threads share it.
pub(super) struct Lists {
    language: Language,
    stop: StopList,
    kinds: HashMap<&'static str, Kind>,
    common: HashMap<&'static str, u8>,
}

impl Lists {
    pub(super) fn of(language: Language) -> Lists {
        if language == Language::ENGLISH {
            return Lists::english();
        }
        let (kinds, common) = Default::default();
        Lists { language, stop: StopList::of(language), kinds, common }
    }

    fn english() -> Lists {
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
        let common = common_english()
            .enumerate()
            .map(|(rank, word)| (word, 11 - (rank as u32 / 2).max(1).ilog2().min(10) as u8))
            .collect();
        Lists { language: Language::ENGLISH, stop: StopList::smart(), kinds, common }
    }

    /// Whether this is English, whose words the learned scorer knows.
    pub(super) fn is_english(&self) -> bool {
        self.language == Language::ENGLISH
    }

    /// The second half of the key of a word that is long or not English: another for each language, with
    /// bytes that UTF-8 never has.
    fn mark(&self) -> u64 {
        match self.language {
            Language::ENGLISH => u64::MAX,
            other => u64::MAX - 1 - u64::from(other.number()),
        }
    }
}

/// The key of a word: its bytes padded with zeros, which no word contains; for a long one and one that
/// is not English its hash, with bytes that UTF-8 never has.
type Key = [u64; 2];
const KEY_BYTES: usize = 16;

/// A word of the text that is to be looked up: its key, zeros where [`plain_key`] has none.
struct Met {
    key: Key,
    hash: u64,
    place: Range<usize>,
}

impl Met {
    const NONE: Met = Met { key: [0; 2], hash: 0, place: 0..0 };
}

/// Words that are looked up together.
const RUN: usize = 64;

/// The key of the normal form of a word of a text, where it is short, ASCII and not possessive.
#[inline]
fn plain_key(text: &[u8], word: &Range<usize>) -> Option<Key> {
    let length = word.len();
    if length > KEY_BYTES || text[..word.end].ends_with(b"'s") || text[..word.end].ends_with(b"'S")
    {
        return None;
    }
    let all = match text[word.start..].first_chunk() {
        Some(bytes) => u128::from_le_bytes(*bytes) & KEPT[length],
        None => padded(&text[word.clone()]),
    };
    let [low, high] = halves(all);
    ((low | high) & each(0x80) == 0).then(|| [lower(low), lower(high)])
}

/// The lowest bytes of a number, as many as the index says.
const KEPT: [u128; KEY_BYTES + 1] = {
    let mut kept = [0; KEY_BYTES + 1];
    let mut bytes = 1;
    while bytes <= KEY_BYTES {
        kept[bytes] = u128::MAX >> (8 * (KEY_BYTES - bytes));
        bytes += 1;
    }
    kept
};

fn padded(word: &[u8]) -> u128 {
    let mut bytes = [0; KEY_BYTES];
    bytes[..word.len()].copy_from_slice(word);
    u128::from_le_bytes(bytes)
}

fn halves(all: u128) -> Key {
    [all as u64, (all >> 64) as u64]
}

/// The byte in each of eight.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Eight bytes of ASCII in lower case.
fn lower(bytes: u64) -> u64 {
    // Sums of seven bits each: no byte carries into the next.
    let from = |least: u8| bytes + each(0x80 - least);
    bytes | (from(b'A') & !from(b'Z' + 1) & each(0x80)) >> 2
}

/// Numbers words, and reads documents into tokens. Some megabytes, so keep it.
pub(super) struct Scanner {
    text: String,
    words: Vec<Word>,
    /// Words by key: the number and 1, or 0 in an empty slot. At most half are in use, so that a search
    /// ends soon.
    slots: Vec<u32>,
    /// Of the hash, so that nobody can choose words that meet in one slot.
    seeds: Key,
    folded: String,
    pub(super) tokens: Vec<Token>,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        let seed = RandomState::new();
        Scanner {
            text: String::new(),
            words: Vec::new(),
            slots: vec![0; 1 << 10],
            seeds: [seed.hash_one(0), seed.hash_one(1)],
            folded: String::new(),
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
    pub(super) fn scan(&mut self, lists: &Lists, text: &str) {
        for token in &self.tokens {
            self.words[token.word as usize].count = 0;
        }
        self.tokens.clear();
        if self.text.len() > MOST_BYTES {
            self.text.clear();
            self.words.clear();
            self.slots.fill(0);
        }
        let bytes = text.as_bytes();
        let fences = memmem::find_iter(bytes, FENCE).count();
        let fences = fences > 0 && fences.is_multiple_of(2);
        let (mut last, mut line, mut sentence) = (0, 0, 0);
        let (mut fenced, mut heading, mut breaks) = (false, false, true);
        let (mut run, mut in_run) = ([const { Met::NONE }; RUN], 0);
        let english = lists.is_english();
        for range in words_in(text, lists.language) {
            if range.start != last + 1 || bytes[last] != b' ' || !english {
                let gap = &text[last..range.start];
                let (mut end, newline) = Gap::of(gap, last - line);
                if !english && end != Gap::Sentence {
                    end = Gap::of_language(text, last..range.start, lists.language);
                }
                if let Some(at) = newline {
                    line = last + at + 1;
                    heading = bytes[line..range.start].starts_with(b"#");
                } else if last == 0 {
                    heading = gap.starts_with('#');
                }
                if fences && memmem::find_iter(gap.as_bytes(), FENCE).count() % 2 == 1 {
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
            let first = bytes[range.start];
            let capital = if first.is_ascii() {
                first.is_ascii_uppercase()
            } else {
                text[range.clone()].starts_with(char::is_uppercase)
            };
            self.tokens.push(Token {
                word: 0,
                kind: Kind::Edge,
                breaks,
                capital,
                heading,
                sentence,
            });
            breaks = false;
            let plain = if english { plain_key(bytes, &range) } else { None };
            let key = plain.unwrap_or_default();
            run[in_run] = Met { key, hash: self.hash(key), place: range };
            in_run += 1;
            if in_run == RUN {
                self.look_up(lists, text, &run);
                in_run = 0;
            }
        }
        self.look_up(lists, text, &run[..in_run]);
        if english {
            self.join_names();
        }
    }

    /// Makes stop words that begin a name words of phrases: "New York". The beginning of a sentence
    /// has a capital anyway: there only "new" begins a name.
    fn join_names(&mut self) {
        let Scanner { tokens, words, text, .. } = self;
        let mut sentence = u32::MAX;
        for at in 1..tokens.len() {
            let (token, next) = (tokens[at - 1], tokens[at]);
            let opens = token.sentence != sentence;
            sentence = token.sentence;
            if !token.capital || token.kind == Kind::Content {
                continue;
            }
            let word = &words[token.word as usize];
            if word.begins_name
                && next.capital
                && next.kind == Kind::Content
                && !next.breaks
                && (!opens || &text[word.start as usize..word.end as usize] == "new")
            {
                tokens[at - 1].kind = Kind::Content;
            }
        }
    }

    /// Finds the words of the last tokens. Most are far away in memory: the loops over a run wait for
    /// many of them at once.
    fn look_up(&mut self, lists: &Lists, text: &str, run: &[Met]) {
        let (last, mut found) = (self.slots.len() - 1, [0u32; RUN]);
        for (found, met) in found.iter_mut().zip(run) {
            *found = self.slots[met.hash as usize & last];
        }
        for (found, met) in found.iter_mut().zip(run) {
            let word = self.words.get((*found).wrapping_sub(1) as usize);
            if word.is_none_or(|word| word.key != met.key) {
                *found = 0;
            }
        }
        let first = self.tokens.len() - run.len();
        for (at, (found, met)) in found.into_iter().zip(run).enumerate() {
            let number = match found {
                0 if met.key == Key::default() => self.number(lists, &text[met.place.clone()]),
                0 => match self.find(met.key, None) {
                    Ok(number) => number,
                    Err(_) => self.number(lists, &text[met.place.clone()]),
                },
                found => found - 1,
            };
            let word = &mut self.words[number as usize];
            word.count += 1;
            let token = &mut self.tokens[first + at];
            (token.word, token.kind) = (number, word.kind);
        }
    }

    #[inline]
    fn hash(&self, [low, high]: Key) -> u64 {
        let [a, b] = halves(u128::from(low ^ self.seeds[0]) * u128::from(high ^ self.seeds[1]));
        a ^ b
    }

    /// The number of the word with a key, `long` if it is; else the slot for it.
    fn find(&self, key: Key, long: Option<&str>) -> Result<u32, usize> {
        let last = self.slots.len() - 1;
        let mut at = self.hash(key) as usize & last;
        loop {
            let Some(number) = self.slots[at].checked_sub(1) else { return Err(at) };
            if self.words[number as usize].key == key
                && long.is_none_or(|long| self.text(number) == long)
            {
                return Ok(number);
            }
            at = (at + 1) & last;
        }
    }

    /// The number of a word, by its normal form without possessive endings.
    fn number(&mut self, lists: &Lists, original: &str) -> u32 {
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        normalise_into(original, &mut folded);
        let mut bare = folded.as_str();
        while strip_possessive(bare).len() < bare.len() {
            bare = strip_possessive(bare);
        }
        let (key, long) = if lists.is_english() && bare.len() <= KEY_BYTES {
            (halves(padded(bare.as_bytes())), None)
        } else {
            ([hash_bytes(bare.as_bytes()), lists.mark()], Some(bare))
        };
        let number = self.find(key, long).unwrap_or_else(|slot| self.add(lists, bare, key, slot));
        self.folded = folded;
        number
    }

    /// Numbers a word.
    fn add(&mut self, lists: &Lists, bare: &str, key: Key, slot: usize) -> u32 {
        let Lists { stop, kinds, common, .. } = lists;
        let straight = if bare.is_ascii() {
            Cow::Borrowed(bare)
        } else {
            Cow::Owned(bare.replace('’', "'"))
        };
        // A character can fold to several with punctuation between ("½"): such a word does not
        // count.
        let whole = bare.is_ascii() || words(bare).next().is_some_and(|r| r == (0..bare.len()));
        let kind = match (whole, stop.contains(bare) || stop.contains(&straight)) {
            (false, _) => Kind::Edge,
            (true, true) => kinds.get(&*straight).copied().unwrap_or(Kind::Other),
            (true, false) => Kind::Content,
        };
        let number = self.words.len() as u32;
        self.words.push(Word {
            key,
            start: self.text.len() as u32,
            end: (self.text.len() + bare.len()) as u32,
            kind,
            ending: ending(bare),
            begins_name: lists.is_english() && kind != Kind::Content && begins_name(bare),
            letter: bare.chars().any(char::is_alphabetic),
            digit: bare.chars().any(char::is_numeric),
            length: bare.chars().take(255).count() as u8,
            common: common.get(bare).copied().unwrap_or(0),
            count: 0,
        });
        self.text.push_str(bare);
        self.slots[slot] = number + 1;
        if self.words.len() > self.slots.len() / 2 {
            self.slots = vec![0; 2 * self.slots.len()];
            let last = self.slots.len() - 1;
            for (word, number) in self.words.iter().zip(1..) {
                let mut at = self.hash(word.key) as usize & last;
                while self.slots[at] != 0 {
                    at = (at + 1) & last;
                }
                self.slots[at] = number;
            }
        }
        number
    }
}

const FENCE: &[u8] = b"```";
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
    /// Of white space or punctuation, `line` bytes into a line; and the last line break.
    fn of(gap: &str, line: usize) -> (Gap, Option<usize>) {
        let bytes = gap.as_bytes();
        let (mut breaks, mut last_break, mut stops) = (0, None, false);
        let (mut space, mut ascii) = (true, true);
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b' ' | b'\t' | 0x0b | 0x0c | b'\r' => {}
                b'\n' => {
                    breaks += 1;
                    last_break = Some(at);
                }
                b'.' | b'!' | b'?' => {
                    space = false;
                    stops |= bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace);
                }
                128.. => ascii = false,
                _ => space = false,
            }
        }
        let end = if breaks > 1 || (breaks == 1 && (line < WRAPPED || gap.ends_with("  "))) || stops
        {
            Gap::Sentence
        } else if space && (ascii || gap.chars().all(char::is_whitespace)) {
            Gap::Joins
        } else {
            Gap::Phrase
        };
        (end, last_break)
    }

    /// Of a gap between two words of another language than English, which ends no sentence as in
    /// English.
    fn of_language(text: &str, gap: Range<usize>, language: Language) -> Gap {
        if text[gap.clone()].contains(FULL_STOPS) {
            Gap::Sentence
        } else if continues_phrase(text, gap, language) {
            Gap::Joins
        } else {
            Gap::Phrase
        }
    }
}

/// Ends of sentences beyond ASCII: of Chinese and Japanese, Arabic, Urdu, the scripts of India,
/// Armenian, Ethiopic, Burmese, Khmer. They need no space after them.
const FULL_STOPS: [char; 14] =
    ['。', '｡', '．', '！', '？', '؟', '۔', '।', '॥', '։', '።', '။', '។', '…'];
