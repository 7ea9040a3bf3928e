//! A token store written by the first version stays readable, and the same tokens give the same
//! bytes. `LONGWEAVE_BLESS=1` writes it.

use std::fs;
use std::path::Path;

use longweave_common::{Code, DocId};
use longweave_tokens::{TokenStore, TokenWriter, Width};

/// Documents of the fixtures; the second row is not a document.
const DOCUMENTS: [&[u32]; 3] = [&[1, 2, 50_256], &[], &[7]];

fn write(prefix: &Path, width: Width) {
    let mut writer = TokenWriter::create(prefix, width).unwrap();
    DOCUMENTS.iter().for_each(|d| writer.push(d).unwrap());
    writer.commit().unwrap();
}

#[test]
fn stores_of_both_widths_are_read_and_written_byte_by_byte() {
    for (name, width) in [("two", Width::U16), ("four", Width::U32)] {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        if std::env::var_os("LONGWEAVE_BLESS").is_some() {
            write(&fixture, width);
        }
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join(name), width);
        for kind in ["ids", "ends"] {
            let new = fs::read(directory.path().join(format!("{name}.{kind}"))).unwrap();
            assert!(
                new == fs::read(fixture.with_extension(kind)).unwrap(),
                "{name}.{kind} is written differently"
            );
        }
        let store = TokenStore::open(vec![(0, fixture)]).unwrap();
        for (i, document) in DOCUMENTS.iter().enumerate() {
            let (doc, mut found) = (DocId::new(i as u32), vec![]);
            assert_eq!(store.len(doc) as usize, document.len());
            store.read_into(doc, 0, store.len(doc), &mut found).unwrap();
            assert_eq!(&found, document);
        }
    }
}

#[test]
fn an_id_beyond_the_width_and_a_read_beyond_the_end_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("x");
    let mut writer = TokenWriter::create(&prefix, Width::U16).unwrap();
    assert_eq!(writer.push(&[65_536]).unwrap_err().code(), Code::Internal);
    write(&prefix, Width::U16);
    let store = TokenStore::open(vec![(0, prefix.clone())]).unwrap();
    assert_eq!(
        store.read_into(DocId::new(2), 0, 2, &mut vec![]).unwrap_err().code(),
        Code::FileCorrupt
    );
    fs::write(prefix.with_extension("ids"), b"other").unwrap();
    assert_eq!(
        TokenStore::open(vec![(0, prefix)])
            .unwrap()
            .read_into(DocId::new(0), 0, 1, &mut vec![])
            .unwrap_err()
            .code(),
        Code::FileCorrupt
    );
}
