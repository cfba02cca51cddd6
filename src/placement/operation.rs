//! Long work that an operator asked for, kept in the map so that it outlives whoever asked. Pure.

use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

use super::{ClusterMap, MetaReply, NodeName, NodeState, ShardId};

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

impl ClusterMap {
    pub(super) fn begin(&mut self, kind: OperationKind, at_ms: u64) -> u64 {
        let id = self.next_operation;
        self.next_operation += 1;
        let state = OperationState::Running;
        self.operations.insert(id, Operation { kind, state, started_ms: at_ms, ended_ms: None });
        id
    }

    /// The running operations about one node.
    pub fn running_of(&self, node: NodeId) -> Vec<u64> {
        let about = self.operations.iter().filter(|(_, op)| op.is_running() && op.kind.node() == Some(node));
        about.map(|(id, _)| *id).collect()
    }

    pub(super) fn end_operation(&mut self, id: u64, state: OperationState, at_ms: u64) {
        if let Some(operation) = self.operations.get_mut(&id).filter(|operation| operation.is_running()) {
            operation.state = state;
            operation.ended_ms = Some(at_ms);
        }
        let ended: Vec<u64> = self.operations.iter().filter(|(_, op)| !op.is_running()).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
            self.operations.remove(id);
        }
    }

    pub(super) fn finish(&mut self, id: u64, outcome: OperationOutcome, at_ms: u64) -> bool {
        let running = self.operations.get(&id).is_some_and(Operation::is_running);
        if running {
            self.end_operation(id, outcome, at_ms);
        }
        running
    }

    /// Calls an operation off: a move goes back to where the replicas are confirmed to be, a node that was to go stays.
    /// A node that joins is not sent away again: removing it is another operation.
    pub(super) fn cancel(&mut self, id: u64, at_ms: u64) -> MetaReply {
        let Some(operation) = self.operations.get(&id).cloned() else { return MetaReply::NotFound };
        if !operation.is_running() {
            return MetaReply::Ended { operation: id };
        }
        match operation.kind {
            OperationKind::Leave(node, _) | OperationKind::Drain(node, _) => {
                if let Some(entry) = self.nodes.get_mut(&node) {
                    entry.state = NodeState::Member;
                }
                self.count_replicas();
            }
            OperationKind::Move(shard, ..) => {
                let placement = self.placement(shard.group()).filter(|placement| !placement.settled);
                if let Some(back) = placement.map(|placement| placement.actual.clone()) {
                    self.place(shard.group(), back);
                }
            }
            OperationKind::Join(..) | OperationKind::Undrain(..) | OperationKind::Rebalance => {}
        }
        self.end_operation(id, OperationState::Cancelled, at_ms);
        self.epoch += 1;
        MetaReply::Ended { operation: id }
    }
}
