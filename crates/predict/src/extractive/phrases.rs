//! The phrases of a segment, each with what the scorer looks at: small whole numbers.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::scan::{Ending, Kind, Scanner, Token, Word};
use super::scorer::Scorer;
use super::tree::FEATURES;

/// Most words of a phrase.
pub(super) const MOST_WORDS: usize = 4;
/// The learned score that 1 of the hand-set weight is worth, where 100,000 is 1 of log-odds.
const BY_HAND: f64 = 10_000.0;

/// No phrase.
const NONE: u32 = u32::MAX;

/// A run of words that occurs somewhere in the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase {
    words: [u32; MOST_WORDS],
    len: u8,
    /// See [`key`].
    key: u64,
    /// The phrases without its last word, without its first; [`NONE`] where there is no such phrase.
    parts: [u32; 2],
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

/// The key of a phrase among those of a segment: its last word, and before it a word or the number of
/// the phrase without the last word. `long` tells these apart.
fn key(before: u32, long: bool, word: u32) -> u64 {
    u64::from(long) << 63 | u64::from(before) << 32 | u64::from(word)
}

fn hash(key: u64) -> u64 {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

impl Phrases {
    /// Collects the phrases of two and more words of segment `number`; where there is none, the
    /// single words.
    pub(super) fn collect(&mut self, scanner: &Scanner, tokens: &[Token], number: u32) {
        self.all.clear();
        self.known.clear();
        let (mut content, mut capitals) = (0, 0);
        for token in tokens {
            let counts = u32::from(token.kind == Kind::Content);
            content += counts;
            capitals += counts & u32::from(token.capital);
        }
        self.capitals = (capitals * 8).checked_div(content).unwrap_or(0) as u8;
        (self.content, self.tokens, self.number) = (content, tokens.len() as u32, number);
        self.runs(scanner, tokens, 2);
        if self.all.is_empty() {
            self.runs(scanner, tokens, 1);
        }
        for at in 0..self.all.len() {
            let Phrase { parts, count, .. } = self.all[at];
            for part in parts.into_iter().filter(|&part| part != NONE) {
                let wider = &mut self.all[part as usize].wider;
                *wider = (*wider).max(count);
            }
        }
    }

    fn runs(&mut self, scanner: &Scanner, tokens: &[Token], least: usize) {
        let mut start = 0;
        while start < tokens.len() {
            if tokens[start].kind != Kind::Content {
                start += 1;
                continue;
            }
            let more = tokens[start + 1..].iter();
            let length = 1 + more.take_while(|t| t.kind == Kind::Content && !t.breaks).count();
            let end = start + length;
            if length >= least {
                self.run(scanner, tokens, (start, end), least);
            }
            start = end;
        }
    }

    /// Counts the phrases of a run of words.
    fn run(
        &mut self,
        scanner: &Scanner,
        tokens: &[Token],
        (start, end): (usize, usize),
        least: usize,
    ) {
        // By number of words, the phrases that begin one word earlier.
        let mut earlier = [NONE; MOST_WORDS + 1];
        for from in start..end {
            let first = &tokens[from];
            // "13 years ago": a phrase does not begin with a number.
            if !scanner.word(first.word).letter {
                earlier = [NONE; MOST_WORDS + 1];
                continue;
            }
            let opens = from == 0 || tokens[from - 1].sentence != first.sentence;
            let mut own = [NONE; MOST_WORDS + 1];
            let mut all_capital = true;
            for to in from + 1..=end.min(from + MOST_WORDS) {
                let (len, last) = (to - from, &tokens[to - 1]);
                all_capital &= last.capital;
                if len < least {
                    continue;
                }
                let key = match len {
                    1 | 2 => key(first.word, len == 1, last.word),
                    _ => key(own[len - 1], true, last.word),
                };
                let Phrases { all, known, .. } = self;
                let known = known.entry(
                    hash(key),
                    |&n| all[n as usize].key == key,
                    |&n| hash(all[n as usize].key),
                );
                let number = match known {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(vacant) => {
                        vacant.insert(all.len() as u32);
                        let mut words = [NONE; MOST_WORDS];
                        words.iter_mut().zip(&tokens[from..to]).for_each(|(w, t)| *w = t.word);
                        all.push(Phrase {
                            words,
                            len: len as u8,
                            key,
                            parts: [own[len - 1], NONE],
                            count: 0,
                            starts: 0,
                            ends: 0,
                            alone: 0,
                            wider: 0,
                            capitals: 0,
                            first_capital: 0,
                            last_capital: 0,
                            place: from as u32,
                            sentence: first.sentence - tokens[0].sentence,
                            before: match (from > start, first.breaks || from == 0) {
                                (true, _) => Kind::Content,
                                (false, true) => Kind::Edge,
                                (false, false) => tokens[from - 1].kind,
                            },
                            after: match tokens.get(to) {
                                Some(next) if !next.breaks => next.kind,
                                _ => Kind::Edge,
                            },
                            run: (end - start) as u32,
                            opens,
                            heading: first.heading,
                        });
                        all.len() as u32 - 1
                    }
                };
                let phrase = &mut all[number as usize];
                phrase.count += 1;
                phrase.starts += u32::from(from == start);
                phrase.ends += u32::from(to == end);
                phrase.alone += u32::from(from == start && to == end);
                phrase.first_capital += u32::from(first.capital && !opens);
                phrase.last_capital += u32::from(last.capital);
                phrase.capitals += u32::from(all_capital);
                own[len] = number;
                if let Some(&longer) = earlier.get(len + 1).filter(|&&longer| longer != NONE) {
                    all[longer as usize].parts[1] = number;
                }
            }
            earlier = own;
        }
    }

    /// How likely a query has the phrase: larger is likelier.
    pub(super) fn score(&self, scorer: &Scorer, scanner: &Scanner, phrase: &Phrase) -> i32 {
        let learned = scorer.score(&self.features(scanner, phrase));
        learned.saturating_add(score_by_hand(scanner, phrase))
    }

    /// The features of the scorer.
    pub(super) fn features(&self, scanner: &Scanner, phrase: &Phrase) -> [u8; FEATURES] {
        let words = phrase.words();
        let word = |at: usize| scanner.word(words[at]);
        let (first, last) = (word(0), word(words.len() - 1));
        let share = |n: u32| (if phrase.count == 1 { n * 8 } else { n * 8 / phrase.count }) as u8;
        let (mut least, mut sum, mut common, mut commonest) = (u32::MAX, 0, u8::MAX, 0);
        let (mut digit, mut verb) = (false, false);
        for at in 0..words.len() {
            let &Word { count, common: own, ending, digit: has_digit, .. } = word(at);
            least = least.min(count);
            sum += count;
            (common, commonest) = (common.min(own), commonest.max(own));
            digit |= has_digit;
            verb |= matches!(ending, Ending::Past | Ending::Ing | Ending::Adverb);
        }
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
            u8::from(digit),
            last.common,
            first.common,
            common,
            commonest,
            u8::from(phrase.heading),
            small(phrase.run),
            u8::from(phrase.opens),
            u8::from(self.number == 0 && phrase.sentence == 0),
            u8::from(verb),
        ]
    }
}

/// The score of a phrase by its hand-set weight alone.
pub(super) fn score_by_hand(scanner: &Scanner, phrase: &Phrase) -> i32 {
    (BY_HAND * by_hand(scanner, phrase)) as i32
}

/// The hand-set weight: how often the phrase's words occur in the document, their number, how early
/// and how often it comes, and the share of its occurrences that no longer phrase contains.
fn by_hand(scanner: &Scanner, phrase: &Phrase) -> f64 {
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
