//! The engine itself.

use std::io;

use bytes::Bytes;
use raft_groups::{BrokenInvariant, Changes, Machine, Position, StateReader};

use super::query::{CollectionStats, CountQuery, Found, GetQuery, Hit, Record, ScrollPage, ScrollQuery, SearchQuery};
use super::reply::{Refusal, Reply};

/// A shard's machine.
#[derive(Debug, Default)]
pub struct Engine;

impl Engine {
    /// The nearest points.
    ///
    /// # Errors
    /// A query that does not fit the collection.
    pub fn search(&self, query: &SearchQuery) -> Result<Vec<Hit>, Refusal> {
        self.find(query).map(|found| found.hits)
    }

    /// The nearest points, and how they were found.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn find(&self, _query: &SearchQuery) -> Result<Found, Refusal> {
        Ok(Found::default())
    }

    /// Points by id, in the order asked.
    ///
    /// # Errors
    /// An unknown collection or too many ids.
    pub fn get(&self, _query: &GetQuery) -> Result<Vec<Record>, Refusal> {
        Ok(Vec::new())
    }

    /// Points in the order of their ids.
    ///
    /// # Errors
    /// An unknown collection or a limit out of range.
    pub fn scroll(&self, _query: &ScrollQuery) -> Result<ScrollPage, Refusal> {
        Ok(ScrollPage::default())
    }

    /// The number of points.
    ///
    /// # Errors
    /// An unknown collection.
    pub fn count(&self, _query: &CountQuery) -> Result<u64, Refusal> {
        Ok(0)
    }

    /// Every collection this shard knows, in the order of their numbers.
    pub fn collections(&self) -> Vec<CollectionStats> {
        Vec::new()
    }

    /// Points of all collections.
    pub fn points(&self) -> u64 {
        0
    }

    /// Bytes of memory that points, vectors and payloads take, near enough to hold against a budget.
    pub fn memory_bytes(&self) -> u64 {
        0
    }
}

impl Machine for Engine {
    fn open(_state: &dyn StateReader) -> io::Result<Self> {
        Ok(Self)
    }

    fn apply(&self, _at: Position, _command: &[u8], _changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        Ok(Reply::Refused(Refusal::RequestReused).encode())
    }

    fn digest(&self) -> (u64, u64) {
        (0, 0)
    }
}
