//! The extractive predictor **[ours]**: for each segment of a document, the phrases that a query for it would most likely hold.
//!
//! Phrases are RAKE's of each sentence by itself. A phrase scores by how often its words stand in the segment, how early it comes
//! first and how many words it has; the best few make the query, set apart by semicolons so that RAKE finds them again. No function
//! but + − × ÷ and the square root: the same on every machine. The weights were chosen on the training split of benches/queries.

use std::collections::HashMap;

use longweave_common::{Ctx, Result};
use longweave_keywords::{Rake, RakeOptions, Scratch, StopList};

use crate::{DocumentRef, Predictor, Queries};

/// Tokens of a word, about; a segment of n tokens has n / this many words.
const TOKENS_PER_WORD: f64 = 4.0 / 3.0;
/// Phrases in a query.
const PHRASES: usize = 3;
/// Most words of a phrase.
const MOST_WORDS: usize = 4;

/// How to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtractiveOptions {
    /// Tokens of a segment, each of which has a query; counted as 4/3 of its words.
    pub segment_tokens: u32,
}

/// Picks phrases.
pub struct Extractive {
    rake: Rake,
    segment_words: usize,
}

/// A phrase of a segment.
struct Phrase {
    text: String,
    words: usize,
    /// Sentences that have it.
    sentences: u32,
    /// The first sentence that has it.
    first: u32,
}

#[derive(Default)]
struct Buffers {
    scratch: Scratch,
    phrases: Vec<Phrase>,
    known: HashMap<String, usize>,
    words: HashMap<String, u32>,
    query: String,
}

impl Extractive {
    /// A predictor.
    pub fn new(options: ExtractiveOptions) -> Extractive {
        let rake = Rake::new(StopList::smart(), RakeOptions { max_words: MOST_WORDS, ..RakeOptions::default() });
        let segment_words = ((f64::from(options.segment_tokens) / TOKENS_PER_WORD) as usize).max(8);
        Extractive { rake, segment_words }
    }

    /// Writes the query of a segment to `buffers.query`; empty where no phrase is found.
    fn query(&self, segment: &str, buffers: &mut Buffers) {
        let Buffers { scratch, phrases, known, words, query } = buffers;
        phrases.clear();
        known.clear();
        words.clear();
        query.clear();
        for (number, sentence) in sentences(segment).enumerate() {
            self.rake.extract(scratch, sentence, |text, _| {
                for word in text.split(' ') {
                    match words.get_mut(word) {
                        Some(count) => *count += 1,
                        None => {
                            words.insert(word.to_owned(), 1);
                        }
                    }
                }
                match known.get(text) {
                    Some(&at) => phrases[at].sentences += 1,
                    None => {
                        known.insert(text.to_owned(), phrases.len());
                        let words = text.split(' ').count();
                        phrases.push(Phrase { text: text.to_owned(), words, sentences: 1, first: number as u32 });
                    }
                }
            });
        }
        // Phrases of one word are keywords of nothing in a query (RAKE gives them 1); they serve where there is no other.
        let least = if phrases.iter().any(|p| p.words > 1) { 2 } else { 1 };
        let mut ranked: Vec<(f64, usize)> =
            phrases.iter().enumerate().filter(|(_, p)| p.words >= least).map(|(i, p)| (score(p, words), i)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, i) in ranked.into_iter().take(PHRASES) {
            if !query.is_empty() {
                query.push_str("; ");
            }
            query.push_str(&phrases[i].text);
        }
    }
}

fn score(phrase: &Phrase, words: &HashMap<String, u32>) -> f64 {
    let frequency: f64 =
        phrase.text.split(' ').map(|w| f64::from(words.get(w).copied().unwrap_or(1)).sqrt()).sum::<f64>() / phrase.words as f64;
    let length = match phrase.words {
        2 => 1.0,
        3 => 0.9,
        _ => 0.6,
    };
    let early = 1.0 + 1.0 / (1.0 + f64::from(phrase.first));
    frequency * length * early * f64::from(phrase.sentences).sqrt()
}

/// Sentences: runs up to `.`, `!` or `?` before white space, and up to line breaks.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let bytes = rest.as_bytes();
            let ends = |i: usize| {
                bytes[i] == b'\n' || (matches!(bytes[i], b'.' | b'!' | b'?') && bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace))
            };
            let end = (0..bytes.len()).find(|&i| ends(i)).map_or(bytes.len(), |i| i + 1);
            let (sentence, after) = rest.split_at(end);
            rest = after;
            if !sentence.trim().is_empty() {
                return Some(sentence);
            }
        }
        None
    })
}

/// Runs of about `words` words that end at white space; a last run of less than half as many belongs to the one before.
fn segments(text: &str, words: usize) -> Vec<&str> {
    let mut starts = vec![0];
    let (mut count, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            inside = false;
        } else if !inside {
            inside = true;
            if count == words {
                starts.push(at);
                count = 0;
            }
            count += 1;
        }
    }
    if starts.len() > 1 && count * 2 < words {
        starts.pop();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

impl Predictor for Extractive {
    fn name(&self) -> &'static str {
        "extractive"
    }

    fn predict(&self, ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()> {
        let mut buffers = Buffers::default();
        for document in batch {
            ctx.cancel.check()?;
            for (number, segment) in segments(document.text, self.segment_words).into_iter().enumerate() {
                self.query(segment, &mut buffers);
                if !buffers.query.is_empty() {
                    out.push(number as u32, &buffers.query);
                }
            }
            out.end_document();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queries(text: &str, segment_tokens: u32) -> Vec<String> {
        let ctx = Ctx::new(1, 1 << 20).unwrap();
        let mut out = Queries::default();
        let document = DocumentRef { id: "x", text, queries: &[] };
        Extractive::new(ExtractiveOptions { segment_tokens }).predict(&ctx, &[document], &mut out).unwrap();
        out.of(0).map(|(_, q)| q.to_owned()).collect()
    }

    #[test]
    fn what_a_text_is_about_is_asked_for() {
        let text = "Honey bees dance to tell the hive where flowers are. The waggle dance of honey bees gives direction and distance. \
                    Other honey bees follow the waggle dance in the dark.";
        let query = queries(text, 384).remove(0);
        assert!(query.starts_with("honey bees"), "{query}");
        assert!(query.contains("waggle dance"), "{query}");
    }

    #[test]
    fn a_long_text_has_a_query_for_each_segment() {
        let text = "Steam engines drove cotton mills. ".repeat(40) + &"Coral reefs shelter young fish. ".repeat(40);
        let all = queries(&text, 128);
        assert!(all.len() >= 3, "{all:?}");
        assert!(all[0].contains("steam engines drove cotton") || all[0].contains("cotton mills"), "{all:?}");
        assert!(all[all.len() - 1].contains("coral reefs"), "{all:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_phrases_come_from_it(text in "\\PC{0,200}|[a-z .\n]{0,300}") {
            for query in queries(&text, 16) {
                for phrase in query.split("; ") {
                    let words: Vec<String> = phrase.split(' ').map(str::to_owned).collect();
                    let folded = longweave_keywords::normalise(&text);
                    prop_assert!(words.iter().all(|w| folded.contains(w.as_str())), "{phrase:?} in {text:?}");
                }
            }
        }
    }
}
