//! Documents that come one by one become an ordinary corpus.

use longweave_common::Code;
use longweave_corpus::{CorpusOptions, Origin, SpoolWriter};

use crate::{options, rows};

#[test]
fn what_is_pushed_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(directory.path()).unwrap();
    writer
        .push("{\"id\":\"x\",\"text\":\"one\u{2028}\\n\\\"\",\"source\":\"s\",\"queries\":[\"q1\",\"q2\"]}\n")
        .unwrap();
    writer.push("{\"id\":1,\"text\":\"two\"}\n{\"id\":\"y\",\"text\":\"\"}\n").unwrap();
    writer.push("").unwrap();
    let files = writer.finish().unwrap();
    assert_eq!(files, [directory.path().join("00000.jsonl.zst")]);
    let named = |name: &str| Some(name.to_owned());
    let options = CorpusOptions {
        origin: Origin::Pushed,
        id_field: named("id"),
        source_field: named("source"),
        query_field: named("queries"),
        ..options(&[directory.path()])
    };
    let found = rows(&options).unwrap();
    assert_eq!(
        (found[0].document(), found[0].source.as_deref()),
        (("x", "one\u{2028}\n\""), Some("s"))
    );
    assert_eq!(found[0].queries, ["q1", "q2"]);
    assert_eq!((found[1].document(), &found[1].source), (("1", "two"), &None));
    assert_eq!(found[2].content, Err("EMPTY".to_owned()));
    for (i, row) in found.iter().enumerate() {
        let location = format!("document {i} of the pushed corpus (counted from 0)");
        assert_eq!(row.location, location);
    }
}

#[test]
fn a_spool_of_nothing_is_refused_and_one_that_is_dropped_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        SpoolWriter::create(directory.path()).unwrap().finish().unwrap_err().code(),
        Code::CorpusEmpty
    );
    let mut writer = SpoolWriter::create(directory.path()).unwrap();
    writer.push("{\"text\":\"t\"}\n").unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
