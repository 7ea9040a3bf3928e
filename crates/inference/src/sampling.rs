//! From logits to the next token: the largest, or a draw from the likeliest ones.
//!
//! A draw is a function of (seed, document, segment, query, step) alone: it depends on no other
//! row, batch or thread.

use longweave_common::random::{Key, draw};
use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "name",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Decoding {
    /// The token of the largest logit, the smallest id among equals.
    Greedy,
    /// A draw from the softmax of logits / `temperature`, of the `top_k` largest (0: all), of those
    /// the fewest that reach `top_p`.
    Sample {
        /// Above 0.
        temperature: f64,
        /// How many of the largest are left.
        top_k: u32,
        /// Above 0, at most 1.
        top_p: f64,
        /// Seed of the draws.
        seed: u64,
    },
}

impl Decoding {
    /// How many of the largest logits it needs; `None` for all of them.
    pub(crate) fn top(&self) -> Option<usize> {
        match self {
            Decoding::Greedy => Some(1),
            Decoding::Sample { top_k: 0, .. } => None,
            Decoding::Sample { top_k, .. } => Some(*top_k as usize),
        }
    }

    /// Checks the ranges.
    ///
    /// Errors: `OPTIONS_INVALID`.
    pub fn check(&self) -> Result<()> {
        if let Decoding::Sample { temperature, top_p, .. } = self {
            let bad = |option: &str, text: String| {
                Err(Error::new(Code::OptionsInvalid, text)
                    .with("option", format!("queries.{option}")))
            };
            if !(*temperature > 0.0 && temperature.is_finite()) {
                return bad(
                    "temperature",
                    format!("`temperature` must be a number above 0, but is {temperature}"),
                );
            }
            if !(*top_p > 0.0 && *top_p <= 1.0) {
                return bad(
                    "topP",
                    format!("`topP` must be above 0 and at most 1, but is {top_p}"),
                );
            }
        }
        Ok(())
    }

    /// The next token of a row, from candidates (logit, id) in any order. `None` where a logit is
    /// not finite or there is none.
    pub(crate) fn next(
        &self,
        candidates: &mut Vec<(f32, u32)>,
        row: RowKey,
        step: usize,
    ) -> Option<u32> {
        // Minus infinity is how a graph forbids a token; anything else that is not finite is an
        // error of the model.
        if candidates.iter().any(|&(logit, _)| logit.is_nan() || logit == f32::INFINITY) {
            return None;
        }
        let falling = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let Decoding::Sample { temperature, top_k, top_p, seed } = *self else {
            let best = candidates.iter().min_by(|a, b| falling(a, b))?;
            return best.0.is_finite().then_some(best.1);
        };
        let keep =
            if top_k == 0 { candidates.len() } else { (top_k as usize).min(candidates.len()) };
        if keep < candidates.len() {
            candidates.select_nth_unstable_by(keep, falling);
            candidates.truncate(keep);
        }
        candidates.sort_unstable_by(falling);
        let largest = f64::from(candidates.first()?.0);
        if !largest.is_finite() {
            return None;
        }
        let weights: Vec<f64> = candidates
            .iter()
            .map(|&(logit, _)| ((f64::from(logit) - largest) / temperature).exp())
            .collect();
        let all: f64 = weights.iter().sum();
        let mut reached = 0.0;
        let kept = weights.iter().take_while(|&&w| {
            let needed = reached < top_p * all;
            reached += w;
            needed
        });
        let kept: Vec<f64> = kept.copied().collect();
        let bits = draw(seed, "query", row.document, row.counter(step));
        let mut point = (bits >> 11) as f64 / (1u64 << 53) as f64 * kept.iter().sum::<f64>();
        let place = kept.iter().position(|&w| {
            point -= w;
            point < 0.0
        });
        Some(candidates[place.unwrap_or(kept.len() - 1)].1)
    }
}

/// The key of a row's draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    /// Key of the document's id.
    pub(crate) document: Key,
    /// Number of the segment in the document.
    pub(crate) segment: u32,
    /// Number of the query of the segment.
    pub(crate) query: u32,
}

