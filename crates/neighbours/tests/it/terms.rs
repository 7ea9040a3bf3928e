use longweave_neighbours::{FEATURES, TermCounter};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

fn count(counter: &mut TermCounter, text: &str) -> Vec<(u32, u32)> {
    let mut out = vec![(1, 1)];
    counter.count(text, &mut out);
    out
}

/// The features of these words.
fn of(words: &[&str]) -> Vec<(u32, u32)> {
    let mut features: Vec<u32> =
        words.iter().map(|word| xxh3_64(word.as_bytes()) as u32 & 0xffff).collect();
    features.sort_unstable();
    features.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect()
}

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \n—…\u{a0}", &[]),
        ("The cat, the CAT; a 2nd", &["the", "cat", "the", "cat", "a", "2nd"]),
        ("don't stop_me x", &["don", "t", "stop", "me", "x"]),
        ("Ünïcode ÉCOLE naïve", &["ünïcode", "école", "naïve"]),
        ("caféBar\u{2019}s", &["cafébar", "s"]),
        ("ΣΊΣΥΦΟΣ", &["σίσυφοσ"]),
        ("İstanbul", &["i\u{307}stanbul"]),
        ("Привет, мир", &["привет", "мир"]),
        ("한국어 문장", &["한국어", "문장"]),
        ("日本語", &["日", "本", "語", "日本", "本語", "日本語"]),
        ("我在GitHub上。好", &["我", "在", "我在", "github", "上", "好"]),
        ("東 京", &["東", "京"]),
        (
            "カメラとｶﾒ",
            &["カ", "メ", "ラ", "と", "ｶ", "ﾒ", "カメ", "メラ", "ラと", "とｶ", "ｶﾒ", "カメラ"],
        ),
        ("𠀀𠀁2024年", &["𠀀", "𠀁", "𠀀𠀁", "2024", "年"]),
        ("ไทย", &["ไ", "ท", "ย", "ไท", "ทย", "ไทย"]),
        ("हिन्दी भाषा", &["हिन्दी", "भाषा"]),
        ("e\u{301}cole", &["e\u{301}cole"]),
        ("ที่", &["ท", "\u{e35}", "ที"]),
    ];
    let mut counter = TermCounter::default();
    for &(text, words) in table {
        assert_eq!(count(&mut counter, text), of(words), "{text}");
    }
}

proptest! {
    #[test]
    fn words_are_counted_as_one_by_one(text in "[a-zA-Z0-9 .,'éÜßñ€\u{2003}]{0,200}") {
        let lower: String = text.chars().flat_map(char::to_lowercase).collect();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        prop_assert_eq!(count(&mut TermCounter::default(), &text), of(&words));
    }

    #[test]
    fn any_text_gives_rising_features(text in any::<String>()) {
        let mut counter = TermCounter::default();
        let found = count(&mut counter, &text);
        prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0) && found.iter().all(|&(f, n)| (f as usize) < FEATURES && n > 0));
        prop_assert_eq!(count(&mut counter, &text), found, "nothing is left behind");
    }
}

#[test]
fn a_sign_between_words_of_a_script_without_spaces_counts_no_word_twice() {
    let mut counter = TermCounter::default();
    let mut count = |text: &str| {
        let mut row = Vec::new();
        counter.count(text, &mut row);
        row.into_iter().collect::<std::collections::BTreeMap<u32, u32>>()
    };
    let words = ["アメリカ", "イギリス", "フランス", "アメリカ"];
    let mut expected = std::collections::BTreeMap::new();
    for word in words {
        for (feature, times) in count(word) {
            *expected.entry(feature).or_default() += times;
        }
    }
    assert_eq!(count(&words.join("・")), expected);
    // In time that grows with the text, not with its square.
    count(&"ア・".repeat(200_000));
}
