//! Where a group's replicas are meant to be, where they are known to be, and the two commands that change either. Pure.
//!
//! The driver plans ([`Change::Place`]), the group's leader walks there and confirms. A placement is settled while both
//! agree; only then is the next plan made, and only then may a node that is not named in it erase what it holds.

use std::collections::BTreeSet;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::{ClusterMap, META, MetaReply, NodeState, OperationOutcome, OperationState, ShardId};

/// How many epochs, and numbers of each kind, a recovered map skips: more than were given out since its last change. Four
/// thousand million recoveries use them up.
const LOST_NUMBERS: u64 = 1 << 32;

/// Desired and confirmed homes of one group.
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
}

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

impl ClusterMap {
    /// The placement of a group; `None` for one that does not exist.
    pub fn placement(&self, group: GroupId) -> Option<&Placement> {
        match ShardId::of_group(group) {
            Some(shard) => self.shards.get(&shard).map(|entry| &entry.placement),
            None => Some(&self.meta),
        }
    }

    fn placement_mut(&mut self, group: GroupId) -> Option<&mut Placement> {
        match ShardId::of_group(group) {
            Some(shard) => self.shards.get_mut(&shard).map(|entry| &mut entry.placement),
            None => Some(&mut self.meta),
        }
    }

    /// All groups with their placements, the map's own group first.
    pub fn placements(&self) -> impl Iterator<Item = (GroupId, &Placement)> {
        let shards = self.shards.iter().map(|(shard, entry)| (shard.group(), &entry.placement));
        std::iter::once((META, &self.meta)).chain(shards)
    }

    /// Whether some group has, or is meant to have, a replica on this node.
    pub fn holds_replicas(&self, node: NodeId) -> bool {
        self.placements().any(|(_, placement)| placement.is_home(node))
    }

    pub(super) fn plan(&mut self, epoch: u64, at_ms: u64, change: Change) -> MetaReply {
        if epoch != self.epoch {
            return MetaReply::Stale;
        }
        let done = match change {
            Change::Welcome { node } => self.welcome(node),
            Change::Forget { node } => self.forget(node, at_ms),
            Change::GiveUp { node, reason } => self.give_up(node, reason, at_ms),
            Change::Place { group, target } => self.place(group, target),
            Change::Prefer { shard, node } => self.prefer(shard, node),
            Change::Finish { operation, outcome } => self.finish(operation, outcome, at_ms),
        };
        if done {
            self.epoch += 1;
            MetaReply::Planned
        } else {
            MetaReply::NotFound
        }
    }

    fn welcome(&mut self, node: NodeId) -> bool {
        let joining = self.nodes.get_mut(&node).filter(|entry| entry.state == NodeState::Joining);
        let Some(entry) = joining else { return false };
        entry.state = NodeState::Member;
        self.count_replicas();
        true
    }

    fn give_up(&mut self, node: NodeId, reason: String, at_ms: u64) -> bool {
        if self.holds_replicas(node) || self.nodes.get(&node).is_none_or(|entry| entry.state != NodeState::Joining) {
            return false;
        }
        for id in self.running_of(node) {
            self.end_operation(id, OperationState::Failed { reason: reason.clone() }, at_ms);
        }
        self.forget(node, at_ms)
    }

    pub(super) fn forget(&mut self, node: NodeId, at_ms: u64) -> bool {
        if self.holds_replicas(node) || self.nodes.remove(&node).is_none() {
            return false;
        }
        for id in self.running_of(node) {
            let state = match self.operations[&id].kind.is_departure() {
                true => OperationState::Done,
                false => OperationState::Failed { reason: "the node has left the cluster".to_owned() },
            };
            self.end_operation(id, state, at_ms);
        }
        self.count_replicas();
        true
    }

    pub(super) fn place(&mut self, group: GroupId, target: BTreeSet<NodeId>) -> bool {
        let planned = self.epoch + 1;
        let known = target.iter().all(|node| self.nodes.contains_key(node));
        let Some(placement) = self.placement_mut(group).filter(|_| known && !target.is_empty()) else { return false };
        *placement = Placement { target, planned, settled: false, ..placement.clone() };
        true
    }

    pub(super) fn prefer(&mut self, shard: ShardId, node: NodeId) -> bool {
        let entry = self.shards.get_mut(&shard).filter(|entry| entry.placement.target.contains(&node));
        let Some(entry) = entry.filter(|entry| entry.preferred != node) else { return false };
        entry.preferred = node;
        true
    }

    /// Takes the word of a group's only member that the group lost all others, and goes on without them.
    pub(super) fn recover(&mut self, group: GroupId, node: NodeId, at: u64) -> MetaReply {
        let planned = self.epoch + 1;
        if !self.nodes.contains_key(&node) {
            return MetaReply::NotFound;
        }
        let Some(placement) = self.placement_mut(group) else { return MetaReply::NotFound };
        if placement.confirmed_at >= at {
            return MetaReply::Stale;
        }
        let alone = BTreeSet::from([node]);
        *placement = Placement { actual: alone.clone(), target: alone, planned, confirmed_at: at, settled: true };
        self.epoch += 1;
        if let Some(shard) = ShardId::of_group(group) {
            self.prefer(shard, node);
        }
        MetaReply::Confirmed
    }

    /// As [`recover`](Self::recover) for the map's own group. Its last changes may be lost, and with them numbers that were
    /// given out: a collection that got one of those again would show the lost one's points. So all counters skip
    /// [`LOST_NUMBERS`], and so does the epoch, for which the processes that hold a lost map take this one for newer.
    pub(super) fn recover_map(&mut self, node: NodeId, at: u64) -> MetaReply {
        let reply = self.recover(META, node, at);
        if reply == MetaReply::Confirmed && !is_planted(Mutant::ReusesNumbers) {
            for counter in [&mut self.epoch, &mut self.next_collection, &mut self.next_node, &mut self.next_operation] {
                *counter = counter.saturating_add(LOST_NUMBERS);
            }
        }
        reply
    }

    /// Takes the word of a group's leader that the group is where `planned` wanted it.
    pub(super) fn confirm(&mut self, group: GroupId, planned: u64, members: BTreeSet<NodeId>, at: u64) -> MetaReply {
        let Some(placement) = self.placement_mut(group) else { return MetaReply::NotFound };
        if placement.planned != planned || placement.target != members || placement.confirmed_at > at {
            return MetaReply::Stale;
        }
        let confirmed = Placement { actual: members, confirmed_at: at, settled: true, ..placement.clone() };
        if *placement != confirmed {
            *placement = confirmed;
            self.epoch += 1;
        }
        MetaReply::Confirmed
    }
}
