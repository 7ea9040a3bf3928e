//! Arrow streams and files: record batches as splits, dictionaries, damage, and batches that do not
//! fit into memory.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, NullArray, RecordBatch, StringArray};
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{DataType, Field, Schema};
use longweave_common::Ctx;
use longweave_corpus::{Before, CorpusOptions, Range, RowReader, inventory};
use proptest::prelude::*;

use crate::{code, options, rows};

/// Writes batches as a file or a stream.
pub(crate) fn write(
    path: &Path,
    as_file: bool,
    codec: Option<CompressionType>,
    batches: &[RecordBatch],
) {
    let options = IpcWriteOptions::default()
        .try_with_compression(codec)
        .unwrap()
        .with_dictionary_handling(DictionaryHandling::Resend);
    write_with(path, as_file, options, batches);
}

fn write_with(path: &Path, as_file: bool, options: IpcWriteOptions, batches: &[RecordBatch]) {
    let (file, schema) = (File::create(path).unwrap(), batches[0].schema());
    if as_file {
        let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    }
}

fn batches(count: i64, rows: i64) -> Vec<RecordBatch> {
    (0..count)
        .map(|batch| {
            let numbers = batch * rows..(batch + 1) * rows;
            let texts: Vec<String> = numbers.clone().map(|i| format!("text {i}")).collect();
            RecordBatch::try_from_iter([
                ("other", Arc::new(StringArray::from(texts.clone())) as ArrayRef),
                ("text", Arc::new(StringArray::from(texts))),
                ("id", Arc::new(Int64Array::from_iter_values(numbers))),
            ])
            .unwrap()
        })
        .collect()
}

fn with_id(path: &Path) -> CorpusOptions {
    CorpusOptions { id_field: Some("id".into()), ..options(&[path]) }
}

#[test]
fn record_batches_are_divided_among_splits_and_rows_keep_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    for (as_file, codec) in [
        (true, None),
        (false, None),
        (true, Some(CompressionType::ZSTD)),
        (false, Some(CompressionType::LZ4_FRAME)),
    ] {
        let path = directory.path().join("a.arrow");
        write(&path, as_file, codec, &batches(6, 4));
        let mut whole = options(&[&path]);
        whole.split_bytes = Some(1 << 30);
        let mut parts = whole.clone();
        parts.split_bytes = Some(1);
        let splits = |o| inventory(crate::ctx(), o).unwrap().splits;
        assert_eq!(splits(&whole)[0].range, Range::Files { end: 1 });
        assert_eq!(splits(&parts).len(), 6);
        let found = rows(&parts).unwrap();
        assert_eq!(found, rows(&whole).unwrap());
        assert_eq!(found.len(), 24);
        for (i, row) in found.iter().enumerate() {
            let says = format!(
                "a.arrow: record batch {}, row {} (row {i} of the file; all from 0)",
                i / 4,
                i % 4
            );
            assert_eq!(row.location, says);
            let (id, text) = (format!("a.arrow:{i}"), format!("text {i}"));
            assert_eq!(row.document(), (id.as_str(), text.as_str()));
        }
    }
}

