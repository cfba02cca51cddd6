//! The identifiers of consensus: nodes, groups, and the lives of nodes.
//!
//! These are plain values in messages and records. Names, addresses and placement belong to the floors above. Those
//! may set once how messages name a group ([`name_groups`]).

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::mutants::{Mutant, is_planted};

/// The number of one process with a data directory, given by the cluster map. The number is never reused for a
/// directory that lost its data.
pub type NodeId = u64;

/// The number of one Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

/// Who this node is. Cluster, node and incarnation are written into both stores; cluster, node and life go with
/// every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, chosen when it is formed.
    pub cluster: [u8; 16],
    /// This node's number in it.
    pub node: NodeId,
    /// Chosen when the node's data directory was made.
    pub incarnation: [u8; 16],
    /// This start of the node. It goes with every request and is not stored here.
    pub life: Life,
}

/// One life of a node: from a start to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The number of starts of the node so far, this one included; 0 where starts are not counted.
    pub number: u64,
    /// Chosen at random at this start.
    pub start: [u8; 16],
}

impl Life {
    /// Returns `true` if a node that was already seen in the life `seen` must not take part in this one. A lower
    /// number is an older copy of the directory; the same number with another `start` is a second process on a copy.
    pub fn is_overtaken_by(&self, seen: &Life) -> bool {
        let counted = self.number > 0 && !is_planted(Mutant::IgnoresLives);
        counted && (self.number < seen.number || self.number == seen.number && self.start != seen.start)
    }
}

/// The name of a group in messages, once the floors above have set it.
static NAMES: OnceLock<fn(GroupId) -> String> = OnceLock::new();

/// Sets how messages name a group, in place of `group 7`. Only the first call has an effect.
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
