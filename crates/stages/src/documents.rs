//! Documents: numbers every row of the corpus, refuses or renames duplicate ids, and gathers the
//! columns that planning reads, by `DocId`.
//!
//! Costs 36 bytes a document in memory, 20 more while it looks for duplicates, and 4 more where
//! documents have sources.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use longweave_common::random::Key;
use longweave_common::{Code, DocId, Error, ResultExt};
use longweave_corpus::{RowLocation, RowReader};
use longweave_run::OnDuplicateId;
use longweave_storage::{
    FileRecord, Scalar, StringTable, StringTableWriter, read_array, read_strings, write_array,
    write_strings,
};
use rayon::prelude::*;
use serde_json::Map;

use crate::ingest::{INGEST, IngestCounts, IngestPaths, RAISE, SpecialCounts, too_many_bad_rows};
use crate::prelude::*;
use crate::scan::{self, Rows, SCAN};
use crate::spool::corpus;

/// Counts of the whole corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentCounts {
    pub rows: u64,
    pub accepted: u64,
    pub empty: u64,
    pub rejected: u64,
    pub bytes: u64,
    pub tokens: u64,
    /// Documents whose id was changed because another has it.
    pub renamed: u64,
    /// Special tokens in text.
    pub special: SpecialCounts,
    /// Documents with a source.
    pub sources: u64,
    /// Documents in which lone surrogates were replaced.
    pub surrogates: u64,
}

pub const DOCUMENTS: Stage =
    Stage::new("documents", "Numbering documents", ProgressUnit::Documents, 3, &DocumentsStage);

struct DocumentsStage;

impl StageSpec for DocumentsStage {
    fn inputs(&self, _: &RunOptions) -> Vec<Stage> {
        vec![SCAN, INGEST]
    }

    fn identity(&self, file: &RunFile) -> Value {
        let options = &file.options;
        json!({ "onDuplicateId": options.on_duplicate_id, "sources": options.has_sources() })
    }

    fn units(&self, run: &RunContext, _tasks: &[u32]) -> Result<u64> {
        Ok(u64::from(scan::rows(run)?.total()))
    }

    fn bytes(&self, run: &RunContext, facts: &Facts) -> Result<f64> {
        let source = if run.options().has_sources() { 4.0 } else { 0.0 };
        Ok(facts.rows * (44.0 + facts.id + source))
    }

    fn held(&self, _run: &RunContext, facts: &Facts) -> f64 {
        // Lengths, keys and hashes of all documents, and a table of keys.
        facts.rows * 56.0
    }

    fn tells_sizes(&self) -> bool {
        true
    }

    fn run(&self, ctx: &Ctx, run: &RunContext, _task: u32) -> Result<DoneRecord> {
        let rows = scan::rows(run)?;
        let ingest = run.directory(INGEST);
        let total = rows.total() as usize;
        let mut all = DocumentCounts { rows: total as u64, ..DocumentCounts::default() };
        let (mut lens, mut keys, mut text_hashes) =
            (Vec::with_capacity(total), Vec::with_capacity(total), Vec::with_capacity(total));
        for (split, counts) in (0..).zip(run.all_counts::<IngestCounts>()?) {
            ctx.cancel.check()?;
            let IngestCounts {
                accepted,
                empty,
                rejected,
                bytes,
                tokens,
                special,
                sources,
                surrogates,
            } = counts;
            all.accepted += accepted;
            all.empty += empty;
            all.rejected += rejected;
            all.bytes += bytes;
            all.tokens += tokens;
            all.special.extend(special);
            all.sources += sources;
            all.surrogates += surrogates;
            let names = IngestPaths::of(&ingest, split);
            lens.extend(read_array::<u32>(&names.lens)?);
            keys.extend(read_array::<u128>(&names.keys)?);
            text_hashes.extend(read_array::<u128>(&names.text_hashes)?);
        }
        if lens.len() != total || keys.len() != total || text_hashes.len() != total {
            let message = format!(
                "ingest wrote {} rows, but scan counted {total}; delete the work directory and run \
                 again",
                lens.len()
            );
            return Err(Error::new(Code::FileCorrupt, message));
        }
        check_bad_rows(run, &all)?;
        if all.tokens == 0 {
            let DocumentCounts { rows, empty, rejected, .. } = all;
            let message = format!(
                "the corpus holds no document with a token: {rows} rows, {empty} empty, {rejected} \
                 rejected; check `textField` and `corpus`"
            );
            return Err(Error::new(Code::CorpusEmpty, message));
        }
        let duplicates = ctx.pool.install(|| duplicates(&keys, &lens));
        let splits = Splits { rows: &rows, ingest: &ingest };
        if let (Some(group), OnDuplicateId::Fail) =
            (duplicates.first(), run.options().on_duplicate_id)
        {
            return Err(duplicate_error(ctx, run, &splits, group)?);
        }
        let renamed = rename(&splits, &duplicates, &mut keys)?;
        all.renamed = renamed.len() as u64;

        let directory = run.directory(DOCUMENTS);
        let mut files = vec![
            FileRecord::new("lens", write_array(&directory.join("lens"), &lens)?),
            FileRecord::new("keys", write_array(&directory.join("keys"), &keys)?),
            FileRecord::new(
                "text_hashes",
                write_array(&directory.join("text_hashes"), &text_hashes)?,
            ),
            FileRecord::new(
                "ids.arrow",
                write_ids(ctx, &directory.join("ids.arrow"), &splits, &renamed)?,
            ),
        ];
        if run.options().has_sources() {
            let (names, column) = sources(ctx, &splits, &lens)?;
            files.push(FileRecord::new(
                "sources",
                write_array(&directory.join("sources"), &column)?,
            ));
            files.push(FileRecord::new(
                "sources.arrow",
                write_strings(&directory.join("sources.arrow"), "source", &names)?,
            ));
        }
        (all).done(files)
    }
}

