//! Which files a corpus has: paths, trees, globs, roots; text files; changes behind a run's back.

use std::fs;
use std::path::Path;

use longweave_corpus::{Kind, Packing, check_unchanged, inventory};

use crate::{code, options, rows};

fn put(root: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn paths(options: &longweave_corpus::CorpusOptions) -> Vec<String> {
    inventory(crate::ctx(), options).unwrap().files.into_iter().map(|f| f.path).collect()
}

#[test]
fn kinds_follow_from_names() {
    for (name, kind) in [
        ("a.jsonl", Some(Kind::Jsonl(Packing::Plain))),
        ("A.NDJSON", Some(Kind::Jsonl(Packing::Plain))),
        ("x/a.json.gz", Some(Kind::Jsonl(Packing::Gzip))),
        ("a.JSONL.ZST", Some(Kind::Jsonl(Packing::Zstd))),
        ("a.parquet", Some(Kind::Parquet)),
        ("a.arrow", Some(Kind::Arrow)),
        ("a.FEATHER", Some(Kind::Arrow)),
        ("a.ipc", Some(Kind::Arrow)),
        ("a.txt", Some(Kind::Text)),
        ("a.md", Some(Kind::Text)),
        ("a.txt.gz", None),
        ("a.jsonl.bz2", None),
        ("jsonl", None),
        ("x.md/readme", None),
    ] {
        assert_eq!(Kind::of(name), kind, "{name}");
    }
}

#[test]
fn a_tree_is_read_in_byte_order_without_hidden_files_and_other_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        "b.txt",
        "a/z.md",
        "a-b/c.txt",
        "a/.hidden.txt",
        ".git/x.txt",
        "a/picture.png",
        "B.txt",
        "é.txt",
        "a/deep/er/x.jsonl",
    ];
    put(directory.path(), &files.map(|f| (f, "{\"text\":\"t\"}")));
    let expected = ["B.txt", "a-b/c.txt", "a/deep/er/x.jsonl", "a/z.md", "b.txt", "é.txt"];
    assert_eq!(paths(&options(&[directory.path()])), expected);
}

#[test]
fn a_file_found_by_two_patterns_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &[("x/a.txt", "t"), ("x/b.txt", "t"), ("y/c.txt", "t")]);
    let root = directory.path();
    let star = root.join("x/*.txt");
    let twice =
        options(&[&root.join("x"), &star, &root.join("x/a.txt"), &root.join("y/../x/a.txt"), root]);
    assert_eq!(paths(&twice), ["x/a.txt", "x/b.txt", "y/c.txt"]);
}

#[test]
fn globs_match_below_the_part_without_wildcards() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(
        root,
        &[
            ("d/a1.txt", ""),
            ("d/a2.md", ""),
            ("d/b1.txt", ""),
            ("d/e/a3.txt", ""),
            ("d/e/f/a4.txt", ""),
            ("d/.h/a5.txt", ""),
        ],
    );
    for (glob, expected) in [
        ("d/a*.txt", vec!["a1.txt"]),
        ("d/**/a*.txt", vec!["a1.txt", "e/a3.txt", "e/f/a4.txt"]),
        ("d/[ab]1.txt", vec!["a1.txt", "b1.txt"]),
        ("d/{a1,b1}.txt", vec!["a1.txt", "b1.txt"]),
        ("d/?2.*", vec!["a2.md"]),
        ("d/*/a3.txt", vec!["e/a3.txt"]),
    ] {
        assert_eq!(paths(&options(&[&root.join(glob)])), expected, "{glob}");
    }
    for (pattern, expected) in [
        ("d/*.parquet", "INPUT_NOT_FOUND"),
        ("nowhere/*.txt", "INPUT_NOT_FOUND"),
        ("nowhere", "INPUT_NOT_FOUND"),
        ("d/.h", "NONE"),
        ("d/[a.txt", "OPTIONS_INVALID"),
    ] {
        assert_eq!(
            code(inventory(crate::ctx(), &options(&[&root.join(pattern)]))),
            expected,
            "{pattern}"
        );
    }
    put(root, &[("d/data.csv", ""), ("none/x.csv", "")]);
    assert_eq!(
        code(inventory(crate::ctx(), &options(&[&root.join("d/data.csv")]))),
        "INPUT_UNSUPPORTED"
    );
    assert_eq!(code(inventory(crate::ctx(), &options(&[&root.join("none")]))), "INPUT_NOT_FOUND");
}

#[test]
fn ids_start_from_the_root_that_is_given_or_the_longest_common_one() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(root, &[("d/x/a.jsonl", "{\"text\":\"t\"}\n{\"text\":\"u\"}\n"), ("d/y/b.txt", "v")]);
    let files = [root.join("d/x/a.jsonl"), root.join("d/y/b.txt")];
    let mut options = options(&[&files[0], &files[1]]);
    let ids =
        |o: &_| rows(o).unwrap().iter().map(|r| r.document().0.to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&options), ["x/a.jsonl:0", "x/a.jsonl:1", "y/b.txt:0"]);
    options.root = Some(root.to_str().unwrap().to_owned());
    assert_eq!(ids(&options), ["d/x/a.jsonl:0", "d/x/a.jsonl:1", "d/y/b.txt:0"]);
    options.root = Some(root.join("d/y").to_str().unwrap().to_owned());
    assert_eq!(code(rows(&options)), "OPTIONS_INVALID");
}

