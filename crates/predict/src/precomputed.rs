//! Queries that were made before: from a field of the corpus, or from a file of `{id, query |
//! queries}`.

use std::path::Path;

use hashbrown::HashMap;
use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Before, Content, CorpusOptions, Origin, RowLocation, RowReader, inventory};
use longweave_storage::{AtomicFile, UnlinkedFile};

use crate::{DocumentRef, Predictor, Queries};

/// Looks queries up. Those of a file cost about 60 bytes a document in memory, and their own bytes:
/// in memory up to an eighth of the bound, else on disk.
pub struct Precomputed {
    file: Option<Table>,
}

/// The queries of a document among all: first byte, bytes.
type Span = (u64, u32);

struct Table {
    /// By the key of a document's id.
    documents: HashMap<[u8; 16], Span>,
    queries: Blocks,
}

/// Concatenated queries, each after its length (u32).
enum Blocks {
    Held(Vec<u8>),
    File(UnlinkedFile),
}

/// Builds a table row by row.
struct QueryTableBuilder<'a> {
    documents: HashMap<[u8; 16], Span>,
    held: Vec<u8>,
    /// Most bytes of `held` before it goes to a file.
    most: u64,
    scratch: &'a Path,
    file: Option<AtomicFile>,
}

impl Precomputed {
    /// Queries that come with the documents.
    pub fn from_column() -> Precomputed {
        Precomputed { file: None }
    }

    /// Queries from a JSONL (plain, .gz, .zst) or Parquet file with the field `id` and `query` or
    /// `queries`, each a string or a list.
    ///
    /// Queries that do not fit into memory go to a temporary file near `scratch`, as long as the
    /// predictor lives.
    ///
    /// Errors: `QUERIES_INVALID` with the row; `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`; those of
    /// writing.
    pub fn from_file(ctx: &Ctx, path: &Path, scratch: &Path) -> Result<Precomputed> {
        let path_text = path.to_string_lossy().into_owned();
        let named = |field: &str| CorpusOptions {
            id_field: Some("id".into()),
            query_field: Some(field.into()),
            origin: Origin::SideFile,
            // The id is the text too: a row needs nothing else.
            ..CorpusOptions::of_files(vec![path_text.clone()], "id")
        };
        let name = path.display().to_string();
        let mut table = QueryTableBuilder {
            documents: HashMap::new(),
            held: Vec::new(),
            most: ctx.budget.limit() / 8,
            scratch,
            file: None,
        };
        let mut rows = 0u64;
        for field in ["queries", "query"] {
            let mut missing = false;
            rows = 0;
            let options = named(field);
            let inventory = inventory(ctx, &options)?;
            for split in 0..inventory.splits.len() {
                let before = Before::default();
                let mut reader = match RowReader::open(ctx, &options, &inventory, split, before) {
                    Err(e) if e.code() == Code::MissingColumn && field == "queries" => continue,
                    other => other?,
                };
                while let Some(row) = reader.next()? {
                    rows += 1;
                    let location = row.location.in_file(&name);
                    match row.content {
                        Content::Document(document) if document.queries.is_empty() => {
                            missing = true;
                        }
                        Content::Document(document) => {
                            table.add(document.id, document.queries, &location)?;
                        }
                        Content::Empty => return Err(invalid(&location, "the id is empty")),
                        Content::Bad(bad) => return Err(invalid(&location, &bad.reason)),
                    }
                }
            }
            if table.documents.is_empty() {
                continue;
            }
            if !missing {
                break;
            }
        }
        if table.documents.is_empty() {
            let message = format!(
                "{} holds no query in {rows} rows; each row needs `id` and `query` or `queries`",
                path.display()
            );
            return Err(Error::new(Code::QueriesInvalid, message).with_file(path));
        }
        Ok(Precomputed { file: Some(table.finish()?) })
    }

    /// The id of the first row of a file of queries that can be used, for messages.
    ///
    /// Errors: those of opening it.
    pub fn first_id(ctx: &Ctx, path: &Path) -> Result<Option<String>> {
        let options = CorpusOptions {
            id_field: Some("id".into()),
            ..CorpusOptions::of_files(vec![path.to_string_lossy().into_owned()], "id")
        };
        let inventory = inventory(ctx, &options)?;
        let mut reader = RowReader::open(ctx, &options, &inventory, 0, Before::default())?;
        while let Some(row) = reader.next()? {
            if let Content::Document(document) = row.content {
                return Ok(Some(document.id.to_owned()));
            }
        }
        Ok(None)
    }
}

fn invalid(location: &RowLocation<'_>, reason: &str) -> Error {
    location.error(Code::QueriesInvalid, reason, "each row needs `id` and `query` or `queries`")
}

