//! Copies the tokens of planned pieces into sequences of exactly the asked length.
//!
//! In: a plan, tokens of documents ([`PackSource`]), memory. Out: parts of a shard, written in
//! order, so that the bytes do not depend on the number of threads. Gathering reads pieces in the
//! order of documents; placing ([`Placement`]) reads tokens that were scattered in the order of the
//! plan, band by band. Both give the same sequences. Uses: common, tokens, plan, formats.
//! Begin with `source.rs`.

mod place;
mod source;

pub use place::Placement;
pub use source::{PackSource, TokenSource};

use std::ops::Range;

use longweave_common::{Code, Ctx, Error, Result};
use longweave_formats::{PieceRow, SequenceBatch, SequencePlace, SequenceWriter, parts};
use rayon::prelude::*;

use crate::place::Bands;
use crate::source::{Gather, OwnTokens};

/// Bytes of memory that an assembled token may cost: its id in two batches, its encoded form,
/// provenance.
const COST: u64 = 16;

/// Assembles the `i`-th sequence of the source.
fn sequence<'a>(
    source: &PackSource<'a>,
    i: usize,
    own_tokens: &dyn OwnTokens,
    place: SequencePlace<'_, 'a>,
) -> Result<()> {
    let planned = source.sequences.get(i);
    let shape = source.shape;
    let missing = |what: &str| {
        Error::new(Code::Internal, format!("the plan needs a {what}, but none is known"))
    };
    let bos = || source.bos.ok_or_else(|| missing("begin token"));
    // First the pieces, then the tokens: so the processor waits for many lookups at once.
    let mut at = u32::from(shape.sequence_bos);
    let pieces = place.pieces.iter_mut().zip(planned.pieces).zip(source.sequences.range(i));
    for ((row, &piece), number) in pieces {
        let group = source.groups.get(piece.group).ok_or_else(|| missing("group"))?;
        let reason = if group.anchor.is_none() || group.anchor == piece.doc {
            (source.phrase)(group.keyword)
        } else {
            Some((source.id)(group.anchor))
        };
        *row = PieceRow {
            doc_id: (source.id)(piece.doc),
            start: at,
            len: piece.len,
            offset: shape.tokens(piece, source.lens[number]).offset(),
            reason,
            group: piece.group.get(),
        };
        own_tokens.prefetch(piece.doc, row.offset, piece.len);
        at = at.saturating_add(piece.len);
    }
    if at > shape.length || at != planned.n_tokens {
        let message = format!(
            "sequence {} has {at} tokens, but {} were planned",
            planned.number, planned.n_tokens
        );
        return Err(Error::new(Code::Internal, message));
    }
    *place.n_tokens = at;
    let (tokens, padding) = place.input_ids.split_at_mut(at as usize);
    if shape.sequence_bos {
        tokens[0] = bos()?;
    }
    let pieces = place.pieces.iter().zip(planned.pieces).zip(source.sequences.range(i));
    for ((row, &piece), number) in pieces {
        let kinds = shape.tokens(piece, source.lens[number]);
        let piece_tokens = &mut tokens[row.start as usize..][..row.len as usize];
        let [before, own, after] = [&kinds.before, &kinds.own, &kinds.after].map(Range::len);
        if before + own + after != piece_tokens.len() {
            return Err(missing("separator"));
        }
        let (before, rest) = piece_tokens.split_at_mut(before);
        let (own, after) = rest.split_at_mut(own);
        if kinds.first && !before.is_empty() {
            before.fill(bos()?);
        } else if !before.is_empty() {
            copy(before, source.part_begin, &kinds.before).ok_or_else(|| missing("marker"))?;
        }
        own_tokens.read(number, piece.doc, kinds.own.start, own)?;
        let marker = if kinds.last { source.separator } else { source.part_end };
        copy(after, marker, &kinds.after).ok_or_else(|| missing("separator or marker"))?;
    }
    if !padding.is_empty() {
        padding.fill(source.pad.ok_or_else(|| missing("padding token"))?);
    }
    Ok(())
}

/// Copies a range of a marker's tokens; `None` where the marker does not have it.
fn copy(out: &mut [u32], marker: &[u32], range: &Range<u32>) -> Option<()> {
    out.copy_from_slice(marker.get(range.start as usize..range.end as usize)?);
    Some(())
}

/// Assembles sequences `range` of the source into `batch`, in the place of those that it had.
pub fn assemble<'a>(
    ctx: &Ctx,
    source: &PackSource<'a>,
    tokens: &dyn TokenSource,
    range: Range<usize>,
    batch: &mut SequenceBatch<'a>,
) -> Result<()> {
    ctx.pool.install(|| fill(source, range, &Gather(tokens), batch))
}

