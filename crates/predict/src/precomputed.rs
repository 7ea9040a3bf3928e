//! Queries that were made before: from a column of the corpus, or from a file of `{id, query | queries}`.

use std::collections::HashMap;
use std::path::Path;

use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Content, CorpusOptions, RowReader, inventory};

use crate::{DocumentRef, Predictor, Queries};

/// Looks queries up. From a file it costs the queries' bytes, 8 a query and 40 a document.
pub struct Precomputed {
    file: Option<Table>,
}

struct Table {
    text: String,
    ends: Vec<usize>,
    /// Place of a document's queries by the key of its id.
    documents: HashMap<u128, (usize, usize)>,
}

impl Precomputed {
    /// Queries that come with the documents.
    pub fn from_column() -> Precomputed {
        Precomputed { file: None }
    }

    /// Queries from a JSONL (plain, .gz, .zst) or Parquet file with the field `id` and `query` or `queries`, each a string or a list.
    ///
    /// Errors: `QUERIES_INVALID`, naming file and row; `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`.
    pub fn from_file(ctx: &Ctx, path: &Path) -> Result<Precomputed> {
        let named = |field: &str| CorpusOptions {
            paths: vec![path.to_string_lossy().into_owned()],
            root: None,
            // The id stands in for the text: a row needs nothing else.
            text_field: "id".into(),
            id_field: Some("id".into()),
            query_field: Some(field.into()),
            source_field: None,
            max_document_bytes: 64 << 20,
            split_bytes: u64::MAX,
            spool: None,
        };
        let mut table = Table { text: String::new(), ends: Vec::new(), documents: HashMap::new() };
        let (mut rows, mut missing) = (0u64, Vec::new());
        for field in ["queries", "query"] {
            missing.clear();
            let options = named(field);
            let inventory = inventory(ctx, &options)?;
            for split in 0..inventory.splits.len() {
                let mut reader = match RowReader::open(ctx, &options, &inventory, split, 0) {
                    Err(e) if e.code() == Code::MissingColumn && field == "queries" => continue,
                    other => other?,
                };
                while let Some(row) = reader.next()? {
                    rows += 1;
                    let number = row.number;
                    match row.content {
                        Content::Document(document) if document.queries.is_empty() => missing.push(number),
                        Content::Document(document) => table.add(document.id, document.queries, path, number)?,
                        Content::Empty => return Err(invalid(path, number, "the id is empty")),
                        Content::Bad(bad) => return Err(invalid(path, number, &bad.reason)),
                    }
                }
            }
            if table.documents.is_empty() {
                continue;
            }
            if missing.is_empty() {
                break;
            }
        }
        if table.documents.is_empty() {
            let message = format!("{} holds no query in {rows} rows; each row needs `id` and `query` or `queries`", path.display());
            return Err(Error::new(Code::QueriesInvalid, message).with("file", path.display().to_string()));
        }
        Ok(Precomputed { file: Some(table) })
    }
}

fn invalid(path: &Path, row: u64, what: &str) -> Error {
    let message = format!("{} row {row}: {what}; each row needs `id` and `query` or `queries`", path.display());
    Error::new(Code::QueriesInvalid, message).with("file", path.display().to_string()).with("row", row)
}

impl Table {
    fn add(&mut self, id: &str, queries: &[String], path: &Path, row: u64) -> Result<()> {
        let start = self.ends.len();
        for query in queries {
            self.text.push_str(query);
            self.ends.push(self.text.len());
        }
        if self.documents.insert(Key::of(id).0, (start, self.ends.len())).is_some() {
            return Err(invalid(path, row, &format!("the id \"{id}\" comes a second time")));
        }
        Ok(())
    }

    fn of(&self, id: &str) -> impl Iterator<Item = &str> {
        let (start, end) = self.documents.get(&Key::of(id).0).copied().unwrap_or((0, 0));
        (start..end).map(|i| {
            let from = if i == 0 { 0 } else { self.ends[i - 1] };
            &self.text[from..self.ends[i]]
        })
    }
}

impl Predictor for Precomputed {
    fn name(&self) -> &'static str {
        "precomputed"
    }

    fn predict(&self, _ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()> {
        for document in batch {
            match &self.file {
                Some(table) => table.of(document.id).enumerate().for_each(|(i, query)| out.push(i as u32, query)),
                None => document.queries.iter().enumerate().for_each(|(i, query)| out.push(i as u32, query)),
            }
            out.end_document();
        }
        Ok(())
    }
}
