//! How nodes come, go and change in the map, and what operators ask of single shards. Pure.
//!
//! A number is given to one incarnation of one node and never again: a node whose directory was wiped does not come back
//! under it, and what still carries it belongs to nobody else.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

use super::{ClusterMap, MetaReply, NodeEntry, OperationKind, OperationState, ShardId};

/// What a node is to its cluster. Whether it answers is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It has a number, and is waited for.
    Joining,
    /// It holds replicas.
    Member,
    /// It hands over what it holds, and stays as a node without replicas.
    Draining,
    /// It hands over what it holds, and then leaves the map.
    Leaving,
}

/// The label that, being `off`, keeps leaders off a node.
const LEADERS: &str = "leaders";

/// Most labels of one node, and their longest key or value.
const MAX_LABELS: usize = 32;
const MAX_LABEL: usize = 128;

impl ClusterMap {
    /// The number of nodes that may hold replicas, whether they answer or not.
    pub fn members(&self) -> usize {
        self.nodes.values().filter(|entry| entry.state == NodeState::Member).count()
    }

    /// Whether the node may lead: an operator can have others lead, as before it is restarted.
    pub fn may_lead(&self, node: NodeId) -> bool {
        let may = |entry: &NodeEntry| {
            entry.state == NodeState::Member && entry.labels.get(LEADERS).is_none_or(|value| value != "off")
        };
        self.nodes.get(&node).is_some_and(may)
    }

    /// The node that is to lead the map's group in the place of one that may not; `None` where it may, or nobody else may.
    pub fn meta_successor(&self, leader: NodeId, silent: &BTreeSet<NodeId>) -> Option<NodeId> {
        let may = |node: &NodeId| *node != leader && self.may_lead(*node) && !silent.contains(node);
        let is_due = self.meta.settled && !self.may_lead(leader);
        self.meta.target.iter().copied().filter(|_| is_due).find(may)
    }

    /// Sets the replication factor to what is wanted, or to what there are nodes for.
    pub(super) fn count_replicas(&mut self) {
        self.replication_factor = self.wanted_factor.min(self.members()).max(1);
    }

    pub(super) fn add_node(&mut self, entry: NodeEntry, at_ms: u64) -> MetaReply {
        let same = |(_, known): &(&NodeId, &NodeEntry)| {
            known.name == entry.name || known.incarnation == entry.incarnation || known.peer_addr == entry.peer_addr
        };
        if let Some((node, known)) = self.nodes.iter().find(same) {
            let (node, known) = (*node, known.clone());
            let there = NodeEntry { state: known.state, labels: known.labels.clone(), life: known.life, ..entry };
            return match there == known {
                true => MetaReply::NodeKnown { node, operation: self.running_of(node).last().copied() },
                false => MetaReply::NodeConflict { node, entry: known },
            };
        }
        let node = self.next_node;
        self.next_node += 1;
        let name = entry.name.clone();
        self.nodes.insert(node, NodeEntry { state: NodeState::Joining, ..entry });
        let operation = self.begin(OperationKind::Join(node, name), at_ms);
        self.epoch += 1;
        MetaReply::Begun { operation, node: Some(node) }
    }

    pub(super) fn remove_node(&mut self, node: NodeId, at_ms: u64) -> MetaReply {
        let Some(entry) = self.nodes.get(&node).cloned() else { return MetaReply::NotFound };
        match entry.state {
            NodeState::Leaving => {
                return match self.running_of(node).last() {
                    Some(operation) => MetaReply::Begun { operation: *operation, node: Some(node) },
                    None => MetaReply::NotFound,
                };
            }
            NodeState::Member if self.members() == 1 => {
                return MetaReply::LastNode { node };
            }
            NodeState::Joining | NodeState::Member | NodeState::Draining => {}
        }
        self.supersede(node, at_ms);
        let operation = self.begin(OperationKind::Leave(node, entry.name), at_ms);
        self.set_state(node, NodeState::Leaving);
        if !self.holds_replicas(node) {
            self.forget(node, at_ms);
        }
        self.epoch += 1;
        MetaReply::Begun { operation, node: Some(node) }
    }

