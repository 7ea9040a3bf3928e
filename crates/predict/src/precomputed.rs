//! Queries that were made before: from a column of the corpus, or from a file of `{id, query | queries}`.

use std::path::Path;

use hashbrown::HashMap;
use longweave_common::random::Key;
use longweave_common::{Code, Ctx, Error, Result};
use longweave_corpus::{Content, CorpusOptions, RowReader, inventory};
use longweave_storage::{AtomicFile, UnlinkedFile};

use crate::{DocumentRef, Predictor, Queries};

/// Looks queries up. From a file it costs about 60 bytes a document in memory, and the queries' own bytes: in memory as long as they take no more
/// than an eighth of the bound, else on the disk.
pub struct Precomputed {
    file: Option<Table>,
}

/// Where a document's queries stand among all: from which byte, how many bytes.
type Place = (u64, u32);

struct Table {
    /// By the key of a document's id.
    documents: HashMap<[u8; 16], Place>,
    queries: Blocks,
}

/// Queries behind each other, each after its length (u32).
enum Blocks {
    Held(Vec<u8>),
    File(UnlinkedFile),
}

/// A table that is being read in.
struct QueryTableBuilder<'a> {
    documents: HashMap<[u8; 16], Place>,
    held: Vec<u8>,
    most: u64,
    beside: &'a Path,
    file: Option<AtomicFile>,
}

impl Precomputed {
    /// Queries that come with the documents.
    pub fn from_column() -> Precomputed {
        Precomputed { file: None }
    }

    /// Queries from a JSONL (plain, .gz, .zst) or Parquet file with the field `id` and `query` or `queries`, each a string or a list.
    ///
    /// What does not fit into memory stands in a file of a name like that of `beside`, as long as the predictor lives.
    ///
    /// Errors: `QUERIES_INVALID`, naming file and row; `INPUT_NOT_FOUND`, `INPUT_TRUNCATED`; those of writing.
    pub fn from_file(ctx: &Ctx, path: &Path, beside: &Path) -> Result<Precomputed> {
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
        let mut table = QueryTableBuilder {
            documents: HashMap::new(),
            held: Vec::new(),
            most: ctx.budget.limit() / 8,
            beside,
            file: None,
        };
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
                        Content::Document(document) if document.queries.is_empty() => {
                            missing.push(number)
                        }
                        Content::Document(document) => {
                            table.add(document.id, document.queries, path, number)?
                        }
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
            let message = format!(
                "{} holds no query in {rows} rows; each row needs `id` and `query` or `queries`",
                path.display()
            );
            return Err(
                Error::new(Code::QueriesInvalid, message).with("file", path.display().to_string())
            );
        }
        Ok(Precomputed { file: Some(table.finish()?) })
    }
}

fn invalid(path: &Path, row: u64, what: &str) -> Error {
    let message = format!(
        "{} row {row}: {what}; each row needs `id` and `query` or `queries`",
        path.display()
    );
    Error::new(Code::QueriesInvalid, message)
        .with("file", path.display().to_string())
        .with("row", row)
}

impl QueryTableBuilder<'_> {
    fn add(&mut self, id: &str, queries: &[String], path: &Path, row: u64) -> Result<()> {
        let start = self.held.len();
        for query in queries {
            let length = u32::try_from(query.len())
                .map_err(|_| invalid(path, row, "a query has more than 4 GiB"))?;
            self.held.extend_from_slice(&length.to_le_bytes());
            self.held.extend_from_slice(query.as_bytes());
        }
        let bytes = u32::try_from(self.held.len() - start)
            .map_err(|_| invalid(path, row, "its queries have more than 4 GiB"))?;
        let place = (self.file.as_ref().map_or(0, AtomicFile::bytes) + start as u64, bytes);
        if self.documents.insert(Key::of(id).0.to_le_bytes(), place).is_some() {
            return Err(invalid(path, row, &format!("the id \"{id}\" comes a second time")));
        }
        if self.file.is_some() || self.held.len() as u64 > self.most {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(AtomicFile::create(self.beside)?),
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
                Error::new(Code::Internal, "queries that were set aside are not what was written")
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

    use super::*;

    fn told(ctx: &Ctx, file: &Path, beside: &Path, documents: usize) -> Vec<Vec<String>> {
        let predictor = Precomputed::from_file(ctx, file, beside).unwrap();
        let ids: Vec<String> = (0..documents).map(|n| format!("d{n}")).collect();
        let batch: Vec<DocumentRef<'_>> =
            ids.iter().map(|id| DocumentRef { id, text: "", queries: &[] }).collect();
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
        let beside = directory.path().join("own/queries");
        let held = told(&ctx, &file, &beside, 200);
        assert_eq!(held[5], ["wie 5?", "", "größer 5"]);
        assert!(held[3].is_empty() && !directory.path().join("own").exists());
        ctx.budget = Budget::new(1000);
        assert_eq!(told(&ctx, &file, &beside, 200), held);
        assert_eq!(std::fs::read_dir(directory.path().join("own")).unwrap().count(), 0);
    }
}
