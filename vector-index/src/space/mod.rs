//! One vector of every point of a collection: put, removed, searched, and taken into a graph in the background.
//!
//! Whoever holds a space exclusively puts and removes. [`Space::step`] does a bounded piece of the background's work
//! under shared access, beside any number of searches but never beside another step, and [`Space::settle`] makes its
//! outcome count. Between the two nothing may be put or removed.
//!
//! Whether codes are kept is decided in `coding` without a graph and in `agreement` with one; `widening` is how much more
//! widely walks look in hard data.

mod agreement;
mod background;
mod best;
mod coding;
mod restore;
mod search;
mod widening;

pub use background::{IndexingProgress, IndexingStep};

use std::collections::HashMap;

use self::agreement::Agreement;
use self::background::GraphRepair;
use self::coding::UncodedSlots;
use self::widening::Breadth;
use crate::codes::VectorCodes;
use crate::graph::HnswGraph;
use crate::kernel::{FloatLane, Metric, RUN, compare};
use crate::plan::GRAPH_FROM;
use crate::slots::{SlotState, Slots};
use crate::store::Store;
use crate::{Key, Row, SpaceParams};

/// Slots up to which all invariants are looked at after each step of the background, in builds with debug assertions.
const CHECKED_WHOLE: usize = 4_096;

/// The vectors.
///
/// Invariants, which [`Space::check`] holds where no step waits to be settled:
/// 1. `store` and `graph` have as many slots as `slots`.
/// 2. Only slots that are linked or dead have links, or are led to.
/// 3. Slots that a repair leads around are dead, and so are those that are expected back.
/// 4. Those of `slots` and of `graph`.
#[derive(Debug)]
pub struct Space {
    params: SpaceParams,
    store: Store,
    slots: Slots,
    uncoded: UncodedSlots,
    graph: HnswGraph,
    repair: Option<GraphRepair>,
    /// How well codes tell the nearest.
    agreement: Agreement,
    /// How widely walks look.
    breadth: Breadth,
    /// Whether the next step repairs, if there is something to repair.
    repairs_next: bool,
    /// Slots linked and repaired so far.
    changes: u64,
    /// While it is restored: hash of the vector and slot, by key, of those that the graph knows and that have not come back yet.
    expected: HashMap<Key, (u64, u32)>,
}

impl Space {
    /// None yet.
    pub fn new(params: SpaceParams) -> Self {
        let (store, slots, graph) =
            (Store::new(params), Slots::default(), HnswGraph::new(params.graph.unwrap_or_default()));
        Self {
            params,
            store,
            slots,
            uncoded: UncodedSlots::default(),
            graph,
            repair: None,
            agreement: Agreement::default(),
            breadth: Breadth::default(),
            repairs_next: true,
            changes: 0,
            expected: HashMap::new(),
        }
    }

    /// What it holds.
    pub fn params(&self) -> SpaceParams {
        self.params
    }

    /// Sets the vector of the point at `row`; it can be found at once.
    pub fn put(&mut self, row: Row, vector: &[f32]) {
        if let Some(slot) = self.slots.slot_of(row) {
            // Many writes change a payload only, and their points need no new place.
            if same_bits(&self.store.get(slot), vector) {
                return;
            }
        }
        // A changed vector takes another slot: the graph leads through the old one until it is repaired.
        self.slots.release_slot(row);
        let slot = self.slots.take_slot(row);
        self.fill(slot, vector);
        debug_assert!(self.is_whole());
    }

    /// Forgets the vector of the point at `row`, if it has one.
    pub fn remove(&mut self, row: Row) {
        self.slots.release_slot(row);
    }

    /// The vector of the point at `row`, bit for bit as it was put.
    pub fn get(&self, row: Row) -> Option<Vec<f32>> {
        self.slots.slot_of(row).map(|slot| self.store.get(slot))
    }

    /// Returns `true` if the point at `row` has a vector.
    pub fn has(&self, row: Row) -> bool {
        self.slots.slot_of(row).is_some()
    }

    /// Points that have a vector.
    pub fn len(&self) -> usize {
        self.slots.live()
    }

    /// Whether no point has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads every vector once and does nearly nothing with it: bytes read, and a sum that keeps the loop alive.
    pub fn read_all(&self) -> (u64, f32) {
        let query = vec![FloatLane::ZERO; self.store.vectors().stride()];
        let (mut bytes, mut total) = (0, 0.0);
        let mut sums = [0.0; RUN];
        for (_, rows) in self.store.vectors().runs(RUN) {
            let sums = &mut sums[..rows.lanes() / query.len()];
            compare(Metric::Read, &query, rows, sums);
            total += sums.iter().sum::<f32>();
            bytes += rows.bytes() as u64;
        }
        (bytes, total)
    }

