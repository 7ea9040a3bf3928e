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
        ("a.jsonl.bz2", Some(Kind::Jsonl(Packing::Bzip2))),
        ("a.json.xz", Some(Kind::Jsonl(Packing::Xz))),
        ("a.ndjson.LZ4", Some(Kind::Jsonl(Packing::Lz4))),
        ("a.tar", Some(Kind::Tar(Packing::Plain))),
        ("a.tar.zst", Some(Kind::Tar(Packing::Zstd))),
        ("a.tgz", Some(Kind::Tar(Packing::Gzip))),
        ("a.txt.gz", None),
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
    let mut options = options(&[directory.path()]);
    options.skip = vec![".*".into()];
    assert_eq!(paths(&options), expected);
}

/// The files below a directory that are not read: reason, name, count, first example.
fn unread(options: &longweave_corpus::CorpusOptions) -> Vec<String> {
    let list = inventory(crate::ctx(), options).unwrap().unread;
    let line = |u: &longweave_corpus::Unread| {
        format!("{:?} {} {} {}", u.reason, u.name, u.count, u.examples[0])
    };
    list.iter().map(line).collect()
}

#[test]
fn directories_of_other_tools_are_read_without_what_is_no_data() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let row = "{\"text\":\"t\"}\n";
    put(
        root,
        &[
            ("spark/part-0.jsonl", row),
            ("spark/_temporary/0/part-1.jsonl", row),
            ("spark/_delta_log/0.json", row),
            ("spark/_SUCCESS", ""),
            ("spark/.part-0.jsonl.crc", ""),
            ("hub/data/train.jsonl", row),
            ("hub/README.md", "---\n---\n"),
            ("hub/dataset_infos.json", "{}"),
            ("hub/data/licence.txt", "all rights"),
            ("hub/script.py", ""),
            ("hub/data/x.py", ""),
            ("hub/noending", ""),
            ("texts/README.md", "a text"),
            ("texts/b.txt", "b"),
            ("parts/_lang=de/a.jsonl", row),
        ],
    );
    let of = |name: &str| {
        let mut options = options(&[&root.join(name)]);
        options.skip = ["_*", ".*", "dataset_infos.json"].map(str::to_owned).to_vec();
        options
    };
    assert_eq!(paths(&of("spark")), ["part-0.jsonl"]);
    assert_eq!(unread(&of("spark")), ["Skipped .* 1 .part-0.jsonl.crc", "Skipped _* 3 _SUCCESS"]);
    assert_eq!(paths(&of("hub")), ["data/train.jsonl"]);
    assert_eq!(
        unread(&of("hub")),
        [
            "Skipped dataset_infos.json 1 dataset_infos.json",
            "Card  2 README.md",
            "Kind  1 noending",
            "Kind .py 2 data/x.py"
        ]
    );
    assert_eq!(paths(&of("texts")), ["README.md", "b.txt"]);
    assert_eq!(paths(&of("parts")), ["_lang=de/a.jsonl"]);
    // Without patterns everything is read, hidden files too.
    assert_eq!(paths(&options(&[&root.join("spark")])).len(), 3);
    let mut bad = of("spark");
    bad.skip = vec!["[".into()];
    assert_eq!(code(inventory(crate::ctx(), &bad)), "OPTIONS_INVALID");
}

#[test]
fn the_run_itself_and_other_outputs_are_no_corpus() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    put(
        root,
        &[
            ("a.jsonl", "{\"text\":\"t\"}\n"),
            ("out/00000.jsonl", "{}"),
            ("tokenizer.json", "{}"),
            ("other/run.json", "{}"),
            ("other/.state/log.jsonl", "{}"),
            ("other/00000.jsonl", "{}"),
        ],
    );
    let mut options = options(&[root]);
    options.own = vec![root.join("out"), root.join("tokenizer.json"), root.join("absent")];
    assert_eq!(paths(&options), ["a.jsonl"]);
    assert_eq!(unread(&options), ["OwnFile  2 out/", "Output  1 other/"]);
    // A corpus that lies within the run's directories, as pushed documents do, is read.
    options.paths = vec![root.join("out").to_str().unwrap().to_owned()];
    assert_eq!(paths(&options), ["00000.jsonl"]);
}

#[test]
fn a_directory_of_a_partition_names_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let row = "{\"text\":\"t\"}\n";
    put(
        root,
        &[
            ("lang=a/lang=b%20c/x.jsonl", row),
            ("lang=d/y.txt", "t"),
            ("lang=__HIVE_DEFAULT_PARTITION__/z.jsonl", row),
            ("lang=e/own.jsonl", "{\"text\":\"t\",\"lang\":\"own\"}\n"),
            ("other/w.jsonl", row),
        ],
    );
    let sources = |path: &Path| {
        let mut options = options(&[path]);
        options.source_field = Some("lang".into());
        let rows = rows(&options).unwrap();
        let source = |row: crate::Seen| (row.document().0.to_owned(), row.source);
        rows.into_iter().map(source).collect::<Vec<_>>()
    };
    let expected = [
        ("lang=__HIVE_DEFAULT_PARTITION__/z.jsonl:0", None),
        ("lang=a/lang=b%20c/x.jsonl:0", Some("b c")),
        ("lang=d/y.txt:0", Some("d")),
        ("lang=e/own.jsonl:0", Some("own")),
        ("other/w.jsonl:0", None),
    ];
    assert_eq!(sources(root), expected.map(|(id, s)| (id.to_owned(), s.map(str::to_owned))));
    // Also where the partition's directory, or its file, is the corpus itself.
    for path in [root.join("lang=d"), root.join("lang=d/y.txt")] {
        assert_eq!(sources(&path), [("lang=d/y.txt:0".to_owned(), Some("d".to_owned()))]);
    }
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
        let mut options = options(&[&root.join(glob)]);
        options.skip = vec![".*".into()];
        assert_eq!(paths(&options), expected, "{glob}");
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
    options.split_bytes = Some(12);
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
        options.split_bytes = Some(split_bytes);
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
