//! The differences that `verify` finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use longweave_common::Code;
use longweave_formats::{Compression, Format, WriterOptions, verify_output, write_sums};
use longweave_storage::checksum_file;

use crate::{FORMATS, options, seal, three, write};

/// A new format does not compile before it is in `FORMATS`, and here.
const _: fn(Format) = |format| match format {
    Format::Parquet
    | Format::Mds
    | Format::Megatron
    | Format::Datatrove
    | Format::Numpy
    | Format::Datasets
    | Format::Litdata
    | Format::Jsonl => (),
};

/// A directory whose files cost no disk, where the system has such.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn output(format: Format) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &options(format, 4), &three(), 2);
    directory
}

fn complaint(directory: &Path) -> String {
    let error = verify_output(directory).err().unwrap_or_else(|| panic!("nothing was found"));
    let expected: &[Code] = if directory.join("longweave.json").exists() {
        &[Code::VerifyFailed, Code::FileCorrupt]
    } else {
        &[Code::OutputNotFound]
    };
    assert!(expected.contains(&error.code()), "{error}");
    error.message().to_owned()
}

#[test]
fn changed_shortened_missing_and_strange_files_are_named() {
    for format in FORMATS {
        let directory = output(format);
        let root = directory.path();
        let sums = fs::read_to_string(root.join("SHA256SUMS")).unwrap();
        let names: Vec<String> = sums.lines().map(|l| l[66..].to_owned()).collect();
        assert!(names.len() >= 3);
        for name in names.iter().filter(|n| *n != "longweave.json") {
            let path = root.join(name);
            let good = fs::read(&path).unwrap();
            let mut changed = good.clone();
            changed[good.len() / 2] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(complaint(root).starts_with(&format!("{name}: its content differs")), "{name}");
            fs::write(&path, &good[..good.len() - 1]).unwrap();
            assert!(complaint(root).starts_with(&format!("{name}: its content differs")), "{name}");
            fs::remove_file(&path).unwrap();
            assert_eq!(complaint(root), format!("{name}: the file is missing"));
            fs::write(&path, &good).unwrap();
        }
        fs::write(root.join("stray.parquet"), b"").unwrap();
        assert!(complaint(root).starts_with("stray.parquet: the file belongs to no finished run"));
        fs::remove_file(root.join("stray.parquet")).unwrap();
        // Our own hidden state, the run's file and the held-out part's folder are not strangers.
        fs::create_dir_all(root.join(".state/x")).unwrap();
        fs::write(root.join("run.json"), b"{}").unwrap();
        verify_output(root).unwrap();
    }
}

/// Changes every byte of every file of an output, `masks` one after the other; how many changes
/// there were.
fn change_every_byte(root: &Path, masks: &[u8]) -> usize {
    let mut changes = 0;
    let mut names: Vec<String> = vec!["SHA256SUMS".into()];
    names.extend(
        fs::read_to_string(root.join("SHA256SUMS"))
            .unwrap()
            .lines()
            .map(|line| line[66..].to_owned()),
    );
    for name in names {
        let path = root.join(&name);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for mask in masks {
                let mut bad = good.clone();
                bad[at] ^= mask;
                fs::write(&path, &bad).unwrap();
                let error = verify_output(root)
                    .err()
                    .unwrap_or_else(|| panic!("{name}, byte {at} ^ {mask}: nothing was found"));
                assert!(
                    matches!(error.code(), Code::VerifyFailed | Code::FileCorrupt),
                    "{name}, byte {at} ^ {mask}: {error}"
                );
                changes += 1;
            }
        }
        for length in [0, 1, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            assert!(!complaint(root).is_empty(), "{name}, cut to {length} bytes");
        }
        fs::write(&path, [good.as_slice(), b"\n"].concat()).unwrap();
        assert!(!complaint(root).is_empty(), "{name}, with a byte more");
        fs::remove_file(&path).unwrap();
        assert!(!complaint(root).is_empty(), "{name} is missing");
        fs::write(&path, &good).unwrap();
    }
    verify_output(root).unwrap();
    changes
}

#[test]
fn every_changed_byte_of_every_file_of_every_format_is_found() {
    let plain = FORMATS.map(|format| (format, Compression::None));
    for (format, compression) in plain.into_iter().chain([(Format::Jsonl, Compression::Zstd)]) {
        let directory = in_memory();
        write(directory.path(), &WriterOptions { compression, ..options(format, 4) }, &three(), 2);
        let changes = change_every_byte(directory.path(), &[1]);
        assert!(changes > 800, "{format:?}: {changes} changes");
    }
}

#[test]
#[ignore = "full tier: some minutes"]
fn every_changed_bit_of_every_file_of_every_format_is_found() {
    for format in FORMATS {
        let directory = in_memory();
        write(directory.path(), &options(format, 4), &three(), 2);
        assert!(change_every_byte(directory.path(), &[2, 4, 8, 16, 32, 64, 128, 255]) > 6_000);
    }
}

