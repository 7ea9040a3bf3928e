//! Files written by the first version stay readable, and the same content gives the same bytes.
//! `LONGWEAVE_BLESS=1` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::Code;
use longweave_storage::{
    ArrayFile, STRING_BATCH_ROWS, Sealed, read_array, read_strings, write_array, write_strings,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Compares what `write` makes with the fixture.
fn same_bytes(name: &str, write: impl Fn(&Path) -> longweave_common::Result<Sealed>) {
    if std::env::var_os("LONGWEAVE_BLESS").is_some() {
        write(&fixture(name)).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    write(&path).unwrap();
    assert!(
        fs::read(&path).unwrap() == fs::read(fixture(name)).unwrap(),
        "{name} is written differently"
    );
}

#[test]
fn columns_of_every_width() {
    same_bytes("bytes.array", |p| write_array(p, &[0u8, 1, 255]));
    same_bytes("shorts.array", |p| write_array(p, &[0u16, 50_256, 65_535]));
    same_bytes("words.array", |p| write_array(p, &[0u32, 65_536, u32::MAX]));
    same_bytes("longs.array", |p| write_array(p, &[0u64, 1 << 40]));
    same_bytes("keys.array", |p| write_array(p, &[0u128, 1 << 100]));
    same_bytes("empty.array", |p| write_array(p, &[0u32; 0]));
    assert_eq!(read_array::<u8>(&fixture("bytes.array")).unwrap(), [0, 1, 255]);
    assert_eq!(read_array::<u16>(&fixture("shorts.array")).unwrap(), [0, 50_256, 65_535]);
    assert_eq!(read_array::<u32>(&fixture("words.array")).unwrap(), [0, 65_536, u32::MAX]);
    assert_eq!(read_array::<u64>(&fixture("longs.array")).unwrap(), [0, 1 << 40]);
    assert_eq!(read_array::<u128>(&fixture("keys.array")).unwrap(), [0, 1 << 100]);
    assert_eq!(read_array::<u32>(&fixture("empty.array")).unwrap(), [0u32; 0]);
}

#[test]
fn tables_of_strings() {
    let rows = ["a", "", "é\u{2028}", "long ".repeat(50).as_str()].map(str::to_owned);
    same_bytes("ids.arrow", |p| write_strings(p, "id", &rows));
    let table = read_strings(&fixture("ids.arrow")).unwrap();
    assert!(table.iter().eq(rows.iter().map(String::as_str)));
    assert_eq!((table.len(), STRING_BATCH_ROWS), (4, 4096));
    // Tables of the first format, which had no checksums, are refused, as their work directories
    // are.
    assert_eq!(
        read_strings(&fixture("ids-without-sums.arrow")).err().unwrap().code(),
        Code::FileCorrupt
    );
}

#[test]
fn damage_to_a_column_is_told_by_name() {
    let good = fs::read(fixture("words.array")).unwrap();
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 7] = [
        ("not a longweave column of this version", |b| b[7] = b'2'),
        ("is not a longweave column", |b| b[0] = b'x'),
        ("elements of 2 bytes", |b| b[8] = 2),
        ("its header says 4 elements", |b| b[16] = 4),
        ("its header says 18446744073709551615 elements", |b| b[16..24].fill(255)),
        ("checksum", |b| b[24] ^= 1),
        ("shorter than its header", |b| b.truncate(31)),
    ];
    for (part, damage) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("words.array");
        let mut bad = good.clone();
        damage(&mut bad);
        fs::write(&path, bad).unwrap();
        let error = read_array::<u32>(&path).unwrap_err();
        assert_eq!(error.code(), Code::FileCorrupt, "{part}");
        assert!(
            error.message().contains(part) && error.message().contains("words.array"),
            "{part}: {error}"
        );
    }
    let error = ArrayFile::<u32>::open(&fixture("words.array"))
        .unwrap()
        .read_into(2, 2, &mut Vec::new())
        .unwrap_err();
    assert!(error.message().contains("3 elements"), "{error}");
    assert_eq!(read_array::<u32>(Path::new("nowhere")).unwrap_err().code(), Code::InputNotFound);
}
