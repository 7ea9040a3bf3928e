//! Token files as dolma leaves them for OLMo-core: `NNNNN.npy` with the ids end to end and, whatever
//! the name says, no header; `NNNNN.csv.gz` with a line for each document, `start,end,id,src,loc`,
//! counted in tokens from the file's start. With the column `label_mask`, `label_mask/NNNNN.npy`
//! has a byte for each token: 0 for padding, and for first tokens that take no part; else 1.
//!
//! Documents tile the sequences as in `datatrove.rs`. `src` and `loc` are empty.

use std::io::{BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use longweave_common::{Result, ResultExt};

use crate::id_writer::IdWriter;
use crate::ids::Width;
use crate::output_file::OutputFile;
use crate::provenance::ProvenanceWriter;
use crate::{Column, Provenance, SequenceBatch, SequenceWriter, ShardFile, WriterOptions, columns};

/// Bytes of lines that are packed at once.
const BLOCK: usize = 1 << 16;

/// Writes the files of a shard.
pub(crate) struct NumpyWriter {
    ids: IdWriter,
    documents: Documents,
    shard: u32,
    sequences: u64,
    provenance: ProvenanceWriter,
}

/// Writes the lines of documents, and the label mask.
struct Documents {
    lines: BufWriter<GzEncoder<OutputFile>>,
    path: PathBuf,
    mask: Option<OutputFile>,
    /// Whether the mask leaves out the first token of each document.
    mask_first: bool,
    /// Whether documents are named.
    named: bool,
    /// Tokens before the next sequence.
    tokens: u64,
}

impl NumpyWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<NumpyWriter> {
        Ok(NumpyWriter {
            ids: IdWriter::create(
                &directory.join(ids_name(shard)),
                Width::narrowest(options.max_id),
            )?,
            documents: Documents::create(options, directory, shard)?,
            shard,
            sequences: 0,
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

impl Documents {
    fn create(options: &WriterOptions, directory: &Path, shard: u32) -> Result<Documents> {
        let path = directory.join(documents_name(shard));
        let with_mask = options.columns.contains(&Column::LabelMask);
        let mask = with_mask.then(|| OutputFile::create(&directory.join(mask_name(shard))));
        // Neither a time nor a system is in the file's head. Packed bytes depend on how many come at
        // once, which is therefore a matter of the lines alone.
        let packed =
            GzBuilder::new().write(OutputFile::create(&path)?, flate2::Compression::default());
        Ok(Documents {
            lines: BufWriter::with_capacity(BLOCK, packed),
            path,
            mask: mask.transpose()?,
            mask_first: options.mask_first,
            named: options.provenance != Provenance::None,
            tokens: 0,
        })
    }

    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        for row in parts.iter().flat_map(SequenceBatch::rows) {
            let mut start = self.tokens;
            let ids = row.pieces.iter().map(|piece| if self.named { piece.doc_id } else { "" });
            for (end, id) in row.ends().zip(ids.chain([""])) {
                let end = self.tokens + u64::from(end);
                let line = line(start, end, id);
                self.lines.write_all(line.as_bytes()).at("write", &self.path)?;
                start = end;
            }
            self.tokens += row.input_ids.len() as u64;
            if let Some(mask) = &mut self.mask {
                let mut own = vec![1; row.n_tokens as usize];
                own.resize(row.input_ids.len(), 0);
                if self.mask_first {
                    columns::firsts(&row).for_each(|first| own[first] = 0);
                }
                mask.put(&own)?;
            }
        }
        Ok(())
    }

    /// Puts both files in place.
    fn finish(self, shard: u32) -> Result<Vec<ShardFile>> {
        let packed = self.lines.into_inner().map_err(IntoInnerError::into_error);
        let file = packed.and_then(GzEncoder::finish).at("write", &self.path)?;
        let mut files = vec![ShardFile::new(documents_name(shard), file.commit()?, 0)];
        if let Some(mask) = self.mask {
            files.push(ShardFile::new(mask_name(shard), mask.commit()?, 0));
        }
        Ok(files)
    }
}

fn ids_name(shard: u32) -> String {
    format!("{shard:05}.npy")
}

fn documents_name(shard: u32) -> String {
    format!("{shard:05}.csv.gz")
}

/// In a folder of its own, so that `*.npy` finds the ids alone.
fn mask_name(shard: u32) -> String {
    format!("label_mask/{shard:05}.npy")
}

/// A document's line. Readers divide the file at line ends before they look for quotes, so that those
/// of an id become spaces.
fn line(start: u64, end: u64, id: &str) -> String {
    let id = id.replace(['\r', '\n'], " ");
    let id = if id.contains([',', '"']) { format!("\"{}\"", id.replace('"', "\"\"")) } else { id };
    format!("{start},{end},{id},,\r\n")
}

impl SequenceWriter for NumpyWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let NumpyWriter { ids, documents, sequences, provenance, .. } = self;
        *sequences += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let (listed, written) =
            rayon::join(|| documents.push(parts), || ids.push(parts, provenance));
        listed.and(written)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let NumpyWriter { ids, documents, shard, sequences, provenance } = *self;
        let mut files = vec![ShardFile::new(ids_name(shard), ids.commit()?, sequences)];
        files.extend(documents.finish(shard)?);
        files.extend(provenance.finish()?);
        Ok(files)
    }
}
