//! The fuzz targets: each takes any bytes and panics where longweave breaks a promise. A reader of
//! files gives rows or an error of longweave's own, whatever the bytes are: no panic, no allocation
//! that only a header asks for, no end that never comes.
//!
//! The fuzzer and the tests on stable share this file (`crates/api/tests/it/hostile.rs`
//! replays `corpus/` and `regressions/`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longweave_api::tasks;
use longweave_common::{Budget, Code, Ctx, DocId, Result};
use longweave_corpus::{
    Before, Content, CorpusOptions, Inventory, Kind, Packing, RowReader, VectorRows, count_rows,
    inventory, spool_file,
};
use longweave_formats::{SequenceReader, verify_output};
use longweave_index::{CandidateTable, CandidateWriter, Hierarchy, IndexOptions, Representative};
use longweave_keywords::Boilerplate;
use longweave_neighbours::{Npy, QueryWords, Vectors};
use longweave_plan::PlanFile;
use longweave_run::{MarkerLengths, RunContext, RunOptions, add_digest};
use longweave_stages::STAGES;
use longweave_stages::topics::TopicList;
use longweave_storage::{DoneRecord, Scalar, StringTable, read_array, read_strings, write_array};
use longweave_tokens::{Ids, RowRun, ScatteredTokens, TokenStore, scatter_split};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3Default;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("jsonl", jsonl),
    ("layouts", layouts),
    ("parquet_rows", parquet_rows),
    ("arrow_rows", arrow_rows),
    ("token_files", token_files),
    ("vector_rows", vector_rows),
    ("npy", npy),
    ("topics", topics),
    ("output_jsonl", output_jsonl),
    ("output_mds", output_mds),
    ("output_parquet", output_parquet),
    ("output_megatron", output_megatron),
    ("output_datatrove", output_datatrove),
    ("output_numpy", output_numpy),
    ("output_datasets", output_datasets),
    ("output_litdata", output_litdata),
    ("manifest", manifest),
    ("options", options),
    ("run_json", run_json),
    ("plan_file", plan_file),
    ("columns", columns),
    ("strings", strings),
    ("token_store", token_store),
    ("scattered", scattered),
    ("candidates", candidates),
    ("tokenizer", tokenizer),
];

/// A folder of this thread, in memory where there is a file system in memory.
fn place() -> PathBuf {
    thread_local! {
        static PLACE: tempfile::TempDir = {
            let memory = Path::new("/dev/shm");
            let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            made.expect("a folder for the target's files can be made")
        };
    }
    PLACE.with(|place| place.path().to_owned())
}

/// An empty folder below [`place`].
fn folder(name: &str) -> PathBuf {
    let folder = place().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the target's own folder can be emptied");
    }
    fs::create_dir_all(&folder).expect("the target's own folder can be made");
    folder
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the target's own files can be written");
}

fn ctx() -> &'static Ctx {
    static CTX: OnceLock<Ctx> = OnceLock::new();
    CTX.get_or_init(|| Ctx::new(1, 1 << 28).expect("one thread can be started"))
}

/// An error is one that a person can act on.
fn told<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(!matches!(error.code(), Code::Internal | Code::Panic), "{error}");
            assert!(!error.message().is_empty());
            None
        }
    }
}

/// The first part of `data`, of the length that its first two bytes say, and the rest.
fn part<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = data.split_first_chunk() else { return std::mem::take(data) };
    let (part, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    *data = rest;
    part
}

/// `parts` as [`part`] takes them, for seeds.
pub fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u16).to_le_bytes(), *part].concat()).collect()
}

/// Options for one file; the lowest bits of `fields` say which fields are wanted, and whether text and
/// source are within structs.
fn corpus_options(path: &Path, fields: u8) -> CorpusOptions {
    let wanted = |bit: u8, name: &str| (fields >> bit & 1 == 1).then(|| name.to_owned());
    CorpusOptions {
        text_field: if fields & 8 > 0 { "doc.text".into() } else { "text".into() },
        id_field: wanted(0, "id"),
        query_field: wanted(1, "q"),
        source_field: wanted(2, if fields & 16 > 0 { "meta.source" } else { "source" }),
        max_document_bytes: 256,
        ..CorpusOptions::of_files(vec![path.to_string_lossy().into_owned()], "text")
    }
}

