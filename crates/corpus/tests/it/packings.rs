//! Compressed files, arrays of JSON and tar archives have the rows of plain lines, however they are
//! named and split.

use std::fs;
use std::io::Write;
use std::path::Path;

use longweave_corpus::{CorpusOptions, Kind, Packing, Range, inventory, spool_file};
use lz4_flex::frame::FrameEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use proptest::prelude::*;

use crate::{Seen, code, ctx, options, rows};

/// Packs bytes as one stream.
type Pack = fn(&[u8]) -> Vec<u8>;

/// Each packing with the ending of its files' names.
pub(crate) const PACKINGS: [(&str, Packing, Pack); 6] = [
    ("", Packing::Plain, |bytes| bytes.to_vec()),
    (".gz", Packing::Gzip, |bytes| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    (".zst", Packing::Zstd, |bytes| zstd::stream::encode_all(bytes, 1).unwrap()),
    (".bz2", Packing::Bzip2, |bytes| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    (".xz", Packing::Xz, |bytes| {
        let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    (".lz4", Packing::Lz4, |bytes| {
        let mut encoder = FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
];

const LINES: &[u8] = b"{\"text\":\"one\"}\n\n{\"text\":7}\n{\"text\":\"two\"}";

fn kinds(options: &CorpusOptions) -> Vec<Kind> {
    inventory(ctx(), options).unwrap().files.iter().map(|file| file.kind).collect()
}

/// The ids, texts and reasons of rows.
fn contents(rows: &[Seen]) -> Vec<Result<(String, String), String>> {
    rows.iter().map(|row| row.content.clone()).collect()
}

#[test]
fn a_file_is_unpacked_by_its_bytes_whatever_its_name_says() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        options(&[&path])
    };
    let plain = rows(&put("a.jsonl", LINES)).unwrap();
    assert_eq!(plain[2].location, "a.jsonl:4");
    for (ending, packing, pack) in PACKINGS {
        // As named, in two streams, as JSON, and under the name of another packing.
        let halves = [pack(&LINES[..20]), pack(&LINES[20..])].concat();
        for (name, bytes) in [
            (format!("a.jsonl{ending}"), pack(LINES)),
            (format!("b.jsonl{ending}"), halves),
            ("c.jsonl".to_owned(), pack(LINES)),
            ("d.json.gz".to_owned(), pack(LINES)),
        ] {
            if packing == Packing::Plain && name == "d.json.gz" {
                continue;
            }
            let options = put(&name, &bytes);
            assert_eq!(kinds(&options), [Kind::Jsonl(packing)], "{name}");
            let found = rows(&options).unwrap();
            let texts = |rows: &[Seen]| -> Vec<_> {
                let text = |(_, text)| text;
                contents(rows).into_iter().map(|content| content.map(text)).collect()
            };
            assert_eq!(texts(&found), texts(&plain), "{name}");
            let id = format!("{}:3", name.trim_end_matches(ending).trim_end_matches(".gz"));
            let id = id.replace(":3", ":2");
            assert_eq!(found[2].document().0, id, "{name}");
        }
        for bytes in [&pack(LINES)[..], &pack(&LINES.repeat(5000))[..]] {
            if packing == Packing::Plain {
                continue;
            }
            let options = put(&format!("short.jsonl{ending}"), &bytes[..bytes.len() - 3]);
            assert_eq!(code(rows(&options)), "INPUT_TRUNCATED", "{ending}");
        }
    }
    let parquet = put("a.jsonl", b"PAR1 and so on");
    assert_eq!(code(inventory(ctx(), &parquet)), "NONE");
    assert_eq!(kinds(&parquet), [Kind::Parquet]);
}

/// Spools what the corpus has to spool, below `directory`.
fn spooled(mut options: CorpusOptions, directory: &Path) -> CorpusOptions {
    let list = inventory(ctx(), &options).unwrap();
    options.spool = Some(directory.join("spool"));
    for (file, parts) in list.spooled() {
        spool_file(ctx(), &options, &list, file, parts).unwrap();
    }
    options
}

proptest! {
    #[test]
    fn an_array_has_the_rows_of_lines(
        texts in prop::collection::vec("[a-z\\[\\]{}\", \\\\\n]{1,12}", 0..12),
        pretty in any::<bool>(),
        split_bytes in 8u64..200,
        packing in 0usize..6,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let rows_of = |value: &serde_json::Value| contents(&{
            let bytes = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
            let (ending, _, pack) = PACKINGS[packing];
            let path = directory.path().join(format!("a.json{ending}"));
            fs::write(&path, pack(&bytes.unwrap())).unwrap();
            let options = CorpusOptions { split_bytes: Some(split_bytes), ..options(&[&path]) };
            rows(&spooled(options, directory.path())).unwrap()
        });
        let objects: Vec<_> = texts.iter().map(|text| serde_json::json!({ "n": [[1], {}], "text": text })).collect();
        let expected: Vec<_> = texts.iter().enumerate().map(|(i, text)| {
            if text.trim().is_empty() { Err("EMPTY".to_owned()) } else { Ok((format!("a.json:{i}"), text.clone())) }
        }).collect();
        prop_assert_eq!(rows_of(&objects.into()), expected);
    }
}

#[test]
fn an_array_names_its_elements_and_must_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        rows(&options(&[&path]))
    };
    let found = read("\u{feff} [ {\"text\":\"t\"} , {\"text\":1},\n[2], null ] \n").unwrap();
    let locations: Vec<_> = found.iter().map(|row| row.location.as_str()).collect();
    assert_eq!(locations, [1, 2, 3, 4].map(|n| format!("a.json: element {n} (from 1)")));
    let reasons: Vec<_> = found[1..].iter().map(|r| r.content.clone().unwrap_err()).collect();
    assert!(reasons[0].contains("\"text\" is a number"), "{reasons:?}");
    assert!(reasons[1].contains("the row is an array"), "{reasons:?}");
    assert!(reasons[2].contains("the row is null"), "{reasons:?}");
    assert_eq!(read("[]").unwrap(), []);
    for broken in ["[{\"text\":\"t\"}", "[{\"text\":\"t\"}] {}", "[{\"text\":\"t"] {
        let error = read(broken).unwrap_err();
        assert_eq!(error.code().name(), "INPUT_TRUNCATED", "{broken}");
        assert!(error.message().contains("array"), "{error}");
    }
}

/// A tar archive of members by name.
fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn the_samples_of_a_tar_archive_are_rows() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}/x.txt", "deep/".repeat(60));
    let archive = tar(&[
        ("0001.json", "{\"id\": 7,\n \"lang\": {\"a\": \"}\"}}  \n"),
        ("0001.txt", "one \"two\"\n\t\\ \u{1}three"),
        ("0001.jpg", "not read"),
        ("._0001.txt", "not read"),
        ("d/0002.txt", "only text"),
        ("d/0003.json", "{\"text\": \"in the object\"}"),
        ("0004.json", "{}"),
        ("0005.json", "[1]"),
        ("rows.jsonl", "{\"text\":\"a line\"}\n{\"text\":\"the last\"}"),
        (&long, "a long name"),
    ]);
    let expected: &[(&str, &str, &str)] = &[
        ("7", "one \"two\"\n\t\\ \u{1}three", "}"),
        ("", "only text", ""),
        ("", "in the object", ""),
        ("", "BAD_ROW there is no field \"text\"", ""),
        ("", "BAD_ROW there is no field \"text\"", ""),
        ("", "a line", ""),
        ("", "the last", ""),
        ("", "a long name", ""),
    ];
    for (ending, packing, pack) in PACKINGS {
        let path = directory.path().join(format!("a.tar{ending}"));
        fs::write(&path, pack(&archive)).unwrap();
        let mut wanted = options(&[&path]);
        wanted.source_field = Some("lang.a".into());
        assert_eq!(kinds(&wanted), [Kind::Tar(packing)]);
        for split_bytes in [1 << 20, 300] {
            wanted.split_bytes = Some(split_bytes);
            let found = rows(&spooled(wanted.clone(), directory.path())).unwrap();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (i, (seen, (_, text, source))) in found.iter().zip(expected).enumerate() {
                assert_eq!(seen.location, format!("a.tar{ending}: sample {} (from 1)", i + 1));
                let content = seen.content.clone().map_or_else(|reason| reason, |(_, text)| text);
                assert!(content.starts_with(text), "{content}");
                assert_eq!(seen.source.as_deref().unwrap_or_default(), *source);
            }
        }
        wanted.id_field = Some("__key__".into());
        let ids = rows(&spooled(wanted, directory.path())).unwrap();
        assert_eq!(ids[0].document().0, "0001");
        assert_eq!(ids[7].document().0, long.trim_end_matches(".txt"));
    }
    let path = directory.path().join("a.tar");
    for (end, expected) in [(600, "INPUT_TRUNCATED"), (1030, "INPUT_TRUNCATED")] {
        fs::write(&path, &archive[..end]).unwrap();
        assert_eq!(code(rows(&options(&[&path]))), expected, "{end} bytes");
    }
    let mut damaged = archive.clone();
    damaged[1024] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_eq!(code(rows(&options(&[&path]))), "INPUT_TRUNCATED");
}

#[test]
fn large_arrays_and_archives_are_spooled() {
    let directory = tempfile::tempdir().unwrap();
    let array: String = (0..500).map(|i| format!("{{\"text\":\"row {i}\"}},")).collect();
    let path = directory.path().join("a.json");
    fs::write(&path, format!("[{}]", array.trim_end_matches(','))).unwrap();
    let options = CorpusOptions { split_bytes: Some(4000), ..options(&[&path]) };
    let splits = inventory(ctx(), &options).unwrap().splits;
    assert!(splits.len() > 2 && splits.iter().all(|s| matches!(s.range, Range::Part { .. })));
    let found = rows(&spooled(options, directory.path())).unwrap();
    assert_eq!(found.len(), 500);
    assert_eq!(found[499].document(), ("a.json:499", "row 499"));
    assert_eq!(found[499].location, "a.json: element 500 (from 1)");
}
