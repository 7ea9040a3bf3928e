//! Whatever is written is read back, for every format, provenance and size of shard; outputs of the
//! first version too.

use std::path::{Path, PathBuf};

use longweave_common::Code;
use longweave_formats::{
    Column, Compression, Format, MdsIndices, Provenance, SequenceReader, SequenceRecord,
    WriterOptions, verify_output,
};
use proptest::prelude::*;

use crate::{FORMATS, options, three, told, write};

/// Sequences of `length` tokens with pieces that tile them.
fn records(length: u32) -> impl Strategy<Value = Vec<SequenceRecord>> {
    let piece = (
        1u32..6,
        any::<u32>(),
        "[a-zé\u{1f600}\"]{1,6}",
        prop::option::of("[a-z ]{0,8}"),
        any::<u32>(),
    );
    let record = (
        prop::collection::vec(any::<u32>(), length as usize),
        any::<bool>(),
        prop::collection::vec(piece, 1..8),
    );
    prop::collection::vec(record, 1..12).prop_map(move |list| {
        let make = |(ids, bos, pieces): (Vec<u32>, bool, Vec<_>)| {
            let mut record = SequenceRecord {
                input_ids: ids.iter().map(|id| id >> 1).collect(),
                ..SequenceRecord::default()
            };
            let mut at = u32::from(bos);
            for (len, offset, id, reason, group) in pieces {
                let len: u32 = std::cmp::min(len, length - at);
                if len > 0 {
                    record.doc_ids.push(id);
                    record.doc_starts.push(at);
                    record.doc_lens.push(len);
                    record.doc_offsets.push(offset);
                    record.reasons.push(reason);
                    record.groups.push(group);
                    at += len;
                }
            }
            record.n_tokens = at;
            record
        };
        list.into_iter().map(make).collect()
    })
}

fn writers() -> impl Strategy<Value = WriterOptions> {
    let formats = prop::sample::select(FORMATS.to_vec());
    let provenance =
        prop::sample::select(vec![Provenance::Full, Provenance::Ids, Provenance::None]);
    // Of a file of 16-token sequences: from one sequence to a whole shard.
    let limit = prop::option::of(300u64..2000);
    let columns = prop::sample::subsequence(Column::ALL.to_vec(), 0..=Column::ALL.len());
    let choices = (any::<bool>(), any::<bool>(), any::<bool>(), limit, (columns, any::<bool>()));
    (formats, provenance, choices).prop_map(
        |(format, provenance, (zstd, spans, narrow, mds_shard_bytes, (columns, mask_first)))| {
            WriterOptions {
                mask_first,
                weights: vec![700, 1100],
                columns: columns.into_iter().filter(|column| column.goes_with(format)).collect(),
                max_id: if narrow { NARROW } else { u32::MAX >> 1 },
                provenance,
                mds_shard_bytes,
                compression: if zstd { Compression::Zstd } else { Compression::None },
                mds_indices: if spans { MdsIndices::Document } else { MdsIndices::Sequence },
                ..options(format, 16)
            }
        },
    )
}

/// The largest id that takes two bytes in every format.
const NARROW: u32 = 65_499;