impl QueryTableBuilder<'_> {
    fn add(&mut self, id: &str, queries: &[String], location: &RowLocation<'_>) -> Result<()> {
        let start = self.held.len();
        for query in queries {
            let length = u32::try_from(query.len())
                .map_err(|_| invalid(location, "a query has more than 4 GiB"))?;
            self.held.extend_from_slice(&length.to_le_bytes());
            self.held.extend_from_slice(query.as_bytes());
        }
        let bytes = u32::try_from(self.held.len() - start)
            .map_err(|_| invalid(location, "its queries have more than 4 GiB"))?;
        let place = (self.file.as_ref().map_or(0, AtomicFile::bytes) + start as u64, bytes);
        if self.documents.insert(Key::of(id).0.to_le_bytes(), place).is_some() {
            return Err(invalid(location, &format!("the id \"{id}\" occurs a second time")));
        }
        if self.file.is_some() || self.held.len() as u64 > self.most {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(AtomicFile::create(self.scratch)?),
            };
            file.put(&self.held)?;
            self.held.clear();
        }
        Ok(())
    }

    fn finish(self) -> Result<Table> {
        let queries = match self.file {
            Some(file) => Blocks::File(file.into_unlinked()?),
            None => Blocks::Held(self.held),
        };
        Ok(Table { documents: self.documents, queries })
    }
}

impl Table {
    /// Appends the queries of a document to `out`.
    fn push(&self, id: &str, buffer: &mut Vec<u8>, out: &mut Queries) -> Result<()> {
        let Some(&(start, bytes)) = self.documents.get(&Key::of(id).0.to_le_bytes()) else {
            return Ok(());
        };
        let mut block = match &self.queries {
            Blocks::Held(all) => &all[start as usize..start as usize + bytes as usize],
            Blocks::File(file) => {
                buffer.resize(bytes as usize, 0);
                file.read(buffer, start)?;
                &buffer[..]
            }
        };
        let mut number = 0;
        while let Some((length, rest)) = block.split_first_chunk() {
            let query = rest
                .get(..u32::from_le_bytes(*length) as usize)
                .and_then(|query| std::str::from_utf8(query).ok());
            let query = query.ok_or_else(|| {
                Error::new(
                    Code::Internal,
                    "queries in the temporary file are not those that were written",
                )
            })?;
            out.push(number, query);
            number += 1;
            block = &rest[query.len()..];
        }
        Ok(())
    }
}

impl Predictor for Precomputed {
    fn name(&self) -> &'static str {
        "precomputed"
    }

    fn predict(&self, _ctx: &Ctx, batch: &[DocumentRef<'_>], out: &mut Queries) -> Result<()> {
        let mut buffer = Vec::new();
        for document in batch {
            match &self.file {
                Some(table) => table.push(document.id, &mut buffer, out)?,
                None => document
                    .queries
                    .iter()
                    .enumerate()
                    .for_each(|(i, query)| out.push(i as u32, query)),
            }
            out.end_document();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longweave_common::Budget;
    use longweave_language::Language;

    use super::*;

    fn looked_up(ctx: &Ctx, file: &Path, scratch: &Path, documents: usize) -> Vec<Vec<String>> {
        let predictor = Precomputed::from_file(ctx, file, scratch).unwrap();
        let ids: Vec<String> = (0..documents).map(|n| format!("d{n}")).collect();
        let batch: Vec<DocumentRef<'_>> = ids
            .iter()
            .map(|id| DocumentRef { id, text: "", language: Language::ENGLISH, queries: &[] })
            .collect();
        let mut out = Queries::default();
        predictor.predict(ctx, &batch, &mut out).unwrap();
        (0..documents).map(|n| out.of(n).map(|(_, query)| query.to_owned()).collect()).collect()
    }

    #[test]
    fn queries_that_do_not_fit_into_memory_are_the_same_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("queries.jsonl");
        let mut rows = String::new();
        for n in (0..200).rev().filter(|n| n % 7 != 3) {
            rows +=
                &format!("{{\"id\":\"d{n}\",\"queries\":[\"wie {n}?\",\"\",\"größer {n}\"]}}\n");
        }
        std::fs::write(&file, rows).unwrap();
        let mut ctx = Ctx::new(1, 1 << 20).unwrap();
        let scratch = directory.path().join("own/queries");
        let held = looked_up(&ctx, &file, &scratch, 200);
        assert_eq!(held[5], ["wie 5?", "", "größer 5"]);
        assert!(held[3].is_empty() && !directory.path().join("own").exists());
        ctx.budget = Budget::new(1000);
        assert_eq!(looked_up(&ctx, &file, &scratch, 200), held);
        assert_eq!(std::fs::read_dir(directory.path().join("own")).unwrap().count(), 0);
    }
}
