//! Parquet: columns by name and type, row groups as splits.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::schema::types::ColumnPath;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float64Array, Int64Array,
    LargeStringArray, ListArray, RecordBatch, StringArray,
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

/// Writes texts and ids with these properties, two pages a row group.
fn write_as(path: &Path, rows: usize, properties: WriterProperties) -> Vec<(String, String)> {
    let texts: Vec<String> = (0..rows).map(|i| format!("text {}", "ab ".repeat(i % 40))).collect();
    let ids = Int64Array::from_iter_values((0..rows as i64).map(|i| i * 7919 % 1_000_003));
    let expected =
        texts.iter().zip(ids.values()).map(|(t, i)| (i.to_string(), t.clone())).collect();
    let batch = RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from(texts)) as ArrayRef),
        ("id", Arc::new(ids)),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties))
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    expected
}

fn documents(path: &Path) -> Vec<(String, String)> {
    let found = rows(&with_id(path)).unwrap();
    found.iter().map(|row| row.document()).map(|(i, t)| (i.to_owned(), t.to_owned())).collect()
}

#[test]
fn every_codec_is_read_in_pages_of_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                let properties = WriterProperties::builder()
                    .set_compression(codec)
                    .set_writer_version(version)
                    .set_dictionary_enabled(dictionary)
                    .set_data_page_row_count_limit(300)
                    .set_write_batch_size(100)
                    .set_max_row_group_row_count(Some(700));
                let expected = write_as(&path, 1500, properties.build());
                assert_eq!(documents(&path), expected, "{codec:?} {version:?} {dictionary}");
            }
        }
    }
}

#[test]
fn every_encoding_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    use Encoding::{
        BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, PLAIN,
    };
    for (text, id) in [
        (PLAIN, PLAIN),
        (DELTA_LENGTH_BYTE_ARRAY, DELTA_BINARY_PACKED),
        (DELTA_BYTE_ARRAY, BYTE_STREAM_SPLIT),
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(false)
                .set_writer_version(version)
                .set_column_encoding(ColumnPath::from("text"), text)
                .set_column_encoding(ColumnPath::from("id"), id)
                .set_data_page_row_count_limit(300)
                .set_write_batch_size(100);
            let expected = write_as(&path, 1000, properties.build());
            assert_eq!(documents(&path), expected, "{text:?} {id:?} {version:?}");
        }
    }
}

/// Replaces the codec of a file's chunks: field 4 of their metadata, an enumeration, follows the
/// path of the column.
fn with_codec(bytes: &mut [u8], column: &str, from: u8, to: u8) {
    let path = [&[column.len() as u8][..], column.as_bytes(), &[0x15, from]].concat();
    let places: Vec<usize> =
        (0..bytes.len() - path.len()).filter(|&i| bytes[i..].starts_with(&path)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at + path.len() - 1] = to);
}

#[test]
fn a_codec_that_is_not_read_is_said_where_its_column_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5)).build();
    write_as(&path, 12, properties);
    let plain = fs::read(&path).unwrap();
    // LZO is 3, as a zigzag varint 6.
    let mut bytes = plain.clone();
    with_codec(&mut bytes, "id", 0, 6);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(rows(&options(&[&path])).unwrap().len(), 12, "nobody wants the column");
    let error = rows(&with_id(&path)).unwrap_err();
    assert_eq!(error.code().name(), "INPUT_UNSUPPORTED", "{error}");
    let says = "has the column \"id\" (`idField`) in LZO in row group 0, which is not supported; \
                write it again with another codec";
    assert!(error.message().contains(says), "{error}");
}

