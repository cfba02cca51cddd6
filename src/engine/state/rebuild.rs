//! Memory from records: how a replica starts.

use std::io;
use std::ops::ControlFlow;

use raft_groups::StateReader;
use raft_groups::mutants::{Mutant, is_planted};

use super::outcome::{Kept, StoredRequest};
use super::record::{self, RecordKey, StoredIndex, StoredPoint, StoredSchema, StoredVector, hash};
use super::requests::RecordKind;
use super::{Point, State, Table};
use crate::engine::collection::CollectionConfig;
use crate::engine::commands::entry::MadeBy;
use crate::engine::floats::In;
use crate::engine::graph_store::Setup;
use crate::engine::ids::CollectionId;
use crate::model::PointId;
use crate::model::limits::REMEMBERED_MS;

/// Reads every record into a new state.
///
/// # Errors
/// An error of the store, or `InvalidData` that says which kind of record is damaged and how.
pub(in crate::engine) fn rebuild(setup: &Setup, reader: &dyn StateReader) -> io::Result<State> {
    let mut state = State::default();
    let mut outcome = Ok(());
    // Keys come in order, so a collection comes before its points.
    reader.scan(&[], &mut |key, value| match state.load(setup, key, value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(damage) => {
            outcome = Err(io::Error::new(io::ErrorKind::InvalidData, damage));
            ControlFlow::Break(())
        }
    })?;
    // One damaged record refuses the start: without it this replica would answer otherwise than the others.
    outcome?;
    state.tables.values_mut().for_each(Table::restored);
    debug_assert_eq!(state.check(), Ok(()));
    Ok(state)
}

impl State {
    fn load(&mut self, setup: &Setup, key: &[u8], value: &[u8]) -> Result<(), String> {
        let kind = RecordKey::decode(key).ok_or_else(|| format!("a record has the unknown key {}", hex(key)))?;
        self.load_kind(setup, kind, key, value)
            .map_err(|damage| format!("the {} record {} {damage}", kind.kind(), hex(key)))
    }

    fn load_kind(&mut self, setup: &Setup, kind: RecordKey, key: &[u8], value: &[u8]) -> Result<(), String> {
        let hash = hash(key, value);
        match kind {
            // No part of the digest, so it returns early.
            RecordKey::Index => {
                let StoredIndex { index, time_ms } = record::decode_index(key, value)?;
                (self.index, self.time_ms) = (index, time_ms);
                return Ok(());
            }
            RecordKey::Collection(collection) => {
                let config: CollectionConfig = record::decode(key, value)?;
                let space = |name: &str, params| setup.space(collection, name, params);
                self.tables.insert(collection, Table::new(config, hash, space));
            }
            RecordKey::Schema(collection) => {
                let stored: StoredSchema = record::decode(key, value)?;
                let table = self.tables.get_mut(&collection).ok_or("belongs to no collection")?;
                // No point is here yet: the indexes are complete at once, and grow with the points.
                let indexes = table.begin_indexes(&stored.schema).map_err(|refusal| refusal.to_string())?;
                table.set_schema(&stored.schema, stored.version, indexes, hash);
            }
            RecordKey::Point(collection, _) if self.dropped.contains(collection.0) => {
                // The erasing of a dropped collection was cut short. It goes on after the start.
                self.discarded.entry(collection).or_default();
                return Ok(());
            }
            RecordKey::Point(collection, id) => self.load_point(collection, id, key, value, hash)?,
            RecordKey::Request(_) | RecordKey::Remembered(_) if is_planted(Mutant::ForgetsRequests) => {}
            RecordKey::Request(id) => {
                // It was kept by a release that counted no time: from the first moment that is counted.
                let StoredRequest { fingerprint, outcome, .. } = record::decode(key, value)?;
                let (until_ms, made_by) = (REMEMBERED_MS, MadeBy::Client);
                let kept = Kept { until_ms, made_by, fingerprint, outcome };
                self.requests.insert(id, kept, hash, RecordKind::Timeless);
            }
            RecordKey::Remembered(id) => {
                let kept: Kept = record::decode(key, value)?;
                self.requests.insert(id, kept, hash, RecordKind::Timed);
            }
            RecordKey::Dropped(CollectionId(first)) => self.dropped.restore(first, record::decode(key, value)?)?,
        }
        self.digest = self.digest.wrapping_add(hash);
        Ok(())
    }

    fn load_point(
        &mut self,
        collection: CollectionId,
        id: PointId,
        key: &[u8],
        value: &[u8],
        hash: u64,
    ) -> Result<(), String> {
        let stored: StoredPoint<'_, StoredVector<In>> = record::decode(key, value)?;
        let table = self.tables.get_mut(&collection).ok_or("belongs to no collection")?;
        let vectors =
            stored.vectors.into_iter().map(|(name, StoredVector::Dense(vector))| (name.to_owned(), vector.0)).collect();
        // One without a space would be lost, and one of another size compared by parts that are not there.
        for (name, vector) in &vectors {
            let size = table.config().vectors.get(name).map(|params| params.size);
            if size != Some(Vec::len(vector)) {
                return Err(format!("has a vector `{name}` that does not fit its collection"));
            }
        }
        table.restore(Point { id, version: stored.version, payload: stored.payload.into(), hash }, &vectors);
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
