//! Who is who in consensus: nodes, groups, and the lives of nodes.
//!
//! Plain values that messages and records carry. Names, addresses and placement belong to the floors above, which may
//! say once what people call a group.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::mutants::{Mutant, is_planted};

/// One process with a data directory, as the cluster map numbers it. Never reused for a directory that lost its data.
pub type NodeId = u64;

/// One Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

/// Who this node is; it is written into both stores and sent with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, chosen when it is formed.
    pub cluster: [u8; 16],
    /// This node's number in it.
    pub node: NodeId,
    /// Chosen when the node's data directory was made.
    pub incarnation: [u8; 16],
    /// This start of the node; it goes with every request and is not stored here.
    pub life: Life,
}

/// One life of a node: from a start to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// How often the node was started; 0 where nobody counts.
    pub number: u64,
    /// Chosen at random at this start.
    pub start: [u8; 16],
}

impl Life {
    /// Returns `true` if a node that was seen in the life `seen` must not take part in this one.
    pub fn is_overtaken_by(&self, seen: &Life) -> bool {
        let counted = self.number > 0 && !is_planted(Mutant::IgnoresLives);
        counted && (self.number < seen.number || self.number == seen.number && self.start != seen.start)
    }
}

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
