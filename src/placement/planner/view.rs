//! The map and the nodes' health, as the planner's rules ask for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_groups::{GroupId, NodeId};

use super::{Health, Liveness};
use crate::placement::{ClusterMap, NodeState, ShardId};

/// The label that names what fails together.
const ZONE: &str = "zone";

pub(super) struct PlannerView<'a> {
    pub map: &'a ClusterMap,
    health: &'a Health,
    /// Members that answer: who may receive replicas.
    pub fit: BTreeSet<NodeId>,
    /// Replicas of shards that are meant to be on each node.
    counts: BTreeMap<NodeId, usize>,
    /// Their bytes.
    bytes: BTreeMap<NodeId, u64>,
}

impl<'a> PlannerView<'a> {
    pub fn new(map: &'a ClusterMap, health: &'a Health) -> Self {
        let mut view = Self { map, health, fit: BTreeSet::new(), counts: BTreeMap::new(), bytes: BTreeMap::new() };
        view.fit = map.nodes.keys().copied().filter(|node| view.is_member(*node) && view.answers(*node)).collect();
        for (shard, entry) in &map.shards {
            for node in &entry.placement.target {
                *view.counts.entry(*node).or_default() += 1;
                *view.bytes.entry(*node).or_default() += view.weight(*shard);
            }
        }
        view
    }

    pub fn liveness(&self, node: NodeId) -> Liveness {
        self.health.nodes.get(&node).copied().unwrap_or(Liveness::Suspect)
    }

    /// Silence after which a joining node is given up.
    pub fn join_within(&self) -> Duration {
        self.health.join_within
    }

    pub fn answers(&self, node: NodeId) -> bool {
        self.liveness(node) == Liveness::Alive
    }

    pub fn is_member(&self, node: NodeId) -> bool {
        self.map.nodes.get(&node).is_some_and(|entry| entry.state == NodeState::Member)
    }

    /// Whether the node may lead.
    pub fn may_lead(&self, node: NodeId) -> bool {
        self.map.may_lead(node)
    }

    /// Whether the node must go on holding nothing: it drains, leaves, or is not in the map.
    pub fn must_go(&self, node: NodeId) -> bool {
        !self.is_member(node)
    }

    /// Returns `true` if the node leaves the cluster and does not answer.
    pub fn has_departed(&self, node: NodeId) -> bool {
        let leaves = self.map.nodes.get(&node).is_some_and(|entry| entry.state == NodeState::Leaving);
        leaves && !self.answers(node)
    }

    pub fn is_lost(&self, node: NodeId) -> bool {
        self.liveness(node) == Liveness::Lost
    }

    /// Whether the node's replica of a group stays closed.
    pub fn is_damaged(&self, group: GroupId, node: NodeId) -> bool {
        self.health.damaged.contains(&(node, group))
    }

    /// Whether the group's replicas differ, and no majority says which are right: each may be the only right one, so all
    /// stay where they are.
    pub fn is_disputed(&self, group: GroupId) -> bool {
        self.health.disputed.contains(&group)
    }

    /// Whether the node's replica of a group is worth nothing any more.
    pub fn has_lost(&self, group: GroupId, node: NodeId) -> bool {
        self.is_lost(node) || self.is_damaged(group, node)
    }

    /// Nodes that cannot take a replica of a group: one that is damaged lies there until it is erased.
    pub fn spoilt(&self, group: GroupId) -> BTreeSet<NodeId> {
        self.health.damaged.iter().filter(|(_, of)| *of == group).map(|(node, _)| *node).collect()
    }

    /// Whether a majority of a group's replicas on these nodes answers.
    pub fn has_quorum(&self, group: GroupId, nodes: &BTreeSet<NodeId>) -> bool {
        let sound = |node: &&NodeId| self.answers(**node) && !self.is_damaged(group, **node);
        nodes.iter().filter(sound).count() > nodes.len() / 2
    }

    /// Shards whose replicas are being moved.
    pub fn under_way(&self) -> usize {
        self.map.shards.values().filter(|entry| !entry.placement.settled).count()
    }

    pub fn weight(&self, shard: ShardId) -> u64 {
        self.health.shard_bytes.get(&shard).copied().unwrap_or(0)
    }

    pub fn count(&self, node: NodeId) -> usize {
        self.counts.get(&node).copied().unwrap_or(0)
    }

    /// How full a node is: by replicas, then by bytes.
    pub fn fill(&self, node: NodeId) -> (usize, u64) {
        (self.count(node), self.bytes.get(&node).copied().unwrap_or(0))
    }

    fn zone(&self, node: NodeId) -> Option<&str> {
        self.map.nodes.get(&node).and_then(|entry| entry.labels.get(ZONE)).map(String::as_str)
    }

    /// Pairs of these nodes that would fail together. Nodes without a zone fail alone.
    pub fn conflicts(&self, nodes: &BTreeSet<NodeId>) -> usize {
        let mut zones = BTreeMap::<&str, usize>::new();
        for zone in nodes.iter().filter_map(|node| self.zone(*node)) {
            *zones.entry(zone).or_default() += 1;
        }
        zones.values().map(|count| count * (count - 1) / 2).sum()
    }

    /// The best node to add to `rest`: in a zone of its own, then the emptiest.
    pub fn receiver(&self, rest: &BTreeSet<NodeId>, barred: &BTreeSet<NodeId>) -> Option<NodeId> {
        let free = self.fit.iter().copied().filter(|node| !rest.contains(node) && !barred.contains(node));
        free.min_by_key(|node| (self.conflicts(&with(rest, *node)), self.fill(*node), *node))
    }
}

pub(super) fn with(nodes: &BTreeSet<NodeId>, node: NodeId) -> BTreeSet<NodeId> {
    let mut nodes = nodes.clone();
    nodes.insert(node);
    nodes
}

pub(super) fn without(nodes: &BTreeSet<NodeId>, node: NodeId) -> BTreeSet<NodeId> {
    let mut nodes = nodes.clone();
    nodes.remove(&node);
    nodes
}
