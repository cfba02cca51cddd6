//! The background's work: linking the tail, and repairing the graph around the dead.

use roaring::RoaringBitmap;

use super::Space;
use super::agreement::Agreement;
use super::widening::Breadth;
use crate::graph::WalkScratch;
use crate::nearness::{ByCodes, ByVectors, Pairs};

/// The tail is linked once it has this many vectors; until then comparing them costs next to nothing.
const TAIL: u64 = 64;
/// The dead are cut out once they are this share of the graph: each of them lengthens every walk that meets it.
const DEAD_SHARE: f64 = 0.1;

/// A repair under way: first around the doomed, slot by slot, then of those that only they led to.
#[derive(Debug)]
pub(super) enum GraphRepair {
    Around { doomed: RoaringBitmap, next: u32 },
    Lost(Vec<u32>),
}

/// The outcome of a piece of work, to be [settled](Space::settle).
#[derive(Debug)]
#[must_use]
pub struct IndexingStep(IndexingOutcome);

#[derive(Debug)]
enum IndexingOutcome {
    Linked { slots: Vec<u32>, agreement: Agreement, breadth: Breadth },
    Repaired { next: u32 },
    Attached(usize),
}

/// How far the background is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexingProgress {
    /// Vectors that can be found through the graph.
    pub linked: u64,
    /// Vectors that wait to be linked, and are compared one by one until then.
    pub tail: u64,
    /// Replaced and removed vectors that the graph has not been repaired around yet.
    pub dead: u64,
}

impl Space {
    /// How far the background is.
    pub fn progress(&self) -> IndexingProgress {
        IndexingProgress {
            linked: self.slots.linked() as u64,
            tail: if self.is_worth_a_graph() { self.unlinked() } else { 0 },
            dead: self.slots.dead() as u64,
        }
    }

    /// Whether there is work that is worth its while; `all` also of that which is not.
    pub fn has_work(&self, all: bool) -> bool {
        let least = if all { 1 } else { TAIL };
        self.must_prepare() || self.repair.is_some() || self.is_worth_a_graph() && self.unlinked() >= least
    }

    /// Begins a repair, or does without codes from now on, if it is time to.
    pub fn prepare(&mut self) {
        if self.store.is_too_wild() {
            self.leave_codes();
        }
        if self.repair.is_none() && self.needs_repair() {
            self.repair = Some(GraphRepair::Around { doomed: self.slots.all_dead(), next: 0 });
        }
        self.assert_sound();
    }

    /// Whether [`prepare`](Self::prepare) would do anything.
    pub fn must_prepare(&self) -> bool {
        self.repair.is_none() && self.needs_repair() || self.store.is_too_wild()
    }

    /// Does a piece of the work: at most `most` slots are linked or repaired. Nothing of it counts until it is settled.
    pub fn step(&self, most: usize) -> IndexingStep {
        WalkScratch::with(|scratch| match self.fine_codes() {
            Some(codes) => self.step_by(&ByCodes(codes), most, scratch),
            None => self.step_by(&ByVectors(&self.store), most, scratch),
        })
    }

    /// Makes a step's outcome count.
    pub fn settle(&mut self, step: IndexingStep) {
        // In turn, so that neither starves the other.
        self.repairs_next = matches!(step.0, IndexingOutcome::Linked { .. });
        match step.0 {
            IndexingOutcome::Linked { slots, agreement, breadth } => {
                self.changes += slots.len() as u64;
                self.slots.link(&slots);
                (self.agreement, self.breadth) = (agreement, breadth);
                // Codes that tell too little are left aside, and the graph begins anew by vectors.
                if self.agreement.is_poor() {
                    self.leave_codes();
                }
            }
            IndexingOutcome::Repaired { next } => self.advance(next),
            IndexingOutcome::Attached(count) => {
                if let Some(GraphRepair::Lost(lost)) = &mut self.repair {
                    lost.truncate(lost.len() - count);
                    self.changes += count as u64;
                    if lost.is_empty() {
                        self.repair = None;
                    }
                } else {
                    debug_assert!(false, "a step attached what no repair had lost");
                }
            }
        }
        self.assert_sound();
    }

