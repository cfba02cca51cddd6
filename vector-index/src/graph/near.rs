//! Slots ordered by how near they are, and the memory that a walk needs, kept from one walk to the next.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// A slot and how near it is, in one number: the nearer is greater, of equally near ones the lower slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Near(u64);

impl Near {
    #[inline]
    pub(crate) fn new(nearness: f32, slot: u32) -> Self {
        // The bits of a float, in the order of floats; no nearness at all is the least.
        let bits = if nearness.is_nan() { f32::NEG_INFINITY.to_bits() } else { nearness.to_bits() };
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(!slot))
    }

    #[inline]
    pub(crate) fn slot(self) -> u32 {
        !(self.0 as u32)
    }

    /// Its nearness as a number in the order of floats.
    #[inline]
    pub(crate) fn order(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn nearness(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// The memory of a walk over one level of a graph.
///
/// Invariants, which [`WalkScratch::check`] holds at the end of each walk:
/// 1. There is a bit for each slot of the graph.
/// 2. Every slot that is ahead or found was visited.
/// 3. Nobody is found twice, and no more are found than the walk keeps, but for those that it begins with.
#[derive(Debug, Default)]
pub(crate) struct WalkScratch {
    /// One bit a slot: all of them lie in the nearest cache for any number of slots that one shard has.
    visited: Vec<u64>,
    pub(super) ahead: BinaryHeap<Near>,
    pub(super) found: BinaryHeap<Reverse<Near>>,
    pub(super) fresh: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<WalkScratch> = RefCell::default();
}

impl WalkScratch {
    /// Lends this thread's memory, so that a search allocates none. Not to be asked for again inside.
    pub(crate) fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R {
        SCRATCH.with_borrow_mut(use_it)
    }

    /// Forgets the last walk, for one over so many slots.
    pub(super) fn reset(&mut self, slots: usize) {
        self.visited.clear();
        self.visited.resize(slots.div_ceil(64), 0);
        self.ahead.clear();
        self.found.clear();
    }

    /// Says which invariant does not hold, if one does not, for a walk over so many slots that keeps `most`.
    pub(super) fn check(&self, slots: usize, most: usize) -> Result<(), String> {
        let mut known = self.ahead.iter().chain(self.found.iter().map(|Reverse(near)| near)).map(|near| near.slot());
        let is_visited =
            |slot: u32| self.visited.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1);
        let found: HashSet<u32> = self.found.iter().map(|Reverse(near)| near.slot()).collect();
        let rules = [
            (self.visited.len() == slots.div_ceil(64), "a slot has no bit"),
            (known.all(is_visited), "a slot was not visited, and is ahead or found"),
            (found.len() == self.found.len(), "a slot is found twice"),
            (self.found.len() <= most, "more are found than the walk keeps"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, broken)) => Err(format!("{broken}: {} of {most} found, {slots} slots", self.found.len())),
        }
    }

    /// Notes a visit; whether it is the first.
    #[inline]
    pub(super) fn visit(&mut self, slot: u32) -> bool {
        let word = &mut self.visited[slot as usize / 64];
        let bit = 1 << (slot % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_nearness_then_of_slots() {
        let values = [f32::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-40, 3.0, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(Near::new(pair[0], 1) < Near::new(pair[1], 9), "{pair:?}");
            assert!(Near::new(pair[0], 1) > Near::new(pair[0], 2));
        }
        for value in values {
            assert_eq!(Near::new(value, 7).nearness().to_bits(), value.to_bits());
            assert_eq!(Near::new(value, 7).slot(), 7);
        }
        assert_eq!(Near::new(f32::NAN, 0), Near::new(f32::NEG_INFINITY, 0));
    }

    #[test]
    fn every_broken_invariant_of_a_walk_is_found() {
        let walked = || {
            let mut scratch = WalkScratch::default();
            scratch.reset(100);
            for slot in [3, 70] {
                assert!(scratch.visit(slot) && !scratch.visit(slot));
                scratch.ahead.push(Near::new(1.0, slot));
                scratch.found.push(Reverse(Near::new(1.0, slot)));
            }
            scratch
        };
        assert_eq!(walked().check(100, 2), Ok(()));
        assert!(walked().check(200, 2).is_err_and(|broken| broken.starts_with("a slot has no bit")));
        assert!(walked().check(100, 1).is_err_and(|broken| broken.starts_with("more are found")));
        let mut twice = walked();
        twice.found.push(Reverse(Near::new(2.0, 3)));
        assert!(twice.check(100, 3).is_err_and(|broken| broken.starts_with("a slot is found twice")));
        let mut unseen = walked();
        unseen.ahead.push(Near::new(2.0, 4));
        assert!(unseen.check(100, 2).is_err_and(|broken| broken.starts_with("a slot was not visited")));
    }
}
