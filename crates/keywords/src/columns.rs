//! Keywords of many texts as columns in UTF-16, for host languages whose strings are UTF-16: two
//! strings and two arrays cross the boundary, however many texts there are.

use crate::rake::{Rake, Scratch};

/// Keywords of texts: text `i` has the phrases and scores `ends[i - 1]..ends[i]`.
#[derive(Debug, Default)]
pub struct Columns {
    /// Normalised phrases, each followed by a line feed, which no phrase holds.
    pub phrases: Vec<u16>,
    /// The score of each phrase.
    pub scores: Vec<f64>,
    /// Number of phrases up to and with each text.
    pub ends: Vec<u32>,
}

/// Buffers of one call, reused by the next.
#[derive(Debug, Default)]
pub struct ColumnScratch {
    rake: Scratch,
    /// A text as UTF-8.
    text: Vec<u8>,
    /// The phrases of one text, concatenated, and the place and score of each.
    phrases: String,
    found: Vec<(u32, u32, f64)>,
}

impl Rake {
    /// Keywords of texts: of each best first, ties in byte order. `text` is the texts concatenated,
    /// with the given lengths. Half a character by itself counts as U+FFFD.
    pub fn columns(&self, scratch: &mut ColumnScratch, text: &[u16], lengths: &[u32]) -> Columns {
        let mut columns = Columns::default();
        columns.phrases.reserve(text.len());
        columns.ends.reserve(lengths.len());
        let mut rest = text;
        for &length in lengths {
            let (units, others) = rest.split_at((length as usize).min(rest.len()));
            rest = others;
            self.append(scratch, units, &mut columns);
        }
        columns
    }

    fn append(&self, scratch: &mut ColumnScratch, units: &[u16], columns: &mut Columns) {
        let ColumnScratch { rake, text, phrases, found } = scratch;
        phrases.clear();
        found.clear();
        self.extract(rake, to_utf8(units, text), |phrase, score| {
            let start = phrases.len() as u32;
            phrases.push_str(phrase);
            found.push((start, phrases.len() as u32, score));
        });
        let phrase = |&(start, end, _): &(u32, u32, f64)| &phrases[start as usize..end as usize];
        found.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then_with(|| phrase(a).cmp(phrase(b))));
        for keyword in &*found {
            to_utf16(phrase(keyword), &mut columns.phrases);
            columns.phrases.push(u16::from(b'\n'));
            columns.scores.push(keyword.2);
        }
        columns.ends.push(columns.scores.len() as u32);
    }
}

/// UTF-16 as UTF-8, in `bytes`.
fn to_utf8<'a>(units: &[u16], bytes: &'a mut Vec<u8>) -> &'a str {
    bytes.clear();
    // Most texts are ASCII. Both loops over them work on many units at once.
    if units.iter().fold(0, |all, unit| all | unit) < 0x80 {
        bytes.extend(units.iter().map(|&unit| unit as u8));
    } else {
        for character in char::decode_utf16(units.iter().copied()) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    std::str::from_utf8(bytes).expect("whole characters were appended")
}

/// Appends UTF-8 as UTF-16.
fn to_utf16(text: &str, units: &mut Vec<u16>) {
    if text.is_ascii() {
        units.extend(text.bytes().map(u16::from));
    } else {
        units.extend(text.encode_utf16());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RakeOptions, StopList};

    #[test]
    fn columns_hold_the_keywords_of_each_text() {
        let rake = Rake::new(StopList::smart(), RakeOptions::default());
        let texts = [
            "linear constraints and the linear system",
            "",
            "grüne Bäume of the 東京 駅, musical 𝄞 clef",
        ];
        let units: Vec<u16> = texts.iter().flat_map(|text| text.encode_utf16()).collect();
        let lengths: Vec<u32> = texts.iter().map(|t| t.encode_utf16().count() as u32).collect();
        let Columns { phrases, scores, ends } =
            rake.columns(&mut ColumnScratch::default(), &units, &lengths);
        let expected: Vec<_> = texts.iter().flat_map(|text| rake.keywords(text)).collect();
        let lines: String = expected.iter().map(|k| format!("{}\n", k.phrase)).collect();
        assert_eq!(String::from_utf16(&phrases).unwrap(), lines);
        assert_eq!(scores, expected.iter().map(|k| k.score).collect::<Vec<_>>());
        assert_eq!(ends[..2], [2, 2]);
        assert_eq!(ends[2] as usize, expected.len());
    }

    #[test]
    fn halves_of_characters_stay_apart_and_lengths_past_the_end_are_cut() {
        let rake = Rake::new(StopList::smart(), RakeOptions::default());
        // The halves of 𝄞, in two texts.
        let columns = rake.columns(
            &mut ColumnScratch::default(),
            &[0xd834, 0xdd1e, u16::from(b'a'), u16::from(b'b')],
            &[1, 9, 9],
        );
        assert_eq!(String::from_utf16(&columns.phrases).unwrap(), "ab\n");
        assert_eq!(columns.ends, [0, 1, 1]);
    }
}