proptest! {
    // Each case makes several files durable.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn sequences_read_back_in_any_order_and_the_output_verifies(
        options in writers(), records in records(16), per_shard in 1usize..13, picks in prop::collection::vec(any::<prop::sample::Index>(), 8)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut records = records;
        records.iter_mut().flat_map(|r| &mut r.input_ids).for_each(|id| *id %= options.max_id + 1);
        write(directory.path(), &options, &records, per_shard.max(records.len() / 4));
        let mut reader = SequenceReader::open(directory.path()).unwrap();
        prop_assert_eq!(reader.len(), records.len() as u64);
        for i in (0..records.len()).chain(picks.iter().map(|p| p.index(records.len()))) {
            prop_assert_eq!(reader.get(i as u64).unwrap(), told(&records[i], options.provenance, options.format));
        }
        prop_assert_eq!(reader.get(reader.len()).unwrap_err().code(), Code::SequenceNotFound);
        let report = verify_output(directory.path()).unwrap();
        prop_assert_eq!((report.sequences, report.tokens), (records.len() as u64, 16 * records.len() as u64));
        let pieces = records.iter().map(|r| r.doc_ids.len() as u64).sum::<u64>();
        prop_assert_eq!(report.pieces, if options.provenance == Provenance::Full { pieces } else { 0 });
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The outputs that are kept, each by its name.
fn fixtures() -> Vec<(&'static str, WriterOptions)> {
    vec![
        ("parquet", options(Format::Parquet, 4)),
        ("mds", options(Format::Mds, 4)),
        (
            "mds-files",
            WriterOptions {
                compression: Compression::Zstd,
                mds_shard_bytes: Some(350),
                ..options(Format::Mds, 4)
            },
        ),
        ("megatron", options(Format::Megatron, 4)),
        ("datatrove", options(Format::Datatrove, 4)),
        ("numpy", WriterOptions { columns: vec![Column::LabelMask], ..options(Format::Numpy, 4) }),
        (
            "datasets",
            WriterOptions { columns: Column::ALL[..5].to_vec(), ..options(Format::Datasets, 4) },
        ),
        ("litdata", options(Format::Litdata, 4)),
        ("jsonl", options(Format::Jsonl, 4)),
    ]
}

/// `LONGWEAVE_BLESS=1` writes those that are missing.
#[test]
fn outputs_of_the_first_version_stay_readable() {
    for (name, options) in fixtures() {
        if std::env::var_os("LONGWEAVE_BLESS").is_some() && !fixture(name).exists() {
            write(&fixture(name), &options, &three(), 2);
        }
        let report = verify_output(&fixture(name)).unwrap();
        assert_eq!((report.sequences, report.tokens, report.pieces), (3, 12, 4), "{name}");
        let mut reader = SequenceReader::open(&fixture(name)).unwrap();
        for (i, record) in three().iter().enumerate() {
            assert_eq!(&reader.get(i as u64).unwrap(), record, "{name}");
        }
    }
}

/// Parquet files name the version that wrote them, and with them do checksums.
#[test]
fn outputs_are_written_with_the_bytes_of_the_kept_ones() {
    let versioned =
        |name: &str| name.ends_with(".parquet") || ["longweave.json", "SHA256SUMS"].contains(&name);
    let mut compared = 0;
    for (name, options) in fixtures() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &options, &three(), 2);
        for path in std::fs::read_dir(fixture(name)).unwrap().map(|e| e.unwrap().path()) {
            let file = path.file_name().unwrap().to_str().unwrap();
            if path.is_file() && !versioned(file) {
                assert!(
                    std::fs::read(&path).unwrap()
                        == std::fs::read(directory.path().join(file)).unwrap(),
                    "{name}: {file}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 30, "{compared} files");
}

#[test]
fn a_file_of_another_shape_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &options(Format::Parquet, 4), &three(), 3);
    // A provenance file in the place of one with ids, and a file of text in the place of one of
    // numbers.
    let mds = tempfile::tempdir().unwrap();
    write(mds.path(), &options(Format::Mds, 4), &three(), 3);
    std::fs::copy(mds.path().join("shard.00000.mds"), directory.path().join("00000.parquet"))
        .unwrap();
    let error = SequenceReader::open(directory.path()).unwrap().get(0).unwrap_err();
    assert!(
        error.code() == Code::FileCorrupt && error.message().contains("00000.parquet"),
        "{error}"
    );
    std::fs::write(mds.path().join("shard.00000.mds"), b"short").unwrap();
    assert_eq!(
        SequenceReader::open(mds.path()).unwrap().get(2).unwrap_err().code(),
        Code::FileCorrupt
    );
    let jsonl = tempfile::tempdir().unwrap();
    write(jsonl.path(), &options(Format::Jsonl, 4), &three(), 3);
    std::fs::write(jsonl.path().join("00000.jsonl"), b"{\"input_ids\":[1]}\n").unwrap();
    assert_eq!(
        SequenceReader::open(jsonl.path()).unwrap().get(0).unwrap_err().code(),
        Code::FileCorrupt
    );
    assert_eq!(
        SequenceReader::open(jsonl.path()).unwrap().get(2).unwrap_err().code(),
        Code::FileCorrupt
    );
}

#[test]
fn files_that_claim_more_than_they_have_are_refused_and_nothing_is_held_for_it() {
    let largest = [0xff; 8];
    // Number of samples, first offset, second offset.
    let mds: Vec<(&str, u64)> = [0, 4, 8].iter().map(|&at| ("shard.00000.mds", at)).collect();
    // Version, type, entries, documents, tokens of the first entry, its offset.
    let megatron: Vec<(&str, u64)> =
        [9, 17, 18, 34, 34 + 2 * 4].iter().map(|&at| ("shard_00000.idx", at)).collect();
    // Number of items, first offset, second offset.
    let litdata: Vec<(&str, u64)> = [0, 4, 8].iter().map(|&at| ("chunk-00000-0.bin", at)).collect();
    // The mark of a message, its size.
    let datasets: Vec<(&str, u64)> = [0, 4].iter().map(|&at| ("00000.arrow", at)).collect();
    for (format, places) in [
        (Format::Mds, mds),
        (Format::Megatron, megatron),
        (Format::Litdata, litdata),
        (Format::Datasets, datasets),
    ] {
        for (file, at) in places {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), &options(format, 4), &three(), 2);
            let path = directory.path().join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at as usize..at as usize + 4].copy_from_slice(&largest[..4]);
            std::fs::write(&path, &bytes).unwrap();
            let read = |n| SequenceReader::open(directory.path()).unwrap().get(n);
            // A number of samples that is too large is not read at the sample's place, and the mark of
            // a message is the largest number.
            if at != 0 {
                assert_eq!(read(0).unwrap_err().code(), Code::FileCorrupt, "{file} {at}");
            }
            bytes.truncate(at as usize);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(1).unwrap_err().code(), Code::FileCorrupt, "{file} cut at {at}");
        }
    }
    for (format, file) in [(Format::Datatrove, "00000.ds"), (Format::Numpy, "00000.npy")] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &options(format, 4), &three(), 2);
        std::fs::write(directory.path().join(file), [0; 9]).unwrap();
        let error = SequenceReader::open(directory.path()).unwrap().get(0).unwrap_err();
        assert!(
            error.code() == Code::FileCorrupt
                && error.message().contains("not 2 sequences of 4 tokens"),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// Nothing here compares checksums, which `verify` does first: a damaged file may read as other
    /// numbers, but never ends the process.
    #[test]
    fn damaged_files_are_read_or_refused(which in 0usize..10, at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let files = ["00000.parquet", "shard.00000.mds", "shard.00000.00000.mds.zstd", "shard_00000.bin", "shard_00000.idx", "00000.ds", "00000.npy", "00000.arrow", "chunk-00000-0.bin", "00000.jsonl"];
        let names = ["parquet", "mds", "mds-files", "megatron", "megatron", "datatrove", "numpy", "datasets", "litdata", "jsonl"];
        let (name, file) = (names[which], files[which]);
        let directory = tempfile::tempdir().unwrap();
        for (folder, inside) in [(fixture(name), directory.path().to_owned()), (fixture(name).join("provenance"), directory.path().join("provenance"))] {
            std::fs::create_dir_all(&inside).unwrap();
            for path in std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
                std::fs::copy(&path, inside.join(path.file_name().unwrap())).unwrap();
            }
        }
        let path = directory.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = value }
        std::fs::write(&path, bytes).unwrap();
        let mut reader = SequenceReader::open(directory.path()).unwrap();
        for i in 0..3 {
            if let Err(error) = reader.get(i) {
                prop_assert_eq!(error.code(), Code::FileCorrupt, "{}", error);
            }
        }
    }
}
