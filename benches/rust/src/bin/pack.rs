//! Packing a standard plan over documents held in memory: `pack TOKENS LENGTH PASSES FOLDER`. In
//! memory, compared with memcpy of the same bytes, and into files of each format.

use longweave_benches::{arguments, print, time};
use longweave_common::random::Key;
use longweave_common::{Ctx, DocId, Offsets, Result};
use longweave_formats::{Compression, Format, MdsIndices, Provenance, WriterOptions, open_writer};
use longweave_pack::{PackSource, TokenSource, assemble, pack_shard};
use longweave_plan::{
    Dedup, Fill, Incomplete, Method, Overflow, Part, PlanInput, PlanOptions, Policies, Pool,
    PoolOptions, StandardOptions, plan,
};
use serde_json::json;

/// Documents end to end.
struct Tokens {
    ids: Vec<u32>,
    documents: Offsets,
}

impl TokenSource for Tokens {
    fn len(&self, doc: DocId) -> u32 {
        self.documents.range(doc.index()).len() as u32
    }

    fn read_into(&self, doc: DocId, start: u32, len: u32, out: &mut Vec<u32>) -> Result<()> {
        let from = self.documents.range(doc.index()).start + start as usize;
        out.extend_from_slice(&self.ids[from..from + len as usize]);
        Ok(())
    }
}

/// Documents of 20 to about 2,000 tokens, most of them short; ids as frequent as words are.
fn tokens(wanted: usize) -> Tokens {
    let mut made = Tokens { ids: Vec::with_capacity(wanted + 2048), documents: Offsets::default() };
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    while made.ids.len() < wanted {
        let length = 20 + (next() % 100) * (next() % 20);
        made.ids.extend((0..length).map(|_| (50_000 / (1 + next() % 49_999)) as u32));
        made.documents.push(made.ids.len());
    }
    made
}

fn main() {
    let arguments = arguments();
    let tokens = tokens(arguments[0].parse().expect("tokens"));
    let length: u32 = arguments[1].parse().expect("a length");
    let passes: usize = arguments[2].parse().expect("passes");
    let folder = std::path::Path::new(&arguments[3]);
    let documents = tokens.documents.len();
    let names: Vec<String> = (0..documents).map(|i| format!("document-{i}")).collect();
    let keys: Vec<u128> = names.iter().map(|n| Key::of(n).0).collect();
    let lens: Vec<u32> = (0..documents as u32).map(|d| tokens.len(DocId::new(d))).collect();
    let options = PlanOptions {
        method: Method::Standard(StandardOptions { pool: Pool::All }),
        pool: PoolOptions { min_tokens: 1, max_tokens: None, holdout: 0.0, dedup: Dedup::None },
        policies: Policies {
            length,
            lead: 0,
            separator: 1,
            sequence_bos: false,
            overflow: Overflow::Split,
            fill: Fill::Next,
            incomplete: Incomplete::Drop,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    };
    let ctx = Ctx::new(0, 2 << 30).expect("threads start");
    let input = PlanInput {
        lens: &lens,
        keys: &keys,
        text_hashes: None,
        keyword_of: None,
        keyword_keys: &[],
        forest: None,
        sources: None,
        neighbours: None,
        chunks: None,
        heads: None,
    };
    let planned = plan(&ctx, &input, &options, Part::Main).expect("a plan");
    let id = |doc: DocId| names[doc.index()].as_str();
    let source = PackSource {
        shape: planned.shape,
        sequences: &planned.sequences,
        groups: &planned.groups,
        tokens: &tokens,
        id: &id,
        phrase: &|_| None,
        separator: &[0],
        bos: None,
        pad: None,
    };
    let sequences = planned.sequences.len();
    let all = sequences as u64 * u64::from(length);
    // Batches as packing takes them, so that memory is reused as it is in a run.
    let (gather, _) = time(passes, || {
        for start in (0..sequences).step_by(32) {
            assemble(&ctx, &source, start..(start + 32).min(sequences)).expect("sequences");
        }
    });
    let mut copy = vec![0u32; 32 * length as usize];
    let (memcpy, _) = time(passes, || {
        for part in tokens.ids.chunks(copy.len()) {
            copy[..part.len()].copy_from_slice(part);
            std::hint::black_box(&copy);
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
        ("jsonl", Format::Jsonl, Compression::Zstd),
    ];
    for (name, format, compression) in formats {
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
        };
        let (seconds, files) = time(passes, || {
            let mut writer = open_writer(&options, folder, 0).expect("the folder can be written");
            pack_shard(&ctx, &source, &mut *writer, 0, None).expect("a shard");
            writer.finish().expect("a shard")
        });
        result[name] = json!(seconds);
        result[format!("{name}Bytes")] = json!(files[0].record.bytes);
    }
    print(result);
}
