//! Parquet: columns by name and type, row groups as splits.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Float64Array, Int16Array,
    Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray, UInt64Array,
};
use longweave_corpus::{CorpusOptions, Range, VectorRow, VectorRows, inventory};
use proptest::prelude::*;

use crate::{code, options, rows};

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, group_rows: usize) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties))
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("text {i}")).collect()
}

fn with_id(path: &Path) -> CorpusOptions {
    CorpusOptions { id_field: Some("id".into()), ..options(&[path]) }
}

#[test]
fn strings_of_every_encoding_and_integers_of_every_width_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let text = texts(3);
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    let columns: [ArrayRef; 3] = [
        Arc::new(StringArray::from(text.clone())),
        Arc::new(LargeStringArray::from(text.clone())),
        Arc::new(text.iter().copied().collect::<DictionaryArray<Int32Type>>()),
    ];
    let ids: [(ArrayRef, [&str; 3]); 5] = [
        (Arc::new(StringArray::from(vec!["a", "b", "c"])), ["a", "b", "c"]),
        (Arc::new(LargeStringArray::from(vec!["a", "b", "c"])), ["a", "b", "c"]),
        (Arc::new(Int64Array::from(vec![-1, 0, i64::MAX])), ["-1", "0", "9223372036854775807"]),
        (Arc::new(Int16Array::from(vec![-1, 0, 5])), ["-1", "0", "5"]),
        (Arc::new(UInt64Array::from(vec![0, 1, u64::MAX])), ["0", "1", "18446744073709551615"]),
    ];
    for column in &columns {
        for (id, expected) in &ids {
            write(
                &path,
                vec![
                    ("text", Arc::clone(column)),
                    ("id", Arc::clone(id)),
                    ("other", Arc::new(Float64Array::from(vec![0.5; 3]))),
                ],
                100,
            );
            let found = rows(&with_id(&path)).unwrap();
            let found: Vec<_> = found.iter().map(crate::Seen::document).collect();
            assert_eq!(
                found,
                expected.iter().copied().zip(text.iter().copied()).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn row_groups_are_divided_among_splits_and_rows_keep_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write(&path, vec![("text", Arc::new(StringArray::from(texts(25))))], 4);
    let mut whole = options(&[&path]);
    whole.split_bytes = 1 << 30;
    let mut parts = whole.clone();
    parts.split_bytes = 1;
    let splits = |o| {
        inventory(crate::ctx(), o).unwrap().splits.into_iter().map(|s| s.range).collect::<Vec<_>>()
    };
    assert_eq!(splits(&whole), [Range::Files { end: 1 }]);
    assert_eq!(splits(&parts).len(), 7);
    let found = rows(&parts).unwrap();
    assert_eq!(found, rows(&whole).unwrap());
    for (i, row) in found.iter().enumerate() {
        assert_eq!(
            row.location,
            format!(
                "a.parquet: row group {}, row {} (row {i} of the file; all from 0)",
                i / 4,
                i % 4
            )
        );
        assert_eq!(
            row.document(),
            (format!("a.parquet:{i}").as_str(), format!("text {i}").as_str())
        );
    }
}

#[test]
fn nulls_are_bad_rows_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let mut queries = ListBuilder::new(StringBuilder::new());
    queries.append_value([Some("one"), None, Some("two")]);
    queries.append_null();
    queries.append_value([Some("three")]);
    queries.append_value([Some("four")]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("t0"), Some("t1"), None, Some(" ")]))),
        ("id", Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("d")]))),
        ("q", Arc::new(queries.finish())),
        ("source", Arc::new(StringArray::from(vec![Some("s"), None, None, None]))),
    ];
    write(&path, columns, 100);
    let mut options = with_id(&path);
    (options.query_field, options.source_field) = (Some("q".into()), Some("source".into()));
    let found = rows(&options).unwrap();
    assert_eq!((found[0].document(), found[0].source.as_deref()), (("a", "t0"), Some("s")));
    assert_eq!(found[0].queries, ["one", "two"]);
    assert_eq!(
        found[1].content.as_ref().unwrap_err(),
        "BAD_ROW the column \"id\" (`idField`) is null"
    );
    assert_eq!(
        found[2].content.as_ref().unwrap_err(),
        "BAD_ROW the column \"text\" (`textField`) is null"
    );
    assert_eq!(found[3].content.as_ref().unwrap_err(), "EMPTY");
}

