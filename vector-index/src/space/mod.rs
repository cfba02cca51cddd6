//! One vector of every point of a collection: put, removed, searched, and taken into a graph in the background.
//!
//! Whoever holds a space exclusively puts and removes. [`Space::step`] does a bounded piece of the background's work
//! under shared access, beside any number of searches but never beside another step, and [`Space::settle`] makes its
//! outcome count. Between the two nothing may be put or removed.

mod agreement;
mod background;
mod best;
mod breadth;
mod restore;
mod search;

pub use background::{IndexingProgress, IndexingStep};

use std::collections::HashMap;

use self::agreement::Agreement;
use self::background::GraphRepair;
use self::breadth::Breadth;
use crate::codes::VectorCodes;
use crate::graph::HnswGraph;
use crate::kernel::{FloatLane, Metric, RUN, compare};
use crate::plan::GRAPH_FROM;
use crate::slots::{SlotState, Slots};
use crate::store::Store;
use crate::{Key, Row, SpaceParams};

/// The vectors.
#[derive(Debug)]
pub struct Space {
    params: SpaceParams,
    store: Store,
    slots: Slots,
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
        self.slots.release_slot(row);
        let slot = self.slots.take_slot(row);
        self.fill(slot, vector);
    }

    /// Forgets the vector of the point at `row`, if it has one.
    pub fn remove(&mut self, row: Row) {
        self.slots.release_slot(row);
    }

    /// The vector of the point at `row`, bit for bit as it was put.
    pub fn get(&self, row: Row) -> Option<Vec<f32>> {
        self.slots.slot_of(row).map(|slot| self.store.get(slot))
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

    /// Writes a vector into a slot that was just taken, which is an old one or the next.
    fn fill(&mut self, slot: u32, vector: &[f32]) {
        self.store.put(slot, vector, &self.slots);
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
