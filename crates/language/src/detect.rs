//! The language of a text: by its script, and where several languages share one, by whatlang's
//! trigrams. A text in Latin letters counts as English unless the stop words say otherwise too, so
//! that tables, code and names of an English corpus stay English.

use std::ops::Range;
use std::sync::LazyLock;

use hashbrown::HashMap;
use whatlang::{Detector, Lang};

use crate::{Language, words, words_in};

/// Bytes of a text that are looked at.
const SAMPLE: usize = 1024;
/// Common words that hardly any language but English has. Two of them decide.
fn is_english_word(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 20] = [
        b"the", b"and", b"that", b"this", b"with", b"from", b"which", b"they", b"have", b"been",
        b"not", b"their", b"you", b"were", b"would", b"will", b"your", b"when", b"who", b"into",
    ];
    (3..=5).contains(&word.len()) && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}
/// Of how many letters one in another script decides: names and commands in Latin letters are common
/// in texts of all scripts.
const ONE_OF: usize = 5;

/// Scripts of several languages, and the language that is most likely.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Han,
    Kana,
    /// Of several languages: the first is taken where whatlang says none of the scripts.
    Shared(Language),
    Of(Language),
}

const fn shared(code: &str) -> Script {
    Script::Shared(Language::known(code))
}

const fn of(code: &str) -> Script {
    Script::Of(Language::known(code))
}

/// The script of a letter that is not ASCII, by its block.
fn script(letter: char) -> Script {
    match letter {
        '\u{80}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => of("el"),
        '\u{400}'..='\u{52f}' => shared("ru"),
        '\u{530}'..='\u{58f}' => of("hy"),
        '\u{590}'..='\u{5ff}' => shared("he"),
        '\u{600}'..='\u{77f}'
        | '\u{8a0}'..='\u{8ff}'
        | '\u{fb50}'..='\u{fdff}'
        | '\u{fe70}'..='\u{feff}' => shared("ar"),
        '\u{900}'..='\u{97f}' => shared("hi"),
        '\u{980}'..='\u{9ff}' => of("bn"),
        '\u{a00}'..='\u{a7f}' => of("pa"),
        '\u{a80}'..='\u{aff}' => of("gu"),
        '\u{b00}'..='\u{b7f}' => of("or"),
        '\u{b80}'..='\u{bff}' => of("ta"),
        '\u{c00}'..='\u{c7f}' => of("te"),
        '\u{c80}'..='\u{cff}' => of("kn"),
        '\u{d00}'..='\u{d7f}' => of("ml"),
        '\u{d80}'..='\u{dff}' => of("si"),
        '\u{e00}'..='\u{e7f}' => of("th"),
        '\u{e80}'..='\u{eff}' => of("lo"),
        '\u{1000}'..='\u{109f}' => of("my"),
        '\u{10a0}'..='\u{10ff}' => of("ka"),
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => of("ko"),
        '\u{1200}'..='\u{137f}' => of("am"),
        '\u{1780}'..='\u{17ff}' => of("km"),
        '\u{3040}'..='\u{30ff}' | '\u{ff66}'..='\u{ff9f}' => Script::Kana,
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
            Script::Han
        }
        _ => Script::Of(Language::UNKNOWN),
    }
}

/// The language of a text. English where nothing says that it is another.
pub fn detect(text: &str) -> Language {
    let sample = &text[..text.floor_char_boundary(SAMPLE)];
    if is_plainly_english(sample) {
        return Language::ENGLISH;
    }
    match main_script(sample) {
        Script::Latin => latin(sample),
        Script::Kana => Language::known("ja"),
        Script::Han => Language::known("zh"),
        Script::Of(language) => language,
        Script::Shared(likeliest) => {
            // Latin letters would count as text of a language with Latin letters.
            let own: String = sample.chars().filter(|c| !c.is_ascii_alphanumeric()).collect();
            let found = whatlang::detect_lang(&own).and_then(|lang| Language::of(lang.code()));
            let fits = |&found: &Language| {
                SHARING.iter().any(|group| group.contains(&found) && group.contains(&likeliest))
            };
            found.filter(fits).unwrap_or(likeliest)
        }
    }
}

/// Languages that share a script.
const SHARING: [&[Language]; 4] = [
    &[
        Language::known("ru"),
        Language::known("be"),
        Language::known("bg"),
        Language::known("mk"),
        Language::known("sr"),
        Language::known("uk"),
    ],
    &[Language::known("he"), Language::known("yi")],
    &[Language::known("ar"), Language::known("fa"), Language::known("ur")],
    &[Language::known("hi"), Language::known("mr"), Language::known("ne")],
];

/// Whether two words of English are among the words of a text that has more ASCII than other bytes.
fn is_plainly_english(text: &str) -> bool {
    let english = |range: &Range<usize>| is_english_word(&text.as_bytes()[range.clone()]);
    words(text).filter(english).nth(1).is_some()
        && (text.is_ascii() || text.bytes().filter(u8::is_ascii).count() > text.len() / 2)
}

