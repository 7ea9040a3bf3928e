//! Phrases of English that a person would search for **[ours]**: RAKE's phrases without verbs,
//! adverbs and evaluations at their edges ("movie directed", "events specifically related"), and
//! none that is a date, a direction or a measure ("born 7 april 1985", "southern part", "fifteen
//! years"). Words are known by the lists of `data/edges.txt` and by their endings.

use std::sync::OnceLock;

use hashbrown::HashMap;

/// The classes of a word, a bit each.
type Class = u8;
const LEFT: Class = 1;
const RIGHT: Class = 1 << 1;
const KEEP: Class = 1 << 2;
const DATE: Class = 1 << 3;
const PLACE: Class = 1 << 4;
const PART: Class = 1 << 5;
const NUMBER: Class = 1 << 6;
const UNIT: Class = 1 << 7;

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
                _ => UNIT,
            };
            for word in words.split(' ') {
                *classes.entry(word).or_insert(0) |= class;
            }
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

/// The part of a normalised English phrase that a person would search for; `None` where there is
/// none. A phrase of several words is never cut to one.
pub fn searchable(phrase: &str) -> Option<&str> {
    let mut rest = phrase;
    while let Some((_, last)) = rest.rsplit_once(' ') {
        let class = class(last);
        if class & RIGHT == 0 && !ends(last, class, "ed") && !ends(last, class, "ly") {
            break;
        }
        rest = &rest[..rest.len() - last.len() - 1];
    }
    while let Some((first, after)) = rest.split_once(' ') {
        let class = class(first);
        if class & LEFT == 0 && !ends(first, class, "ly") {
            break;
        }
        rest = after;
    }
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
    if rest.split(' ').all(is_of_dates) || (is_two && (is_place || is_measure)) {
        return None;
    }
    Some(rest)
}

/// Whether a stop word of English begins a name where it and the next word have capitals: New York,
/// Second World War. All but `new` begin sentences too ("First, ...").
pub fn begins_name(word: &str) -> bool {
    matches!(word, "new" | "first" | "second" | "third" | "inner")
}

/// Replaces a document's candidates by what of them a person would search for; where that is
/// nothing, they stay. They are distinct and in byte order before and after.
pub fn keep_searchable(candidates: &mut Vec<String>) {
    let mut kept: Vec<String> =
        candidates.iter().filter_map(|phrase| searchable(phrase)).map(str::to_owned).collect();
    if kept.is_empty() {
        return;
    }
    kept.sort_unstable();
    kept.dedup();
    *candidates = kept;
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
            ("zoology", Some("zoology")),
            ("2014", None),
        ] {
            assert_eq!(searchable(phrase), expected, "{phrase}");
        }
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