    /// Vectors that wait to be linked. Those that codes cannot stand for never are.
    fn unlinked(&self) -> u64 {
        let tail = self.slots.tail();
        tail.len() - tail.intersection_len(self.store.wild())
    }

    fn needs_repair(&self) -> bool {
        let dead = self.slots.dead();
        dead > 0 && dead as f64 >= DEAD_SHARE * (dead + self.slots.linked()) as f64
    }

    fn step_by<P: Pairs>(&self, pairs: &P, most: usize, scratch: &mut WalkScratch) -> IndexingStep {
        match &self.repair {
            Some(repair) if self.repairs_next || self.unlinked() < TAIL => self.repair(repair, pairs, most, scratch),
            _ => self.link(pairs, most, scratch),
        }
    }

    fn link<P: Pairs>(&self, pairs: &P, most: usize, scratch: &mut WalkScratch) -> IndexingStep {
        let slots: Vec<u32> = match self.is_worth_a_graph() {
            true => self.slots.tail().iter().filter(|slot| !self.store.is_wild(*slot)).take(most).collect(),
            false => Vec::new(),
        };
        // Copies: the space changes only when the step is settled.
        let (mut agreement, mut breadth) = (self.agreement, self.breadth);
        // In order, so that whether a slot of this step is linked already is a matter of comparing.
        for (place, slot) in slots.iter().enumerate() {
            let linked = |other| self.is_linked(other) || slots.binary_search(&other).is_ok_and(|_| other < *slot);
            let before = self.slots.linked() + place;
            self.measure_breadth(*slot, before, &mut breadth, scratch);
            let found = self.graph.link(pairs, *slot, scratch, linked);
            self.measure_codes((*slot, before), &found, &mut agreement, scratch);
        }
        IndexingStep(IndexingOutcome::Linked { slots, agreement, breadth })
    }

    fn repair<P: Pairs>(
        &self,
        repair: &GraphRepair,
        pairs: &P,
        most: usize,
        scratch: &mut WalkScratch,
    ) -> IndexingStep {
        let linked = |slot| self.is_linked(slot);
        match repair {
            GraphRepair::Around { doomed, next } => {
                // Every slot is visited: only its links tell whether it leads to one of the doomed.
                let end = (*next as usize + most).min(self.slots.len()) as u32;
                for slot in (*next..end).filter(|slot| !doomed.contains(*slot)) {
                    self.graph.bypass(pairs, slot, doomed, linked);
                }
                IndexingStep(IndexingOutcome::Repaired { next: end })
            }
            GraphRepair::Lost(lost) => {
                // From the end, where settling cuts off what was done.
                let here = &lost[lost.len().saturating_sub(most)..];
                for slot in here.iter().filter(|slot| self.is_linked(**slot)) {
                    self.graph.reattach(pairs, *slot, scratch, linked);
                }
                IndexingStep(IndexingOutcome::Attached(here.len()))
            }
        }
    }

    fn advance(&mut self, to: u32) {
        let Some(GraphRepair::Around { doomed, next }) = &mut self.repair else {
            debug_assert!(false, "a step led around what no repair had doomed");
            return;
        };
        debug_assert!(*next <= to && to as usize <= self.slots.len(), "a step went from {next} to {to}");
        self.changes += u64::from(to - *next);
        *next = to;
        // Until every slot was looked at, some may still lead to the doomed.
        if (to as usize) < self.slots.len() {
            return;
        }
        // Nobody leads to them any more: their slots can be used again.
        let doomed = std::mem::take(doomed);
        self.graph.cut_off(&doomed, |slot| self.is_linked(slot));
        self.slots.bury(&doomed);
        self.seek_lost();
    }

    /// Looks for linked slots that nothing leads to, to be attached next.
    pub(super) fn seek_lost(&mut self) {
        let all = 0..self.slots.len() as u32;
        let lost: Vec<u32> = all.filter(|slot| self.is_linked(*slot) && self.graph.is_lost(*slot)).collect();
        self.repair = (!lost.is_empty()).then_some(GraphRepair::Lost(lost));
    }
}
