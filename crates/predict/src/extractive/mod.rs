//! The extractive predictor **[ours]**: for each segment of a document, the phrases that a query
//! for it would most likely hold.
//!
//! A phrase is a run of two to four words between stop words and punctuation, as RAKE takes them,
//! or a part of one. A learned scorer scores observable features: how often the candidate and its
//! words occur in the segment, where, its neighbours, capitals, endings. To it comes a weight set
//! by hand, because the learned one alone falls behind on kinds of text that it did not see. The
//! best few, none within another, make the query, set apart by semicolons so that RAKE finds them
//! again. Nothing but whole numbers and + − × ÷ √: the same on every machine. How it was chosen:
//! benches/queries.
//!
//! The learned scorer knows English alone. Phrases of other languages have the weight set by hand.
//! Where a script has no spaces, words of a query are separated by spaces of no width.

mod phrases;
mod scan;
mod scorer;
mod tree;
mod weights;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, OnceLock, PoisonError};

use longweave_common::{Ctx, Result};
use longweave_language::{BOUNDARY, Language, is_unspaced};

use crate::{DocumentRef, Predictor, Queries};
use phrases::{Phrase, Phrases, score_by_hand};
use scan::{Lists, Scanner, Token};
use scorer::Scorer;
use tree::FEATURES;

/// Tokens of a word, about; a segment of n tokens has n / this many words.
const TOKENS_PER_WORD: f64 = 4.0 / 3.0;
/// Phrases in a query.
const PHRASES: usize = 6;

/// How to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtractiveOptions {
    /// Tokens of a segment, each of which has a query; counted as 4/3 of its words.
    pub segment_tokens: u32,
}

/// Picks phrases.
pub struct Extractive {
    lists: [OnceLock<Lists>; Language::COUNT],
    scorer: Scorer,
    segment_words: usize,
    phrases: usize,
    /// Buffers that no call uses now: they know the words of earlier ones.
    idle: Mutex<Vec<Buffers>>,
}

/// A phrase that was weighed, for studies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    pub segment: u32,
    /// The phrase, normalised.
    pub text: String,
    /// Documents, segments and phrases that the scorer read.
    pub features: [u8; FEATURES],
    /// The queries that it returned.
    pub score: i32,
    /// Whether the phrase is in the query.
    pub chosen: bool,
}

struct Buffers {
    scanner: Scanner,
    phrases: Phrases,
    /// Phrases by score; of equals, the one that occurs first.
    ranked: BinaryHeap<(i32, Reverse<u32>)>,
    chosen: Vec<u32>,
}

/// Tokens of a document above which buffers are not kept.
const MOST_TOKENS: usize = 1 << 18;

impl Buffers {
    fn new() -> Buffers {
        Buffers {
            scanner: Scanner::new(),
            phrases: Phrases::default(),
            ranked: BinaryHeap::new(),
            chosen: Vec::new(),
        }
    }
}

impl Extractive {
    /// A predictor.
    pub fn new(options: ExtractiveOptions) -> Extractive {
        Extractive {
            lists: [const { OnceLock::new() }; Language::COUNT],
            scorer: Scorer::new(),
            segment_words: ((f64::from(options.segment_tokens) / TOKENS_PER_WORD) as usize).max(8),
            phrases: PHRASES,
            idle: Mutex::default(),
        }
    }

    /// The predictor with another number of phrases in a query, for studies.
    #[must_use]
    pub fn with_phrases(self, phrases: usize) -> Extractive {
        Extractive { phrases, ..self }
    }

    fn lists(&self, language: Language) -> &Lists {
        self.lists[language.index()].get_or_init(|| Lists::of(language))
    }

