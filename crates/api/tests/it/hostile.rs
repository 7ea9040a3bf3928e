//! Hostile input: the fuzzers' targets over the inputs that are kept, and over valid files, which
//! are the fuzzers' seeds.

#[allow(dead_code, unreachable_pub, clippy::print_stderr)] // what only the fuzzers use
#[path = "../../../../fuzz/src/lib.rs"]
mod targets;

use std::fs::{self, File};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Int64Array, ListArray, RecordBatch,
    StringArray, StringViewArray, StructArray,
};
use arrow_buffer::NullBuffer;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::Field;
use longweave_formats::{
    Compression, Format, MdsIndices, Provenance, SequenceBatch, SequenceRecord, WriterOptions,
    open_writer,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::Place;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a target; says which input it was that broke a promise.
fn run(name: &str, target: fn(&[u8]), input: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        panic!("the target {name} breaks a promise over {input} ({} bytes)", bytes.len());
    }
}

#[test]
fn inputs_that_fuzzers_found_break_no_promise() {
    let mut inputs = 0;
    for (name, target) in targets::TARGETS {
        for kept in ["corpus", "regressions"] {
            let folder = repository().join("fuzz").join(kept).join(name);
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                run(name, *target, &path.display().to_string(), &fs::read(&path).unwrap());
                inputs += 1;
            }
        }
    }
    assert!(inputs >= targets::TARGETS.len(), "only {inputs} inputs are kept");
}

/// Each seed by target and name, from valid files. With LONGWEAVE_SEEDS=DIR they are written to
/// DIR/TARGET/NAME.
#[test]
fn valid_files_are_read_by_every_target() {
    let directory = std::env::var_os("LONGWEAVE_SEEDS").map(PathBuf::from);
    let seeds = seeds();
    for (name, target) in targets::TARGETS {
        let own: Vec<_> = seeds.iter().filter(|(of, ..)| of == name).collect();
        assert!(!own.is_empty(), "{name} has no seed");
        for (_, seed, bytes) in own {
            run(name, *target, seed, bytes);
            if let Some(directory) = &directory {
                fs::create_dir_all(directory.join(name)).unwrap();
                fs::write(directory.join(name).join(seed), bytes).unwrap();
            }
        }
    }
}

