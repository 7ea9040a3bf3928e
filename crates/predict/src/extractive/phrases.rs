//! The phrases of a segment, each with what the scorer looks at: small whole numbers.

use hashbrown::HashTable;
use longweave_keywords::hash_words;

use super::scan::{Ending, Kind, Scanner, Token, Word};
use super::scorer;
use super::tree::FEATURES;

/// Most words of a phrase.
pub(super) const MOST_WORDS: usize = 4;
/// The learned score that 1 of the hand-set weight is worth, where 100,000 is 1 of log-odds.
const BY_HAND: f64 = 10_000.0;

/// A run of words that occurs somewhere in the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase {
    pub(super) words: [u32; MOST_WORDS],
    pub(super) len: u8,
    /// Times in the segment.
    count: u32,
    /// Occurrences that no longer phrase extends to the left, to the right, to either side.
    starts: u32,
    ends: u32,
    alone: u32,
    /// Most times of a phrase that is one word longer.
    wider: u32,
    /// Times with all words capitalised, its first, its last word capitalised; none at the
    /// beginning of a sentence.
    capitals: u32,
    first_capital: u32,
    last_capital: u32,
    /// Of the first occurrence: place of its first word, sentence, the tokens before and after,
    /// words of the longest run with it.
    place: u32,
    sentence: u32,
    before: Kind,
    after: Kind,
    run: u32,
    opens: bool,
    heading: bool,
}

impl Phrase {
    pub(super) fn words(&self) -> &[u32] {
        &self.words[..usize::from(self.len)]
    }
}

/// The phrases of the current segment.
#[derive(Default)]
pub(super) struct Phrases {
    pub(super) all: Vec<Phrase>,
    known: HashTable<u32>,
    /// Share of content words with a capital, in eighths.
    capitals: u8,
    /// Content words.
    content: u32,
    tokens: u32,
    number: u32,
}

fn small(value: u32) -> u8 {
    value.min(255) as u8
}

fn pack(words: impl Iterator<Item = u32>) -> [u32; MOST_WORDS] {
    let mut packed = [u32::MAX; MOST_WORDS];
    packed.iter_mut().zip(words).for_each(|(p, w)| *p = w);
    packed
}

impl Phrases {
    /// Collects the phrases of two and more words of segment `number`; where there is none, the
    /// single words.
    pub(super) fn collect(&mut self, scanner: &Scanner<'_>, tokens: &[Token], number: u32) {
        self.all.clear();
        self.known.clear();
        let content = tokens.iter().filter(|t| t.kind == Kind::Content);
        let (all, capitals) =
            content.fold((0, 0), |(all, capitals), t| (all + 1, capitals + u32::from(t.capital)));
        self.capitals = (capitals * 8).checked_div(all).unwrap_or(0) as u8;
        (self.content, self.tokens, self.number) = (all, tokens.len() as u32, number);
        self.runs(scanner, tokens, 2);
        if self.all.is_empty() {
            self.runs(scanner, tokens, 1);
        }
        for at in 0..self.all.len() {
            let Phrase { words, len, count, .. } = self.all[at];
            let len = usize::from(len);
            if len > 2 {
                for part in [&words[..len - 1], &words[1..len]] {
                    if let Some(part) = self.find(&pack(part.iter().copied())) {
                        let part = &mut self.all[part as usize];
                        part.wider = part.wider.max(count);
                    }
                }
            }
        }
    }

    fn find(&self, words: &[u32; MOST_WORDS]) -> Option<u32> {
        self.known.find(hash_words(words), |&n| self.all[n as usize].words == *words).copied()
    }

    fn runs(&mut self, scanner: &Scanner<'_>, tokens: &[Token], least: usize) {
        let mut start = 0;
        while start < tokens.len() {
            if tokens[start].kind != Kind::Content {
                start += 1;
                continue;
            }
            let length = 1 + tokens[start + 1..]
                .iter()
                .take_while(|t| t.kind == Kind::Content && !t.breaks)
                .count();
            let end = start + length;
            for from in start..end {
                // "13 years ago": a phrase does not begin with a number.
                if scanner.word(tokens[from].word).letter {
                    for to in from + least..=end.min(from + MOST_WORDS) {
                        self.add(tokens, (start, end), (from, to));
                    }
                }
            }
            start = end;
        }
    }

