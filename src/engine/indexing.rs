//! The background of a shard: building payload indexes, taking new vectors into the graphs, mending them, and giving
//! them out to be saved.
//!
//! It is driven from outside, a bounded step at a time, by whoever has threads and clocks. A step looks at the state
//! beside all searches, like a command, and excludes them only for the moment in which its outcome counts.

use parking_lot::{RwLockUpgradableReadGuard, RwLockWriteGuard};
use vector_index::Space;

use super::graph_store::GraphName;
use super::ids::CollectionId;
use super::machine::Engine;
use super::state::State;
use super::stats::IndexProgress;

/// A graph's size and age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Which.
    pub name: GraphName,
    /// Vectors in it.
    pub vectors: u64,
    /// Grows with every vector that it takes in or mends.
    pub changes: u64,
}

impl Engine {
    /// Does one step of the background's work: for payload indexes that are being built, else of at most `most` vectors, if
    /// any is worth its while (`all`: or any at all). Whether it did.
    pub fn index(&self, most: usize, all: bool) -> bool {
        self.build_payload_indexes() || self.index_vectors(most, all)
    }

    /// One step for the payload indexes of one collection. Whether any is being built.
    fn build_payload_indexes(&self) -> bool {
        let state = self.state.upgradable_read();
        // Rows are read beside searches. No writer comes between the reading and the taking in.
        let steps = state.tables.iter().filter_map(|(collection, table)| Some((*collection, table.build_step()?)));
        let Some((collection, step)) = steps.into_iter().next() else { return false };
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        if let Some(table) = state.tables.get_mut(&collection) {
            table.settle_build(step);
        }
        // Counted before the state is given up: the counts of a later command must not come first.
        self.stats.lock().note(&state, Some(collection));
        true
    }

    fn index_vectors(&self, most: usize, all: bool) -> bool {
        let state = self.state.upgradable_read();
        // The turn moves on before the work, so a space that always has work keeps no other waiting.
        let mut turn = self.turn.lock();
        let Some(name) = work(&state, all, turn.as_ref()) else { return false };
        *turn = Some(name.clone());
        let GraphName { collection, vector_name } = name;
        // The long part reads beside all searches; they are excluded only while its outcome is taken in.
        let state = prepared(state, collection, &vector_name);
        let Some(space) = state.space(collection, &vector_name) else { return false };
        let step = space.step(most);
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        if let Some(space) = state.space_mut(collection, &vector_name) {
            space.settle(step);
        }
        self.stats.lock().note(&state, Some(collection));
        true
    }

    /// How many vectors wait that were written since the engine was opened: what writers have to wait for. What waited
    /// then, after a start without saved graphs, is nobody's fault.
    pub fn backlog(&self) -> u64 {
        self.stats.lock().backlog()
    }

    /// How far all indexing of this shard is.
    pub fn index_progress(&self) -> IndexProgress {
        self.stats.lock().index_progress()
    }

    /// The shard's graphs.
    pub fn graphs(&self) -> Vec<Graph> {
        let state = self.state.read();
        let tables = state.tables.iter();
        // A space without linked vectors has no graph.
        let named = tables.flat_map(|(collection, table)| {
            table.spaces().filter(|(_, space)| space.progress().linked > 0).map(|(name, space)| Graph {
                name: GraphName { collection: *collection, vector_name: name.to_owned() },
                vectors: space.progress().linked,
                changes: space.changes(),
            })
        });
        named.collect()
    }

    /// A graph as bytes for a [`GraphStore`](super::GraphStore); nothing if it is gone.
    pub fn graph(&self, name: &GraphName) -> Option<Vec<u8>> {
        let state = self.state.read();
        let table = state.tables.get(&name.collection)?;
        let image = table.space(&name.vector_name)?.image(|row| table.at(row).id.into());
        drop(state);
        Some(image.encode())
    }
}

/// The space with work that comes after `last`, or the first: each has its turn.
fn work(state: &State, all: bool, last: Option<&GraphName>) -> Option<GraphName> {
    let mut busy = state.tables.iter().flat_map(|(collection, table)| {
        let busy = table.spaces().filter(move |(_, space)| space.has_work(all));
        busy.map(|(name, _)| GraphName { collection: *collection, vector_name: name.to_owned() })
    });
    let first = busy.next()?;
    // Names come in order: the next greater one has its turn, and after the last the first again.
    match last {
        Some(last) if first <= *last => Some(busy.find(|name| name > last).unwrap_or(first)),
        _ => Some(first),
    }
}

/// Begins a mending where it is time to, which needs the state exclusively for a moment.
fn prepared<'a>(
    state: RwLockUpgradableReadGuard<'a, State>,
    collection: CollectionId,
    vector_name: &str,
) -> RwLockUpgradableReadGuard<'a, State> {
    if !state.space(collection, vector_name).is_some_and(Space::must_prepare) {
        return state;
    }
    let mut state = RwLockUpgradableReadGuard::upgrade(state);
    if let Some(space) = state.space_mut(collection, vector_name) {
        space.prepare();
    }
    RwLockWriteGuard::downgrade_to_upgradable(state)
}
