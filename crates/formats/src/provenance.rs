//! `provenance/NNNNN.parquet` for formats that cannot hold pieces: the Parquet columns without
//! `input_ids`.

use std::path::Path;

use longweave_common::Result;

use crate::parquet::ParquetWriter;
use crate::{Provenance, SequenceBatch, SequenceWriter, ShardFile, WriterOptions};

/// Writes one file, or none with provenance `none`.
pub(crate) struct ProvenanceWriter(Option<Box<ParquetWriter>>);

impl ProvenanceWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<ProvenanceWriter> {
        if options.provenance == Provenance::None {
            return Ok(ProvenanceWriter(None));
        }
        Ok(ProvenanceWriter(Some(Box::new(ParquetWriter::create(
            options,
            directory,
            name(u64::from(shard)),
            false,
        )?))))
    }

    pub(crate) fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        self.0.as_mut().map_or(Ok(()), |writer| writer.push(parts))
    }

    /// The provenance file of a shard: it holds no sequences.
    pub(crate) fn finish(self) -> Result<Vec<ShardFile>> {
        let mut files = self.0.map_or_else(|| Ok(Vec::new()), SequenceWriter::finish)?;
        files.iter_mut().for_each(|file| file.content.sequences = 0);
        Ok(files)
    }
}

/// The file of a shard.
pub(crate) fn name(shard: u64) -> String {
    format!("provenance/{shard:05}.parquet")
}
