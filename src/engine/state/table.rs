//! The points of one collection, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value};
use vector_index::{Row, Space};

use crate::engine::collection::{CollectionConfig, VectorParams};
use crate::engine::ids::PointId;
use crate::engine::point::parse_payload;

/// Bytes that the tree of ids takes for one point, nodes about two thirds full.
const TREE_BYTES: usize = 48;

/// A point without its vectors, which lie in the spaces.
#[derive(Debug)]
pub(in crate::engine) struct Point {
    pub(in crate::engine) id: PointId,
    pub(in crate::engine) version: u64,
    /// Compact JSON. Parsed when it is needed: as a tree it would take several times the memory, and a search looks at
    /// the payloads of few points.
    pub(in crate::engine) payload: Box<str>,
    /// Its record's part of the digest.
    pub(in crate::engine) hash: u64,
}

/// One collection of a shard.
#[derive(Debug)]
pub(in crate::engine) struct Table {
    config: CollectionConfig,
    config_hash: u64,
    /// By row; a row is empty after its point was deleted, and is used again.
    points: Vec<Option<Point>>,
    empty: Vec<Row>,
    rows: BTreeMap<PointId, Row>,
    spaces: BTreeMap<String, Space>,
    payload_bytes: usize,
}

impl Point {
    /// The whole payload.
    pub(in crate::engine) fn payload(&self) -> Map<String, Value> {
        parse_payload(&self.payload, |_| true)
    }
}

impl Table {
    /// `space` makes the empty space of the vectors of a name.
    pub(super) fn new(config: CollectionConfig, config_hash: u64, space: impl Fn(&str, VectorParams) -> Space) -> Self {
        let spaces = config.vectors.iter().map(|(name, params)| (name.clone(), space(name, *params))).collect();
        Self {
            config,
            config_hash,
            points: Vec::new(),
            empty: Vec::new(),
            rows: BTreeMap::new(),
            spaces,
            payload_bytes: 0,
        }
    }

    /// Takes a stored point in, which no other of this id was before. [`restored`](Self::restored) comes last.
    pub(super) fn restore(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>) {
        let row = self.new_row(point.id);
        for (name, vector) in vectors {
            if let Some(space) = self.spaces.get_mut(name) {
                space.restore(row, point.id.into(), point.version, vector);
            }
        }
        self.payload_bytes += point.payload.len();
        self.points[row.0 as usize] = Some(point);
    }

    /// All stored points were taken in.
    pub(super) fn restored(&mut self) {
        self.spaces.values_mut().for_each(Space::restored);
    }

    /// Stores a point whole; the hash of the one it replaces, if any.
    pub(super) fn put(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>) -> Option<u64> {
        let row = self.rows.get(&point.id).copied();
        let row = row.unwrap_or_else(|| self.new_row(point.id));
        for (name, space) in &mut self.spaces {
            match vectors.get(name) {
                Some(vector) => space.put(row, vector),
                None => space.remove(row),
            }
        }
        self.payload_bytes += point.payload.len();
        let replaced = self.points[row.0 as usize].replace(point)?;
        self.payload_bytes -= replaced.payload.len();
        Some(replaced.hash)
    }

    /// Forgets a point; its hash, if it existed.
    pub(super) fn remove(&mut self, id: PointId) -> Option<u64> {
        let row = self.rows.remove(&id)?;
        self.empty.push(row);
        for space in self.spaces.values_mut() {
            space.remove(row);
        }
        let removed = self.points[row.0 as usize].take()?;
        self.payload_bytes -= removed.payload.len();
        Some(removed.hash)
    }

    pub(in crate::engine) fn config(&self) -> &CollectionConfig {
        &self.config
    }

    pub(super) fn config_hash(&self) -> u64 {
        self.config_hash
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A point by its id.
    pub(in crate::engine) fn find(&self, id: PointId) -> Option<(Row, &Point)> {
        let row = *self.rows.get(&id)?;
        Some((row, self.points[row.0 as usize].as_ref()?))
    }

    /// The version of a point; 0 if it does not exist.
    pub(in crate::engine) fn version(&self, id: PointId) -> u64 {
        self.find(id).map_or(0, |(_, point)| point.version)
    }

    /// The point at a row that a space has given out.
    pub(in crate::engine) fn at(&self, row: Row) -> &Point {
        self.points[row.0 as usize].as_ref().expect("spaces hold rows of points that exist: both change together")
    }

    /// All points, in the order of their ids.
    pub(in crate::engine) fn points(&self) -> impl Iterator<Item = &Point> {
        self.rows.values().map(|row| self.at(*row))
    }

    /// The points from `first` on, in the order of their ids.
    pub(in crate::engine) fn points_from(&self, first: Option<PointId>) -> impl Iterator<Item = (Row, &Point)> {
        let from = first.map_or(Bound::Unbounded, Bound::Included);
        self.rows.range((from, Bound::Unbounded)).map(|(_, row)| (*row, self.at(*row)))
    }

    /// The spaces by the names of their vectors.
    pub(in crate::engine) fn spaces(&self) -> impl Iterator<Item = (&str, &Space)> {
        self.spaces.iter().map(|(name, space)| (name.as_str(), space))
    }

    /// One of the spaces, to take its background's work in.
    pub(in crate::engine) fn space_mut(&mut self, name: &str) -> Option<&mut Space> {
        self.spaces.get_mut(name)
    }

    pub(in crate::engine) fn space(&self, name: &str) -> Option<&Space> {
        self.spaces.get(name)
    }

    /// The vectors of a point by name, as far as it has them and `wanted` names them.
    pub(in crate::engine) fn vectors(&self, row: Row, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<f32>> {
        let named = self.spaces.iter().filter(|(name, _)| wanted(name));
        named.filter_map(|(name, space)| Some((name.clone(), space.get(row)?))).collect()
    }

    pub(in crate::engine) fn memory_bytes(&self) -> usize {
        let spaces: usize = self.spaces.values().map(Space::memory_bytes).sum();
        let rows = self.points.capacity() * size_of::<Option<Point>>() + self.empty.capacity() * size_of::<Row>();
        spaces + rows + self.rows.len() * TREE_BYTES + self.payload_bytes
    }

    fn new_row(&mut self, id: PointId) -> Row {
        let row = self.empty.pop().unwrap_or_else(|| {
            self.points.push(None);
            Row((self.points.len() - 1) as u32)
        });
        self.rows.insert(id, row);
        row
    }
}
