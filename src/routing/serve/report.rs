//! Makes this node's report of itself.

use super::service::Service;
use crate::routing::{NodeReport, ReplicaReport};
use std::collections::BTreeMap;

use crate::engine::{CollectionStats, Engine};
use crate::placement::ShardId;
use raft_groups::{Group, Machine as _};

/// What the node of `service` says of itself now.
pub(in crate::routing) fn of(service: &Service) -> NodeReport {
    let meta = service.groups.meta();
    let shards = service.groups.shards();
    let replicas: Vec<ReplicaReport> = shards.iter().map(|(shard, group)| of_replica(*shard, group)).collect();
    NodeReport {
        node: service.node,
        uptime_seconds: service.measures.uptime().as_secs(),
        load: service.measures.load(),
        memory_bytes: replicas.iter().map(|replica| replica.memory_bytes).sum(),
        disk_bytes: service.measures.disk_bytes(),
        epoch: meta.as_ref().map_or(0, |meta| meta.machine().map().epoch),
        meta: meta.map(|meta| meta.status()),
        replicas,
        quarantined: service.groups.quarantined(),
        round_trips_ms: service
            .measures
            .round_trips()
            .into_iter()
            .map(|(node, took)| (node, took.as_millis() as u64))
            .collect(),
    }
}

fn of_replica(shard: ShardId, group: &Group<Engine>) -> ReplicaReport {
    let machine = group.machine();
    let (digest_index, digest) = machine.digest();
    let stats = machine.collections();
    let indexed = stats.iter().filter(|stats| !stats.fields.is_empty());
    ReplicaReport {
        shard,
        status: group.status(),
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
pub(crate) fn points_by_field(stats: &CollectionStats) -> BTreeMap<String, u64> {
    stats.fields.iter().map(|(name, field)| (name.clone(), field.points)).collect()
}
