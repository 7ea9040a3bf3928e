//! Columns of every type as text, id, source and queries, and fields within structs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{
    FixedSizeListBuilder, LargeListBuilder, LargeListViewBuilder, ListBuilder, ListViewBuilder,
    StringBuilder,
};
use arrow_array::types::{Float16Type, Int8Type, Int32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BinaryViewArray, BooleanArray, Date32Array,
    Decimal128Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray, Float16Array,
    Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeBinaryArray,
    LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt16Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, i256};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Fields, Schema};
use longweave_common::Error;
use longweave_corpus::CorpusOptions;

use crate::{Seen, options, rows};

/// Writes a table as `table` with the suffix of each kind of file. Returns the paths.
pub(crate) fn write(directory: &Path, fields: Vec<(Field, ArrayRef)>) -> Vec<PathBuf> {
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = fields.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut paths = Vec::new();
    let views = |field: &Arc<Field>| {
        matches!(field.data_type(), DataType::ListView(_) | DataType::LargeListView(_))
    };
    if !batch.schema().fields().iter().any(views) {
        let path = directory.join("table.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        paths.push(path);
    }
    for (name, as_file, codec) in [
        ("table.arrow", true, None),
        ("stream.arrow", false, None),
        ("table.feather", true, Some(CompressionType::LZ4_FRAME)),
        ("stream.ipc", false, Some(CompressionType::ZSTD)),
    ] {
        let path = directory.join(name);
        crate::arrow::write(&path, as_file, codec, std::slice::from_ref(&batch));
        paths.push(path);
    }
    paths
}

pub(crate) fn nullable(name: &str, array: &ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), true), array.clone())
}

fn with_fields(path: &Path, id: bool, source: bool, queries: bool) -> CorpusOptions {
    CorpusOptions {
        id_field: id.then(|| "id".into()),
        source_field: source.then(|| "source".into()),
        query_field: queries.then(|| "queries".into()),
        text_join: " | ".into(),
        ..options(&[path])
    }
}

/// The rows of a table with a text and one column more, from each kind of file.
fn read(name: &str, column: &ArrayRef) -> Vec<Result<Vec<Seen>, Error>> {
    let directory = tempfile::tempdir().unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a text"; column.len()]));
    let mut fields = vec![nullable(name, column)];
    if name != "text" {
        fields.push(nullable("text", &texts));
    }
    let read = |path: &PathBuf| {
        rows(&with_fields(path, name == "id", name == "source", name == "queries"))
    };
    write(directory.path(), fields).iter().map(read).collect()
}

/// A value as a table of types shows it: the string, `null`, or `bad:` and the code.
fn shown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".into())
}

fn strings() -> Vec<(&'static str, ArrayRef)> {
    let all = vec![Some("one"), None, Some("zwei ü"), Some("one")];
    let bytes: Vec<Option<&[u8]>> = all.iter().map(|s| s.map(str::as_bytes)).collect();
    vec![
        ("Utf8", Arc::new(StringArray::from(all.clone()))),
        ("LargeUtf8", Arc::new(LargeStringArray::from(all.clone()))),
        ("Utf8View", Arc::new(StringViewArray::from(all.clone()))),
        ("Binary", Arc::new(BinaryArray::from(bytes.clone()))),
        ("LargeBinary", Arc::new(LargeBinaryArray::from(bytes.clone()))),
        ("BinaryView", Arc::new(BinaryViewArray::from(bytes))),
        ("dictionary", Arc::new(all.iter().copied().collect::<DictionaryArray<Int32Type>>())),
        ("small dictionary", Arc::new(all.iter().copied().collect::<DictionaryArray<Int8Type>>())),
        ("large dictionary", {
            Arc::new(all.iter().copied().collect::<DictionaryArray<UInt64Type>>())
        }),
    ]
}

