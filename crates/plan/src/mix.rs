//! Sources in proportion to their weights: how much of each an epoch uses.

use longweave_common::random::draw;
use longweave_common::{Code, DocId, Error, Result};

use crate::pool::ALL;
use crate::{Part, PlanInput, PlanOptions, Shape};

/// Most epochs of a plan: each goes through the pool.
const MOST_EPOCHS: f64 = 1000.0;

/// The part of each source's documents that an epoch uses.
pub(crate) struct Mix {
    /// By source: of 2⁶⁴.
    rates: Vec<u128>,
    /// By source: the share of an epoch's virtual tokens.
    shares: Vec<f64>,
}

impl Mix {
    /// Of a pool; `None` where sources have no weights.
    ///
    /// Errors: `OPTIONS_INVALID` where a source with a weight has no document in the main pool, or
    /// would be used too often.
    pub(crate) fn of(
        input: &PlanInput<'_>,
        options: &PlanOptions,
        pool: &[DocId],
        part: Part,
    ) -> Result<Option<Mix>> {
        let Some(weights) = input.weights else { return Ok(None) };
        let shape = Shape::of(options);
        let mut tokens = vec![0u64; weights.len()];
        for doc in pool {
            tokens[input.source(*doc) as usize] += shape.virtual_len(input.lens[doc.index()]);
        }
        let weighed = |source: &usize| weights[*source].weight > 0.0;
        let missing = |source: &usize| weighed(source) && tokens[*source] == 0;
        if part == Part::Main
            && let Some(source) = (0..weights.len()).find(missing)
        {
            let name = &weights[source].name;
            let of_length = match options.pool.lengths.as_slice() {
                [] => String::new(),
                _ => format!(", because `lengths` leaves none to {}", shape.length),
            };
            let message = format!(
                "`sources` gives \"{name}\" a weight, but the pool has no document of it{of_length}; \
                 check the pool's conditions, give more documents of it, or leave it out"
            );
            return Err(refused(message, name));
        }
        let present = |source: &usize| weighed(source) && tokens[*source] > 0;
        let stretch = |source: usize| tokens[source] as f64 / weights[source].weight;
        let least = (0..weights.len()).filter(present).map(stretch).fold(f64::INFINITY, f64::min);
        let rate = |source: usize| {
            if !present(&source) {
                return 0;
            }
            let rate = least / stretch(source);
            if rate >= 1.0 { ALL } else { (rate * ALL as f64) as u128 }
        };
        let all: f64 = (0..weights.len()).filter(present).map(|s| weights[s].weight).sum();
        let asked = options.policies.tokens.map_or(0.0, |tokens| tokens as f64);
        let most = options.policies.max_uses.map_or(f64::INFINITY, f64::from);
        let epochs = (asked / (least * all)).min(most);
        if part == Part::Main
            && epochs > MOST_EPOCHS
            && let Some(source) = (0..weights.len())
                .filter(present)
                .min_by(|&a, &b| stretch(a).total_cmp(&stretch(b)))
        {
            let (name, own) = (&weights[source].name, tokens[source]);
            let message = format!(
                "`tokens` and `sources` use each document of \"{name}\" about {epochs:.0} times: \
                 it has {own} tokens; lower its weight or `tokens` (at most {MOST_EPOCHS} times)"
            );
            return Err(refused(message, name));
        }
        let share = |source: usize| {
            if present(&source) { weights[source].weight / all } else { 0.0 }
        };
        Ok(Some(Mix {
            rates: (0..weights.len()).map(rate).collect(),
            shares: (0..weights.len()).map(share).collect(),
        }))
    }

    /// The documents of `pool` that an epoch uses.
    pub(crate) fn epoch(
        &self,
        input: &PlanInput<'_>,
        seed: u64,
        pool: &[DocId],
        epoch: u32,
    ) -> Vec<DocId> {
        let uses = |doc: &DocId| {
            let rate = self.rates[input.source(*doc) as usize];
            let first = u128::from(draw(seed, "source", input.key(*doc), 0));
            let before = |epoch: u64| (first + u128::from(epoch) * rate) / ALL;
            before(u64::from(epoch) + 1) > before(u64::from(epoch))
        };
        pool.iter().copied().filter(uses).collect()
    }

    /// The share of an epoch's tokens that a source is to have, and the part of its documents that
    /// an epoch uses.
    pub(crate) fn of_source(&self, source: usize) -> (f64, f64) {
        (self.shares[source], self.rates[source] as f64 / ALL as f64)
    }
}

fn refused(message: String, source: &str) -> Error {
    Error::new(Code::OptionsInvalid, message).with("option", "sources").with("source", source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use longweave_common::random::Key;

    proptest! {
        #[test]
        fn each_document_of_a_source_is_used_before_any_is_used_again(
            rates in prop::collection::vec(0.0f64..=1.0, 1..4),
            documents in 1u32..60,
            epochs in 1u32..40,
            seed: u64,
        ) {
            let keys: Vec<u128> = (0..documents).map(|d| Key::of(&format!("{d}")).0).collect();
            let sources: Vec<u32> = (0..documents).map(|d| d % rates.len() as u32).collect();
            let input = PlanInput {
                lens: &vec![1; documents as usize],
                keys: &keys,
                text_hashes: None,
                near: None,
                keyword_of: None,
                keyword_keys: &[],
                forest: None,
                sources: Some(&sources),
                weights: None,
                neighbours: None,
                chunks: None,
                topics: None,
                heads: None,
            };
            let parts = rates.iter().map(|rate| (rate * ALL as f64) as u128).collect();
            let mix = Mix { rates: parts, shares: Vec::new() };
            let pool: Vec<DocId> = (0..documents).map(DocId::new).collect();
            let mut uses = vec![0u32; documents as usize];
            for epoch in 0..epochs {
                for doc in mix.epoch(&input, seed, &pool, epoch) {
                    uses[doc.index()] += 1;
                }
            }
            for (doc, &uses) in uses.iter().enumerate() {
                let expected = f64::from(epochs) * rates[sources[doc] as usize];
                prop_assert!((f64::from(uses) - expected).abs() < 1.0 + 1e-9, "{} of {}", uses, expected);
            }
        }
    }
}