#[test]
fn a_column_that_is_missing_or_of_another_type_is_told_with_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    write(&path, vec![("body", Arc::new(StringArray::from(vec!["t"]))), ("score", numbers)], 100);
    let error = rows(&options(&[&path])).unwrap_err();
    assert_eq!(error.code().name(), "MISSING_COLUMN");
    assert!(
        error.message().contains("no column \"text\" (`textField`); it has body, score"),
        "{error}"
    );
    for (field, column) in [
        ("text_field", "score"),
        ("id_field", "score"),
        ("query_field", "score"),
        ("source_field", "score"),
    ] {
        let mut options = options(&[&path]);
        options.text_field = "body".into();
        match field {
            "text_field" => options.text_field = column.into(),
            "id_field" => options.id_field = Some(column.into()),
            "query_field" => options.query_field = Some(column.into()),
            _ => options.source_field = Some(column.into()),
        }
        let error = rows(&options).unwrap_err();
        assert!(
            error.code().name() == "MISSING_COLUMN"
                && error.message().contains("holds Float64, not strings"),
            "{field}: {error}"
        );
    }
}

#[test]
fn a_damaged_file_is_told_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write(&path, vec![("text", Arc::new(StringArray::from(texts(1000))))], 100);
    let good = fs::read(&path).unwrap();
    let mut inside = good.clone();
    inside[20..200].fill(0xee);
    for bytes in [&good[..good.len() - 9], &good[..100], b"PAR1", b"", &inside] {
        fs::write(&path, bytes).unwrap();
        let error = rows(&options(&[&path])).unwrap_err();
        assert!(
            error.code().name() == "INPUT_TRUNCATED" && error.message().contains("a.parquet"),
            "{error}"
        );
    }
}

