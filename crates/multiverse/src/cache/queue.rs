//! A queue of which the least comes first, and whose items may be out of date: those are passed over when they would come,
//! which costs less than looking for each that is to go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Outdated items that are kept in any case.
const SLACK: usize = 64;

#[derive(Debug)]
pub(super) struct Queue<T>(BinaryHeap<Reverse<T>>);

impl<T: Ord + Copy> Queue<T> {
    pub(super) fn new() -> Self {
        Self(BinaryHeap::new())
    }

    /// Adds an item. `current` says how many items are not outdated; there are never more than as many others.
    pub(super) fn push(&mut self, item: T, current: usize, is_current: impl Fn(T) -> bool) {
        if self.0.len() >= 2 * current + SLACK {
            self.0.retain(|Reverse(item)| is_current(*item));
            self.0.shrink_to(2 * current + SLACK);
        }
        self.0.push(Reverse(item));
    }

    /// The least item, which stays.
    pub(super) fn first(&mut self, is_current: impl Fn(T) -> bool) -> Option<T> {
        loop {
            let Reverse(item) = *self.0.peek()?;
            if is_current(item) {
                return Some(item);
            }
            self.0.pop();
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0 = BinaryHeap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outdated_is_passed_over_and_does_not_pile_up() {
        let mut queue = Queue::new();
        for item in 0..10_000 {
            queue.push(item, 1, |each| each == item);
        }
        assert!(queue.0.len() <= SLACK + 3, "{}", queue.0.len());
        assert_eq!(queue.first(|item| item >= 9_999), Some(9_999));
        assert_eq!(queue.first(|item| item > 9_999), None);
        assert!(queue.0.is_empty());
    }
}
