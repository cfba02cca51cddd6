//! `/cluster/nodes` and what else is asked of single nodes: they leave, drain, and carry labels. ChangeOptions they join is told in
//! [`adoption`](crate::gateway::admin::adoption).
//!
//! Here only the question is checked and the wish written into the map; the placement driver does the rest, however long
//! it takes, and whether or not anyone waits for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use raft_groups::NodeId;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{cluster, operations, overview};
use crate::api::{Change, Member, Members, SetLabels};
use crate::gateway::admin::forecast;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, Params, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::state::GatewayState;
use crate::placement::{ClusterMap, MetaCommand, MetaReply, NodeState, OperationState};
use crate::routing::{Overview, RouteError};

/// Pause between two looks at an operation that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a page about nodes waits for the newest map.
const FRESH_PATIENCE: Duration = Duration::from_secs(1);

/// How a change is asked for.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::gateway) struct ChangeOptions {
    /// Answer when it is done.
    pub wait: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Begin although something stands in the way.
    pub force: bool,
    /// For how long to wait.
    pub timeout_ms: Option<u64>,
}

pub(super) fn member_already(map: &ClusterMap, name: &str) -> Change {
    let state = map.node_named(name).and_then(|id| map.nodes.get(&id)).map_or("gone", |entry| word(entry.state));
    Change { operation_id: None, node_id: Some(name.to_owned()), state: state.to_owned(), warnings: Vec::new() }
}

pub(in crate::gateway) async fn remove(
    State(state): State<GatewayState>,
    call: RequestContext,
    Params(how): Params<ChangeOptions>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let command = |node| MetaCommand::RemoveNode { node, at_ms: now_ms() };
    depart(state, call, how, name, command, ("leaving", "left")).await
}

pub(in crate::gateway) async fn drain(
    State(state): State<GatewayState>,
    call: RequestContext,
    Params(how): Params<ChangeOptions>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let command = |node| MetaCommand::SetDraining { node, draining: true, at_ms: now_ms() };
    depart(state, call, how, name, command, ("draining", "drained")).await
}

