//! Lists of items, concatenated (CSR): where each begins and ends.

use std::mem::replace;
use std::ops::Range;

/// Where each of the lists that a column holds ends; the first begins at 0, each other at the end
/// of the one before. Costs 8 bytes a list. Files hold the same numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    ends: Vec<u64>,
}

impl Offsets {
    /// No lists, with room for some.
    pub fn with_capacity(lists: usize) -> Offsets {
        Offsets { ends: Vec::with_capacity(lists) }
    }

    /// The lists with these ends; `None` where one would end before it begins.
    pub fn from_ends(ends: Vec<u64>) -> Option<Offsets> {
        ends.is_sorted().then_some(Offsets { ends })
    }

    /// Sorts items by list, each list's in the order in which they come: a counting sort, in two
    /// passes over `items`, pairs of list and item.
    pub fn sort<T: Copy>(
        lists: usize,
        items: impl Iterator<Item = (usize, T)> + Clone,
    ) -> (Offsets, Vec<T>) {
        let mut ends = vec![0u64; lists];
        items.clone().for_each(|(list, _)| ends[list] += 1);
        let all = ends.iter_mut().fold(0, |begin, end| begin + replace(end, begin));
        let mut sorted = match items.clone().next() {
            Some((_, any)) => vec![any; all as usize],
            None => Vec::new(),
        };
        // Until a list's items are placed, `ends` holds the place of the next.
        items.for_each(|(list, item)| {
            sorted[ends[list] as usize] = item;
            ends[list] += 1;
        });
        (Offsets { ends }, sorted)
    }

    /// Appends a list that ends before item `end` of all.
    pub fn push(&mut self, end: usize) {
        debug_assert!(end as u64 >= self.end());
        self.ends.push(end as u64);
    }

    /// Appends lists whose items follow those of these.
    pub fn extend(&mut self, others: &Offsets) {
        let begin = self.end();
        self.ends.extend(others.ends.iter().map(|end| begin + end));
    }

    /// Keeps the first lists.
    pub fn truncate(&mut self, lists: usize) {
        self.ends.truncate(lists);
    }

    /// Forgets all lists, but not their memory.
    pub fn clear(&mut self) {
        self.ends.clear();
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lists.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Items of all lists.
    pub fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The end of each list, as files hold it.
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }

    /// Where a list begins, or, given the number of lists, where the last ends.
    #[inline]
    pub fn begin(&self, list: usize) -> u64 {
        if list == 0 { 0 } else { self.ends[list - 1] }
    }

    /// The items of a list in a file; panics beyond the last list, as a slice does.
    #[inline]
    pub fn span(&self, list: usize) -> Range<u64> {
        self.begin(list)..self.ends[list]
    }

    /// The items of a list in memory; panics beyond the last list, as a slice does.
    #[inline]
    pub fn range(&self, list: usize) -> Range<usize> {
        let Range { start, end } = self.span(list);
        start as usize..end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_follow_each_other_and_may_be_empty() {
        let mut offsets = Offsets::with_capacity(4);
        assert_eq!((offsets.len(), offsets.end(), offsets.begin(0)), (0, 0, 0));
        [0, 3, 3].into_iter().for_each(|end| offsets.push(end));
        assert_eq!([0, 1, 2].map(|list| offsets.range(list)), [0..0, 0..3, 3..3]);
        assert_eq!((offsets.begin(3), offsets.end(), offsets.ends()), (3, 3, &[0, 3, 3][..]));
        offsets.extend(&Offsets::from_ends(vec![2, 5]).unwrap());
        assert_eq!((offsets.len(), offsets.span(3), offsets.span(4)), (5, 3..5, 5..8));
        offsets.truncate(2);
        assert_eq!(offsets.ends(), [0, 3]);
        assert_eq!(Offsets::from_ends(vec![2, 1]), None);
    }

    #[test]
    fn items_are_sorted_by_list_and_keep_their_order_in_it() {
        let items = [(2, 'a'), (0, 'b'), (2, 'c'), (3, 'd'), (0, 'e')];
        let (offsets, sorted) = Offsets::sort(5, items.into_iter());
        assert_eq!(sorted, ['b', 'e', 'a', 'c', 'd']);
        assert_eq!(offsets.ends(), [2, 2, 4, 5, 5]);
        let (none, sorted) = Offsets::sort(2, std::iter::empty::<(usize, u8)>());
        assert_eq!((none.ends(), sorted.len()), (&[0, 0][..], 0));
    }
}
