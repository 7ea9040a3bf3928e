//! Untrusted corpora: small on the disk and large in memory, endless, or special files. Memory is measured in a process of
//! its own, against `memory` and what a process takes anyway.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use longweave_common::{Code, Ctx, Error};
use longweave_corpus::{Before, Content, CorpusOptions, RowReader, count_rows, inventory};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::packings::PACKINGS;
use crate::{code, options, rows};

/// `memory` of the processes that are measured.
const MEMORY: u64 = 64 << 20;
/// Memory of such a process in addition: the program, its threads, buffers of fixed size.
const BESIDE: u64 = 32 << 20;

/// Reads a corpus as scan and ingest do: documents, bad and empty rows, and the bytes of the documents.
fn read(ctx: &Ctx, options: &CorpusOptions) -> Result<[u64; 4], Error> {
    let list = inventory(ctx, options)?;
    let mut seen = [0; 4];
    for split in 0..list.splits.len() {
        let counted = count_rows(ctx, options, &list, split)?;
        let mut reader = RowReader::open(ctx, options, &list, split, Before::default())?;
        let before = seen[0] + seen[1] + seen[2];
        while let Some(row) = reader.next()? {
            match row.content {
                Content::Document(document) => {
                    seen[0] += 1;
                    seen[3] += document.text.len() as u64;
                }
                Content::Bad(_) => seen[1] += 1,
                Content::Empty => seen[2] += 1,
            }
        }
        assert_eq!(counted.rows, seen[0] + seen[1] + seen[2] - before, "scan counts what is read");
    }
    Ok(seen)
}

