//! Outputs as their readers meet them: every format written and read back, layouts byte by byte,
//! damage found.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod layout;
mod output;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;

use longweave_formats::{
    Compression, Format, ManifestFile, MdsIndices, OutputManifest, Provenance, SequenceBatch,
    SequenceRecord, ShardFile, WriterOptions, index_files, open_writer, parts, write_sums,
};
use longweave_storage::{FileRecord, Sealed, checksum_file};

fn options(format: Format, length: u32) -> WriterOptions {
    WriterOptions {
        format,
        length,
        max_id: 70_000,
        tokenizer: "sha256:abc".into(),
        method: r#"{"name":"standard"}"#.into(),
        domain: "standard".into(),
        provenance: Provenance::Full,
        compression: Compression::None,
        mds_indices: MdsIndices::Sequence,
        mds_shard_bytes: None,
        columns: Vec::new(),
        mask_first: false,
        weights: Vec::new(),
    }
}

const FORMATS: [Format; 8] = [
    Format::Parquet,
    Format::Mds,
    Format::Megatron,
    Format::Datatrove,
    Format::Numpy,
    Format::Datasets,
    Format::Litdata,
    Format::Jsonl,
];

/// A piece: document, place, tokens, place in the document, reason, group.
type PieceOf<'a> = (&'a str, u32, u32, u32, Option<&'a str>, u32);

/// Three sequences of four tokens: two pieces, one piece after a begin token, one piece and
/// padding.
fn three() -> Vec<SequenceRecord> {
    let record = |input_ids: [u32; 4], n_tokens, pieces: &[PieceOf<'_>]| SequenceRecord {
        input_ids: input_ids.to_vec(),
        n_tokens,
        doc_ids: pieces.iter().map(|p| p.0.to_owned()).collect(),
        doc_starts: pieces.iter().map(|p| p.1).collect(),
        doc_lens: pieces.iter().map(|p| p.2).collect(),
        doc_offsets: pieces.iter().map(|p| p.3).collect(),
        reasons: pieces.iter().map(|p| p.4.map(str::to_owned)).collect(),
        groups: pieces.iter().map(|p| p.5).collect(),
    };
    vec![
        record([5, 6, 0, 7], 4, &[("a", 0, 3, 0, Some("red fox"), 0), ("é", 3, 1, 9, None, 1)]),
        record([1, 70_000, 8, 9], 4, &[("b", 1, 3, 2, None, 2)]),
        record([4, 0, 2, 2], 2, &[("c", 0, 2, 0, Some("x"), 3)]),
    ]
}

/// The record that a reader returns for `record`.
fn told(record: &SequenceRecord, provenance: Provenance, format: Format) -> SequenceRecord {
    let SequenceRecord { input_ids, n_tokens, doc_ids, .. } = record.clone();
    match provenance {
        Provenance::Full => record.clone(),
        Provenance::Ids => {
            SequenceRecord { input_ids, n_tokens, doc_ids, ..SequenceRecord::default() }
        }
        // Ids alone do not tell padding from tokens.
        Provenance::None if !matches!(format, Format::Parquet | Format::Jsonl) => SequenceRecord {
            n_tokens: input_ids.len() as u32,
            input_ids,
            ..SequenceRecord::default()
        },
        Provenance::None => SequenceRecord { input_ids, n_tokens, ..SequenceRecord::default() },
    }
}

/// Writes the files of one shard.
fn write_shard(
    directory: &Path,
    options: &WriterOptions,
    records: &[SequenceRecord],
    shard: u32,
) -> Vec<ShardFile> {
    let pieces: Vec<u32> = records.iter().map(|record| record.doc_ids.len() as u32).collect();
    let mut writer = open_writer(options, directory, shard, &pieces).unwrap();
    for part in parts(options.length, records.len()) {
        writer.push(&[SequenceBatch::of(&records[part])]).unwrap();
    }
    let files = writer.finish().unwrap();
    for ShardFile { record, content } in &files {
        let (bytes, xxh3, sha256) = checksum_file(&directory.join(&record.name)).unwrap();
        let found = FileRecord::new(record.name.as_str(), Sealed { bytes, xxh3 });
        assert_eq!((record, &content.sha256), (&found, &sha256));
    }
    files
}

/// Writes a whole output, `per_shard` sequences to a shard.
fn write(directory: &Path, options: &WriterOptions, records: &[SequenceRecord], per_shard: usize) {
    let shards = records.chunks(per_shard).enumerate();
    let files: Vec<ShardFile> = shards
        .flat_map(|(shard, records)| write_shard(directory, options, records, shard as u32))
        .collect();
    let mut names: BTreeMap<String, u64> =
        files.iter().map(|f| (f.record.name.clone(), f.content.sequences)).collect();
    for (name, bytes) in index_files(options, &files) {
        std::fs::write(directory.join(&name), bytes).unwrap();
        names.insert(name, 0);
    }
    seal(directory, options, &names, records.len() as u64);
}

/// Writes manifest and sums over files with their numbers of sequences.
fn seal(directory: &Path, options: &WriterOptions, names: &BTreeMap<String, u64>, sequences: u64) {
    let sum = |name: &str| checksum_file(&directory.join(name)).unwrap();
    let files: Vec<ManifestFile> = names
        .iter()
        .map(|(name, &sequences)| ManifestFile {
            name: name.clone(),
            bytes: sum(name).0,
            sha256: sum(name).2,
            sequences,
        })
        .collect();
    let rest = serde_json::Map::from_iter([("version".to_owned(), "0.1.0".into())]);
    let manifest = OutputManifest {
        format: options.format,
        length: options.length,
        sequences,
        provenance: options.provenance,
        files,
        rest,
    };
    std::fs::write(
        directory.join("longweave.json"),
        serde_json::to_string_pretty(&manifest).unwrap(),
    )
    .unwrap();
    let sums: Vec<_> = names
        .keys()
        .map(String::as_str)
        .chain(["longweave.json"])
        .map(|n| (n.to_owned(), sum(n).2))
        .collect();
    write_sums(directory, &sums).unwrap();
}
