//! Makes this node's report of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_groups::{GroupStatus, Machine as _, NodeId};

use super::local_groups::LocalGroups;
use crate::engine::{CollectionStats, Engine};
use crate::placement::ShardId;
use crate::routing::{NodeReport, ReplicaReport};

/// What a node measures of itself; the composition root knows how.
pub trait NodeMeasures: Send + Sync + 'static {
    /// How busy the process is, 0 to 1.
    fn load(&self) -> f32;
    /// Bytes on disk of logs and state.
    fn disk_bytes(&self) -> u64;
    /// How long the process has run.
    fn uptime(&self) -> Duration;
    /// How long a message to each peer and its answer take, as far as that is known.
    fn round_trips(&self) -> BTreeMap<NodeId, Duration>;
}

/// What node `node` says of itself now.
pub(super) fn of_node(node: NodeId, groups: &LocalGroups, measures: &dyn NodeMeasures) -> NodeReport {
    // Each replica by itself first: what the node uses is their sum.
    let shards = groups.shards();
    let replicas: Vec<ReplicaReport> =
        shards.iter().map(|(shard, group)| of_replica(*shard, group.status(), &group.machine())).collect();
    let meta = groups.meta();
    let round_trips = measures.round_trips().into_iter();
    NodeReport {
        node,
        uptime_seconds: measures.uptime().as_secs(),
        load: measures.load(),
        memory_bytes: replicas.iter().map(|replica| replica.memory_bytes).sum(),
        disk_bytes: measures.disk_bytes(),
        epoch: meta.as_ref().map_or(0, |meta| meta.machine().map().epoch),
        meta: meta.map(|meta| meta.status()),
        replicas,
        quarantined: groups.quarantined(),
        round_trips_ms: round_trips.map(|(node, took)| (node, took.as_millis() as u64)).collect(),
    }
}

/// What is told of the replica of a shard, whose group has this status and whose machine is `machine`.
pub(in crate::routing) fn of_replica(shard: ShardId, status: GroupStatus, machine: &Engine) -> ReplicaReport {
    // A collection without a payload index has no fields to report.
    let (digest_index, digest) = machine.digest();
    let stats = machine.collections();
    let indexed = stats.iter().filter(|stats| !stats.fields.is_empty());
    ReplicaReport {
        shard,
        status,
        points: machine.points(),
        collections: stats.iter().map(|stats| (stats.collection, stats.points)).collect(),
        fields: indexed.map(|stats| (stats.collection, points_by_field(stats))).collect(),
        memory_bytes: machine.memory_bytes(),
        digest_index,
        digest,
        index: machine.index_progress(),
    }
}

/// Points with a value at each indexed payload field.
fn points_by_field(stats: &CollectionStats) -> BTreeMap<String, u64> {
    stats.fields.iter().map(|(name, field)| (name.clone(), field.points)).collect()
}