#[test]
fn an_empty_file_that_belongs_to_nothing_and_a_holdout_that_is_gone_are_found() {
    let directory = output(Format::Parquet);
    let root = directory.path();
    fs::write(root.join("empty"), b"").unwrap();
    assert!(complaint(root).starts_with("empty: the file belongs to no finished run"));
    fs::remove_file(root.join("empty")).unwrap();
    let text = fs::read_to_string(root.join("longweave.json")).unwrap();
    fs::write(
        root.join("longweave.json"),
        text.replacen('{', r#"{"part": "main", "options": {"holdout": 0.1},"#, 1),
    )
    .unwrap();
    let sums: Vec<(String, String)> = fs::read_to_string(root.join("SHA256SUMS"))
        .unwrap()
        .lines()
        .map(|line| (line[66..].to_owned(), checksum_file(&root.join(&line[66..])).unwrap().2))
        .collect();
    write_sums(root, &sums).unwrap();
    assert!(
        complaint(root)
            .starts_with("holdout: the output of the documents that were set aside is missing")
    );
    write(&root.join("holdout"), &options(Format::Parquet, 4), &three()[..1], 2);
    verify_output(root).unwrap();
}

#[test]
fn manifest_and_sums_must_name_the_same_files() {
    let directory = output(Format::Jsonl);
    let root = directory.path();
    let sums = fs::read_to_string(root.join("SHA256SUMS")).unwrap();
    fs::write(
        root.join("SHA256SUMS"),
        sums.lines().skip(1).map(|l| format!("{l}\n")).collect::<String>(),
    )
    .unwrap();
    assert_eq!(complaint(root), "00000.jsonl: longweave.json names it, SHA256SUMS does not");
    fs::write(root.join("SHA256SUMS"), "nonsense\n").unwrap();
    assert_eq!(complaint(root), "SHA256SUMS: a line is not a checksum and a name");
    fs::remove_file(root.join("longweave.json")).unwrap();
    assert!(complaint(root).contains("holds no longweave.json"));
    fs::write(root.join("longweave.json"), "{").unwrap();
    assert!(complaint(root).contains("is not a manifest"));
}

#[test]
fn sequences_are_checked_even_when_every_sum_agrees() {
    let files = || BTreeMap::from([("00000.jsonl".to_owned(), 2), ("00001.jsonl".to_owned(), 1)]);
    let directory = output(Format::Jsonl);
    let root = directory.path();
    seal(root, &options(Format::Jsonl, 5), &files(), 3);
    assert_eq!(complaint(root), "sequence 0: it has 4 tokens, not 5");
    seal(root, &options(Format::Jsonl, 4), &files(), 4);
    assert_eq!(complaint(root), "longweave.json: it says 4 sequences, its files hold 3");

    type Change = fn(&mut longweave_formats::SequenceRecord);
    let cases: [(Change, &str); 7] = [
        (|r| r.n_tokens = 0, "sequence 0: n_tokens is 0"),
        (|r| r.n_tokens = 5, "sequence 0: n_tokens is 5"),
        (|r| r.n_tokens = 3, "sequence 0: its pieces end at 4, n_tokens is 3"),
        (|r| r.doc_starts[0] = 2, "sequence 0: its first piece begins at 2"),
        (
            |r| r.doc_starts[1] = 2,
            "sequence 0: a piece of 1 tokens begins at 2 where 3 is expected",
        ),
        (|r| r.doc_lens[1] = 0, "sequence 0: a piece of 0 tokens begins at 3 where 3 is expected"),
        (
            |r| _ = r.groups.pop(),
            "sequence 0: it has 2 documents' ids, but [2, 2, 2, 2, 1] starts, lengths, offsets, \
             reasons and groups",
        ),
    ];
    for (change, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let mut records = three();
        change(&mut records[0]);
        let lines: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        fs::write(directory.path().join("00000.jsonl"), lines).unwrap();
        let names = BTreeMap::from([("00000.jsonl".to_owned(), 3)]);
        seal(directory.path(), &options(Format::Jsonl, 4), &names, 3);
        assert_eq!(complaint(directory.path()), expected);
    }
}

#[test]
fn the_held_out_part_is_checked_with_the_main_one() {
    let directory = output(Format::Parquet);
    let holdout = directory.path().join("holdout");
    write(&holdout, &options(Format::Parquet, 4), &three()[..1], 2);
    let report = verify_output(directory.path()).unwrap();
    assert_eq!((report.sequences, report.holdout.map(|h| h.sequences)), (3, Some(1)));
    fs::write(holdout.join("00000.parquet"), b"other").unwrap();
    assert!(complaint(directory.path()).starts_with("holdout: 00000.parquet: its content differs"));
}
