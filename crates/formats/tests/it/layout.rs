//! Layouts, byte by byte or as other programs see them.

use std::fs::{self, File};

use longweave_formats::{Compression, Format, MdsIndices, Provenance, SequenceRecord, WriterOptions, open_writer, writer_bytes};
use parquet::basic::Compression as Packed;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::{options, three, write};

fn shard(options: &WriterOptions, records: &[SequenceRecord]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = open_writer(options, directory.path(), 0).unwrap();
    records.iter().for_each(|r| r.as_row(|row| writer.push(row)).unwrap());
    writer.finish().unwrap();
    directory
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

#[test]
fn an_mds_shard_is_laid_out_as_mosaicml_streaming_reads_it() {
    let configuration = r#"{"column_encodings":["str","ndarray:uint32","ndarray:uint32","int"],"column_names":["domain","indices","input_ids","length"],"column_sizes":[null,null,null,8],"compression":null,"format":"mds","hashes":[],"size_limit":null,"version":2}"#;
    // One span [0, 4] for each sequence, or one for each piece: a begin token goes with the first, padding with the last.
    for (indices, spans) in
        [(MdsIndices::Sequence, [vec![0, 4], vec![0, 4], vec![0, 4]]), (MdsIndices::Document, [vec![0, 3, 3, 4], vec![0, 4], vec![0, 4]])]
    {
        let directory = shard(&WriterOptions { mds_indices: indices, ..options(Format::Mds, 4) }, &three());
        let mut samples: Vec<Vec<u8>> = Vec::new();
        for (record, spans) in three().iter().zip(&spans) {
            let pairs = spans.len() as u8 / 2;
            // Two dimensions, each size in one byte; one dimension, its size in one byte.
            let indices = [vec![2 << 2, pairs, 2], u32s(spans)].concat();
            let ids = [vec![1 << 2, 4], u32s(&record.input_ids)].concat();
            let sizes = u32s(&[8, indices.len() as u32, ids.len() as u32]);
            samples.push([sizes, b"standard".to_vec(), indices, ids, 4i64.to_le_bytes().to_vec()].concat());
        }
        let mut expected = u32s(&[3]);
        let mut offset = 4 + 4 * 4 + configuration.len() as u32;
        expected.extend(u32s(&[offset]));
        for sample in &samples {
            offset += sample.len() as u32;
            expected.extend(u32s(&[offset]));
        }
        expected.extend_from_slice(configuration.as_bytes());
        expected.extend(samples.concat());
        assert!(fs::read(directory.path().join("shard.00000.mds")).unwrap() == expected, "{indices:?}");
    }
}

#[test]
fn sizes_of_arrays_take_the_bytes_they_need() {
    for (length, head) in [(255u32, vec![4, 255]), (256, vec![5, 0, 1]), (65_536, vec![6, 0, 0, 1, 0])] {
        let record = SequenceRecord { input_ids: vec![7; length as usize], n_tokens: length, ..SequenceRecord::default() };
        let directory = shard(&WriterOptions { provenance: Provenance::None, ..options(Format::Mds, length) }, &[record]);
        let bytes = fs::read(directory.path().join("shard.00000.mds")).unwrap();
        let start = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let indices = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap()) as usize;
        let ids = start + 12 + "standard".len() + indices;
        assert_eq!(bytes[ids..ids + head.len()], head, "{length}");
    }
}

#[test]
fn the_index_of_mds_names_its_shards() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &options(Format::Mds, 4), &three(), 2);
    let index: serde_json::Value = serde_json::from_slice(&fs::read(directory.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(index["version"], 2);
    let shards = index["shards"].as_array().unwrap();
    for (shard, (name, samples)) in shards.iter().zip([("shard.00000.mds", 2), ("shard.00001.mds", 1)]) {
        assert_eq!((shard["raw_data"]["basename"].as_str(), shard["samples"].as_u64()), (Some(name), Some(samples)));
        assert_eq!(shard["raw_data"]["bytes"].as_u64(), Some(fs::metadata(directory.path().join(name)).unwrap().len()));
    }
    assert_eq!(shards.len(), 2);
}

#[test]
fn a_line_of_jsonl_is_the_parquet_columns() {
    let line = |provenance| {
        let directory = shard(&WriterOptions { provenance, ..options(Format::Jsonl, 4) }, &three()[..1]);
        fs::read_to_string(directory.path().join("00000.jsonl")).unwrap()
    };
    let full = concat!(
        r#"{"input_ids":[5,6,0,7],"n_tokens":4,"doc_ids":["a","é"],"doc_starts":[0,3],"doc_lens":[3,1],"doc_offsets":[0,9],"#,
        r#""reasons":["red fox",null],"groups":[0,1]}"#,
        "\n"
    );
    assert_eq!(line(Provenance::Full), full);
    assert_eq!(line(Provenance::Ids), "{\"input_ids\":[5,6,0,7],\"n_tokens\":4,\"doc_ids\":[\"a\",\"é\"]}\n");
    assert_eq!(line(Provenance::None), "{\"input_ids\":[5,6,0,7],\"n_tokens\":4}\n");
    let packed = shard(&WriterOptions { compression: Compression::Zstd, ..options(Format::Jsonl, 4) }, &three()[..1]);
    let unpacked = zstd::stream::decode_all(File::open(packed.path().join("00000.jsonl.zst")).unwrap()).unwrap();
    assert_eq!(String::from_utf8(unpacked).unwrap(), full);
}

fn reader(directory: &tempfile::TempDir, name: &str) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(directory.path().join(name)).unwrap()).unwrap()
}

