//! The size of a run, as far as it is known.
//!
//! Before `ingest` is complete, rows, text and tokens are estimated from a sample of the corpus, a
//! few megabytes at several places; after it they are known, and after `plan` so are sequences and
//! pieces. The factors were measured on encyclopedia articles, news and posts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use longweave_common::{Ctx, Result};
use longweave_corpus::{
    Before, Content, InputFile, Inventory, Kind, Packing, Range, RowReader, Split, count_rows,
    split_bytes,
};
use longweave_plan::Method;
use longweave_run::{Bos, Facts, RunContext};
use longweave_stages::ingest::{INGEST, IngestCounts};
use longweave_stages::plan::PlanCounts;
use longweave_stages::scan::rows;
use longweave_stages::spool::corpus;

/// Places in the corpus that are looked at, and bytes that are read at all of them together.
const PLACES: usize = 8;
const SAMPLE_BYTES: u64 = 2 << 20;
/// Of these, bytes of text that are tokenized.
const TOKENIZED_BYTES: u64 = 512 << 10;

/// Means over the rows of a sample, and bytes of the corpus that they stand for.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    rows: f64,
    /// Bytes of these rows in the corpus' files.
    stored: f64,
    text: f64,
    id: f64,
    queries: f64,
    tokenized: f64,
    tokens: f64,
}

/// A sample of the run's corpus, taken when first needed.
struct Sample(Option<Facts>);

/// The facts of the run; `None` if a sample holds no document or cannot be read: the run then
/// reports the cause.
pub(super) fn facts(ctx: &Ctx, run: &RunContext) -> Result<Option<Facts>> {
    let facts = match counted(run) {
        Ok(Some(facts)) => Some(facts),
        _ => run.shared.get(|| Ok(Sample(sample(ctx, run))))?.0,
    };
    facts.map(|facts| with_plan(run, facts)).transpose()
}

/// The facts of a run whose ingest is complete, from its records alone; `None` before.
///
/// Errors: `FILE_CORRUPT` for a damaged record.
pub fn counted_facts(run: &RunContext) -> Result<Option<Facts>> {
    counted(run)?.map(|facts| with_plan(run, facts)).transpose()
}

/// From the records of a run whose ingest is complete.
fn counted(run: &RunContext) -> Result<Option<Facts>> {
    if !run.is_complete(INGEST)? {
        return Ok(None);
    }
    let mut facts = Facts {
        rows: f64::from(rows(run)?.total()),
        counted: true,
        queries: 80.0,
        ..Facts::default()
    };
    for IngestCounts { bytes, tokens, .. } in run.all_counts()? {
        facts.text_bytes += bytes as f64;
        facts.tokens += tokens as f64;
    }
    let ingested = run.all_done(INGEST)?;
    let files = ingested.iter().flat_map(|record| &record.files);
    let ids: u64 = files.filter(|f| f.name.ends_with("ids.arrow")).map(|f| f.bytes).sum();
    facts.id = (ids as f64 / facts.rows.max(1.0) - 8.0).max(0.0);
    Ok(Some(facts))
}

fn sample(ctx: &Ctx, run: &RunContext) -> Option<Facts> {
    let inventory = &run.file.inventory;
    let splits = inventory.splits.len();
    let places = PLACES.min(splits);
    let mut sums = Sums::default();
    for place in 0..places {
        // A file that cannot be read is reported by the run, with place and cause.
        let _ = look(ctx, run, place * splits / places, places as u64, &mut sums);
    }
    if sums.text == 0.0 || sums.tokenized == 0.0 {
        return None;
    }
    let stored = inventory.files.iter().map(InputFile::all_bytes).sum::<u64>() as f64;
    let text_bytes = sums.text / sums.stored * stored;
    Some(Facts {
        rows: rows(run).map_or(sums.rows * stored / sums.stored, |rows| f64::from(rows.total())),
        text_bytes,
        tokens: text_bytes * sums.tokens / sums.tokenized,
        id: sums.id / sums.rows,
        queries: sums.queries / sums.rows,
        ..Facts::default()
    })
}

