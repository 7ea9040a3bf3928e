//! Megatron-LM's IndexedDataset: one sequence an entry, `shard_NNNNN.bin` with the ids end to end
//! and `shard_NNNNN.idx` with their places.
//!
//! The index is: `MMIDIDX` and two zero bytes; u64 1; u8 type of the ids (8 u16, 4 i32); u64
//! entries S; u64 S + 1; i32 tokens of each entry; i64 byte offset of each; i64 0, 1 … S, where
//! Megatron's documents begin and end. All numbers little-endian.

use std::fs::File;
use std::path::{Path, PathBuf};

use longweave_common::{Result, ResultExt};

use crate::id_writer::IdWriter;
use crate::ids::{Width, corrupt, read_part};
use crate::output_file::OutputFile;
use crate::provenance::ProvenanceWriter;
use crate::{SequenceBatch, SequenceWriter, ShardFile, WriterOptions};

const MAGIC: [u8; 9] = *b"MMIDIDX\0\0";
const VERSION: u64 = 1;
/// Bytes before the tokens of entries.
const HEAD: u64 = 34;

/// Writes one pair of files.
pub(crate) struct MegatronWriter {
    ids: IdWriter,
    index: PathBuf,
    names: [String; 2],
    length: u32,
    entries: u64,
    provenance: ProvenanceWriter,
}

impl MegatronWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<MegatronWriter> {
        let names = ["bin", "idx"].map(|kind| format!("shard_{shard:05}.{kind}"));
        Ok(MegatronWriter {
            ids: IdWriter::create(&directory.join(&names[0]), Width::of_megatron(options.max_id))?,
            index: directory.join(&names[1]),
            names,
            length: options.length,
            entries: 0,
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

impl SequenceWriter for MegatronWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        self.entries += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.ids.push(parts, &mut self.provenance)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let MegatronWriter {
            ids,
            index,
            names: [ids_name, index_name],
            length,
            entries,
            provenance,
        } = *self;
        let width = ids.width();
        let ids = ids.commit()?;
        let mut file = OutputFile::create(&index)?;
        file.put(&MAGIC)?;
        file.put(&VERSION.to_le_bytes())?;
        file.put(&[if width == Width::Two { 8 } else { 4 }])?;
        file.put(&entries.to_le_bytes())?;
        file.put(&(entries + 1).to_le_bytes())?;
        // Every sequence has `length` tokens, so that all else follows from their number. A length
        // is below 2³¹.
        (0..entries).try_for_each(|_| file.put(&length.to_le_bytes()))?;
        let stride = u64::from(length) * width.bytes();
        (0..entries).try_for_each(|entry| file.put(&(entry * stride).to_le_bytes()))?;
        (0..=entries).try_for_each(|entry| file.put(&entry.to_le_bytes()))?;
        let mut files = vec![
            ShardFile::new(ids_name, ids, entries),
            ShardFile::new(index_name, file.commit()?, 0),
        ];
        files.extend(provenance.finish()?);
        Ok(files)
    }
}

/// The token ids of an entry, as its index says.
pub(crate) fn read_ids(path: &Path, entry: u64) -> Result<Vec<u32>> {
    let index = path.with_extension("idx");
    let file = File::open(&index).at("open", &index)?;
    let part = |offset, n| read_part(&file, &index, offset, n);
    let head = part(0, HEAD)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    if head[..9] != MAGIC || number(9) != VERSION {
        return Err(corrupt(&index, &"it is not the index of an IndexedDataset, version 1"));
    }
    let width = match head[17] {
        8 => Width::Two,
        4 => Width::Four,
        other => {
            return Err(corrupt(
                &index,
                &format!("its ids are of type {other}, neither u16 (8) nor i32 (4)"),
            ));
        }
    };
    let entries = number(18);
    if entry >= entries {
        return Err(corrupt(
            &index,
            &format!("it has {entries} entries, there is no entry {entry}"),
        ));
    }
    let at = |width: u64, before: u64| {
        HEAD.saturating_add(before).saturating_add(entry.saturating_mul(width))
    };
    let tokens = part(at(4, 0), 4)?;
    let offset = part(at(8, entries.saturating_mul(4)), 8)?;
    let tokens = i32::from_le_bytes(std::array::from_fn(|i| tokens[i]));
    let offset = i64::from_le_bytes(std::array::from_fn(|i| offset[i]));
    let (Ok(tokens), Ok(offset)) = (u64::try_from(tokens), u64::try_from(offset)) else {
        return Err(corrupt(
            &index,
            &format!("entry {entry} has {tokens} tokens at byte {offset}"),
        ));
    };
    width.read(path, offset, tokens)
}