/// The process that is measured: reads what LONGWEAVE_HOSTILE names and says what it saw and how much memory it took at most.
#[test]
fn child() {
    let Some(path) = std::env::var_os("LONGWEAVE_HOSTILE") else { return };
    let mut options = options(&[Path::new(&path)]);
    (options.max_document_bytes, options.split_bytes) = (64 << 20, Some(u64::MAX));
    let seen = read(&Ctx::new(1, MEMORY).unwrap(), &options)
        .map_err(|e| (e.code().name(), e.message().to_owned()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let result = serde_json::json!({ "seen": seen.clone().ok(), "error": seen.err(), "peak": peak.unwrap_or(0) << 10 });
    std::io::stdout().write_all(format!("SEEN {result}\n").as_bytes()).unwrap();
}

/// The rows that a process of its own sees in a corpus, or its error's code and message. It takes no more memory than it may.
fn measured(path: &Path) -> Result<[u64; 4], (String, String)> {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", "hostile::child", "--nocapture"])
        .env("LONGWEAVE_HOSTILE", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let at = text
        .find("SEEN ")
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let seen: serde_json::Value =
        serde_json::from_str(text[at + 5..].lines().next().unwrap()).unwrap();
    let peak = seen["peak"].as_u64().unwrap();
    assert!(peak < MEMORY + BESIDE, "{}: {} MiB", path.display(), peak >> 20);
    serde_json::from_value(seen["seen"].clone())
        .map_err(|_| serde_json::from_value(seen["error"].clone()).unwrap())
}

/// A zstd frame of `blocks` blocks, each 128 KiB of one byte: four bytes on the disk. `window` is a power of two.
fn bomb(byte: u8, blocks: usize, window: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3];
    for i in 0..blocks {
        let last = u32::from(i + 1 == blocks);
        frame.extend_from_slice(&(128 << 10 << 3 | 1 << 1 | last).to_le_bytes()[..3]);
        frame.push(byte);
    }
    frame
}

fn bombs(blocks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let row = zstd::stream::encode_all(&b"\n{\"text\":\"t\"}\n"[..], 1).unwrap();
    let after = |bomb: Vec<u8>| [bomb, row.clone()].concat();
    assert_eq!(measured(&put("line.jsonl.zst", &after(bomb(b'a', blocks, 17)))), Ok([1, 1, 0, 1]));
    assert_eq!(measured(&put("ends.jsonl.zst", &after(bomb(b'\n', blocks, 17)))), Ok([1, 0, 0, 1]));
    assert_eq!(
        measured(&put("spaces.jsonl.zst", &after(bomb(b' ', blocks, 17)))),
        Ok([1, 1, 0, 1])
    );
    let open = zstd::stream::encode_all(&b"{\"text\":\""[..], 1).unwrap();
    assert_eq!(
        measured(&put("string.jsonl.zst", &after([open, bomb(b'a', blocks, 17)].concat()))),
        Ok([1, 1, 0, 1])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_unpacks_to_a_gigabyte_takes_no_memory() {
    bombs(8 << 10);
}

#[cfg(target_os = "linux")]
#[test]
fn what_unpacks_to_a_gigabyte_takes_no_memory_in_any_packing_and_layout() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    for (ending, _, pack) in &PACKINGS[1..] {
        // Streams of 16 MiB of one letter, 64 times, between the ends of a row.
        let bomb = pack(&vec![b'a'; 16 << 20]).repeat(64);
        let packed = [pack(b"{\"text\":\""), bomb, pack(b"\"}\n{\"text\":\"t\"}\n")].concat();
        assert_eq!(measured(&put(&format!("a.jsonl{ending}"), &packed)), Ok([1, 1, 0, 1]));
    }
    let pack = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
    let bomb = bomb(b'a', 8 << 10, 17);
    let array = [pack(b"[{\"text\":\""), bomb.clone(), pack(b"\"},{\"text\":\"t\"}]")].concat();
    assert_eq!(measured(&put("a.json.zst", &array)), Ok([1, 1, 0, 1]));
    let header = |name: &str, size: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let last = [&header("b.txt", 1)[..], b"t", &[0; 511]].concat();
    for name in ["a.txt", "a.jsonl", "a.json", "a.bin"] {
        let archive = [pack(&header(name, 1 << 30)), bomb.clone(), pack(&last)].concat();
        let bad = u64::from(name != "a.bin");
        assert_eq!(measured(&put("a.tar.zst", &archive)), Ok([1, bad, 0, 1]), "{name}");
    }
    // A row of a gigabyte, and four million rows of empty documents.
    let gzip = PACKINGS[1].2;
    let ids = put("a.npy", b"");
    put("a.csv.gz", &[gzip(b"0,0,"), gzip(&vec![b'a'; 16 << 20]).repeat(64)].concat());
    let (code, message) = measured(&ids).unwrap_err();
    assert!(code == "INPUT_TRUNCATED" && message.contains("a.csv.gz:1 "), "{message}");
    put("a.csv.gz", &gzip(&b"0,0\n".repeat(1 << 20)).repeat(4));
    assert_eq!(measured(&ids), Ok([0, 0, 4 << 20, 0]));
    // A name of a gigabyte, and a member that claims more than there is.
    let mut long = tar::Header::new_gnu();
    long.set_entry_type(tar::EntryType::GNULongName);
    long.set_size(1 << 30);
    long.set_cksum();
    let archive = [pack(long.as_bytes()), bomb, pack(&last)].concat();
    assert_eq!(measured(&put("a.tar.zst", &archive)), Ok([0, 0, 0, 0]));
    let endless = [header("a.txt", 1 << 60), b"text".to_vec()].concat();
    let (code, _) = measured(&put("a.tar", &endless)).unwrap_err();
    assert_eq!(code, "INPUT_TRUNCATED");
}

#[cfg(target_os = "linux")]
#[test]
fn an_xz_file_with_a_window_beyond_the_bound_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl.xz");
    let mut options = lzma_rust2::XzOptions::with_preset(0);
    options.lzma_options.dict_size = 64 << 20;
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(b"{\"text\":\"t\"}\n").unwrap();
    fs::write(&path, encoder.finish().unwrap()).unwrap();
    let (code, message) = measured(&path).unwrap_err();
    assert_eq!(code, "MEMORY_BUDGET", "{message}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "unpacks 160 GiB"]
fn what_unpacks_to_twenty_gigabytes_takes_no_memory() {
    bombs(160 << 10);
}

#[cfg(target_os = "linux")]
#[test]
fn a_line_that_may_be_a_document_and_does_not_fit_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl.zst");
    fs::write(
        &path,
        [
            zstd::stream::encode_all(&b"{\"text\":\"t\"}\n{\"text\":\""[..], 1).unwrap(),
            bomb(b'a', 240, 17),
        ]
        .concat(),
    )
    .unwrap();
    let (code, message) = measured(&path).unwrap_err();
    assert!(
        code == "MEMORY_BUDGET"
            && message.starts_with("a.jsonl.zst:2: the line has more than 16777216 bytes"),
        "{message}"
    );
}

#[test]
fn a_zstd_window_is_bounded_by_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl.zst");
    for (memory, window, fits) in [
        (64 << 20, 23, true),
        (64 << 20, 24, false),
        (2 << 30, 27, true),
        (2 << 30, 28, false),
        (1 << 40, 31, true),
    ] {
        fs::write(&path, bomb(b'\n', 1, window)).unwrap();
        let read = read(&Ctx::new(1, memory).unwrap(), &options(&[&path]));
        assert_eq!(
            read.as_ref().err().map(Error::code),
            (!fits).then_some(Code::MemoryBudget),
            "2^{window} of {memory}: {read:?}"
        );
        assert!(fits || read.unwrap_err().message().contains("without --long"));
    }
}

fn table(path: &Path, texts: ArrayRef, properties: WriterProperties) {
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties))
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_dictionary_of_one_long_text_is_held_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let (long, mut all) = ("long text ".repeat(25_000), Vec::new());
    all.resize(2000, long.as_str());
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(1 << 20).build();
    table(&path, Arc::new(StringArray::from(all)), properties);
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    assert_eq!(measured(&path), Ok([2000, 0, 0, 2000 * long.len() as u64]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_page_that_unpacks_to_more_than_there_is_room_for_is_refused_unread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let long = "a".repeat(20 << 20);
    for packing in [
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::SNAPPY,
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_compression(packing)
            .build();
        table(&path, Arc::new(StringArray::from(vec!["first", &long])), properties);
        let (code, message) = measured(&path).unwrap_err();
        assert!(
            code == "MEMORY_BUDGET" && message.contains("more than a quarter of `memory`"),
            "{packing:?}: {message}"
        );
    }
}

/// Replaces all that looks like `from` in a file, which has it at least once.
fn replace(path: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&i| bytes[i..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    fs::write(path, bytes).unwrap();
}

/// A zigzag varint of `n`, in five bytes.
fn varint(n: u32) -> [u8; 5] {
    let n = u64::from(n) << 1;
    std::array::from_fn(|i| (n >> (7 * i)) as u8 & 0x7f | if i < 4 { 0x80 } else { 0 })
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_unpacks_to_more_than_its_page_declares_takes_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let long = "a".repeat(128 << 20);
    for (packing, version) in [
        (Compression::BROTLI(BrotliLevel::try_new(1).unwrap()), WriterVersion::PARQUET_1_0),
        (Compression::BROTLI(BrotliLevel::try_new(1).unwrap()), WriterVersion::PARQUET_2_0),
        (Compression::GZIP(Default::default()), WriterVersion::PARQUET_1_0),
        (Compression::GZIP(Default::default()), WriterVersion::PARQUET_2_0),
    ] {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_writer_version(version)
            .set_compression(packing)
            .build();
        table(&path, Arc::new(StringArray::from(vec![long.as_str()])), properties);
        // The header of the page declares a thousand bytes, and a varint may have zeros at its end.
        let header = [&[0x15][..], &varint((128 << 20) + 4)].concat();
        replace(&path, &header, &[&[0x15][..], &varint(1000)].concat());
        let (code, message) = measured(&path).unwrap_err();
        assert!(
            code == "MEMORY_BUDGET" && message.contains("more than a quarter of `memory`"),
            "{packing:?} {version:?}: {message}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pages_that_fit_one_by_one_are_read_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    // Many short texts make a batch of many rows; then come long ones.
    let long = "b".repeat(3 << 20);
    let texts: Vec<&str> = std::iter::repeat_n("t", 20_000)
        .chain(std::iter::repeat_n(long.as_str(), 12))
        .chain(["end"])
        .collect();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    table(&path, Arc::new(StringArray::from(texts)), properties.set_write_batch_size(1).build());
    assert_eq!(measured(&path), Ok([20_013, 0, 0, 20_003 + 12 * long.len() as u64]));
}

#[test]
fn row_groups_that_claim_more_rows_than_they_hold_or_fewer_are_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    table(&path, Arc::new(StringArray::from(vec!["one"; 77])), WriterProperties::default());
    let bytes = fs::read(&path).unwrap();
    // 77 as a zigzag varint is 0x9a 0x01; each place that holds it becomes a larger number.
    let places: Vec<usize> =
        (0..bytes.len() - 1).filter(|&i| bytes[i..i + 2] == [0x9a, 0x01]).collect();
    assert!(!places.is_empty());
    for (place, high) in places.iter().flat_map(|&place| [(place, 0x7f), (place, 0x00)]) {
        let mut claimed = bytes.clone();
        claimed[place + 1] = high;
        fs::write(&path, claimed).unwrap();
        let found = code(read(crate::ctx(), &options(&[&path])));
        assert!(["NONE", "INPUT_TRUNCATED"].contains(&found), "at byte {place}: {found}");
    }
}

#[test]
fn rows_of_every_hostile_shape_are_documents_or_bad_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let row = |text: &str| format!("{{\"text\":{text}}}");
    let lines = [
        (row(&format!("\"{}\"", "\\u0041".repeat(100_000))), "A"),
        (row(&format!("\"{}\"", "\\n\\\"".repeat(100_000))), "\n"),
        (row("\"\\u0000\\u001b[2J\\u009b\""), "\0"),
        (row("\"\\ud83e\\uddf5\""), "🧵"),
        (row("\"\\ud800\""), "\u{fffd}"),
        (row("\"\\udc00x\""), "\u{fffd}x"),
        (row("\"a\u{0}b\""), "BAD_ROW"),
        (format!("{{{}\"text\":\"last\"}}", "\"text\":\"first\",".repeat(50_000)), "last"),
        (format!("{{\"x\":{}{},\"text\":\"t\"}}", "[".repeat(100_000), "]".repeat(100_000)), "t"),
        (format!("{{\"x\":{}{},\"text\":\"t\"}}", "[".repeat(100), "]".repeat(100)), "t"),
        (format!("{}{}", "{\"text\":".repeat(1000), "}".repeat(1000)), "BAD_ROW"),
        (format!("{{\"text\":{}}}", "9".repeat(100_000)), "BAD_ROW"),
        (format!("{{\"x\":1e{},\"text\":\"t\"}}", "9".repeat(1000)), "t"),
        (format!("{{\"{}\":1,\"text\":\"t\"}}", "k".repeat(500_000)), "t"),
        (format!("\"{}\"", "a string ".repeat(50_000)), "BAD_ROW"),
    ];
    let text: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    for (seen, (line, expected)) in rows(&options(&[&path])).unwrap().iter().zip(&lines) {
        let found = match &seen.content {
            Ok((_, text)) => text.as_str(),
            Err(reason) => {
                assert!(
                    reason.len() < 500,
                    "a reason repeats what it found: {} bytes",
                    reason.len()
                );
                reason.as_str()
            }
        };
        assert!(
            found.starts_with(expected),
            "{}…: {}…",
            &line[..line.floor_char_boundary(60)],
            &found[..found.floor_char_boundary(60)]
        );
    }
}

#[test]
fn an_id_or_a_source_of_megabytes_is_a_bad_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let long = "i".repeat(1 << 20);
    let fits = "i".repeat(8 << 10);
    fs::write(
        &path,
        format!(
            "{{\"text\":\"t\",\"id\":\"{long}\"}}\n{{\"text\":\"t\",\"id\":\"b\",\"s\":\"{long}\"}}\n{{\"text\":\"t\",\"id\":\"{fits}\"}}\n"
        ),
    )
    .unwrap();
    let options = CorpusOptions {
        id_field: Some("id".into()),
        source_field: Some("s".into()),
        ..options(&[&path])
    };
    let found = rows(&options).unwrap();
    assert_eq!(
        found[0].content.as_ref().unwrap_err(),
        "BAD_ROW the field \"id\" (`idField`) has 1048576 bytes, more than 8192"
    );
    assert_eq!(
        found[1].content.as_ref().unwrap_err(),
        "BAD_ROW the field \"s\" (`sourceField`) has 1048576 bytes, more than 8192"
    );
    assert_eq!(found[2].document().0, fits);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_before_it_is_opened() {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe.jsonl")).status().unwrap().success());
    symlink("/dev/zero", at("zero.txt")).unwrap();
    symlink("/dev/zero", at("zero.jsonl.gz")).unwrap();
    for name in ["pipe.jsonl", "zero.txt", "zero.jsonl.gz"] {
        let error = inventory(crate::ctx(), &options(&[&at(name)])).unwrap_err();
        assert!(
            error.code() == Code::InputUnsupported
                && error.message().contains("not a regular file"),
            "{error}"
        );
    }
    // In a directory they are passed over, as files of other kinds are.
    fs::write(at("a.txt"), "text").unwrap();
    symlink(".", at("loop")).unwrap();
    assert_eq!(rows(&options(&[directory.path()])).unwrap().len(), 1);
    // A file that became a pipe since it was listed.
    let listed = inventory(crate::ctx(), &options(&[&at("a.txt")])).unwrap();
    fs::remove_file(at("a.txt")).unwrap();
    assert!(Command::new("mkfifo").arg(at("a.txt")).status().unwrap().success());
    assert_eq!(code(longweave_corpus::check_unchanged(&listed, 0)), "INPUT_UNSUPPORTED");
    let name = std::ffi::OsString::from_vec(b"\xff.txt".to_vec());
    fs::write(directory.path().join(name), "text").unwrap();
    let error = inventory(crate::ctx(), &options(&[directory.path()])).unwrap_err();
    assert!(
        error.code() == Code::InputUnsupported && error.message().contains("not UTF-8"),
        "{error}"
    );
}

#[test]
fn ten_thousand_files_and_a_million_empty_rows_are_read() {
    let directory =
        tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." })
            .unwrap();
    for i in 0..10_000 {
        fs::write(directory.path().join(format!("{i}.txt")), "t").unwrap();
    }
    let mut file = std::io::BufWriter::new(File::create(directory.path().join("x.jsonl")).unwrap());
    (0..1_000_000).for_each(|_| file.write_all(b"{\"text\":\"\"}\n").unwrap());
    file.flush().unwrap();
    let list = options(&[directory.path()]);
    assert_eq!(read(crate::ctx(), &list).unwrap(), [10_000, 0, 1_000_000, 10_000]);
}