/// Adds the first rows of a split to the sums.
fn look(ctx: &Ctx, run: &RunContext, split: usize, places: u64, sums: &mut Sums) -> Result<()> {
    let (mut inventory, mut split, corpus) = (&run.file.inventory, split, corpus(run));
    let encoder = run.resources.encoder()?;
    let alone;
    if let Split { file, range: Range::Part { .. } } = inventory.splits[split] {
        // Parts are not there before they are spooled: of their file the beginning is looked at.
        let whole = Split { file: 0, range: Range::Files { end: 1 } };
        alone = Inventory {
            root: inventory.root.clone(),
            files: vec![inventory.files[file as usize].clone()],
            splits: vec![whole],
            unread: Vec::new(),
        };
        (inventory, split) = (&alone, 0);
    }
    let kind = inventory.files[inventory.splits[split].file as usize].kind;
    let mut reader = RowReader::open(ctx, &corpus, inventory, split, Before::default())?;
    let (mut raw, mut bytes, mut of_split) = (Vec::new(), 0, Sums::default());
    let mut ids = Vec::new();
    while bytes + reader.unpacked_bytes() < SAMPLE_BYTES / places {
        let before = raw.len();
        let Some(row) = reader.next()? else { break };
        of_split.rows += 1.0;
        if let Content::Document(document) = &row.content {
            let own = document.tokens.unwrap_or_default();
            ids.extend_from_slice(own);
            raw.extend(own.iter().flat_map(|id| id.to_le_bytes()));
            of_split.tokenized += size_of_val(own) as f64;
            of_split.text += (document.text.len() + size_of_val(own)) as f64;
            of_split.id += document.id.len() as f64;
            of_split.queries += document.queries.iter().map(|q| q.len() as f64 + 12.0).sum::<f64>();
            bytes += (document.text.len() + size_of_val(own)) as u64;
            raw.extend_from_slice(head(document.text, TOKENIZED_BYTES as usize).as_bytes());
            if of_split.tokenized < (TOKENIZED_BYTES / places) as f64 {
                encoder.encode(head(document.text, TOKENIZED_BYTES as usize), None, &mut ids)?;
                of_split.tokenized += head(document.text, TOKENIZED_BYTES as usize).len() as f64;
            }
        }
        let line = reader.line();
        if !line.is_empty() {
            raw.truncate(before);
            raw.extend_from_slice(line);
            raw.push(b'\n');
        }
    }
    of_split.tokens = ids.len() as f64;
    of_split.stored = match (kind, kind.packing()) {
        (_, Some(Packing::Plain)) => reader.unpacked_bytes() as f64,
        (_, Some(packing)) => {
            let file = &inventory.files[inventory.splits[split].file as usize];
            reader.unpacked_bytes() as f64
                / ratio(&inventory.path(inventory.splits[split].file), packing, file.bytes, &raw)
        }
        (Kind::Text, _) => of_split.text,
        _ => {
            // Of its row groups or batches a split does not know the bytes, only those of the file.
            let of_file =
                inventory.splits.iter().filter(|s| s.file == inventory.splits[split].file).count();
            let rows = count_rows(ctx, &corpus, inventory, split)?.rows.max(1);
            split_bytes(inventory, split) as f64 / of_file as f64 * of_split.rows / rows as f64
        }
    };
    for (sum, more) in [
        (&mut sums.rows, of_split.rows),
        (&mut sums.stored, of_split.stored),
        (&mut sums.text, of_split.text),
        (&mut sums.id, of_split.id),
        (&mut sums.queries, of_split.queries),
        (&mut sums.tokenized, of_split.tokenized),
        (&mut sums.tokens, of_split.tokens),
    ] {
        *sum += more;
    }
    Ok(())
}

/// How many times as large a packed file is unpacked: where the file itself tells, from what it
/// tells, else as the sample packs.
fn ratio(path: &Path, packing: Packing, bytes: u64, raw: &[u8]) -> f64 {
    let told = declared_size(path, packing)
        .filter(|&size| size > bytes)
        .map(|size| size as f64 / bytes as f64);
    told.unwrap_or_else(|| {
        // zlib at its usual level packs texts about as well as Zstandard's first; higher levels and
        // longer windows do better than a short sample by a fifth or two.
        let (level, better) = match packing {
            Packing::Gzip => (1, 1.0),
            Packing::Lz4 => (-5, 1.0),
            Packing::Bzip2 | Packing::Xz => (3, 1.4),
            Packing::Plain | Packing::Zstd => (3, 1.2),
        };
        zstd::bulk::compress(raw, level)
            .map_or(1.0, |packed| better * raw.len() as f64 / packed.len().max(1) as f64)
    })
}

/// Decompressed bytes that a Zstandard frame's header or a gzip member's end declares. Of a file of
/// several, only those of the first or last; a length modulo 2³² is detected by being less than the
/// file's.
fn declared_size(path: &Path, packing: Packing) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    match packing {
        Packing::Plain | Packing::Bzip2 | Packing::Xz | Packing::Lz4 => None,
        Packing::Zstd => {
            let mut header = [0; 18];
            let n = file.read(&mut header).ok()?;
            zstd::zstd_safe::get_frame_content_size(&header[..n]).ok()?
        }
        Packing::Gzip => {
            let mut end = [0; 4];
            file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end)).ok()?;
            Some(u64::from(u32::from_le_bytes(end)))
        }
    }
}

/// The first bytes of a text, at most `most`.
fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Adds what follows from the method: units with vectors, sequences, pieces and groups of the plan.
fn with_plan(run: &RunContext, mut facts: Facts) -> Result<Facts> {
    let options = run.options();
    let of_chunks = options.chunk_chars().map(|chars| facts.text_bytes / f64::from(chars));
    facts.units = of_chunks.map_or(facts.rows, |chunks| chunks.max(facts.rows));
    if let Some(PlanCounts { main, holdout }) = run.counts_if_done(0)? {
        for stats in [Some(main), holdout].into_iter().flatten() {
            facts.sequences += stats.sequences as f64;
            facts.pieces += stats.pieces.total as f64;
            facts.groups += stats.groups as f64;
        }
        return Ok(facts);
    }
    let length = f64::from(options.length);
    let special = run.file.tokenizer.separator.len() as f64
        + if options.bos == Bos::Document { 1.0 } else { 0.0 };
    // Of an epoch of quest, the short set comes again: about a tenth of the tokens.
    let again = match &options.method.own {
        Method::Quest(quest) => 1.0 + 0.1 * (quest.oversample - 1.0).min(4.0),
        _ => 1.0,
    };
    let epoch = (facts.tokens + facts.rows * special) * again;
    let tokens = options.tokens.map_or(epoch, |tokens| tokens as f64);
    facts.sequences = (tokens / length).ceil();
    facts.pieces =
        (facts.rows + of_chunks.unwrap_or(0.0)) * tokens / epoch.max(1.0) * again + facts.sequences;
    facts.groups = facts.rows * again;
    Ok(facts)
}
