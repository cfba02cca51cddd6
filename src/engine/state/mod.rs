//! What a shard holds, in memory and as records.
//!
//! Everything that replicas must agree on is a record: a key and a value that go out with the [`Changes`] of the
//! command that made them. The digest is the wrapping sum of the records' hashes, so it does not depend on their order,
//! costs each command only what it changes, and forgets nothing that is replicated. Memory is built from commands or
//! from records, and must come out the same.

mod dropped;
mod outcome;
mod rebuild;
mod record;
mod requests;
mod table;

pub(super) use dropped::Dropped;
pub(super) use outcome::{Kept, RequestOutcome};
pub(super) use rebuild::rebuild;
pub(super) use record::points_of;
pub(super) use requests::{Remembered, Requests, fingerprint, is_too_late, remembered_until};
pub(super) use table::{Point, Reindex, Table};

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use raft_groups::Changes;
use raft_groups::mutants::{Mutant, is_planted};
use vector_index::Space;

use self::record::{RecordKey, StoredIndex, StoredSchema, hash};
use self::requests::RecordKind;
use super::collection::CollectionConfig;
use super::ids::{CollectionId, RequestId};
use super::payload_index::{Building, PayloadIndexes, PayloadSchema};
use crate::engine::commands::reply::Refusal;
use crate::model::PointId;

/// Requests up to which all of a state is looked at after each command, in builds with debug assertions.
const CHECKED_WHOLE: usize = 256;

/// A shard's state after some command.
///
/// Invariants, which [`State::check`] holds after each command where there is little to look at, and after a start:
/// 1. `digest` is the sum of the hashes of all records but that of the index: it forgets nothing that is replicated.
/// 2. No collection that is here was dropped.
/// 3. Neither the index nor the time goes back.
/// 4. Those of the tables, the requests and the dropped ranges.
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
        debug_assert!(index > self.index, "the command at {index} comes after that at {}", self.index);
        debug_assert!(time_ms >= self.time_ms, "the time goes back from {} to {time_ms}", self.time_ms);
        // No part of the digest: it differs from command to command, whatever they do.
        let key = RecordKey::Index.encode();
        let record = record::encode(&key, &StoredIndex { index, time_ms });
        changes.put(key, record);
        (self.index, self.time_ms) = (index, time_ms);
        // Some at each command, by the shard's time: every replica forgets the same.
        for forgotten in self.requests.forget_due(time_ms) {
            self.digest = self.digest.wrapping_sub(forgotten.hash);
            changes.delete(forgotten.key.encode());
        }
        debug_assert_eq!(if self.requests.len() <= CHECKED_WHOLE { self.check() } else { Ok(()) }, Ok(()));
    }

    pub(super) fn create(&mut self, collection: CollectionId, config: CollectionConfig, changes: &mut Changes) {
        let key = RecordKey::Collection(collection).encode();
        let record = record::encode(&key, &config);
        let hash = hash(&key, &record);
        self.digest = self.digest.wrapping_add(hash);
        let replaced = self.tables.insert(collection, Table::new(config, hash, |_, params| Space::new(params)));
        debug_assert!(replaced.is_none(), "collection {collection} was here");
        changes.put(key, record);
    }

    /// Forgets a collection, and remembers for good that it was dropped.
    pub(super) fn drop_collection(&mut self, collection: CollectionId, changes: &mut Changes) {
        // Remembered also of a collection that is not here: its creation may come late, and is refused then.
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

    /// Remembers that all collections from `first` to `last` were dropped. At most one of them is still here: the one
    /// that is dropped now.
    pub(super) fn retire(&mut self, first: CollectionId, last: CollectionId, changes: &mut Changes) {
        debug_assert!(
            self.tables.range(first..=last).nth(1).is_none(),
            "two collections from {first} to {last} are here"
        );
        let Some((merged, (first, last))) = self.dropped.add(first.0, last.0) else { return };
        // The ranges that the new one has swallowed are no records any more.
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
        let table = decided_table(&mut self.tables, collection);
        let PreparedSchema { version, schema, indexes } = prepared;
        let key = RecordKey::Schema(collection).encode();
        let stored = StoredSchema { version, schema };
        let record = record::encode(&key, &stored);
        let hash = hash(&key, &record);
        let replaced = table.set_schema(&stored.schema, version, indexes, hash);
        table.assert_sound();
        // The old record has the same key. Its hash leaves the digest with it.
        self.digest = self.digest.wrapping_add(hash).wrapping_sub(replaced);
        changes.put(key, record);
    }

    /// Stores points in a collection that exists.
    pub(super) fn upsert(&mut self, collection: CollectionId, points: Vec<Prepared>, changes: &mut Changes) {
        let table = decided_table(&mut self.tables, collection);
        for Prepared { point, vectors, key, record, reindex } in points {
            // The digest is a sum: the new record's hash comes in, and that of the replaced one goes.
            self.digest = self.digest.wrapping_add(point.hash);
            if let Some(replaced) = table.put(point, &vectors, reindex) {
                self.digest = self.digest.wrapping_sub(replaced);
            }
            changes.put(key, record);
        }
        table.assert_sound();
    }

    /// Deletes those of `ids` that exist.
    pub(super) fn delete(&mut self, collection: CollectionId, ids: &[PointId], changes: &mut Changes) {
        let table = decided_table(&mut self.tables, collection);
        for id in ids {
            if let Some(removed) = table.remove(*id) {
                self.digest = self.digest.wrapping_sub(removed);
                changes.delete(RecordKey::Point(collection, *id).encode());
            }
        }
        table.assert_sound();
    }

    /// Remembers what came of a request.
    pub(super) fn remember(&mut self, id: RequestId, kept: Kept, changes: &mut Changes) {
        let key = RecordKey::Remembered(id).encode();
        let record = record::encode(&key, &kept);
        let hash = hash(&key, &record);
        // The replaced record may have the key of an older release. It is deleted before the new one is put.
        if let Some(replaced) = self.requests.insert(id, kept, hash, RecordKind::Timed) {
            self.digest = self.digest.wrapping_sub(replaced.hash);
            changes.delete(replaced.key.encode());
        }
        self.digest = self.digest.wrapping_add(hash);
        changes.put(key, record);
    }

    /// Says which invariant does not hold, if one does not. Looks at every request, and at what tables say of themselves.
    pub(super) fn check(&self) -> Result<(), String> {
        self.requests.check()?;
        self.dropped.check()?;
        let here_and_dropped = self.tables.keys().find(|collection| self.dropped.contains(collection.0));
        if let Some(collection) = here_and_dropped.filter(|_| !is_planted(Mutant::ForgetsDrops)) {
            return Err(format!("collection {collection} is here, and was dropped"));
        }
        // A planted bug that forgets requests leaves their hashes behind.
        let digest = self.sum_of_hashes();
        if digest != self.digest && !is_planted(Mutant::ForgetsRequests) {
            return Err(format!("the records' hashes add up to {digest:016x}, and the digest is {:016x}", self.digest));
        }
        Ok(())
    }

    /// The digest, added up anew.
    fn sum_of_hashes(&self) -> u64 {
        let tables = self.tables.values().map(Table::hash);
        let dropped = self.dropped.ranges().map(|(first, last)| {
            let key = RecordKey::Dropped(CollectionId(first)).encode();
            hash(&key, &record::encode(&key, &last))
        });
        tables.chain(dropped).fold(self.requests.hash(), u64::wrapping_add)
    }
}