/// All rows of a corpus, each as a text that holds all of it and its place in the file.
fn rows(options: &CorpusOptions) -> Result<Vec<String>> {
    let inventory: Inventory = inventory(ctx(), options)?;
    let (mut all, mut before) = (Vec::new(), Before::default());
    for split in 0..inventory.splits.len() {
        let mut reader = RowReader::open(ctx(), options, &inventory, split, before)?;
        let first = all.len();
        while let Some(row) = reader.next()? {
            let location = row.location.to_string();
            let content = match row.content {
                Content::Document(d) => {
                    let tokens = d.tokens.unwrap_or_default();
                    assert!(d.text.len() + 4 * tokens.len() <= 256 && !d.id.is_empty());
                    assert_eq!(d.text.trim().is_empty(), d.tokens.is_some_and(|t| !t.is_empty()));
                    format!("{:?}", (d.id, d.text, tokens, d.source, d.queries))
                }
                Content::Empty => "empty".to_owned(),
                Content::Bad(bad) => format!("{} {}", bad.code.name(), bad.reason),
            };
            all.push(format!("{} {content}", &location[location.find(':').unwrap_or(0)..]));
            if all.len() == 100_000 {
                return Ok(all);
            }
        }
        let counted = count_rows(ctx(), options, &inventory, split)?;
        assert_eq!(counted.rows, (all.len() - first) as u64, "scan counts the rows that are read");
        before.rows += counted.rows;
        before.lines += counted.lines;
    }
    Ok(all)
}

