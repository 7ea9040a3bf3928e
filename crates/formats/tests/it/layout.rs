//! Layouts, byte by byte or as other programs see them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_ipc::reader::StreamReader;
use arrow_schema::SchemaRef;
use longweave_formats::{
    Column, Compression, Format, MdsIndices, Provenance, SequenceBatch, SequenceReader,
    SequenceRecord, WriterOptions, open_writer, parts, writer_bytes,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression as Packed;
use parquet::file::reader::{FileReader, SerializedFileReader};
use xxhash_rust::xxh3::xxh3_64;

use crate::{FORMATS, options, three, write, write_shard};

fn shard(options: &WriterOptions, records: &[SequenceRecord]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_shard(directory.path(), options, records, 0);
    directory
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

#[test]
fn an_mds_shard_is_laid_out_as_mosaicml_streaming_reads_it() {
    let configuration = r#"{"column_encodings":["str","ndarray:uint32","ndarray:uint32","int"],"column_names":["domain","indices","input_ids","length"],"column_sizes":[null,null,null,8],"compression":null,"format":"mds","hashes":[],"size_limit":null,"version":2}"#;
    // One span [0, 4] for each sequence, or one for each piece: a begin token goes with the first,
    // padding with the last.
    for (indices, spans) in [
        (MdsIndices::Sequence, [vec![0, 4], vec![0, 4], vec![0, 4]]),
        (MdsIndices::Document, [vec![0, 3, 3, 4], vec![0, 4], vec![0, 4]]),
    ] {
        let directory =
            shard(&WriterOptions { mds_indices: indices, ..options(Format::Mds, 4) }, &three());
        let mut samples: Vec<Vec<u8>> = Vec::new();
        for (record, spans) in three().iter().zip(&spans) {
            let pairs = spans.len() as u8 / 2;
            // Two dimensions, each size in one byte; one dimension, its size in one byte.
            let indices = [vec![2 << 2, pairs, 2], u32s(spans)].concat();
            let ids = [vec![1 << 2, 4], u32s(&record.input_ids)].concat();
            let sizes = u32s(&[8, indices.len() as u32, ids.len() as u32]);
            samples.push(
                [sizes, b"standard".to_vec(), indices, ids, 4i64.to_le_bytes().to_vec()].concat(),
            );
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
        assert!(
            fs::read(directory.path().join("shard.00000.mds")).unwrap() == expected,
            "{indices:?}"
        );
    }
}

#[test]
fn sizes_of_arrays_take_the_bytes_they_need() {
    for (length, head) in
        [(255u32, vec![4, 255]), (256, vec![5, 0, 1]), (65_536, vec![6, 0, 0, 1, 0])]
    {
        let record = SequenceRecord {
            input_ids: vec![7; length as usize],
            n_tokens: length,
            ..SequenceRecord::default()
        };
        let directory = shard(
            &WriterOptions { provenance: Provenance::None, ..options(Format::Mds, length) },
            &[record],
        );
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
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(index["version"], 2);
    let shards = index["shards"].as_array().unwrap();
    for (shard, (name, samples)) in
        shards.iter().zip([("shard.00000.mds", 2), ("shard.00001.mds", 1)])
    {
        assert_eq!(
            (shard["raw_data"]["basename"].as_str(), shard["samples"].as_u64()),
            (Some(name), Some(samples))
        );
        assert_eq!(
            shard["raw_data"]["bytes"].as_u64(),
            Some(fs::metadata(directory.path().join(name)).unwrap().len())
        );
    }
    assert_eq!(shards.len(), 2);
}

/// Without the provenance, which is not part of the layout.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[test]
fn a_limit_on_bytes_divides_a_shard_into_files_as_full_as_they_can_be() {
    // Sizes of three columns; domain, indices and ids of `three`; the length.
    let sample = 12 + 8 + 11 + 18 + 8;
    let mut seen = BTreeSet::new();
    for limit in (250..600).step_by(7) {
        let options = WriterOptions { mds_shard_bytes: Some(limit), ..options(Format::Mds, 4) };
        let directory = tempfile::tempdir().unwrap();
        let files = write_shard(directory.path(), &options, &three(), 7);
        let (data, beside) = files.split_at(files.len() - 1);
        assert_eq!(beside[0].record.name, "provenance/00007.parquet");
        for (i, file) in data.iter().enumerate() {
            assert_eq!(file.record.name, format!("shard.00007.{i:05}.mds"));
            assert!(file.record.bytes <= limit || file.content.sequences == 1, "{limit}");
            assert!(i + 1 == data.len() || file.record.bytes + 4 + sample > limit, "{limit}");
            let bytes = fs::read(directory.path().join(&file.record.name)).unwrap();
            assert!(String::from_utf8_lossy(&bytes).contains(&format!(r#""size_limit":{limit},"#)));
        }
        seen.insert(data.iter().map(|f| f.content.sequences).collect::<Vec<_>>());
    }
    assert_eq!(seen, BTreeSet::from([vec![3], vec![2, 1], vec![1, 1, 1]]));
}

#[test]
fn a_compressed_mds_file_is_one_frame_of_known_size_with_checksums_in_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let options = WriterOptions { compression: Compression::Zstd, ..options(Format::Mds, 4) };
    write(directory.path(), &options, &three(), 2);
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.path().join("index.json")).unwrap()).unwrap();
    let plain = tempfile::tempdir().unwrap();
    write(plain.path(), &WriterOptions { compression: Compression::None, ..options }, &three(), 2);
    for (i, (shard, samples)) in index["shards"].as_array().unwrap().iter().zip([2, 1]).enumerate()
    {
        let packed = fs::read(directory.path().join(format!("shard.{i:05}.mds.zstd"))).unwrap();
        let raw = zstd::stream::decode_all(&packed[..]).unwrap();
        assert_eq!(
            zstd::zstd_safe::get_frame_content_size(&packed).unwrap(),
            Some(raw.len() as u64)
        );
        let info = |name: String, bytes: &[u8]| serde_json::json!({ "basename": name, "bytes": bytes.len(), "hashes": { "xxh3_64": format!("{:016x}", xxh3_64(bytes)) } });
        assert_eq!(shard["raw_data"], info(format!("shard.{i:05}.mds"), &raw));
        assert_eq!(shard["zip_data"], info(format!("shard.{i:05}.mds.zstd"), &packed));
        assert_eq!(
            (shard["compression"].as_str(), shard["samples"].as_u64()),
            (Some("zstd"), Some(samples))
        );
        // The samples are those of a file that is not compressed; only the configuration before
        // them differs.
        let first = |bytes: &[u8]| u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let expected = fs::read(plain.path().join(format!("shard.{i:05}.mds"))).unwrap();
        assert!(raw[first(&raw)..] == expected[first(&expected)..]);
    }
}

#[test]
fn a_megatron_pair_is_laid_out_as_indexed_dataset_reads_it() {
    // Ids below 65,500 take two bytes, and all others four, whatever ids there are.
    for (max_id, code, width) in [(65_499u32, 8u8, 2u64), (65_500, 4, 4), (70_000, 4, 4)] {
        let mut records = three();
        records[1].input_ids[1] = max_id;
        let directory = shard(&WriterOptions { max_id, ..options(Format::Megatron, 4) }, &records);
        let ids: Vec<u8> = records
            .iter()
            .flat_map(|r| &r.input_ids)
            .flat_map(|id| id.to_le_bytes()[..width as usize].to_vec())
            .collect();
        let u64s =
            |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let index = [
            b"MMIDIDX\0\0".to_vec(),
            u64s(&[1]),
            vec![code],
            u64s(&[3, 4]),
            u32s(&[4, 4, 4]),
            u64s(&[0, 4 * width, 8 * width]),
            u64s(&[0, 1, 2, 3]),
        ]
        .concat();
        assert!(
            files(directory.path())
                == [("shard_00000.bin".to_owned(), ids), ("shard_00000.idx".to_owned(), index)],
            "{max_id}"
        );
    }
}

#[test]
fn a_datatrove_file_is_laid_out_as_its_datasets_read_it() {
    for (max_id, width) in [(65_535u32, 2usize), (65_536, 4)] {
        let mut records = three();
        records[1].input_ids[1] = max_id;
        let directory = shard(&WriterOptions { max_id, ..options(Format::Datatrove, 4) }, &records);
        let ids: Vec<u8> = records
            .iter()
            .flat_map(|r| &r.input_ids)
            .flat_map(|id| id.to_le_bytes()[..width].to_vec())
            .collect();
        // The first sequence has two pieces; a begin token goes with the first piece, padding with
        // the last.
        let ends: Vec<u8> = [3u64, 4, 8, 12].iter().flat_map(|n| n.to_le_bytes()).collect();
        let metadata = format!("sha256:abc|{width}\n12\n12.0 T").into_bytes();
        let expected =
            [("00000.ds", ids), ("00000.ds.index", ends), ("00000.ds.metadata", metadata)];
        assert!(
            files(directory.path()) == expected.map(|(name, bytes)| (name.to_owned(), bytes)),
            "{max_id}"
        );
    }
}

/// The ids of the records, `width` bytes each.
fn flat(records: &[SequenceRecord], width: usize) -> Vec<u8> {
    let ids = records.iter().flat_map(|record| &record.input_ids);
    ids.flat_map(|id| id.to_le_bytes()[..width].to_vec()).collect()
}

fn lines(directory: &Path) -> String {
    let mut text = String::new();
    let file = File::open(directory.join("00000.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_numpy_file_is_ids_and_a_line_for_each_document() {
    for (max_id, width) in [(65_535u32, 2), (65_536, 4)] {
        let mut records = three();
        records[1].input_ids[1] = max_id;
        let options = WriterOptions { max_id, ..options(Format::Numpy, 4) };
        let directory = shard(&options, &records);
        let names: Vec<String> = files(directory.path()).into_iter().map(|file| file.0).collect();
        assert_eq!(names, ["00000.csv.gz", "00000.npy"]);
        assert_eq!(fs::read(directory.path().join("00000.npy")).unwrap(), flat(&records, width));
        assert_eq!(lines(directory.path()), "0,3,a,,\r\n3,4,é,,\r\n4,8,b,,\r\n8,12,c,,\r\n");
        let packed = fs::read(directory.path().join("00000.csv.gz")).unwrap();
        assert_eq!(packed[4..10], [0, 0, 0, 0, 0, 255], "neither time nor system");
    }
    let masked = WriterOptions { columns: vec![Column::LabelMask], ..options(Format::Numpy, 4) };
    let directory = shard(&masked, &three());
    assert_eq!(
        fs::read(directory.path().join("label_mask/00000.npy")).unwrap(),
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    );
}

#[test]
fn ids_in_lines_of_numpy_are_quoted_where_they_must_be_and_absent_without_provenance() {
    let mut records = three();
    records[0].doc_ids = vec!["a,\"b\"".into(), "c\r\nd".into()];
    let read = |provenance| {
        lines(
            shard(&WriterOptions { provenance, ..options(Format::Numpy, 4) }, &records[..1]).path(),
        )
    };
    let named = "0,3,\"a,\"\"b\"\"\",,\r\n3,4,c  d,,\r\n";
    assert_eq!(read(Provenance::Full), named);
    assert_eq!(read(Provenance::Ids), named);
    assert_eq!(read(Provenance::None), "0,3,,,\r\n3,4,,,\r\n");
}

#[test]
fn a_chunk_of_litdata_is_items_of_ids_after_their_offsets() {
    for (max_id, width, format) in
        [(65_535u32, 2u32, "no_header_numpy:5"), (65_536, 4, "no_header_tensor:16")]
    {
        let mut records = three();
        records[1].input_ids[1] = max_id;
        let directory = tempfile::tempdir().unwrap();
        write(
            directory.path(),
            &WriterOptions { max_id, ..options(Format::Litdata, 4) },
            &records,
            2,
        );
        let expected = |records: &[SequenceRecord]| {
            let n = records.len() as u32;
            let offsets = (0..=n).map(|item| 4 + 4 * (n + 1) + item * 4 * width);
            let head: Vec<u32> = [n].into_iter().chain(offsets).collect();
            [u32s(&head), flat(records, width as usize)].concat()
        };
        let (first, second) = (expected(&records[..2]), expected(&records[2..]));
        let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
        assert_eq!(read("chunk-00000-0.bin"), first);
        assert_eq!(read("chunk-00001-0.bin"), second);
        let index: serde_json::Value = serde_json::from_slice(&read("index.json")).unwrap();
        let chunk = |name: &str, bytes: &[u8], items: u32| serde_json::json!({ "filename": name, "chunk_bytes": bytes.len(), "chunk_size": items, "dim": 4 * items });
        assert_eq!(
            index["chunks"],
            serde_json::json!([
                chunk("chunk-00000-0.bin", &first, 2),
                chunk("chunk-00001-0.bin", &second, 1)
            ])
        );
        assert_eq!(index["config"]["data_format"], serde_json::json!([format]));
        assert_eq!(index["config"]["chunk_bytes"], first.len());
        assert_eq!(index["updated_at"].as_str().map(str::len), Some(16));
    }
}

#[test]
fn a_chunk_of_litdata_beyond_4_gib_is_refused_before_it_is_begun() {
    let options = options(Format::Litdata, 1 << 15);
    for (sequences, fits) in [((1 << 15) - 2, true), (1 << 15, false)] {
        let directory = tempfile::tempdir().unwrap();
        let opened = open_writer(&options, directory.path(), 0, &vec![1; sequences]);
        assert_eq!(opened.is_ok(), fits, "{sequences}");
        if let Err(error) = opened {
            assert_eq!(error.code(), longweave_common::Code::OptionsInvalid);
            assert!(error.message().contains("output.shardTokens"), "{error}");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn weights_are_lists_of_floats() {
    let directory = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        columns: vec![Column::LabelMask, Column::LossWeights],
        mask_first: true,
        weights: vec![400, 1250],
        ..options(Format::Datasets, 4)
    };
    write(directory.path(), &options, &three(), 3);
    let file = File::open(directory.path().join("00000.arrow")).unwrap();
    let reader = StreamReader::try_new(file, None).unwrap();
    assert!(reader.schema().metadata()["huggingface"].contains("float32"));
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(lists(&batches, "label_mask"), [[0, 1, 1, 0], [0, 1, 1, 1], [0, 1, 0, 0]]);
    let weights: Vec<f32> = batches
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name("loss_weights").unwrap().as_list::<i32>().clone();
            column.values().as_primitive::<Float32Type>().values().to_vec()
        })
        .collect();
    // Beyond the table the last weight holds.
    assert_eq!(weights, [0.0, 1.25, 1.25, 0.0, 0.0, 1.25, 1.25, 1.25, 0.0, 1.25, 0.0, 0.0]);
}

/// The lists of a column of all batches.
fn lists(batches: &[RecordBatch], name: &str) -> Vec<Vec<i32>> {
    let of_batch = |batch: &RecordBatch| {
        let column = batch.column_by_name(name).unwrap().as_list::<i32>().clone();
        let row = |row| column.value(row).as_primitive::<Int32Type>().values().to_vec();
        (0..column.len()).map(row).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

/// The columns that trainers read of `three`, by name.
fn columns_of_three() -> Vec<(&'static str, Vec<Vec<i32>>)> {
    vec![
        ("input_ids", vec![vec![5, 6, 0, 7], vec![1, 70_000, 8, 9], vec![4, 0, 2, 2]]),
        ("seq_lengths", vec![vec![3, 1], vec![4], vec![4]]),
        ("position_ids", vec![vec![0, 1, 2, 0], vec![0, 1, 2, 3], vec![0, 1, 2, 3]]),
        ("attention_mask", vec![vec![1, 1, 1, 2], vec![1; 4], vec![1, 1, 0, 0]]),
        ("labels", vec![vec![5, 6, 0, 7], vec![1, 70_000, 8, 9], vec![4, 0, -100, -100]]),
        ("label_mask", vec![vec![1; 4], vec![1; 4], vec![1, 1, 0, 0]]),
    ]
}

#[test]
fn datasets_files_are_streams_that_describe_themselves() {
    for columns in [vec![], vec![Column::SeqLengths], Column::ALL[..5].to_vec()] {
        let directory = tempfile::tempdir().unwrap();
        let options = WriterOptions { columns: columns.clone(), ..options(Format::Datasets, 4) };
        write(directory.path(), &options, &three(), 2);
        let read = |name: &str| -> (SchemaRef, Vec<RecordBatch>) {
            let file = File::open(directory.path().join(name)).unwrap();
            let reader = StreamReader::try_new(file, None).unwrap();
            (reader.schema(), reader.map(Result::unwrap).collect())
        };
        let (schema, mut batches) = read("00000.arrow");
        let (same, more) = read("00001.arrow");
        assert_eq!(schema, same);
        batches.extend(more);
        let expected = &columns_of_three()[..=columns.len()];
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, expected.iter().map(|column| column.0).collect::<Vec<_>>());
        for (name, values) in expected {
            assert_eq!(&lists(&batches, name), values, "{name}");
        }
        let item = serde_json::json!({ "dtype": "int32", "_type": "Value" });
        let features: serde_json::Map<_, _> = names
            .iter()
            .map(|name| {
                ((*name).to_owned(), serde_json::json!({ "feature": item, "_type": "List" }))
            })
            .collect();
        let json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(
            json(schema.metadata()["huggingface"].as_bytes()),
            serde_json::json!({ "info": { "features": features } })
        );
        let info = json(&fs::read(directory.path().join("dataset_info.json")).unwrap());
        assert_eq!(info["features"], serde_json::Value::Object(features));
        let state = json(&fs::read(directory.path().join("state.json")).unwrap());
        assert_eq!(
            state["_data_files"],
            serde_json::json!([{ "filename": "00000.arrow" }, { "filename": "00001.arrow" }])
        );
        assert_eq!(state["_fingerprint"].as_str().map(str::len), Some(16));
    }
}

#[test]
fn parquet_has_the_columns_for_trainers_where_they_are_asked_for() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let options = WriterOptions {
            columns: Column::ALL.to_vec(),
            compression,
            ..options(Format::Parquet, 4)
        };
        write(directory.path(), &options, &three(), 3);
        let file = File::open(directory.path().join("00000.parquet")).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
        for (name, values) in columns_of_three() {
            assert_eq!(lists(&batches, name), values, "{name}");
        }
        let mut reader = SequenceReader::open(directory.path()).unwrap();
        for (i, record) in three().iter().enumerate() {
            assert_eq!(&reader.get(i as u64).unwrap(), record);
        }
    }
}

#[test]
fn a_line_of_jsonl_is_the_parquet_columns() {
    let line = |provenance| {
        let directory =
            shard(&WriterOptions { provenance, ..options(Format::Jsonl, 4) }, &three()[..1]);
        fs::read_to_string(directory.path().join("00000.jsonl")).unwrap()
    };
    let full = concat!(
        r#"{"input_ids":[5,6,0,7],"n_tokens":4,"doc_ids":["a","é"],"doc_starts":[0,3],"doc_lens":[3,1],"doc_offsets":[0,9],"#,
        r#""reasons":["red fox",null],"groups":[0,1]}"#,
        "\n"
    );
    assert_eq!(line(Provenance::Full), full);
    assert_eq!(
        line(Provenance::Ids),
        "{\"input_ids\":[5,6,0,7],\"n_tokens\":4,\"doc_ids\":[\"a\",\"é\"]}\n"
    );
    assert_eq!(line(Provenance::None), "{\"input_ids\":[5,6,0,7],\"n_tokens\":4}\n");
    let packed = shard(
        &WriterOptions { compression: Compression::Zstd, ..options(Format::Jsonl, 4) },
        &three()[..1],
    );
    let unpacked =
        zstd::stream::decode_all(File::open(packed.path().join("00000.jsonl.zst")).unwrap())
            .unwrap();
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
    let list = |name: &str, element: &str| {
        format!("REQUIRED group {name} (LIST) {{ REPEATED group list {{ {element}; }} }}")
    };
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
        let directory =
            shard(&WriterOptions { provenance, ..options(Format::Parquet, 4) }, &three());
        assert_eq!(schema(&reader(&directory, "00000.parquet")), expected, "{provenance:?}");
    }
    let mds = shard(&options(Format::Mds, 4), &three());
    assert_eq!(
        schema(&reader(&mds, "provenance/00000.parquet")),
        message(&[&n_tokens, &doc_ids, &rest])
    );

    let directory = shard(&options(Format::Parquet, 4), &three());
    let reader = reader(&directory, "00000.parquet");
    let file = reader.metadata().file_metadata();
    let of = |key: &str| {
        file.key_value_metadata()
            .unwrap()
            .iter()
            .find(|kv| kv.key == key)
            .and_then(|kv| kv.value.clone())
    };
    assert_eq!(of("longweave.method").as_deref(), Some(r#"{"name":"standard"}"#));
    assert_eq!(of("longweave.length").as_deref(), Some("4"));
    assert!(
        reader.metadata().row_groups()[0]
            .columns()
            .iter()
            .all(|c| matches!(c.compression(), Packed::UNCOMPRESSED))
    );
    let packed = shard(
        &WriterOptions { compression: Compression::Zstd, ..options(Format::Parquet, 4) },
        &three(),
    );
    // Provenance of another format's files is compressed, whatever those are.
    for (directory, name) in [(&packed, "00000.parquet"), (&mds, "provenance/00000.parquet")] {
        let reader = self::reader(directory, name);
        assert!(
            reader.metadata().row_groups()[0]
                .columns()
                .iter()
                .all(|c| matches!(c.compression(), Packed::ZSTD(_))),
            "{name}"
        );
    }
}

#[test]
fn row_groups_hold_64_mib_of_ids_and_at_least_a_row() {
    for (length, rows, expected) in [
        (8u32, 100usize, vec![100]),
        (1 << 19, 70, vec![32, 32, 6]),
        ((1 << 24) + 1, 2, vec![1, 1]),
    ] {
        let record = SequenceRecord {
            input_ids: vec![7; length as usize],
            n_tokens: length,
            ..SequenceRecord::default()
        };
        let options =
            WriterOptions { provenance: Provenance::None, ..options(Format::Parquet, length) };
        let directory = tempfile::tempdir().unwrap();
        write_shard(directory.path(), &options, &vec![record; rows], 0);
        let found: Vec<i64> = reader(&directory, "00000.parquet")
            .metadata()
            .row_groups()
            .iter()
            .map(|g| g.num_rows())
            .collect();
        assert_eq!(found, expected, "{length}");
        assert!(writer_bytes(&options, rows as u64) >= expected[0] as u64 * u64::from(length) * 4);
    }
}

/// A row of each of `distinct` ids and what follows, id 3 between any two others.
fn ids_of_which_one_is_frequent(distinct: u32) -> Vec<SequenceRecord> {
    let ids: Vec<u32> = (0..distinct).flat_map(|id| [3, id * 3]).collect();
    let row = |ids: &[u32]| SequenceRecord {
        input_ids: ids.iter().chain(std::iter::repeat(&3)).take(1000).copied().collect(),
        n_tokens: 1000,
        ..SequenceRecord::default()
    };
    ids.chunks(1000).map(row).collect()
}

#[test]
fn numbers_of_ids_take_whole_bytes_where_they_are_packed_and_few_bits_where_not() {
    for (distinct, bits, packed_bits) in [(2u32, 1, 8), (5, 3, 8), (1000, 10, 16), (70_000, 17, 24)]
    {
        for compression in [Compression::None, Compression::Zstd] {
            let directory = tempfile::tempdir().unwrap();
            let options = WriterOptions {
                provenance: Provenance::None,
                compression,
                ..options(Format::Parquet, 1000)
            };
            let records = ids_of_which_one_is_frequent(distinct);
            write(directory.path(), &options, &records, records.len());
            let mut reader = SequenceReader::open(directory.path()).unwrap();
            for (number, record) in records.iter().enumerate() {
                assert_eq!(reader.get(number as u64).unwrap().input_ids, record.input_ids);
            }
            let file = self::reader(&directory, "00000.parquet");
            let group = file.get_row_group(0).unwrap();
            let mut pages = group.get_column_page_reader(0).unwrap();
            let dictionary = pages.get_next_page().unwrap().unwrap();
            assert!(dictionary.is_dictionary_page());
            // The number 0 is that of the most frequent id; all others are there once.
            let ids: Vec<u32> = dictionary
                .buffer()
                .chunks_exact(4)
                .map(|id| u32::from_le_bytes(id.try_into().unwrap()))
                .collect();
            assert_eq!((ids[0], ids.len()), (3, distinct as usize));
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
            let page = pages.get_next_page().unwrap().unwrap();
            let levels = |at: usize| {
                u32::from_le_bytes(page.buffer()[at..at + 4].try_into().unwrap()) as usize + 4
            };
            let expected = if compression == Compression::Zstd { packed_bits } else { bits };
            let width = page.buffer()[levels(0) + levels(levels(0))];
            assert_eq!(width, expected, "{distinct} ids, {compression:?}");
        }
    }
}

#[test]
fn bytes_depend_on_neither_threads_nor_the_parts_that_are_pushed_at_once() {
    let length = 1 << 16;
    let record = |i: u32| SequenceRecord {
        input_ids: (0..length).map(|at| (at * 7 + i * 13) % (1 + at % 300) + i).collect(),
        n_tokens: length,
        doc_ids: vec![format!("d{i}"), "e".into()],
        doc_starts: vec![0, 9],
        doc_lens: vec![9, length - 9],
        doc_offsets: vec![i, 0],
        reasons: vec![None, Some("k".into())],
        groups: vec![i, 7],
    };
    // Two row groups.
    let records: Vec<SequenceRecord> = (0..300).map(record).collect();
    for format in FORMATS {
        let options = WriterOptions { compression: Compression::Zstd, ..options(format, length) };
        let written = |threads: usize, at_once: usize| {
            let directory = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let parts: Vec<SequenceBatch<'_>> = parts(length, records.len())
                .map(|part| SequenceBatch::of(&records[part]))
                .collect();
            let mut writer = open_writer(&options, directory.path(), 0, &[2; 300]).unwrap();
            pool.install(|| parts.chunks(at_once).try_for_each(|parts| writer.push(parts)))
                .unwrap();
            let files = writer.finish().unwrap();
            files.into_iter().map(|file| file.record).collect::<Vec<_>>()
        };
        let expected = written(1, 1);
        assert_eq!(written(3, 5), expected, "{format:?}");
        assert_eq!(written(2, 100), expected, "{format:?}");
    }
}
