//! How much work a query may still do, counted where the work is done.
//!
//! A step is what takes some fifty to a hundred nanoseconds: a condition, an element of an array, 64 bytes of a payload that
//! is read. Whoever works spends steps, also inside of one point, whose payload and filter may be long. Once the meter has
//! ended, the work goes on to its end without doing any, and its result means nothing.

use std::cell::Cell;

use raft_groups::mutants::{Mutant, is_planted};

/// Steps between two questions whether to go on.
const ASK_EVERY: u64 = 1024;

/// Bytes of a payload that are read in a step.
const BYTES_PER_STEP: usize = 64;

/// Counts one query's steps. Invariant: once it has ended, it stays so.
pub struct Meter<'a> {
    left: Cell<u64>,
    until_asked: Cell<u64>,
    go_on: &'a dyn Fn() -> bool,
    ended: Cell<bool>,
}

impl Meter<'static> {
    /// One that never ends.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, &|| true)
    }
}

impl<'a> Meter<'a> {
    /// One that ends after so many steps, or when it is told not to go on.
    pub fn new(steps: u64, go_on: &'a dyn Fn() -> bool) -> Self {
        Self { left: Cell::new(steps), until_asked: Cell::new(ASK_EVERY), go_on, ended: Cell::new(false) }
    }

    /// Spends steps; `true` if the meter has ended.
    pub fn spend(&self, steps: u64) -> bool {
        let left = self.left.get().saturating_sub(steps);
        self.left.set(left);
        // Asked once in many steps, since the question may cost more than a step.
        let ended = left == 0 || self.until_asked.get() <= steps && !self.asked();
        self.until_asked.set(self.until_asked.get().saturating_sub(steps));
        if ended && !is_planted(Mutant::NeverEndsQueries) {
            self.ended.set(true);
        }
        self.ended.get()
    }

    /// Spends what reading so long a text costs; `true` if the meter has ended.
    pub fn spend_bytes(&self, bytes: usize) -> bool {
        self.spend(1 + (bytes / BYTES_PER_STEP) as u64)
    }

    /// Returns `true` if the work is to be given up.
    pub fn ended(&self) -> bool {
        self.ended.get()
    }

    /// Returns `true` if it has ended since all steps are spent.
    pub fn is_spent(&self) -> bool {
        self.ended.get() && self.left.get() == 0
    }

    fn asked(&self) -> bool {
        self.until_asked.set(ASK_EVERY);
        (self.go_on)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_its_steps_are_spent_or_when_it_is_told_to() {
        let meter = Meter::new(10, &|| true);
        assert!(!meter.spend(9) && meter.spend(1) && meter.is_spent() && meter.spend(0));
        let (asked, told) = (Cell::new(0), Cell::new(true));
        let go_on = || {
            asked.set(asked.get() + 1);
            told.get()
        };
        let meter = Meter::new(u64::MAX, &go_on);
        assert!((0..ASK_EVERY * 3).all(|_| !meter.spend(1)));
        assert_eq!(asked.get(), 3);
        told.set(false);
        assert!(meter.spend(ASK_EVERY * 9) && meter.ended() && !meter.is_spent(), "it asks at once after much work");
        told.set(true);
        assert!(meter.spend(1), "it has ended for good");
    }
}