#[test]
fn dictionaries_are_those_that_came_before_a_batch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    let batch = |values: &[&str]| {
        let texts: DictionaryArray<Int32Type> = values.iter().copied().collect();
        RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap()
    };
    let replaced = [batch(&["a", "b", "a"]), batch(&["c", "a"]), batch(&["d"])];
    let grown = [batch(&["a", "b", "a"]), batch(&["a", "b", "c"]), batch(&["a", "b", "c", "d"])];
    for (handling, batches) in
        [(DictionaryHandling::Resend, &replaced), (DictionaryHandling::Delta, &grown)]
    {
        let options = IpcWriteOptions::default().with_dictionary_handling(handling);
        write_with(&path, false, options, batches);
        let expected: Vec<String> = batches
            .iter()
            .flat_map(|batch| {
                let column = batch.column(0).as_any().downcast_ref::<DictionaryArray<Int32Type>>();
                let strings = column.unwrap().downcast_dict::<StringArray>().unwrap();
                strings.into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        let mut options = crate::options(&[&path]);
        for split_bytes in [1 << 30, 1] {
            options.split_bytes = Some(split_bytes);
            let found: Vec<String> =
                rows(&options).unwrap().iter().map(|row| row.document().1.to_owned()).collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_stream_from_before_arrow_0_15_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    for as_file in [true, false] {
        let options = IpcWriteOptions::try_new(64, true, MetadataVersion::V4).unwrap();
        write_with(&path, as_file, options, &batches(3, 5));
        let found = rows(&with_id(&path)).unwrap();
        assert_eq!(found.len(), 15);
        assert_eq!(found[14].document(), ("14", "text 14"));
    }
}

#[test]
fn a_file_that_is_cut_or_of_another_kind_is_said_to_be_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    for as_file in [true, false] {
        write(&path, as_file, None, &batches(3, 5));
        let good = fs::read(&path).unwrap();
        for bytes in [&good[..good.len() - 30], &good[..100], &good[..9], b"ARROW1", b"PAR1", b""] {
            fs::write(&path, bytes).unwrap();
            let error = rows(&with_id(&path)).unwrap_err();
            assert_eq!(error.code().name(), "INPUT_TRUNCATED", "{} bytes: {error}", bytes.len());
            assert!(error.message().contains("a.arrow is truncated, damaged or not an Arrow file"));
        }
    }
    fs::write(&path, b"FEA1\0\0\0\0FEA1").unwrap();
    let error = rows(&with_id(&path)).unwrap_err();
    assert_eq!(error.code().name(), "INPUT_UNSUPPORTED");
    assert!(error.message().contains("is a Feather file of version 1"), "{error}");
}

#[test]
fn a_batch_that_does_not_fit_is_refused_and_columns_nobody_wants_take_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    let long = "many words ".repeat(1 << 20);
    let batch = RecordBatch::try_from_iter([
        ("long", Arc::new(StringArray::from(vec![long.as_str()])) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec!["short"]))),
    ])
    .unwrap();
    let ctx = Ctx::new(1, 16 << 20).unwrap();
    for codec in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
        write(&path, true, codec, std::slice::from_ref(&batch));
        let read = |text: &str| {
            let options = CorpusOptions {
                text_field: text.into(),
                max_document_bytes: 64 << 20,
                ..options(&[&path])
            };
            let list = inventory(&ctx, &options)?;
            let mut reader = RowReader::open(&ctx, &options, &list, 0, Before::default())?;
            reader.next().map(|row| row.is_some())
        };
        assert!(read("text").unwrap());
        let error = read("long").unwrap_err();
        assert_eq!(error.code().name(), "MEMORY_BUDGET", "{codec:?}");
        let says =
            "a.arrow: record batch 0, row 0 (row 0 of the file; all from 0): its columns take";
        assert!(error.message().contains(says), "{error}");
        assert!(error.message().ends_with("fewer rows in a record batch"), "{error}");
    }
}

#[test]
fn rows_that_no_bytes_back_are_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Null, true)]));
    let batch = |rows| {
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(NullArray::new(rows))]).unwrap()
    };
    write(&path, false, None, &[batch(1 << 40)]);
    let list = inventory(crate::ctx(), &options(&[&path])).unwrap();
    let reader = RowReader::open(crate::ctx(), &options(&[&path]), &list, 0, Before::default());
    let error = reader.unwrap().next().err().unwrap();
    assert_eq!(error.code().name(), "INPUT_TRUNCATED");
    assert!(error.message().contains("claims 1099511627776 rows in 0 bytes"), "{error}");
}

#[test]
fn a_string_that_is_not_utf8_is_a_bad_row_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    write(&path, true, None, &batches(1, 3));
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.windows(18).rposition(|w| w == b"text 0text 1text 2").unwrap();
    bytes[last + 7] = 0xff;
    fs::write(&path, bytes).unwrap();
    let found = rows(&with_id(&path)).unwrap();
    assert_eq!(found[0].document().1, "text 0");
    assert_eq!(
        found[1].content.as_ref().unwrap_err(),
        "BAD_UTF8 invalid UTF-8 at byte 1 of the column \"text\""
    );
    assert_eq!(found[2].document().1, "text 2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A damaged file is read as something else, or refused; it never panics, though the library does.
    #[test]
    fn any_damage_is_an_error_or_other_rows(
        at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>(), kind in 0..4,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.arrow");
        let codec = (kind & 2 > 0).then_some(CompressionType::LZ4_FRAME);
        write(&path, kind & 1 > 0, codec, &batches(2, 4));
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = value }
        fs::write(&path, bytes).unwrap();
        let found = inventory(crate::ctx(), &with_id(&path)).and_then(|list| {
            (0..list.splits.len()).try_for_each(|split| {
                let before = Before::default();
                let mut reader = RowReader::open(crate::ctx(), &with_id(&path), &list, split, before)?;
                while reader.next()?.is_some() {}
                Ok(())
            })
        });
        let codes =
            ["NONE", "INPUT_TRUNCATED", "INPUT_UNSUPPORTED", "MEMORY_BUDGET", "MISSING_COLUMN", "COLUMN_TYPE"];
        prop_assert!(codes.contains(&code(found)));
    }
}

#[test]
fn the_footer_of_a_file_counts_not_the_message_of_its_schema() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.arrow");
    write(&path, true, None, &batches(3, 5));
    let mut bytes = fs::read(&path).unwrap();
    // Polars writes that message without its length.
    let at = bytes.windows(4).position(|w| w == [0xff; 4]).unwrap();
    bytes[at..at + 8].copy_from_slice(&[4, 0, 0, 0, 0xf2, 0xff, 0xff, 0xff]);
    fs::write(&path, bytes).unwrap();
    let found = rows(&with_id(&path)).unwrap();
    assert_eq!((found.len(), found[14].document()), (15, ("14", "text 14")));
}
