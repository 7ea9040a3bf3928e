//! JSONL: the rows are those between line feeds, whatever the split size and packing.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use longweave_corpus::{CorpusOptions, Range, inventory, spool_file};

use crate::{Seen, code, ctx, options, rows};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// What a plain reading of the whole file gives: numbers and texts of its rows, `None` for a bad one.
fn naive(content: &[u8]) -> Vec<Option<String>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = content.split(|&b| b == b'\n').filter(|l| !l.iter().all(u8::is_ascii_whitespace));
    let text = |line: &[u8]| match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(row)) => row.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    lines.map(text).collect()
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z \u{2028}\u{85}é\"\\\\]{0,12}[a-z]";
    let row = (text, any::<bool>()).prop_map(|(text, escape)| {
        let text = if escape { text.replace('é', "\n") } else { text };
        serde_json::json!({ "n": [1, { "text": "inner" }], "text": text }).to_string().into_bytes()
    });
    prop_oneof![
        6 => row,
        1 => Just(Vec::new()),
        1 => Just(b" \t".to_vec()),
        1 => Just(b"{\"text\":".to_vec()),
        1 => Just(b"{\"text\": 1}".to_vec()),
        1 => Just(b"\xff\xfe".to_vec()),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec((line(), any::<bool>()), 0..14), any::<bool>(), any::<bool>()).prop_map(
        |(lines, mark, end)| {
            let mut bytes = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            for (line, carriage) in &lines {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(if *carriage { b"\r\n" } else { b"\n" });
            }
            if !end && !lines.is_empty() {
                bytes.pop();
            }
            bytes
        },
    )
}

/// Spools what the corpus has to spool, below `directory`.
fn spooled(mut options: CorpusOptions, directory: &Path) -> CorpusOptions {
    let spool = directory.join("spool");
    let list = inventory(crate::ctx(), &options).unwrap();
    options.spool = Some(spool);
    for (file, parts) in list.spooled() {
        let written = spool_file(ctx(), &options, &list, file, parts).unwrap();
        assert_eq!(written.len(), parts as usize);
    }
    options
}

