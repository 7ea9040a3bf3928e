//! tokenizers 0.23, with the regular expressions of its Python package: the encoder whose ids
//! count.

use longweave_common::{Result, catch_panic};
use tokenizers::json::Json;
use tokenizers_exact::models::unigram::Unigram;
use tokenizers_exact::normalizer::Range;
use tokenizers_exact::{
    Model as _, ModelWrapper, NormalizedString, Normalizer as _, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper, Tokenizer,
};

use crate::added::AddedTokens;
use crate::file::{Source, Vocabulary, failed, invalid};
use crate::reserved::Reserved;

pub(crate) struct Exact {
    tokenizer: Tokenizer,
    added: AddedTokens,
}

impl Exact {
    /// Errors: `TOKENIZER_INVALID`, naming the file.
    pub(crate) fn new(source: &Source, vocabulary: &Vocabulary) -> Result<Exact> {
        let path = source.path();
        let bytes = source.read()?;
        let load = || {
            let tokenizer = package_tokenizer(&bytes).map_err(|e| invalid(path, &e))?;
            let normalizer = tokenizer.get_normalizer();
            let added = AddedTokens::new(&vocabulary.added, |text| {
                let mut text = NormalizedString::from(text);
                if let Some(normalizer) = normalizer {
                    normalizer.normalize(&mut text).map_err(|e| invalid(path, &e.to_string()))?;
                }
                Ok(text.get().to_owned())
            })?;
            Ok(Exact { tokenizer, added })
        };
        catch_panic(load, |what| invalid(path, what))
    }

    pub(crate) fn model(&self) -> &ModelWrapper {
        self.tokenizer.get_model()
    }

    /// Appends the ids of a text. None of `reserved` is among them.
    pub(crate) fn encode(
        &self,
        text: &str,
        reserved: Option<&Reserved>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let failed = |e| failed("encode a text", &e);
        let Some(reserved) = reserved else {
            let encoding = self.tokenizer.encode_fast(text, false).map_err(failed)?;
            out.extend_from_slice(encoding.get_ids());
            return Ok(());
        };
        let skip = |id| reserved.is_reserved(id);
        let whole = NormalizedString::from(text);
        self.added.split(text, false, skip, out, |text, start, out| {
            let mut part =
                whole.slice(Range::Original(start..start + text.len())).unwrap_or_default();
            if let Some(normalizer) = self.tokenizer.get_normalizer() {
                normalizer.normalize(&mut part).map_err(failed)?;
            }
            self.added.split(part.get(), true, skip, out, |text, start, out| {
                let range = Range::Normalized(start..start + text.len());
                let words = PreTokenizedString::from(part.slice(range).unwrap_or_default());
                let pre_tokenizer = self.tokenizer.get_pre_tokenizer();
                for word in pre_tokenize(pre_tokenizer, words)? {
                    reserved.encode_apart(&word, out, |piece, out| self.tokenize(piece, out))?;
                }
                Ok(())
            })
        })
    }

    /// Appends the ids that the model has for a word.
    pub(crate) fn tokenize(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        let tokens = self.model().tokenize(word).map_err(|e| failed("encode a text", &e))?;
        out.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }

    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, false).map_err(|e| failed("decode ids", &e))
    }
}

/// A tokenizer.json as the Python package reads it, without truncation, padding and dropout. The error
/// says why it is not one.
pub fn package_tokenizer(bytes: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| e.to_string())?;
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    tokenizer.with_padding(None);
    // Dropout makes the same text come out differently each time; it is for training with the
    // tokenizer, not for data.
    if let ModelWrapper::BPE(model) = tokenizer.get_model()
        && model.dropout.is_some()
    {
        let mut model = model.clone();
        model.dropout = None;
        tokenizer.with_model(model);
    }
    if let ModelWrapper::Unigram(model) = tokenizer.get_model() {
        let (pieces, unknown) = pieces(bytes)?;
        let model = Unigram::from(pieces, unknown, model.byte_fallback());
        tokenizer.with_model(model.map_err(|e| e.to_string())?);
    }
    Ok(tokenizer)
}

/// The tokens of a Unigram model with their scores, and the place of the unknown one.
pub(crate) type Pieces = (Vec<(String, f64)>, Option<usize>);

/// The pieces of a file, with the scores that the Python package reads. There, `serde_json` reads
/// numbers without its feature `float_roundtrip`, which can be off by the last bit, and that bit
/// decides ties. The feature is on here; the reader of tokenizers 1.0 has that arithmetic.
pub(crate) fn pieces(bytes: &[u8]) -> Result<Pieces, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let file = Json::parse(text).map_err(|e| e.to_string())?;
    let model = file.get("model").ok_or("it has no model")?;
    let pieces = model.get("vocab").and_then(Json::as_array).ok_or("it has no vocabulary")?;
    let piece = |pair: &Json<'_>| {
        let [token, score] = pair.as_array()? else { return None };
        Some((token.as_str()?.to_owned(), score.as_f64()?))
    };
    let pieces = pieces.iter().map(|pair| piece(pair).ok_or("a piece is not a pair"));
    let unknown = model.field("unk_id").and_then(Json::as_usize);
    Ok((pieces.collect::<Result<_, _>>()?, unknown))
}

/// The words of a text.
pub(crate) fn pre_tokenize(
    pre_tokenizer: Option<&PreTokenizerWrapper>,
    mut text: PreTokenizedString,
) -> Result<Vec<String>> {
    if let Some(pre_tokenizer) = pre_tokenizer {
        pre_tokenizer.pre_tokenize(&mut text).map_err(|e| failed("encode a text", &e))?;
    }
    let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(word, ..)| word.to_owned()).collect())
}
