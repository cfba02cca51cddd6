//! The points of one collection, in memory.

mod build;
mod check;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use roaring::RoaringBitmap;
use vector_index::{Row, Space};

use crate::engine::collection::{CollectionConfig, VectorParams};
use crate::engine::filter::Filter;
use crate::engine::payload::stored_members;
use crate::engine::payload_index::{self, Building, Narrowed, PayloadIndexes, RowSource, RowTerms};
use crate::engine::queries::work_meter::Meter;
use crate::model::PointId;

/// Bytes that the tree of ids takes for one point, nodes about two thirds full.
const TREE_BYTES: usize = 48;

/// A point without its vectors, which lie in the spaces.
#[derive(Debug)]
pub(in crate::engine) struct Point {
    pub(in crate::engine) id: PointId,
    pub(in crate::engine) version: u64,
    /// Compact JSON. Parsed when it is needed: as a tree it would take several times the memory, and a search looks at
    /// the payloads of few points. Shared with queries that look at it longer than they hold the state.
    pub(in crate::engine) payload: Arc<str>,
    /// Its record's part of the digest.
    pub(in crate::engine) hash: u64,
}

/// One collection of a shard.
///
/// Invariants. Numbers are held after each change; all of them by [`Table::check`], after each command where there are
/// few points, and after a start:
/// 1. A row holds a point, or it is empty, and then it is in `empty` once.
/// 2. `rows` gives for the id of each point the row that holds it, and `live` has those rows; neither has others.
/// 3. `payload_bytes` and `points_hash` are the sums over all points.
/// 4. There is a space for each vector of the configuration. It has vectors only of rows that hold a point.
/// 5. The indexes know only rows that hold a point. Those that are being built know only rows below the next to read.
/// 6. Before the first payload schema there are no indexes.
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
    /// Sum of the hashes of all points.
    points_hash: u64,
    /// Rows that hold a point.
    live: RoaringBitmap,
    indexes: PayloadIndexes,
    /// Indexes that are asked for and not complete yet.
    building: Option<Building>,
    schema_version: u64,
    schema_hash: u64,
}