/// Whatever takes a node's replicas away.
async fn depart(
    state: GatewayState,
    call: RequestContext,
    how: ChangeOptions,
    name: Result<Path<String>, PathRejection>,
    command: impl Fn(NodeId) -> MetaCommand,
    words: (&str, &str),
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    let map = state.backend.read_map(deadline).await?;
    let node = named(&map, &name)?;
    let overview = cluster::ask(&state, &call).await;
    let forecast = forecast::foresee(&overview, &map, Some(command(node)));
    if how.dry_run {
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    forecast::guard(&forecast, how.force)?;
    match state.backend.change_map(command(node), deadline).await? {
        MetaReply::Begun { operation, .. } | MetaReply::NodeKnown { operation: Some(operation), .. } => {
            begun(&state, &call, how, operation, (&name, words.0, words.1), forecast::warnings(&forecast)).await
        }
        MetaReply::NodeKnown { operation: None, .. } => {
            let state = words.1.to_owned();
            let change = Change { operation_id: None, node_id: Some(name), state, warnings: Vec::new() };
            Ok(answer(StatusCode::OK, &change))
        }
        MetaReply::NotFound => Err(ApiError::NodeNotFound { node: name }),
        MetaReply::LastNode { .. } => forecast::guard(&forecast, false).and(Err(unfit(&MetaReply::LastNode { node }))),
        other => refusal(&name, other),
    }
}

pub(in crate::gateway) async fn undrain(
    State(state): State<GatewayState>,
    call: RequestContext,
    Params(how): Params<ChangeOptions>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    let map = state.backend.read_map(deadline).await?;
    let command = MetaCommand::SetDraining { node: named(&map, &name)?, draining: false, at_ms: now_ms() };
    if how.dry_run {
        let forecast = forecast::foresee(&cluster::ask(&state, &call).await, &map, Some(command));
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    match state.backend.change_map(command, deadline).await? {
        MetaReply::Begun { operation, .. } | MetaReply::NodeKnown { operation: Some(operation), .. } => {
            begun(&state, &call, how, operation, (&name, "undraining", "member"), Vec::new()).await
        }
        MetaReply::NodeKnown { operation: None, .. } => Ok(answer(StatusCode::OK, &member_already(&map, &name))),
        other => refusal(&name, other),
    }
}

pub(in crate::gateway) async fn label(
    State(state): State<GatewayState>,
    call: RequestContext,
    name: Result<Path<String>, PathRejection>,
    Json(body): Json<SetLabels>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    let map = state.backend.read_map(deadline).await?;
    let command = MetaCommand::SetLabels { node: named(&map, &name)?, labels: body.labels };
    match state.backend.change_map(command, deadline).await? {
        MetaReply::Labelled => Ok(answer(StatusCode::OK, &member_already(&map, &name))),
        other => refusal(&name, other),
    }
}

/// The nodes' reports over the map as it certainly is now, where its group answers: who has just changed it wants to see
/// that. Else over the newest map there is.
async fn seen(state: &GatewayState, call: &RequestContext) -> Overview {
    if let Err(error) = state.backend.read_map(call.began + FRESH_PATIENCE).await {
        tracing::debug!(%error, "the cluster map may be an old one");
    }
    cluster::ask(state, call).await
}

pub(in crate::gateway) async fn list(State(state): State<GatewayState>, call: RequestContext) -> Response {
    let overview = seen(&state, &call).await;
    let nodes = overview.map.nodes.keys().map(|node| member(&overview, *node)).collect();
    answer(StatusCode::OK, &Members { nodes })
}

pub(in crate::gateway) async fn show(
    State(state): State<GatewayState>,
    call: RequestContext,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let overview = seen(&state, &call).await;
    Ok(answer(StatusCode::OK, &member(&overview, named(&overview.map, &name)?)))
}

fn member(overview: &Overview, node: NodeId) -> Member {
    let map = &overview.map;
    let report = overview.reports().find(|report| report.node == node);
    let entry = map.nodes.get(&node);
    let incarnation = entry.map_or_else(String::new, |e| uuid::Uuid::from_bytes(e.incarnation).to_string());
    Member {
        id: map.name_of(node),
        number: node,
        host: entry.map_or_else(String::new, |entry| entry.host.clone()),
        port: entry.map_or(0, |entry| entry.port),
        peer_addr: entry.map_or_else(String::new, |entry| entry.peer_addr.clone()),
        incarnation,
        state: entry.map_or("gone", |entry| word(entry.state)).to_owned(),
        status: overview::node_health(overview, node),
        labels: entry.map(|entry| entry.labels.clone()).unwrap_or_default(),
        shards: map.shards.values().filter(|shard| shard.placement.target.contains(&node)).count(),
        leads: map.shards.keys().filter(|shard| overview.leader(**shard).is_some_and(|(led, _)| led == node)).count(),
        vector_count: report.map_or(0, |report| report.points()),
        memory_bytes: report.map_or(0, |report| report.memory_bytes),
        disk_bytes: report.map_or(0, |report| report.disk_bytes),
        load: report.map_or(0.0, |report| f64::from(report.load).clamp(0.0, 1.0)),
    }
}

/// The state of a node in the API's word.
pub(in crate::gateway) fn word(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Member => "member",
        NodeState::Draining => "draining",
        NodeState::Leaving => "leaving",
    }
}

/// The number of the node called `name`.
pub(in crate::gateway) fn named(map: &ClusterMap, name: &str) -> Result<NodeId, ApiError> {
    map.node_named(name).ok_or_else(|| ApiError::NodeNotFound { node: name.chars().take(64).collect() })
}

/// Answers with an operation that has begun: at once, or, where that is asked for, when it has ended. `words` are the
/// node's name and its state before and after.
pub(in crate::gateway) async fn begun(
    state: &GatewayState,
    call: &RequestContext,
    how: ChangeOptions,
    operation: u64,
    words: (&str, &str, &str),
    warnings: Vec<String>,
) -> Result<Response, ApiError> {
    let (node, during, after) = words;
    let ended = if how.wait { ended(state, call, how, operation).await? } else { None };
    let (status, word) = match ended {
        None => (StatusCode::ACCEPTED, during),
        Some(OperationState::Done) => (StatusCode::OK, after),
        Some(OperationState::Running | OperationState::Cancelled) => (StatusCode::OK, "cancelled"),
        Some(OperationState::Failed { reason }) => {
            return Err(ApiError::OperationFailed { operation: operations::name(operation), reason });
        }
    };
    let (operation_id, node_id) = (Some(operations::name(operation)), Some(node.to_owned()));
    Ok(answer(status, &Change { operation_id, node_id, state: word.to_owned(), warnings }))
}

/// Waits until an operation has ended; how, or `None` where time ran out first.
pub(in crate::gateway) async fn ended(
    state: &GatewayState,
    call: &RequestContext,
    how: ChangeOptions,
    operation: u64,
) -> Result<Option<OperationState>, ApiError> {
    let longest = call.began + state.limits.max_timeout;
    let until = match how.timeout_ms {
        Some(_) => request::deadline(state, call, how.timeout_ms)?,
        None => longest,
    };
    while Instant::now() < until {
        let map = state.backend.map();
        match map.operations.get(&operation) {
            Some(known) if known.is_running() => {}
            Some(known) => return Ok(Some(known.state.clone())),
            // An older map than the one that began it.
            None => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

/// The map's refusal as an error.
pub(in crate::gateway) fn refusal(subject: &str, reply: MetaReply) -> Result<Response, ApiError> {
    Err(match reply {
        MetaReply::Refused { reason } => ApiError::NotPossible { reason },
        MetaReply::NotFound => ApiError::NodeNotFound { node: subject.to_owned() },
        MetaReply::NodeConflict { entry, .. } => {
            let reason = format!("it is {} at the moment; cancel that operation first", word(entry.state));
            ApiError::NodeConflict { node: subject.to_owned(), reason }
        }
        other => unfit(&other),
    })
}

pub(super) fn unfit(reply: &MetaReply) -> ApiError {
    match reply {
        MetaReply::NotFormed => RouteError::NotFormed.into(),
        other => ApiError::Internal { reason: format!("the cluster map answered {other:?}") },
    }
}

/// Milliseconds since 1970, for people to read.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
