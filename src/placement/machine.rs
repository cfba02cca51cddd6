//! The meta group's machine: the cluster map, kept as checked records and shared as one immutable value.
//!
//! Stored as one `map` record (everything but the collections) and one record per collection, each with a CRC32C,
//! so that creating one of ten thousand collections does not rewrite the others. The `map` record is JSON; earlier releases
//! had a `head` record instead, in postcard, which the first change replaces. Beside the map it remembers which
//! changes were carried out under which request id, one record each, and the group's time.

pub(super) mod changes;
pub(super) mod format;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{BrokenInvariant, Changes, Machine, Position, StateReader};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{ClusterMap, CollectionEntry, MetaCommand, MetaReply};
use crate::engine::guarded;
use crate::engine::{Entry, Lifetime, RequestId, written_by_newer};
use crate::placement::machine::changes::{KeptChange, KeptChanges};

/// Key of the record that holds everything but the collections.
const MAP: &[u8] = b"map";

/// Key of the record that earlier releases had in its place.
const HEAD: &[u8] = b"head";

/// Prefix of the collections' keys; the name follows.
const COLLECTION: &[u8] = b"collection/";

/// Key of the record that holds the group's time.
const TIME: &[u8] = b"time";

/// Prefix of the keys of remembered changes; the request id follows.
const CHANGE: &[u8] = b"change/";

/// The cluster map as agreed by the meta group.
pub struct MetaMachine {
    state: RwLock<MetaState>,
}

#[derive(Default)]
struct MetaState {
    map: Arc<ClusterMap>,
    /// Log index of the last command that changed the map, or what is remembered.
    index: u64,
    /// The group's time: the greatest that a command has carried.
    time_ms: u64,
    kept: KeptChanges,
}

/// A command with its name, where it has one.
struct NamedChange {
    request: Option<(RequestId, Bytes)>,
    command: MetaCommand,
}

/// The stored `map` record.
#[derive(Serialize, Deserialize)]
struct Head {
    /// The map without its collections.
    map: ClusterMap,
    index: u64,
}

impl MetaMachine {
    /// The map in its applied state; its epoch is 0 before the cluster is formed.
    pub fn map(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.state.read().map)
    }

    /// The group's time in milliseconds: the greatest that a command has carried.
    pub fn time_ms(&self) -> u64 {
        self.state.read().time_ms
    }
}

impl Machine for MetaMachine {
    type Setup = ();

    fn open((): &(), state: &dyn StateReader) -> io::Result<Self> {
        let (kept, time_ms) = (read_changes(state)?, read_time(state)?);
        // The newer record wins: the older one goes with the first change.
        let head = match (state.get(MAP)?, state.get(HEAD)?) {
            (Some(record), _) => Some(unseal_json::<Head>(MAP, &record)?),
            (None, Some(record)) => Some(unseal::<Head>(HEAD, &record)?),
            (None, None) => None,
        };
        debug_assert_eq!(kept.check(), Ok(()));
        let Some(Head { mut map, index }) = head else {
            return Ok(Self { state: RwLock::new(MetaState { kept, time_ms, ..MetaState::default() }) });
        };
        // Collections have records of their own, beside that of the map.
        map.collections = read_collections(state)?;
        debug_assert_eq!(map.check(), Ok(()));
        Ok(Self { state: RwLock::new(MetaState { map: Arc::new(map), index, time_ms, kept }) })
    }

