//! The best few by nearness, of equally near ones those of the lowest keys: the order in which answers are given, so
//! that what is cut off does not hang on where a vector lies.
//!
//! Keys lie elsewhere and are asked for late: only for those that are as near as the worst that stays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Key;
use crate::graph::Near;

/// The best `keep`.
///
/// Invariant: every slot in `equals` is as near as the worst in the heap, and the heap is full if there is one.
pub(super) struct Best {
    keep: usize,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Near>>,
    /// Those that have no place, though they are as near as the worst that has.
    equals: Vec<Near>,
}

impl Best {
    /// None yet; `keep` is one at least.
    pub(super) fn new(keep: usize) -> Self {
        debug_assert!(keep > 0);
        Self { keep, heap: BinaryHeap::with_capacity(keep.min(1 << 16) + 1), equals: Vec::new() }
    }

    /// Whether a slot may still get in; decided without its key, so that one as near as the worst may.
    #[inline]
    pub(super) fn admits(&self, near: Near) -> bool {
        self.heap.len() < self.keep || self.heap.peek().is_some_and(|worst| near.order() >= worst.0.order())
    }

    /// Takes a slot in, which is [admitted](Self::admits).
    pub(super) fn push(&mut self, near: Near) {
        if self.heap.len() < self.keep {
            self.heap.push(Reverse(near));
            return;
        }
        let Some(mut worst) = self.heap.peek_mut() else { return };
        // As near as the worst: kept aside, since keys decide among equals.
        if near.order() <= worst.0.order() {
            drop(worst);
            self.equals.push(near);
            return;
        }
        // Those as near as the one that left stay only while the worst is as near.
        let left = std::mem::replace(&mut worst.0, near);
        drop(worst);
        if self.heap.peek().is_some_and(|worst| worst.0.order() > left.order()) {
            self.equals.clear();
        } else {
            self.equals.push(left);
        }
    }

    /// The slots, best first.
    pub(super) fn into_sorted(self, key: impl Fn(u32) -> Key) -> Vec<u32> {
        let mut slots: Vec<u32> = Vec::with_capacity(self.heap.len());
        // Only those as near as the worst need their keys: all others are in order already.
        let worst = self.heap.peek().map(|worst| worst.0.order());
        let sorted = self.heap.into_sorted_vec().into_iter().map(|Reverse(near)| near);
        let (level, better): (Vec<Near>, Vec<Near>) = sorted.partition(|near| Some(near.order()) == worst);
        slots.extend(better.into_iter().map(Near::slot));
        let places = level.len();
        let mut level: Vec<u32> = level.into_iter().chain(self.equals).map(Near::slot).collect();
        if level.len() > places {
            level.sort_by_cached_key(|slot| key(*slot));
            level.truncate(places);
        }
        slots.extend(level);
        slots
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best_of(keep: usize, all: &[(f32, u64)]) -> Vec<u64> {
        let mut best = Best::new(keep);
        for (slot, (nearness, _)) in (0..).zip(all) {
            let near = Near::new(*nearness, slot);
            if best.admits(near) {
                best.push(near);
            }
        }
        let key = |slot: u32| all[slot as usize].1;
        best.into_sorted(|slot| Key(0, key(slot).into())).into_iter().map(key).collect()
    }

    #[test]
    fn of_equals_the_lowest_keys_stay() {
        let all = [(1.0, 9), (1.0, 2), (1.0, 7), (2.0, 8), (1.0, 1), (0.5, 0)];
        assert_eq!(best_of(3, &all), [8, 1, 2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn they_are_those_of_a_sort(levels in prop::collection::vec(0_u8..4, 0..60), keep in 1_usize..20) {
            // Keys in an order of their own.
            let all: Vec<(f32, u64)> = levels.iter().zip(0..).map(|(level, at)| (f32::from(*level), at * 37 % 61)).collect();
            let mut sorted = all.clone();
            sorted.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
            let mut expected: Vec<u64> = sorted.iter().take(keep).map(|(_, key)| *key).collect();
            let mut found = best_of(keep, &all);
            expected.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