/// A JSONL file, plain or packed (bytes that say which, where it is divided, which fields are
/// wanted; then the file): its rows are those of all its splits together, and packing changes none.
pub fn jsonl(data: &[u8]) {
    let Some((&[packing, parts, fields], content)) = data.split_first_chunk() else { return };
    let folder = folder("jsonl");
    let path = folder.join(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"][usize::from(packing % 3)]);
    write(&path, content);
    let mut options = corpus_options(&path, fields);
    let whole = told(rows(&options));
    let kind = told(inventory(ctx(), &options)).map(|list| list.files[0].kind);
    if kind != Some(Kind::Jsonl(Packing::Plain)) {
        return;
    }
    if whole.is_none() {
        let utf16 = matches!(
            content,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
        );
        assert!(utf16, "a plain file can be read to its end, unless it is of another kind");
        return;
    }
    options.split_bytes = Some((content.len() as u64 / (1 + u64::from(parts % 16))).max(1));
    assert_eq!(told(rows(&options)), whole, "in splits of {:?} bytes", options.split_bytes);
    let packed = folder.join("packed");
    fs::create_dir(&packed).expect("the folder is new");
    let path = if parts & 16 == 0 {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("memory takes all");
        write(&packed.join("a.jsonl.gz"), &encoder.finish().expect("memory takes all"));
        packed.join("a.jsonl.gz")
    } else {
        write(
            &packed.join("a.jsonl.zst"),
            &zstd::stream::encode_all(content, 1).expect("memory takes all"),
        );
        packed.join("a.jsonl.zst")
    };
    assert_eq!(told(rows(&corpus_options(&path, fields))), whole, "packed");
}

/// An array of JSON, a tar archive or a packed file (bytes that say which, how many parts it is spooled
/// into, which fields are wanted; then the file): its parts have the rows of the whole.
pub fn layouts(data: &[u8]) {
    const NAMES: [&str; 8] = [
        "a.json",
        "a.tar",
        "a.jsonl.bz2",
        "a.jsonl.xz",
        "a.jsonl.lz4",
        "a.json.gz",
        "a.tar.zst",
        "a.tgz",
    ];
    let Some((&[name, parts, fields], content)) = data.split_first_chunk() else { return };
    let folder = folder("layouts");
    let path = folder.join(NAMES[usize::from(name) % NAMES.len()]);
    write(&path, content);
    let mut options = corpus_options(&path, fields);
    let Some(whole) = told(rows(&options)) else { return };
    options.split_bytes = Some((content.len() as u64 / (1 + u64::from(parts % 16))).max(1));
    options.spool = Some(folder.join("spool"));
    let Some(list) = told(inventory(ctx(), &options)) else { return };
    for (file, of) in list.spooled() {
        if told(spool_file(ctx(), &options, &list, file, of)).is_none() {
            return;
        }
    }
    if list.spooled().next().is_some() {
        assert_eq!(told(rows(&options)), Some(whole), "in {} parts", list.splits.len());
    }
}

/// A Parquet file as a corpus (a byte that says which columns are wanted, then the file): row
/// groups alone give the rows of all together.
pub fn parquet_rows(data: &[u8]) {
    columnar("a.parquet", data);
}

/// An Arrow stream or file as a corpus, as [`parquet_rows`] takes it: record batches alone give the
/// rows of all together.
pub fn arrow_rows(data: &[u8]) {
    columnar("a.arrow", data);
}

fn columnar(name: &str, data: &[u8]) {
    let Some((&fields, content)) = data.split_first() else { return };
    let path = folder("columnar").join(name);
    write(&path, content);
    let mut options = corpus_options(&path, fields);
    let whole = told(rows(&options));
    options.split_bytes = Some(1);
    if let (Some(whole), Some(parts)) = (whole, told(rows(&options))) {
        assert_eq!(parts, whole, "in row groups or record batches");
    }
}

/// A token file as a corpus (bytes that say of which kind and where it is divided, then its index,
/// then its ids): its documents are those of all its splits together.
pub fn token_files(data: &[u8]) {
    let Some((&[kind, parts], mut content)) = data.split_first_chunk() else { return };
    let (folder, index) = (folder("token_files"), part(&mut content));
    let (names, given) = match kind % 3 {
        0 => (["a.idx", "a.bin"], "a.idx"),
        1 => (["a.ds.index", "a.ds"], "a.ds"),
        _ => (["a.csv.gz", "a.npy"], "a.npy"),
    };
    write(&folder.join(names[0]), index);
    write(&folder.join(names[1]), content);
    let mut options = corpus_options(&folder.join(given), 0);
    if given == "a.npy" {
        (options.id_field, options.source_field) = (Some("id".into()), Some("src".into()));
    }
    let whole = told(rows(&options));
    options.split_bytes = Some((content.len() as u64 / (1 + u64::from(parts % 16))).max(1));
    if let (Some(whole), Some(parts)) = (whole, told(rows(&options))) {
        assert_eq!(parts, whole, "in ranges of documents");
    }
}

/// A Parquet file of vectors by id.
pub fn vector_rows(data: &[u8]) {
    let path = folder("vectors").join("a.parquet");
    write(&path, data);
    let Some(mut rows) = told(VectorRows::open(&path)) else { return };
    for _ in 0..10_000 {
        let Some(Some(_)) =
            told(rows.next().map(|row| row.map(|row| row.id.len() + row.vector.len())))
        else {
            break;
        };
    }
}

/// A NumPy file, and the same bytes as vectors in fixed point.
pub fn npy(data: &[u8]) {
    let path = folder("npy").join("a.npy");
    write(&path, data);
    if let Some(mut file) = told(Npy::open(&path)) {
        let (mut rows, mut total, mut out) = (file.rows(), 0, Vec::new());
        rows = rows.min(1000);
        while let Some(n) = told(file.read(7, &mut out)) {
            assert_eq!(out.len(), n * file.dims());
            total += n as u64;
            if n == 0 || total >= rows {
                break;
            }
        }
    }
    if let Some((&dims, rest)) = data.split_first() {
        let numbers = rest.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        told(Vectors::from_data(usize::from(dims), numbers).map(|vectors| vectors.rows()));
    }
}

/// A list of topics: names differ and neither they nor queries are empty.
pub fn topics(data: &[u8]) {
    if let Some(list) = told(TopicList::read(data, "topics.txt")) {
        assert_eq!(list.names.len(), list.queries.len());
        assert!(list.names.iter().chain(&list.queries).all(|text| !text.is_empty()));
        let names: std::collections::HashSet<&String> = list.names.iter().collect();
        assert_eq!(names.len(), list.names.len());
        let words = QueryWords::of(list.queries.iter().map(String::as_str));
        assert_eq!(words.queries(), list.queries.len());
    }
}

/// The manifest of an output whose one file holds `sequences` sequences.
fn manifest_of(format: &str, file: &str, sequences: u64, provenance: &str) -> Value {
    json!({
        "format": format, "length": 16, "sequences": sequences, "provenance": provenance,
        "files": [{ "name": file, "bytes": 0, "sha256": "", "sequences": sequences }],
    })
}

/// Reads all sequences of an output with one file, to and fro.
fn output(format: &str, file: &str, sequences: u8, provenance: &str, content: &[u8]) {
    let folder = folder(format);
    let sequences = u64::from(sequences % 8);
    write(
        &folder.join("longweave.json"),
        manifest_of(format, file, sequences, provenance).to_string().as_bytes(),
    );
    write(&folder.join(file), content);
    sequences_of(&folder);
}

fn sequences_of(folder: &Path) {
    let Some(mut reader) = told(SequenceReader::open(folder)) else { return };
    let n = reader.len().min(8);
    for number in (0..n).chain((0..n).rev()).chain([n]) {
        told(reader.get(number));
    }
}

/// A JSONL file of an output (a byte: how many sequences it should have, and whether it is packed).
pub fn output_jsonl(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output(
        "jsonl",
        if head & 8 == 0 { "00000.jsonl" } else { "00000.jsonl.zst" },
        head,
        "full",
        content,
    );
}

/// A shard of MDS.
pub fn output_mds(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("mds", "shard.00000.mds", head, "none", content);
}

/// A Parquet file of an output.
pub fn output_parquet(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("parquet", "00000.parquet", head, "full", content);
}

/// A pair of files of an IndexedDataset (a byte: how many sequences it should have; the index; then
/// the ids).
pub fn output_megatron(data: &[u8]) {
    let Some((&head, mut content)) = data.split_first() else { return };
    let folder = folder("megatron");
    write(&folder.join("shard_00000.idx"), part(&mut content));
    write(&folder.join("shard_00000.bin"), content);
    let manifest = manifest_of("megatron", "shard_00000.bin", u64::from(head % 8), "none");
    write(&folder.join("longweave.json"), manifest.to_string().as_bytes());
    sequences_of(&folder);
}

/// A `.ds` file of datatrove.
pub fn output_datatrove(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("datatrove", "00000.ds", head, "none", content);
}

/// A `.npy` file of ids, without a header.
pub fn output_numpy(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("numpy", "00000.npy", head, "none", content);
}

/// An Arrow IPC stream as datasets keeps it.
pub fn output_datasets(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("datasets", "00000.arrow", head, "none", content);
}

/// A chunk of LitData.
pub fn output_litdata(data: &[u8]) {
    let Some((&head, content)) = data.split_first() else { return };
    output("litdata", "chunk-00000-0.bin", head, "none", content);
}

/// A whole output: `longweave.json`, `SHA256SUMS` and a JSONL file are read and verified.
pub fn manifest(mut data: &[u8]) {
    let folder = folder("manifest");
    for name in ["longweave.json", "SHA256SUMS"] {
        write(&folder.join(name), part(&mut data));
    }
    write(&folder.join("00000.jsonl"), data);
    told(verify_output(&folder).map(|report| report.sequences));
    sequences_of(&folder);
}

/// Resolved options: what parses is written and read again as the same.
pub fn options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(options) = told(RunOptions::parse(text)) else { return };
    let again = serde_json::to_string(&options).expect("options are JSON");
    let again = RunOptions::parse(&again).expect("what was parsed parses again");
    assert_eq!(json!(options), json!(again));
    let _ = (
        options.plan_options(MarkerLengths::default()),
        options.corpus_options(),
        options.method.name().sentence(),
    );
    for &stage in STAGES {
        let _ = (stage.inputs(&options), stage.needs(&options), stage.is_sent(&options));
    }
}

