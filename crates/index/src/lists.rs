//! Lists of numbers, concatenated (CSR), made in parallel.

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

    /// Adds to the list that is last and not ended.
    pub(crate) fn extend(&mut self, items: &[T]) {
        self.items.extend_from_slice(items);
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

/// Makes `number` lists in parallel and passes them to the caller in order; a batch has about
/// `most` elements by `size`.
pub(crate) fn in_order<T: Copy + Send + Sync>(
    ctx: &Ctx,
    number: usize,
    most: usize,
    size: impl Fn(usize) -> usize,
    make: impl Fn(usize, &mut Vec<T>) -> Result<()> + Sync,
    mut take: impl FnMut(&[T]) -> Result<()>,
) -> Result<()> {
    let mut start = 0;
    while start < number {
        ctx.cancel.check()?;
        let (mut end, mut sum) = (start + 1, size(start));
        while end < number.min(start + WAVE) && sum.saturating_add(size(end)) <= most {
            sum += size(end);
            end += 1;
        }
        let block = (end - start).div_ceil(rayon::current_num_threads() * 8);
        let blocks: Vec<Lists<T>> = (0..(end - start).div_ceil(block))
            .into_par_iter()
            .map(|number| {
                let from = start + number * block;
                let mut lists = Lists::new();
                for i in from..end.min(from + block) {
                    make(i, &mut lists.items)?;
                    lists.end();
                }
                Ok(lists)
            })
            .collect::<Result<_>>()?;
        for block in &blocks {
            (0..block.len()).try_for_each(|i| take(block.get(i)))?;
        }
        start = end;
    }
    Ok(())
}
