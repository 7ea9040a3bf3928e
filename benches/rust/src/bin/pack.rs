//! Packing a standard plan over documents held in memory: `pack IDS ENDS LENGTH PASSES FOLDER
//! [THREADS [FORMAT]]`. In memory, compared with memcpy of the same bytes, and into files of each format, compared with
//! writing the same bytes with `write` and `fsync`. IDS are u32 token ids of all documents, ENDS
//! u64 ends of documents.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use longweave_benches::{arguments, cpu, print, time};
use longweave_common::random::Key;
use longweave_common::{Ctx, DocId, Offsets, Result};
use longweave_formats::{
    Compression, Format, MdsIndices, Provenance, SequenceBatch, WriterOptions, open_writer, parts,
};
use longweave_pack::{PackSource, ShardTokens, TokenSource, assemble, pack_shard};
use longweave_plan::{
    Fill, Incomplete, Method, NamedGroups, Overflow, Part, PlanInput, PlanOptions, Policies, Pool,
    PoolOptions, StandardOptions, plan,
};
use serde_json::json;

/// Documents end to end.
struct Tokens {
    ids: Vec<u32>,
    documents: Offsets,
}

impl TokenSource for Tokens {
    fn prefetch(&self, doc: DocId, start: u32, len: u32) {
        let own = self.documents.range(doc.index());
        let from = own.end.min(own.start + start as usize);
        let ids = &self.ids[from..own.end.min(from + len as usize)];
        // One of each cache line.
        std::hint::black_box(ids.iter().step_by(16).fold(0, |all, id| all ^ id));
    }

    fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        let from = self.documents.range(doc.index()).start + start as usize;
        out.copy_from_slice(&self.ids[from..from + out.len()]);
        Ok(())
    }
}

fn tokens(ids: &str, ends: &str) -> Tokens {
    let bytes = |path: &str| std::fs::read(path).expect("the file can be read");
    let (ids, ends) = (bytes(ids), bytes(ends));
    let id = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("four bytes"));
    let end = |b: &[u8]| u64::from_le_bytes(b.try_into().expect("eight bytes"));
    Tokens {
        ids: ids.chunks_exact(4).map(id).collect(),
        documents: Offsets::from_ends(ends.chunks_exact(8).map(end).collect())
            .expect("ends that do not fall"),
    }
}

/// Writes the bytes of a file to another.
fn copy(from: &Path, to: &Path, passes: usize) -> Vec<f64> {
    let bytes = std::fs::read(from).expect("the file can be read");
    let (seconds, _) = time(passes, || {
        let _ = std::fs::remove_file(to);
        let mut file = File::create(to).expect("the folder can be written");
        bytes.chunks(4 << 20).for_each(|part| file.write_all(part).expect("the disk has room"));
        file.sync_all().expect("the disk works");
    });
    seconds
}

