//! Similarities of some rows with some others: what all searches spend their time on.

#[cfg(target_arch = "x86_64")]
use crate::avx2;
use crate::vectors::similarity;

/// Space for products, and the rows on their left side.
pub(crate) enum Products {
    /// Where the processor has it.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Products),
    Plain(Plain),
}

impl Products {
    /// No rows yet; those to come have `dims` components.
    pub(crate) fn new(dims: usize) -> Products {
        #[cfg(target_arch = "x86_64")]
        if let Some(products) = avx2::Products::new(dims) {
            return Products::Avx2(products);
        }
        Products::Plain(Plain::new(dims))
    }

    /// Sets the left side.
    pub(crate) fn queries<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [i16]>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Products::Avx2(products) => products.queries(rows),
            Products::Plain(products) => products.queries(rows),
        }
    }

    /// Gives for each row of the left side, by its number, the similarities with the rows of
    /// `base`, in order.
    pub(crate) fn with<'a>(
        &mut self,
        base: impl ExactSizeIterator<Item = &'a [i16]> + Clone,
        each: impl FnMut(usize, &[i32]),
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Products::Avx2(products) => products.with(base, each),
            Products::Plain(products) => products.with(base, each),
        }
    }
}

/// Pair by pair, by [`similarity`].
pub(crate) struct Plain {
    dims: usize,
    left: Vec<i16>,
    out: Vec<i32>,
}

impl Plain {
    fn new(dims: usize) -> Plain {
        Plain { dims, left: Vec::new(), out: Vec::new() }
    }

    fn queries<'a>(&mut self, rows: impl Iterator<Item = &'a [i16]>) {
        self.left.clear();
        rows.for_each(|row| self.left.extend_from_slice(row));
    }

    fn with<'a>(
        &mut self,
        base: impl Iterator<Item = &'a [i16]> + Clone,
        mut each: impl FnMut(usize, &[i32]),
    ) {
        for (query, left) in self.left.chunks_exact(self.dims).enumerate() {
            self.out.clear();
            self.out.extend(base.clone().map(|right| similarity(left, right)));
            each(query, &self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(dims: usize) -> impl Strategy<Value = Vec<Vec<i16>>> {
        prop::collection::vec(prop::collection::vec(-800i16..800, dims), 0..12)
    }

    proptest! {
        #[test]
        fn similarities_are_sums_of_products_with_and_without_avx2(
            (dims, left, right) in (1usize..70).prop_flat_map(|dims| (Just(dims), rows(dims), rows(dims))),
        ) {
            let sum = |a: &Vec<i16>, b: &Vec<i16>| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
            let expected: Vec<Vec<i32>> = left.iter().map(|a| right.iter().map(|b| sum(a, b)).collect()).collect();
            for mut products in [Products::new(dims), Products::Plain(Plain::new(dims))] {
                // Twice, so that what the first left behind would show.
                for _ in 0..2 {
                    products.queries(left.iter().map(Vec::as_slice));
                    let mut found = Vec::new();
                    products.with(right.iter().map(Vec::as_slice), |query, similarities| {
                        assert_eq!(query, found.len());
                        found.push(similarities.to_vec());
                    });
                    prop_assert_eq!(&found, &expected);
                }
            }
        }
    }
}
