//! The seam between generation and the layouts of exported models.

use half::f16;
use longweave_common::Result;
use ort::value::{DynValue, Tensor, TensorElementType};

use crate::runtime::runtime_error;

/// The state of a batch while it is decoded. The first axis of every value is the row.
pub(crate) struct State {
    pub(crate) values: Vec<DynValue>,
    /// Tokens of each row's input.
    pub(crate) lengths: Vec<u32>,
    /// Tokens that inputs were padded to.
    pub(crate) width: usize,
    /// Tokens decoded so far.
    pub(crate) steps: usize,
}

/// Candidates for a row's next token: logits with ids, in any order.
pub(crate) type Candidates = Vec<(f32, u32)>;

/// An encoder and a decoder that continues from its own caches.
pub(crate) trait Seq2Seq: Send {
    /// Encodes rows, padded to `width`: what the decoder keeps of each, first axis the row.
    fn encode(&mut self, rows: &[&[u32]], width: usize) -> Result<Vec<DynValue>>;

    /// A state before the first step, over what `encode` gave.
    fn begin(&mut self, encoded: Vec<DynValue>, lengths: Vec<u32>, width: usize) -> Result<State>;

    /// One step: the last token of each row in, candidates out, the `top` largest or, with `None`,
    /// all.
    fn step(
        &mut self,
        state: &mut State,
        tokens: &[u32],
        top: Option<usize>,
    ) -> Result<Vec<Candidates>>;
}

fn made<T>(result: ort::Result<T>) -> Result<T> {
    result.map_err(|e| runtime_error("make a tensor", &e))
}

/// A tensor of whole numbers of the type that a graph wants.
pub(crate) fn integers(
    ty: TensorElementType,
    shape: &[usize],
    data: impl Iterator<Item = i64>,
) -> Result<DynValue> {
    let shape = shape.to_vec();
    Ok(match ty {
        TensorElementType::Int32 => {
            made(Tensor::from_array((shape, data.map(|n| n as i32).collect::<Vec<_>>())))?
                .into_dyn()
        }
        _ => made(Tensor::from_array((shape, data.collect::<Vec<_>>())))?.into_dyn(),
    })
}

/// Rows one after the other, each filled up with `pad` to `width`.
pub(crate) fn padded<'a>(
    rows: &'a [&[u32]],
    width: usize,
    pad: u32,
) -> impl Iterator<Item = i64> + 'a {
    rows.iter().flat_map(move |row| {
        row.iter().map(|&id| i64::from(id)).chain(std::iter::repeat(i64::from(pad))).take(width)
    })
}

/// 1 where a row has a token, 0 where it is padded.
pub(crate) fn mask(lengths: &[u32], width: usize) -> impl Iterator<Item = i64> {
    lengths.iter().flat_map(move |&n| (0..width).map(move |i| i64::from(i < n as usize)))
}

/// A value's numbers as f32.
pub(crate) fn floats(value: &DynValue) -> Result<std::borrow::Cow<'_, [f32]>> {
    if let Ok((_, data)) = value.try_extract_tensor::<f16>() {
        return Ok(data.iter().map(|x| x.to_f32()).collect::<Vec<_>>().into());
    }
    let (_, data) =
        value.try_extract_tensor::<f32>().map_err(|e| runtime_error("read a result", &e))?;
    Ok(data.into())
}

/// A value's whole numbers.
pub(crate) fn ids(value: &DynValue) -> Result<&[i64]> {
    let (_, data) =
        value.try_extract_tensor::<i64>().map_err(|e| runtime_error("read a result", &e))?;
    Ok(data)
}

/// The `top` largest of a row's logits with their ids, or all. A number that is not finite is
/// always among them.
pub(crate) fn largest(logits: &[f32], top: Option<usize>) -> Candidates {
    let all = || logits.iter().copied().zip(0u32..);
    match top {
        Some(1) => {
            let mut best = (f32::NEG_INFINITY, 0);
            for (logit, id) in all() {
                // False for a number that is not a number too.
                if logit <= best.0 {
                    continue;
                }
                best = (logit, id);
                if logit.is_nan() {
                    break;
                }
            }
            vec![best]
        }
        Some(k) if k < logits.len() => {
            let mut candidates: Candidates = all().collect();
            let falling = |a: &(f32, u32), b: &(f32, u32)| {
                b.0.is_nan().cmp(&a.0.is_nan()).then(b.0.total_cmp(&a.0)).then(a.1.cmp(&b.1))
            };
            candidates.select_nth_unstable_by(k, falling);
            candidates.truncate(k);
            candidates
        }
        _ => all().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logits_are_kept_the_smaller_id_first_among_equals() {
        let logits = [0.5, 2.0, -1.0, 2.0, 1.0];
        assert_eq!(largest(&logits, Some(1)), [(2.0, 1)]);
        let mut three = largest(&logits, Some(3));
        three.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        assert_eq!(three, [(2.0, 1), (2.0, 3), (1.0, 4)]);
        assert_eq!(largest(&logits, Some(9)).len(), 5);
        assert_eq!(largest(&logits, None).len(), 5);
    }

    #[test]
    fn a_number_that_is_none_is_never_lost() {
        for at in 0..5 {
            let mut logits = [0.5, 2.0, -1.0, 2.0, 1.0];
            logits[at] = f32::NAN;
            for top in [Some(1), Some(2), None] {
                assert!(
                    largest(&logits, top).iter().any(|(logit, _)| logit.is_nan()),
                    "{at} {top:?}"
                );
            }
        }
    }

    #[test]
    fn rows_are_padded_and_masked() {
        let rows: [&[u32]; 2] = [&[5, 6, 7], &[8]];
        assert_eq!(padded(&rows, 3, 0).collect::<Vec<_>>(), [5, 6, 7, 8, 0, 0]);
        assert_eq!(mask(&[3, 1], 3).collect::<Vec<_>>(), [1, 1, 1, 1, 0, 0]);
    }
}