fn main() {
    let arguments = arguments();
    let tokens = tokens(&arguments[0], &arguments[1]);
    let length: u32 = arguments[2].parse().expect("a length");
    let passes: usize = arguments[3].parse().expect("passes");
    let folder = Path::new(&arguments[4]);
    let threads = arguments.get(5).map_or(0, |n| n.parse().expect("threads"));
    let documents = tokens.documents.len();
    let names: Vec<String> = (0..documents).map(|i| format!("document-{i}")).collect();
    let keys: Vec<u128> = names.iter().map(|n| Key::of(n).0).collect();
    let lens: Vec<u32> = (0..documents).map(|d| tokens.documents.range(d).len() as u32).collect();
    let options = PlanOptions {
        method: Method::Standard(StandardOptions { pool: Pool::All }),
        pool: PoolOptions::ALL,
        policies: Policies {
            length,
            lead: 0,
            separator: 1,
            sequence_bos: false,
            part_end: 0,
            part_begin: 0,
            overflow: Overflow::Split,
            fill: Fill::Next,
            incomplete: Incomplete::Drop,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    };
    let ctx = Ctx::new(threads, 2 << 30).expect("threads start");
    let input = PlanInput {
        lens: &lens,
        keys: &keys,
        text_hashes: None,
        near: None,
        keyword_of: None,
        keyword_keys: &[],
        forest: None,
        sources: None,
        weights: None,
        neighbours: None,
        chunks: None,
        topics: None,
        heads: None,
    };
    let planned = plan(&ctx, &input, &options, Part::Main).expect("a plan");
    let id = |doc: DocId| names[doc.index()].as_str();
    let ordered = planned.sequences.copy(0..planned.sequences.len());
    let pieces = ordered.pieces();
    let lens: Vec<u32> = pieces.iter().map(|piece| lens[piece.doc.index()]).collect();
    let groups = NamedGroups::of(&planned.groups, pieces);
    let source = PackSource {
        shape: planned.shape,
        sequences: &ordered,
        lens: &lens,
        groups: &groups,
        id: &id,
        phrase: &|_| None,
        separator: &[0],
        part_end: &[],
        part_begin: &[],
        bos: None,
        pad: None,
    };
    let sequences = planned.sequences.len();
    let all = sequences as u64 * u64::from(length);
    // Parts as packing takes them, so that memory is reused as it is in a run.
    let mut batch = SequenceBatch::default();
    let (gather, _) = time(passes, || {
        for part in parts(length, sequences) {
            assemble(&ctx, &source, &tokens, part, &mut batch).expect("sequences");
            std::hint::black_box(&batch);
        }
    });
    let mut copied = vec![0u32; batch.input_ids().len().max(1)];
    let (memcpy, _) = time(passes, || {
        for part in tokens.ids.chunks(copied.len()) {
            copied[..part.len()].copy_from_slice(part);
            std::hint::black_box(&copied);
        }
    });
    let mut result =
        json!({ "tokens": all, "documents": documents, "gather": gather, "memcpy": memcpy });
    let formats = [
        ("parquet", Format::Parquet, Compression::Zstd),
        ("mds", Format::Mds, Compression::None),
        ("mdsZstd", Format::Mds, Compression::Zstd),
        ("megatron", Format::Megatron, Compression::None),
        ("datatrove", Format::Datatrove, Compression::None),
        ("numpy", Format::Numpy, Compression::None),
        ("datasets", Format::Datasets, Compression::None),
        ("litdata", Format::Litdata, Compression::None),
        ("jsonl", Format::Jsonl, Compression::Zstd),
    ];
    let only = arguments.get(6);
    for (name, format, compression) in formats {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let options = WriterOptions {
            format,
            length,
            max_id: 50_000,
            tokenizer: String::new(),
            method: "{}".into(),
            domain: "standard".into(),
            provenance: Provenance::Full,
            compression,
            mds_indices: MdsIndices::Sequence,
            mds_shard_bytes: None,
            columns: Vec::new(),
            mask_first: false,
            weights: Vec::new(),
        };
        let pieces: Vec<u32> = (0..sequences).map(|i| ordered.range(i).len() as u32).collect();
        let before = cpu();
        let (seconds, files) = time(passes, || {
            let mut writer =
                open_writer(&options, folder, 0, &pieces).expect("the folder can be written");
            pack_shard(&ctx, &source, &mut *writer, 0, ShardTokens::Gather(&tokens))
                .expect("a shard");
            writer.finish().expect("a shard")
        });
        let mut own = json!({ "seconds": seconds, "cpu": (cpu() - before) / passes as f64 });
        own["bytes"] = json!(files.iter().map(|f| f.record.bytes).sum::<u64>());
        own["idBytes"] = json!(files[0].record.bytes);
        own["write"] =
            json!(copy(&folder.join(&files[0].record.name), &folder.join("raw"), passes));
        result[name] = own;
    }
    print(result);
}