type Seed = (&'static str, String, Vec<u8>);

fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    corpora(&mut seeds);
    outputs(&mut seeds);
    runs(&mut seeds);
    stores(&mut seeds);
    token_files(&mut seeds);
    seeds
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Arrays, archives and packed files, in the order of the target's names.
fn layouts(seeds: &mut Vec<Seed>, lines: &str) {
    let array = br#" [{"text":"one","id":1},{"q":["[",{}]}, [2],null]"#;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [
        ("1.json", r#"{"id": 1, "source": "s"} "#),
        ("1.txt", "one \"two\"\n"),
        ("a/lines.jsonl", lines),
        ("other.bin", "0"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(lines.as_bytes()).unwrap();
    let preset = lzma_rust2::XzOptions::with_preset(0);
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), preset).unwrap();
    xz.write_all(lines.as_bytes()).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(lines.as_bytes()).unwrap();
    let files = [
        array.to_vec(),
        archive.clone(),
        bzip2.finish().unwrap(),
        xz.finish().unwrap(),
        lz4.finish().unwrap(),
        gzip(array),
        zstd::stream::encode_all(&archive[..], 3).unwrap(),
        gzip(&archive),
    ];
    for (number, bytes) in files.iter().enumerate() {
        let input = [&[number as u8, 3, 7], &bytes[..]].concat();
        seeds.push(("layouts", format!("valid-{number}"), input));
    }
}

fn corpora(seeds: &mut Vec<Seed>) {
    let lines = concat!(
        "\u{feff}{\"text\":\"one tw\\u00f6\\n\",\"id\":\"a\",\"q\":[\"who\",\"what\"],\"source\":\"s\"}\n\n",
        "{\"id\":7,\"text\":\"three\",\"q\":null,\"source\":null,\"more\":{\"text\":[1.5e300,true,{}]}}\r\n \t\n",
        "{\"text\":\" \",\"id\":-1}\n{\"text\":4}\nnonsense\n{\"text\":\"last\",\"id\":\"b\",\"q\":\"x\"}"
    );
    for (packing, bytes) in [
        lines.into(),
        gzip(lines.as_bytes()),
        zstd::stream::encode_all(lines.as_bytes(), 3).unwrap(),
    ]
    .iter()
    .enumerate()
    {
        let bytes: &Vec<u8> = bytes;
        seeds.push((
            "jsonl",
            format!("valid-{packing}"),
            [&[packing as u8, 3, 7], &bytes[..]].concat(),
        ));
    }
    layouts(seeds, lines);
    let mut queries = ListBuilder::new(StringBuilder::new());
    queries.append_value([Some("who"), None]);
    queries.append_null();
    queries.append_value([Some("what")]);
    queries.append_value([Some("")]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("one"), Some("two"), None, Some(" ")]))),
        ("id", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("c"), None]))),
        ("q", Arc::new(queries.finish())),
        ("source", Arc::new(StringArray::from(vec![Some("s"); 4]))),
    ];
    let plain: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec!["one", "one", "two"]))),
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ];
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    let (gzip, zstd) =
        (Compression::GZIP(GzipLevel::default()), Compression::ZSTD(ZstdLevel::default()));
    let within = |name: &str, array: ArrayRef| -> ArrayRef {
        let field = Arc::new(Field::new(name, array.data_type().clone(), true));
        let nulls = NullBuffer::from((0..array.len()).map(|i| i != 1).collect::<Vec<bool>>());
        Arc::new(StructArray::new(vec![field].into(), vec![array], Some(nulls)))
    };
    let texts: ListArray = {
        let mut texts = ListBuilder::new(StringBuilder::new());
        texts.append_value([Some("one"), None, Some("two")]);
        texts.append_value([Some("lost")]);
        texts.append_null();
        texts.finish()
    };
    let sources = Decimal128Array::from(vec![Some(1), None, Some(250)]);
    let sources = sources.with_precision_and_scale(9, 2).unwrap();
    let words: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
    let nested: Vec<(&str, ArrayRef)> = vec![
        ("doc", within("text", Arc::new(texts))),
        ("meta", within("source", Arc::new(sources))),
        ("id", Arc::new(words)),
        ("q", Arc::new(StringViewArray::from(vec![Some("who"), None, Some("what is it now")]))),
    ];
    for (i, (columns, fields, as_file, codec)) in [
        (columns.clone(), 7, true, None),
        (columns.clone(), 7, false, Some(CompressionType::ZSTD)),
        (plain.clone(), 1, false, None),
        (nested.clone(), 31, true, Some(CompressionType::LZ4_FRAME)),
        (nested.clone(), 31, false, None),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = [vec![fields], arrow(columns, as_file, codec)].concat();
        seeds.push(("arrow_rows", format!("valid-{i}"), bytes));
    }
    for (i, (columns, fields, packing)) in [
        (columns.clone(), 7, Compression::UNCOMPRESSED),
        (columns, 7, zstd),
        (nested.clone(), 31, Compression::UNCOMPRESSED),
        (nested, 31, Compression::LZ4_RAW),
        (plain.clone(), 1, Compression::BROTLI(BrotliLevel::default())),
        (plain.clone(), 1, Compression::LZ4),
        (plain.clone(), 1, gzip),
        (plain, 1, Compression::SNAPPY),
    ]
    .into_iter()
    .enumerate()
    {
        seeds.push((
            "parquet_rows",
            format!("valid-{i}"),
            [vec![fields], table(columns, packing)].concat(),
        ));
    }
    let mut vectors = ListBuilder::new(Float32Builder::new());
    vectors.append_value([Some(0.5), Some(1.0)]);
    vectors.append_value([Some(0.0), Some(-1.0)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("vector", Arc::new(vectors.finish())),
    ];
    seeds.push(("vector_rows", "valid".into(), table(columns, Compression::UNCOMPRESSED)));
    let header =
        format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    let numbers: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    seeds.push((
        "npy",
        "valid".into(),
        [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &numbers].concat(),
    ));
}