impl Counts for DocumentCounts {
    const STAGE: Stage = DOCUMENTS;
}

/// The id of the first document, for messages.
pub(crate) fn first_id(run: &RunContext) -> Result<String> {
    let rows = scan::rows(run)?;
    let ingest = run.directory(INGEST);
    for split in 0..rows.first.len() - 1 {
        let table = read_strings(&IngestPaths::of(&ingest, split as u32).ids)?;
        if let Some((id, _)) = table.iter().zip(0..).find(|(id, _)| !id.is_empty()) {
            return Ok(id.to_owned());
        }
    }
    Ok(String::new())
}

/// Refuses a corpus with more bad rows than `maxBadRows` allows. Asked of results that are reused, too:
/// the limit decides no result.
///
/// Errors: `BAD_ROW` with the first of them.
pub(crate) fn check_bad_rows(run: &RunContext, all: &DocumentCounts) -> Result<()> {
    let Some(most) = run.options().most_bad_rows(all.rows).filter(|&most| all.rejected > most)
    else {
        return Ok(());
    };
    let mut message = too_many_bad_rows(all.rejected, all.rows, most);
    let mut details = Map::new();
    for split in 0..run.file.inventory.splits.len() as u32 {
        let path = IngestPaths::of(&run.directory(INGEST), split).rejects;
        let mut line = String::new();
        BufReader::new(File::open(&path).at("open", &path)?)
            .read_line(&mut line)
            .at("read", &path)?;
        if let Ok(Value::Object(row)) = serde_json::from_str(&line) {
            details = row;
            let text = |key: &str| details.get(key).and_then(Value::as_str).unwrap_or_default();
            let line = details.get("line").map_or_else(String::new, |line| format!(":{line}"));
            let first = format!("; the first is {}{line}: {}", text("file"), text("reason"));
            message.push_str(&first);
            break;
        }
    }
    let error = Error::new(Code::BadRow, format!("{message}; {RAISE}"));
    let error = details.into_iter().fold(error, |error, (key, value)| error.with(&key, value));
    Err(error.with("rejected", all.rejected).with("rows", all.rows))
}

/// Names of sources in byte order, and the number of each document's; of rows without a token, 0.
fn sources(ctx: &Ctx, splits: &Splits<'_>, lens: &[u32]) -> Result<(Vec<String>, Vec<u32>)> {
    let all = splits.rows.first.len() - 1;
    let read = |split: usize| -> Result<StringTable> {
        ctx.cancel.check()?;
        read_strings(&IngestPaths::of(splits.ingest, split as u32).sources)
    };
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for split in 0..all {
        for (name, _) in read(split)?
            .iter()
            .zip(&lens[splits.rows.first[split] as usize..])
            .filter(|&(_, &len)| len > 0)
        {
            if !numbers.contains_key(name) {
                numbers.insert(name.to_owned(), 0);
            }
        }
    }
    numbers.values_mut().zip(0..).for_each(|(number, n)| *number = n);
    let mut column = Vec::with_capacity(lens.len());
    for split in 0..all {
        column.extend(read(split)?.iter().map(|name| numbers.get(name).copied().unwrap_or(0)));
    }
    Ok((numbers.into_keys().collect(), column))
}

struct Splits<'a> {
    rows: &'a Rows,
    ingest: &'a Path,
}

impl Splits<'_> {
    fn ids(&self, split: usize) -> Result<StringTable> {
        read_strings(&IngestPaths::of(self.ingest, split as u32).ids)
    }

    /// The ids of rising documents; each split's table is read once.
    fn ids_of(&self, documents: impl Iterator<Item = u32>) -> Result<Vec<String>> {
        let places: Vec<(usize, usize)> = documents
            .map(|doc| self.rows.place(DocId::new(doc)))
            .map(|(split, row)| (split, row as usize))
            .collect();
        let mut ids = Vec::with_capacity(places.len());
        for same in places.chunk_by(|a, b| a.0 == b.0) {
            let rows: Vec<usize> = same.iter().map(|(_, row)| *row).collect();
            let table = IngestPaths::of(self.ingest, same[0].0 as u32).ids;
            StringTable::pick(&table, &rows, |_, id| ids.push(id.to_owned()))?;
        }
        Ok(ids)
    }
}

