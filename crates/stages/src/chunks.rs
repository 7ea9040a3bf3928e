//! Where documents are cut into chunks: between lines, by the characters and newlines of each token
//! decoded by itself. Tokens in, lengths out.

use longweave_tokens::Encoder;

/// Gathers lines into chunks of at most `characters` characters; a longer line is a chunk alone,
/// cut where it has twice as many.
pub(crate) struct Chunker {
    characters: u64,
    /// Twice the characters of each id's text, and 1 where it holds a newline.
    tokens: Vec<u32>,
}

impl Chunker {
    /// Learns what each id decodes to. An id that does not decode has no characters.
    pub(crate) fn new(encoder: &dyn Encoder, max_id: u32, characters: u32) -> Chunker {
        let token = |id: u32| {
            let text = encoder.decode(&[id]).unwrap_or_default();
            text.chars().count() as u32 * 2 + u32::from(text.contains('\n'))
        };
        Chunker { characters: u64::from(characters), tokens: (0..=max_id).map(token).collect() }
    }

    /// Appends the lengths in tokens of a document's chunks; how many they are.
    pub(crate) fn cut(&self, ids: &[u32], lens: &mut Vec<u32>) -> u32 {
        let before = lens.len();
        // Tokens and characters of the chunk's lines, and of the line that follows them.
        let (mut chunk, mut line) = ((0, 0u64), (0, 0u64));
        for &id in ids {
            let token = self.tokens.get(id as usize).copied().unwrap_or(0);
            line = (line.0 + 1, line.1 + u64::from(token / 2));
            if token % 2 == 1 || line.1 >= 2 * self.characters {
                self.gather(&mut chunk, std::mem::take(&mut line), lens);
            }
        }
        self.gather(&mut chunk, line, lens);
        if chunk.0 > 0 {
            lens.push(chunk.0);
        }
        (lens.len() - before) as u32
    }

    /// Adds a line to the chunk; ends the chunk before it where both have too many characters.
    fn gather(&self, chunk: &mut (u32, u64), line: (u32, u64), lens: &mut Vec<u32>) {
        if chunk.0 > 0 && line.0 > 0 && chunk.1 + line.1 > self.characters {
            lens.push(chunk.0);
            *chunk = (0, 0);
        }
        *chunk = (chunk.0 + line.0, chunk.1 + line.1);
    }
}

#[cfg(test)]
mod tests {
    use longweave_common::Result;
    use longweave_tokens::Reserved;

    use super::*;

    /// Ids are ASCII characters.
    struct Ascii;

    impl Encoder for Ascii {
        fn encode(
            &self,
            text: &str,
            _reserved: Option<&Reserved>,
            out: &mut Vec<u32>,
        ) -> Result<()> {
            out.extend(text.bytes().map(u32::from));
            Ok(())
        }
        fn cost(&self, text: &str) -> u64 {
            4 * text.len() as u64
        }
        fn decode(&self, ids: &[u32]) -> Result<String> {
            Ok(ids.iter().map(|&id| id as u8 as char).collect())
        }
        fn token_to_id(&self, _token: &str) -> Option<u32> {
            None
        }
        fn id_to_token(&self, _id: u32) -> Option<String> {
            None
        }
        fn special_tokens(&self) -> Vec<(String, u32)> {
            Vec::new()
        }
        fn reserve(&self, _more: &[u32]) -> Result<Reserved> {
            unreachable!("chunks are cut from ids")
        }
        fn max_id(&self) -> u32 {
            127
        }
        fn name(&self) -> &'static str {
            "ascii"
        }
    }

    #[test]
    fn chunks_are_lines_that_fit_together() {
        let chunker = Chunker::new(&Ascii, 127, 4);
        for (text, expected) in [
            ("", &[][..]),
            ("abc", &[3]),
            ("a\nb\ncd\ne", &[4, 4]),
            ("abc\ndefgh\ni", &[4, 6, 1]),
            ("abcdefghij\nkl", &[8, 3, 2]),
            ("ab\ncdefghijk\n", &[3, 8, 2]),
        ] {
            let (mut ids, mut lens) = (vec![], vec![]);
            Ascii.encode(text, None, &mut ids).unwrap();
            assert_eq!(
                (chunker.cut(&ids, &mut lens) as usize, lens.as_slice()),
                (expected.len(), expected),
                "{text:?}"
            );
        }
    }
}