/// An Arrow file or stream of two batches.
fn arrow(columns: Vec<(&str, ArrayRef)>, as_file: bool, codec: Option<CompressionType>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(n, c)| (n, c, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
    let (mut bytes, schema) = (Vec::new(), batch.schema());
    if as_file {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        (0..2).for_each(|_| writer.write(&batch).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        (0..2).for_each(|_| writer.write(&batch).unwrap());
        writer.finish().unwrap();
    }
    bytes
}

fn table(columns: Vec<(&str, ArrayRef)>, packing: parquet::basic::Compression) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap();
    let properties = WriterProperties::builder()
        .set_compression(packing)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn outputs(seeds: &mut Vec<Seed>) {
    let record = |i: u32| SequenceRecord {
        input_ids: (i..i + 16).collect(),
        n_tokens: 15,
        doc_ids: vec!["a".into(), "b".into()],
        doc_starts: vec![0, 9],
        doc_lens: vec![9, 6],
        doc_offsets: vec![0, i],
        reasons: vec![Some("key word".into()), None],
        groups: vec![0, i],
    };
    let directory = tempfile::tempdir().unwrap();
    for (target, format, compression, head) in [
        ("output_parquet", Format::Parquet, Compression::Zstd, 2),
        ("output_mds", Format::Mds, Compression::None, 2),
        ("output_megatron", Format::Megatron, Compression::None, 2),
        ("output_datatrove", Format::Datatrove, Compression::None, 2),
        ("output_numpy", Format::Numpy, Compression::None, 2),
        ("output_datasets", Format::Datasets, Compression::None, 2),
        ("output_litdata", Format::Litdata, Compression::None, 2),
        ("output_jsonl", Format::Jsonl, Compression::None, 2),
        ("output_jsonl", Format::Jsonl, Compression::Zstd, 10),
    ] {
        let options = WriterOptions {
            format,
            length: 16,
            max_id: 1 << 16,
            tokenizer: "tokenizer.json".into(),
            method: "{}".into(),
            domain: "quest".into(),
            provenance: if matches!(format, Format::Parquet | Format::Jsonl) {
                Provenance::Full
            } else {
                Provenance::None
            },
            compression,
            mds_indices: MdsIndices::Document,
            mds_shard_bytes: None,
            columns: Vec::new(),
            mask_first: false,
            weights: Vec::new(),
        };
        let records = [record(0), record(1)];
        let batch = SequenceBatch::of(&records);
        let pieces: Vec<u32> = batch.rows().map(|row| row.pieces.len() as u32).collect();
        let mut writer = open_writer(&options, directory.path(), 0, &pieces).unwrap();
        writer.push(&[batch]).unwrap();
        let files = writer.finish().unwrap();
        let bytes =
            |file: usize| fs::read(directory.path().join(&files[file].record.name)).unwrap();
        let index =
            if format == Format::Megatron { targets::joined(&[&bytes(1)]) } else { Vec::new() };
        seeds.push((target, format!("valid-{head}"), [vec![head], index, bytes(0)].concat()));
    }
    let output = repository().join("crates/formats/tests/fixtures/jsonl");
    let file = |name: &str| fs::read(output.join(name)).unwrap();
    let whole =
        [targets::joined(&[&file("longweave.json"), &file("SHA256SUMS")]), file("00000.jsonl")]
            .concat();
    seeds.push(("manifest", "valid".into(), whole));
}

fn runs(seeds: &mut Vec<Seed>) {
    let place = Place::with_documents(6);
    // No seed names this machine's folders.
    let neutral = |text: String| text.replace(&*place.directory.path().to_string_lossy(), "/place");
    seeds.push(("options", "quest".into(), neutral(place.json(&[]).to_string()).into_bytes()));
    let nextlong = json!({ "name": "nextlong", "pool": "all", "k": 8, "chunkChars": 64, "reuse": "run", "fill": "drop" });
    seeds.push((
        "options",
        "nextlong".into(),
        neutral(place.json(&[("/method", nextlong)]).to_string()).into_bytes(),
    ));
    let lines = "tin whistle\n{\"topic\": \"Tides\", \"query\": \"tide moon\"}\n\n Ice \r\nIce";
    seeds.push(("topics", "valid".into(), lines.as_bytes().to_vec()));
    place.prepare(&[]).unwrap();
    let run = fs::read_to_string(place.path("out/run.json")).unwrap();
    seeds.push(("run_json", "quest".into(), neutral(run).into_bytes()));
    let plan = repository().join("crates/plan/tests/fixtures/plan-6");
    let column = |name: &str| fs::read(plan.join(name)).unwrap()[32..].to_vec();
    let header = fs::read(plan.join("plan.json")).unwrap();
    let parts = [
        header,
        column("00000.groups"),
        column("00001.groups"),
        column("00000.sequences"),
        column("00001.sequences"),
        column("00001.pieces"),
    ];
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    seeds.push((
        "plan_file",
        "valid".into(),
        [targets::joined(&parts), column("00000.pieces")].concat(),
    ));
    seeds.push(("tokenizer", "bpe".into(), crate::tokenizer().as_bytes().to_vec()));
    let words = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": { "type": "NFKC" }, "post_processor": null, "decoder": null,
        "added_tokens": [{ "id": 0, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }],
        "pre_tokenizer": { "type": "Whitespace" },
        "model": { "type": "WordLevel", "vocab": { "<|endoftext|>": 0, "<unk>": 1, "fox": 2 }, "unk_token": "<unk>" },
    });
    seeds.push(("tokenizer", "words".into(), words.to_string().into_bytes()));
    let pieces = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null, "added_tokens": [],
        "decoder": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "model": { "type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -1.0], ["fox", -2.0], ["o", -3.0]], "byte_fallback": false },
    });
    seeds.push(("tokenizer", "unigram".into(), pieces.to_string().into_bytes()));
}

