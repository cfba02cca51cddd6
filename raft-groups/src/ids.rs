//! The two numbers consensus speaks in. Names, addresses and placement belong to the floors above.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// One process with a data directory, as the cluster map numbers it. Never reused for a directory that lost its data.
pub type NodeId = u64;

/// One Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

/// What people call a group, where the floors above have said it.
static NAMES: OnceLock<fn(GroupId) -> String> = OnceLock::new();

/// From now on messages call a group what `name` says of it, in place of `group 7`. Only the first time counts.
pub fn name_groups(name: fn(GroupId) -> String) {
    let _ = NAMES.set(name);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get() {
            Some(name) => f.write_str(&name(*self)),
            None => write!(f, "group {}", self.0),
        }
    }
}
