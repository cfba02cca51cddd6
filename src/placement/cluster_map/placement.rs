//! Where one group's replicas are meant to be, and where they are known to be. Pure.

use std::collections::BTreeSet;

use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

/// Desired and confirmed homes of one group.
///
/// Invariants, which [`Placement::check`] holds:
/// 1. Some node is meant to hold a replica, and some node was confirmed to hold one.
/// 2. Where it is settled, the nodes that are meant to hold replicas are those that do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Placement {
    /// The nodes that are meant to hold a replica.
    pub target: BTreeSet<NodeId>,
    /// The nodes that the group's leader last confirmed as its members.
    pub actual: BTreeSet<NodeId>,
    /// Epoch of the map that `target` came with: a confirmation names it, so that one of an earlier plan is told apart.
    pub planned: u64,
    /// Log index, in the group's own log, of the membership that was confirmed; 0 for the first members.
    pub confirmed_at: u64,
    /// Whether the group was confirmed to be at `target`, with no change of members under way.
    pub settled: bool,
}

impl Placement {
    /// The placement of a group that is formed on these nodes.
    pub fn first(nodes: BTreeSet<NodeId>) -> Self {
        Self { actual: nodes.clone(), target: nodes, planned: 0, confirmed_at: 0, settled: true }
    }

    /// Every node that may hold a replica now.
    pub fn homes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.target.union(&self.actual).copied()
    }

    /// Whether this node may hold a replica now.
    pub fn is_home(&self, node: NodeId) -> bool {
        self.target.contains(&node) || self.actual.contains(&node)
    }

    /// Whether this node is one of the group's first members, of which some may not have a log yet.
    pub fn is_founder(&self, node: NodeId) -> bool {
        self.confirmed_at == 0 && self.actual.contains(&node)
    }

    /// Says which invariant does not hold, if one does not.
    pub fn check(&self) -> Result<(), String> {
        let rules = [
            (!self.target.is_empty(), "no node is meant to hold a replica"),
            (!self.actual.is_empty(), "no node was confirmed to hold a replica"),
            (!self.settled || self.target == self.actual, "it is settled elsewhere than it is meant to be"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, broken)) => Err(format!("{broken}: {:?}, confirmed {:?}", self.target, self.actual)),
        }
    }
}
