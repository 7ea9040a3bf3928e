//! RAKE for texts of several languages: an extractor for each, made when it is first needed.

use std::sync::OnceLock;

use longweave_language::{Language, detect};

use crate::{Rake, RakeOptions, StopList};

/// Extractors by language. Threads can share them.
#[derive(Debug)]
pub struct Rakes {
    stop: Option<StopList>,
    language: Option<Language>,
    options: RakeOptions,
    by_language: [OnceLock<Rake>; Language::COUNT],
}

impl Rakes {
    /// With a stop list for all languages, or with the list of each; for texts of one language, or
    /// of languages that are detected.
    pub fn new(stop: Option<StopList>, language: Option<Language>, options: RakeOptions) -> Rakes {
        let by_language = [const { OnceLock::new() }; Language::COUNT];
        Rakes { stop, language, options, by_language }
    }

    /// The extractor of a language.
    pub fn of(&self, language: Language) -> &Rake {
        self.by_language[language.index()].get_or_init(|| {
            let stop = self.stop.clone().unwrap_or_else(|| StopList::of(language));
            Rake::new(stop, self.options).in_language(language)
        })
    }

    /// The extractor of a text.
    pub fn of_text(&self, text: &str) -> &Rake {
        self.of(self.language.unwrap_or_else(|| detect(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(language: Option<&str>, text: &str) -> Vec<(String, f64)> {
        let language = language.map(|code| Language::of(code).unwrap());
        let rakes =
            Rakes::new(None, language, RakeOptions { min_score: 3.0, ..RakeOptions::default() });
        let (rake, mut found) = (rakes.of_text(text), Vec::new());
        rake.extract(&mut rake.scratch(), text, |phrase, score| {
            found.push((phrase.to_owned(), score))
        });
        found
    }

    #[test]
    fn texts_of_all_languages_have_keywords() {
        for (text, expected) in [
            (
                "光合作用是植物利用光能的过程，叶绿素吸收光能。",
                &["植物 利用 光能", "叶绿素 吸收 光能"][..],
            ),
            (
                "太阳能电池板把阳光转换成电能，效率取决于材料。",
                &["电池 板", "阳光 转换 成 电能", "效率 取决"],
            ),
            (
                "東京都の人口は多い。機械学習モデルを訓練しています",
                &["東京 都", "機械 学習 モデル"],
            ),
            (
                "Die erneuerbaren Energien und die deutsche Hauptstadt",
                &["erneuerbaren energien", "deutsche hauptstadt"],
            ),
            ("les panneaux d'énergie solaire de l’État français", &["énergie solaire"]),
            (
                "Столица Российской Федерации и крупнейший город страны",
                &["столица российской федерации"],
            ),
            ("ระบบสุริยะของดาวเคราะห์น้อย", &["ระบบ สุริยะ", "ดาว เคราะห์ น้อย"]),
        ] {
            let found = keywords(None, text);
            let phrases: Vec<&str> = found.iter().map(|(phrase, _)| phrase.as_str()).collect();
            assert_eq!(phrases, expected, "{text}");
        }
    }

    #[test]
    fn english_is_read_as_always() {
        assert_eq!(
            keywords(Some("en"), "the capital city of 東京都の人口"),
            [("capital city".to_owned(), 4.0)]
        );
        assert_eq!(keywords(Some("ja"), "東京都の人口"), [("東京 都".to_owned(), 4.0)]);
    }

    #[test]
    fn a_space_of_no_width_is_the_boundary_of_a_word() {
        assert_eq!(keywords(Some("zh"), "光能植\u{200b}物利"), [("光能植 物利".to_owned(), 4.0)]);
    }
}
