//! Sequences handed out instead of written: batches assembled on demand from the plan and the token store.

use longweave_common::{Code, Ctx, Error, Result};
use longweave_formats::SequenceRecord;
use longweave_plan::Part;
use serde::Serialize;

use crate::RunContext;
use crate::stages::pack::PartSource;

/// Tokens handed out at once, about.
const BATCH_TOKENS: u64 = 1 << 20;

/// Sequences end to end, with what their pieces are.
#[derive(Debug)]
pub struct MemoryBatch {
    /// `sequences · length` token ids.
    pub input_ids: Vec<u32>,
    /// Tokens of a sequence.
    pub length: u32,
    /// Number of sequences.
    pub sequences: u32,
    /// For each sequence an object with the Parquet columns, `input_ids` left out, as a JSON array.
    pub pieces: String,
}

impl MemoryBatch {
    /// A batch of the given sequences; `None` for none.
    pub(crate) fn new(
        input_ids: Vec<u32>,
        length: u32,
        pieces: Vec<Pieces>,
    ) -> Result<Option<MemoryBatch>> {
        if pieces.is_empty() {
            return Ok(None);
        }
        let text = serde_json::to_string(&pieces)
            .map_err(|e| Error::new(Code::Internal, format!("provenance as JSON: {e}")))?;
        Ok(Some(MemoryBatch { input_ids, length, sequences: pieces.len() as u32, pieces: text }))
    }
}

/// Provenance of one sequence, in the words of the Parquet columns.
#[derive(Serialize)]
pub(crate) struct Pieces {
    n_tokens: u32,
    doc_ids: Vec<String>,
    doc_starts: Vec<u32>,
    doc_lens: Vec<u32>,
    doc_offsets: Vec<u32>,
    reasons: Vec<Option<String>>,
    groups: Vec<u32>,
}

impl Pieces {
    pub(crate) fn of_record(record: &SequenceRecord) -> Pieces {
        Pieces {
            n_tokens: record.n_tokens,
            doc_ids: record.doc_ids.clone(),
            doc_starts: record.doc_starts.clone(),
            doc_lens: record.doc_lens.clone(),
            doc_offsets: record.doc_offsets.clone(),
            reasons: record.reasons.clone(),
            groups: record.groups.clone(),
        }
    }
}

/// Where batches come from.
pub(crate) struct MemorySource<'a> {
    run: &'a RunContext,
    part: &'a PartSource,
    length: u32,
    next: u64,
    batch: u64,
}

impl<'a> MemorySource<'a> {
    pub(crate) fn open(run: &'a RunContext) -> Result<MemorySource<'a>> {
        let length = run.options().length;
        let batch = (BATCH_TOKENS / u64::from(length)).clamp(1, 1 << 16);
        Ok(MemorySource { run, part: run.part(Part::Main)?, length, next: 0, batch })
    }

    /// The next batch; `None` after the last.
    pub(crate) fn next(&mut self, ctx: &Ctx) -> Result<Option<MemoryBatch>> {
        let n = self.batch.min(self.part.sequences() - self.next);
        if n == 0 {
            return Ok(None);
        }
        let records = self.part.assemble(ctx, self.run.tokens()?, self.next, n)?;
        self.next += n;
        let pieces = records.iter().map(Pieces::of_record).collect();
        let ids = records.into_iter().flat_map(|r| r.input_ids).collect();
        MemoryBatch::new(ids, self.length, pieces)
    }
}
