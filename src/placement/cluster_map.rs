//! The cluster map and its rules: pure, so that every replica of the meta group comes to the same map.
//!
//! No clock, no randomness, no I/O. Epoch 0 is the empty map before the cluster is formed.

use std::collections::BTreeMap;

use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};
use serde::{Deserialize, Serialize};

use super::{
    MetaCommand, MetaReply, NodeName, NodeState, Operation, OperationKind, Placement, RaftTimings, ShardId,
    check_collection_name,
};
use crate::engine::{CollectionConfig, CollectionId, FieldType, PayloadSchema, validate_schema};
use crate::model::Consistency;

/// Every node, shard and collection of one cluster, at one version.
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

/// Where a node listens from one of its starts on.
struct NewAddress {
    host: String,
    port: u16,
    peer_addr: String,
    life: u64,
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

    /// Carries out `command` and answers it. The epoch grows exactly where the map changes.
    pub fn apply(&mut self, command: MetaCommand) -> MetaReply {
        if let MetaCommand::Form { map } = command {
            return self.form(map);
        }
        if !self.is_formed() {
            return MetaReply::NotFormed;
        }
        match command {
            MetaCommand::Form { .. } => MetaReply::AlreadyFormed,
            MetaCommand::CreateCollection { name, config, default_consistency } => {
                self.create(name, config, default_consistency)
            }
            MetaCommand::DropCollection { name, id } => self.drop_collection(&name, id),
            MetaCommand::TakeOutCollection { name, id } => self.take_out(name, id),
            MetaCommand::CollectionsGone { ids } => self.gone(&ids),
            MetaCommand::SetFieldIndex { name, id, field, kind } => self.set_field_index(&name, id, field, kind),
            MetaCommand::SetAddress { node, host, port, peer_addr } => {
                let life = self.nodes.get(&node).map_or(0, |entry| entry.life);
                self.set_address(node, NewAddress { host, port, peer_addr, life })
            }
            MetaCommand::Announce { node, host, port, peer_addr, life } => {
                self.set_address(node, NewAddress { host, port, peer_addr, life })
            }
            MetaCommand::AddNode { entry, at_ms } => self.add_node(entry, at_ms),
            MetaCommand::RemoveNode { node, at_ms } => self.remove_node(node, at_ms),
            MetaCommand::SetDraining { node, draining, at_ms } => self.set_draining(node, draining, at_ms),
            MetaCommand::SetLabels { node, labels } => self.set_labels(node, labels),
            MetaCommand::MoveReplica { shard, from, to, at_ms } => self.move_replica(shard, from, to, at_ms),
            MetaCommand::TransferLeader { shard, to } => self.transfer_leader(shard, to),
            MetaCommand::Rebalance { at_ms } => {
                let operation = self.begin(OperationKind::Rebalance, at_ms);
                self.epoch += 1;
                MetaReply::Begun { operation, node: None }
            }
            MetaCommand::Cancel { operation, at_ms } => self.cancel(operation, at_ms),
            MetaCommand::Plan { epoch, at_ms, change } => self.plan(epoch, at_ms, change),
            MetaCommand::Recover { group, node, at } => self.recover(group, node, at),
            MetaCommand::RecoverMap { node, at } => self.recover_map(node, at),
            MetaCommand::Confirm { group, planned, members, at } => self.confirm(group, planned, members, at),
            MetaCommand::SetTimings { timings } => self.set_timings(timings),
            MetaCommand::Once { .. } => {
                MetaReply::Refused { reason: "a named change is none of the map's own".to_owned() }
            }
        }
    }

    fn set_timings(&mut self, timings: RaftTimings) -> MetaReply {
        if let Err((member, why)) = timings.check() {
            return MetaReply::Refused { reason: format!("{member}: {why}") };
        }
        if self.timings != Some(timings) {
            self.timings = Some(timings);
            self.epoch += 1;
        }
        MetaReply::TimingsSet
    }

    fn form(&mut self, map: ClusterMap) -> MetaReply {
        if self.is_formed() {
            return MetaReply::AlreadyFormed;
        }
        *self = map;
        self.epoch = 1;
        MetaReply::Formed
    }

    fn create(&mut self, name: String, config: CollectionConfig, default_consistency: Consistency) -> MetaReply {
        if let Err(bad) = check_collection_name(&name) {
            return MetaReply::BadName(bad);
        }
        if let Some(entry) = self.collections.get(&name) {
            let same = entry.config == config && entry.default_consistency == default_consistency;
            let entry = entry.clone();
            return if same { MetaReply::Exists { entry } } else { MetaReply::Conflict { entry } };
        }
        if let Some(id) = self.leaving_as(&name).first() {
            return MetaReply::Leaving { id: *id };
        }
        self.epoch += 1;
        let id = CollectionId(self.next_collection);
        self.next_collection += 1;
        let created_epoch = self.epoch;
        let (payload_schema, schema_version) = (PayloadSchema::new(), 0);
        let entry = CollectionEntry { id, config, default_consistency, created_epoch, payload_schema, schema_version };
        self.collections.insert(name, entry.clone());
        MetaReply::Created { entry }
    }

    fn drop_collection(&mut self, name: &str, id: CollectionId) -> MetaReply {
        if self.collections.get(name).is_none_or(|entry| entry.id != id) {
            return MetaReply::NotFound;
        }
        match self.collections.remove(name) {
            Some(entry) => {
                self.epoch += 1;
                MetaReply::Dropped { entry }
            }
            None => MetaReply::NotFound,
        }
    }

    fn take_out(&mut self, name: String, id: CollectionId) -> MetaReply {
        let reply = self.drop_collection(&name, id);
        if matches!(reply, MetaReply::Dropped { .. }) && !is_planted(Mutant::FreesNamesEarly) {
            self.leaving.insert(id, name);
        }
        reply
    }

    fn gone(&mut self, ids: &[CollectionId]) -> MetaReply {
        let before = self.leaving.len();
        self.leaving.retain(|id, _| !ids.contains(id));
        self.epoch += u64::from(self.leaving.len() < before);
        MetaReply::Gone
    }

    fn set_field_index(&mut self, name: &str, id: CollectionId, field: String, kind: Option<FieldType>) -> MetaReply {
        let Some(entry) = self.collections.get_mut(name).filter(|entry| entry.id == id) else {
            return MetaReply::NotFound;
        };
        let mut schema = entry.payload_schema.clone();
        match kind {
            Some(kind) => drop(schema.insert(field, kind)),
            None => drop(schema.remove(&field)),
        }
        if let Err(refusal) = validate_schema(&schema) {
            return MetaReply::BadSchema(refusal);
        }
        if schema != entry.payload_schema {
            self.epoch += 1;
            entry.payload_schema = schema;
            entry.schema_version = self.epoch;
        }
        MetaReply::SchemaSet { entry: entry.clone() }
    }

    /// An earlier start of the node than one that the map was told of says nothing any more: its message is late, or it runs
    /// on an older copy of its directory.
    fn set_address(&mut self, node: NodeId, new: NewAddress) -> MetaReply {
        let Some(entry) = self.nodes.get_mut(&node) else { return MetaReply::NotFound };
        let NewAddress { host, port, peer_addr, life } = new;
        if life < entry.life && !is_planted(Mutant::IgnoresLives) {
            return MetaReply::OlderLife { newest: entry.life };
        }
        let moved = NodeEntry { host, port, peer_addr, life, ..entry.clone() };
        if *entry != moved {
            *entry = moved;
            self.epoch += 1;
        }
        MetaReply::AddressSet
    }
}
