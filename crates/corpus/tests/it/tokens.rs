//! Rows of token ids in place of a text.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeListBuilder, Int32Builder, LargeListBuilder, ListBuilder, PrimitiveBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use longweave_corpus::CorpusOptions;

use crate::columns::{nullable, write};
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
