//! The background of a shard: taking new vectors into the graphs, mending them, and giving them out to be saved.
//!
//! It is driven from outside, a bounded step at a time, by whoever has threads and clocks. A step looks at the state
//! beside all searches, like a command, and excludes them only for the moment in which its outcome counts.

use std::ops::Add;

use parking_lot::RwLockUpgradableReadGuard;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::ids::CollectionId;
use super::state::State;

/// How far a shard's indexing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndexProgress {
    /// Vectors that are found through a graph.
    pub indexed: u64,
    /// Vectors that wait for it, and are compared one by one until then. Where there are too few for a graph, none wait.
    pub waiting: u64,
    /// Replaced and deleted vectors that a graph still leads through.
    pub dead: u64,
}

impl Add for IndexProgress {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (indexed, waiting) = (self.indexed + other.indexed, self.waiting + other.waiting);
        Self { indexed, waiting, dead: self.dead + other.dead }
    }
}

/// One graph of a shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GraphName {
    /// Of which collection.
    pub collection: CollectionId,
    /// Of the vectors of this name.
    pub vector_name: String,
}

impl Engine {
    /// Does one step of the background's work, of at most `most` vectors, if any is worth its while (`all`: or any at
    /// all). Whether it did.
    pub fn index(&self, most: usize, all: bool) -> bool {
        let state = self.state.upgradable_read();
        let Some(GraphName { collection, vector_name }) = work(&state, all) else { return false };
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        if let Some(space) = state.space_mut(collection, &vector_name) {
            space.prepare();
        }
        let state = parking_lot::RwLockWriteGuard::downgrade_to_upgradable(state);
        let Some(space) = state.space(collection, &vector_name) else { return false };
        let step = space.step(most);
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        if let Some(space) = state.space_mut(collection, &vector_name) {
            space.settle(step);
        }
        self.stats.lock().note(&state, Some(collection));
        true
    }

    /// How far all indexing of this shard is.
    pub fn index_progress(&self) -> IndexProgress {
        self.stats.lock().index_progress()
    }

    /// The shard's graphs, each with a number that grows with every vector that it takes in or mends.
    pub fn graphs(&self) -> Vec<(GraphName, u64)> {
        let state = self.state.read();
        let tables = state.tables.iter();
        let named = tables.flat_map(|(collection, table)| {
            table.spaces().filter(|(_, space)| space.progress().linked > 0).map(|(name, space)| {
                (GraphName { collection: *collection, vector_name: name.to_owned() }, space.changes())
            })
        });
        named.collect()
    }

    /// A graph as bytes for a [`Shelf`](super::Shelf); nothing if it is gone.
    pub fn graph(&self, name: &GraphName) -> Option<Vec<u8>> {
        let state = self.state.read();
        let table = state.tables.get(&name.collection)?;
        let image = table.space(&name.vector_name)?.image(|row| {
            let point = table.at(row);
            (point.id.into(), point.version)
        });
        drop(state);
        Some(image.encode())
    }
}

/// The first space with work.
fn work(state: &State, all: bool) -> Option<GraphName> {
    state.tables.iter().find_map(|(collection, table)| {
        let (name, _) = table.spaces().find(|(_, space)| space.has_work(all))?;
        Some(GraphName { collection: *collection, vector_name: name.to_owned() })
    })
}