    fn apply(&self, at: Position, bytes: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        // Bytes that mean nothing are refused alike everywhere. An entry of a newer release stops the group.
        let (entry, NamedChange { request, command }) = match guarded("map", at, bytes, || read_entry(bytes)) {
            Some(Ok(read)) => read,
            Some(Err(Unread::Newer)) => return Err(written_by_newer(at.index)),
            Some(Err(Unread::Garbage(reason))) => return Ok(MetaReply::Undecodable { reason }.encode()),
            None => return Ok(MetaReply::Undecided.encode()),
        };
        // The group's time goes on whatever the command comes to, and lets old answers be forgotten.
        let mut state = self.state.write();
        if entry.time_ms > state.time_ms {
            state.time_ms = entry.time_ms;
            changes.put(TIME, seal(&state.time_ms));
        }
        let now_ms = state.time_ms;
        let due = state.kept.forget_due(now_ms);
        due.iter().for_each(|id| changes.delete(change_key(*id)));
        // A panic while deciding leaves the map as it is, and is answered alike on every replica.
        let decided = guarded("map", at, bytes, || decide(&state, request.as_ref(), entry.lifetime, command));
        let Decided { map, reply, keep } = decided.unwrap_or_else(|| Decided::nothing(MetaReply::Undecided.encode()));
        // The answer is remembered with the change that it is about, so a copy finds both or neither.
        let (old, mut remembers) = (Arc::clone(&state.map), !due.is_empty());
        if let Some((id, change)) = request.filter(|_| keep) {
            let kept = state.kept.remember(id, &change, entry.lifetime, now_ms, reply.clone());
            changes.put(change_key(id), seal(&kept));
            remembers = true;
        }
        if let Some(map) = map {
            state.map = Arc::new(map);
        }
        // What changed nothing is not stored.
        if remembers || state.map.epoch != old.epoch {
            state.index = at.index;
            record(&old, &state.map, at.index, changes);
        }
        Ok(reply)
    }

    fn digest(&self) -> (u64, u64) {
        let state = self.state.read();
        let (map, index, kept) = (Arc::clone(&state.map), state.index, state.kept.digest());
        drop(state);
        if index == 0 {
            return (0, 0);
        }
        (index, xxh3_64(&bytes_of(&*map)).wrapping_add(kept))
    }
}

/// What a command comes to.
struct Decided {
    /// The map from now on, where it changes.
    map: Option<ClusterMap>,
    /// As it is encoded.
    reply: Bytes,
    /// Whether a named command is remembered with this reply.
    keep: bool,
}

impl Decided {
    fn nothing(reply: Bytes) -> Self {
        Self { map: None, reply, keep: false }
    }
}

/// Decides what a command does to the map, and what is answered.
fn decide(
    state: &MetaState,
    request: Option<&(RequestId, Bytes)>,
    lifetime: Option<Lifetime>,
    command: MetaCommand,
) -> Decided {
    // A repetition is answered by what is remembered, whatever the map is by now.
    let answer = request.and_then(|(id, change)| state.kept.answer(*id, change, lifetime, state.time_ms));
    if let Some(reply) = answer {
        return Decided::nothing(reply);
    }
    assert!(!is_planted(Mutant::PanicsDeciding), "a planted bug");
    // Changed on a copy: readers keep the map that they hold.
    let mut map = ClusterMap::clone(&state.map);
    let reply = map.apply(command);
    // A map that is not formed may be another tomorrow.
    let keep = reply != MetaReply::NotFormed;
    Decided { reply: reply.encode(), keep, map: (map.epoch != state.map.epoch).then_some(map) }
}

/// Why an entry of the log is not one that can be decided.
#[derive(Debug)]
enum Unread {
    /// A newer release wrote it.
    Newer,
    /// It says nothing, to any release.
    Garbage(String),
}

/// Reads an entry, and the command inside the command where it is a named one.
fn read_entry(bytes: &[u8]) -> Result<(Entry<'_>, NamedChange), Unread> {
    let entry = Entry::decode(bytes).map_err(|error| Unread::Garbage(error.to_string()))?;
    Ok(match read_command(entry.command)? {
        MetaCommand::Once { request, change } => {
            let command = read_command(&change)?;
            (entry, NamedChange { request: Some((request, change)), command })
        }
        command => (entry, NamedChange { request: None, command }),
    })
}

fn read_command(bytes: &[u8]) -> Result<MetaCommand, Unread> {
    if MetaCommand::is_newer(bytes) {
        return Err(Unread::Newer);
    }
    MetaCommand::decode(bytes).map_err(|error| Unread::Garbage(error.to_string()))
}

