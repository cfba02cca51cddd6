//! The meta group's machine: the cluster map, kept as checked records and shared as one immutable value.
//!
//! Stored as one `head` record (everything but the collections) and one record per collection, each with a CRC32C,
//! so that creating one of ten thousand collections does not rewrite the others.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use raft_groups::{BrokenInvariant, Changes, Machine, Position, StateReader};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use super::{ClusterMap, CollectionEntry, MetaCommand};

/// Key of the record that holds everything but the collections.
const HEAD: &[u8] = b"head";

/// Prefix of the collections' keys; the name follows.
const COLLECTION: &[u8] = b"collection/";

/// The cluster map as agreed by the meta group.
pub struct MetaMachine {
    state: RwLock<State>,
}

#[derive(Clone, Default)]
struct State {
    map: Arc<ClusterMap>,
    /// Log index of the last command that changed the map.
    index: u64,
}

/// The stored `head` record.
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
}

impl Machine for MetaMachine {
    type Setup = ();

    fn open((): &(), state: &dyn StateReader) -> io::Result<Self> {
        let Some(head) = state.get(HEAD)? else {
            return Ok(Self { state: RwLock::default() });
        };
        let Head { mut map, index } = unseal(HEAD, &head)?;
        map.collections = read_collections(state)?;
        Ok(Self { state: RwLock::new(State { map: Arc::new(map), index }) })
    }

    fn apply(&self, at: Position, command: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        let command = MetaCommand::decode(command).map_err(|e| BrokenInvariant(e.to_string()))?;
        let old = self.map();
        let mut map = ClusterMap::clone(&old);
        let reply = map.apply(command);
        if map.epoch != old.epoch {
            record(&old, &map, at.index, changes);
            *self.state.write() = State { map: Arc::new(map), index: at.index };
        }
        Ok(reply.encode())
    }

    fn digest(&self) -> (u64, u64) {
        let state = self.state.read().clone();
        if state.index == 0 {
            return (0, 0);
        }
        (state.index, xxh3_64(&bytes_of(&*state.map)))
    }
}

/// What differs between two maps, as records.
fn record(old: &ClusterMap, new: &ClusterMap, index: u64, changes: &mut Changes) {
    for (name, entry) in &new.collections {
        if old.collections.get(name) != Some(entry) {
            changes.put(collection_key(name), seal(entry));
        }
    }
    for name in old.collections.keys().filter(|name| !new.collections.contains_key(*name)) {
        changes.delete(collection_key(name));
    }
    let map = ClusterMap { collections: BTreeMap::new(), ..new.clone() };
    changes.put(HEAD, seal(&Head { map, index }));
}

fn read_collections(state: &dyn StateReader) -> io::Result<BTreeMap<String, CollectionEntry>> {
    let mut found = Ok(BTreeMap::new());
    state.scan(COLLECTION, &mut |key, value| {
        let entry = name_in(key).and_then(|name| Ok((name, unseal(key, value)?)));
        match (&mut found, entry) {
            (Ok(collections), Ok((name, entry))) => {
                collections.insert(name, entry);
                ControlFlow::Continue(())
            }
            (_, Err(error)) => {
                found = Err(error);
                ControlFlow::Break(())
            }
            (Err(_), _) => ControlFlow::Break(()),
        }
    })?;
    found
}

fn collection_key(name: &str) -> Vec<u8> {
    [COLLECTION, name.as_bytes()].concat()
}

fn name_in(key: &[u8]) -> io::Result<String> {
    let name = key.strip_prefix(COLLECTION).unwrap_or_default();
    String::from_utf8(name.to_vec()).map_err(|_| damaged(key, "its name is not text"))
}

fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("writing to memory cannot fail, and these types have a shape")
}

/// The record of `value`: four bytes of CRC32C, then its encoding.
fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let body = bytes_of(value);
    [&crc32c::crc32c(&body).to_le_bytes()[..], &body].concat()
}

fn unseal<T: DeserializeOwned>(key: &[u8], record: &[u8]) -> io::Result<T> {
    let (sum, body) = record.split_first_chunk::<4>().ok_or_else(|| damaged(key, "the record is cut"))?;
    if u32::from_le_bytes(*sum) != crc32c::crc32c(body) {
        return Err(damaged(key, "its checksum does not match"));
    }
    postcard::from_bytes(body).map_err(|error| damaged(key, &error.to_string()))
}

fn damaged(key: &[u8], why: &str) -> io::Error {
    let key = String::from_utf8_lossy(key);
    io::Error::new(io::ErrorKind::InvalidData, format!("cluster map record `{key}`: {why}"))
}

#[cfg(test)]
mod tests {
    use raft_groups::MemoryState;

    use super::*;
    use crate::placement::MetaReply;
    use crate::placement::tests::{map_of, vectors};

    fn run(machine: &MetaMachine, state: &mut MemoryState, index: u64, command: MetaCommand) -> MetaReply {
        let mut changes = Changes::default();
        let at = Position { index, term: 1 };
        let reply = machine.apply(at, &command.encode(), &mut changes).unwrap();
        state.commit(&changes);
        MetaReply::decode(&reply).unwrap()
    }

    fn create(name: &str) -> MetaCommand {
        let (config, default_consistency) = (vectors(4), "quorum".to_owned());
        MetaCommand::CreateCollection { name: name.to_owned(), config, default_consistency }
    }

    #[test]
    fn what_is_stored_opens_as_the_same_map() {
        let mut state = MemoryState::default();
        let machine = MetaMachine::open(&(), &state).unwrap();
        assert_eq!(machine.digest(), (0, 0));
        run(&machine, &mut state, 3, MetaCommand::Form { map: map_of(3, 8, 3) });
        run(&machine, &mut state, 4, create("docs"));
        let MetaReply::Created { entry } = run(&machine, &mut state, 5, create("temp")) else {
            panic!("a new name is created");
        };
        let drop = MetaCommand::DropCollection { name: "temp".to_owned(), id: entry.id };
        run(&machine, &mut state, 7, drop);
        let again = MetaMachine::open(&(), &state).unwrap();
        assert_eq!(again.map(), machine.map());
        assert_eq!(again.digest(), machine.digest());
        assert_eq!(again.digest().0, 7);
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let mut state = MemoryState::default();
        let machine = MetaMachine::open(&(), &state).unwrap();
        assert_eq!(run(&machine, &mut state, 1, create("docs")), MetaReply::NotFormed);
        assert_eq!(machine.digest(), (0, 0));
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let mut changes = Changes::default();
        let mut record = seal(&Head { map: map_of(1, 1, 1), index: 1 });
        record[9] ^= 1;
        changes.put(HEAD, record);
        let mut state = MemoryState::default();
        state.commit(&changes);
        let error = MetaMachine::open(&(), &state).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn bytes_of_another_version_stop_the_group() {
        let machine = MetaMachine::open(&(), &MemoryState::default()).unwrap();
        let at = Position { index: 1, term: 1 };
        assert!(machine.apply(at, &[9, 9], &mut Changes::default()).is_err());
        assert!(machine.apply(at, &[], &mut Changes::default()).is_err());
    }
}