fn schema(reader: &SerializedFileReader<File>) -> String {
    let mut text = Vec::new();
    parquet::schema::printer::print_schema(&mut text, reader.metadata().file_metadata().schema());
    String::from_utf8(text).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn parquet_has_the_columns_that_were_promised() {
    let list = |name: &str, element: &str| format!("REQUIRED group {name} (LIST) {{ REPEATED group list {{ {element}; }} }}");
    let number = "REQUIRED INT32 element (INTEGER(32,false))";
    let ids = list("input_ids", "REQUIRED INT32 element");
    let n_tokens = "REQUIRED INT32 n_tokens;".to_owned();
    let doc_ids = list("doc_ids", "REQUIRED BYTE_ARRAY element (STRING)");
    let rest = [
        list("doc_starts", number),
        list("doc_lens", number),
        list("doc_offsets", number),
        list("reasons", "OPTIONAL BYTE_ARRAY element (STRING)"),
        list("groups", number),
    ]
    .join(" ");
    let message = |columns: &[&str]| format!("message arrow_schema {{ {} }}", columns.join(" "));
    for (provenance, expected) in [
        (Provenance::Full, message(&[&ids, &n_tokens, &doc_ids, &rest])),
        (Provenance::Ids, message(&[&ids, &n_tokens, &doc_ids])),
        (Provenance::None, message(&[&ids, &n_tokens])),
    ] {
        let directory = shard(&WriterOptions { provenance, ..options(Format::Parquet, 4) }, &three());
        assert_eq!(schema(&reader(&directory, "00000.parquet")), expected, "{provenance:?}");
    }
    let mds = shard(&options(Format::Mds, 4), &three());
    assert_eq!(schema(&reader(&mds, "provenance/00000.parquet")), message(&[&n_tokens, &doc_ids, &rest]));

    let directory = shard(&options(Format::Parquet, 4), &three());
    let reader = reader(&directory, "00000.parquet");
    let file = reader.metadata().file_metadata();
    let of = |key: &str| file.key_value_metadata().unwrap().iter().find(|kv| kv.key == key).and_then(|kv| kv.value.clone());
    assert_eq!(of("longweave.method").as_deref(), Some(r#"{"name":"standard"}"#));
    assert_eq!(of("longweave.length").as_deref(), Some("4"));
    assert!(reader.metadata().row_groups()[0].columns().iter().all(|c| matches!(c.compression(), Packed::ZSTD(_))));
}

#[test]
fn row_groups_hold_64_mib_of_ids_and_at_least_a_row() {
    for (length, rows, expected) in [(8u32, 100usize, vec![100]), (1 << 19, 70, vec![32, 32, 6]), ((1 << 24) + 1, 2, vec![1, 1])] {
        let record = SequenceRecord { input_ids: vec![7; length as usize], n_tokens: length, ..SequenceRecord::default() };
        let options = WriterOptions { provenance: Provenance::None, ..options(Format::Parquet, length) };
        let directory = tempfile::tempdir().unwrap();
        let mut writer = open_writer(&options, directory.path(), 0).unwrap();
        (0..rows).for_each(|_| record.as_row(|row| writer.push(row)).unwrap());
        writer.finish().unwrap();
        let found: Vec<i64> = reader(&directory, "00000.parquet").metadata().row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(found, expected, "{length}");
        assert!(writer_bytes(&options, rows as u64) >= expected[0] as u64 * u64::from(length) * 4);
    }
}
