//! Similarities of some rows with some others: what all searches spend their time on.

#[cfg(target_arch = "x86_64")]
use crate::avx;
use crate::vectors::similarity;

/// Space for products, and the rows on their left side.
pub(crate) enum Products {
    /// Where the processor has it.
    #[cfg(target_arch = "x86_64")]
    Avx(avx::Products),
    Plain(Plain),
}

impl Products {
    /// No rows yet; those to come have `dims` components.
    pub(crate) fn new(dims: usize) -> Products {
        #[cfg(target_arch = "x86_64")]
        if let Some(products) = avx::Products::all(dims).next() {
            return Products::Avx(products);
        }
        Products::Plain(Plain { dims, left: Vec::new(), out: Vec::new() })
    }

    /// Sets the left side.
    pub(crate) fn queries<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [i16]>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Products::Avx(products) => products.queries(rows),
            Products::Plain(products) => products.queries(rows),
        }
    }

    /// Gives for each row of the left side, by its number, the similarities with the rows of
    /// `base`, in order.
    pub(crate) fn with(&mut self, base: &[i16], each: impl FnMut(usize, &[i32])) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Products::Avx(products) => products.with(base, each),
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
    fn queries<'a>(&mut self, rows: impl Iterator<Item = &'a [i16]>) {
        self.left.clear();
        rows.for_each(|row| self.left.extend_from_slice(row));
    }

    fn with(&mut self, base: &[i16], mut each: impl FnMut(usize, &[i32])) {
        for (query, left) in self.left.chunks_exact(self.dims).enumerate() {
            self.out.clear();
            self.out.extend(base.chunks_exact(self.dims).map(|right| similarity(left, right)));
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
        fn similarities_are_sums_of_products_whatever_the_processor_has(
            (dims, left, right) in (1usize..140).prop_flat_map(|dims| (Just(dims), rows(dims), rows(dims))),
        ) {
            let sum = |a: &Vec<i16>, b: &Vec<i16>| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
            let expected: Vec<Vec<i32>> = left.iter().map(|a| right.iter().map(|b| sum(a, b)).collect()).collect();
            let mut all = vec![Products::Plain(Plain { dims, left: Vec::new(), out: Vec::new() })];
            #[cfg(target_arch = "x86_64")]
            all.extend(avx::Products::all(dims).map(Products::Avx));
            let right = right.concat();
            for mut products in all {
                // Twice, so that what the first left behind would show.
                for _ in 0..2 {
                    products.queries(left.iter().map(Vec::as_slice));
                    let mut found = Vec::new();
                    products.with(&right, |query, similarities| {
                        assert_eq!(query, found.len());
                        found.push(similarities.to_vec());
                    });
                    prop_assert_eq!(&found, &expected);
                }
            }
        }
    }
}
