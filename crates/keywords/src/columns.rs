//! Keywords of many texts as columns, for host languages whose strings are UTF-16: two strings and
//! two arrays cross the boundary, however many texts there are.

use crate::rake::Scratch;
use crate::rakes::Rakes;

/// Keywords of texts: text `i` has the phrases and scores `offsets[i]..offsets[i + 1]`.
#[derive(Debug, Default)]
pub struct Columns {
    /// Normalised phrases, each followed by a line feed, which no phrase holds.
    pub phrases: String,
    /// The score of each phrase.
    pub scores: Vec<f64>,
    /// Index of the first phrase of each text, and the number of phrases.
    pub offsets: Vec<u32>,
}

/// Buffers of one call, reused by the next.
#[derive(Debug, Default)]
pub struct ColumnScratch {
    rake: Scratch,
    /// Text as UTF-8: all texts if they are ASCII, else one.
    text: Vec<u8>,
    /// The phrases of one text, concatenated, and the place and score of each.
    phrases: String,
    found: Vec<(u32, u32, f64)>,
}

impl Rakes {
    /// Keywords of texts: of each best first, ties in byte order. `text` is the texts concatenated,
    /// with the given lengths. Half a character by itself counts as U+FFFD.
    pub fn columns(&self, scratch: &mut ColumnScratch, text: &[u16], lengths: &[u32]) -> Columns {
        let mut columns = Columns {
            phrases: String::with_capacity(text.len()),
            scores: Vec::with_capacity(2 * lengths.len()),
            offsets: Vec::with_capacity(lengths.len() + 1),
        };
        self.columns_into(scratch, text, lengths, &mut columns);
        columns
    }

    /// Replaces `columns` by what [`Rakes::columns`] returns.
    pub fn columns_into(
        &self,
        scratch: &mut ColumnScratch,
        text: &[u16],
        lengths: &[u32],
        columns: &mut Columns,
    ) {
        columns.phrases.clear();
        columns.scores.clear();
        columns.offsets.clear();
        columns.offsets.push(0);
        let ColumnScratch { rake, text: bytes, phrases, found } = scratch;
        let cut = |length: u32, all: usize| (length as usize).min(all);
        // Most texts are ASCII, where a unit is a byte.
        if text.iter().fold(0, |all, unit| all | unit) < 0x80 {
            let mut rest = to_utf8(text, bytes);
            for &length in lengths {
                let (one, others) = rest.split_at(cut(length, rest.len()));
                rest = others;
                self.append(rake, phrases, found, one, columns);
            }
        } else {
            let mut rest = text;
            for &length in lengths {
                let (units, others) = rest.split_at(cut(length, rest.len()));
                rest = others;
                self.append(rake, phrases, found, to_utf8(units, bytes), columns);
            }
        }
    }

    fn append(
        &self,
        rake: &mut Scratch,
        phrases: &mut String,
        found: &mut Vec<(u32, u32, f64)>,
        text: &str,
        columns: &mut Columns,
    ) {
        phrases.clear();
        found.clear();
        self.of_text(text).extract(rake, text, |phrase, score| {
            let start = phrases.len() as u32;
            phrases.push_str(phrase);
            found.push((start, phrases.len() as u32, score));
        });
        let phrase = |&(start, end, _): &(u32, u32, f64)| &phrases[start as usize..end as usize];
        found.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then_with(|| phrase(a).cmp(phrase(b))));
        for keyword in &*found {
            columns.phrases.push_str(phrase(keyword));
            columns.phrases.push('\n');
            columns.scores.push(keyword.2);
        }
        columns.offsets.push(columns.scores.len() as u32);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RakeOptions;
    use longweave_language::Language;

    #[test]
    fn columns_hold_the_keywords_of_each_text() {
        let rake = Rakes::new(None, Some(Language::ENGLISH), RakeOptions::default());
        let texts = [
            "linear constraints and the linear system",
            "",
            "grüne Bäume of the 東京 駅, musical 𝄞 clef",
        ];
        let units: Vec<u16> = texts.iter().flat_map(|text| text.encode_utf16()).collect();
        let lengths: Vec<u32> = texts.iter().map(|t| t.encode_utf16().count() as u32).collect();
        let Columns { phrases, scores, offsets } =
            rake.columns(&mut ColumnScratch::default(), &units, &lengths);
        let expected =
            ["linear constraints", "linear system", "grüne bäume", "東京 駅", "clef", "musical"];
        assert_eq!(phrases.lines().collect::<Vec<_>>(), expected);
        assert_eq!(scores, [4.0, 4.0, 4.0, 4.0, 1.0, 1.0]);
        assert_eq!(offsets, [0, 2, 2, 6]);
    }

    #[test]
    fn halves_of_characters_stay_apart_and_lengths_past_the_end_are_cut() {
        let rake = Rakes::new(None, Some(Language::ENGLISH), RakeOptions::default());
        // The halves of 𝄞, in two texts.
        let columns = rake.columns(
            &mut ColumnScratch::default(),
            &[0xd834, 0xdd1e, u16::from(b'a'), u16::from(b'b')],
            &[1, 9, 9],
        );
        assert_eq!(columns.phrases, "ab\n");
        assert_eq!(columns.offsets, [0, 0, 1, 1]);
    }

    #[test]
    fn lengths_of_ascii_past_the_end_are_cut() {
        let rake = Rakes::new(None, Some(Language::ENGLISH), RakeOptions::default());
        let units: Vec<u16> = "steam engines".encode_utf16().collect();
        let columns = rake.columns(&mut ColumnScratch::default(), &units, &[5, 99, 1]);
        assert_eq!(columns.phrases, "steam\nengines\n");
        assert_eq!(columns.offsets, [0, 1, 2, 2]);
    }
}