/// `run.json`. Its work directory is put back into the run's own: the target writes nowhere else.
/// Its digest is made again, so that what follows the comparison is reached.
pub fn run_json(data: &[u8]) {
    let out = folder("run");
    match serde_json::from_slice::<Value>(data) {
        Ok(mut value) => {
            if let Some(work) = value.pointer_mut("/options/work") {
                *work = Value::Null;
            }
            if let Some(members) = value.as_object_mut() {
                members.remove("digest");
            }
            let mut text = value.to_string().into_bytes();
            add_digest(&mut text);
            write(&out.join("run.json"), &text);
        }
        Err(_) => write(&out.join("run.json"), data),
    }
    if let Some(run) = told(RunContext::open(STAGES, &out)) {
        told(tasks::list(&run).map(|stages| stages.len()));
    }
}

/// `bytes` as a column at `path`; the odd end is left out.
fn column<T: Scalar>(path: &Path, bytes: &[u8]) -> Vec<T> {
    let whole = &bytes[..bytes.len() - bytes.len() % T::WIDTH];
    let elements: Vec<T> = bytemuck::pod_collect_to_vec::<u8, T>(whole);
    write_array(path, &elements).expect("the target's own files can be written");
    elements
}

/// A plan: `plan.json`, and the elements of its columns.
pub fn plan_file(mut data: &[u8]) {
    let folder = folder("plan");
    write(&folder.join("plan.json"), part(&mut data));
    for name in
        ["00000.groups", "00001.groups", "00000.sequences", "00001.sequences", "00001.pieces"]
    {
        column::<u32>(&folder.join(name), part(&mut data));
    }
    column::<u32>(&folder.join("00000.pieces"), data);
    let Some(plan) = told(PlanFile::open(&folder)) else { return };
    let n = plan.sequences();
    let _ = (plan.shape(), plan.stats());
    for (first, count) in [
        (0, n.min(64)),
        (0, 1),
        (1, 1),
        (n / 2, 1),
        (n.saturating_sub(1), 1),
        (0, n),
        (u64::MAX, 1),
    ] {
        if let Some(planned) = told(plan.read(first, count)) {
            assert_eq!(planned.sequences.len() as u64, count);
            assert_eq!(planned.sequences.pieces().len(), planned.lens.len());
        }
    }
}

