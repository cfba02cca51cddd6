//! What the driver decides, one step at a time; the planner makes it, and the map carries it out.

use std::collections::BTreeSet;

use raft_groups::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::{OperationOutcome, ShardId};

/// What the driver decides; each takes effect only on the map it was decided upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A joining node runs: it may hold replicas from now on.
    Welcome {
        /// The node.
        node: NodeId,
    },
    /// A node that holds nothing leaves the map.
    Forget {
        /// The node.
        node: NodeId,
    },
    /// The nodes that a group is meant to be on.
    Place {
        /// The group.
        group: GroupId,
        /// The nodes.
        target: BTreeSet<NodeId>,
    },
    /// The node that is meant to lead a shard.
    Prefer {
        /// The shard.
        shard: ShardId,
        /// The node.
        node: NodeId,
    },
    /// An operation has come to its end.
    Finish {
        /// Its number.
        operation: u64,
        /// How.
        outcome: OperationOutcome,
    },
    /// A joining node that did not come leaves the map.
    GiveUp {
        /// The node.
        node: NodeId,
        /// What its join is said to have failed of.
        reason: String,
    },
}
