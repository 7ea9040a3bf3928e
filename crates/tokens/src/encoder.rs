//! The seam of encoders: text to ids and back.

use longweave_common::Result;

use crate::reserved::Reserved;

/// Text to ids and back.
pub trait Encoder: Send + Sync {
    /// Appends the ids of `text`. Adds no special token, but recognises those that the text
    /// contains, as tokenizers does; those that are `reserved` are text like any other.
    fn encode(&self, text: &str, reserved: Option<&Reserved>, out: &mut Vec<u32>) -> Result<()>;
    /// Bytes of heap that encoding `text` takes at most, its ids counted, the text not; measured,
    /// and rounded up.
    fn cost(&self, text: &str) -> u64;
    /// The text of `ids`, special tokens included.
    fn decode(&self, ids: &[u32]) -> Result<String>;
    /// The id of a token as it is written in the vocabulary or among the added tokens.
    fn token_to_id(&self, token: &str) -> Option<u32>;
    /// The token of an id, as it is written in the vocabulary or among the added tokens.
    fn id_to_token(&self, id: u32) -> Option<String>;
    /// The tokens that the file marks special, by id.
    fn special_tokens(&self) -> Vec<(String, u32)>;
    /// The special tokens and `more` ids, as tokens that documents may not contain.
    fn reserve(&self, more: &[u32]) -> Result<Reserved>;
    /// The largest id that can occur.
    fn max_id(&self) -> u32;
    /// Which encoder this is, with its version.
    fn name(&self) -> &'static str;
    /// Whether it encodes texts, and decodes ids to those that were encoded.
    fn has_texts(&self) -> bool {
        true
    }
}
