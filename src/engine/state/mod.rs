//! What a shard holds, in memory and as records.
//!
//! Everything that replicas must agree on is a record: a key and a value that go out with the [`Changes`] of the
//! command that made them. The digest is the wrapping sum of the records' hashes, so it does not depend on their order,
//! costs each command only what it changes, and forgets nothing that is replicated. Memory is built from commands or
//! from records, and must come out the same.

mod dropped;
mod rebuild;
mod record;
mod requests;
mod table;

pub(super) use dropped::Dropped;
pub(super) use rebuild::rebuild;
pub(super) use record::points_of;
pub(super) use requests::{Kept, Remembered, RequestOutcome, Requests, fingerprint, is_too_late, remembered_until};
pub(super) use table::{Point, Reindex, Table};

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use raft_groups::Changes;
use vector_index::Space;

use self::record::{RecordKey, StoredIndex, StoredSchema, hash};
use self::requests::RecordKind;
use super::collection::CollectionConfig;
use super::ids::{CollectionId, RequestId};
use super::payload_index::{Building, PayloadIndexes, PayloadSchema};
use crate::engine::commands::reply::Refusal;
use crate::model::PointId;

/// A shard's state after some command.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Log index of the last command it reflects.
    pub(super) index: u64,
    /// The shard's time: the greatest that a command has carried.
    pub(super) time_ms: u64,
    /// Sum of the hashes of all records but that of the index.
    pub(super) digest: u64,
    pub(super) tables: BTreeMap<CollectionId, Table>,
    pub(super) requests: Requests,
    pub(super) dropped: Dropped,
    /// Collections that were dropped and whose points are still stored, with what memory still has of them.
    pub(super) discarded: BTreeMap<CollectionId, Option<Table>>,
}

/// A point made ready to be stored, before anything is changed.
#[derive(Debug)]
pub(super) struct Prepared {
    point: Point,
    vectors: BTreeMap<String, Vec<f32>>,
    key: Vec<u8>,
    record: Bytes,
    reindex: Reindex,
}

/// A payload schema made ready to be taken on.
#[derive(Debug)]
pub(super) struct PreparedSchema {
    pub(super) version: u64,
    pub(super) schema: PayloadSchema,
    /// The indexes it asks for that are not there yet: those that are complete, and those that are to be built.
    pub(super) indexes: (PayloadIndexes, Option<Building>),
}

impl Prepared {
    pub(super) fn new(
        collection: CollectionId,
        id: PointId,
        version: u64,
        payload: Arc<str>,
        vectors: BTreeMap<String, Vec<f32>>,
        reindex: Reindex,
    ) -> Self {
        let key = RecordKey::Point(collection, id).encode();
        let record = record::encode_point(&key, version, &payload, &vectors);
        let point = Point { id, version, payload, hash: hash(&key, &record) };
        Self { point, vectors, key, record, reindex }
    }
}

impl State {
    pub(super) fn table(&self, collection: CollectionId) -> Result<&Table, Refusal> {
        self.tables.get(&collection).ok_or(Refusal::CollectionNotFound { collection })
    }

    pub(super) fn space(&self, collection: CollectionId, name: &str) -> Option<&Space> {
        self.tables.get(&collection)?.space(name)
    }

    pub(super) fn space_mut(&mut self, collection: CollectionId, name: &str) -> Option<&mut Space> {
        self.tables.get_mut(&collection)?.space_mut(name)
    }

    /// Notes that the command at `index` was looked at, whatever it did, and that the shard's time is `time_ms`.
    pub(super) fn advance(&mut self, index: u64, time_ms: u64, changes: &mut Changes) {
        let key = RecordKey::Index.encode();
        let record = record::encode(&key, &StoredIndex { index, time_ms });
        changes.put(key, record);
        (self.index, self.time_ms) = (index, time_ms);
        for forgotten in self.requests.forget_due(time_ms) {
            self.digest = self.digest.wrapping_sub(forgotten.hash);
            changes.delete(forgotten.key.encode());
        }
    }

