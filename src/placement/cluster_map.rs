//! The cluster map: what it holds, what must hold of it, and what can be asked of it. Pure.
//!
//! No clock, no randomness, no I/O. Epoch 0 is the empty map before the cluster is formed. How commands change it is told
//! in [`apply`](super::apply), which this file must not know.

mod check;
mod placement;

pub use placement::Placement;

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::{META, NodeName, Operation, RaftTimings, ShardId};
use crate::engine::{CollectionConfig, CollectionId, PayloadSchema};
use crate::model::Consistency;

/// The label that, being `off`, keeps leaders off a node.
const LEADERS: &str = "leaders";

/// Every node, shard and collection of one cluster, at one version.
///
/// Invariants of a map that is formed, held after each command by [`ClusterMap::check`]:
/// 1. Numbers are given out once: each counter is beyond every number of its kind.
/// 2. No two nodes have one name or one incarnation.
/// 3. The shards' ranges follow one another, from the first hash to the last.
/// 4. Each placement is sound ([`Placement::check`]), was planned at no later epoch, and names nodes of the map alone.
/// 5. Shards have as many replicas as are wanted, or as there are members, and one at least.
/// 6. An operation has an end if, and only if, it is not under way. What is under way with a node is about one of the map.
///    At most [`MAX_ENDED`](super::operation::MAX_ENDED) that have ended are kept.
/// 7. No two collections have one number. None that is taken out is there, by its number or by its name.
/// 8. No collection is newer than the map, and neither is its payload schema.
///
/// From one command to the next the epoch grows exactly where the map changes, and no counter goes back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct ClusterMap {
    /// The cluster's identity, chosen when it was formed.
    pub cluster: [u8; 16],
    /// Version of the map: grows by one with each change; 0 until the cluster is formed.
    pub epoch: u64,
    /// How many replicas each shard has now: as many as are wanted, or one on each member where there are fewer.
    pub replication_factor: usize,
    /// How many replicas each shard is meant to have once there are nodes enough.
    pub wanted_factor: usize,
    /// The nodes that vote in the meta group.
    pub meta: Placement,
    /// All nodes by number.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    /// The number the next node gets; never reused.
    pub next_node: NodeId,
    /// All shards by number; their ranges cover the hash space without a gap or an overlap.
    pub shards: BTreeMap<ShardId, ShardEntry>,
    /// All collections by name.
    pub collections: BTreeMap<String, CollectionEntry>,
    /// The number the next collection gets; never reused.
    pub next_collection: u64,
    /// Long work that was asked for, by number: what is under way, and what ended lately.
    pub operations: BTreeMap<u64, Operation>,
    /// The number the next operation gets; never reused.
    pub next_operation: u64,
    /// The timings of consensus; `None` in a cluster that was formed before they were the cluster's, where each node has
    /// those that it was started with.
    #[serde(default)]
    pub timings: Option<RaftTimings>,
    /// Names of collections that were taken out, by number, until every shard has been told: until then a shard may still
    /// take a write for one of them, so nobody may say that the name is free.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<CollectionId, String>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct NodeEntry {
    /// The operator's name for it.
    pub name: NodeName,
    /// Chosen when its data directory was made: a wiped node does not come back as itself.
    pub incarnation: [u8; 16],
    /// Host that clients reach it at.
    pub host: String,
    /// Port of its HTTP API.
    pub port: u16,
    /// `host:port` that its peers reach it at.
    pub peer_addr: String,
    /// What it is to the cluster.
    pub state: NodeState,
    /// The operator's labels; `zone` names what fails together, over which replicas are spread.
    pub labels: BTreeMap<String, String>,
    /// The number of the newest start of it that the map was told of; 0 where it was told of none.
    #[serde(default)]
    pub life: u64,
}

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

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// First and last hash of its range.
    pub range: (u64, u64),
    /// The nodes that are meant to hold a replica, and those that do.
    pub placement: Placement,
    /// The node that is meant to lead; spread over the nodes. It starts the group.
    pub preferred: NodeId,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionEntry {
    /// Its number, which the shards know it by.
    pub id: CollectionId,
    /// Its vectors.
    pub config: CollectionConfig,
    /// The consistency of requests that name none.
    pub default_consistency: Consistency,
    /// Epoch of the map that first held it.
    pub created_epoch: u64,
    /// The payload fields that its shards are to index.
    pub payload_schema: PayloadSchema,
    /// Epoch of the map that last changed its payload schema; 0 if none has.
    pub schema_version: u64,
}

impl ClusterMap {
    /// Whether the cluster has been formed.
    pub fn is_formed(&self) -> bool {
        self.epoch > 0
    }

    /// A node's name, or `node#7` where the map does not know it.
    pub fn name_of(&self, node: NodeId) -> String {
        match self.nodes.get(&node) {
            Some(entry) => entry.name.to_string(),
            None => format!("node#{node}"),
        }
    }

    /// The number of the node with this name.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().find(|(_, entry)| entry.name.as_str() == name).map(|(id, _)| *id)
    }

    /// Whether a collection of this number exists.
    pub fn has_collection(&self, id: CollectionId) -> bool {
        self.collections.values().any(|entry| entry.id == id)
    }

    /// The collections of this name that are taken out, but not from every shard yet.
    pub fn leaving_as(&self, name: &str) -> Vec<CollectionId> {
        self.leaving.iter().filter(|(_, leaving)| *leaving == name).map(|(id, _)| *id).collect()
    }

    /// The running operations about one node.
    pub fn running_of(&self, node: NodeId) -> Vec<u64> {
        let about = self.operations.iter().filter(|(_, op)| op.is_running() && op.kind.node() == Some(node));
        about.map(|(id, _)| *id).collect()
    }

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

    /// The placement of a group; `None` for one that does not exist.
    pub fn placement(&self, group: GroupId) -> Option<&Placement> {
        match ShardId::of_group(group) {
            Some(shard) => self.shards.get(&shard).map(|entry| &entry.placement),
            None => Some(&self.meta),
        }
    }

    /// As [`placement`](Self::placement), to be changed.
    pub(super) fn placement_mut(&mut self, group: GroupId) -> Option<&mut Placement> {
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
}
