//! What nodes and the cluster say of themselves: health, stats, shards, status, sharding. Read by people, scripts and tests.

use crate::api::reading::null_is_absent;
use crate::api::word_schema::WordSchema;
use crate::api::{Consistency, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a node, or the cluster, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// All is well.
    Healthy,
    /// It serves, with less to spare than it should have.
    Degraded,
    /// Not yet serving.
    Starting,
    /// No longer taking new work.
    Draining,
    /// Some shard has no leader or no quorum; or the node does not answer.
    Unavailable,
}

impl std::fmt::Display for HealthState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        })
    }
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// How the node is; answered with 200 when it serves, else 503.
    pub status: HealthState,
    /// The node's name.
    pub node_id: String,
    /// Version of the binary.
    pub version: String,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// From 0 to 1.
    pub load: f64,
    /// What was looked at, by name.
    #[serde(default)]
    pub checks: BTreeMap<String, Value>,
}

/// `GET /stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The node's name.
    pub node_id: String,
    /// From 0 to 1.
    pub load: f64,
    /// Points held here, replicas included.
    pub vector_count: u64,
    /// Collections by name.
    pub collections: Vec<String>,
    /// Requests a second, lately.
    pub request_rate: RequestRate,
    /// Latencies at this gateway, in milliseconds.
    pub latency_ms: LatencyMs,
    /// Answers of 500 and above since the start.
    pub errors: u64,
    /// Memory held by the shards' state, in bytes.
    pub memory_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
}

/// Requests a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRate {
    /// Upserts and deletes.
    pub write: f64,
    /// Searches.
    pub search: f64,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyMs {
    /// Upserts and deletes.
    #[serde(default)]
    pub write: Percentiles,
    /// Searches.
    #[serde(default)]
    pub search: Percentiles,
}

/// Two points of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 99th of 100.
    pub p99: f64,
}

/// `GET /shards`: this node's replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shards {
    /// The node's name.
    pub node_id: String,
    /// By shard.
    pub shards: Vec<ShardRow>,
}

/// What a replica is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// Serving.
    Active,
    /// Behind its leader's log.
    CatchingUp,
    /// Its group stopped; only a restart helps, and the log says why.
    Stopped,
}

/// How far the indexing of a replica's vectors is. Whatever waits is found all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexState {
    /// Vectors that are found through a graph.
    pub indexed: u64,
    /// Vectors that wait for it, and are compared one by one until then. Where there are too few for a graph, none wait.
    pub waiting: u64,
    /// Replaced and deleted vectors that a graph still leads through.
    pub dead: u64,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShardRow {
    /// The shard.
    pub shard: u32,
    /// Its Raft group.
    pub group: u64,
    /// This replica's role.
    #[schemars(with = "WordSchema<Role>")]
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// The leader it knows.
    #[serde(default)]
    pub leader: Option<String>,
    /// Index of its last log entry.
    pub last_log: u64,
    /// Index it knows to be committed.
    pub committed: u64,
    /// Index it has applied.
    pub applied: u64,
    /// Points it holds.
    pub vectors: u64,
    /// How far their indexing is.
    #[serde(default)]
    pub index: IndexState,
    /// What it is busy with.
    pub state: ShardState,
    /// Nodes of the group.
    pub replicas: Vec<String>,
    /// Hash of all points, payloads and versions at `state_index`, 16 hex digits: equal on replicas at an equal index.
    pub state_hash: String,
    /// Log index that `state_hash` describes.
    pub state_index: u64,
    /// Index of the last snapshot; 0 before the first.
    #[serde(default)]
    pub snapshot: u64,
    /// Index up to which the log has been purged; 0 where nothing was.
    #[serde(default)]
    pub purged: u64,
}

/// `GET /cluster/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterStatus {
    /// Nodes in the map.
    pub total_nodes: usize,
    /// Nodes that answer and serve.
    pub healthy_nodes: usize,
    /// Shards in the map.
    pub total_shards: usize,
    /// Collections in the map.
    pub total_collections: usize,
    /// Points, each counted once.
    pub total_vectors: u64,
    /// Replicas of each shard.
    pub replication_factor: usize,
    /// Default level of collections that name none.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency_level: Consistency,
    /// The node that leads the group of the cluster map, where the placement driver runs; `null` where none is known.
    #[serde(default)]
    pub meta_leader: Option<String>,
    /// By id.
    pub nodes: Vec<NodeStatus>,
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// Its name.
    pub id: String,
    /// Where its HTTP API listens.
    pub host: String,
    /// Where its HTTP API listens.
    pub port: u16,
    /// How it is.
    pub status: HealthState,
    /// From 0 to 1.
    pub load: f64,
    /// Points it holds, replicas included.
    pub vector_count: u64,
    /// Collections by name.
    pub collections: Vec<String>,
}

/// `GET /cluster/health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterHealth {
    /// How the cluster is; answered with 200 unless unavailable, else 503.
    pub status: HealthState,
    /// Nodes that may be lost now without losing service.
    pub can_lose_nodes: usize,
    /// The Raft groups.
    pub groups: GroupCounts,
    /// By id.
    pub nodes: Vec<NodeStatus>,
    /// What is wrong, and what to do about it.
    pub issues: Vec<Issue>,
}

/// The Raft groups, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupCounts {
    /// All, the meta group included.
    pub total: usize,
    /// Those with a leader.
    pub with_leader: usize,
    /// Those that miss a replica.
    pub under_replicated: usize,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// A stable word.
    pub code: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// `GET /cluster/sharding`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterSharding {
    /// `consistent_hashing`.
    pub strategy: String,
    /// `xxh3`.
    pub hash: String,
    /// Shards in the map.
    pub shard_count: usize,
    /// By shard.
    pub shards: Vec<ShardingRow>,
    /// Replicas on their way from node to node.
    #[serde(default)]
    pub moves_in_progress: Vec<Value>,
}

/// One shard of the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShardingRow {
    /// The shard.
    pub shard: u32,
    /// First and last hash it owns, inclusive, as `0x` and 16 hex digits.
    pub range: [String; 2],
    /// Its leader; `null` where none is known.
    pub leader: Option<String>,
    /// Its replicas.
    pub replicas: Vec<ShardReplica>,
    /// Points, each counted once.
    pub vectors: u64,
}

/// One replica of a shard, as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardReplica {
    /// Its node.
    pub node: String,
    /// Such as `voter`, `learner`, `unreachable`.
    pub state: String,
    /// Log entries behind the leader; `null` where unknown.
    pub lag: Option<u64>,
}

/// `PUT /quiver/v1/faults`: link faults for tests, only on nodes started with them allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Nodes whose peer traffic with this node is cut, in both directions.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<Vec<String>>")]
    pub cut: Vec<String>,
    /// Nodes that nothing of what this node sends reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<Vec<String>>")]
    pub cut_to: Vec<String>,
    /// Nodes that this node hears nothing of.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<Vec<String>>")]
    pub cut_from: Vec<String>,
    /// By node, how many milliseconds later what this node sends to it arrives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<BTreeMap<String, u64>>")]
    pub delay_ms: BTreeMap<String, u64>,
}
