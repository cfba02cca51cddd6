//! The two numbers consensus speaks in. Names, addresses and placement belong to the floors above.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One process with a data directory, as the cluster map numbers it. Never reused for a directory that lost its data.
pub type NodeId = u64;

/// One Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}
