//! Where documents are cut into chunks: at lines, by the characters and newlines of each token decoded by itself. Tokens in, lengths out.

use longweave_tokens::Encoder;

/// A chunk ends with a line once it has so many characters, or anywhere once it has twice as many.
pub(super) struct Chunker {
    characters: u64,
    /// Twice the characters of each id's text, and 1 where it holds a newline.
    tokens: Vec<u32>,
}

impl Chunker {
    /// Learns what each id decodes to. An id that does not decode has no characters.
    pub(super) fn new(encoder: &dyn Encoder, max_id: u32, characters: u32) -> Chunker {
        let token = |id: u32| {
            let text = encoder.decode(&[id]).unwrap_or_default();
            text.chars().count() as u32 * 2 + u32::from(text.contains('\n'))
        };
        Chunker { characters: u64::from(characters), tokens: (0..=max_id).map(token).collect() }
    }

    /// Appends the lengths in tokens of a document's chunks; how many they are.
    pub(super) fn cut(&self, ids: &[u32], lens: &mut Vec<u32>) -> u32 {
        let before = lens.len();
        let (mut len, mut characters) = (0, 0u64);
        for &id in ids {
            let token = self.tokens.get(id as usize).copied().unwrap_or(0);
            len += 1;
            characters += u64::from(token / 2);
            if characters >= if token % 2 == 1 { self.characters } else { 2 * self.characters } {
                lens.push(len);
                (len, characters) = (0, 0);
            }
        }
        if len > 0 {
            lens.push(len);
        }
        (lens.len() - before) as u32
    }
}

#[cfg(test)]
mod tests {
    use longweave_common::Result;

    use super::*;

    /// Ids are ASCII characters.
    struct Ascii;

    impl Encoder for Ascii {
        fn encode(&self, text: &str, out: &mut Vec<u32>) -> Result<()> {
            out.extend(text.bytes().map(u32::from));
            Ok(())
        }
        fn decode(&self, ids: &[u32]) -> Result<String> {
            Ok(ids.iter().map(|&id| id as u8 as char).collect())
        }
        fn token_to_id(&self, _token: &str) -> Option<u32> {
            None
        }
        fn max_id(&self) -> u32 {
            127
        }
        fn name(&self) -> &'static str {
            "ascii"
        }
    }

    #[test]
    fn chunks_end_with_lines_or_at_twice_their_size() {
        let chunker = Chunker::new(&Ascii, 127, 4);
        for (text, expected) in [
            ("", &[][..]),
            ("abc", &[3]),
            ("ab\ncd\nef", &[6, 2]),
            ("abcd\nef\n", &[5, 3]),
            ("abcdefghij", &[8, 2]),
            ("ab\ncdefghij", &[8, 3]),
        ] {
            let (mut ids, mut lens) = (vec![], vec![]);
            Ascii.encode(text, &mut ids).unwrap();
            assert_eq!((chunker.cut(&ids, &mut lens) as usize, lens.as_slice()), (expected.len(), expected), "{text:?}");
        }
    }
}