    fn add(&mut self, tokens: &[Token], (start, end): (usize, usize), (from, to): (usize, usize)) {
        let span = &tokens[from..to];
        let words = pack(span.iter().map(|t| t.word));
        let number = match self.find(&words) {
            Some(number) => number as usize,
            None => {
                let number = self.all.len();
                let before = match (from > start, tokens[from].breaks || from == 0) {
                    (true, _) => Kind::Content,
                    (false, true) => Kind::Edge,
                    (false, false) => tokens[from - 1].kind,
                };
                let after = match tokens.get(to) {
                    Some(next) if !next.breaks => next.kind,
                    _ => Kind::Edge,
                };
                let opens = from == 0 || tokens[from - 1].sentence != tokens[from].sentence;
                self.all.push(Phrase {
                    words,
                    len: span.len() as u8,
                    count: 0,
                    starts: 0,
                    ends: 0,
                    alone: 0,
                    wider: 0,
                    capitals: 0,
                    first_capital: 0,
                    last_capital: 0,
                    place: from as u32,
                    sentence: tokens[from].sentence - tokens[0].sentence,
                    before,
                    after,
                    run: (end - start) as u32,
                    opens,
                    heading: tokens[from].heading,
                });
                let Phrases { all, known, .. } = self;
                known.insert_unique(hash_words(&words), number as u32, |&n| {
                    hash_words(&all[n as usize].words)
                });
                number
            }
        };
        let opens = from == 0 || tokens[from - 1].sentence != tokens[from].sentence;
        let phrase = &mut self.all[number];
        phrase.count += 1;
        phrase.starts += u32::from(from == start);
        phrase.ends += u32::from(to == end);
        phrase.alone += u32::from(from == start && to == end);
        phrase.first_capital += u32::from(span[0].capital && !opens);
        phrase.last_capital += u32::from(span[span.len() - 1].capital);
        phrase.capitals += u32::from(span.iter().all(|t| t.capital));
    }

    /// How likely a query has the phrase: larger is likelier.
    pub(super) fn score(&self, scanner: &Scanner<'_>, phrase: &Phrase) -> i32 {
        scorer::score(&self.features(scanner, phrase)) + (BY_HAND * by_hand(scanner, phrase)) as i32
    }

    /// The features of the scorer.
    pub(super) fn features(&self, scanner: &Scanner<'_>, phrase: &Phrase) -> [u8; FEATURES] {
        let word = |n: &u32| scanner.word(*n);
        let words = phrase.words();
        let (first, last) = (word(&words[0]), word(&words[words.len() - 1]));
        let inner = || words.iter().map(word);
        let share = |n: u32| (n * 8 / phrase.count) as u8;
        let of = |f: fn(&Word) -> u32| {
            (
                inner().map(f).min().unwrap_or(0),
                inner().map(f).max().unwrap_or(0),
                inner().map(f).sum::<u32>(),
            )
        };
        let (least, _, sum) = of(|w| w.count);
        let (common, commonest, _) = of(|w| u32::from(w.common));
        [
            phrase.len,
            small(phrase.count),
            share(phrase.starts),
            share(phrase.ends),
            share(phrase.alone),
            share(phrase.wider),
            phrase.before as u8,
            phrase.after as u8,
            small(phrase.sentence),
            (phrase.place * 32 / self.tokens.max(1)) as u8,
            small(self.content / 4),
            small(self.number),
            small(last.count),
            small(least),
            small(sum * 4 / words.len() as u32),
            share(phrase.capitals),
            share(phrase.first_capital),
            share(phrase.last_capital),
            self.capitals,
            last.ending as u8,
            first.ending as u8,
            last.length,
            first.length,
            u8::from(last.digit),
            u8::from(inner().any(|w| w.digit)),
            last.common,
            first.common,
            common as u8,
            commonest as u8,
            u8::from(phrase.heading),
            small(phrase.run),
            u8::from(phrase.opens),
            u8::from(self.number == 0 && phrase.sentence == 0),
            u8::from(
                inner().any(|w| matches!(w.ending, Ending::Past | Ending::Ing | Ending::Adverb)),
            ),
        ]
    }
}

/// The hand-set weight: how often the phrase's words occur in the document, their number, how early
/// and how often it comes, and the share of its occurrences that no longer phrase contains.
fn by_hand(scanner: &Scanner<'_>, phrase: &Phrase) -> f64 {
    let words = phrase.words();
    let frequency = words.iter().map(|&w| f64::from(scanner.word(w).count).sqrt()).sum::<f64>()
        / words.len() as f64;
    let length = match words.len() {
        1 | 2 => 1.0,
        3 => 0.9,
        _ => 0.6,
    };
    let early = 1.0 + 1.0 / (1.0 + f64::from(phrase.sentence));
    let alone = f64::from(phrase.alone + 1) / f64::from(phrase.count + 1);
    frequency * length * early * f64::from(phrase.count).sqrt() * alone
}
