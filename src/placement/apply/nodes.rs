//! How nodes come, go and change in the map, and what operators ask of single shards. Pure.
//!
//! A number is given to one incarnation of one node and never again: a node whose directory was wiped does not come back
//! under it, and what still carries it belongs to nobody else.

use std::collections::BTreeMap;

use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};

use crate::placement::{ClusterMap, MetaReply, NodeEntry, NodeState, OperationKind, OperationState, ShardId};

/// Most labels of one node, and their longest key or value.
const MAX_LABELS: usize = 32;
const MAX_LABEL: usize = 128;

/// Where a node listens from one of its starts on.
pub(super) struct NewAddress {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) peer_addr: String,
    pub(super) life: u64,
}

impl ClusterMap {
    /// Gives a node that is to join a number, and waits for it.
    pub(super) fn add_node(&mut self, entry: NodeEntry, at_ms: u64) -> MetaReply {
        let same = |(_, known): &(&NodeId, &NodeEntry)| {
            known.name == entry.name || known.incarnation == entry.incarnation || known.peer_addr == entry.peer_addr
        };
        // A node that asks twice is known; one that shares a name, a directory or an address with another is not
        // taken.
        if let Some((node, known)) = self.nodes.iter().find(same) {
            let (node, known) = (*node, known.clone());
            // State, labels and life are the map's own, so a node that asks again cannot differ in them.
            let there = NodeEntry { state: known.state, labels: known.labels.clone(), life: known.life, ..entry };
            return match there == known {
                true => MetaReply::NodeKnown { node, operation: self.running_of(node).last().copied() },
                false => MetaReply::NodeConflict { node, entry: known },
            };
        }
        // Its number is new, whatever numbers it had before.
        let node = self.next_node;
        self.next_node += 1;
        let name = entry.name.clone();
        self.nodes.insert(node, NodeEntry { state: NodeState::Joining, ..entry });
        let operation = self.begin(OperationKind::Join(node, name), at_ms);
        self.epoch += 1;
        MetaReply::Begun { operation, node: Some(node) }
    }

    /// Has a node hand over what it holds and leave; one that holds nothing leaves at once.
    pub(super) fn remove_node(&mut self, node: NodeId, at_ms: u64) -> MetaReply {
        let Some(entry) = self.nodes.get(&node).cloned() else { return MetaReply::NotFound };
        // The last member stays: nobody could take over what it holds.
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
        // The driver moves what it holds, and forgets the node once it holds nothing.
        self.supersede(node, at_ms);
        let operation = self.begin(OperationKind::Leave(node, entry.name), at_ms);
        self.set_state(node, NodeState::Leaving);
        if !self.holds_replicas(node) {
            self.forget(node, at_ms);
        }
        self.epoch += 1;
        MetaReply::Begun { operation, node: Some(node) }
    }

    /// Has a node hand over what it holds and stay, or take replicas again.
    pub(super) fn set_draining(&mut self, node: NodeId, draining: bool, at_ms: u64) -> MetaReply {
        let Some(entry) = self.nodes.get(&node).cloned() else { return MetaReply::NotFound };
        let (from, to) = match draining {
            true => (NodeState::Member, NodeState::Draining),
            false => (NodeState::Draining, NodeState::Member),
        };
        // Asked for again, it is answered by what is under way.
        if entry.state == to {
            return MetaReply::NodeKnown { node, operation: self.running_of(node).last().copied() };
        }
        if entry.state != from {
            return MetaReply::NodeConflict { node, entry };
        }
        if draining && self.members() == 1 {
            return MetaReply::LastNode { node };
        }
        // What was asked for before is called off: the newest wish counts.
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
        // The caller has found the node. To pass over a missing one would make the reply a lie.
        let entry = self.nodes.get_mut(&node).expect("a node whose state changes is in the map");
        entry.state = state;
        self.count_replicas();
    }

    /// Sets and, with an empty value, removes labels.
    pub(super) fn set_labels(&mut self, node: NodeId, labels: BTreeMap<String, String>) -> MetaReply {
        let Some(entry) = self.nodes.get_mut(&node) else { return MetaReply::NotFound };
        let mut new = entry.labels.clone();
        // Changed on a copy, which is refused whole where it breaks a rule.
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

    /// Plans one replica of a shard from a node that holds it onto one that does not.
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
        // The planner would take it away again at once.
        if receiver.state != NodeState::Member {
            return refused("the receiving node takes no replicas: it joins, drains or leaves");
        }
        if !placement.target.contains(&from) || placement.target.contains(&to) {
            return refused("the first node must hold a replica of the shard, and the second must not");
        }
        // Only what is wanted changes here. The group's leader carries it out and confirms it.
        let mut target = placement.target.clone();
        target.remove(&from);
        target.insert(to);
        let placed = self.place(shard.group(), target);
        debug_assert!(placed, "a node that holds shard {shard} is not in the map");
        let operation = self.begin(OperationKind::Move(shard, from, to), at_ms);
        self.epoch += 1;
        MetaReply::Begun { operation, node: None }
    }

    /// Has another of the nodes that hold a shard lead it.
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

    /// Calls an operation off: a move goes back to where the replicas are confirmed to be, a node that was to go stays.
    /// A node that joins is not sent away again: removing it is another operation.
    pub(super) fn cancel(&mut self, id: u64, at_ms: u64) -> MetaReply {
        let Some(operation) = self.operations.get(&id).cloned() else { return MetaReply::NotFound };
        if !operation.is_running() {
            return MetaReply::Ended { operation: id };
        }
        match operation.kind {
            OperationKind::Leave(node, _) | OperationKind::Drain(node, _) => {
                // It is in the map while the operation runs: a node that goes ends what is under way with it.
                self.set_state(node, NodeState::Member);
            }
            OperationKind::Move(shard, ..) => {
                // A move that was confirmed is over, and its replicas stay.
                let placement = self.placement(shard.group()).filter(|placement| !placement.settled);
                if let Some(back) = placement.map(|placement| placement.actual.clone()) {
                    let placed = self.place(shard.group(), back);
                    debug_assert!(placed, "a node that holds shard {shard} is not in the map");
                }
            }
            OperationKind::Join(..) | OperationKind::Undrain(..) | OperationKind::Rebalance => {}
        }
        self.end_operation(id, OperationState::Cancelled, at_ms);
        self.epoch += 1;
        MetaReply::Ended { operation: id }
    }

    /// Sets a node's address. Refuses a message of an earlier start of the node than the map knows: it is late, or the
    /// node runs on an older copy of its directory.
    pub(super) fn set_address(&mut self, node: NodeId, new: NewAddress) -> MetaReply {
        let Some(entry) = self.nodes.get_mut(&node) else { return MetaReply::NotFound };
        let NewAddress { host, port, peer_addr, life } = new;
        if life < entry.life && !is_planted(Mutant::IgnoresLives) {
            return MetaReply::OlderLife { newest: entry.life };
        }
        // The same address again is no change, so no node has to read a new map for it.
        let moved = NodeEntry { host, port, peer_addr, life, ..entry.clone() };
        if *entry != moved {
            *entry = moved;
            self.epoch += 1;
        }
        MetaReply::AddressSet
    }
}