#[test]
fn a_string_that_is_no_utf8_is_a_bad_row_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    // The writer checks strings: write bytes, then say that they are strings by changing the schema's annotation.
    let text: ArrayRef = Arc::new(BinaryArray::from(vec![&b"fine"[..], b"a\xff\xfe", b"fine too"]));
    let schema =
        ::parquet::schema::parser::parse_message_type("message m { optional binary text (UTF8); }")
            .unwrap();
    let mut writer = ::parquet::file::writer::SerializedFileWriter::new(
        File::create(&path).unwrap(),
        Arc::new(schema),
        Arc::default(),
    )
    .unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<::parquet::data_type::ByteArray> = text
        .as_any()
        .downcast_ref::<BinaryArray>()
        .unwrap()
        .iter()
        .flatten()
        .map(|b| b.to_vec().into())
        .collect();
    column
        .typed::<::parquet::data_type::ByteArrayType>()
        .write_batch(&values, Some(&[1, 1, 1]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let found = rows(&options(&[&path])).unwrap();
    assert_eq!((found[0].document().1, found[2].document().1), ("fine", "fine too"));
    assert_eq!(
        found[1].content.as_ref().unwrap_err(),
        "BAD_UTF8 invalid UTF-8 at byte 1 of the column \"text\""
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A damaged file is read as something else, or refused; it never panics, though the library does.
    #[test]
    fn any_damage_is_an_error_or_other_rows(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.parquet");
        write(&path, vec![("text", Arc::new(StringArray::from(texts(6)))), ("id", Arc::new(Int64Array::from_iter_values(0..6)))], 3);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = value }
        fs::write(&path, bytes).unwrap();
        let inventory = inventory(crate::ctx(), &with_id(&path));
        let found = inventory.and_then(|list| (0..list.splits.len()).try_for_each(|split| {
            let mut reader = longweave_corpus::RowReader::open(crate::ctx(), &with_id(&path), &list, split, longweave_corpus::Before::default())?;
            while reader.next()?.is_some() {}
            Ok(())
        }));
        prop_assert!(["NONE", "INPUT_TRUNCATED", "INPUT_UNSUPPORTED", "MEMORY_BUDGET", "MISSING_COLUMN", "IO"].contains(&code(found)));
    }
}

#[test]
fn vectors_are_read_from_lists_of_any_length_and_width_and_rows_without_one_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.parquet");
    let ids: ArrayRef = Arc::new(LargeStringArray::from(vec!["b", "a", "ü"]));
    let rows = [vec![1.0, 2.0], vec![0.5, -4.0], vec![0.0, 8.0]];
    let single = ListArray::from_iter_primitive::<Float32Type, _, _>(
        rows.iter().map(|r| Some(r.iter().map(|&x| Some(x as f32)))),
    );
    let double = FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(
        rows.iter().map(|r| Some(r.iter().map(|&x| Some(x)))),
        2,
    );
    let half = <Float16Type as ArrowPrimitiveType>::Native::from_f64;
    let half = ListArray::from_iter_primitive::<Float16Type, _, _>(
        rows.iter().map(|r| Some(r.iter().map(|&x| Some(half(x))))),
    );
    for vectors in [Arc::new(single) as ArrayRef, Arc::new(double), Arc::new(half)] {
        write(&path, vec![("vector", vectors), ("id", ids.clone())], 2);
        let (mut reader, mut read) = (VectorRows::open(&path).unwrap(), Vec::new());
        while let Some(VectorRow { id, vector, .. }) = reader.next().unwrap() {
            read.push((id.to_owned(), vector.to_vec()));
        }
        assert_eq!(
            read,
            ["b", "a", "ü"].map(str::to_owned).into_iter().zip(rows.clone()).collect::<Vec<_>>()
        );
    }
    let gap = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0)]),
        Some(vec![None]),
        None,
    ]);
    write(&path, vec![("vector", Arc::new(gap)), ("id", ids)], 2);
    let mut reader = VectorRows::open(&path).unwrap();
    assert!(reader.next().unwrap().is_some());
    let error = reader.next().err().unwrap();
    assert_eq!(error.code().name(), "VECTORS_INVALID");
    let says = "v.parquet: row group 0, row 1 (row 1 of the file; all from 0): a number of the vector is null";
    assert!(error.message().contains(says), "{error}");
    assert_eq!((&error.details()["rowGroup"], &error.details()["row"]), (&0.into(), &1.into()));
}

#[test]
fn an_encrypted_file_is_said_to_be_encrypted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write(&path, vec![("text", Arc::new(StringArray::from(texts(5))))], 4);
    let plain = fs::read(&path).unwrap();
    let at = plain.len() - 8;
    let footer = u32::from_le_bytes(plain[at..at + 4].try_into().unwrap()) as usize;
    // The whole footer encrypted: only the magic says so.
    let mut whole = plain.clone();
    whole[at + 4..].copy_from_slice(b"PARE");
    // Columns encrypted: the footer has `encryption_algorithm`, field 8, a union of AES_GCM_V1 {}.
    let fields = [&plain[at - footer..at - 1], &[0x1c, 0x1c, 0, 0, 0]].concat();
    let length = (fields.len() as u32).to_le_bytes();
    let mut columns = [&plain[..at - footer], &fields, &length, b"PAR1"].concat();
    fs::write(&path, &columns).unwrap();
    assert_eq!(rows(&options(&[&path])).unwrap().len(), 5, "columns that can be read are read");
    columns[4..64].fill(0xff);
    for bytes in [whole, columns] {
        fs::write(&path, bytes).unwrap();
        let error = rows(&options(&[&path])).unwrap_err();
        assert_eq!(error.code().name(), "INPUT_UNSUPPORTED", "{error}");
        assert!(error.message().contains("a.parquet is encrypted"), "{error}");
    }
}