#[test]
fn pages_whose_differences_are_wider_than_their_type_are_said_to_be_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let ids: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![0, 1, 3, 1 << 30, 5]));
    let texts: ArrayRef = Arc::new(StringArray::from(texts(5)));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding(ColumnPath::from("id"), Encoding::DELTA_BINARY_PACKED)
        .set_statistics_enabled(::parquet::file::properties::EnabledStatistics::None);
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The page holds: 128 values a block, 4 miniblocks, 5 values, the first, the least difference,
    // then the widths of the miniblocks, of which the first is 31 or 32.
    let head = [0x80, 0x01, 0x04, 0x05, 0x00];
    let at = (0..bytes.len()).find(|&i| bytes[i..].starts_with(&head)).unwrap() + head.len();
    let width = at + bytes[at..].iter().position(|&byte| byte < 0x80).unwrap() + 1;
    assert!((31..=32).contains(&bytes[width]), "{}", bytes[width]);
    bytes[width] = 33;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(rows(&options(&[&path])).unwrap().len(), 5, "nobody wants the column");
    let error = rows(&with_id(&path)).unwrap_err();
    assert_eq!(error.code().name(), "INPUT_UNSUPPORTED", "{error}");
    let says = "has the column \"id\" (`idField`) in DELTA_BINARY_PACKED pages";
    assert!(error.message().contains(says), "{error}");
    assert!(error.message().contains("PARQUET_VERSION V1"), "{error}");
}

#[test]
fn bytes_without_an_annotation_are_strings_unless_the_writers_schema_says_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let ids: ArrayRef = Arc::new(BinaryArray::from(vec![&b"id"[..], b"\xff"]));
    let texts: ArrayRef = Arc::new(BinaryArray::from(vec![&b"one"[..], b"two"]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    for (embedded, first, second) in [(true, "6964", Ok("ff")), (false, "id", Err("BAD_UTF8"))] {
        let options = ::parquet::arrow::arrow_writer::ArrowWriterOptions::new()
            .with_skip_arrow_metadata(!embedded);
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let found = rows(&with_id(&path)).unwrap();
        assert_eq!(found[0].document(), (first, "one"));
        match second {
            Ok(id) => assert_eq!(found[1].document(), (id, "two")),
            Err(code) => assert!(found[1].content.as_ref().unwrap_err().starts_with(code)),
        }
    }
}

#[test]
fn row_groups_are_divided_among_splits_and_rows_keep_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write(&path, vec![("text", Arc::new(StringArray::from(texts(25))))], 4);
    let mut whole = options(&[&path]);
    whole.split_bytes = Some(1 << 30);
    let mut parts = whole.clone();
    parts.split_bytes = Some(1);
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
        prop_assert!(["NONE", "INPUT_TRUNCATED", "INPUT_UNSUPPORTED", "MEMORY_BUDGET", "MISSING_COLUMN", "COLUMN_TYPE", "IO"].contains(&code(found)));
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
fn ids_of_vectors_are_of_any_type_that_an_id_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.parquet");
    let vectors = || {
        let rows = [Some(vec![Some(1i8), Some(-2)]), Some(vec![Some(3), Some(4)])];
        let vectors = ListArray::from_iter_primitive::<arrow_array::types::Int8Type, _, _>(rows);
        Arc::new(vectors) as ArrayRef
    };
    let digests = FixedSizeBinaryArray::try_from_iter([[0u8, 1], [0xfe, 0xff]].iter()).unwrap();
    let ids: [(ArrayRef, [&str; 2]); 3] = [
        (Arc::new(Int64Array::from(vec![7, -1])), ["7", "-1"]),
        (Arc::new(digests), ["0001", "feff"]),
        (Arc::new(Float64Array::from(vec![1.0, 2.0])), ["1", "2"]),
    ];
    for (column, expected) in ids {
        write(&path, vec![("id", column), ("vector", vectors())], 1);
        let (mut reader, mut read) = (VectorRows::open(&path).unwrap(), Vec::new());
        while let Some(VectorRow { id, vector, .. }) = reader.next().unwrap() {
            read.push((id.to_owned(), vector.to_vec()));
        }
        let [first, second] = expected.map(str::to_owned);
        assert_eq!(read, [(first, vec![1.0, -2.0]), (second, vec![3.0, 4.0])]);
    }
    write(
        &path,
        vec![("id", Arc::new(Float64Array::from(vec![0.5, 1.0]))), ("vector", vectors())],
        1,
    );
    let error = VectorRows::open(&path).unwrap().next().err().unwrap();
    assert!(error.message().contains("the id is 0.5, which is not a whole number"), "{error}");
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
