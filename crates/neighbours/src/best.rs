//! The best few of many: (similarity, number) in, the greatest similarities out, ties to the lower
//! number.

/// Greater is better: similarity first, then the lower number.
fn key(similarity: i32, number: u32) -> u64 {
    u64::from(similarity as u32 ^ 1 << 31) << 32 | u64::from(!number)
}

/// Keeps the best `k` of what it is offered. 16 bytes · k.
pub(crate) struct Best {
    k: usize,
    /// Nothing below it is among the best.
    floor: i32,
    /// As keys: the best up to the last clearing, the worst of them last, and what came since.
    keys: Vec<u64>,
    worst: u64,
}

impl Best {
    /// Room for the best `k` (at least 1) with a similarity of at least `least`.
    pub(crate) fn new(k: usize, least: i32) -> Best {
        let mut best = Best { k, floor: least, keys: Vec::with_capacity(2 * k), worst: 0 };
        best.reset(least);
        best
    }

    /// Forgets all.
    pub(crate) fn reset(&mut self, least: i32) {
        self.keys.clear();
        self.floor = least;
        self.worst = 0;
    }

    /// Offers each of `similarities`; `number` gives the number of one by its place, none where it
    /// is not wanted.
    pub(crate) fn offer(&mut self, similarities: &[i32], number: impl Fn(usize) -> Option<u32>) {
        const RUN: usize = 16;
        for (run, all) in similarities.chunks(RUN).enumerate() {
            // Nearly all fail here, many at once.
            if all.iter().fold(true, |low, &s| low & (s < self.floor)) {
                continue;
            }
            for (i, &similarity) in all.iter().enumerate() {
                if similarity >= self.floor
                    && let Some(number) = number(run * RUN + i)
                {
                    self.push(key(similarity, number));
                }
            }
        }
    }

    /// Offers a single similarity.
    pub(crate) fn offer_one(&mut self, similarity: i32, number: u32) {
        if similarity >= self.floor {
            self.push(key(similarity, number));
        }
    }

    fn push(&mut self, key: u64) {
        if key <= self.worst {
            return;
        }
        self.keys.push(key);
        if self.keys.len() == 2 * self.k {
            let (_, &mut worst, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.k);
            self.worst = worst;
            self.floor = ((worst >> 32) as u32 ^ 1 << 31) as i32;
        }
    }

    /// The best, as (similarity, number), from the best on.
    pub(crate) fn sorted(&mut self) -> impl Iterator<Item = (i32, u32)> + '_ {
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys
            .iter()
            .take(self.k)
            .map(|&key| (((key >> 32) as u32 ^ 1 << 31) as i32, !(key as u32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_those_that_sorting_gives(similarities in prop::collection::vec(prop_oneof![-3i32..3, any::<i32>()], 0..200), k in 1usize..20) {
            for least in [i32::MIN, 1] {
                let mut best = Best::new(k, least);
                best.offer(&similarities, |i| (i % 7 != 3).then_some(i as u32));
                let mut expected: Vec<(i32, u32)> =
                    (0u32..).zip(&similarities).filter(|&(i, &s)| i % 7 != 3 && s >= least).map(|(i, &s)| (s, i)).collect();
                expected.sort_unstable_by_key(|&(s, i)| (std::cmp::Reverse(s), i));
                expected.truncate(k);
                prop_assert_eq!(best.sorted().collect::<Vec<_>>(), expected);
            }
        }
    }
}
