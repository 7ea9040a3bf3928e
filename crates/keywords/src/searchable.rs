//! Phrases of English that a person would search for **[ours]**: RAKE's phrases without verbs,
//! adverbs and evaluations at their edges ("movie directed", "events specifically related"), and
//! none that is a date, a direction or a measure ("born 7 april 1985", "southern part", "fifteen
//! years"). Words are known by the lists of `data/edges.txt` and by their endings.

use std::borrow::Cow;
use std::sync::OnceLock;

use hashbrown::{HashMap, HashSet};
use longweave_language::common_english;

/// The classes of a word, a bit each.
type Class = u16;
const LEFT: Class = 1;
const RIGHT: Class = 1 << 1;
const KEEP: Class = 1 << 2;
const DATE: Class = 1 << 3;
const PLACE: Class = 1 << 4;
const PART: Class = 1 << 5;
const NUMBER: Class = 1 << 6;
const UNIT: Class = 1 << 7;
const GENERAL: Class = 1 << 8;
const NOUN: Class = 1 << 9;
const LABEL: Class = 1 << 10;
const COMMON: Class = 1 << 11;

fn classes() -> &'static HashMap<&'static str, Class> {
    static CLASSES: OnceLock<HashMap<&'static str, Class>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let lines = include_str!("../data/edges.txt").lines().filter(|l| !l.starts_with('#'));
        let mut classes = HashMap::new();
        for (class, words) in lines.filter_map(|line| line.split_once(": ")) {
            let class = match class {
                "left" => LEFT,
                "right" => RIGHT,
                "keep" => KEEP,
                "date" => DATE,
                "place" => PLACE,
                "part" => PART,
                "number" => NUMBER,
                "general" => GENERAL,
                "noun" => NOUN,
                "label" => LABEL,
                _ => UNIT,
            };
            for word in words.split(' ') {
                *classes.entry(word).or_insert(0) |= class;
            }
        }
        for word in common_english() {
            *classes.entry(word).or_insert(0) |= COMMON;
        }
        classes
    })
}

fn class(word: &str) -> Class {
    classes().get(word).copied().unwrap_or(0)
}

/// Whether a word ends as `ending`, and is not one of the exceptions.
fn ends(word: &str, class: Class, ending: &str) -> bool {
    class & KEEP == 0 && word.len() > ending.len() + 2 && word.ends_with(ending)
}

fn has_no_letter(word: &str) -> bool {
    !word.contains(char::is_alphabetic)
}

/// A number, an ordinal like 21st, or a word of dates.
fn is_of_dates(word: &str) -> bool {
    let ordinal = ["st", "nd", "rd", "th", "s"].iter().find_map(|end| word.strip_suffix(end));
    class(word) & DATE != 0
        || has_no_letter(word)
        || ordinal.is_some_and(|number| !number.is_empty() && has_no_letter(number))
}

/// A phrase without what a person would leave out at its edges: verbs and adverbs, and a first name
/// that comes again at the end, as in signatures.
fn cut(mut rest: &str) -> &str {
    loop {
        if let Some((head, last)) = rest.rsplit_once(' ') {
            let class = class(last);
            let is_again = head.split(' ').next() == Some(last);
            if class & RIGHT != 0 || ends(last, class, "ed") || ends(last, class, "ly") || is_again
            {
                rest = head;
                continue;
            }
        }
        if let Some((first, after)) = rest.split_once(' ') {
            let class = class(first);
            if class & LEFT != 0 || ends(first, class, "ly") {
                rest = after;
                continue;
            }
        }
        return rest;
    }
}