/// What a write changes in the payload indexes: the row's terms so far, and its terms from now on.
#[derive(Debug, Default)]
pub(in crate::engine) struct Reindex {
    old: RowTerms,
    new: RowTerms,
    /// The same for the indexes that are being built.
    building: Option<(RowTerms, RowTerms)>,
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
            points_hash: 0,
            live: RoaringBitmap::new(),
            indexes: PayloadIndexes::default(),
            building: None,
            schema_version: 0,
            schema_hash: 0,
        }
    }

    /// Takes a stored point in. No point of this id is here yet. [`restored`](Self::restored) comes last.
    pub(super) fn restore(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>) {
        let row = self.new_row(point.id);
        debug_assert!(self.has_spaces(vectors), "a vector of {} has no space", point.id);
        for (name, vector) in vectors {
            if let Some(space) = self.spaces.get_mut(name) {
                space.restore(row, point.id.into(), vector);
            }
        }
        // Keys come in order, so the schema was read before the points.
        self.indexes.put(row.0, terms(&self.indexes, &point.payload));
        self.payload_bytes += point.payload.len();
        self.points_hash = self.points_hash.wrapping_add(point.hash);
        self.points[row.0 as usize] = Some(point);
    }

    /// All stored points were taken in.
    pub(super) fn restored(&mut self) {
        self.spaces.values_mut().for_each(Space::restored);
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Stores a point whole; the hash of the one it replaces, if any. `reindex` must be what
    /// [`reindex`](Self::reindex) says of it now.
    pub(super) fn put(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>, reindex: Reindex) -> Option<u64> {
        debug_assert!(self.has_spaces(vectors), "a vector of {} has no space", point.id);
        let row = self.rows.get(&point.id).copied();
        let row = row.unwrap_or_else(|| self.new_row(point.id));
        // A point is replaced whole: a vector that it lacks now is forgotten.
        for (name, space) in &mut self.spaces {
            match vectors.get(name) {
                Some(vector) => space.put(row, vector),
                None => space.remove(row),
            }
        }
        // The indexes leave the old terms and take the new ones, complete or not.
        self.indexes.remove(row.0, &reindex.old);
        self.indexes.put(row.0, reindex.new);
        if let (Some(building), Some((old, new))) = (&mut self.building, reindex.building) {
            building.remove(row.0, &old);
            building.put(row.0, new);
        }
        // The new point is added before the old one is subtracted, so no sum falls below zero.
        self.payload_bytes += point.payload.len();
        self.points_hash = self.points_hash.wrapping_add(point.hash);
        let replaced = self.points[row.0 as usize].replace(point);
        debug_assert!(self.is_counted());
        let replaced = replaced?;
        self.points_hash = self.points_hash.wrapping_sub(replaced.hash);
        self.payload_bytes -= replaced.payload.len();
        Some(replaced.hash)
    }

    /// Forgets a point; its hash, if it existed.
    pub(super) fn remove(&mut self, id: PointId) -> Option<u64> {
        // The row is free at once; what it held is taken out everywhere before it is used again.
        let row = self.rows.remove(&id)?;
        self.empty.push(row);
        for space in self.spaces.values_mut() {
            space.remove(row);
        }
        self.live.remove(row.0);
        let removed = self.points[row.0 as usize].take().expect("the row of an id holds its point");
        self.indexes.remove(row.0, &terms(&self.indexes, &removed.payload));
        if let Some(building) = &mut self.building {
            building.remove(row.0, &terms(building.indexes(), &removed.payload));
        }
        self.payload_bytes -= removed.payload.len();
        self.points_hash = self.points_hash.wrapping_sub(removed.hash);
        debug_assert!(self.is_counted());
        Some(removed.hash)
    }

    pub(in crate::engine) fn config(&self) -> &CollectionConfig {
        &self.config
    }

    pub(super) fn config_hash(&self) -> u64 {
        self.config_hash
    }

    /// Sum of the hashes of all points.
    pub(super) fn points_hash(&self) -> u64 {
        self.points_hash
    }

    /// Sum of the hashes of all records: of the configuration, the payload schema and the points.
    pub(super) fn hash(&self) -> u64 {
        self.config_hash.wrapping_add(self.schema_hash).wrapping_add(self.points_hash)
    }

    /// What storing a payload, given whole and as text, under this id changes in the indexes.
    pub(in crate::engine) fn reindex(&self, id: PointId, text: &str) -> Reindex {
        let old = self.find(id).map(|(_, point)| point);
        // The same payload changes no index, so it is not parsed.
        if old.is_some_and(|point| *point.payload == *text) {
            return Reindex::default();
        }
        let both = |indexes: &PayloadIndexes| {
            (old.map(|point| terms(indexes, &point.payload)).unwrap_or_default(), terms(indexes, text))
        };
        let (old, new) = both(&self.indexes);
        Reindex { old, new, building: self.building.as_ref().map(|building| both(building.indexes())) }
    }

    /// Version of the payload schema; 0 before the first.
    pub(in crate::engine) fn schema_version(&self) -> u64 {
        self.schema_version
    }

    /// Hash of the payload schema's record; 0 before the first.
    pub(super) fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    pub(in crate::engine) fn indexes(&self) -> &PayloadIndexes {
        &self.indexes
    }

    /// The rows that can satisfy `filter`, as [`payload_index::narrow`].
    pub(in crate::engine) fn narrow(&self, filter: &Filter, steps: u64, meter: &Meter<'_>) -> Option<Narrowed> {
        let row = |id: PointId| self.rows.get(&id).map(|row| row.0);
        payload_index::narrow(&self.indexes, &RowSource { live: &self.live, row: &row }, filter, steps, meter)
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

    /// The point at a row, if there is one.
    pub(in crate::engine) fn get(&self, row: Row) -> Option<&Point> {
        self.points.get(row.0 as usize)?.as_ref()
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
        let building = self.building.as_ref().map_or(0, |building| building.indexes().memory_bytes());
        let indexes = self.live.serialized_size() + self.indexes.memory_bytes() + building;
        spaces + rows + self.rows.len() * TREE_BYTES + self.payload_bytes + indexes
    }

    fn new_row(&mut self, id: PointId) -> Row {
        let row = self.empty.pop().unwrap_or_else(|| {
            self.points.push(None);
            Row((self.points.len() - 1) as u32)
        });
        self.rows.insert(id, row);
        self.live.insert(row.0);
        row
    }
}

/// What a payload holds at the fields of these indexes.
fn terms(indexes: &PayloadIndexes, payload: &str) -> RowTerms {
    if indexes.is_empty() {
        return RowTerms::default();
    }
    indexes.terms(&stored_members(payload, |key| indexes.reads(key)))
}