/// A column as its file holds it, of every width; a done record.
pub fn columns(data: &[u8]) {
    let path = folder("columns").join("column");
    write(&path, data);
    told(read_array::<u8>(&path).map(|c| c.len()));
    told(read_array::<u16>(&path).map(|c| c.len()));
    told(read_array::<u32>(&path).map(|c| c.len()));
    told(read_array::<u64>(&path).map(|c| c.len()));
    told(read_array::<u128>(&path).map(|c| c.len()));
    told(
        DoneRecord::read(&path, path.parent().expect("the path has a folder"))
            .map(|record| record.is_some()),
    );
}

/// A table of strings.
pub fn strings(data: &[u8]) {
    let path = folder("strings").join("ids.arrow");
    write(&path, data);
    if let Some(table) = told(read_strings(&path)) {
        assert_eq!(table.iter().count(), table.len());
        if let Some(last) = table.len().checked_sub(1) {
            assert_eq!(Some(table.get(last)), table.iter().last());
        }
    }
    for rows in [&[0][..], &[1, 2], &[4095, 4096], &[100_000]] {
        told(StringTable::pick(&path, rows, |_, text| assert!(text.len() <= data.len())));
    }
}

/// A token store of one split: where rows end, and ids of two or four bytes.
pub fn token_store(mut data: &[u8]) {
    let folder = folder("tokens");
    let ends = column::<u64>(&folder.join("00000.tokens.ends"), part(&mut data));
    let ids = folder.join("00000.tokens.ids");
    match data.split_first() {
        Some((0, rest)) => write(&ids, rest),
        Some((1, rest)) => drop(column::<u16>(&ids, rest)),
        _ => drop(column::<u32>(&ids, data)),
    }
    let Some(store) = told(TokenStore::open(vec![(0, folder.join("00000.tokens"))])) else {
        return;
    };
    assert_eq!(store.is_empty(), ends.is_empty());
    let mut out = Vec::new();
    for row in 0..ends.len().min(100) as u32 {
        let len = store.len(DocId::new(row));
        told(store.read_into(DocId::new(row), 0, len, &mut out));
        told(store.read_into(DocId::new(row), len / 2, 1, &mut out));
    }
}

/// Scattered tokens of one split (a byte: how wide the ids are; sums; ids), read as two output
/// shards would, and what scattering a sound split by any runs makes (u32 each: row, first token,
/// tokens).
pub fn scattered(mut data: &[u8]) {
    let Some((&head, rest)) = data.split_first() else { return };
    data = rest;
    let folder = folder("scattered");
    let prefix = folder.join("00000");
    let sums = column::<u64>(&folder.join("00000.sums"), part(&mut data));
    let path = folder.join("00000.ids");
    let ids = part(&mut data);
    match head % 3 {
        0 => write(&path, ids),
        1 => drop(column::<u16>(&path, ids)),
        _ => drop(column::<u32>(&path, ids)),
    }
    let store = ScatteredTokens::new(vec![(0, prefix.clone())]);
    for shard in 0..=sums.len().min(2) {
        let (mut ids, mut hash) = (Ids::U16(Vec::new()), Xxh3Default::new());
        if told(store.read(0, 3 * shard as u64, 1 + shard, &mut ids, &mut hash)).is_some() {
            assert_eq!(ids.len(), 1 + shard);
            told(store.check(0, shard, hash.digest()));
        }
    }
    column::<u64>(&folder.join("tokens.ends"), &[3u64, 3, 8].map(u64::to_le_bytes).concat());
    column::<u16>(
        &folder.join("tokens.ids"),
        &[0u16, 1, 2, 3, 4, 5, 6, 7].map(u16::to_le_bytes).concat(),
    );
    let numbers = data.as_chunks().0.iter().copied().map(u32::from_le_bytes);
    let numbers: Vec<u32> = numbers.collect();
    let runs: Vec<RowRun> =
        numbers.chunks_exact(3).map(|n| RowRun { row: n[0], start: n[1], len: n[2] }).collect();
    let total: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
    if told(scatter_split(
        ctx(),
        &folder.join("tokens"),
        runs.iter().copied(),
        &[0, total / 2, total],
        &prefix,
    ))
    .is_some()
    {
        let store = ScatteredTokens::new(vec![(0, prefix)]);
        for (shard, range) in [0..total / 2, total / 2..total].into_iter().enumerate() {
            let (mut ids, mut hash) = (Ids::U16(Vec::new()), Xxh3Default::new());
            store
                .read(0, range.start, (range.end - range.start) as usize, &mut ids, &mut hash)
                .expect("what was written is there");
            store.check(0, shard, hash.digest()).expect("what was written has its checksum");
        }
    }
}

