//! Nodes that come and go, shards that move, and the operations that do it: bodies of the admin paths.

use crate::api::word_schema::WordSchema;
use crate::api::{HealthState, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /cluster/nodes`: takes a node that runs and waits to be adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNode {
    /// Its name.
    pub node_id: String,
    /// Where its HTTP API listens.
    pub host: String,
    /// Where its HTTP API listens.
    pub port: u16,
    /// Only with `dry_run=true`: the name of a node that is to leave afterwards, so that the plan shows both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// What became of a request about a node, a shard or an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The operation that carries it out; `null` where nothing is left to do.
    pub operation_id: Option<String>,
    /// The node it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Such as `joining`, `member`, `draining`, `leaving`, `left`; for an operation `running`, `done`, `failed`,
    /// `cancelled`.
    pub state: String,
    /// What the operator should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a request would do: the answer to `?dry_run=true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Replicas that would move, in order.
    pub moves: Vec<PlannedMove>,
    /// Bytes that would be copied, about.
    pub bytes: u64,
    /// Leaders that would be meant to be elsewhere.
    pub leader_changes: usize,
    /// Replicas of each shard, before and after.
    pub replication_factor: [usize; 2],
    /// Nodes that may fail without a loss of service, before and after.
    pub tolerated_failures: [usize; 2],
    /// What would keep it from being done.
    pub obstacles: Vec<String>,
}

/// One replica that would move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedMove {
    /// The shard; `null` is the group of the cluster map.
    pub shard: Option<u32>,
    /// The node that lets it go.
    pub from: Option<String>,
    /// The node that receives it.
    pub to: Option<String>,
    /// Bytes copied, about.
    pub bytes: u64,
}

/// `GET /cluster/nodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// By number.
    pub nodes: Vec<Member>,
}

/// One node, as the map and the node itself tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its name.
    pub id: String,
    /// Its number, given once and never again.
    pub number: u64,
    /// Where its HTTP API listens.
    pub host: String,
    /// Where its HTTP API listens.
    pub port: u16,
    /// Where its peers reach it.
    pub peer_addr: String,
    /// Which life of it: chosen when its data directory was made.
    pub incarnation: String,
    /// `joining`, `member`, `draining` or `leaving`.
    pub state: String,
    /// Whether it answers, and how it is.
    pub status: HealthState,
    /// The operator's labels.
    pub labels: BTreeMap<String, String>,
    /// Shards meant to have a replica on it.
    pub shards: usize,
    /// Shards that it leads now.
    pub leads: usize,
    /// Points it holds.
    pub vector_count: u64,
    /// Memory its points use, in bytes.
    pub memory_bytes: u64,
    /// Disk its logs and state use, in bytes.
    pub disk_bytes: u64,
    /// From 0 to 1.
    pub load: f64,
}

/// `PUT /quiver/v1/nodes/{node_id}/labels`: an empty value removes a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLabels {
    /// Labels by key.
    pub labels: BTreeMap<String, String>,
}

/// `GET /quiver/v1/timings`: the timings of consensus, the same on all nodes of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// How often an idle leader proves that it is alive, in milliseconds.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower stands for election, in milliseconds.
    pub election_min_ms: u64,
    /// Longest such silence, in milliseconds.
    pub election_max_ms: u64,
}

/// `PUT /quiver/v1/timings`: what is absent stays as it is. Nodes take the timings on when they are started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTimings {
    /// See [`Timings::heartbeat_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    /// See [`Timings::election_min_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_min_ms: Option<u64>,
    /// See [`Timings::election_max_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_max_ms: Option<u64>,
}

/// `POST /quiver/v1/shards/{shard}/move`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveReplica {
    /// The node that holds a replica.
    pub from: String,
    /// The node that is to hold it.
    pub to: String,
}

/// `POST /quiver/v1/shards/{shard}/leader`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferLeader {
    /// The node that is to lead.
    pub to: String,
}

/// `GET /quiver/v1/shards/{shard}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardDetail {
    /// The shard.
    pub shard: u32,
    /// First and last hash it owns, inclusive, as `0x` and 16 hex digits.
    pub range: [String; 2],
    /// Its leader; `null` where none is known.
    pub leader: Option<String>,
    /// The node that is meant to lead.
    pub preferred_leader: String,
    /// The nodes that are meant to hold it.
    pub target: Vec<String>,
    /// The nodes that were last confirmed to hold it.
    pub actual: Vec<String>,
    /// Whether nothing of it is on its way.
    pub settled: bool,
    /// Points, counted once.
    pub vectors: u64,
    /// Its replicas that answer.
    pub replicas: Vec<ReplicaState>,
}

/// One replica and a hash of its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaState {
    /// Its node.
    pub node: String,
    /// `leader`, `follower`, `learner` or `candidate`.
    #[schemars(with = "WordSchema<Role>")]
    pub role: Role,
    /// Index it has applied.
    pub applied: u64,
    /// Log index that `state_hash` describes.
    pub state_index: u64,
    /// Hash of all points, payloads and versions at `state_index`, 16 hex digits.
    pub state_hash: String,
}

/// `GET /quiver/v1/operations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operations {
    /// Newest last; those that ended long ago are dropped.
    pub operations: Vec<OperationRow>,
}

/// `GET /quiver/v1/operations/{operation_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationRow {
    /// Such as `op-19`.
    pub operation_id: String,
    /// `join`, `leave`, `drain`, `undrain`, `move` or `rebalance`.
    pub kind: String,
    /// The node, or the shard and its way.
    pub subject: String,
    /// `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Milliseconds since 1970.
    pub ended_ms: Option<u64>,
    /// Replicas yet to be moved for everything that is under way.
    pub replicas_left: usize,
    /// Bytes yet to be copied for that, about.
    pub bytes_left: u64,
}
