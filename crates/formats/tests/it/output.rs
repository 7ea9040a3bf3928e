//! Whatever is written is read back, for every format, provenance and size of shard; outputs of the first version too.

use std::path::{Path, PathBuf};

use longweave_common::Code;
use longweave_formats::{Compression, Format, MdsIndices, Provenance, SequenceReader, SequenceRecord, WriterOptions, verify_output};
use proptest::prelude::*;

use crate::{options, three, told, write};

/// Sequences of `length` tokens with pieces that tile them.
fn records(length: u32) -> impl Strategy<Value = Vec<SequenceRecord>> {
    let piece = (1u32..6, any::<u32>(), "[a-zé\u{1f600}\"]{1,6}", prop::option::of("[a-z ]{0,8}"), any::<u32>());
    let record = (prop::collection::vec(any::<u32>(), length as usize), any::<bool>(), prop::collection::vec(piece, 1..8));
    prop::collection::vec(record, 1..12).prop_map(move |list| {
        let make = |(ids, bos, pieces): (Vec<u32>, bool, Vec<_>)| {
            let mut record = SequenceRecord { input_ids: ids.iter().map(|id| id >> 1).collect(), ..SequenceRecord::default() };
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
    let formats = prop::sample::select(vec![Format::Parquet, Format::Mds, Format::Jsonl]);
    let provenance = prop::sample::select(vec![Provenance::Full, Provenance::Ids, Provenance::None]);
    (formats, provenance, any::<bool>(), any::<bool>()).prop_map(|(format, provenance, zstd, spans)| WriterOptions {
        provenance,
        compression: if zstd { Compression::Zstd } else { Compression::None },
        mds_indices: if spans { MdsIndices::Document } else { MdsIndices::Sequence },
        ..options(format, 16)
    })
}

proptest! {
    // Each case makes several files durable.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sequences_read_back_in_any_order_and_the_output_verifies(
        options in writers(), records in records(16), per_shard in 1usize..13, picks in prop::collection::vec(any::<prop::sample::Index>(), 8)
    ) {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &options, &records, per_shard.max(records.len() / 4));
        let mut reader = SequenceReader::open(directory.path()).unwrap();
        prop_assert_eq!(reader.len(), records.len() as u64);
        for i in (0..records.len()).chain(picks.iter().map(|p| p.index(records.len()))) {
            prop_assert_eq!(reader.get(i as u64).unwrap(), told(&records[i], options.provenance, options.format));
        }
        prop_assert_eq!(reader.get(reader.len()).unwrap_err().code(), Code::SequenceUnknown);
        let report = verify_output(directory.path()).unwrap();
        prop_assert_eq!((report.sequences, report.tokens), (records.len() as u64, 16 * records.len() as u64));
        let pieces = records.iter().map(|r| r.doc_ids.len() as u64).sum::<u64>();
        prop_assert_eq!(report.pieces, if options.provenance == Provenance::Full { pieces } else { 0 });
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// `LONGWEAVE_BLESS=1` writes them.
#[test]
fn outputs_of_the_first_version_stay_readable() {
    for (name, format) in [("parquet", Format::Parquet), ("mds", Format::Mds), ("jsonl", Format::Jsonl)] {
        if std::env::var_os("LONGWEAVE_BLESS").is_some() {
            write(&fixture(name), &options(format, 4), &three(), 2);
        }
        let report = verify_output(&fixture(name)).unwrap();
        assert_eq!((report.sequences, report.tokens, report.pieces), (3, 12, 4), "{name}");
        let mut reader = SequenceReader::open(&fixture(name)).unwrap();
        for (i, record) in three().iter().enumerate() {
            assert_eq!(&reader.get(i as u64).unwrap(), record, "{name}");
        }
    }
}

#[test]
fn a_file_of_another_shape_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &options(Format::Parquet, 4), &three(), 3);
    // A provenance file in the place of one with ids, and a file of text in the place of one of numbers.
    let mds = tempfile::tempdir().unwrap();
    write(mds.path(), &options(Format::Mds, 4), &three(), 3);
    std::fs::copy(mds.path().join("shard.00000.mds"), directory.path().join("00000.parquet")).unwrap();
    let error = SequenceReader::open(directory.path()).unwrap().get(0).unwrap_err();
    assert!(error.code() == Code::FileCorrupt && error.message().contains("00000.parquet"), "{error}");
    std::fs::write(mds.path().join("shard.00000.mds"), b"short").unwrap();
    assert_eq!(SequenceReader::open(mds.path()).unwrap().get(2).unwrap_err().code(), Code::FileCorrupt);
    let jsonl = tempfile::tempdir().unwrap();
    write(jsonl.path(), &options(Format::Jsonl, 4), &three(), 3);
    std::fs::write(jsonl.path().join("00000.jsonl"), b"{\"input_ids\":[1]}\n").unwrap();
    assert_eq!(SequenceReader::open(jsonl.path()).unwrap().get(0).unwrap_err().code(), Code::FileCorrupt);
    assert_eq!(SequenceReader::open(jsonl.path()).unwrap().get(2).unwrap_err().code(), Code::FileCorrupt);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing here compares checksums, which `verify` does first: a damaged file may read as other numbers, but never ends the process.
    #[test]
    fn damaged_files_are_read_or_refused(which in 0usize..3, at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let (name, file) = [("parquet", "00000.parquet"), ("mds", "shard.00000.mds"), ("jsonl", "00000.jsonl")][which];
        let directory = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let path = directory.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = value }
        std::fs::write(&path, bytes).unwrap();
        let mut reader = SequenceReader::open(directory.path()).unwrap();
        for i in 0..2 {
            if let Err(error) = reader.get(i) {
                prop_assert!(matches!(error.code(), Code::FileCorrupt | Code::InputNotFound), "{}", error);
            }
        }
    }
}