/// What differs between two maps, as records.
fn record(old: &ClusterMap, new: &ClusterMap, index: u64, changes: &mut Changes) {
    // One record a collection, so that ten thousand of them are not written for the sake of one.
    for (name, entry) in &new.collections {
        if old.collections.get(name) != Some(entry) {
            changes.put(collection_key(name), seal(entry));
        }
    }
    for name in old.collections.keys().filter(|name| !new.collections.contains_key(*name)) {
        changes.delete(collection_key(name));
    }
    // All else is one record. An older release's record of it goes, so that only one is left.
    let map = ClusterMap { collections: BTreeMap::new(), ..new.clone() };
    changes.put(MAP, seal_bytes(&serde_json::to_vec(&Head { map, index }).expect("a map is JSON")));
    changes.delete(HEAD);
}

/// Gives `take` each record whose key starts with `prefix`, until one of them is wrong.
fn read_all(
    state: &dyn StateReader,
    prefix: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut read = Ok(());
    state.scan(prefix, &mut |key, value| {
        read = take(key, value);
        if read.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    read
}

fn read_collections(state: &dyn StateReader) -> io::Result<BTreeMap<String, CollectionEntry>> {
    let mut collections = BTreeMap::new();
    read_all(state, COLLECTION, |key, value| {
        collections.insert(name_in(key)?, unseal(key, value)?);
        Ok(())
    })?;
    Ok(collections)
}

fn read_time(state: &dyn StateReader) -> io::Result<u64> {
    state.get(TIME)?.map_or(Ok(0), |record| unseal(TIME, &record))
}

fn read_changes(state: &dyn StateReader) -> io::Result<KeptChanges> {
    let mut kept = KeptChanges::default();
    read_all(state, CHANGE, |key, value| {
        kept.insert(request_in(key)?, unseal::<KeptChange>(key, value)?);
        Ok(())
    })?;
    Ok(kept)
}

fn change_key(id: RequestId) -> Vec<u8> {
    [CHANGE, id.0.as_bytes()].concat()
}

fn request_in(key: &[u8]) -> io::Result<RequestId> {
    let id = key.strip_prefix(CHANGE).and_then(|id| Uuid::from_slice(id).ok());
    id.map(RequestId).ok_or_else(|| damaged(key, "its name is no request id"))
}

fn collection_key(name: &str) -> Vec<u8> {
    [COLLECTION, name.as_bytes()].concat()
}

fn name_in(key: &[u8]) -> io::Result<String> {
    let name = key.strip_prefix(COLLECTION).unwrap_or_default();
    String::from_utf8(name.to_vec()).map_err(|_| damaged(key, "its name is not text"))
}

pub(super) fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("writing to memory cannot fail, and these types have a shape")
}

/// The record of `value`: four bytes of CRC32C, then its encoding.
fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    seal_bytes(&bytes_of(value))
}

fn seal_bytes(body: &[u8]) -> Vec<u8> {
    [&crc32c::crc32c(body).to_le_bytes()[..], body].concat()
}

fn unseal<T: DeserializeOwned>(key: &[u8], record: &[u8]) -> io::Result<T> {
    postcard::from_bytes(checked(key, record)?).map_err(|error| damaged(key, &error.to_string()))
}

fn unseal_json<T: DeserializeOwned>(key: &[u8], record: &[u8]) -> io::Result<T> {
    serde_json::from_slice(checked(key, record)?).map_err(|error| damaged(key, &error.to_string()))
}

/// The body of a record whose checksum is right.
fn checked<'a>(key: &[u8], record: &'a [u8]) -> io::Result<&'a [u8]> {
    let (sum, body) = record.split_first_chunk::<4>().ok_or_else(|| damaged(key, "the record is cut"))?;
    if u32::from_le_bytes(*sum) != crc32c::crc32c(body) {
        return Err(damaged(key, "its checksum does not match"));
    }
    Ok(body)
}

fn damaged(key: &[u8], why: &str) -> io::Error {
    let key = String::from_utf8_lossy(key);
    io::Error::new(io::ErrorKind::InvalidData, format!("cluster map record `{key}`: {why}"))
}

#[cfg(test)]
mod tests;
