//! The writer of files of ids end to end, together with their provenance.

use std::path::Path;

use longweave_common::Result;

use crate::SequenceBatch;
use crate::ids::Width;
use crate::output_file::{OutputFile, Sums};
use crate::provenance::ProvenanceWriter;
use crate::shard::encode;

/// Writes a file of the ids of sequences, end to end.
pub(crate) struct IdWriter {
    file: OutputFile,
    width: Width,
    /// Encoded parts; kept for their memory.
    bytes: Vec<Vec<u8>>,
}

impl IdWriter {
    pub(crate) fn create(path: &Path, width: Width) -> Result<IdWriter> {
        Ok(IdWriter { file: OutputFile::create(path)?, width, bytes: Vec::new() })
    }

    /// Appends bytes that are not ids.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.put(bytes)
    }

    /// Appends the ids of all parts, while another thread appends their provenance.
    pub(crate) fn push(
        &mut self,
        parts: &[SequenceBatch<'_>],
        provenance: &mut ProvenanceWriter,
    ) -> Result<()> {
        let IdWriter { file, width, bytes } = self;
        let write = || {
            encode(bytes, parts, |part, bytes| width.encode(part.input_ids(), bytes))?
                .iter()
                .try_for_each(|bytes| file.put(bytes))
        };
        let (written, kept) = rayon::join(write, || provenance.push(parts));
        written.and(kept)
    }

    pub(crate) fn width(&self) -> Width {
        self.width
    }

    pub(crate) fn commit(self) -> Result<Sums> {
        self.file.commit()
    }
}
