//! What this process says of itself: `/health`, `/stats`, `/shards`, `/metrics`. Asks no other node.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use raft_groups::{GroupStatus, Role};

use crate::api::{
    Health, HealthState, IndexState, LatencyMs, Percentiles, RequestRate, ShardRow, ShardState, Shards, Stats,
};
use crate::engine::CollectionId;
use crate::gateway::http::extract::answer;
use crate::gateway::http::rolling_window::Summary;
use crate::gateway::state::GatewayState;
use crate::placement::ClusterMap;
use crate::routing::{NodeReport, ReplicaReport};

pub(in crate::gateway) async fn health(State(state): State<GatewayState>) -> Response {
    let health = state.node.health();
    // Load balancers read only the status code, so it says whether requests are served here.
    let serves = matches!(health.state, HealthState::Healthy | HealthState::Degraded);
    let body = Health {
        status: health.state,
        node_id: state.node.name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: state.node.uptime().as_secs(),
        load: load(state.node.report().as_ref()),
        checks: health.checks,
    };
    answer(if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
}

pub(in crate::gateway) async fn stats(State(state): State<GatewayState>) -> Response {
    // A gateway without replicas has no report, and shows zeros.
    let report = state.node.report();
    let (writes, searches) = (state.metrics.writes.summary(), state.metrics.searches.summary());
    let body = Stats {
        node_id: state.node.name(),
        load: load(report.as_ref()),
        vector_count: report.as_ref().map_or(0, NodeReport::points),
        collections: report.as_ref().map_or_else(Vec::new, |report| collections(&state.router.map(), report)),
        request_rate: RequestRate { write: writes.rate, search: searches.rate },
        latency_ms: LatencyMs { write: percentiles(writes), search: percentiles(searches) },
        errors: state.metrics.errors.load(Ordering::Relaxed),
        memory_bytes: report.as_ref().map_or(0, |report| report.memory_bytes),
        disk_bytes: report.as_ref().map_or(0, |report| report.disk_bytes),
    };
    answer(StatusCode::OK, &body)
}

pub(in crate::gateway) async fn shards(State(state): State<GatewayState>) -> Response {
    let map = state.router.map();
    let replicas = state.node.report().map_or_else(Vec::new, |report| report.replicas);
    let shards = replicas.iter().map(|replica| row(&map, replica)).collect();
    answer(StatusCode::OK, &Shards { node_id: state.node.name(), shards })
}

pub(in crate::gateway) async fn metrics(State(state): State<GatewayState>) -> Response {
    let text = state.metrics.render(state.node.report().as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn row(map: &ClusterMap, replica: &ReplicaReport) -> ShardRow {
    let status = &replica.status;
    ShardRow {
        shard: replica.shard.0,
        group: status.group.0,
        // Who leads without a majority looks for one.
        role: if status.role == Role::Leader && !status.leads() { Role::Candidate } else { status.role },
        term: status.term,
        leader: status.leader.map(|node| map.name_of(node)),
        last_log: status.last_log,
        committed: status.committed,
        applied: status.applied,
        vectors: replica.points,
        index: IndexState { indexed: replica.index.indexed, waiting: replica.index.waiting, dead: replica.index.dead },
        state: shard_state(status),
        replicas: status.voters.union(&status.learners).map(|node| map.name_of(*node)).collect(),
        // Two replicas hold the same state if their hashes at the same index are equal.
        state_hash: format!("{:016x}", replica.digest),
        state_index: replica.digest_index,
        snapshot: status.snapshot,
        purged: status.purged,
    }
}

fn shard_state(status: &GroupStatus) -> ShardState {
    match (&status.stopped, status.catching_up) {
        (Some(_), _) => ShardState::Stopped,
        (None, true) => ShardState::CatchingUp,
        (None, false) => ShardState::Active,
    }
}

/// The names of the collections that a node's replicas know.
pub(in crate::gateway) fn collections(map: &ClusterMap, report: &NodeReport) -> Vec<String> {
    let known: BTreeSet<CollectionId> =
        report.replicas.iter().flat_map(|replica| replica.collections.keys().copied()).collect();
    map.collections.iter().filter(|(_, entry)| known.contains(&entry.id)).map(|(name, _)| name.clone()).collect()
}

/// From 0 to 1; 0 where there is no report.
fn load(report: Option<&NodeReport>) -> f64 {
    report.map_or(0.0, |report| f64::from(report.load).clamp(0.0, 1.0))
}

fn percentiles(summary: Summary) -> Percentiles {
    Percentiles { p50: summary.p50_ms, p99: summary.p99_ms }
}
