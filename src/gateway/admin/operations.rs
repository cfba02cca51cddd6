//! Operations, and what is asked of single shards: moves, leaders, a look at each replica's state.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use raft_groups::NodeId;

use super::change::{ChangeOptions, ChangeWords, begun, node_number, now_ms, operation_name, operation_word, refusal};
use super::cluster;
use crate::api::{Change, MoveReplica, OperationRow, Operations, ReplicaState, ShardDetail, TransferLeader};
use crate::gateway::admin::forecast;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::state::GatewayState;
use crate::placement::{ClusterMap, MetaCommand, MetaReply, Operation, OperationKind, OperationState, ShardId};
use crate::routing::Overview;

fn number(name: &str) -> Result<u64, ApiError> {
    let number = name.strip_prefix("op-").unwrap_or(name).parse();
    number.map_err(|_| ApiError::OperationNotFound { operation: name.chars().take(64).collect() })
}

pub(in crate::gateway) async fn list(
    State(state): State<GatewayState>,
    call: RequestContext,
) -> Result<Response, ApiError> {
    let map = state.router.read_map(request::deadline(&state, &call, None)?).await?;
    let left = left(&map, &cluster::ask(&state, &call).await);
    let operations = map.operations.iter().map(|(id, operation)| row(&map, *id, operation, left)).collect();
    Ok(answer(StatusCode::OK, &Operations { operations }))
}

pub(in crate::gateway) async fn show(
    State(state): State<GatewayState>,
    call: RequestContext,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id?;
    let number = number(&id)?;
    let map = state.router.read_map(request::deadline(&state, &call, None)?).await?;
    let operation = map.operations.get(&number).ok_or(ApiError::OperationNotFound { operation: id })?;
    // How much is left follows from the reports of all nodes, so they are asked only for an operation that exists.
    let left = left(&map, &cluster::ask(&state, &call).await);
    Ok(answer(StatusCode::OK, &row(&map, number, operation, left)))
}

pub(in crate::gateway) async fn cancel(
    State(state): State<GatewayState>,
    call: RequestContext,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id?;
    let operation = number(&id)?;
    let deadline = request::deadline(&state, &call, None)?;
    // An operation that has ended before keeps its end.
    match state.router.change_map(MetaCommand::Cancel { operation, at_ms: now_ms() }, deadline).await? {
        MetaReply::Ended { operation } => {
            let map = state.router.read_map(deadline).await?;
            let state =
                map.operations.get(&operation).map_or("cancelled", |operation| operation_word(&operation.state));
            Ok(answer(StatusCode::OK, &change(operation, state)))
        }
        MetaReply::NotFound => Err(ApiError::OperationNotFound { operation: id }),
        other => refusal(&id, other),
    }
}

pub(in crate::gateway) async fn move_replica(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
    shard: Result<Path<u32>, PathRejection>,
    Json(body): Json<MoveReplica>,
) -> Result<Response, ApiError> {
    let shard = ShardId(shard?.0);
    let deadline = request::deadline(&state, &call, None)?;
    // The shard and both nodes must be in the newest map.
    let map = state.router.read_map(deadline).await?;
    known(&map, shard)?;
    let (from, to) = (node_number(&map, &body.from)?, node_number(&map, &body.to)?);
    let command = MetaCommand::MoveReplica { shard, from, to, at_ms: now_ms() };
    // A dry run asks the forecast what the map would say.
    if how.dry_run {
        let forecast = forecast::foresee(&cluster::ask(&state, &call).await, &map, Some(command));
        return match forecast.reply {
            MetaReply::Begun { .. } => Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast))),
            other => refusal(&body.to, other),
        };
    }
    answer_reply(&state, how, state.router.change_map(command, deadline).await?, &body.to).await
}