fn lists() -> Vec<(&'static str, ArrayRef)> {
    macro_rules! built {
        ($builder:expr) => {{
            let mut builder = $builder;
            builder.values().append_value("one");
            builder.values().append_value("two");
            builder.append(true);
            builder.values().append_null();
            builder.values().append_value("three");
            builder.append(true);
            builder.values().append_null();
            builder.values().append_null();
            builder.append(false);
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    vec![
        ("List", built!(ListBuilder::new(StringBuilder::new()))),
        ("LargeList", built!(LargeListBuilder::new(StringBuilder::new()))),
        ("FixedSizeList", built!(FixedSizeListBuilder::new(StringBuilder::new(), 2))),
        ("ListView", built!(ListViewBuilder::new(StringBuilder::new()))),
        ("LargeListView", built!(LargeListViewBuilder::new(StringBuilder::new()))),
    ]
}

#[test]
fn text_is_a_string_of_any_type_or_a_list_that_is_joined_and_null_is_an_empty_row() {
    for (name, column) in strings() {
        for found in read("text", &column) {
            let found: Vec<String> = found.unwrap().into_iter().map(text_of).collect();
            assert_eq!(found, ["one", "EMPTY", "zwei ü", "one"], "{name}");
        }
    }
    for (name, column) in lists() {
        for found in read("text", &column) {
            let found: Vec<String> = found.unwrap().into_iter().map(text_of).collect();
            assert_eq!(found, ["one | two", "three", "EMPTY"], "{name}");
        }
    }
    let none: ArrayRef = Arc::new(NullArray::new(2));
    for found in read("text", &none) {
        let found: Vec<String> = found.unwrap().into_iter().map(text_of).collect();
        assert_eq!(found, ["EMPTY", "EMPTY"]);
    }
}

fn text_of(seen: Seen) -> String {
    seen.content.map_or_else(|e| e, |(_, text)| text)
}

#[test]
fn queries_are_strings_or_lists_of_any_type() {
    for (name, column) in strings() {
        for found in read("queries", &column) {
            let found: Vec<Vec<String>> = found.unwrap().into_iter().map(|s| s.queries).collect();
            let expected: [&[&str]; 4] = [&["one"], &[], &["zwei ü"], &["one"]];
            assert_eq!(found, expected, "{name}");
        }
    }
    for (name, column) in lists() {
        for found in read("queries", &column) {
            let found: Vec<Vec<String>> = found.unwrap().into_iter().map(|s| s.queries).collect();
            let expected: [&[&str]; 3] = [&["one", "two"], &["three"], &[]];
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// Values of a type, as ids and as sources.
fn values() -> Vec<(ArrayRef, Vec<&'static str>, Vec<&'static str>)> {
    let half = <Float16Type as ArrowPrimitiveType>::Native::from_f32;
    let zoned = |array: TimestampMillisecondArray| array.with_timezone("+02:00");
    let decimal =
        |array: Decimal128Array, scale| array.with_precision_and_scale(20, scale).unwrap();
    let large = Decimal256Array::from(vec![i256::from_i128(-1_050), i256::from_i128(12_000)]);
    let digest = FixedSizeBinaryArray::try_from_iter([[0u8, 0xab, 0xff]].iter()).unwrap();
    let bad = "bad: BAD_ROW";
    let same = |array: ArrayRef, shown: Vec<&'static str>| (array, shown.clone(), shown);
    vec![
        same(Arc::new(Int8Array::from(vec![-128, 7])), vec!["-128", "7"]),
        same(Arc::new(UInt16Array::from(vec![0, 65535])), vec!["0", "65535"]),
        same(Arc::new(Int32Array::from(vec![Some(-1), None])), vec!["-1", "null"]),
        same(
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
            vec!["-9223372036854775808", "9223372036854775807"],
        ),
        same(Arc::new(UInt64Array::from(vec![0, u64::MAX])), vec!["0", "18446744073709551615"]),
        same(Arc::new(decimal(Decimal128Array::from(vec![7, -12]), 0)), vec!["7", "-12"]),
        same(
            Arc::new(decimal(Decimal128Array::from(vec![1_200, -1_250, 5]), 2)),
            vec!["12", "-12.50", "0.05"],
        ),
        same(Arc::new(large.with_precision_and_scale(50, 3).unwrap()), vec!["-1.050", "12"]),
        (
            Arc::new(Float64Array::from(vec![3.0, -0.0, 1e20, 2.5, f64::NAN])),
            vec!["3", "0", "100000000000000000000", bad, bad],
            vec!["3", "0", "100000000000000000000", "2.5", "NaN"],
        ),
        (
            Arc::new(Float32Array::from(vec![16_777_216.0, 0.1])),
            vec!["16777216", bad],
            vec!["16777216", "0.1"],
        ),
        (
            Arc::new(Float16Array::from(vec![half(2.0), half(0.5)])),
            vec!["2", bad],
            vec!["2", "0.5"],
        ),
        same(Arc::new(Date32Array::from(vec![0, 19_723])), vec!["1970-01-01", "2024-01-01"]),
        same(
            Arc::new(zoned(TimestampMillisecondArray::from(vec![1_704_067_200_120]))),
            vec!["2024-01-01T00:00:00.120Z"],
        ),
        same(
            Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
            vec!["1970-01-01T00:00:00.000001Z"],
        ),
        same(
            Arc::new(TimestampNanosecondArray::from(vec![-1])),
            vec!["1969-12-31T23:59:59.999999999"],
        ),
        same(Arc::new(digest), vec!["00abff"]),
        same(Arc::new(BinaryArray::from(vec![&b"\x0f\xf0"[..], b"id"])), vec!["0ff0", "6964"]),
        same(Arc::new(LargeBinaryArray::from(vec![&b"\x01"[..]])), vec!["01"]),
        same(Arc::new(BinaryViewArray::from(vec![&b"\x01"[..]])), vec!["01"]),
    ]
}

#[test]
fn ids_and_sources_are_numbers_bytes_and_times_too() {
    for (column, ids, sources) in values() {
        for found in read("id", &column) {
            let found: Vec<String> = found
                .unwrap()
                .into_iter()
                .map(|seen| match seen.content {
                    Ok((id, _)) => id,
                    Err(e) if e.ends_with("is null") => "null".into(),
                    Err(e) => format!("bad: {}", e.split(' ').next().unwrap()),
                })
                .collect();
            assert_eq!(found, ids, "{} as ids", column.data_type());
        }
        for found in read("source", &column) {
            let found: Vec<String> =
                found.unwrap().into_iter().map(|seen| shown(seen.source)).collect();
            assert_eq!(found, sources, "{} as sources", column.data_type());
        }
    }
    let others: [(ArrayRef, &[&str]); 2] = [
        (
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            &["true", "null", "false"],
        ),
        (Arc::new(NullArray::new(2)), &["null", "null"]),
    ];
    for (column, expected) in others {
        for found in read("source", &column) {
            let found: Vec<String> =
                found.unwrap().into_iter().map(|seen| shown(seen.source)).collect();
            assert_eq!(found, expected);
        }
    }
    let half: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
    for found in read("id", &half) {
        assert_eq!(
            found.unwrap()[0].content.as_ref().unwrap_err(),
            "BAD_ROW the column \"id\" holds 2.5, which is not a whole number"
        );
    }
}

#[test]
fn a_uuid_is_written_in_its_groups() {
    let bytes: [u8; 16] = std::array::from_fn(|i| (0x11 * i) as u8);
    let column: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].iter()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let schema = ::parquet::schema::parser::parse_message_type(
        "message m { required fixed_len_byte_array(16) id (UUID); required binary text (UTF8); }",
    )
    .unwrap();
    let mut writer = ::parquet::file::writer::SerializedFileWriter::new(
        File::create(&path).unwrap(),
        Arc::new(schema),
        Arc::new(WriterProperties::default()),
    )
    .unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut leaf = group.next_column().unwrap().unwrap();
    leaf.typed::<::parquet::data_type::FixedLenByteArrayType>()
        .write_batch(&[bytes.to_vec().into()], None, None)
        .unwrap();
    leaf.close().unwrap();
    let mut leaf = group.next_column().unwrap().unwrap();
    leaf.typed::<::parquet::data_type::ByteArrayType>()
        .write_batch(&["a text".into()], None, None)
        .unwrap();
    leaf.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(rows(&with_fields(&path, true, false, false)).unwrap()[0].document().0, uuid);
    let plain = read("id", &column);
    assert_eq!(
        plain[0].as_ref().unwrap()[0].document().0,
        uuid.replace('-', ""),
        "16 bytes without the type's name"
    );
    let named = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())];
    let field = Field::new("id", DataType::FixedSizeBinary(16), true);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["t"]));
    let fields = vec![(field.with_metadata(named), column), nullable("text", &texts)];
    for path in write(directory.path(), fields) {
        let found = rows(&with_fields(&path, true, false, false)).unwrap();
        let expected = if path.extension().unwrap() == "parquet" {
            uuid.replace('-', "")
        } else {
            uuid.to_owned()
        };
        assert_eq!(found[0].document().0, expected, "{}", path.display());
    }
}

#[test]
fn a_type_that_does_not_fit_is_an_error_that_says_which_do() {
    let number: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let boolean: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let time: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![1]));
    let inner = Fields::from(vec![Field::new("url", DataType::Float64, true)]);
    let within: ArrayRef = Arc::new(StructArray::new(inner, vec![number.clone()], None));
    for (name, column, says) in [
        (
            "text",
            &number,
            "\"text\" (`textField`) of PATH holds Float64, not strings or lists of strings",
        ),
        ("text", &within, "\"text\" (`textField`) of PATH holds a struct of url, not strings"),
        ("id", &boolean, "\"id\" (`idField`) of PATH holds Boolean, not strings, integers"),
        ("id", &time, "\"id\" (`idField`) of PATH holds Time64(µs), not strings"),
        (
            "source",
            &within,
            "\"source\" (`sourceField`) of PATH holds a struct of url, not strings",
        ),
        ("queries", &number, "\"queries\" (`queryField`) of PATH holds Float64, not strings"),
    ] {
        let found = read(name, column);
        assert!(!found.is_empty());
        for error in found {
            let error = error.unwrap_err();
            assert_eq!(error.code().name(), "COLUMN_TYPE", "{error}");
            let message =
                error.message().replace(error.details()["file"].as_str().unwrap(), "PATH");
            assert!(message.contains(says), "{message}");
        }
    }
}

