//! Long work that an operator asked for, kept in the map so that it outlives whoever asked. Pure.

use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

use super::{NodeName, ShardId};

/// Ended operations that are kept to be looked at; the oldest are dropped.
pub const MAX_ENDED: usize = 64;

/// One piece of long work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What is to be done.
    pub kind: OperationKind,
    /// How far it is.
    pub state: OperationState,
    /// When it was asked for, in milliseconds since 1970 by the clock of the node that took the request.
    pub started_ms: u64,
    /// When it ended, by the clock of the driver's node.
    pub ended_ms: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A node joins; done when the shards are balanced over it too.
    Join(NodeId, NodeName),
    /// A node leaves; done when it holds nothing and is out of the map.
    Leave(NodeId, NodeName),
    /// A node hands over what it holds and stays; done when it holds nothing.
    Drain(NodeId, NodeName),
    /// A drained node takes replicas again; done when the shards are balanced.
    Undrain(NodeId, NodeName),
    /// A replica of a shard moves from the first node to the second.
    Move(ShardId, NodeId, NodeId),
    /// The shards are balanced; done when nothing is left to move.
    Rebalance,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Ended otherwise.
    Failed {
        /// Why.
        reason: String,
    },
    /// Called off.
    Cancelled,
}

/// How the driver ends an operation.
pub type OperationOutcome = OperationState;

impl OperationKind {
    /// The node it is about.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Join(node, _) | Self::Leave(node, _) | Self::Drain(node, _) | Self::Undrain(node, _) => Some(*node),
            Self::Move(..) | Self::Rebalance => None,
        }
    }

    /// Whether it is done when its node is gone.
    pub fn is_departure(&self) -> bool {
        matches!(self, Self::Leave(..) | Self::Drain(..))
    }
}

impl Operation {
    /// Whether it is under way.
    pub fn is_running(&self) -> bool {
        self.state == OperationState::Running
    }
}