/// The collection that a command changes. Deciding has found it, and nothing came between.
///
/// Were it gone, to pass the command over would lose a write that is acknowledged. So this panics, and the group stops:
/// [`Engine`](crate::engine::Engine) catches what panics while a command is carried out, and reports a broken invariant.
fn decided_table(tables: &mut BTreeMap<CollectionId, Table>, collection: CollectionId) -> &mut Table {
    tables.get_mut(&collection).expect("deciding a command finds the collection that it changes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::collection::Distance;

    #[test]
    fn every_broken_invariant_is_found() {
        let (mut state, mut changes) = (State::default(), Changes::default());
        state.create(CollectionId(3), CollectionConfig::single(2, Distance::Dot), &mut changes);
        state.retire(CollectionId(1), CollectionId(2), &mut changes);
        state.advance(1, 7, &mut changes);
        assert_eq!(state.check(), Ok(()));
        state.digest += 1;
        assert!(state.check().is_err_and(|broken| broken.contains("the digest is")));
        state.digest -= 1;
        state.retire(CollectionId(3), CollectionId(3), &mut changes);
        assert_eq!(state.check(), Err("collection 3 is here, and was dropped".to_owned()));
    }

    #[test]
    #[should_panic(expected = "deciding a command finds the collection")]
    fn a_write_to_a_collection_that_is_gone_is_not_passed_over() {
        State::default().upsert(CollectionId(1), Vec::new(), &mut Changes::default());
    }

    #[test]
    #[should_panic(expected = "the time goes back")]
    fn the_time_does_not_go_back() {
        let (mut state, mut changes) = (State::default(), Changes::default());
        state.advance(1, 7, &mut changes);
        state.advance(2, 6, &mut changes);
    }
}
