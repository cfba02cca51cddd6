//! Whether codes tell vectors apart where these lie close together: measured while the graph grows, beside some of the
//! vectors that it takes in.
//!
//! A search trusts codes to have the nearest among some more than it wants, and lets the vectors decide among those. So
//! that is what is measured: of the vectors around a new one, how many of the nearest are among the best by code? Data
//! whose groups lie far apart and are narrow have none of them there. Their codes are left aside: the graph is laid out
//! anew, and from then on walked, by the vectors themselves.

use super::Space;
use super::coding::NEAREST;
use super::widening::Breadth;
use crate::codes::VectorCodes;
use crate::graph::{Near, WalkLimits, WalkScratch};
use crate::nearness::{ByCodes, CodeTarget};
use crate::plan::LEAST;

/// One in so many that are linked is measured, and one in so many where so many are linked, when much is known.
const MEASURED: u32 = 64;
const MEASURED_LATER: u32 = 256;
const LATER: usize = 4_096;
/// Vectors around it that are looked at.
const AROUND: usize = 100;
/// Others that are looked at beside them, from one end to the other.
const OTHERS: usize = 512;
/// Nearest that are asked for before anything is decided, and after which older answers begin to count less.
const ENOUGH: u32 = 160;
const MANY: u32 = 640;
/// The share of them that must be among the best by code.
const SHARE: f64 = 0.95;

/// What was measured of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreement {
    asked: u32,
    agreed: u32,
    /// Slots that were linked since one was measured.
    passed: u32,
}

impl Agreement {
    /// Notes that a slot was linked, after so many; whether to measure with it.
    fn is_due(&mut self, linked: usize) -> bool {
        self.passed += 1;
        let is_due = self.passed >= if linked < LATER { MEASURED } else { MEASURED_LATER };
        if is_due {
            self.passed = 0;
        }
        is_due
    }

    /// Takes in that of the [`NEAREST`] so many were among the best by code.
    fn add(&mut self, agreed: usize) {
        if self.asked >= MANY {
            (self.asked, self.agreed) = (self.asked / 2, self.agreed / 2);
        }
        self.asked += NEAREST as u32;
        self.agreed += agreed as u32;
    }

    /// Whether enough was asked to say that codes tell too little.
    pub(super) fn is_poor(self) -> bool {
        self.asked >= ENOUGH && f64::from(self.agreed) < SHARE * f64::from(self.asked)
    }
}

impl Space {
    /// Measures around `slot`, if it is one of those that are measured. It has just been linked to some of `found`:
    /// the nearest by what the graph is laid out by, nearest first. `linked` slots were linked before it.
    pub(super) fn measure_codes(
        &self,
        (slot, linked): (u32, usize),
        found: &[Near],
        agreement: &mut Agreement,
        scratch: &mut WalkScratch,
    ) {
        let Some(codes) = self.store.codes().filter(|_| agreement.is_due(linked)) else { return };
        // Linking has looked around already where the graph is laid out by codes.
        let agreed = if !codes.is_coarse() && found.len() >= AROUND {
            self.agreed(codes, slot, &found[..AROUND])
        } else {
            // Linking did not look around by codes, or not far enough, so a walk by codes does.
            let walk = WalkLimits { ef: AROUND * codes.spare(), budget: u64::MAX };
            let (target, accepts) = (CodeTarget::Slot(slot), |other| other != slot && self.is_linked(other));
            let walked = self.graph.search(&ByCodes(codes), &target, &walk, scratch, accepts);
            self.agreed(codes, slot, &walked.found)
        };
        if let Some(agreed) = agreed {
            agreement.add(agreed);
        }
    }

    /// Looks at the nearest to `slot` by code, and at some of all others. Returns how many of the nearest among them
    /// are also among those that codes are trusted to have; `None` where they are too few to tell. Without the others,
    /// codes that tell nothing at all would be asked only about what they have led to.
    fn agreed(&self, codes: &VectorCodes, slot: u32, by_code: &[Near]) -> Option<usize> {
        let (trusted, slots) = (LEAST * codes.spare(), self.slots.len());
        if by_code.len() <= trusted {
            return None;
        }
        // Some of all others are asked about too.
        let others = OTHERS.min(slots);
        let mut among: Vec<u32> = (0..others).map(|number| (number * slots / others) as u32).collect();
        among.retain(|other| *other != slot && self.is_linked(*other));
        among.extend(by_code.iter().map(|near| near.slot()));
        among.sort_unstable();
        among.dedup();
        Some(self.nearest_told(codes, slot, &among, trusted))
    }

    /// Leaves codes aside, and has the graph laid out anew.
    pub(super) fn leave_codes(&mut self) {
        self.store.leave_codes();
        (self.agreement, self.breadth) = (Agreement::default(), Breadth::default());
        self.slots.unlink_all();
        self.graph.clear();
        self.repair = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_answers_decide_nothing_and_old_ones_fade() {
        let mut agreement = Agreement::default();
        (0..ENOUGH / NEAREST as u32 - 1).for_each(|_| agreement.add(0));
        assert!(!agreement.is_poor());
        agreement.add(1);
        assert!(agreement.is_poor());
        (0..1_000).for_each(|_| agreement.add(NEAREST));
        assert!(!agreement.is_poor());
        (0..16).for_each(|_| agreement.add(0));
        assert!(agreement.is_poor());
    }

    #[test]
    fn one_in_so_many_is_measured_whatever_its_slot() {
        let mut agreement = Agreement::default();
        let measured = |agreement: &mut Agreement, linked| (0..1_024).filter(|_| agreement.is_due(linked)).count();
        assert_eq!(measured(&mut agreement, 0), 16);
        assert_eq!(measured(&mut agreement, LATER), 4);
    }
}
