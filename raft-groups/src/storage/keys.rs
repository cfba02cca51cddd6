//! The keys of everything in a node's two stores.
//!
//! ```text
//! both         "quiver identity"    the node that owns the store
//! log store    "quiver promise"     the longest promise of the node to a leader
//!              "quiver lives"       the newest life seen of each node
//!              group | 0            vote        group | 1  last purged    group | 2  the replica's record
//!              group | 3 | index    log entry   group | 4  the damage that was found
//! state store  group | 0            applied index, membership, current generation
//!              group | 1 | generation | the machine's own key
//! ```
//! Numbers are big-endian (u64; a generation is u32), so byte order is number order.

use crate::GroupId;

/// Kinds of keys of one group in the log store.
#[derive(Debug, Clone, Copy)]
pub enum LogKey {
    Vote,
    Purged,
    ReplicaRecord,
    Entry(u64),
    Damage,
}

impl LogKey {
    /// Returns the bytes of this key of `group`.
    pub fn for_group(self, group: GroupId) -> Vec<u8> {
        let mut key = group.0.to_be_bytes().to_vec();
        match self {
            Self::Vote => key.push(0),
            Self::Purged => key.push(1),
            Self::ReplicaRecord => key.push(2),
            Self::Entry(index) => {
                key.push(3);
                key.extend(index.to_be_bytes());
            }
            Self::Damage => key.push(4),
        }
        key
    }
}

/// Returns the key of the record that says who owns a store. It cannot be a group's key: no group has a number that
/// large.
pub fn identity() -> Vec<u8> {
    b"\xff\xff quiver identity".to_vec()
}

/// Returns the key of the node's longest promise to a leader, in the log store.
pub fn promise() -> Vec<u8> {
    b"\xff\xff quiver promise".to_vec()
}

/// Returns the key of the newest lives that were seen of other nodes, in the log store.
pub fn lives() -> Vec<u8> {
    b"\xff\xff quiver lives".to_vec()
}

/// Returns the log index in an entry's key; `None` if the key is too short or too long.
pub fn entry_index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(9..)?.try_into().ok()?))
}

/// Returns the key of the header of a group's [`crate::storage::state`].
pub fn state_header(group: GroupId) -> Vec<u8> {
    [&group.0.to_be_bytes()[..], &[0]].concat()
}

/// Returns the prefix of a machine's keys in one generation of its state.
pub fn state_prefix(group: GroupId, generation: u32) -> Vec<u8> {
    [&group.0.to_be_bytes()[..], &[1], &generation.to_be_bytes()].concat()
}

/// Returns the prefix of a machine's keys in all generations.
pub fn all_generations(group: GroupId) -> Vec<u8> {
    [&group.0.to_be_bytes()[..], &[1]].concat()
}