/// Documents that share their key with another, in lists of rising `DocId`, the lists in order of
/// their first. Empty rows have no id.
fn duplicates(keys: &[u128], lens: &[u32]) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..keys.len() as u32)
        .filter(|&d| keys[d as usize] != 0 || lens[d as usize] != 0)
        .collect();
    order.par_sort_unstable_by_key(|&doc| (keys[doc as usize], doc));
    let mut lists: Vec<Vec<u32>> = order
        .chunk_by(|&a, &b| keys[a as usize] == keys[b as usize])
        .filter(|c| c.len() > 1)
        .map(<[u32]>::to_vec)
        .collect();
    lists.sort_unstable();
    lists
}

fn duplicate_error(
    ctx: &Ctx,
    run: &RunContext,
    splits: &Splits<'_>,
    group: &[u32],
) -> Result<Error> {
    let id = splits.ids_of(group[..1].iter().copied())?.concat();
    let location = |doc: u32| -> Result<RowLocation<'static>> {
        let (split, row) = splits.rows.place(DocId::new(doc));
        let mut reader = RowReader::open(
            ctx,
            &corpus(run),
            &run.file.inventory,
            split,
            splits.rows.before(split),
        )?;
        for _ in 0..row {
            ctx.cancel.check()?;
            reader.next()?;
        }
        let gone =
            || Error::new(Code::InputChanged, "the corpus lost rows during the run; run again");
        Ok(reader.next()?.ok_or_else(gone)?.location.into_owned())
    };
    let (first, second) = (location(group[0])?, location(group[1])?);
    let message = format!(
        "{} documents have the id \"{id}\", the first two at {first} and {second}; \
         make ids unique, or set `onDuplicateId: suffix`",
        group.len()
    );
    Ok(Error::new(Code::DuplicateId, message)
        .with("id", id)
        .with("locations", json!([first, second])))
}

/// New ids `id#2`, `id#3` … for all but the first of each list, passing over those that exist; in
/// `DocId` order.
fn rename(
    splits: &Splits<'_>,
    lists: &[Vec<u32>],
    keys: &mut [u128],
) -> Result<Vec<(u32, String)>> {
    if lists.is_empty() {
        return Ok(Vec::new());
    }
    let mut taken: std::collections::HashSet<u128> = keys.iter().copied().collect();
    let mut renamed = Vec::new();
    let firsts = splits.ids_of(lists.iter().map(|list| list[0]))?;
    for (list, id) in lists.iter().zip(firsts) {
        let mut number = 2u64;
        for &doc in &list[1..] {
            let new = loop {
                let candidate = format!("{id}#{number}");
                number += 1;
                if taken.insert(Key::of(&candidate).0) {
                    break candidate;
                }
            };
            keys[doc as usize] = Key::of(&new).0;
            renamed.push((doc, new));
        }
    }
    renamed.sort_unstable();
    Ok(renamed)
}

fn write_ids(
    ctx: &Ctx,
    path: &Path,
    splits: &Splits<'_>,
    renamed: &[(u32, String)],
) -> Result<longweave_storage::Sealed> {
    let mut writer = StringTableWriter::create(path, "id")?;
    let mut renamed = renamed.iter().peekable();
    for split in 0..splits.rows.first.len() - 1 {
        ctx.cancel.check()?;
        let ids = splits.ids(split)?;
        for (row, id) in ids.iter().enumerate() {
            let doc = splits.rows.first[split] + row as u32;
            match renamed.next_if(|(d, _)| *d == doc) {
                Some((_, new)) => writer.push(new)?,
                None => writer.push(id)?,
            }
        }
        ctx.progress.advance(ids.len() as u64);
    }
    writer.commit()
}

/// The names of the sources, by number; none where documents have no sources.
pub(crate) fn source_names(run: &RunContext) -> Result<Vec<String>> {
    if !run.options().has_sources() {
        return Ok(Vec::new());
    }
    let table = read_strings(&run.directory(DOCUMENTS).join("sources.arrow"))?;
    Ok(table.iter().map(str::to_owned).collect())
}

fn column<T: Scalar>(run: &RunContext, name: &str) -> Result<Vec<T>> {
    read_array(&run.directory(DOCUMENTS).join(name))
}

/// The tokens of each document.
pub(crate) fn lens(run: &RunContext) -> Result<Vec<u32>> {
    column(run, "lens")
}

/// The key of each document's id.
pub(crate) fn keys(run: &RunContext) -> Result<Vec<u128>> {
    column(run, "keys")
}

/// The hash of each document's text.
pub(crate) fn text_hashes(run: &RunContext) -> Result<Vec<u128>> {
    column(run, "text_hashes")
}

/// The number of each document's source; `None` where documents have no sources.
pub(crate) fn source_numbers(run: &RunContext) -> Result<Option<Vec<u32>>> {
    run.options().has_sources().then(|| column(run, "sources")).transpose()
}