    /// All phrases of an English text, with what the scorer saw of each and gave: for studies.
    pub fn weigh(&self, text: &str) -> Vec<Weighed> {
        let mut buffers = Buffers::new();
        let mut all = Vec::new();
        self.segments(text, Language::ENGLISH, &mut buffers, |segment, buffers| {
            for (at, phrase) in buffers.phrases.all.iter().enumerate() {
                let features = buffers.phrases.features(&buffers.scanner, phrase);
                let mut text = String::new();
                write(&buffers.scanner, phrase, true, &mut text);
                let chosen = buffers.chosen.contains(&(at as u32));
                all.push(Weighed {
                    segment,
                    text,
                    features,
                    score: buffers.phrases.score(&self.scorer, &buffers.scanner, phrase),
                    chosen,
                });
            }
        });
        all
    }

    /// Chooses the phrases of each segment, and calls `take` with the segment's number.
    fn segments(
        &self,
        text: &str,
        language: Language,
        buffers: &mut Buffers,
        mut take: impl FnMut(u32, &Buffers),
    ) {
        let lists = self.lists(language);
        buffers.scanner.scan(lists, text);
        let tokens = std::mem::take(&mut buffers.scanner.tokens);
        for (number, segment) in segments(&tokens, self.segment_words).enumerate() {
            buffers.phrases.collect(&buffers.scanner, segment, number as u32);
            self.choose(buffers, lists.is_english());
            take(number as u32, buffers);
        }
        buffers.scanner.tokens = tokens;
    }

    /// The best phrases, best first; none that is part of a better one or has one as a part.
    fn choose(&self, buffers: &mut Buffers, english: bool) {
        let Buffers { scanner, phrases, ranked, chosen } = buffers;
        let mut scores = std::mem::take(ranked).into_vec();
        scores.clear();
        let all = phrases.all.iter().zip(0..);
        if english {
            let score = |phrase| phrases.score(&self.scorer, scanner, phrase);
            scores.extend(all.map(|(phrase, at)| (score(phrase), Reverse(at))));
        } else {
            let score = |phrase| score_by_hand(scanner, phrase);
            scores.extend(all.map(|(phrase, at)| (score(phrase), Reverse(at))));
        }
        *ranked = scores.into();
        chosen.clear();
        while chosen.len() < self.phrases
            && let Some((_, Reverse(at))) = ranked.pop()
        {
            let phrase = &phrases.all[at as usize];
            if !chosen.iter().any(|&c| overlap(phrase, &phrases.all[c as usize])) {
                chosen.push(at);
            }
        }
    }
}

/// Whether all words of one are in the other.
fn overlap(a: &Phrase, b: &Phrase) -> bool {
    let (short, long) = if a.words().len() < b.words().len() { (a, b) } else { (b, a) };
    short.words().iter().all(|w| long.words().contains(w))
}

/// Appends a phrase as queries have it.
fn write(scanner: &Scanner, phrase: &Phrase, english: bool, out: &mut String) {
    let mut in_name = false;
    for (at, &word) in phrase.words().iter().enumerate() {
        let text = scanner.text(word);
        if at > 0 {
            let touches = out.ends_with(is_unspaced) || text.starts_with(is_unspaced);
            out.push(if touches && !english { BOUNDARY } else { ' ' });
        }
        // Capitals tell RAKE that a stop word begins a name.
        let begins_name = scanner.word(word).begins_name;
        match text.chars().next().filter(|_| begins_name || in_name) {
            Some(first) => {
                out.extend(first.to_uppercase());
                out.push_str(&text[first.len_utf8()..]);
            }
            None => out.push_str(text),
        }
        in_name = begins_name;
    }
}

/// Runs of `words` words; a last run of less than half as many belongs to the one before.
fn segments(tokens: &[Token], words: usize) -> impl Iterator<Item = &[Token]> {
    let count = ((tokens.len() + words / 2) / words).max(1);
    (0..count).map(move |n| {
        &tokens[n * words..if n + 1 == count { tokens.len() } else { (n + 1) * words }]
    })
}

