//! JSONL: the rows are those between line feeds, whatever the split size and packing.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use longweave_corpus::{CorpusOptions, LoneSurrogates, Range, inventory, spool_file};

use crate::{Seen, code, ctx, options, rows};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// The lines, from 1, and texts of the rows that a plain reading of the whole file gives; `None` for
/// a bad row.
fn naive(content: &[u8]) -> Vec<(usize, Option<String>)> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = (1..).zip(content.split(|&b| b == b'\n'));
    let rows = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    let text = |line: &[u8]| match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(row)) => row.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    rows.map(|(number, line)| (number, text(line))).collect()
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
        1 => Just(b"\xff\xff".to_vec()),
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
    let stem = file.trim_end_matches(".gz").trim_end_matches(".zst");
    prop_assert_eq!(found.len(), expected.len());
    for (i, (seen, (line, text))) in found.iter().zip(&expected).enumerate() {
        prop_assert_eq!(&seen.location, &format!("{file}:{line}"));
        prop_assert_eq!(
            seen.content.clone().ok(),
            text.clone().map(|t| (format!("{stem}:{i}"), t))
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
        options.split_bytes = Some(split_bytes);
        check(&rows(&options).unwrap(), &content, "a.jsonl")?;
    }

    #[test]
    fn rows_of_a_large_packed_file_are_those_of_its_parts(content in content(), split_bytes in 1u64..80, gz in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(if gz { "a.jsonl.gz" } else { "a.jsonl.zst" });
        fs::write(&path, if gz { gzip(&content) } else { zst(&content) }).unwrap();
        let options = spooled(CorpusOptions { split_bytes: Some(split_bytes), ..options(&[&path]) }, directory.path());
        check(&rows(&options).unwrap(), &content, if gz { "a.jsonl.gz" } else { "a.jsonl.zst" })?;
    }

    #[test]
    fn packed_files_of_several_members_give_the_rows_and_ids_of_the_plain_one(content in content(), cut in any::<prop::sample::Index>()) {
        let directory = tempfile::tempdir().unwrap();
        let cut = cut.index(content.len() + 1);
        for (name, pack) in [("a.jsonl.gz", gzip as fn(&[u8]) -> Vec<u8>), ("a.jsonl.zst", zst)] {
            let path = directory.path().join(name);
            fs::write(&path, [pack(&content[..cut]), pack(&content[cut..])].concat()).unwrap();
            check(&rows(&options(&[&path])).unwrap(), &content, name)?;
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
        (r#"{"id":7.0,"text":"t","source":2}"#, "7", vec![], Some("2")),
        (r#"{"id":"x","text":"t","source":1.5,"q":[null,"one"]}"#, "x", vec!["one"], Some("1.5")),
        (r#"{"id":"x","text":["t"],"source":true}"#, "x", vec![], Some("true")),
        (r#"{"id":"x","text":"t","source":NaN,"score":-Infinity}"#, "x", vec![], None),
    ] {
        let seen = one(line.as_bytes(), ids);
        assert_eq!((seen.document(), seen.source.as_deref()), ((id, "t"), source), "{line}");
        assert_eq!(seen.queries, queries, "{line}");
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced_and_counted_or_makes_a_bad_row() {
    let line = br#"{"id":"a\ud83d","text":"cut \udc00 here \ud83d\ude00"}"#;
    let seen = one(line, |o| o.id_field = Some("id".into()));
    assert_eq!(seen.document(), ("a\u{fffd}", "cut \u{fffd} here \u{1f600}"));
    assert!(seen.replaced);
    let seen = one(line, |o| o.lone_surrogates = LoneSurrogates::Reject);
    assert_eq!(seen.content, Err("BAD_ROW lone surrogate \\ud83d at column 9".into()));
    // In a field that nobody wants it does no harm.
    let seen = one(br#"{"other":"\ud83d","text":"t"}"#, |o| {
        o.lone_surrogates = LoneSurrogates::Reject;
    });
    assert_eq!((seen.document().1, seen.replaced), ("t", false));
}

#[test]
fn a_name_is_a_key_with_dots_or_the_path_of_a_nested_field() {
    let read = |line: &str| {
        let seen = one(line.as_bytes(), |o| {
            o.text_field = "doc.text".into();
            (o.id_field, o.source_field, o.query_field) =
                (Some("doc.meta.id".into()), Some("meta.a.b".into()), Some("meta.a".into()));
        });
        let source = seen.source.clone().unwrap_or_default();
        (seen.content.map(|(id, text)| format!("{id} {text}")), source, seen.queries)
    };
    let found = |document: &str, source: &str, queries: &[&str]| {
        let queries = queries.iter().map(|q| (*q).to_owned()).collect();
        (Ok(document.to_owned()), source.to_owned(), queries)
    };
    let (first, second) =
        (r#""doc":{"text":"t","meta":{"id":1}}"#, r#""doc":{"text":"t","meta.id":2}"#);
    for (line, expected) in [
        (format!("{{{first}}}"), found("1 t", "", &[])),
        (format!("{{{second}}}"), found("2 t", "", &[])),
        (format!(r#"{{{first},"meta":{{"a.b":"s"}}}}"#), found("1 t", "s", &[])),
        (format!(r#"{{{first},"meta":{{"a":"q"}}}}"#), found("1 t", "", &["q"])),
        (
            format!(r#"{{{first},"meta.a":["q"],"meta":{{"a":{{"b":"s"}}}}}}"#),
            found("1 t", "s", &["q"]),
        ),
        // The longest key at the top counts, wherever it is.
        (format!(r#"{{{first},"meta.a.b":"top","meta":{{"a.b":"s"}}}}"#), found("1 t", "top", &[])),
        (format!(r#"{{{first},"meta":{{"a.b":"s"}},"meta.a.b":"top"}}"#), found("1 t", "top", &[])),
        (format!(r#"{{{first},"meta":"text","meta.a.b":null}}"#), found("1 t", "", &[])),
    ] {
        assert_eq!(read(&line), expected, "{line}");
    }
    let missing = one(br#"{"doc":{"body":"t"}}"#, |o| o.text_field = "doc.text".into());
    let reason = "BAD_ROW there is no field \"doc.text\" (`textField`), only \"doc\"";
    assert_eq!(missing.content, Err(reason.into()));
}

#[test]
fn the_strings_of_a_list_are_joined() {
    let line = br#"{"text":["one",null,"two"]}"#;
    assert_eq!(one(line, |_| {}).document().1, "one\ntwo");
    assert_eq!(one(line, |o| o.text_join = " ".into()).document().1, "one two");
    assert_eq!(one(br#"{"text":[]}"#, |_| {}).content, Err("EMPTY".into()));
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
        (&b"nonsense"[..], "BAD_ROW the line is not JSON: expected ident at column 2"),
        (b"{\"id\":\"x\",", "BAD_ROW the line ends before its JSON object does"),
        (b" { ", "BAD_ROW the object does not end on its line"),
        (b"[", "BAD_ROW the file is a JSON array, not JSONL"),
        (b"[1]", "BAD_ROW the row is an array, not an object"),
        (b"7", "BAD_ROW the row is a number, not an object"),
        (
            b"{\"id\":\"x\",\"body\":1}",
            "BAD_ROW there is no field \"text\" (`textField`), only \"id\", \"body\"",
        ),
        (b"{}", "BAD_ROW there is no field \"text\" (`textField`)"),
        (b"{\"id\":\"x\",\"text\":null}", "EMPTY"),
        (b"{\"id\":\"x\",\"text\":7}", "BAD_ROW \"text\" is a number, not a string"),
        (b"{\"id\":\"x\",\"text\":1.5}", "BAD_ROW \"text\" is a number, not a string"),
        (b"{\"id\":\"x\",\"text\":{}}", "BAD_ROW \"text\" is an object, not a string"),
        (b"{\"id\":\"x\",\"text\":[1]}", "BAD_ROW \"text\" holds a number, not strings"),
        (b"{\"id\":null,\"text\":\"t\"}", "BAD_ROW \"id\" is null, not a string or an integer"),
        (b"{\"id\":NaN,\"text\":\"t\"}", "BAD_ROW the line is not JSON"),
        (b"{\"text\":\"t\"}", "BAD_ROW there is no field \"id\" (`idField`), only \"text\""),
        (b"{\"id\":\"\",\"text\":\"t\"}", "BAD_ROW the field \"id\" (`idField`) is empty"),
        (
            b"{\"id\":1.5,\"text\":\"t\"}",
            "BAD_ROW \"id\" is a number with a fraction, not a string or an integer",
        ),
        (
            b"{\"id\":18446744073709551616,\"text\":\"t\"}",
            "BAD_ROW \"id\" is a number of more than 64 bits, not a string or an integer",
        ),
        (b"{\"id\":true,\"text\":\"t\"}", "BAD_ROW \"id\" is true, not a string or an integer"),
        (b"{\"id\":\"x\",\"text\":\"t\",\"q\":[1]}", "BAD_ROW \"q\" holds a number, not strings"),
        (
            b"{\"id\":\"x\",\"text\":\"t\",\"q\":1}",
            "BAD_ROW \"q\" is a number, not a string or a list of strings",
        ),
        (
            b"{\"id\":\"x\",\"text\":\"t\"} {}",
            "BAD_ROW the line is not JSON: trailing characters at column 23",
        ),
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
    let options = CorpusOptions {
        split_bytes: Some(packed - 1),
        max_document_bytes: 1 << 20,
        ..options(&[&path])
    };
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
    let options = CorpusOptions { split_bytes: Some(packed / 4), ..options };
    let list = inventory(crate::ctx(), &options).unwrap();
    let (file, parts) = list.spooled().next().unwrap();
    assert_eq!(code(spool_file(ctx(), &options, &list, file, parts)), "INPUT_TRUNCATED");
}

#[test]
fn zero_bytes_after_a_gzip_member_are_padding() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl.gz");
    let member = |text: &str| gzip(format!("{{\"text\":\"{text}\"}}\n").as_bytes());
    let zeros = |n: usize| vec![0; n];
    for padded in [
        [member("a"), zeros(1), member("b")].concat(),
        [member("a"), member("b"), zeros(512)].concat(),
        [member("a"), zeros(3 << 20), member("b"), zeros(3 << 20)].concat(),
    ] {
        fs::write(&path, padded).unwrap();
        let whole = CorpusOptions { split_bytes: Some(u64::MAX), ..options(&[&path]) };
        let texts: Vec<String> =
            rows(&whole).unwrap().iter().map(|row| row.document().1.to_owned()).collect();
        assert_eq!(texts, ["a", "b"]);
    }
    for garbage in [[member("a"), b"x".to_vec()].concat(), zeros(512)] {
        fs::write(&path, garbage).unwrap();
        assert_eq!(code(rows(&options(&[&path]))), "INPUT_TRUNCATED");
    }
}

#[test]
fn a_file_of_another_format_is_refused_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let row = "{\"text\":\"t\"}\n";
    let utf16 = |bytes: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{row}").encode_utf16().flat_map(bytes).collect()
    };
    for (name, bytes, says) in [
        ("a.jsonl.gz", gzip(&gzip(row.as_bytes())), "unpacks to another gzip file"),
        ("a.jsonl.zst", zst(&gzip(row.as_bytes())), "unpacks to another gzip file"),
        ("a.jsonl", utf16(u16::to_le_bytes, "\u{feff}"), "iconv -f UTF-16"),
        ("a.jsonl", utf16(u16::to_be_bytes, "\u{feff}"), "iconv -f UTF-16"),
        ("a.jsonl", utf16(u16::to_le_bytes, ""), "is UTF-16"),
        ("a.jsonl", utf16(u16::to_be_bytes, ""), "is UTF-16"),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        for split_bytes in [1 << 20, 4] {
            let whole = CorpusOptions { split_bytes: Some(split_bytes), ..options(&[&path]) };
            let list = inventory(ctx(), &whole).unwrap();
            let error = match list.spooled().next() {
                Some((file, parts)) => {
                    let options = CorpusOptions { spool: Some(directory.path().into()), ..whole };
                    spool_file(ctx(), &options, &list, file, parts).err()
                }
                None => rows(&whole).err(),
            };
            let error = error.unwrap_or_else(|| panic!("{name}: {says}"));
            assert_eq!(error.code().name(), "INPUT_UNSUPPORTED", "{error}");
            assert!(error.message().contains(says), "{says}: {error}");
            assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        }
        fs::remove_file(path).unwrap();
    }
}