    pub(super) fn create(&mut self, collection: CollectionId, config: CollectionConfig, changes: &mut Changes) {
        let key = RecordKey::Collection(collection).encode();
        let record = record::encode(&key, &config);
        let hash = hash(&key, &record);
        self.digest = self.digest.wrapping_add(hash);
        self.tables.insert(collection, Table::new(config, hash, |_, params| Space::new(params)));
        changes.put(key, record);
    }

    /// Forgets a collection, and remembers for good that it was dropped.
    pub(super) fn drop_collection(&mut self, collection: CollectionId, changes: &mut Changes) {
        self.retire(collection, collection, changes);
        let Some(table) = self.tables.remove(&collection) else { return };
        self.digest = self.digest.wrapping_sub(table.config_hash());
        changes.delete(RecordKey::Collection(collection).encode());
        if table.schema_version() > 0 {
            self.digest = self.digest.wrapping_sub(table.schema_hash());
            changes.delete(RecordKey::Schema(collection).encode());
        }
        // The points may be many: their records are erased, and their memory is given back, beside the commands that follow.
        self.digest = self.digest.wrapping_sub(table.points_hash());
        self.discarded.insert(collection, Some(table));
    }

    /// Remembers that all collections from `first` to `last` were dropped. None of them may be there, but one that is
    /// dropped now.
    pub(super) fn retire(&mut self, first: CollectionId, last: CollectionId, changes: &mut Changes) {
        let Some((merged, (first, last))) = self.dropped.add(first.0, last.0) else { return };
        for (first, last) in merged {
            let key = RecordKey::Dropped(CollectionId(first)).encode();
            self.digest = self.digest.wrapping_sub(hash(&key, &record::encode(&key, &last)));
            changes.delete(key);
        }
        let key = RecordKey::Dropped(CollectionId(first)).encode();
        let record = record::encode(&key, &last);
        self.digest = self.digest.wrapping_add(hash(&key, &record));
        changes.put(key, record);
    }

    /// Takes a payload schema on, in a collection that exists.
    pub(super) fn set_schema(&mut self, collection: CollectionId, prepared: PreparedSchema, changes: &mut Changes) {
        let Some(table) = self.tables.get_mut(&collection) else { return };
        let PreparedSchema { version, schema, indexes } = prepared;
        let key = RecordKey::Schema(collection).encode();
        let stored = StoredSchema { version, schema };
        let record = record::encode(&key, &stored);
        let hash = hash(&key, &record);
        let replaced = table.set_schema(&stored.schema, version, indexes, hash);
        self.digest = self.digest.wrapping_add(hash).wrapping_sub(replaced);
        changes.put(key, record);
    }

    /// Stores points in a collection that exists.
    pub(super) fn upsert(&mut self, collection: CollectionId, points: Vec<Prepared>, changes: &mut Changes) {
        let Some(table) = self.tables.get_mut(&collection) else { return };
        for Prepared { point, vectors, key, record, reindex } in points {
            self.digest = self.digest.wrapping_add(point.hash);
            if let Some(replaced) = table.put(point, &vectors, reindex) {
                self.digest = self.digest.wrapping_sub(replaced);
            }
            changes.put(key, record);
        }
    }

    /// Deletes those of `ids` that exist.
    pub(super) fn delete(&mut self, collection: CollectionId, ids: &[PointId], changes: &mut Changes) {
        let Some(table) = self.tables.get_mut(&collection) else { return };
        for id in ids {
            if let Some(removed) = table.remove(*id) {
                self.digest = self.digest.wrapping_sub(removed);
                changes.delete(RecordKey::Point(collection, *id).encode());
            }
        }
    }

    /// Remembers what came of a request.
    pub(super) fn remember(&mut self, id: RequestId, kept: Kept, changes: &mut Changes) {
        let key = RecordKey::Remembered(id).encode();
        let record = record::encode(&key, &kept);
        let hash = hash(&key, &record);
        if let Some(replaced) = self.requests.insert(id, kept, hash, RecordKind::Timed) {
            self.digest = self.digest.wrapping_sub(replaced.hash);
            changes.delete(replaced.key.encode());
        }
        self.digest = self.digest.wrapping_add(hash);
        changes.put(key, record);
    }
}
