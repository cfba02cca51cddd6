//! The header of a group's stored state: which generation of keys it is, and how far it is.
//!
//! It is one record, written with every commit, so that state and applied index never disagree.

use std::io;

use serde::{Deserialize, Serialize};

use crate::GroupId;
use crate::consensus::types::{LogId, StoredMembership};
use crate::format::AsForm;
use crate::storage::keys;
use crate::storage::record::{seal, unseal};
use crate::storage::store::{KeyValueStore, WriteBatch};

/// What is known of the stored state; one record, written with every commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StateHeader {
    /// Which generation of keys is the state.
    pub generation: u32,
    /// The last log entry the state reflects.
    #[serde(with = "AsForm")]
    pub applied: Option<LogId>,
    /// The last membership among the applied entries.
    #[serde(with = "AsForm")]
    pub membership: StoredMembership,
    /// The last log entry of the last snapshot installed.
    #[serde(with = "AsForm")]
    pub installed: Option<LogId>,
}

/// The stored header of `group`; `None` before the first commit.
pub fn read_header(group: GroupId, store: &dyn KeyValueStore) -> io::Result<Option<StateHeader>> {
    let key = keys::state_header(group);
    store.get(&key)?.map(|record| unseal(&key, &record)).transpose()
}

/// Adds the header of `group` to `batch`.
pub fn put_header(group: GroupId, header: &StateHeader, batch: &mut WriteBatch) {
    let key = keys::state_header(group);
    let record = seal(&key, header);
    batch.put(key, record);
}
