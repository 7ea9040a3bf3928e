//! Chunks of documents as a search for neighbours sees them: chunks of one document are not
//! neighbours.

use std::sync::Arc;

use longweave_plan::Chunks;

use crate::embed;
use crate::prelude::*;

/// Neighbours do not depend on the run's seed, so that runs with other seeds share them.
pub(crate) const SEED: u64 = 0;

/// Chunks of all documents; `None` where the method knows no chunks.
pub(crate) fn chunks(run: &RunContext) -> Result<Option<Chunks>> {
    if run.options().chunk_chars().is_none() {
        return Ok(None);
    }
    let (counts, lens) = embed::chunks(run)?;
    Chunks::new(counts, &lens).map(Some)
}

/// Chunks, as tasks of a process share them.
pub(crate) struct NeighbourChunks(pub(crate) Option<Chunks>);

impl NeighbourChunks {
    pub(crate) fn open(run: &RunContext) -> Result<Arc<NeighbourChunks>> {
        run.shared.get(|| chunks(run).map(NeighbourChunks))
    }
}
