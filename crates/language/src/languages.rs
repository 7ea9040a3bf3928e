//! The languages that longweave knows, and their stop words.

/// A language: its ISO 639-1 code, else its ISO 639-3 code. As a number, its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(u8);

/// Codes in order, each with other codes that mean it: those of ISO 639-2 and 639-3.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("af", &["afr"]),
    ("ak", &["aka"]),
    ("am", &["amh"]),
    ("ar", &["ara", "arb"]),
    ("az", &["aze", "azj"]),
    ("be", &["bel"]),
    ("bg", &["bul"]),
    ("bn", &["ben"]),
    ("br", &["bre"]),
    ("ca", &["cat"]),
    ("cs", &["ces", "cze"]),
    ("cy", &["cym", "wel"]),
    ("da", &["dan"]),
    ("de", &["deu", "ger"]),
    ("el", &["ell", "gre"]),
    ("en", &["eng"]),
    ("eo", &["epo"]),
    ("es", &["spa"]),
    ("et", &["est", "ekk"]),
    ("eu", &["eus", "baq"]),
    ("fa", &["fas", "per", "pes"]),
    ("fi", &["fin"]),
    ("fr", &["fra", "fre"]),
    ("ga", &["gle"]),
    ("gl", &["glg"]),
    ("gu", &["guj"]),
    ("ha", &["hau"]),
    ("he", &["heb", "iw"]),
    ("hi", &["hin"]),
    ("hr", &["hrv"]),
    ("hu", &["hun"]),
    ("hy", &["hye", "arm"]),
    ("id", &["ind"]),
    ("it", &["ita"]),
    ("ja", &["jpn"]),
    ("jv", &["jav"]),
    ("ka", &["kat", "geo"]),
    ("km", &["khm"]),
    ("kn", &["kan"]),
    ("ko", &["kor"]),
    ("ku", &["kur", "kmr"]),
    ("la", &["lat"]),
    ("lo", &["lao"]),
    ("lt", &["lit"]),
    ("lv", &["lav", "lvs"]),
    ("mk", &["mkd", "mac"]),
    ("ml", &["mal"]),
    ("mr", &["mar"]),
    ("ms", &["msa", "may", "zsm"]),
    ("my", &["mya", "bur"]),
    ("ne", &["nep", "npi"]),
    ("nl", &["nld", "dut"]),
    ("no", &["nor", "nob", "nno", "nb", "nn"]),
    ("or", &["ori", "ory"]),
    ("pa", &["pan"]),
    ("pl", &["pol"]),
    ("pt", &["por"]),
    ("ro", &["ron", "rum"]),
    ("ru", &["rus"]),
    ("si", &["sin"]),
    ("sk", &["slk", "slo"]),
    ("sl", &["slv"]),
    ("sn", &["sna"]),
    ("so", &["som"]),
    ("sr", &["srp"]),
    ("st", &["sot"]),
    ("sv", &["swe"]),
    ("sw", &["swa", "swh"]),
    ("ta", &["tam"]),
    ("te", &["tel"]),
    ("th", &["tha"]),
    ("tk", &["tuk"]),
    ("tl", &["tgl", "fil"]),
    ("tr", &["tur"]),
    ("uk", &["ukr"]),
    ("und", &[]),
    ("ur", &["urd"]),
    ("uz", &["uzb", "uzn"]),
    ("vi", &["vie"]),
    ("yi", &["yid", "ydd"]),
    ("yo", &["yor"]),
    ("zh", &["zho", "chi", "cmn"]),
    ("zu", &["zul"]),
];

/// Sets of languages have a bit for each.
const _: () = assert!(Language::COUNT <= 128);

impl Language {
    pub const ENGLISH: Language = Language::known("en");
    /// A language that longweave does not know: it has no stop words.
    pub const UNKNOWN: Language = Language::known("und");

    /// The number of languages.
    pub const COUNT: usize = LANGUAGES.len();

    /// The language of a code in the table.
    pub(crate) const fn known(code: &str) -> Language {
        let code = code.as_bytes();
        let mut number = 0;
        loop {
            let other = LANGUAGES[number].0.as_bytes();
            let mut at = 0;
            while at < code.len() && at < other.len() && code[at] == other[at] {
                at += 1;
            }
            if at == code.len() && at == other.len() {
                return Language(number as u8);
            }
            number += 1;
        }
    }

    /// The language of a code: of ISO 639-1, 639-2 or 639-3, in any case, perhaps with a script or
    /// a region after it (`zh-Hant`, `deu_Latn`).
    pub fn of(code: &str) -> Option<Language> {
        let code = code.split(['-', '_']).next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_code = |&(own, others): &(&str, &[&str])| own == code || others.contains(&&*code);
        LANGUAGES.iter().position(is_code).map(|number| Language(number as u8))
    }

    /// The language of a number below [`Language::COUNT`].
    pub fn of_number(number: u8) -> Option<Language> {
        (usize::from(number) < Language::COUNT).then_some(Language(number))
    }

    /// All languages, by code.
    pub fn all() -> impl Iterator<Item = Language> {
        (0..Language::COUNT).map(|number| Language(number as u8))
    }

    /// As the table writes it: of ISO 639-1, else of ISO 639-3.
    pub fn code(self) -> &'static str {
        LANGUAGES[self.index()].0
    }

    /// Its place in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its place in the table, as files store it.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its stop words: of English the SMART list, of others the list of Stopwords ISO. None for a
    /// language without a list.
    pub fn stop_words(self) -> impl Iterator<Item = &'static str> {
        let english = (self == Language::ENGLISH).then_some(include_str!("../data/smart.txt"));
        let english =
            english.into_iter().flat_map(str::lines).map(str::trim).filter(|line| is_word(line));
        let others = (self != Language::ENGLISH).then(|| stop_words::lookup(self.code())).flatten();
        english.chain(others.unwrap_or_default().iter().copied())
    }

    /// Whether there is a list of its stop words.
    pub fn has_stop_words(self) -> bool {
        self.stop_words().next().is_some()
    }

    /// Whether an apostrophe separates an article or a pronoun from the word after it: `l'énergie`.
    pub(crate) fn elides(self) -> bool {
        [Language::known("ca"), Language::known("fr"), Language::known("it")].contains(&self)
    }
}

/// Whether a line of a list is neither blank nor a comment.
fn is_word(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_mean_one_language_each() {
        assert!(LANGUAGES.windows(2).all(|two| two[0].0 < two[1].0));
        let mut codes: Vec<&str> = LANGUAGES
            .iter()
            .flat_map(|(own, others)| [own].into_iter().chain(*others))
            .copied()
            .collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

    #[test]
    fn codes_of_all_kinds_are_understood() {
        for (code, expected) in [
            ("en", Some("en")),
            ("EN", Some("en")),
            ("zh-Hant", Some("zh")),
            ("cmn_Hani", Some("zh")),
            ("deu_Latn", Some("de")),
            ("pt-BR", Some("pt")),
            ("nb", Some("no")),
            ("und", Some("und")),
            ("klingon", None),
            ("", None),
        ] {
            assert_eq!(Language::of(code).map(Language::code), expected, "{code}");
        }
    }

    #[test]
    fn each_list_of_the_package_is_of_a_known_language() {
        for code in stop_words::available_languages() {
            assert_eq!(Language::of(code).map(Language::code), Some(*code));
        }
        assert!(Language::all().filter(|language| language.has_stop_words()).count() >= 58);
        assert_eq!(Language::ENGLISH.stop_words().count(), 570);
    }
}