pub(in crate::gateway) async fn rebalance(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    // Without a command the forecast shows the moves that the planner still has to make.
    if how.dry_run {
        let map = state.router.read_map(deadline).await?;
        let forecast = forecast::foresee(&cluster::ask(&state, &call).await, &map, None);
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    let reply = state.router.change_map(MetaCommand::Rebalance { at_ms: now_ms() }, deadline).await?;
    answer_reply(&state, how, reply, "").await
}

/// Answers with what the map made of a change that is about no single node.
async fn answer_reply(
    state: &GatewayState,
    how: ChangeOptions,
    reply: MetaReply,
    subject: &str,
) -> Result<Response, ApiError> {
    let MetaReply::Begun { operation, .. } = reply else { return refusal(subject, reply) };
    let words = ChangeWords { node: None, during: "running", after: "done" };
    begun(state, how, (operation, words), Vec::new()).await
}

pub(in crate::gateway) async fn transfer_leader(
    State(state): State<GatewayState>,
    call: RequestContext,
    shard: Result<Path<u32>, PathRejection>,
    Json(body): Json<TransferLeader>,
) -> Result<Response, ApiError> {
    let shard = ShardId(shard?.0);
    let deadline = request::deadline(&state, &call, None)?;
    // The shard and the node must be in the newest map.
    let map = state.router.read_map(deadline).await?;
    known(&map, shard)?;
    let command = MetaCommand::TransferLeader { shard, to: node_number(&map, &body.to)? };
    // The map only holds the preference. The leader acts on it later.
    match state.router.change_map(command, deadline).await? {
        MetaReply::Planned => {
            let (node_id, state) = (Some(body.to), "preferred".to_owned());
            Ok(answer(StatusCode::ACCEPTED, &Change { operation_id: None, node_id, state, warnings: Vec::new() }))
        }
        other => refusal(&body.to, other),
    }
}

pub(in crate::gateway) async fn shard(
    State(state): State<GatewayState>,
    call: RequestContext,
    shard: Result<Path<u32>, PathRejection>,
) -> Result<Response, ApiError> {
    let shard = ShardId(shard?.0);
    // The shard must be in the map before its replicas are looked for in the reports.
    let overview = cluster::ask(&state, &call).await;
    known(&overview.map, shard)?;
    detail(&overview, shard)
        .map(|detail| answer(StatusCode::OK, &detail))
        .ok_or(ApiError::ShardNotFound { shard: shard.0 })
}

fn detail(overview: &Overview, shard: ShardId) -> Option<ShardDetail> {
    let map = &overview.map;
    let entry = map.shards.get(&shard)?;
    let names = |nodes: &std::collections::BTreeSet<NodeId>| nodes.iter().map(|node| map.name_of(*node)).collect();
    // Equal hashes at equal indexes show that the replicas hold the same state.
    let replicas = overview.replicas(shard).map(|(node, replica)| ReplicaState {
        node: map.name_of(node),
        role: replica.status.role,
        applied: replica.status.applied,
        state_index: replica.digest_index,
        state_hash: format!("{:016x}", replica.digest),
    });
    let (first, last) = entry.range;
    Some(ShardDetail {
        shard: shard.0,
        range: [format!("0x{first:016x}"), format!("0x{last:016x}")],
        leader: overview.leader(shard).map(|(node, _)| map.name_of(node)),
        preferred_leader: map.name_of(entry.preferred),
        target: names(&entry.placement.target),
        actual: names(&entry.placement.actual),
        settled: entry.placement.settled,
        vectors: overview.speaker(shard).map_or(0, |(_, replica)| replica.points),
        replicas: replicas.collect(),
    })
}

fn known(map: &ClusterMap, shard: ShardId) -> Result<(), ApiError> {
    if map.shards.contains_key(&shard) { Ok(()) } else { Err(ApiError::ShardNotFound { shard: shard.0 }) }
}

/// What is left to be moved for everything that is under way: replicas, and bytes.
fn left(map: &ClusterMap, overview: &Overview) -> (usize, u64) {
    let forecast = forecast::foresee(overview, map, None);
    (forecast.moves.len(), forecast.moves.iter().map(|planned| planned.bytes).sum())
}

fn row(map: &ClusterMap, id: u64, operation: &Operation, left: (usize, u64)) -> OperationRow {
    let (kind, subject) = match &operation.kind {
        OperationKind::Join(_, node) => ("join", node.to_string()),
        OperationKind::Leave(_, node) => ("leave", node.to_string()),
        OperationKind::Drain(_, node) => ("drain", node.to_string()),
        OperationKind::Undrain(_, node) => ("undrain", node.to_string()),
        OperationKind::Move(shard, from, to) => {
            ("move", format!("shard {shard}: {} → {}", map.name_of(*from), map.name_of(*to)))
        }
        OperationKind::Rebalance => ("rebalance", "all shards".to_owned()),
    };
    let reason = match &operation.state {
        OperationState::Failed { reason } => Some(reason.clone()),
        _ => None,
    };
    // Only a running operation has something left to do.
    let (replicas_left, bytes_left) = if operation.is_running() { left } else { (0, 0) };
    OperationRow {
        operation_id: operation_name(id),
        kind: kind.to_owned(),
        subject,
        state: operation_word(&operation.state).to_owned(),
        reason,
        started_ms: operation.started_ms,
        ended_ms: operation.ended_ms,
        replicas_left,
        bytes_left,
    }
}

fn change(operation: u64, state: &str) -> Change {
    Change {
        operation_id: Some(operation_name(operation)),
        node_id: None,
        state: state.to_owned(),
        warnings: Vec::new(),
    }
}
