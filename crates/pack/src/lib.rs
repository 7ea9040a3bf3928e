//! Copies the tokens of planned pieces into sequences of exactly the asked length.
//!
//! In: a plan, tokens of documents ([`PackSource`]), memory. Out: rows, written in order, so that
//! the bytes do not depend on the number of threads. Gathering reads pieces in the order of
//! documents; placing ([`Placement`]) reads tokens that were scattered in the order of the plan,
//! band by band. Both give the same sequences. Uses: common, tokens, plan, formats.
//! Begin with `source.rs`.

mod place;
mod source;

pub use place::Placement;
pub use source::{PackSource, TokenSource};

use longweave_common::{Code, Ctx, Error, Result};
use longweave_formats::{SequenceRecord, SequenceWriter};
use rayon::prelude::*;

use crate::source::{Gather, OwnTokens};

/// Bytes of memory that an assembled token may cost: its id, twice, and provenance.
const COST: u64 = 16;

/// Assembles one sequence, the `i`-th of the source.
fn sequence(
    source: &PackSource<'_>,
    i: usize,
    own_tokens: &dyn OwnTokens,
) -> Result<SequenceRecord> {
    let planned = source.sequences.get(i);
    let shape = source.shape;
    let missing = |what: &str| {
        Error::new(Code::Internal, format!("the plan needs a {what}, but none is known"))
    };
    let mut record = SequenceRecord {
        input_ids: Vec::with_capacity(shape.length as usize),
        ..SequenceRecord::default()
    };
    if shape.sequence_bos {
        record.input_ids.push(source.bos.ok_or_else(|| missing("begin token"))?);
    }
    for (place, &piece) in source.sequences.range(i).zip(planned.pieces) {
        let len = source.tokens.len(piece.doc);
        let (begins, own, separators) = shape.parts(piece, len);
        let at = record.input_ids.len();
        // Where the piece begins among the document's own tokens.
        let offset = piece.start.saturating_sub(shape.lead);
        if begins > 0 {
            record.input_ids.push(source.bos.ok_or_else(|| missing("begin token"))?);
        }
        own_tokens.append(place, piece.doc, offset.min(len), own, &mut record.input_ids)?;
        let first = (offset.saturating_sub(len)) as usize;
        let separator = source
            .separator
            .get(first..first + separators as usize)
            .ok_or_else(|| missing("separator"))?;
        record.input_ids.extend_from_slice(separator);
        let group = piece.group.index();
        record.doc_ids.push((source.id)(piece.doc).to_owned());
        record.doc_starts.push(at as u32);
        record.doc_lens.push(piece.len);
        record.doc_offsets.push(offset);
        let anchor = Some(source.groups.anchors[group])
            .filter(|&anchor| !anchor.is_none() && anchor != piece.doc);
        let reason = anchor.map_or_else(
            || (source.phrase)(source.groups.keywords[group]),
            |anchor| Some((source.id)(anchor)),
        );
        record.reasons.push(reason.map(str::to_owned));
        record.groups.push(piece.group.get());
    }
    record.n_tokens = record.input_ids.len() as u32;
    if record.n_tokens < shape.length {
        record
            .input_ids
            .resize(shape.length as usize, source.pad.ok_or_else(|| missing("padding token"))?);
    }
    if record.input_ids.len() != shape.length as usize || record.n_tokens != planned.n_tokens {
        let message = format!(
            "sequence {} has {} tokens, but {} were planned",
            planned.number, record.n_tokens, planned.n_tokens
        );
        return Err(Error::new(Code::Internal, message));
    }
    Ok(record)
}

/// Sequences `range` of the source, in memory.
pub fn assemble(
    ctx: &Ctx,
    source: &PackSource<'_>,
    range: std::ops::Range<usize>,
) -> Result<Vec<SequenceRecord>> {
    assemble_from(ctx, source, range, &Gather(source.tokens))
}

fn assemble_from(
    ctx: &Ctx,
    source: &PackSource<'_>,
    range: std::ops::Range<usize>,
    own_tokens: &dyn OwnTokens,
) -> Result<Vec<SequenceRecord>> {
    ctx.pool.install(|| range.into_par_iter().map(|i| sequence(source, i, own_tokens)).collect())
}

/// Writes all sequences of the source in order, as many at once as an eighth of the memory bound
/// holds; where tokens are placed, from bands that take at most another eighth. `writer_bytes` is
/// what the writer itself holds meanwhile. Everything is reserved at once, so that tasks never wait
/// for each other's rest; a writer that needs more than the whole bound works alone.
///
/// Errors: `MEMORY_BUDGET` when a single sequence needs more than the bound; `FILE_CORRUPT` when
/// scattered tokens are not those that were written; `CANCELLED`; those of reading and writing.
pub fn pack_shard(
    ctx: &Ctx,
    source: &PackSource<'_>,
    writer: &mut dyn SequenceWriter,
    writer_bytes: u64,
    placement: Option<Placement<'_>>,
) -> Result<()> {
    let (bytes, limit) = (u64::from(source.shape.length) * COST, ctx.budget.limit());
    let batch = (limit / 8 / bytes).clamp(1, ctx.pool.current_num_threads() as u64 * 16);
    let all = source.sequences.len();
    let band = if placement.is_some() { place::band_sequences(source, limit / 8) } else { all };
    let least =
        batch * bytes + if placement.is_some() { place::band_bytes(source, band) } else { 0 };
    let _held = ctx
        .budget
        .reserve(least.saturating_add(writer_bytes).min(limit.max(least)), &ctx.cancel)?;
    let mut write = |range: std::ops::Range<usize>, own_tokens: &dyn OwnTokens| -> Result<()> {
        for start in range.clone().step_by(batch as usize) {
            ctx.cancel.check()?;
            let end = range.end.min(start + batch as usize);
            for record in assemble_from(ctx, source, start..end, own_tokens)? {
                record.as_row(|row| writer.push(row))?;
            }
            ctx.progress.advance((end - start) as u64);
        }
        Ok(())
    };
    let Some(placement) = placement else { return write(0..all, &Gather(source.tokens)) };
    let mut reader = placement.reader();
    for start in (0..all).step_by(band.max(1)) {
        ctx.cancel.check()?;
        let range = start..all.min(start + band);
        write(range.clone(), &reader.band(source, range)?)?;
    }
    reader.finish()
}