impl Predictor for Extractive {
    fn name(&self) -> &'static str {
        "extractive"
    }

    fn predict(&self, ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut buffers = kept.unwrap_or_else(Buffers::new);
        let mut query = String::new();
        for document in batch {
            ctx.cancel.check()?;
            let english = document.language == Language::ENGLISH;
            self.segments(document.text, document.language, &mut buffers, |segment, buffers| {
                query.clear();
                for &at in &buffers.chosen {
                    if !query.is_empty() {
                        query.push_str("; ");
                    }
                    let phrase = &buffers.phrases.all[at as usize];
                    write(&buffers.scanner, phrase, english, &mut query);
                }
                if !query.is_empty() {
                    out.push(segment, &query);
                }
            });
            out.end_document();
        }
        if buffers.scanner.tokens.capacity() <= MOST_TOKENS {
            idle().push(buffers);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longweave_keywords::{Rake, RakeOptions, StopList, candidates};
    use proptest::prelude::*;

    fn queries(text: &str, segment_tokens: u32) -> Vec<String> {
        queries_in(text, Language::ENGLISH, segment_tokens)
    }

    fn queries_in(text: &str, language: Language, segment_tokens: u32) -> Vec<String> {
        let ctx = Ctx::new(1, 1 << 20).unwrap();
        let mut out = Queries::default();
        let document = DocumentRef { id: "x", text, language, queries: &[] };
        Extractive::new(ExtractiveOptions { segment_tokens })
            .predict(&ctx, &[document], &mut out)
            .unwrap();
        out.of(0).map(|(_, q)| q.to_owned()).collect()
    }

    #[test]
    fn what_a_text_is_about_is_asked_for() {
        let text = "Honey bees dance to tell the hive where flowers are. The waggle dance of honey \
                    bees gives direction and distance. Other honey bees follow the waggle dance in \
                    the dark.";
        let query = queries(text, 384).remove(0);
        assert!(query.starts_with("honey bees"), "{query}");
        assert!(query.contains("waggle dance"), "{query}");
    }

    #[test]
    fn a_long_text_has_a_query_for_each_segment() {
        let text = "Steam engines drove cotton mills. ".repeat(40)
            + &"Coral reefs shelter young fish. ".repeat(40);
        let all = queries(&text, 128);
        assert!(all.len() >= 3, "{all:?}");
        assert!(
            all[0].contains("steam engines drove cotton") || all[0].contains("cotton mills"),
            "{all:?}"
        );
        assert!(all[all.len() - 1].contains("coral reefs"), "{all:?}");
    }

    #[test]
    fn texts_that_are_no_prose_are_taken() {
        for (text, expected) in [
            ("", None),
            ("the of and", None),
            ("1993 1994 12:30", None),
            ("東京都の人口は多い", Some("東京都の人口は多い")),
            ("```\nint main() { return 0; }\n```", None),
            (
                "Use a range adaptor:\n\n```cpp\nint counter = first second third;\n```\n",
                Some("range adaptor"),
            ),
            ("13 years ago", Some("years ago")),
        ] {
            assert_eq!(queries(text, 384).first().map(String::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_of_other_languages_have_phrases() {
        for (code, text, expected) in [
            (
                "zh",
                "光合作用是植物利用光能的过程。叶绿素吸收光能。",
                "植物·利用·光能; 叶绿素·吸收·光能",
            ),
            ("ja", "東京都の人口は多い。機械学習モデルを訓練する！", "東京·都; 機械·学習·モデル"),
            (
                "th",
                "ระบบสุริยะประกอบด้วยดวงอาทิตย์ ดาวเคราะห์น้อย",
                "ดวง·อาทิตย์; ระบบ·สุริยะ·ประกอบ; ดาว·เคราะห์·น้อย",
            ),
            (
                "ar",
                "تقع مدينة القاهرة على ضفاف نهر النيل؟ نهر النيل طويل",
                "ضفاف نهر النيل; تقع مدينة القاهرة; نهر النيل طويل",
            ),
            (
                "hi",
                "नई दिल्ली भारत की राजधानी है। नई दिल्ली में बहुत लोग रहते हैं।",
                "नई दिल्ली; लोग रहते; दिल्ली भारत",
            ),
            (
                "ru",
                "Красная площадь расположена в центре Москвы",
                "центре москвы; красная площадь расположена",
            ),
            ("fr", "Les panneaux d'énergie solaire de l’État français", "énergie solaire"),
        ] {
            let all = queries_in(text, Language::of(code).unwrap(), 384);
            assert_eq!(all.join("; ").replace('\u{200b}', "·"), expected, "{text}");
        }
    }

    #[test]
    fn buffers_that_were_used_give_the_same_as_fresh_ones() {
        let ctx = Ctx::new(1, 1 << 20).unwrap();
        let texts = [
            "Red kites nest in tall trees near open fields.",
            "Tall trees: open fields! Red kites.",
            "",
            "Open fields and red kites; old dice die hard",
        ];
        // Words that two languages share, one after the other: only one of them has "die" as a stop word.
        let languages = [Language::ENGLISH, Language::of("de").unwrap(), Language::ENGLISH];
        let all = || languages.iter().flat_map(|&l| texts.iter().map(move |&t| (t, l)));
        let batch: Vec<DocumentRef<'_>> = all()
            .map(|(text, language)| DocumentRef { id: "x", text, language, queries: &[] })
            .collect();
        let mut out = Queries::default();
        Extractive::new(ExtractiveOptions { segment_tokens: 384 })
            .predict(&ctx, &batch, &mut out)
            .unwrap();
        for (i, (text, language)) in all().enumerate() {
            let fresh = queries_in(text, language, 384);
            assert!(out.of(i).map(|(_, q)| q.to_owned()).eq(fresh), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn rake_finds_each_phrase_of_two_and_more_words_again(
            text in "\\PC{0,200}|[a-zA-Z .\n]{0,300}|([a-eA-E]{1,2}|[a-c]'s('s)?|the|don’t|3\\.5|½|É\u{301}|[ ,.;\n-]){0,60}"
        ) {
            let rake = Rake::new(StopList::smart(), RakeOptions { min_score: 3.0, ..RakeOptions::default() });
            for query in queries(&text, 16) {
                let found = candidates(&rake, &mut rake.scratch(), [query.as_str()]);
                for phrase in query.split("; ").filter(|p| p.contains(' ')) {
                    prop_assert!(found.iter().any(|f| f == phrase), "{phrase:?} of {query:?} in {text:?}");
                }
            }
        }

        #[test]
        fn rake_finds_phrases_of_any_language_again(
            text in "\\PC{0,120}|([一-三]{1,4}|[〸-〺㆒㊀]|太阳能电池|東京都の|ประเทศไทย|မြန်မာ|[a-c]{1,3}|[ ,。.\u{200b}]){0,40}",
            number in 0..Language::COUNT as u8,
        ) {
            let language = Language::of_number(number).unwrap();
            let options = RakeOptions { min_score: 3.0, ..RakeOptions::default() };
            let rake = Rake::new(StopList::of(language), options).in_language(language);
            for query in queries_in(&text, language, 16) {
                let found = candidates(&rake, &mut rake.scratch(), [query.as_str()]);
                let words = |phrase: &str| phrase.replace('\u{200b}', " ");
                for phrase in query.split("; ").map(words).filter(|p| p.contains(' ')) {
                    prop_assert!(found.contains(&phrase), "{phrase:?} of {query:?} in {text:?}");
                }
            }
        }

        #[test]
        fn words_of_phrases_come_from_the_text(text in "\\PC{0,200}|[a-z .\n]{0,300}") {
            // From each place on: a mark before a word would change places with the word's own when
            // both are normalised together.
            let folded: Vec<String> = text.char_indices().map(|(at, _)| longweave_keywords::normalise(&text[at..])).collect();
            for word in queries(&text, 16).iter().flat_map(|q| q.split([';', ' '])) {
                prop_assert!(folded.iter().any(|f| f.contains(word)), "{word:?} in {text:?}");
            }
        }
    }
}
