//! The points of one collection, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use roaring::RoaringBitmap;
use vector_index::{Row, Space};

use crate::engine::collection::{CollectionConfig, VectorParams};
use crate::engine::commands::reply::Refusal;
use crate::engine::filter::Filter;
use crate::engine::payload::stored_members;
use crate::engine::payload_index::{self, Building, Narrowed, PayloadIndexes, PayloadSchema, RowSource, RowTerms};
use crate::engine::queries::work_budget::Meter;
use crate::model::PointId;

/// Points, and bytes of their payloads, up to which an index is built where a command asks for it.
const ROWS_AT_ONCE: usize = 4_096;
const BYTES_AT_ONCE: usize = 1 << 20;

/// Points, and bytes of their payloads, about, of a step of building.
const ROWS_OF_A_STEP: usize = 512;
const BYTES_OF_A_STEP: usize = 256 << 10;

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
    /// RowSource that hold a point.
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

/// RowSource that a step of building has read, and the first that it has not.
pub(in crate::engine) struct BuildStep {
    rows: Vec<(u32, RowTerms)>,
    next: u32,
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

    /// Takes a stored point in, which no other of this id was before. [`restored`](Self::restored) comes last.
    pub(super) fn restore(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>) {
        let row = self.new_row(point.id);
        for (name, vector) in vectors {
            if let Some(space) = self.spaces.get_mut(name) {
                space.restore(row, point.id.into(), vector);
            }
        }
        self.indexes.put(row.0, terms(&self.indexes, &point.payload));
        self.payload_bytes += point.payload.len();
        self.points_hash = self.points_hash.wrapping_add(point.hash);
        self.points[row.0 as usize] = Some(point);
    }

    /// All stored points were taken in.
    pub(super) fn restored(&mut self) {
        self.spaces.values_mut().for_each(Space::restored);
    }

    /// Stores a point whole; the hash of the one it replaces, if any. `reindex` must be what
    /// [`reindex`](Self::reindex) says of it now.
    pub(super) fn put(&mut self, point: Point, vectors: &BTreeMap<String, Vec<f32>>, reindex: Reindex) -> Option<u64> {
        let row = self.rows.get(&point.id).copied();
        let row = row.unwrap_or_else(|| self.new_row(point.id));
        for (name, space) in &mut self.spaces {
            match vectors.get(name) {
                Some(vector) => space.put(row, vector),
                None => space.remove(row),
            }
        }
        self.indexes.remove(row.0, &reindex.old);
        self.indexes.put(row.0, reindex.new);
        if let (Some(building), Some((old, new))) = (&mut self.building, reindex.building) {
            building.remove(row.0, &old);
            building.put(row.0, new);
        }
        self.payload_bytes += point.payload.len();
        self.points_hash = self.points_hash.wrapping_add(point.hash);
        let replaced = self.points[row.0 as usize].replace(point)?;
        self.points_hash = self.points_hash.wrapping_sub(replaced.hash);
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
        self.live.remove(row.0);
        let removed = self.points[row.0 as usize].take()?;
        self.indexes.remove(row.0, &terms(&self.indexes, &removed.payload));
        if let Some(building) = &mut self.building {
            building.remove(row.0, &terms(building.indexes(), &removed.payload));
        }
        self.payload_bytes -= removed.payload.len();
        self.points_hash = self.points_hash.wrapping_sub(removed.hash);
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

    /// What storing a payload, given whole and as text, under this id changes in the indexes.
    pub(in crate::engine) fn reindex(&self, id: PointId, text: &str) -> Reindex {
        let old = self.find(id).map(|(_, point)| point);
        if old.is_some_and(|point| *point.payload == *text) {
            return Reindex::default();
        }
        let both = |indexes: &PayloadIndexes| {
            (old.map(|point| terms(indexes, &point.payload)).unwrap_or_default(), terms(indexes, text))
        };
        let (old, new) = both(&self.indexes);
        Reindex { old, new, building: self.building.as_ref().map(|building| both(building.indexes())) }
    }

    /// The indexes that `schema` asks for and that are not there: complete where the points are few, else empty and to be
    /// built by [steps](Self::build_step).
    ///
    /// # Errors
    /// As [`validate_schema`](payload_index::validate_schema).
    pub(in crate::engine) fn begin_indexes(
        &self,
        schema: &PayloadSchema,
    ) -> Result<(PayloadIndexes, Option<Building>), Refusal> {
        let mut missing = self.indexes.missing(schema)?;
        if self.rows.len() > ROWS_AT_ONCE || self.payload_bytes > BYTES_AT_ONCE {
            return Ok((PayloadIndexes::default(), Building::begin(missing)));
        }
        if !missing.is_empty() {
            for row in self.rows.values() {
                missing.put(row.0, terms(&missing, &self.at(*row).payload));
            }
        }
        Ok((missing, None))
    }

    /// Takes a schema on, with what [`begin_indexes`](Self::begin_indexes) made for it; the hash of the schema's record so
    /// far, 0 if there was none.
    pub(super) fn set_schema(
        &mut self,
        schema: &PayloadSchema,
        version: u64,
        (built, building): (PayloadIndexes, Option<Building>),
        hash: u64,
    ) -> u64 {
        self.indexes.set(schema, built);
        self.building = building;
        self.schema_version = version;
        std::mem::replace(&mut self.schema_hash, hash)
    }

    /// Reads the next rows for the indexes that are being built; nothing where none are.
    pub(in crate::engine) fn build_step(&self) -> Option<BuildStep> {
        let building = self.building.as_ref()?;
        let (mut rows, mut next, mut bytes) = (Vec::new(), building.next(), 0);
        while (next as usize) < self.points.len() && rows.len() < ROWS_OF_A_STEP && bytes < BYTES_OF_A_STEP {
            if let Some(point) = self.get(Row(next)) {
                rows.push((next, terms(building.indexes(), &point.payload)));
                bytes += point.payload.len();
            }
            next += 1;
        }
        Some(BuildStep { rows, next })
    }

    /// Takes in what a step has read, since when nothing was changed.
    pub(in crate::engine) fn settle_build(&mut self, step: BuildStep) {
        let Some(mut building) = self.building.take() else { return };
        building.take(step.rows, step.next);
        match building.finished(self.points.len() as u32) {
            Ok(built) => self.indexes.add(built),
            Err(unfinished) => self.building = Some(unfinished),
        }
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