/// Two documents of three and two tokens, as Megatron, datatrove and dolma write them, the last also
/// with NumPy's header.
fn token_files(seeds: &mut Vec<Seed>) {
    let ids: Vec<u8> = [1u16, 2, 3, 4, 5].iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut index = b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0\x08".to_vec();
    for n in [2u64, 3] {
        index.extend(n.to_le_bytes());
    }
    for n in [3u32, 2] {
        index.extend(n.to_le_bytes());
    }
    for n in [0u64, 6, 0, 1, 2] {
        index.extend(n.to_le_bytes());
    }
    let ends: Vec<u8> = [3u64, 5].iter().flat_map(|n| n.to_le_bytes()).collect();
    let header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (5,), }\n";
    let array = [b"\x93NUMPY\x01\0", &[header.len() as u8, 0][..], header, &ids].concat();
    let csv = b"0,3,one,\"a,b\",1\r\n3,5,two,,2\r\n".to_vec();
    let inputs = [(0, index, &ids), (1, ends, &ids), (2, csv.clone(), &ids), (5, csv, &array)];
    for (kind, index, ids) in inputs {
        let input = [vec![kind, 3], targets::joined(&[&index]), ids.clone()].concat();
        seeds.push(("token_files", format!("valid-{kind}"), input));
    }
}

fn stores(seeds: &mut Vec<Seed>) {
    let fixtures = repository().join("crates/storage/tests/fixtures");
    for name in
        ["bytes.array", "keys.array", "longs.array", "shorts.array", "words.array", "empty.array"]
    {
        seeds.push(("columns", name.into(), fs::read(fixtures.join(name)).unwrap()));
    }
    let done = json!({ "files": [{ "name": "column", "bytes": 0, "xxh3": "0000000000000000" }], "counts": { "rows": 3 } });
    seeds.push(("columns", "done".into(), done.to_string().into_bytes()));
    seeds.push(("strings", "ids.arrow".into(), fs::read(fixtures.join("ids.arrow")).unwrap()));
    let ends: Vec<u8> = [2u64, 2, 5].iter().flat_map(|n| n.to_le_bytes()).collect();
    let ids: Vec<u8> = [1u16, 2, 3, 4, 5].iter().flat_map(|n| n.to_le_bytes()).collect();
    seeds.push((
        "token_store",
        "two".into(),
        [targets::joined(&[&ends]), vec![1], ids.clone()].concat(),
    ));
    let runs: Vec<u8> = [[2u32, 1, 3], [0, 0, 3], [2, 4, 1]]
        .as_flattened()
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    seeds.push((
        "scattered",
        "runs".into(),
        [vec![1], targets::joined(&[&[7; 16], &ids]), runs].concat(),
    ));
    let phrases = "oak tree\nash tree\nash\noak\ntall oak tree\noak tree\nchess board";
    seeds.push((
        "candidates",
        "phrases".into(),
        [targets::joined(&[&[2, 0, 3, 1, 1]]), vec![b' '], phrases.into()].concat(),
    ));
    let rows: Vec<u8> = [1u64, 1, 3].iter().flat_map(|n| n.to_le_bytes()).collect();
    let table = fs::read(fixtures.join("ids.arrow")).unwrap();
    seeds.push((
        "candidates",
        "table".into(),
        [targets::joined(&[&rows]), vec![0], table].concat(),
    ));
    let tokens = repository().join("crates/tokens/tests/fixtures");
    let four = [
        targets::joined(&[&fs::read(tokens.join("four.ends")).unwrap()[32..]]),
        vec![0],
        fs::read(tokens.join("four.ids")).unwrap(),
    ];
    seeds.push(("token_store", "four".into(), four.concat()));
}

/// A self-contained directory: a name with `..` or of another place is not a file of it.
#[test]
fn an_output_leads_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside.jsonl");
    File::create(&outside).unwrap().write_all(b"{\"input_ids\":[1],\"n_tokens\":1}\n").unwrap();
    let output = directory.path().join("output");
    fs::create_dir(&output).unwrap();
    for name in ["../outside.jsonl", outside.to_str().unwrap(), "", "./x"] {
        let manifest = json!({
            "format": "jsonl", "length": 1, "sequences": 1, "provenance": "none",
            "files": [{ "name": name, "bytes": 0, "sha256": "", "sequences": 1 }],
        });
        fs::write(output.join("longweave.json"), manifest.to_string()).unwrap();
        fs::write(output.join("SHA256SUMS"), "").unwrap();
        let refused = [
            longweave_formats::SequenceReader::open(&output).err(),
            longweave_formats::verify_output(&output).err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert!(
                error.code() == longweave_common::Code::FileCorrupt
                    && error.message().contains("is outside"),
                "{name}: {error}"
            );
        }
    }
}