/// Candidates of one split (where rows end; a table of strings as its file holds it, or phrases,
/// one a line): an index of them is the same on the disk as in memory.
pub fn candidates(mut data: &[u8]) {
    let folder = folder("candidates");
    let prefix = folder.join("00000");
    let ends = part(&mut data);
    match data.split_first() {
        Some((0, rest)) => {
            column::<u64>(&folder.join("00000.ends"), ends);
            write(&folder.join("00000.phrases.arrow"), rest);
        }
        _ => {
            let text = String::from_utf8_lossy(data);
            let mut lines = text.lines();
            let mut writer =
                CandidateWriter::create(&prefix).expect("the target's own files can be written");
            for &row in ends {
                writer
                    .push(lines.by_ref().take(usize::from(row % 8)))
                    .expect("the target's own files can be written");
            }
            writer.commit().expect("the target's own files can be written");
        }
    }
    let Some(table) = told(CandidateTable::open(&prefix, 0)) else { return };
    let keys: Vec<u128> = (0..table.rows() as u128).collect();
    if keys.len() > 1000 {
        return;
    }
    let options = IndexOptions {
        seed: 1,
        representative: Representative::Common,
        searchable: true,
        max_keyword_share: 0.5,
        min_keyword_cap: 2,
        hierarchy: Hierarchy::Affinity,
    };
    let said = Boilerplate::none();
    let tables = [table];
    let documents = longweave_index::IndexedDocuments::with(&keys);
    let held = told(longweave_index::build(ctx(), &tables, documents, &said, &options))
        .expect("a table that opens makes an index");
    let mut small = ctx().clone();
    small.budget = Budget::new(64);
    let spilled = longweave_index::build_from_files(
        &small,
        &[(prefix, 0)],
        documents,
        &said,
        &options,
        &folder.join("scratch"),
    );
    let spilled = told(spilled).expect("a table that opens makes an index");
    assert_eq!(held.keyword_of(), spilled.keyword_of());
    assert_eq!(held.forest(), spilled.forest());
}

/// A tokenizer.json, and a text with it.
pub fn tokenizer(data: &[u8]) {
    let path = folder("tokenizer").join("tokenizer.json");
    write(&path, data);
    let Some(loaded) = told(longweave_tokens::load(&path)) else { return };
    let mut ids = Vec::new();
    if told(loaded.encoder.encode(
        "The quick  brown fox,\t1234567 ﷺ é\u{301}<|endoftext|>\n\n\0 x",
        None,
        &mut ids,
    ))
    .is_some()
    {
        told(loaded.encoder.decode(&ids[..ids.len().min(100)]));
    }
}

/// Runs a target as a fuzzer does: panics that longweave catches are silent, one that escapes is
/// printed and ends the process.
pub fn fuzz(target: fn(&[u8]), data: &[u8]) {
    use std::sync::{Mutex, Once, PoisonError};
    static HOOK: Once = Once::new();
    static LAST: Mutex<String> = Mutex::new(String::new());
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string()
        }));
    });
    if std::panic::catch_unwind(|| target(data)).is_err() {
        eprintln!("{}", LAST.lock().unwrap_or_else(PoisonError::into_inner));
        std::process::abort();
    }
}
