//! The best few by nearness, of equally near ones those of the lowest keys: the order in which answers are given, so
//! that what is cut off does not hang on where a vector lies.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Key;
use crate::graph::Near;

/// The best `keep`.
pub(super) struct Best {
    keep: usize,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    /// Nearness, in the order of floats.
    nearness: u32,
    key: Reverse<Key>,
    slot: u32,
}

impl Best {
    /// None yet.
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, heap: BinaryHeap::with_capacity(keep.min(1 << 16) + 1) }
    }

    /// Whether a slot may still get in; decided without its key, so that one as near as the worst may.
    #[inline]
    pub(super) fn admits(&self, near: Near) -> bool {
        self.heap.len() < self.keep || self.heap.peek().is_some_and(|worst| near.order() >= worst.0.nearness)
    }

    /// Takes a slot in, whose key this is; the worst leaves if there are too many.
    pub(super) fn push(&mut self, near: Near, key: Key) {
        self.heap.push(Reverse(Ranked { nearness: near.order(), key: Reverse(key), slot: near.slot() }));
        if self.heap.len() > self.keep {
            self.heap.pop();
        }
    }

    /// The slots, best first.
    pub(super) fn into_sorted(self) -> Vec<u32> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_lowest_keys_stay() {
        let mut best = Best::new(3);
        for (nearness, slot, key) in [(1.0, 0, 9), (1.0, 1, 2), (1.0, 2, 7), (2.0, 3, 8), (1.0, 4, 1), (0.5, 5, 0)] {
            let near = Near::new(nearness, slot);
            if best.admits(near) {
                best.push(near, Key(0, key));
            }
        }
        assert_eq!(best.into_sorted(), [3, 4, 1]);
    }
}
