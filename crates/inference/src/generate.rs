//! Generation: a batch of segments in, ids of queries out.

use std::time::{Duration, Instant};

use longweave_common::random::Key;
use longweave_common::{Cancel, Code, Error, Result};

use crate::Decoding;
use crate::files::ModelConfig;
use crate::rows::Rows;
use crate::sampling::RowKey;
use crate::seq2seq::{Seq2Seq, State};
use crate::stop::Stop;

/// Rows that may stay after they have finished: a fourth of a batch, so that all that is moved is
/// at most three times what is kept.
const IDLE: usize = 4;

/// A query: ids without the one that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Place of the segment in the list that batches were made of.
    pub segment: usize,
    /// Number of the query of the segment.
    pub query: u32,
    /// Its tokens.
    pub ids: Vec<u32>,
}

/// Where the time of a model's thread went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Encoding.
    pub encode: Duration,
    /// Steps of the decoder.
    pub decode: Duration,
    /// Joining parts, expanding rows, leaving finished ones out.
    pub rows: Duration,
    /// From candidates to tokens.
    pub choose: Duration,
    /// Steps taken.
    pub steps: u64,
    /// Rows in them, those that had finished too.
    pub stepped_rows: u64,
}

/// A request to the model's thread.
pub(crate) struct Request {
    pub(crate) cancel: Cancel,
    /// Ids of each segment, the longest first.
    pub(crate) ids: Vec<Vec<u32>>,
    pub(crate) width: usize,
    pub(crate) parts: Vec<std::ops::Range<usize>>,
    /// Document and number of each segment.
    pub(crate) keys: Vec<(Key, u32)>,
    /// Place of each segment for the caller.
    pub(crate) places: Vec<usize>,
}

/// A model with the other data that generation needs.
pub(crate) struct Generator {
    pub(crate) model: Box<dyn Seq2Seq>,
    pub(crate) rows: Rows,
    pub(crate) stop: Stop,
    pub(crate) config: ModelConfig,
    pub(crate) decoding: Decoding,
    pub(crate) queries_per_segment: u32,
    pub(crate) max_query_tokens: usize,
    pub(crate) timing: Timing,
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}

impl Generator {
    /// Errors: `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`.
    pub(crate) fn generate(&mut self, request: &Request) -> Result<Vec<Generated>> {
        let stop = self.stop.clone();
        stop.watching(&request.cancel, || self.batch(request))
    }

    fn batch(&mut self, request: &Request) -> Result<Vec<Generated>> {
        let mut state = self.encode(request)?;
        let queries = self.queries_per_segment;
        let mut made: Vec<Generated> = request
            .places
            .iter()
            .flat_map(|&segment| {
                (0..queries).map(move |query| Generated { segment, query, ids: Vec::new() })
            })
            .collect();
        let keys: Vec<RowKey> = request
            .keys
            .iter()
            .flat_map(|&(document, segment)| {
                (0..queries).map(move |query| RowKey { document, segment, query })
            })
            .collect();
        // The query that each row of the batch makes, and whether the row is unfinished.
        let mut live: Vec<(usize, bool)> = (0..made.len()).map(|i| (i, true)).collect();
        let mut tokens = vec![self.config.start; live.len()];
        for step in 0..self.max_query_tokens {
            request.cancel.check()?;
            let (model, top) = (&mut self.model, self.decoding.top());
            let candidates =
                timed(&mut self.timing.decode, || model.step(&mut state, &tokens, top))?;
            self.timing.steps += 1;
            self.timing.stepped_rows += live.len() as u64;
            let start = Instant::now();
            for (((at, goes_on), token), mut row) in live
                .iter_mut()
                .zip(&mut tokens)
                .zip(candidates)
                .filter(|(((_, goes_on), _), _)| *goes_on)
            {
                let next = self
                    .decoding
                    .next(&mut row, keys[*at], step)
                    .ok_or_else(|| not_finite(keys[*at].segment, step))?;
                *token = next;
                if self.config.ends.contains(&next) {
                    *goes_on = false;
                } else {
                    made[*at].ids.push(next);
                }
            }
            self.timing.choose += start.elapsed();
            let going = live.iter().filter(|(_, goes_on)| *goes_on).count();
            if going == 0 {
                break;
            }
            if (live.len() - going) * IDLE >= live.len() {
                self.leave(&mut state, &mut live, &mut tokens)?;
            }
        }
        Ok(made)
    }

    fn encode(&mut self, request: &Request) -> Result<State> {
        let mut parts = Vec::with_capacity(request.parts.len());
        for part in &request.parts {
            request.cancel.check()?;
            let rows: Vec<&[u32]> = request.ids[part.clone()].iter().map(Vec::as_slice).collect();
            let model = &mut self.model;
            parts.push(timed(&mut self.timing.encode, || model.encode(&rows, request.width))?);
        }
        let queries = self.queries_per_segment as usize;
        let expanded: Vec<usize> =
            (0..request.ids.len()).flat_map(|i| std::iter::repeat_n(i, queries)).collect();
        let rows = &mut self.rows;
        let encoded = timed(&mut self.timing.rows, || {
            let joined = rows.join(parts)?;
            if queries == 1 { Ok(joined) } else { rows.choose(&joined, &expanded) }
        })?;
        let lengths = expanded.iter().map(|&i| request.ids[i].len() as u32).collect();
        self.model.begin(encoded, lengths, request.width)
    }

    /// Leaves finished rows out of the batch.
    fn leave(
        &mut self,
        state: &mut State,
        live: &mut Vec<(usize, bool)>,
        tokens: &mut Vec<u32>,
    ) -> Result<()> {
        let kept: Vec<usize> = live
            .iter()
            .enumerate()
            .filter(|(_, (_, goes_on))| *goes_on)
            .map(|(row, _)| row)
            .collect();
        let rows = &mut self.rows;
        state.values = timed(&mut self.timing.rows, || rows.choose(&state.values, &kept))?;
        state.lengths = kept.iter().map(|&row| state.lengths[row]).collect();
        *tokens = kept.iter().map(|&row| tokens[row]).collect();
        *live = kept.iter().map(|&row| live[row]).collect();
        Ok(())
    }
}

fn not_finite(segment: u32, step: usize) -> Error {
    let message = format!(
        "the model gave logits that are not finite, in step {step} of segment {segment} of a \
         document; its weights are damaged, or it overflows in half precision: export it again as \
         fp32"
    );
    Error::new(Code::ModelNotFinite, message).with("segment", segment).with("step", step)
}
