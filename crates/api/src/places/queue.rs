//! Tasks of a stage that wait for a place: how many of them make a call, and which are given again
//! after a place was lost or failed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How often a task is given again after each kind of failure.
pub(super) const AGAIN: u32 = 3;
/// Calls that a place gets of a stage, about.
const CALLS: usize = 4;
/// Most tasks of a call for each thread of its place: others may come that can share them.
const MOST: usize = 16;

/// The failures of a task.
#[derive(Default)]
struct Tries {
    /// Losses of calls in which other tasks were left too: any of them may be the cause.
    shared: u32,
    /// Losses of calls in which nothing else was left.
    lost: u32,
    failed: u32,
    /// Its process was killed because memory was short: it runs alone on the place with most.
    alone: bool,
    /// The place where it failed last.
    avoid: Option<String>,
}

impl Tries {
    /// Whether it gets a call of its own: it may be what its neighbours fail by.
    fn is_suspect(&self) -> bool {
        self.alone || self.lost + self.failed + self.shared > 1
    }
}

/// A place that asks for tasks.
pub(super) struct Offer<'a> {
    pub place: &'a str,
    pub threads: u32,
    /// Places that share the tasks, this one included.
    pub places: u32,
    /// Whether other places could take tasks.
    pub others: bool,
    /// Whether none has more memory.
    pub is_largest: bool,
}

pub(super) struct Queue {
    /// Tasks that were never given.
    fresh: Vec<u32>,
    next: usize,
    /// Tasks that were, and failed.
    again: BTreeSet<u32>,
    tries: BTreeMap<u32, Tries>,
}

impl Queue {
    pub(super) fn new(tasks: &[u32]) -> Queue {
        let (again, tries) = (BTreeSet::new(), BTreeMap::new());
        Queue { fresh: tasks.to_vec(), next: 0, again, tries }
    }

