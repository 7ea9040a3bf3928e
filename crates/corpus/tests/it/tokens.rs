//! Rows of token ids in place of a text.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{
    FixedSizeListBuilder, Int32Builder, LargeListBuilder, ListBuilder, PrimitiveBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use longweave_common::{Code, Error};
use longweave_corpus::{CorpusOptions, InputFile, Kind, UnreadReason, check_unchanged, inventory};
use proptest::prelude::*;

use crate::columns::{nullable, write};
use crate::packings::PACKINGS;
use crate::{code, options, rows};

fn with_tokens(path: &Path) -> CorpusOptions {
    CorpusOptions { tokens_field: Some("m.ids".into()), max_document_bytes: 64, ..options(&[path]) }
}

/// A document's tokens, or why there are none.
fn contents(options: &CorpusOptions) -> Vec<String> {
    let seen = rows(options).unwrap().into_iter();
    seen.map(|row| row.content.map_or_else(|why| why, |(_, tokens)| tokens)).collect()
}

#[test]
fn a_list_of_ids_in_json_is_a_document_and_anything_else_says_where_it_fails() {
    let directory = tempfile::tempdir().unwrap();
    let holds = |what: &str| {
        format!(
            "BAD_ROW \"m.ids\" holds {what}, which is not a token id (a whole number from 0 to \
             4294967295)"
        )
    };
    let is = |what: &str| format!("BAD_ROW \"m.ids\" is {what}, not a list of token ids");
    let large = "DOCUMENT_TOO_LARGE the row has more than 16 tokens, of which each counts four \
                 bytes of `maxDocumentBytes` (64)";
    let list = |n: usize| format!("[{}]", vec!["7"; n].join(", "));
    let cases = [
        ("[1, 2,3]".to_owned(), "[1, 2, 3]".to_owned()),
        ("[4294967295]".into(), "[4294967295]".into()),
        ("[]".into(), "EMPTY".into()),
        ("null".into(), "EMPTY".into()),
        ("[-1]".into(), holds("-1")),
        ("[1, 4294967296]".into(), holds("4294967296")),
        ("[99999999999999999999]".into(), holds("1e20")),
        ("[1.0]".into(), holds("1.0")),
        ("[null]".into(), holds("null")),
        ("[\"1\"]".into(), holds("a string")),
        ("[true]".into(), holds("true")),
        ("[[1]]".into(), holds("an array")),
        ("[{}]".into(), holds("an object")),
        ("7".into(), is("a number")),
        ("\"7\"".into(), is("a string")),
        ("{}".into(), is("an object")),
        (list(16), list(16)),
        (list(17), large.into()),
        (list(100), large.into()),
    ];
    let objects: Vec<String> = cases
        .iter()
        .map(|(ids, _)| format!(r#"{{"text": ["not", {{"read": 0}}], "m": {{"ids": {ids}}}}}"#))
        .chain([r#"{"text": "one"}"#.into(), r#"{"m.ids": [5], "m": {"ids": [6]}}"#.into()])
        .collect();
    let none = "BAD_ROW there is no field \"m.ids\" (`tokensField`), only \"text\"";
    let expected: Vec<String> =
        cases.into_iter().map(|(_, found)| found).chain([none.into(), "[5]".into()]).collect();
    for (name, content) in
        [("a.jsonl", objects.join("\n")), ("a.json", format!("[{}]", objects.join(",")))]
    {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        assert_eq!(contents(&with_tokens(&path)), expected, "{name}");
    }
    let path = directory.path().join("a.txt");
    fs::write(&path, "text").unwrap();
    assert_eq!(contents(&with_tokens(&path)), ["text"]);
}

fn lists<T: ArrowPrimitiveType>(values: &[T::Native]) -> Vec<ArrayRef> {
    let builder = || PrimitiveBuilder::<T>::new();
    let some = |range: std::ops::Range<usize>| values[range].iter().copied().map(Some);
    let (mut short, mut long) = (ListBuilder::new(builder()), LargeListBuilder::new(builder()));
    let mut fixed = FixedSizeListBuilder::new(builder(), 1);
    for range in [0..1, 1..2] {
        short.append_value(some(range.clone()));
        long.append_value(some(range.clone()));
        fixed.values().append_value(values[range.start]);
        fixed.append(true);
    }
    short.append_value([]);
    long.append_null();
    fixed.values().append_null();
    fixed.append(false);
    vec![Arc::new(short.finish()), Arc::new(long.finish()), Arc::new(fixed.finish())]
}

#[test]
fn a_column_of_ids_is_a_list_of_any_integers() {
    let directory = tempfile::tempdir().unwrap();
    let mut columns = Vec::new();
    columns.extend(lists::<Int8Type>(&[1, 7]));
    columns.extend(lists::<Int16Type>(&[1, 7]));
    columns.extend(lists::<Int32Type>(&[1, 7]));
    columns.extend(lists::<Int64Type>(&[1, 7]));
    columns.extend(lists::<UInt8Type>(&[1, 7]));
    columns.extend(lists::<UInt16Type>(&[1, 7]));
    columns.extend(lists::<UInt32Type>(&[1, 7]));
    columns.extend(lists::<UInt64Type>(&[1, 7]));
    for column in columns {
        let (name, rows) = (format!("{:?}", column.data_type()), column.len());
        let table = vec![
            nullable("m.ids", &column),
            nullable("text", &(Arc::new(Int64Array::from(vec![0; rows])) as ArrayRef)),
        ];
        for path in write(directory.path(), table) {
            assert_eq!(contents(&with_tokens(&path)), ["[1]", "[7]", "EMPTY"], "{name} {path:?}");
        }
    }
}

#[test]
fn a_column_with_other_numbers_or_of_another_type_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut some = ListBuilder::new(Int32Builder::new());
    some.append_value([Some(1), Some(-5)]);
    some.append_value([Some(1), None]);
    some.append_value([Some(2); 17]);
    let column: ArrayRef = Arc::new(some.finish());
    for path in write(directory.path(), vec![nullable("m.ids", &column)]) {
        let found = contents(&with_tokens(&path));
        let holds = "BAD_ROW the column \"m.ids\" holds";
        let id = "which is not a token id (a whole number from 0 to 4294967295)";
        assert_eq!(found[..2], [format!("{holds} -5, {id}"), format!("{holds} null, {id}")]);
        assert!(found[2].starts_with("DOCUMENT_TOO_LARGE the row has more than 16 tokens"));
    }
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    for (column, name) in [(&text, "m.ids"), (&numbers, "m.ids"), (&numbers, "text")] {
        for path in write(directory.path(), vec![nullable(name, column)]) {
            let expected = if name == "text" { "MISSING_COLUMN" } else { "COLUMN_TYPE" };
            assert_eq!(code(rows(&with_tokens(&path))), expected, "{name} {path:?}");
        }
    }
}

fn numbers(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Megatron's index of documents of one sequence each, which lie end to end.
fn megatron_index(code: u8, width: u64, documents: &[Vec<u32>]) -> Vec<u8> {
    let n = documents.len() as u64;
    let mut index = b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0".to_vec();
    index.push(code);
    index.extend(numbers([n, n + 1]));
    index.extend(documents.iter().flat_map(|d| (d.len() as u32).to_le_bytes()));
    let lens = documents.iter().map(|d| d.len() as u64 * width);
    index.extend(numbers(lens.scan(0, |at, bytes| Some(std::mem::replace(at, *at + bytes)))));
    index.extend(numbers(0..=n));
    index
}

/// The csv of NumPy's documents: of each a number `i`, the id `i,"\u{a}` and the source `i.json`.
fn csv(documents: &[Vec<u32>]) -> Vec<u8> {
    let mut end = 0;
    let row = |(i, document): (usize, &Vec<u32>)| {
        let start = end;
        end += document.len();
        format!("{start},{end},\"{i},\"\"\n\",{i}.json,{i}\r\n")
    };
    documents.iter().enumerate().map(row).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    PACKINGS[1].2(bytes)
}

/// NumPy's header of a file of numbers.
fn npy(descr: &str, shape: &str) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Writes documents as `a.idx` and `a.bin`, as `a.ds` and `a.ds.index`, and as `a.npy` and
/// `a.csv.gz` without NumPy's header, and `b.npy` and `b.csv.gz` with it. Returns the paths that are
/// given.
fn token_files(directory: &Path, width: usize, documents: &[Vec<u32>]) -> [std::path::PathBuf; 4] {
    let ids = documents.iter().flatten().flat_map(|id| id.to_le_bytes()[..width].to_vec());
    let ids: Vec<u8> = ids.collect();
    let path = |name: &str| directory.join(name);
    let code = if width == 2 { 8 } else { 4 };
    fs::write(path("a.bin"), &ids).unwrap();
    fs::write(path("a.idx"), megatron_index(code, width as u64, documents)).unwrap();
    fs::write(path("a.ds"), &ids).unwrap();
    let ends = documents.iter().scan(0, |end, d| {
        *end += d.len() as u64;
        Some(*end)
    });
    fs::write(path("a.ds.index"), numbers(ends)).unwrap();
    let number = documents.iter().map(Vec::len).sum::<usize>();
    let header = npy(&format!("<u{width}"), &format!("{number},"));
    fs::write(path("a.npy"), &ids).unwrap();
    fs::write(path("a.csv.gz"), gzip(&csv(documents))).unwrap();
    fs::write(path("b.npy"), [header, ids].concat()).unwrap();
    fs::write(path("b.csv.gz"), csv(documents)).unwrap();
    ["a.idx", "a.ds", "a.npy", "b.npy"].map(path)
}

proptest! {
    #[test]
    fn documents_of_token_files_are_those_of_all_splits_together(
        documents in prop::collection::vec(prop::collection::vec(0u32..65_536, 0..9), 0..40),
        width in prop::sample::select(vec![2usize, 4]),
        split_bytes in 1u64..200,
    ) {
        let directory = tempfile::tempdir().unwrap();
        for path in token_files(directory.path(), width, &documents) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let found = rows(&CorpusOptions { split_bytes: Some(split_bytes), ..options(&[&path]) }).unwrap();
            prop_assert_eq!(found.len(), documents.len());
            for (i, (row, document)) in found.iter().zip(&documents).enumerate() {
                prop_assert_eq!(&row.location, &format!("{name}: document {i} (from 0)"));
                let expected = (format!("{name}:{i}"), format!("{document:?}"));
                let is_empty = document.is_empty();
                let expected = if is_empty { Err("EMPTY".into()) } else { Ok(expected) };
                prop_assert_eq!(&row.content, &expected);
            }
        }
    }
}

#[test]
fn a_directory_has_token_files_with_the_files_next_to_them_and_lists_others() {
    let directory = tempfile::tempdir().unwrap();
    token_files(directory.path(), 2, &[vec![1, 2], vec![3]]);
    for other in ["b.bin", "c.idx", "d.ds", "a.ds.metadata", "e.npy", "f.csv.gz"] {
        fs::write(directory.path().join(other), "").unwrap();
    }
    let list = inventory(crate::ctx(), &options(&[directory.path()])).unwrap();
    let shown = |f: &InputFile| (f.path.clone(), f.kind, f.bytes);
    let both = |f: &InputFile| (shown(f), shown(f.companion.as_ref().unwrap()));
    let files: Vec<_> = list.files.iter().map(both).collect();
    let bytes = |name: &str| fs::metadata(directory.path().join(name)).unwrap().len();
    let pair = |kind: Kind, names: [&str; 2]| {
        let [own, other] = names.map(|name| (name.to_owned(), kind, bytes(name)));
        (own, other)
    };
    let expected = [
        pair(Kind::Datatrove, ["a.ds", "a.ds.index"]),
        pair(Kind::Megatron, ["a.idx", "a.bin"]),
        pair(Kind::Numpy, ["a.npy", "a.csv.gz"]),
        pair(Kind::Numpy, ["b.npy", "b.csv.gz"]),
    ];
    assert_eq!(files, expected);
    let unread: Vec<_> = list.unread.iter().map(|u| (u.reason, u.examples[0].as_str())).collect();
    let kind = UnreadReason::Kind;
    let names = ["b.bin", "d.ds", "f.csv.gz", "c.idx", "e.npy"];
    assert_eq!(unread, names.map(|name| (kind, name)));
}

#[test]
fn a_change_of_either_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    for path in token_files(directory.path(), 2, &[vec![1, 2], vec![3]]) {
        let list = inventory(crate::ctx(), &options(&[&path])).unwrap();
        let other = directory.path().join(&list.files[0].companion.as_ref().unwrap().path);
        for file in [&path, &other] {
            check_unchanged(&list, 0).unwrap();
            // Earlier than the other file: the later time of both stays.
            let handle = fs::File::options().write(true).open(file).unwrap();
            let time = handle.metadata().unwrap().modified().unwrap();
            handle.set_modified(time - Duration::from_secs(9)).unwrap();
            let error = check_unchanged(&list, 0).unwrap_err();
            assert_eq!(error.code(), Code::InputChanged);
            assert!(error.message().contains(&*file.to_string_lossy()), "{error}");
            handle.set_modified(time).unwrap();
        }
    }
}

#[test]
fn documents_of_numpy_have_the_ids_and_sources_of_their_csv() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    let ids = |ids: &[u32]| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>();
    fs::write(&path, ids(&[7, 8, 9, 10])).unwrap();
    let rows_of = |csv: &[u8], id: &str, source: &str| {
        fs::write(directory.path().join("a.csv.gz"), gzip(csv)).unwrap();
        let (id_field, source_field) = (Some(id.to_owned()), Some(source.to_owned()));
        rows(&CorpusOptions { id_field, source_field, ..options(&[&path]) })
    };
    let csv = b"0,1,one,x.json,1\n\n1,2,\"t,w\"\"o\",,2\r\n2,3,,y\n3,4,\xff,z,5\n";
    let seen = rows_of(csv, "id", "src").unwrap();
    let documents: Vec<_> =
        seen.iter().map(|row| (row.content.clone(), row.source.as_deref())).collect();
    let row = |id: &str, tokens: &str| Ok((id.to_owned(), tokens.to_owned()));
    assert_eq!(
        documents[..2],
        [(row("one", "[7]"), Some("x.json")), (row("t,w\"o", "[8]"), None),]
    );
    let bad = |i: usize| documents[i].0.clone().unwrap_err();
    assert_eq!(bad(2), "BAD_ROW there is no field \"id\" (`idField`)");
    assert_eq!(bad(3), "BAD_UTF8 the column id of its csv is not UTF-8");
    assert_eq!(seen[3].location, "a.npy: document 3 (from 0)");
    let seen = rows_of(csv, "loc", "none").unwrap();
    assert_eq!((seen[1].document(), seen[1].source.as_deref()), (("2", "[8]"), None));
    let error = rows_of(csv, "text", "src").unwrap_err();
    assert_eq!(error.code(), Code::MissingColumn);
    assert!(
        error.message().contains("no column \"text\" (`idField`), only start, end, id, src, loc"),
        "{error}"
    );
}

#[test]
fn numpy_files_of_any_integers_are_read_and_others_say_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.npy");
    let write = |header: &[u8], numbers: &[u8], csv: &str| {
        fs::write(&path, [header, numbers].concat()).unwrap();
        fs::write(directory.path().join("a.csv.gz"), gzip(csv.as_bytes())).unwrap();
    };
    for (descr, width) in
        [("|u1", 1), ("|i1", 1), ("<u2", 2), ("<i2", 2), ("<u4", 4), ("<i4", 4), ("<i8", 8)]
    {
        let numbers: Vec<u8> =
            [5u64, 6, 7].iter().flat_map(|n| n.to_le_bytes()[..width].to_vec()).collect();
        for header in [npy(descr, "3,"), Vec::new()] {
            write(&header, &numbers, "0,2\n2,3\n");
            assert_eq!(contents(&options(&[&path])), ["[5, 6]", "[7]"], "{descr}");
        }
    }
    write(&npy("<i2", "1,"), &(-3i16).to_le_bytes(), "0,1\n");
    assert!(contents(&options(&[&path]))[0].starts_with("BAD_ROW it holds -3, which is not"));
    let (two, truncated) = ([0; 4], Code::InputTruncated);
    for (header, numbers, csv, code, says) in [
        (npy(">u2", "2,"), &two[..], "0,2\n", Code::InputUnsupported, "type '>u2'; save token ids"),
        (npy("<f4", "1,"), &two, "0,1\n", Code::InputUnsupported, "numbers of type '<f4'"),
        (npy("<u2", "1, 2"), &two, "0,2\n", Code::InputUnsupported, "shape (1, 2); save the ids"),
        (npy("<u2", "3,"), &two, "0,2\n", truncated, "its header has 3 ids, its csv 2"),
        (npy("<u2", "2,")[..30].to_vec(), &[], "", truncated, "ends in its header"),
        (vec![], &two[..3], "0,2\n", truncated, "its 3 bytes are not the 2 tokens of its index"),
        (vec![], &two, "0,3\n", truncated, "not the 3 tokens of its index, of 2 or 4 or 1 or 8"),
        (vec![], &two, "", truncated, "its 4 bytes are not the 0 tokens"),
        (
            vec![],
            &two,
            "start,end\n",
            truncated,
            "a.csv.gz:1 is truncated or damaged: its start is \"start\"",
        ),
        (
            vec![],
            &two,
            "0,1\n1\n",
            truncated,
            "a.csv.gz:2 is truncated or damaged: its end is \"\"",
        ),
        (vec![], &two, "0,1\n1,-2\n", truncated, ":2 is truncated or damaged: its end is \"-2\""),
        (
            vec![],
            &two,
            "0,1,\"\n\"\n2,3\n",
            truncated,
            ":3 is truncated or damaged: its document has the tokens 2 to 3, but the one before ends at 1",
        ),
        (
            vec![],
            &two,
            "0,2\r\n1,2\r\n",
            truncated,
            ":2 is truncated or damaged: its document has the tokens 1 to 2",
        ),
        (
            vec![],
            &two,
            "0,2\n2,1\n",
            truncated,
            ":2 is truncated or damaged: its document has the tokens 2 to 1",
        ),
        (
            vec![],
            &two,
            &format!("0,2,{}\n", "x".repeat(65 << 10)),
            truncated,
            ":1 is truncated or damaged: it has more than 65536 bytes or 64 columns",
        ),
        (
            vec![],
            &two,
            &format!("0,2{}\n", ",".repeat(65)),
            truncated,
            ":1 is truncated or damaged: it has more than 65536 bytes or 64 columns",
        ),
    ] {
        write(&header, numbers, csv);
        let error = error(&path);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
    let whole = gzip(b"0,1\n1,2\n");
    fs::write(&path, two).unwrap();
    fs::write(directory.path().join("a.csv.gz"), &whole[..whole.len() - 9]).unwrap();
    assert!(error(&path).message().contains("a.csv.gz is truncated or damaged: its gzip stream"));
    fs::remove_file(directory.path().join("a.csv.gz")).unwrap();
    let error = error(&path);
    assert_eq!(error.code(), Code::InputNotFound);
    let says = "a.csv.gz, which holds a row `start,end,id,src,loc` for each of its documents; copy";
    assert!(error.message().contains(says), "{error}");
}

fn error(path: &Path) -> Error {
    rows(&options(&[path])).unwrap_err()
}

#[test]
fn token_files_that_are_damaged_or_claim_too_much_say_where_and_hold_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [idx, ds, ..] = token_files(directory.path(), 2, &[vec![1, 2], vec![3]]);
    let other = |name: &str| directory.path().join(name);
    let whole = fs::read(&idx).unwrap();
    let with = |at: usize, number: u64| {
        let mut changed = whole.clone();
        changed[at..at + 8].copy_from_slice(&number.to_le_bytes());
        changed
    };
    for (content, says) in [
        (whole[..20].to_vec(), "shorter than the head"),
        (whole[..whole.len() - 1].to_vec(), "too few for 2 sequences and 2 documents"),
        (with(18, 1 << 60), "too few for 1152921504606846976 sequences"),
        (with(26, 1 << 60), "too few for 2 sequences"),
        (with(26, u64::MAX), "too few for 2 sequences"),
        (with(26, 0), "too few for 2 sequences"),
        (with(9, 2), "not an index of Megatron-LM, version 1"),
        (with(34, u64::MAX), "it holds -1"),
        (with(42, 1 << 62), "document 0 (from 0) ends beyond its 6 bytes"),
        (with(58, 2), "document 0 has the sequences 2 to 1 of 2"),
        (with(66, 7), "document 0 has the sequences 0 to 7 of 2"),
    ] {
        fs::write(&idx, content).unwrap();
        let error = error(&idx);
        assert_eq!(error.code(), Code::InputTruncated, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
    fs::write(&idx, &whole).unwrap();
    fs::write(other("a.bin"), [0; 5]).unwrap();
    assert!(error(&idx).message().contains("document 1 (from 0) ends beyond its 5 bytes"));
    fs::remove_file(other("a.bin")).unwrap();
    assert_eq!(error(&idx).code(), Code::InputNotFound);
    for (ends, says) in [
        (numbers([2, 1 << 60]), "are not the 1152921504606846976 tokens"),
        (numbers([2, 4]), "are not the 4 tokens"),
        (numbers([3, 2, 3]), "document 1 ends at 2, before it begins"),
        (numbers([2, 3])[..15].to_vec(), "its 15 bytes are not ends of 8 bytes"),
    ] {
        fs::write(other("a.ds.index"), ends).unwrap();
        let error = error(&ds);
        assert_eq!(error.code(), Code::InputTruncated, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn sequences_of_a_document_of_megatron_are_one_row_and_a_negative_id_is_a_bad_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.idx");
    let mut index = megatron_index(4, 4, &[vec![1, 2], vec![3], vec![4]]);
    // Of three sequences the first two are a document.
    index[26..34].copy_from_slice(&3u64.to_le_bytes());
    index.truncate(34 + 12 + 24);
    index.extend(numbers([0, 2, 3]));
    fs::write(&path, index).unwrap();
    let ids: Vec<u8> = [1, 2, 3, -4i32].iter().flat_map(|id| id.to_le_bytes()).collect();
    fs::write(directory.path().join("a.bin"), ids).unwrap();
    let bad = "BAD_ROW it holds -4, which is not a token id (a whole number from 0 to 4294967295)";
    assert_eq!(contents(&options(&[&path])), ["[1, 2, 3]", bad]);
    let small = CorpusOptions { max_document_bytes: 8, ..options(&[&path]) };
    assert!(contents(&small)[0].starts_with("DOCUMENT_TOO_LARGE the row has more than 2 tokens"));
    let with_ids = CorpusOptions { id_field: Some("id".into()), ..options(&[&path]) };
    assert_eq!(code(rows(&with_ids)), "MISSING_COLUMN");
}
