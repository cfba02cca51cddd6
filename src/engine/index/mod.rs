//! Finding the nearest of many vectors.
//!
//! A [`Space`] holds one vector of every point of a collection and answers searches over them. Its shape is *index over
//! the sealed points ∪ exact scan of the tail*: a point enters the tail when it is written and can be found at once. An
//! approximate index takes its place here as a second [`Index`] beside the tail, offering its candidates to the same
//! [`Top`]; until there is one, nothing is sealed and the tail holds everything. Nothing here knows ids or payloads by
//! more than a row number and a callback.

mod exact;
mod kernel;
mod matrix;
mod probe;
mod top;

pub(super) use exact::Exact;
pub(super) use matrix::Row;
pub(super) use probe::Probe;
pub(super) use top::Top;

use super::collection::VectorParams;
use super::ids::PointId;

/// What an index asks about the points behind the rows it has found.
pub(super) trait Points {
    /// The id of the point at `row`: equal scores are ranked by it.
    fn id(&self, row: Row) -> PointId;
    /// Whether the search wants this point. Asked only of rows near enough to matter, since a filter costs more than a
    /// distance.
    fn accepts(&mut self, row: Row) -> bool;
}

/// A set of vectors that can be searched.
pub(super) trait Index {
    /// Offers to `top` the rows nearest to `probe` that `points` accepts; returns how many vectors were compared.
    fn search(&self, probe: &Probe, points: &mut dyn Points, top: &mut Top) -> u64;
}

/// One vector of a collection's points.
#[derive(Debug)]
pub(super) struct Space {
    tail: Exact,
}

impl Space {
    pub(super) fn new(params: VectorParams) -> Self {
        Self { tail: Exact::new(params) }
    }

    /// Sets the vector of the point at `row`.
    pub(super) fn put(&mut self, row: Row, vector: &[f32]) {
        self.tail.put(row, vector);
    }

    /// Forgets the vector of the point at `row`, if it has one.
    pub(super) fn remove(&mut self, row: Row) {
        self.tail.remove(row);
    }

    /// The vector of the point at `row`, bit for bit as it was put.
    pub(super) fn get(&self, row: Row) -> Option<Vec<f32>> {
        self.tail.get(row)
    }

    /// As [`Index::search`], and whether the answer is exact.
    pub(super) fn search(&self, probe: &Probe, points: &mut dyn Points, top: &mut Top) -> (u64, bool) {
        (self.tail.search(probe, points, top), true)
    }

    /// Reads every vector once and does nearly nothing with it: bytes read, and a sum that keeps the loop alive.
    pub(super) fn read_all(&self) -> (u64, f32) {
        self.tail.read_all()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tail.memory_bytes()
    }
}