    pub(super) fn set_draining(&mut self, node: NodeId, draining: bool, at_ms: u64) -> MetaReply {
        let Some(entry) = self.nodes.get(&node).cloned() else { return MetaReply::NotFound };
        let (from, to) = match draining {
            true => (NodeState::Member, NodeState::Draining),
            false => (NodeState::Draining, NodeState::Member),
        };
        if entry.state == to {
            return MetaReply::NodeKnown { node, operation: self.running_of(node).last().copied() };
        }
        if entry.state != from {
            return MetaReply::NodeConflict { node, entry };
        }
        if draining && self.members() == 1 {
            return MetaReply::LastNode { node };
        }
        self.supersede(node, at_ms);
        let kind = if draining { OperationKind::Drain } else { OperationKind::Undrain };
        let operation = self.begin(kind(node, entry.name), at_ms);
        self.set_state(node, to);
        self.epoch += 1;
        MetaReply::Begun { operation, node: Some(node) }
    }

    /// What was under way with a node ends where the opposite is asked for.
    fn supersede(&mut self, node: NodeId, at_ms: u64) {
        for id in self.running_of(node) {
            self.end_operation(id, OperationState::Cancelled, at_ms);
        }
    }

    fn set_state(&mut self, node: NodeId, state: NodeState) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.state = state;
        }
        self.count_replicas();
    }

    /// Sets and, with an empty value, removes labels.
    pub(super) fn set_labels(&mut self, node: NodeId, labels: BTreeMap<String, String>) -> MetaReply {
        let Some(entry) = self.nodes.get_mut(&node) else { return MetaReply::NotFound };
        let mut new = entry.labels.clone();
        for (key, value) in labels {
            match value.is_empty() {
                true => new.remove(&key),
                false => new.insert(key, value),
            };
        }
        let long = new.iter().any(|(key, value)| key.is_empty() || key.len() > MAX_LABEL || value.len() > MAX_LABEL);
        if new.len() > MAX_LABELS || long {
            let reason = format!("a node has at most {MAX_LABELS} labels of 1 to {MAX_LABEL} bytes each");
            return MetaReply::Refused { reason };
        }
        if entry.labels != new {
            entry.labels = new;
            self.epoch += 1;
        }
        MetaReply::Labelled
    }

    pub(super) fn move_replica(&mut self, shard: ShardId, from: NodeId, to: NodeId, at_ms: u64) -> MetaReply {
        let refused = |reason: &str| MetaReply::Refused { reason: reason.to_owned() };
        let Some(entry) = self.shards.get(&shard) else { return MetaReply::NotFound };
        let Some(receiver) = self.nodes.get(&to) else { return MetaReply::NotFound };
        let placement = &entry.placement;
        if !placement.settled {
            return refused(
                "another change of this shard's replicas is under way; wait for it, or cancel its operation",
            );
        }
        if receiver.state != NodeState::Member {
            return refused("the receiving node takes no replicas: it joins, drains or leaves");
        }
        if !placement.target.contains(&from) || placement.target.contains(&to) {
            return refused("the first node must hold a replica of the shard, and the second must not");
        }
        let mut target = placement.target.clone();
        target.remove(&from);
        target.insert(to);
        self.place(shard.group(), target);
        let operation = self.begin(OperationKind::Move(shard, from, to), at_ms);
        self.epoch += 1;
        MetaReply::Begun { operation, node: None }
    }

    pub(super) fn transfer_leader(&mut self, shard: ShardId, to: NodeId) -> MetaReply {
        let Some(entry) = self.shards.get(&shard) else { return MetaReply::NotFound };
        if !entry.placement.target.contains(&to) {
            return MetaReply::Refused { reason: "the node holds no replica of the shard".to_owned() };
        }
        if self.prefer(shard, to) {
            self.epoch += 1;
        }
        MetaReply::Planned
    }
}
