//! The documents of a split that ingest accepted, as they are read again. The text of one that has
//! token ids in place of it is decoded from them.

use std::sync::Arc;

use longweave_common::{Code, Ctx, Result};
use longweave_corpus::{Content, RowReader};
use longweave_language::{Language, detect};
use longweave_run::RunContext;
use longweave_storage::read_array;
use longweave_tokens::Encoder;

use crate::ingest::{ACCEPTED, INGEST, IngestPaths};
use crate::pretokenized::without_separators;
use crate::scan::rows;
use crate::spool::{check_split, corpus_with_queries};

/// A document. One whose precomputed queries are skipped as bad has only its row.
#[derive(Default)]
pub(super) struct Document {
    pub(super) row: u32,
    pub(super) id: String,
    pub(super) text: String,
    pub(super) queries: Vec<String>,
    /// The language that its row names.
    language: Option<Language>,
}

impl Document {
    /// Its language: the one that its row names, else `language`, else what its text says.
    pub(super) fn language(&self, language: Option<Language>) -> Language {
        self.language.or(language).unwrap_or_else(|| detect(&self.text))
    }
}

/// The documents of a split that ingest accepted.
pub(super) struct Documents {
    reader: RowReader,
    /// Whether a document whose own queries are bad has none, instead of ending the run; `None` where
    /// they are not read.
    skip_bad_queries: Option<bool>,
    status: Vec<u8>,
    /// The tokenizer and the separator, where rows may have token ids.
    decoder: Option<(Arc<dyn Encoder>, Vec<u32>)>,
    /// Whether rows name their language.
    names_languages: bool,
    /// Whether such a row counts as a document without queries.
    skips_bad_rows: bool,
    /// The language of documents that name none; `None` to detect it.
    pub(super) language: Option<Language>,
    /// The next row.
    pub(super) row: u32,
}

impl Documents {
    pub(super) fn open(ctx: &Ctx, run: &RunContext, task: u32) -> Result<Documents> {
        let split = task as usize;
        let inventory = &run.file.inventory;
        check_split(run, split)?;
        let status = read_array::<u8>(&IngestPaths::of(&run.directory(INGEST), task).status)?;
        let options = run.options();
        let mut corpus = corpus_with_queries(run);
        // Nothing here needs the source: the language is read in its place.
        corpus.source_field = options.language_field.clone();
        let reader = RowReader::open(ctx, &corpus, inventory, split, rows(run)?.before(split))?;
        let skip_bad_queries = options.reads_query_field().then(|| options.skips_bad_rows());
        let decoder = if run.file.has_tokens() {
            Some((run.resources.encoder()?, run.file.tokenizer.separator.clone()))
        } else {
            None
        };
        Ok(Documents {
            reader,
            skip_bad_queries,
            status,
            decoder,
            names_languages: options.language_field.is_some(),
            skips_bad_rows: options.skips_bad_rows(),
            language: options.keywords.language()?,
            row: 0,
        })
    }

    /// The next row: its number, and the document if it was accepted; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Option<Document>)>> {
        let Some(next) = self.reader.next()? else { return Ok(None) };
        let row = self.row;
        self.row += 1;
        if self.status.get(row as usize) != Some(&ACCEPTED) {
            return Ok(Some((row, None)));
        }
        let Content::Document(document) = &next.content else {
            if let (Content::Bad(bad), Some(skip)) = (&next.content, self.skip_bad_queries) {
                if skip {
                    return Ok(Some((row, Some(Document { row, ..Document::default() }))));
                }
                return Err(next.location.error(
                    Code::QueriesInvalid,
                    &bad.reason,
                    "fix the row's queries, or set `onBadRow: skip` to ignore them",
                ));
            }
            if let (Content::Bad(bad), true) = (&next.content, self.names_languages) {
                if self.skips_bad_rows {
                    return Ok(Some((row, Some(Document { row, ..Document::default() }))));
                }
                return Err(next.location.error(
                    Code::BadRow,
                    // The language is read in place of the source.
                    &bad.reason.replace("sourceField", "languageField"),
                    "fix the field that `languageField` names, or leave out `languageField`",
                ));
            }
            return Err(next.location.error(
                Code::InputChanged,
                "the row was a document when it was ingested, and is not now",
                "the file changed during the run: run again",
            ));
        };
        let text = match (document.tokens, &self.decoder) {
            (Some(ids), Some((encoder, separator))) => {
                encoder.decode(without_separators(separator, ids))?
            }
            _ => document.text.to_owned(),
        };
        let queries = document.queries.iter().map(|q| q.to_string()).collect();
        let named = document.source.map(str::trim).filter(|code| !code.is_empty());
        let language = named.and_then(named_language);
        let id = document.id.to_owned();
        Ok(Some((row, Some(Document { row, id, text, queries, language }))))
    }
}

/// The language that a code names: of a code that longweave does not know, one without rules; of
/// other texts, none.
fn named_language(code: &str) -> Option<Language> {
    let is_code = |base: &str| {
        (2..=3).contains(&base.len()) && base.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let base = code.split(['-', '_']).next().unwrap_or_default();
    Language::of(code).or_else(|| is_code(base).then_some(Language::UNKNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_not_known_is_a_language_without_rules_and_a_name_is_none() {
        for code in ["tlh", "tlh_Latn", "xx"] {
            assert_eq!(named_language(code), Some(Language::UNKNOWN), "{code}");
        }
        for text in ["English", "__label__en", "1", "e", ""] {
            assert_eq!(named_language(text), None, "{text}");
        }
        assert_eq!(named_language("deu_Latn"), Language::of("de"));
    }
}