    /// Bytes of memory it takes.
    pub fn memory_bytes(&self) -> usize {
        self.store.memory_bytes() + self.slots.memory_bytes() + self.graph.memory_bytes()
    }

    /// Returns `true` if the vectors, the links and the slots are as many. Costs nothing.
    fn is_whole(&self) -> bool {
        self.store.vectors().len() == self.slots.len() && self.graph.len() == self.slots.len()
    }

    /// Says which invariant does not hold, if one does not. Looks at every slot and link.
    fn check(&self) -> Result<(), String> {
        if !self.is_whole() {
            let (vectors, links, slots) = (self.store.vectors().len(), self.graph.len(), self.slots.len());
            return Err(format!("{slots} slots, {vectors} vectors and {links} rows of links are not as many"));
        }
        self.slots.check()?;
        self.graph.check()?;
        let is_dead = |slot: u32| self.slots.state_of(slot) == SlotState::Dead;
        // Only the linked and the dead may have links.
        let is_outside = |slot: &u32| !self.is_linked(*slot) && !is_dead(*slot);
        if let Some(slot) = (0..self.slots.len() as u32).filter(is_outside).find(|slot| self.graph.is_laid(*slot)) {
            return Err(format!("slot {slot} is {:?}, and has links", self.slots.state_of(slot)));
        }
        // Repairs lead around dead slots only, and only dead slots wait for their rows.
        let doomed = match &self.repair {
            Some(GraphRepair::Around { doomed, .. }) => doomed.iter().find(|slot| !is_dead(*slot)),
            Some(GraphRepair::Lost(_)) | None => None,
        };
        if let Some(slot) =
            doomed.or_else(|| self.expected.values().map(|(_, slot)| *slot).find(|slot| !is_dead(*slot)))
        {
            return Err(format!(
                "slot {slot} is {:?}, and is repaired around or expected back",
                self.slots.state_of(slot)
            ));
        }
        Ok(())
    }

    /// Holds the invariants after a change, all of them where there are few slots.
    fn assert_sound(&self) {
        debug_assert!(self.is_whole());
        debug_assert_eq!(if self.slots.len() <= CHECKED_WHOLE { self.check() } else { Ok(()) }, Ok(()));
    }

    /// Writes a vector into a slot that was just taken, which is an old one or the next.
    fn fill(&mut self, slot: u32, vector: &[f32]) {
        let is_new = self.store.put(slot, vector);
        self.look_after_codes(slot, is_new);
        if slot as usize == self.graph.len() {
            self.graph.grow();
        }
    }

    /// Whether a walk may find this slot, and the graph lead to it anew.
    fn is_linked(&self, slot: u32) -> bool {
        self.slots.state_of(slot) == SlotState::Linked
    }

    /// Whether there are enough vectors for a graph; what is linked once stays so.
    fn is_worth_a_graph(&self) -> bool {
        self.params.graph.is_some() && (self.slots.linked() > 0 || self.slots.live() >= GRAPH_FROM)
    }

    /// The codes, where they say enough to lay out a graph by. Signs are enough to find the way by, no more.
    fn fine_codes(&self) -> Option<&VectorCodes> {
        self.store.codes().filter(|codes| !codes.is_coarse())
    }
}

fn same_bits(left: &[f32], right: &[f32]) -> bool {
    left.iter().map(|part| part.to_bits()).eq(right.iter().map(|part| part.to_bits()))
}

#[cfg(test)]
mod tests {
    use roaring::RoaringBitmap;

    use super::*;
    use crate::Distance;

    type Break = fn(&mut Space);

    #[test]
    fn every_broken_invariant_is_found() {
        let filled = || {
            let mut space = Space::new(SpaceParams::new(4, Distance::Euclid));
            (0..GRAPH_FROM as u32 + 10).for_each(|row| space.put(Row(row), &[row as f32, 1.0, 2.0, 3.0]));
            let step = space.step(100);
            space.settle(step);
            space
        };
        assert_eq!(filled().check(), Ok(()));
        let breaks: [(Break, &str); 4] = [
            (|space| space.graph.grow(), "are not as many"),
            (|space| space.slots.unlink_all(), "is Tail, and has links"),
            (
                |space| space.repair = Some(GraphRepair::Around { doomed: RoaringBitmap::from([3]), next: 0 }),
                "slot 3 is Linked, and is repaired around",
            ),
            (|space| space.expected = HashMap::from([(Key(0, 7), (0, 7))]), "slot 7 is Linked, and is repaired around"),
        ];
        for (break_it, expected) in breaks {
            let mut space = filled();
            break_it(&mut space);
            let broken = space.check().expect_err(expected);
            assert!(broken.contains(expected), "{broken} is not: {expected}");
        }
    }
}
