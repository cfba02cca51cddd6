//! Whether codes tell vectors apart where these lie close together: measured while the graph grows, beside some of the
//! vectors that it takes in.
//!
//! A search trusts codes to have the nearest among some more than it wants, and lets the vectors decide among those. So
//! that is what is measured: of the vectors around a new one, how many of the nearest are among the best by code? Data
//! whose groups lie far apart and are narrow have none of them there. Their codes are left aside: the graph is laid out
//! anew, and from then on walked, by the vectors themselves.

use super::Space;
use super::breadth::Breadth;
use crate::graph::{Near, Scratch, Walk};
use crate::nearness::{ByCodes, CodeTarget};
use crate::plan::LEAST;

/// One in so many slots is measured, and one in so many of those that come later, when much is known.
const MEASURED: u32 = 64;
const MEASURED_LATER: u32 = 256;
const LATER: u32 = 4_096;
/// Vectors around it that are looked at, and the nearest of them that count.
const AROUND: usize = 100;
const NEAREST: usize = 10;
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
}

impl Agreement {
    pub(super) fn add(&mut self, other: Self) {
        if self.asked >= MANY {
            *self = Self { asked: self.asked / 2, agreed: self.agreed / 2 };
        }
        *self = Self { asked: self.asked + other.asked, agreed: self.agreed + other.agreed };
    }

    /// Whether enough was asked to say that codes tell too little.
    pub(super) fn is_poor(self) -> bool {
        self.asked >= ENOUGH && f64::from(self.agreed) < SHARE * f64::from(self.asked)
    }
}

impl Space {
    /// Measures around `slot`, which has just been linked to some of `found`, the nearest by what the graph is laid out
    /// by, nearest first; if it is one of those that are measured.
    pub(super) fn measure_codes(&self, slot: u32, found: &[Near], scratch: &mut Scratch) -> Agreement {
        let Some(codes) = self.store.codes() else { return Agreement::default() };
        if !slot.is_multiple_of(if slot < LATER { MEASURED } else { MEASURED_LATER }) {
            return Agreement::default();
        }
        let spare = codes.spare();
        if !codes.is_coarse() && found.len() >= AROUND {
            return self.agreement_of(slot, &found[..AROUND], LEAST);
        }
        let walk = Walk { ef: AROUND * spare, budget: u64::MAX };
        let (target, accepts) = (CodeTarget::Slot(slot), |other| other != slot && self.is_linked(other));
        let walked = self.graph.search(&ByCodes(codes), &target, &walk, scratch, accepts);
        self.agreement_of(slot, &walked.found, LEAST * spare)
    }

    /// Of those that are nearest to `slot` by code, in their order, how many of the nearest are among the first `trusted`.
    fn agreement_of(&self, slot: u32, by_code: &[Near], trusted: usize) -> Agreement {
        if by_code.len() <= trusted {
            return Agreement::default();
        }
        let nearness = self.nearnesses(slot, by_code.iter().map(|near| near.slot()));
        let mut nearest = nearness.clone();
        let (_, last, _) = nearest.select_nth_unstable_by(NEAREST - 1, |left, right| right.total_cmp(left));
        // As near as the last of the nearest is near enough: of equals, any will do.
        let as_near = nearness[..trusted].iter().filter(|nearness| *nearness >= last);
        Agreement { asked: NEAREST as u32, agreed: as_near.count().min(NEAREST) as u32 }
    }

    /// Leaves codes aside, and has the graph laid out anew.
    pub(super) fn leave_codes(&mut self) {
        self.store.leave_codes();
        (self.agreement, self.breadth) = (Agreement::default(), Breadth::default());
        self.slots.unlink_all();
        self.graph.clear();
        self.mending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_answers_decide_nothing_and_old_ones_fade() {
        let mut agreement = Agreement::default();
        agreement.add(Agreement { asked: ENOUGH - 1, agreed: 0 });
        assert!(!agreement.is_poor());
        agreement.add(Agreement { asked: 1, agreed: 1 });
        assert!(agreement.is_poor());
        let good = Agreement { asked: NEAREST as u32, agreed: NEAREST as u32 };
        (0..1_000).for_each(|_| agreement.add(good));
        assert!(!agreement.is_poor());
        (0..16).for_each(|_| agreement.add(Agreement { agreed: 0, ..good }));
        assert!(agreement.is_poor());
    }
}
