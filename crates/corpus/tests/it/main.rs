//! The corpus as a run reads it: files → splits → rows, for every kind of file and every way in which one can be bad.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod arrow;
mod columns;
mod files;
mod hostile;
mod jsonl;
mod packings;
mod parquet;
mod spool;
mod tokens;

use std::path::Path;
use std::sync::OnceLock;

use longweave_common::{Ctx, Result};
use longweave_corpus::{
    Before, Content, CorpusOptions, Counted, Inventory, RowReader, count_rows, inventory,
};

fn ctx() -> &'static Ctx {
    static CTX: OnceLock<Ctx> = OnceLock::new();
    CTX.get_or_init(|| Ctx::new(1, 1 << 30).unwrap())
}

fn options(paths: &[&Path]) -> CorpusOptions {
    let paths = paths.iter().map(|p| p.to_str().unwrap().to_owned()).collect();
    CorpusOptions {
        max_document_bytes: 1 << 20,
        split_bytes: Some(1 << 20),
        ..CorpusOptions::of_files(paths, "text")
    }
}

/// A row, owned: `Ok((id, text))`, else the code and reason, or `EMPTY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    location: String,
    content: Result<(String, String), String>,
    queries: Vec<String>,
    source: Option<String>,
    /// Whether lone surrogates were replaced.
    replaced: bool,
}

impl Seen {
    fn document(&self) -> (&str, &str) {
        let (id, text) = self.content.as_ref().unwrap();
        (id, text)
    }
}

/// All rows of a split, and how many rows and lines there are.
fn rows_of(
    options: &CorpusOptions,
    inventory: &Inventory,
    split: usize,
    before: Before,
) -> Result<(Vec<Seen>, Counted)> {
    let mut reader = RowReader::open(ctx(), options, inventory, split, before)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next()? {
        let (mut queries, mut source, mut replaced) = (Vec::new(), None, false);
        let content = match row.content {
            Content::Document(d) => {
                (queries, source) = (d.queries.to_vec(), d.source.map(str::to_owned));
                replaced = d.replaced_surrogates;
                // Tokens are shown as a list.
                let text = d.tokens.map_or_else(|| d.text.to_owned(), |ids| format!("{ids:?}"));
                assert!(d.tokens.is_none() || d.text.is_empty());
                Ok((d.id.to_owned(), text))
            }
            Content::Empty => Err("EMPTY".to_owned()),
            Content::Bad(bad) => Err(format!("{} {}", bad.code.name(), bad.reason)),
        };
        rows.push(Seen { location: row.location.to_string(), content, queries, source, replaced });
    }
    let counted = count_rows(ctx(), options, inventory, split)?;
    assert_eq!(counted.rows, rows.len() as u64, "scan and reading count the same rows");
    Ok((rows, counted))
}

/// All rows of a corpus, split by split, numbered as a run numbers them.
fn rows(options: &CorpusOptions) -> Result<Vec<Seen>> {
    let inventory = inventory(ctx(), options)?;
    let (mut all, mut file, mut before) = (Vec::new(), u32::MAX, Before::default());
    for (split, part) in inventory.splits.iter().enumerate() {
        if part.file != file {
            file = part.file;
            before = Before { rows: 0, lines: 0, ..before };
        }
        let (rows, counted) = rows_of(options, &inventory, split, before)?;
        before.rows += counted.rows;
        before.lines += counted.lines;
        before.corpus_rows += counted.rows;
        all.extend(rows);
    }
    Ok(all)
}

fn code(result: Result<impl Sized>) -> &'static str {
    result.err().map_or("NONE", |e| e.code().name())
}