/// The script that has most letters, Latin ones last.
fn main_script(text: &str) -> Script {
    let (mut latin, mut others) = (0, Vec::<(Script, usize)>::new());
    for letter in text.chars().filter(|c| c.is_alphabetic()) {
        match if letter.is_ascii() { Script::Latin } else { script(letter) } {
            Script::Latin => latin += 1,
            script => match others.iter_mut().find(|(other, _)| *other == script) {
                Some((_, count)) => *count += 1,
                None => others.push((script, 1)),
            },
        }
    }
    let all: usize = others.iter().map(|(_, count)| count).sum();
    if all * ONE_OF < all + latin || all == 0 {
        return Script::Latin;
    }
    let count = |script| others.iter().find(|(other, _)| *other == script).map_or(0, |o| o.1);
    let (han, kana) = (count(Script::Han), count(Script::Kana));
    let cjk = if kana * 10 >= han + kana { Script::Kana } else { Script::Han };
    let best = others.iter().filter(|(script, _)| ![Script::Han, Script::Kana].contains(script));
    let best = best.max_by_key(|(_, count)| *count);
    match best {
        Some(&(script, count)) if count > han + kana => script,
        _ => cjk,
    }
}

/// The language of a text in Latin letters.
fn latin(sample: &str) -> Language {
    static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
        let has_list =
            |lang: &&Lang| Language::of(lang.code()).is_some_and(Language::has_stop_words);
        Detector::with_allowlist(Lang::all().iter().filter(has_list).copied().collect())
    });
    let evidence = Evidence::of(sample);
    if !Language::all().any(|language| evidence.is_for(language, 1)) {
        return Language::ENGLISH;
    }
    let Some(found) = DETECTOR.detect(sample) else { return Language::ENGLISH };
    let least = if found.is_reliable() { 1 } else { 2 };
    Language::of(found.lang().code())
        .filter(|&language| evidence.is_for(language, least))
        .unwrap_or(Language::ENGLISH)
}

/// The stop words of a text, counted.
struct Evidence {
    english: u16,
    /// By language: its stop words that English lacks.
    own: [u16; Language::COUNT],
    /// By language: its stop words that English has too.
    common: [u16; Language::COUNT],
}

impl Evidence {
    fn of(text: &str) -> Evidence {
        /// By stop word: a bit for each language that has it.
        static LANGUAGES: LazyLock<HashMap<&'static str, u128>> = LazyLock::new(|| {
            let mut languages = HashMap::new();
            for language in Language::all() {
                for word in language.stop_words() {
                    *languages.entry(word).or_default() |= 1 << language.index();
                }
            }
            languages
        });
        let mut evidence =
            Evidence { english: 0, own: [0; Language::COUNT], common: [0; Language::COUNT] };
        let folded = text.to_lowercase();
        // Elided articles are stop words too.
        for range in words_in(&folded, Language::known("fr")) {
            let word = &folded[range];
            if word.len() < 2 || word.starts_with(char::is_numeric) {
                continue;
            }
            let mut languages = LANGUAGES.get(word).copied().unwrap_or(0);
            let is_english = languages >> Language::ENGLISH.index() & 1 == 1;
            evidence.english += u16::from(is_english);
            let counts = if is_english { &mut evidence.common } else { &mut evidence.own };
            while languages != 0 {
                counts[languages.trailing_zeros() as usize] += 1;
                languages &= languages - 1;
            }
        }
        evidence
    }

    /// Whether a text has some stop words of a language, and far fewer that only English has.
    fn is_for(&self, language: Language, least: u16) -> bool {
        let own = self.own[language.index()];
        own >= least && own > 2 * (self.english - self.common[language.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_text_is_found() {
        for (text, expected) in [
            ("", "en"),
            ("1 2 3", "en"),
            ("steam engines drive mills", "en"),
            ("The waggle dance of honey bees gives direction and distance.", "en"),
            ("int main() { return printf(\"hallo\"); }", "en"),
            ("光合作用是植物利用光能的过程", "zh"),
            ("東京都の人口は多い", "ja"),
            ("ภาษาไทยเป็นภาษาที่มีระดับเสียง", "th"),
            ("ພາສາລາວເປັນພາສາ", "lo"),
            ("မြန်မာဘာသာစကားသည်", "my"),
            ("ភាសាខ្មែរជាភាសា", "km"),
            ("تقع مدينة القاهرة على ضفاف نهر النيل في مصر", "ar"),
            ("दिल्ली भारत की राजधानी है और यहाँ बहुत लोग रहते हैं", "hi"),
            ("Столица России расположена на реке Москве", "ru"),
            ("Київ є столицею України та найбільшим містом її", "uk"),
            ("Die Sonne scheint und die Kinder spielen mit dem Hund im Garten.", "de"),
            ("Le soleil brille et les enfants jouent dans le jardin avec un chien.", "fr"),
            ("컴퓨터 파일을 `tar --extract --file` 명령으로 푼다", "ko"),
        ] {
            assert_eq!(detect(text).code(), expected, "{text}");
        }
    }
}
