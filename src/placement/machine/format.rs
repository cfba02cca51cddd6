//! How the map and its nodes are read: from JSON, which has names, and from what format 2 wrote without any.
//!
//! Format 2 is postcard: members in their order, and none may come to them. Logs, stored maps and remembered replies of
//! earlier releases have it. So whatever does not describe itself is read in the order of format 2, and nothing is written
//! so any more.

use std::collections::BTreeMap;

use raft_groups::NodeId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::placement::{
    ClusterMap, CollectionEntry, NodeEntry, NodeName, NodeState, Operation, Placement, ShardEntry, ShardId,
};

/// A node's entry in format 2.
#[derive(Deserialize)]
struct NodeEntry2 {
    name: NodeName,
    incarnation: [u8; 16],
    host: String,
    port: u16,
    peer_addr: String,
    state: NodeState,
    labels: BTreeMap<String, String>,
}

/// The map in format 2.
#[derive(Deserialize)]
struct ClusterMap2 {
    cluster: [u8; 16],
    epoch: u64,
    replication_factor: usize,
    wanted_factor: usize,
    meta: Placement,
    nodes: BTreeMap<NodeId, NodeEntry>,
    next_node: NodeId,
    shards: BTreeMap<ShardId, ShardEntry>,
    collections: BTreeMap<String, CollectionEntry>,
    next_collection: u64,
    operations: BTreeMap<u64, Operation>,
    next_operation: u64,
}

impl From<NodeEntry2> for NodeEntry {
    fn from(entry: NodeEntry2) -> Self {
        let NodeEntry2 { name, incarnation, host, port, peer_addr, state, labels } = entry;
        Self { name, incarnation, host, port, peer_addr, state, labels, life: 0 }
    }
}

impl From<ClusterMap2> for ClusterMap {
    fn from(map: ClusterMap2) -> Self {
        Self {
            cluster: map.cluster,
            epoch: map.epoch,
            replication_factor: map.replication_factor,
            wanted_factor: map.wanted_factor,
            meta: map.meta,
            nodes: map.nodes,
            next_node: map.next_node,
            shards: map.shards,
            collections: map.collections,
            next_collection: map.next_collection,
            operations: map.operations,
            next_operation: map.next_operation,
            timings: None,
            leaving: BTreeMap::new(),
        }
    }
}

impl<'de> Deserialize<'de> for NodeEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Self::deserialize(deserializer),
            false => NodeEntry2::deserialize(deserializer).map(Self::from),
        }
    }
}

impl Serialize for NodeEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ClusterMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Self::deserialize(deserializer),
            false => ClusterMap2::deserialize(deserializer).map(Self::from),
        }
    }
}

impl Serialize for ClusterMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}
