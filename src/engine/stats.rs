//! What is counted of a shard's state, kept beside it so that a report never waits for a search or a write.
//!
//! A command costs what it takes to count the one collection it touches. Pure, like the state.

use std::collections::BTreeMap;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::collection::CollectionConfig;
use super::ids::CollectionId;
use super::state::{Dropped, State, Table};
use crate::engine::queries::query::{CollectionStats, FieldStats};

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

/// The counts after some command.
#[derive(Debug, Default)]
pub(super) struct StateCounts {
    index: u64,
    digest: u64,
    time_ms: u64,
    dropped: Dropped,
    requests_bytes: u64,
    tables: BTreeMap<CollectionId, TableStats>,
    /// Vectors that came to wait for indexing by commands, less those that indexing has taken since.
    backlog: u64,
}

#[derive(Debug)]
struct TableStats {
    config: CollectionConfig,
    points: u64,
    bytes: u64,
    index: IndexProgress,
    schema_version: u64,
    fields: BTreeMap<String, FieldStats>,
}

impl StateCounts {
    /// Counts everything.
    pub(super) fn of(state: &State) -> Self {
        let mut stats = Self::default();
        for collection in state.tables.keys() {
            stats.note(state, Some(*collection));
        }
        stats.note(state, None);
        stats.backlog = 0;
        stats
    }

    /// Counts what a command or a step of indexing has changed: one collection at most.
    pub(super) fn note(&mut self, state: &State, touched: Option<CollectionId>) {
        debug_assert!(self.index <= state.index, "counts of {} come after those of {}", state.index, self.index);
        // What is told of the whole shard is cheap, so every command renews it.
        self.index = state.index;
        self.digest = state.digest;
        self.time_ms = state.time_ms;
        self.dropped = state.dropped.clone();
        self.requests_bytes = state.requests.memory_bytes() as u64;
        let Some(collection) = touched else { return };
        // Only the touched collection is counted anew.
        let before = self.waiting(collection);
        match (state.tables.get(&collection), self.tables.get_mut(&collection)) {
            (Some(table), Some(stats)) => stats.count(table),
            (Some(table), None) => drop(self.tables.insert(collection, TableStats::of(table))),
            (None, _) => drop(self.tables.remove(&collection)),
        }
        // Writers make the backlog grow, indexing makes it shrink, and it is never below 0.
        self.backlog = (self.backlog + self.waiting(collection)).saturating_sub(before);
    }

    pub(super) fn collections(&self) -> Vec<CollectionStats> {
        let each = self.tables.iter().map(|(collection, stats)| CollectionStats {
            collection: *collection,
            config: stats.config.clone(),
            points: stats.points,
            schema_version: stats.schema_version,
            fields: stats.fields.clone(),
        });
        each.collect()
    }

    pub(super) fn points(&self) -> u64 {
        self.tables.values().map(|stats| stats.points).sum()
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.requests_bytes + self.tables.values().map(|stats| stats.bytes).sum::<u64>()
    }

    fn waiting(&self, collection: CollectionId) -> u64 {
        self.tables.get(&collection).map_or(0, |stats| stats.index.waiting)
    }

    pub(super) fn backlog(&self) -> u64 {
        self.backlog
    }

    pub(super) fn index_progress(&self) -> IndexProgress {
        self.tables.values().map(|stats| stats.index).fold(IndexProgress::default(), Add::add)
    }

    /// The index of the last command, and the digest after it.
    pub(super) fn digest(&self) -> (u64, u64) {
        /// Odd, so that different times count differently.
        const TIME: u64 = 0x9e37_79b9_7f4a_7c15;
        (self.index, self.digest.wrapping_add(self.time_ms.wrapping_mul(TIME)))
    }

    /// The shard's time.
    pub(super) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The collections that were dropped.
    pub(super) fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

impl TableStats {
    fn of(table: &Table) -> Self {
        let (config, fields) = (table.config().clone(), BTreeMap::new());
        let index = IndexProgress::default();
        let mut stats = Self { config, points: 0, bytes: 0, index, schema_version: 0, fields };
        stats.count(table);
        stats
    }

    fn count(&mut self, table: &Table) {
        self.points = table.len() as u64;
        self.bytes = table.memory_bytes() as u64;
        let progress = table.spaces().map(|(_, space)| space.progress());
        self.index = progress.fold(IndexProgress::default(), |sum, space| {
            sum + IndexProgress { indexed: space.linked, waiting: space.tail, dead: space.dead }
        });
        // Fields of an older schema may be gone.
        if self.schema_version != table.schema_version() {
            self.schema_version = table.schema_version();
            self.fields.clear();
        }
        for (name, kind, points) in table.indexes().counts() {
            match self.fields.get_mut(name) {
                Some(stats) => *stats = FieldStats { kind, points },
                None => drop(self.fields.insert(name.to_owned(), FieldStats { kind, points })),
            }
        }
    }
}
