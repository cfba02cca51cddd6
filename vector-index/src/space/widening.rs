//! How widely a walk must look, for the data that a space holds: measured while its graph grows.
//!
//! Data without any structure, such as noise in many dimensions, have no neighbourhoods that links could lead through:
//! a walk as wide as usual finds too few of the nearest. So now and then, before a vector is linked, the nearest to it
//! are looked for as a search would, and in a way that finds nearly all. Where too few of them are found, walks become
//! wider; where none is wide enough, searches do not walk.

use super::Space;
use crate::graph::{Near, WalkLimits, WalkScratch};
use crate::nearness::{ByCodes, ByVectors, Pairs};
use crate::plan::default_ef;

/// How much wider than usual, in quarters; after the last, no walk is wide enough.
const QUARTERS: [usize; 10] = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
/// Linked vectors from which on it is measured, and one in so many of them that it is measured at.
const FROM: usize = 512;
const EVERY: usize = 64;
/// Nearest that are looked for.
const NEAREST: usize = 10;
/// Up to so many vectors are compared to find the nearest; of more, the nearest are those of a walk so wide.
const ALL: usize = 8_000;
const WIDE: usize = 512;
/// The share that must be found, of so many that were sought.
const SHARE: f64 = 0.98;
const MANY: u32 = 480;
/// After so few, a lower share raises a suspicion: it is measured more often, at one in so many.
const FEW: u32 = 160;
const OFTEN: usize = 8;
/// A share so low needs no more proof.
const LEAST_SHARE: f64 = 0.9;

/// How widely walks look, and what was measured since that was decided.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Breadth {
    /// Into [`QUARTERS`]; past its end, walks are of no use.
    step: usize,
    sought: u32,
    found: u32,
    /// Linked vectors at which it is measured next.
    next: usize,
}

impl Breadth {
    /// As it was when an image was taken.
    pub(super) fn from_step(step: u8) -> Self {
        Self { step: usize::from(step).min(QUARTERS.len()), ..Self::default() }
    }

    /// For an image.
    pub(super) fn step(self) -> u8 {
        self.step as u8
    }

    /// The breadth of a walk that would usually look at `ef`; `None` if no walk finds enough.
    pub(super) fn widen(self, ef: usize) -> Option<usize> {
        QUARTERS.get(self.step).map(|quarters| ef.saturating_mul(*quarters) / 4)
    }

    /// Whether it is time to measure, at so many linked vectors.
    fn is_due(self, linked: usize) -> bool {
        self.step < QUARTERS.len() && linked >= self.next.max(FROM)
    }

    /// Takes in what was found of what was sought, at so many linked vectors.
    fn add(&mut self, measured: Measured, linked: usize) {
        self.sought += measured.sought;
        self.found += measured.found;
        let is_short = |share: f64| f64::from(self.found) < share * f64::from(self.sought);
        let is_suspect = self.sought >= FEW && is_short(SHARE);
        // Too few were found: walks get broader, and measuring begins anew.
        if is_suspect && (self.sought >= MANY || is_short(LEAST_SHARE)) {
            *self = Self { step: self.step + 1, sought: 0, found: 0, next: linked + OFTEN };
            return;
        }
        self.next = linked + if is_suspect { OFTEN } else { (linked / EVERY).max(OFTEN) };
        if self.sought >= MANY / 2 && !is_suspect {
            // What was found among fewer vectors counts less and less.
            (self.sought, self.found) = (self.sought / 2, self.found / 2);
        }
    }
}

/// Of the nearest that were sought, how many a search found.
#[derive(Debug, Clone, Copy)]
struct Measured {
    sought: u32,
    found: u32,
}

impl Space {
    /// Measures with `slot`, the next to be linked after so many, if it is time to.
    pub(super) fn measure_breadth(&self, slot: u32, linked: usize, breadth: &mut Breadth, scratch: &mut WalkScratch) {
        // Where no breadth is enough, searches do not walk, and there is nothing to measure.
        let Some(ef) = breadth.widen(default_ef(NEAREST, 1)).filter(|_| breadth.is_due(linked)) else { return };
        let (mut nearest, found) = (self.nearest(slot, scratch), self.walked(slot, ef, scratch));
        if nearest.len() >= NEAREST {
            let (_, last, _) = nearest.select_nth_unstable_by(NEAREST - 1, |left, right| right.total_cmp(left));
            // As near as the last of them is near enough: of equals, any will do.
            let found = found.iter().filter(|nearness| *nearness >= last).count().min(NEAREST);
            breadth.add(Measured { sought: NEAREST as u32, found: found as u32 }, linked);
        }
    }

    /// How near the nearest linked ones are, and others: of all of them, or of those that a very wide walk leads to. By
    /// codes where there are any, as a walk sees them: how many of the nearest these tell is measured by itself.
    fn nearest(&self, slot: u32, scratch: &mut WalkScratch) -> Vec<f32> {
        match self.store.codes() {
            Some(codes) => self.nearest_by(&ByCodes(codes), slot, scratch),
            None => self.nearest_by(&ByVectors(&self.store), slot, scratch),
        }
    }

    fn nearest_by<P: Pairs>(&self, pairs: &P, slot: u32, scratch: &mut WalkScratch) -> Vec<f32> {
        if self.slots.linked() > ALL {
            return self.walk_by(pairs, slot, WIDE, scratch);
        }
        let target = pairs.target(slot);
        let slots = (0..self.slots.len() as u32).filter(|other| self.is_linked(*other));
        slots.map(|other| pairs.nearness(&target, other)).collect()
    }

    /// How near those are that a search finds.
    fn walked(&self, slot: u32, ef: usize, scratch: &mut WalkScratch) -> Vec<f32> {
        match self.store.codes() {
            Some(codes) => self.walk_by(&ByCodes(codes), slot, ef * codes.spare(), scratch),
            None => self.walk_by(&ByVectors(&self.store), slot, ef, scratch),
        }
    }

    fn walk_by<P: Pairs>(&self, pairs: &P, slot: u32, ef: usize, scratch: &mut WalkScratch) -> Vec<f32> {
        let (walk, target) = (WalkLimits { ef, budget: u64::MAX }, pairs.target(slot));
        let walked = self.graph.search(pairs, &target, &walk, scratch, |other| self.is_linked(other));
        walked.found.into_iter().map(Near::nearness).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_widen_until_none_is_wide_enough() {
        let mut breadth = Breadth::default();
        let mut widths = vec![breadth.widen(64)];
        for _ in 0..1_000 {
            breadth.add(Measured { sought: 10, found: 5 }, 1_000);
            if widths.last() != Some(&breadth.widen(64)) {
                widths.push(breadth.widen(64));
            }
        }
        assert_eq!(widths.len(), QUARTERS.len() + 1);
        assert!(widths.windows(2).all(|pair| pair[1].is_none() || pair[0] < pair[1]), "{widths:?}");
        assert_eq!((widths[0], widths[10]), (Some(64), None));
        assert_eq!(Breadth::from_step(breadth.step()).widen(64), None);
    }

    #[test]
    fn what_finds_enough_stays_as_it_is() {
        let mut breadth = Breadth::default();
        for number in 0..10_000 {
            breadth.add(Measured { sought: 10, found: if number % 6 == 0 { 9 } else { 10 } }, 1_000);
        }
        assert_eq!(breadth.widen(64), Some(64));
        assert_eq!(Breadth::from_step(u8::MAX).widen(64), None);
    }
}