fn check(found: &[Seen], content: &[u8], file: &str) -> Result<(), TestCaseError> {
    let expected = naive(content);
    prop_assert_eq!(found.len(), expected.len());
    for (i, (seen, text)) in found.iter().zip(&expected).enumerate() {
        prop_assert_eq!(seen.number, i as u64);
        prop_assert_eq!(
            seen.content.clone().ok(),
            text.clone().map(|t| (format!("{file}:{i}"), t))
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn rows_over_any_splits_are_those_of_the_whole_file(content in content(), split_bytes in 1u64..80) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        fs::write(&path, &content).unwrap();
        let mut options = options(&[&path]);
        options.split_bytes = split_bytes;
        check(&rows(&options).unwrap(), &content, "a.jsonl")?;
    }

    #[test]
    fn rows_of_a_large_packed_file_are_those_of_its_parts(content in content(), split_bytes in 1u64..80, gz in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(if gz { "a.jsonl.gz" } else { "a.jsonl.zst" });
        fs::write(&path, if gz { gzip(&content) } else { zst(&content) }).unwrap();
        let options = spooled(CorpusOptions { split_bytes, ..options(&[&path]) }, directory.path());
        check(&rows(&options).unwrap(), &content, "a.jsonl")?;
    }

    #[test]
    fn packed_files_of_several_members_give_the_rows_and_ids_of_the_plain_one(content in content(), cut in any::<prop::sample::Index>()) {
        let directory = tempfile::tempdir().unwrap();
        let cut = cut.index(content.len() + 1);
        for (name, pack) in [("a.jsonl.gz", gzip as fn(&[u8]) -> Vec<u8>), ("a.jsonl.zst", zst)] {
            let path = directory.path().join(name);
            fs::write(&path, [pack(&content[..cut]), pack(&content[cut..])].concat()).unwrap();
            check(&rows(&options(&[&path])).unwrap(), &content, "a.jsonl")?;
        }
    }
}

/// Reads one line as a corpus.
fn one(line: &[u8], change: impl Fn(&mut longweave_corpus::CorpusOptions)) -> Seen {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    fs::write(&path, line).unwrap();
    let mut options = options(&[&path]);
    change(&mut options);
    let mut rows = rows(&options).unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

#[test]
fn fields_are_taken_by_name_and_type() {
    let ids = |o: &mut longweave_corpus::CorpusOptions| {
        o.id_field = Some("id".into());
        o.source_field = Some("source".into());
        o.query_field = Some("q".into());
    };
    for (line, id, queries, source) in [
        (r#"{"id":"x","text":"t"}"#, "x", vec![], None),
        (r#"{"text":"t","id":7,"q":"one","source":"s"}"#, "7", vec!["one"], Some("s")),
        (r#"{"id":-7,"text":"t","q":["one","two"],"source":null}"#, "-7", vec!["one", "two"], None),
        (
            r#"{"id":18446744073709551615,"text":"t","q":null}"#,
            "18446744073709551615",
            vec![],
            None,
        ),
        (
            r#"{"id":"\u00e9\n","text":"t","other":{"id":"inner","text":[1.5e300]}}"#,
            "é\n",
            vec![],
            None,
        ),
        (r#"{"id":"first","id":"last","text":"s","text":"t"}"#, "last", vec![], None),
    ] {
        let seen = one(line.as_bytes(), ids);
        assert_eq!((seen.document(), seen.source.as_deref()), ((id, "t"), source), "{line}");
        assert_eq!(seen.queries, queries, "{line}");
    }
}

#[test]
fn one_field_can_serve_as_several() {
    let seen = one(br#"{"title":"cats"}"#, |o| {
        o.text_field = "title".into();
        (o.id_field, o.source_field, o.query_field) =
            (Some("title".into()), Some("title".into()), Some("title".into()));
    });
    assert_eq!(
        (seen.document(), seen.source.as_deref(), seen.queries.clone()),
        (("cats", "cats"), Some("cats"), vec!["cats".to_owned()])
    );
    let seen = one(br#"{"id":7,"text":"t"}"#, |o| {
        (o.id_field, o.source_field, o.query_field) =
            (Some("id".into()), Some("id".into()), Some("id".into()));
    });
    assert_eq!(
        (seen.document(), seen.source.as_deref(), seen.queries.clone()),
        (("7", "t"), Some("7"), vec!["7".to_owned()])
    );
}

#[test]
fn what_is_wrong_with_a_row_is_said_in_words() {
    let ids = |o: &mut longweave_corpus::CorpusOptions| {
        o.id_field = Some("id".into());
        o.query_field = Some("q".into());
        o.max_document_bytes = 8;
    };
    let long = format!(r#"{{"id":"x","text":"{}"}}"#, "a".repeat(9));
    let endless = format!(r#"{{"id":"x","text":"{}"}}"#, "a".repeat(2 << 20));
    for (line, expected) in [
        (&b"nonsense"[..], "BAD_ROW expected ident at column 2"),
        (b"[1]", "BAD_ROW invalid type: sequence, expected a JSON object at column 0"),
        (b"{\"id\":\"x\"}", "BAD_ROW there is no field \"text\" (`textField`)"),
        (
            b"{\"id\":\"x\",\"text\":null}",
            "BAD_ROW invalid type: null, expected a string in the field \"text\"",
        ),
        (
            b"{\"id\":\"x\",\"text\":[\"a\"]}",
            "BAD_ROW invalid type: sequence, expected a string in the field \"text\"",
        ),
        (b"{\"text\":\"t\"}", "BAD_ROW there is no field \"id\" (`idField`)"),
        (b"{\"id\":\"\",\"text\":\"t\"}", "BAD_ROW the field \"id\" (`idField`) is empty"),
        (
            b"{\"id\":1.5,\"text\":\"t\"}",
            "BAD_ROW invalid type: floating point `1.5`, expected a string or an integer in the field \"id\"",
        ),
        (
            b"{\"id\":true,\"text\":\"t\"}",
            "BAD_ROW invalid type: boolean `true`, expected a string or an integer in the field \"id\"",
        ),
        (
            b"{\"id\":\"x\",\"text\":\"t\",\"q\":[1]}",
            "BAD_ROW invalid type: integer `1`, expected a string",
        ),
        (b"{\"id\":\"x\",\"text\":\"t\"} {}", "BAD_ROW trailing characters at column 23"),
        (b"{\"id\":\"x\",\"text\":\"\\ud800\"}", "BAD_ROW unexpected end of hex escape"),
        (b"{\"id\":\"x\",\"text\":\"\xff\"}", "BAD_UTF8 invalid UTF-8 at byte 18 of the line"),
        (
            long.as_bytes(),
            "DOCUMENT_TOO_LARGE the text has 9 bytes, more than `maxDocumentBytes` (8)",
        ),
        (
            endless.as_bytes(),
            "DOCUMENT_TOO_LARGE the line is longer than a document of 8 bytes can be",
        ),
        (b"{\"id\":\"x\",\"text\":\" \\n\\u2003\"}", "EMPTY"),
    ] {
        let reason = one(line, ids).content.unwrap_err();
        assert!(
            reason.starts_with(expected),
            "{}: {reason}",
            String::from_utf8_lossy(&line[..line.len().min(60)])
        );
    }
}

#[test]
fn a_packed_file_that_ends_early_or_is_damaged_is_told_by_name() {
    let lines: Vec<u8> = (0..2000)
        .flat_map(|i| format!("{{\"text\":\"document {i} {}\"}}\n", i * 7919 % 1000).into_bytes())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    for (name, packed) in [("a.jsonl.gz", gzip(&lines)), ("a.jsonl.zst", zst(&lines))] {
        let path = directory.path().join(name);
        let mut damaged = packed.clone();
        damaged[packed.len() / 2..].fill(0x55);
        for bytes in [
            &packed[..packed.len() - 1],
            &packed[..packed.len() / 2],
            &packed[..5],
            &damaged,
            b"{\"text\":\"not packed\"}\n",
        ] {
            fs::write(&path, bytes).unwrap();
            let result = rows(&options(&[&path]));
            assert!(
                result.as_ref().err().is_some_and(|e| e.message().contains(name)),
                "{name} of {} bytes",
                bytes.len()
            );
            assert_eq!(code(result), "INPUT_TRUNCATED");
        }
    }
}

#[test]
fn empty_files_have_no_rows() {
    let directory = tempfile::tempdir().unwrap();
    let empties: [(&str, Vec<u8>); 5] = [
        ("a.jsonl", vec![]),
        ("b.jsonl.gz", gzip(b"")),
        ("c.jsonl.zst", zst(b"")),
        ("d.jsonl", b"\n \r\n".to_vec()),
        ("e.json", b"\xef\xbb\xbf".to_vec()),
    ];
    for (name, bytes) in &empties {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    assert_eq!(rows(&options(&[directory.path()])).unwrap(), []);
    assert_eq!(code(rows(&options(&[Path::new("/nowhere/a.jsonl")]))), "INPUT_NOT_FOUND");
}

#[test]
fn the_parts_of_a_packed_file_are_about_equal_and_keep_what_is_wrong_with_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    // Text that does not pack well, so that shares of packed bytes are shares of text.
    let mut state = 1u64;
    let mut word = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", state)
    };
    let line = |words: &[String]| format!("{{\"text\":\"{}\"}}\n", words.join(" "));
    let lines: Vec<String> =
        (0..60_000).map(|_| line(&(0..10).map(|_| word()).collect::<Vec<_>>())).collect();
    let mut content = lines.concat();
    let long = format!("{{\"text\":\"{}\"}}\n", "x".repeat(8 << 20));
    content.push_str(&long);
    content.push_str("{\"text\":\"last\"}");
    let path = directory.path().join("a.jsonl.zst");
    fs::write(&path, zst(content.as_bytes())).unwrap();
    let packed = fs::metadata(&path).unwrap().len();
    let options =
        CorpusOptions { split_bytes: packed - 1, max_document_bytes: 1 << 20, ..options(&[&path]) };
    let options = spooled(options, directory.path());
    let list = inventory(crate::ctx(), &options).unwrap();
    assert!(
        list.splits.iter().all(|s| matches!(s.range, Range::Part { .. })) && list.splits.len() == 5,
        "{:?}",
        list.splits
    );
    let found = rows(&options).unwrap();
    assert_eq!(found.len(), lines.len() + 2);
    let error = found[lines.len()].content.clone().unwrap_err();
    assert_eq!(
        error,
        "DOCUMENT_TOO_LARGE the line is longer than a document of 1048576 bytes can be"
    );
    assert_eq!(
        found[lines.len() + 1].document(),
        (format!("a.jsonl:{}", lines.len() + 1).as_str(), "last")
    );
    let sizes: Vec<u64> = (0..5)
        .map(|p| {
            fs::metadata(directory.path().join(format!("spool/00000-{p:05}.jsonl.zst")))
                .unwrap()
                .len()
        })
        .collect();
    assert!(sizes.iter().all(|&size| size > packed / 20), "{sizes:?} of {packed}");
    // A stream that ends early is found while it is spooled, and leaves no part behind that could be taken for a whole one.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let options = CorpusOptions { split_bytes: packed / 4, ..options };
    let list = inventory(crate::ctx(), &options).unwrap();
    let (file, parts) = list.spooled().next().unwrap();
    assert_eq!(code(spool_file(ctx(), &options, &list, file, parts)), "INPUT_TRUNCATED");
}