/// Where the tokens of a shard come from.
pub enum ShardTokens<'a> {
    /// From the documents' own places.
    Gather(&'a dyn TokenSource),
    /// From those that were scattered in the order of the plan.
    Place(Placement<'a>),
}

/// The tokens of a shard while it is packed.
enum Supply<'p, 's, 'a> {
    Gather(Gather<'p>),
    Bands(Bands<'p, 's, 'a>),
}

impl Supply<'_, '_, '_> {
    /// Bytes that it holds.
    fn bytes(&self) -> u64 {
        match self {
            Supply::Gather(_) => 0,
            Supply::Bands(bands) => bands.bytes(),
        }
    }

    /// The tokens of sequences `range`, which follow those that were asked for before.
    fn of(&mut self, range: Range<usize>) -> Result<&dyn OwnTokens> {
        match self {
            Supply::Gather(gather) => Ok(gather),
            Supply::Bands(bands) => bands.of(range),
        }
    }

    /// Compares what was read with what was written.
    fn finish(self) -> Result<()> {
        match self {
            Supply::Gather(_) => Ok(()),
            Supply::Bands(bands) => bands.finish(),
        }
    }
}

fn fill<'a>(
    source: &PackSource<'a>,
    range: Range<usize>,
    own_tokens: &dyn OwnTokens,
    batch: &mut SequenceBatch<'a>,
) -> Result<()> {
    let pieces = range.clone().map(|i| source.sequences.range(i).len());
    batch
        .refill(source.shape.length, pieces)
        .into_par_iter()
        .zip(range)
        .try_for_each(|(place, i)| sequence(source, i, own_tokens, place))
}

/// Writes all sequences of the source in order, part by part. Some parts at once are assembled,
/// while those before are encoded and written: as many as an eighth of the memory bound holds, and
/// threads can use. Where tokens are placed, they come from bands that take at most another eighth.
/// `writer_bytes` is what the writer itself holds meanwhile. Everything is reserved at once, so
/// that tasks never wait for each other's rest; a writer that needs more than the whole bound works
/// alone.
///
/// Errors: `MEMORY_BUDGET` when a single sequence needs more than the bound; `FILE_CORRUPT` when
/// scattered tokens are not those that were written; `CANCELLED`; those of reading and writing.
pub fn pack_shard<'a>(
    ctx: &Ctx,
    source: &PackSource<'a>,
    writer: &mut dyn SequenceWriter,
    writer_bytes: u64,
    tokens: ShardTokens<'_>,
) -> Result<()> {
    let (sequence_bytes, limit) = (u64::from(source.shape.length) * COST, ctx.budget.limit());
    let parts: Vec<Range<usize>> = parts(source.shape.length, source.sequences.len()).collect();
    let part_bytes = parts.first().map_or(1, |part| part.len() as u64 * sequence_bytes);
    let threads = ctx.pool.current_num_threads() as u64;
    let step = (limit / 8 / part_bytes).clamp(1, threads * 2) as usize;
    let mut supply = match tokens {
        ShardTokens::Gather(tokens) => Supply::Gather(Gather(tokens)),
        ShardTokens::Place(placement) => Supply::Bands(Bands::new(placement, source, limit / 8)),
    };
    let wanted =
        (step as u64 * part_bytes).saturating_add(supply.bytes()).saturating_add(writer_bytes);
    let _held = ctx.budget.reserve(wanted.min(limit.max(sequence_bytes)), &ctx.cancel)?;
    let (mut ready, mut next) = (Vec::<SequenceBatch<'a>>::new(), Vec::<SequenceBatch<'a>>::new());
    let mut write = |ready: &[SequenceBatch<'_>]| -> Result<()> {
        if !ready.is_empty() {
            writer.push(ready)?;
            ctx.progress.advance(ready.iter().map(|part| part.len() as u64).sum());
        }
        Ok(())
    };
    for parts in parts.chunks(step) {
        ctx.cancel.check()?;
        next.resize_with(parts.len(), SequenceBatch::default);
        let make = || -> Result<()> {
            let own_tokens = supply.of(parts[0].start..parts[parts.len() - 1].end)?;
            next.par_iter_mut()
                .zip(parts)
                .try_for_each(|(batch, part)| fill(source, part.clone(), own_tokens, batch))
        };
        let (written, made) = ctx.pool.install(|| rayon::join(|| write(&ready), make));
        written.and(made)?;
        std::mem::swap(&mut ready, &mut next);
    }
    ctx.pool.install(|| write(&ready))?;
    supply.finish()
}