/// The part of a normalised English phrase that a person would search for; `None` where there is
/// none. A phrase of several words is never cut to one.
pub fn searchable(phrase: &str) -> Option<&str> {
    let rest = cut(phrase);
    let Some((first, after)) = rest.split_once(' ') else {
        // A single word says what it says; the rest of a phrase says too little.
        return (rest.len() == phrase.len() && !is_of_dates(rest)).then_some(rest);
    };
    let last = after.rsplit(' ').next().unwrap_or(after);
    let is_two = last.len() == after.len();
    let is_place = class(first) & PLACE != 0 && class(last) & PART != 0;
    let is_measure =
        (class(first) & NUMBER != 0 || has_no_letter(first) || class(first) & UNIT != 0)
            && class(last) & UNIT != 0;
    let is_label = is_two && class(first) & LABEL != 0 && has_no_letter(last);
    let before = &rest[..rest.len() - last.len() - 1];
    let is_general =
        class(last) & NOUN != 0 && before.split(' ').all(|word| class(word) & GENERAL != 0);
    let is_nothing = is_two && (is_place || is_measure || is_label);
    if rest.split(' ').all(is_of_dates)
        || is_nothing
        || is_general
        || rest.split(' ').any(is_of_an_address)
    {
        return None;
    }
    Some(rest)
}

/// Whether a word is of an address or a signature: #8177, 575-3539.
fn is_of_an_address(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    word.starts_with('#') || (digits >= 7 && word.contains('-') && has_no_letter(word))
}

/// How likely a person would search for a phrase, to choose among phrases that are equally
/// frequent: rare words count most, common ones less, and words of verbs, adverbs and numbers not
/// at all, on average over the words; then more words. **[ours]**
pub fn rank(phrase: &str) -> u16 {
    let weight = |(place, word): (usize, &str)| -> u16 {
        let class = class(word);
        let is_verb = class & (LEFT | RIGHT) != 0
            || ends(word, class, "ed")
            || ends(word, class, "ly")
            || (place > 0 && ends(word, class, "ing"));
        match () {
            () if is_verb || has_no_letter(word) => 0,
            () if class & (COMMON | GENERAL | NOUN) != 0 => 1,
            () => 2,
        }
    };
    let (mut sum, mut words) = (0u16, 0u16);
    for weight in phrase.split(' ').enumerate().map(weight) {
        sum = sum.saturating_add(weight);
        words = words.saturating_add(1);
    }
    let mean = 16 * u32::from(sum) / u32::from(words.max(1));
    mean as u16 * 8 + words.min(7)
}

/// The singular of a phrase of English, where its last word looks like a plural; else the phrase.
/// It only has to be the same for both: "classe" will do for "classes".
pub fn singular(phrase: &str) -> Cow<'_, str> {
    if !phrase.ends_with('s') {
        return Cow::Borrowed(phrase);
    }
    let last = phrase.rsplit(' ').next().unwrap_or(phrase);
    let stem = |cut: usize| &phrase[..phrase.len() - cut];
    let is_plural = last.len() > 3
        && !matches!(last, "news" | "series" | "species")
        && !["ss", "us", "is", "'s"].iter().any(|end| last.ends_with(end));
    match () {
        () if !is_plural => Cow::Borrowed(phrase),
        () if last.len() > 4 && last.ends_with("ies") => Cow::Owned(format!("{}y", stem(3))),
        () if ["sses", "shes", "ches", "xes", "zzes"].iter().any(|end| last.ends_with(end)) => {
            Cow::Borrowed(stem(2))
        }
        () => Cow::Borrowed(stem(1)),
    }
}

/// Whether a stop word of English begins a name where it and the next word have capitals: New York,
/// Second World War. All but `new` begin sentences too ("First, ...").
pub fn begins_name(word: &str) -> bool {
    matches!(word, "new" | "first" | "second" | "third" | "inner")
}