impl RowKey {
    /// 32 bits of the segment, 16 of the query, 16 of the step: no two draws of a document share
    /// one.
    fn counter(self, step: usize) -> u64 {
        u64::from(self.segment) << 32
            | u64::from(self.query & 0xffff) << 16
            | (step as u64 & 0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(document: &str, segment: u32) -> RowKey {
        RowKey { document: Key::of(document), segment, query: 0 }
    }

    fn sample(temperature: f64, top_k: u32, top_p: f64) -> Decoding {
        Decoding::Sample { temperature, top_k, top_p, seed: 7 }
    }

    /// Shares of tokens over many rows with the logits ln(1), ln(2), ln(3), ln(4) of the ids 10 …
    /// 13.
    fn shares(decoding: &Decoding) -> [f64; 4] {
        let mut counts = [0.0; 4];
        for i in 0..40_000 {
            let mut logits: Vec<(f32, u32)> =
                (0..4).map(|j| (f64::from(j + 1).ln() as f32, 10 + j)).collect();
            let token = decoding.next(&mut logits, row(&i.to_string(), 3), 5).unwrap();
            counts[token as usize - 10] += 1.0 / 40_000.0;
        }
        counts
    }

    fn close(a: [f64; 4], b: [f64; 4]) -> bool {
        a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 0.01)
    }

    #[test]
    fn shares_follow_softmax_temperature_top_k_and_top_p() {
        let cases = [
            (sample(1.0, 0, 1.0), [0.1, 0.2, 0.3, 0.4]),
            // A temperature of a half squares the weights.
            (sample(0.5, 0, 1.0), [1.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0, 16.0 / 30.0]),
            (sample(1.0, 2, 1.0), [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
            // 0.4 + 0.3 reach 0.65, and 0.4 alone does not.
            (sample(1.0, 0, 0.65), [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
            (sample(1.0, 0, 0.39), [0.0, 0.0, 0.0, 1.0]),
            // Of the three left by top_k, 4/9 + 3/9 reach 0.7.
            (sample(1.0, 3, 0.7), [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]),
            (sample(1.0, 1, 1.0), [0.0, 0.0, 0.0, 1.0]),
            (Decoding::Greedy, [0.0, 0.0, 0.0, 1.0]),
        ];
        for (decoding, expected) in cases {
            let found = shares(&decoding);
            assert!(close(found, expected), "{decoding:?}: {found:?}");
        }
    }

    #[test]
    fn a_draw_depends_on_its_key_alone() {
        let decoding = sample(1.0, 0, 1.0);
        let once = |key: RowKey, step| {
            decoding.next(&mut (0..500).map(|i| (0.0, i)).collect(), key, step).unwrap()
        };
        let base = once(row("a", 0), 0);
        assert_eq!(once(row("a", 0), 0), base);
        let reversed =
            decoding.next(&mut (0..500).rev().map(|i| (0.0, i)).collect(), row("a", 0), 0);
        assert_eq!(reversed, Some(base));
        let others = [
            once(row("b", 0), 0),
            once(row("a", 1), 0),
            once(row("a", 0), 1),
            once(RowKey { query: 1, ..row("a", 0) }, 0),
        ];
        assert!(others.iter().filter(|&&t| t == base).count() <= 1, "{base} {others:?}");
    }

    #[test]
    fn ties_go_to_the_smallest_id_and_numbers_that_are_not_finite_are_refused() {
        let next = |logits: &[f32]| {
            Decoding::Greedy.next(&mut logits.iter().copied().zip(0..).collect(), row("a", 0), 0)
        };
        assert_eq!(next(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(next(&[f32::NEG_INFINITY, 0.0]), Some(1));
        assert_eq!(next(&[1.0, f32::NAN]), None);
        assert_eq!(next(&[1.0, f32::INFINITY]), None);
        assert_eq!(next(&[f32::NEG_INFINITY]), None);
        assert_eq!(next(&[]), None);
        assert_eq!(
            sample(1.0, 0, 1.0).next(&mut vec![(f32::NEG_INFINITY, 0)], row("a", 0), 0),
            None
        );
    }
}
