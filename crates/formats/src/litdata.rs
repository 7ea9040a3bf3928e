//! LitData's chunks of tokens, for `TokensLoader`: `chunk-NNNNN-0.bin`, one a shard, and
//! `index.json`.
//!
//! A chunk is: u32 number of items n; n + 1 u32 offsets from the file's start, the first of which is
//! the start of the first item; the items. An item is the ids of a sequence, u16, or i32 where some
//! id could be larger. All numbers little-endian.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use serde_json::{Value, json};

use crate::id_writer::IdWriter;
use crate::ids::{Width, corrupt, read_part};
use crate::provenance::ProvenanceWriter;
use crate::shard::fingerprint;
use crate::{SequenceBatch, SequenceWriter, ShardFile, WriterOptions};

/// Writes one chunk.
pub(crate) struct LitdataWriter {
    ids: IdWriter,
    name: String,
    path: PathBuf,
    planned: u64,
    sequences: u64,
    provenance: ProvenanceWriter,
}

impl LitdataWriter {
    /// Errors: `OPTIONS_INVALID` where the chunk would be too large.
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
        sequences: usize,
    ) -> Result<LitdataWriter> {
        let name = format!("chunk-{shard:05}-0.bin");
        let path = directory.join(&name);
        let width = Width::narrowest(options.max_id);
        let head = head(sequences as u64, u64::from(options.length) * width.bytes());
        let head = head.ok_or_else(|| {
            let message = format!(
                "{} would have more than 4 GiB, the most a chunk of LitData can have; give a \
                 smaller `output.shardTokens`",
                path.display()
            );
            Error::new(Code::OptionsInvalid, message).with("option", "output.shardTokens")
        })?;
        let mut ids = IdWriter::create(&path, width)?;
        ids.put(&head)?;
        Ok(LitdataWriter {
            ids,
            name,
            path,
            planned: sequences as u64,
            sequences: 0,
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

/// The bytes before the items: their number and offsets. `None` where one needs more than 32 bits.
fn head(items: u64, bytes: u64) -> Option<Vec<u8>> {
    let first = 4 + 4 * (items + 1);
    u32::try_from(first.checked_add(items.checked_mul(bytes)?)?).ok()?;
    let offsets = (0..=items).map(|item| first + item * bytes);
    Some([items].into_iter().chain(offsets).flat_map(|n| (n as u32).to_le_bytes()).collect())
}

impl SequenceWriter for LitdataWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        self.sequences += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.ids.push(parts, &mut self.provenance)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let LitdataWriter { ids, name, path, planned, sequences, provenance } = *self;
        if sequences != planned {
            let message =
                format!("{} has {sequences} sequences, not {planned} as planned", path.display());
            return Err(Error::new(Code::Internal, message));
        }
        let mut files = vec![ShardFile::new(name, ids.commit()?, sequences)];
        files.extend(provenance.finish()?);
        Ok(files)
    }
}

/// `index.json` over the chunks among an output's files.
pub(crate) fn index(options: &WriterOptions, files: &[ShardFile]) -> Vec<u8> {
    let chunks = || files.iter().filter(|file| file.record.name.starts_with("chunk-"));
    let listed: Vec<Value> = chunks()
        .map(|ShardFile { record, content }| {
            json!({
                "chunk_bytes": record.bytes, "chunk_size": content.sequences,
                "dim": content.sequences * u64::from(options.length), "filename": record.name,
            })
        })
        .collect();
    // Their types by number: NumPy's uint16, and torch's int, as LitGPT's own tokens are.
    let format = match Width::narrowest(options.max_id) {
        Width::Two => "no_header_numpy:5",
        Width::Four => "no_header_tensor:16",
    };
    let config = json!({
        "chunk_bytes": chunks().map(|file| file.record.bytes).max(), "chunk_size": null,
        "compression": null, "data_format": [format],
        // One array, as torch's pytree writes it down.
        "data_spec": r#"[1, {"type": null, "context": null, "children_spec": []}]"#,
        "encryption": null, "item_loader": "TokensLoader",
    });
    // Readers drop what they have cached where this differs.
    let updated = fingerprint(chunks());
    json!({ "chunks": listed, "config": config, "updated_at": updated }).to_string().into_bytes()
}

/// The token ids of an item, `length` of them.
pub(crate) fn read_ids(path: &Path, item: u64, length: u32) -> Result<Vec<u32>> {
    let file = std::fs::File::open(path).at("open", path)?;
    let pair = |offset| -> Result<[u64; 2]> {
        let bytes = read_part(&file, path, offset, 8)?;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Ok([number(0), number(4)].map(u64::from))
    };
    let [items, _] = pair(0)?;
    if item >= items {
        return Err(corrupt(path, &format!("it has {items} items, there is no item {item}")));
    }
    let [start, end] = pair(4 * (item + 1))?;
    let bytes = end.checked_sub(start).ok_or_else(|| corrupt(path, &"offsets fall"))?;
    let fits = |width: &Width| width.bytes() * u64::from(length) == bytes;
    let width = [Width::Two, Width::Four].into_iter().find(fits).ok_or_else(|| {
        corrupt(path, &format!("item {item} has {bytes} bytes, which are not {length} ids"))
    })?;
    width.read(path, start, u64::from(length))
}