#[test]
fn text_files_are_one_document_each_and_share_splits() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(
        root,
        &[
            ("a.txt", "one\ntwo"),
            ("b.md", "\u{feff}marked"),
            ("c.txt", " \n"),
            ("e.txt", "0123456789"),
        ],
    );
    fs::write(root.join("d.txt"), b"\xff").unwrap();
    let mut options = options(&[root]);
    options.max_document_bytes = 9;
    let found = rows(&options).unwrap();
    let locations: Vec<_> = found.iter().map(|r| r.location.as_str()).collect();
    assert_eq!(locations, ["a.txt", "b.md", "c.txt", "d.txt", "e.txt"]);
    assert_eq!(found[0].document(), ("a.txt:0", "one\ntwo"));
    assert_eq!(found[1].document(), ("b.md:0", "marked"));
    let reasons: Vec<_> = found[2..].iter().map(|r| r.content.clone().unwrap_err()).collect();
    let expected = [
        "EMPTY",
        "BAD_UTF8 invalid UTF-8 at byte 0 of the file, in line 1",
        "DOCUMENT_TOO_LARGE the file has 10 bytes, more than `maxDocumentBytes` (9)",
    ];
    assert_eq!(reasons, expected);
    assert_eq!(inventory(crate::ctx(), &options).unwrap().splits.len(), 1);
    options.split_bytes = 12;
    assert_eq!(inventory(crate::ctx(), &options).unwrap().splits.len(), 3);
    assert_eq!(rows(&options).unwrap(), found);
    // An id field is for rows; a file is its own id.
    options.id_field = Some("id".into());
    assert_eq!(rows(&options).unwrap(), found);
}

#[test]
fn small_files_of_any_kind_share_splits_and_rows_keep_the_numbers_of_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let line = |i: usize| format!("{{\"text\":\"row {i}\"}}\n");
    let mut expected = Vec::new();
    for file in 0..60usize {
        let n = file % 4;
        let (name, content) = match file % 3 {
            0 => (format!("{file:02}.jsonl"), (0..n).map(line).collect::<String>().into_bytes()),
            1 => (
                format!("{file:02}.jsonl.zst"),
                zstd::bulk::compress((0..n).map(line).collect::<String>().as_bytes(), 1).unwrap(),
            ),
            _ => (format!("{file:02}.txt"), b"a text".to_vec()),
        };
        fs::write(root.join(&name), content).unwrap();
        let rows = if file % 3 == 2 { 1 } else { n };
        let name = name.strip_suffix(".zst").unwrap_or(&name).to_owned();
        expected.extend((0..rows).map(|row| format!("{name}:{row}")));
    }
    let mut options = options(&[root]);
    let mut numbers = Vec::new();
    for split_bytes in [1 << 20, 200, 100] {
        options.split_bytes = split_bytes;
        let found = rows(&options).unwrap();
        assert_eq!(
            found.iter().map(|r| r.document().0.to_owned()).collect::<Vec<_>>(),
            expected,
            "{split_bytes} bytes"
        );
        numbers.push(inventory(crate::ctx(), &options).unwrap().splits.len());
    }
    assert!(numbers[0] == 1 && numbers.is_sorted() && numbers[2] < 60, "{numbers:?} splits");
}

#[test]
fn a_file_that_changes_or_goes_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(root, &[("a.txt", "one"), ("b.txt", "two")]);
    let listed = inventory(crate::ctx(), &options(&[root])).unwrap();
    check_unchanged(&listed, 0).unwrap();
    fs::write(root.join("b.txt"), "other").unwrap();
    let error = check_unchanged(&listed, 0).unwrap_err();
    assert!(error.code().name() == "INPUT_CHANGED" && error.message().contains("b.txt"), "{error}");
    fs::remove_file(root.join("b.txt")).unwrap();
    assert_eq!(code(check_unchanged(&listed, 0)), "INPUT_NOT_FOUND");
}

#[cfg(unix)]
#[test]
fn a_link_keeps_its_own_name_and_a_circle_of_links_ends() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(root, &[("blobs/0badc0de", "{\"text\":\"t\"}\n"), ("snapshot/real.txt", "t")]);
    std::os::unix::fs::symlink("../blobs/0badc0de", root.join("snapshot/train.jsonl")).unwrap();
    std::os::unix::fs::symlink(".", root.join("snapshot/again")).unwrap();
    assert_eq!(
        rows(&options(&[&root.join("snapshot/train.jsonl")])).unwrap()[0].document(),
        ("train.jsonl:0", "t")
    );
    assert_eq!(paths(&options(&[&root.join("snapshot")])), ["real.txt", "train.jsonl"]);
}