/// Replaces a document's candidates by what of them a person would search for; where that is
/// nothing, they stay. They are distinct, also by their [`singular`], and in byte order.
pub fn keep_searchable(candidates: &mut Vec<String>) {
    let mut kept: Vec<String> =
        candidates.iter().filter_map(|phrase| searchable(phrase)).map(str::to_owned).collect();
    if !kept.is_empty() {
        kept.sort_unstable();
        kept.dedup();
        *candidates = kept;
    }
    // Of a phrase and its plural the first stays: the index knows both by one number.
    let mut known = HashSet::new();
    candidates.retain(|phrase| known.insert(singular(phrase).into_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn phrases_are_cut_to_what_a_person_would_search_for() {
        for (phrase, expected) in [
            ("rock band", Some("rock band")),
            ("tabloid daily newspaper published", Some("tabloid daily newspaper")),
            ("started making electric cars", Some("electric cars")),
            ("leap year starting", Some("leap year")),
            ("manchester united", Some("manchester united")),
            ("thomas alfred", Some("thomas alfred")),
            ("general assembly", Some("general assembly")),
            ("commune found", None),
            ("movie directed", None),
            ("events specifically related", None),
            ("moreland asked", None),
            ("january 2014", None),
            ("born 7 april 1985", None),
            ("april 4", None),
            ("1990s", None),
            ("19th century", Some("19th century")),
            ("southern part", None),
            ("southern france", Some("southern france")),
            ("fifteen years", None),
            ("feet tall", None),
            ("weeks ago", None),
            ("good deal", None),
            ("small town", None),
            ("late afternoon", None),
            ("high school", Some("high school")),
            ("black hole", Some("black hole")),
            ("figure 2", None),
            ("type 2 diabetes", Some("type 2 diabetes")),
            ("mccall 575-3539", None),
            ("dod #8177", None),
            ("adam shostack adam", Some("adam shostack")),
            ("baden baden", None),
            ("mouth fell open", Some("mouth fell open")),
            ("returns false", None),
            ("zoology", Some("zoology")),
            ("2014", None),
        ] {
            assert_eq!(searchable(phrase), expected, "{phrase}");
        }
    }

    #[test]
    fn rare_words_rank_above_common_ones_and_verbs() {
        let better = [
            ("thyroid-stimulating hormone", "isolate tsh levels"),
            ("analytical chemistry", "things work"),
            ("lazy eye", "blurred people leading"),
            ("operating system", "system operating"),
            ("prime minister", "minister 1990"),
            ("steam engine", "engine"),
        ];
        for (better, worse) in better {
            assert!(
                rank(better) > rank(worse),
                "{better}: {}, {worse}: {}",
                rank(better),
                rank(worse)
            );
        }
    }

    #[test]
    fn a_phrase_and_its_plural_have_one_singular() {
        for (one, many) in [
            ("black hole", "black holes"),
            ("capital city", "capital cities"),
            ("beer glass", "beer glasses"),
            ("bus", "bus"),
            ("cardboard box", "cardboard boxes"),
        ] {
            assert_eq!(singular(one), singular(many), "{many}");
        }
        for phrase in ["paris", "evening news", "tv series", "compass", "walrus", "oil"] {
            assert_eq!(singular(phrase), phrase);
        }
        assert_ne!(singular("fox news"), singular("fox new"));
    }

    #[test]
    fn candidates_stay_where_nobody_would_search_for_any() {
        let of = |phrases: &[&str]| {
            let mut all: Vec<String> = phrases.iter().map(|&p| p.to_owned()).collect();
            keep_searchable(&mut all);
            all
        };
        assert_eq!(of(&["commune found", "january 2014"]), ["commune found", "january 2014"]);
        assert_eq!(of(&["called solar system", "january 2014", "solar system"]), ["solar system"]);
        assert_eq!(of(&[]), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_a_part_and_stays_when_cut_again(phrase in "(made|bed|2014|april|rock|old|sadly|used|part|north)( (made|bed|2014|april|rock|years|sadly|used|part|ago)){0,4}") {
            if let Some(kept) = searchable(&phrase) {
                prop_assert!(phrase.contains(kept) && !kept.is_empty());
                prop_assert_eq!(searchable(kept), Some(kept));
            }
        }
    }
}