/// A table of documents with fields within structs, of which one is null.
fn nested() -> Vec<(Field, ArrayRef)> {
    let strings = |all: [Option<&str>; 3]| Arc::new(StringArray::from(all.to_vec())) as ArrayRef;
    let structure = |fields: Vec<(&str, ArrayRef)>, valid: Option<[bool; 3]>| {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = fields
            .into_iter()
            .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
            .unzip();
        let nulls = valid.map(|valid| NullBuffer::from(valid.to_vec()));
        Arc::new(StructArray::new(Fields::from(fields), arrays, nulls)) as ArrayRef
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let unused = strings([Some("x"), Some("y"), Some("z")]);
    let url = strings([Some("u0"), Some("u1"), None]);
    let meta = structure(
        vec![
            ("unused", unused.clone()),
            ("url", url),
            ("n", numbers),
            ("x.y", strings([Some("dotted"), None, None])),
        ],
        Some([true, false, true]),
    );
    let body = strings([Some("t0"), Some("t1"), Some("t2")]);
    let doc = structure(vec![("body", structure(vec![("text", body)], None))], None);
    let literal = strings([Some("literal"), None, None]);
    vec![
        nullable("unused", &unused),
        nullable("doc", &doc),
        nullable("meta", &meta),
        nullable("doc.title", &literal),
    ]
}

#[test]
fn a_path_names_a_field_within_structs_and_a_column_of_that_name_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    for path in write(directory.path(), nested()) {
        let mut options = options(&[&path]);
        options.text_field = "doc.body.text".into();
        options.id_field = Some("meta.n".into());
        options.source_field = Some("meta.url".into());
        options.query_field = Some("doc.title".into());
        let found = rows(&options).unwrap();
        assert_eq!(found[0].document(), ("1", "t0"));
        assert_eq!(found[0].source.as_deref(), Some("u0"));
        assert_eq!(found[0].queries, ["literal"]);
        assert_eq!(
            found[1].content.as_ref().unwrap_err(),
            "BAD_ROW the column \"meta.n\" (`idField`) is null",
            "a null struct has no fields"
        );
        assert_eq!((found[2].document(), &found[2].source), (("3", "t2"), &None));
        options.source_field = Some("meta.x.y".into());
        let found = rows(&options).unwrap();
        assert_eq!(found[0].source.as_deref(), Some("dotted"));
        options.text_field = "doc.text".into();
        let error = rows(&options).unwrap_err();
        assert_eq!(error.code().name(), "MISSING_COLUMN");
        let says = "has no column \"doc.text\" (`textField`); it has unused, doc.body.text, \
                    meta.unused, meta.url, meta.n, meta.x.y, doc.title";
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn a_file_without_the_source_or_the_queries_has_none_and_without_the_id_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["t"]));
    for path in write(directory.path(), vec![nullable("text", &texts)]) {
        let found = rows(&with_fields(&path, false, true, true)).unwrap();
        assert_eq!((found[0].source.as_deref(), found[0].queries.len()), (None, 0));
        let error = rows(&with_fields(&path, true, false, false)).unwrap_err();
        assert_eq!(error.code().name(), "MISSING_COLUMN");
        assert!(error.message().contains("\"id\" (`idField`); it has text"), "{error}");
        assert!(fs::metadata(&path).is_ok());
    }
}
