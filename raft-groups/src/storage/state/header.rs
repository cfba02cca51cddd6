//! The header of a group's stored state: its generation of keys, and its applied index.
//!
//! It is one record, written with every commit, so state and applied index never disagree.

use std::io;

use serde::{Deserialize, Serialize};

use crate::GroupId;
use crate::consensus::types::{LogId, StoredMembership};
use crate::format::AsForm;
use crate::storage::keys;
use crate::storage::record::{seal, unseal};
use crate::storage::store::{KeyValueStore, WriteBatch};

/// What is known of the stored state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StateHeader {
    /// The generation of keys that is the current state.
    pub generation: u32,
    /// The last log entry that the state reflects.
    #[serde(with = "AsForm")]
    pub applied: Option<LogId>,
    /// The last membership among the applied entries.
    #[serde(with = "AsForm")]
    pub membership: StoredMembership,
    /// The last log entry of the last snapshot that was installed.
    #[serde(with = "AsForm")]
    pub installed: Option<LogId>,
}

/// Reads the header of `group`; `None` before the first commit.
///
/// # Errors
/// `InvalidData` if it is damaged, or an I/O error of the store.
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