    /// Tasks that wait.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() - self.next + self.again.len()
    }

    /// Tasks for a call; none where the rest is for others.
    pub(super) fn take(&mut self, offer: &Offer<'_>) -> Vec<u32> {
        let again = self.take_again(offer);
        if !again.is_empty() {
            return again;
        }
        let share = self.share(offer);
        self.next = share.end;
        self.fresh[share].to_vec()
    }

    /// Tasks that are given again: those that may be the cause one by one.
    fn take_again(&mut self, offer: &Offer<'_>) -> Vec<u32> {
        let fits = |task: &&u32| {
            self.tries.get(task).is_none_or(|tries| {
                // One that runs alone has no other place: the largest may be where it failed.
                match tries.alone {
                    true => offer.is_largest,
                    false => !(offer.others && tries.avoid.as_deref() == Some(offer.place)),
                }
            })
        };
        let suspect = |task: &u32| self.tries.get(task).is_some_and(Tries::is_suspect);
        let mut taken: Vec<u32> = Vec::new();
        for &task in self.again.iter().filter(fits) {
            if taken.len() == offer.threads as usize || (suspect(&task) && !taken.is_empty()) {
                break;
            }
            taken.push(task);
            if suspect(&task) {
                break;
            }
        }
        for task in &taken {
            self.again.remove(task);
        }
        taken
    }

    /// The next fresh tasks: a share of what is left, so that all places end together, but one for
    /// each thread where there are as many. A task that is all of its stage is for the place with
    /// most memory.
    fn share(&self, offer: &Offer<'_>) -> Range<usize> {
        let (left, places) = (self.fresh.len() - self.next, offer.places.max(1) as usize);
        if self.fresh.len() == 1 && !offer.is_largest {
            return self.next..self.next;
        }
        let threads = offer.threads as usize;
        let busy = left.div_ceil(places).min(threads);
        let most = (MOST * threads).max(1);
        self.next..self.next + left.div_ceil(CALLS * places).max(busy).min(most)
    }

    /// Puts tasks back whose place was lost; a task that was lost too often by itself.
    pub(super) fn lost(&mut self, tasks: &[u32]) -> Option<u32> {
        self.back(tasks, |tries| {
            *(if tasks.len() == 1 { &mut tries.lost } else { &mut tries.shared }) += 1;
            tries.lost > AGAIN
        })
    }

    /// Puts tasks back that `place` failed to do; a task that failed too often.
    pub(super) fn failed(&mut self, tasks: &[u32], place: &str) -> Option<u32> {
        self.back(tasks, |tries| {
            tries.failed += 1;
            tries.avoid = Some(place.to_owned());
            tries.failed > AGAIN
        })
    }

    /// Puts tasks back whose process was killed because memory was short; a task that ran alone.
    pub(super) fn short_of_memory(&mut self, tasks: &[u32]) -> Option<u32> {
        self.back(tasks, |tries| std::mem::replace(&mut tries.alone, true))
    }

    fn back(&mut self, tasks: &[u32], is_last: impl Fn(&mut Tries) -> bool) -> Option<u32> {
        self.again.extend(tasks);
        tasks.iter().copied().find(|&task| is_last(self.tries.entry(task).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(place: &str, threads: u32, places: u32) -> Offer<'_> {
        Offer { place, threads, places, others: places > 1, is_largest: true }
    }

    /// The sizes of the calls that places take in turn.
    fn sizes(tasks: u32, threads: u32, places: u32) -> Vec<usize> {
        let mut queue = Queue::new(&(0..tasks).collect::<Vec<_>>());
        let mut sizes = Vec::new();
        while queue.len() > 0 {
            sizes.push(queue.take(&offer("a", threads, places)).len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), tasks as usize);
        sizes
    }

    #[test]
    fn calls_shrink_towards_the_end_and_fill_the_threads_of_their_places() {
        assert_eq!(sizes(3, 1, 3), [1, 1, 1]);
        assert_eq!(sizes(10, 8, 2), [5, 3, 1, 1]);
        let many = sizes(1200, 4, 3);
        assert_eq!((many[0], many.iter().rev().skip(5).min()), (64, Some(&4)));
        assert!(many.is_sorted_by(|a, b| a >= b) && many.len() < 60, "{many:?}");
        assert_eq!(sizes(7, 16, 1), [7]);
    }

    #[test]
    fn a_task_that_is_all_of_its_stage_goes_to_the_place_with_most_memory() {
        let mut queue = Queue::new(&[0]);
        assert!(queue.take(&Offer { is_largest: false, ..offer("a", 4, 2) }).is_empty());
        assert_eq!(queue.take(&offer("b", 4, 2)), [0]);
    }

    #[test]
    fn lost_tasks_are_given_again_and_those_lost_twice_one_by_one() {
        let mut queue = Queue::new(&[0, 1, 2, 3]);
        let all = |queue: &mut Queue| queue.take(&offer("a", 4, 1));
        assert_eq!(all(&mut queue), [0, 1, 2, 3]);
        assert_eq!(queue.lost(&[1, 2, 3]), None);
        assert_eq!(all(&mut queue), [1, 2, 3]);
        assert_eq!((queue.lost(&[2, 3]), queue.len()), (None, 2));
        assert_eq!([all(&mut queue), all(&mut queue)], [[2], [3]]);
        for _ in 0..AGAIN {
            assert_eq!((queue.lost(&[2]), all(&mut queue)), (None, vec![2]));
        }
        assert_eq!(queue.lost(&[2]), Some(2));
    }

    #[test]
    fn a_failed_task_goes_elsewhere_where_there_is_another_place() {
        let mut queue = Queue::new(&[0]);
        assert_eq!(queue.take(&offer("a", 1, 2)), [0]);
        assert_eq!(queue.failed(&[0], "a"), None);
        assert!(queue.take(&offer("a", 1, 2)).is_empty());
        assert_eq!(queue.take(&offer("b", 1, 2)), [0]);
        assert_eq!(queue.failed(&[0], "b"), None);
        assert_eq!(queue.take(&offer("b", 1, 1)), [0]);
        assert_eq!((queue.failed(&[0], "b"), queue.failed(&[0], "b")), (None, Some(0)));
    }

    #[test]
    fn a_task_that_was_killed_for_memory_runs_alone_on_the_largest_place_and_once() {
        let mut queue = Queue::new(&[0, 1]);
        assert_eq!(queue.take(&offer("a", 2, 1)), [0, 1]);
        assert_eq!(queue.short_of_memory(&[0, 1]), None);
        assert!(queue.take(&Offer { is_largest: false, ..offer("b", 2, 2) }).is_empty());
        assert_eq!(queue.take(&offer("a", 2, 2)), [0]);
        assert_eq!(queue.take(&offer("a", 2, 2)), [1]);
        assert_eq!(queue.short_of_memory(&[1]), Some(1));
    }

    #[test]
    fn a_task_that_runs_alone_is_given_again_where_it_failed() {
        let mut queue = Queue::new(&[0]);
        assert_eq!(queue.take(&offer("b", 1, 2)), [0]);
        assert_eq!(queue.short_of_memory(&[0]), None);
        assert_eq!(queue.take(&offer("a", 1, 2)), [0]);
        assert_eq!(queue.failed(&[0], "a"), None);
        assert!(queue.take(&Offer { is_largest: false, ..offer("b", 1, 2) }).is_empty());
        assert_eq!(queue.take(&offer("a", 1, 2)), [0]);
    }
}
