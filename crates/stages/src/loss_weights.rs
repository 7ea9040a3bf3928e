//! Weights of tokens in the loss, by how many tokens of their document precede them in the sequence
//! (EXACT, arXiv 2605.10544): the rarer a context of that length is in the output, the larger.

use longweave_run::WeightScale;

/// The weight of each entry of `contexts`, which counts tokens by context as
/// [`TokenCounts::by_context`](longweave_plan::TokenCounts) does, in thousandths. A token of a
/// sequence of `length` has the weight 1 in the mean.
pub(crate) fn loss_weights(
    contexts: &[u64],
    length: u32,
    (scale, limit): (WeightScale, f64),
    mask_first: bool,
) -> Vec<u32> {
    // Tokens at each place of a piece, in the mean over the places of an entry.
    let frequency = |(entry, &tokens): (usize, &u64)| {
        let first = (1u64 << entry) - 1;
        let places = (1u64 << entry).min(u64::from(length).saturating_sub(first)).max(1);
        tokens as f64 / places as f64
    };
    let frequencies: Vec<f64> = contexts.iter().enumerate().map(frequency).collect();
    let rarity = |&frequency: &f64| {
        let inverse = frequencies[0] / frequency;
        // Division and root are the same on every machine.
        let scaled = match scale {
            WeightScale::Inverse => inverse,
            WeightScale::Root => inverse.sqrt(),
        };
        if scaled.is_nan() { 1.0 } else { scaled.clamp(1.0, limit) }
    };
    let rarities: Vec<f64> = frequencies.iter().map(rarity).collect();
    // First tokens that take no part do not count.
    let counted = || contexts.iter().zip(&rarities).skip(usize::from(mask_first));
    let tokens: f64 = counted().map(|(&tokens, _)| tokens as f64).sum();
    let weight: f64 = counted().map(|(&tokens, rarity)| tokens as f64 * rarity).sum();
    let mean = if tokens > 0.0 { weight / tokens } else { 1.0 };
    rarities.iter().map(|rarity| (1000.0 * rarity / mean).round() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_rise_with_the_context_and_have_the_mean_1() {
        // Four documents of one token, two of three, one of fifteen.
        let contexts = [7, 6, 4, 8];
        let of = |scale, limit| loss_weights(&contexts, 64, (scale, limit), false);
        let inverse = of(WeightScale::Inverse, 100.0);
        // Tokens at a place: 7, 3, 1, 1.
        assert_eq!(inverse[2], inverse[3]);
        let near = |a: u32, b: f64| (f64::from(a) / f64::from(inverse[0]) - b).abs() < 0.01;
        assert!(near(inverse[1], 7.0 / 3.0) && near(inverse[2], 7.0), "{inverse:?}");
        let root = of(WeightScale::Root, 100.0);
        assert!((f64::from(root[2]) / f64::from(root[0]) - 7f64.sqrt()).abs() < 0.01);
        let limited = of(WeightScale::Inverse, 2.0);
        assert_eq!(limited[1], limited[3]);
        for weights in [inverse, root, limited] {
            let sum: f64 =
                contexts.iter().zip(&weights).map(|(&t, &w)| t as f64 * f64::from(w)).sum();
            assert!((sum / 25_000.0 - 1.0).abs() < 0.001);
        }
    }

    #[test]
    fn first_tokens_that_take_no_part_do_not_count_and_the_last_entry_ends_with_the_sequence() {
        let weights = loss_weights(&[2, 4, 8, 2], 8, (WeightScale::Inverse, 10.0), true);
        // Two documents that fill the sequence: each place is as frequent.
        assert_eq!(weights, [1000; 4]);
        assert!(loss_weights(&[], 8, (WeightScale::Root, 10.0), false).is_empty());
    }
}
