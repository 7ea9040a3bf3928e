//! Lists of numbers, concatenated (CSR), made in parallel.

use std::ops::Range;

use longweave_common::{Ctx, Offsets, Result};
use rayon::prelude::*;

/// Lists that are made at once.
const WAVE: usize = 1 << 16;

/// Lists of numbers, concatenated (CSR).
pub(crate) struct Lists<T> {
    offsets: Offsets,
    items: Vec<T>,
}

impl<T: Copy + Send + Sync> Lists<T> {
    /// None.
    pub(crate) fn new() -> Lists<T> {
        Lists { offsets: Offsets::default(), items: Vec::new() }
    }

    /// Adds to the list that is last and not ended.
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Appends lists, where the last is ended.
    pub(crate) fn append(&mut self, others: &Lists<T>) {
        self.items.extend_from_slice(&others.items);
        self.offsets.extend(&others.offsets);
    }

    /// All lists, concatenated, and where each ends.
    pub(crate) fn parts(&self) -> (&[T], &Offsets) {
        (&self.items, &self.offsets)
    }

    /// Ends the last list.
    pub(crate) fn end(&mut self) {
        self.offsets.push(self.items.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn get(&self, i: usize) -> &[T] {
        &self.items[self.offsets.range(i)]
    }
}

/// Makes `number` lists in parallel and passes them to the caller in order, some at a time, each
/// with what `make` returned; while the caller takes them the next are made. Together those have
/// about `most` elements by `size`. `make` gets memory that it keeps from list to list.
pub(crate) fn in_order<T: Copy + Send + Sync, E: Send + Sync, S: Default>(
    ctx: &Ctx,
    number: usize,
    most: usize,
    size: impl Fn(usize) -> usize + Sync,
    make: impl Fn(usize, &mut S, &mut Vec<T>) -> Result<E> + Sync,
    mut take: impl FnMut(&Lists<T>, &[E]) -> Result<()> + Send,
) -> Result<()> {
    let wave = |start: usize| {
        let (mut end, mut sum) = (start + 1, size(start));
        while end < number.min(start + WAVE) && sum.saturating_add(size(end)) <= most / 2 {
            sum += size(end);
            end += 1;
        }
        start..end
    };
    let made = |wave: Range<usize>| -> Result<Vec<(Lists<T>, Vec<E>)>> {
        let block = wave.len().div_ceil(rayon::current_num_threads() * 8).max(1);
        (0..wave.len().div_ceil(block))
            .into_par_iter()
            .map(|number| {
                let from = wave.start + number * block;
                let (mut lists, mut results, mut kept) = (Lists::new(), Vec::new(), S::default());
                for i in from..wave.end.min(from + block) {
                    results.push(make(i, &mut kept, &mut lists.items)?);
                    lists.end();
                }
                Ok((lists, results))
            })
            .collect()
    };
    let first = (number > 0).then(|| wave(0));
    let after = |last: &Range<usize>| (last.end < number).then(|| wave(last.end));
    ctx.make_ahead(std::iter::successors(first, after), made, |blocks| {
        blocks.iter().try_for_each(|(lists, results)| take(lists, results))
    })
}
