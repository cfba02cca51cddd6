//! `/cluster/nodes` and what else is asked of single nodes: they leave, drain, and carry labels. How one
//! joins is told in [`adoption`](crate::gateway::admin::adoption).
//!
//! Here only the question is checked and the wish written into the map; the placement driver does the rest, however long
//! it takes, and whether or not anyone waits for it.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use raft_groups::NodeId;

use super::change::{ChangeOptions, ChangeWords, begun, node_number, node_word, now_ms, refusal, unfit};
use super::{cluster, overview};
use crate::api::{Change, Member, Members, SetLabels};
use crate::gateway::admin::forecast;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::state::GatewayState;
use crate::placement::{ClusterMap, MetaCommand, MetaReply};
use crate::routing::Overview;

/// How long a page about nodes waits for the newest map.
const FRESH_PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn member_already(map: &ClusterMap, name: &str) -> Change {
    let state = map.node_named(name).and_then(|id| map.nodes.get(&id)).map_or("gone", |entry| node_word(entry.state));
    Change { operation_id: None, node_id: Some(name.to_owned()), state: state.to_owned(), warnings: Vec::new() }
}

pub(in crate::gateway) async fn remove(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let command = |node| MetaCommand::RemoveNode { node, at_ms: now_ms() };
    depart(state, call, how, name, command, ("leaving", "left")).await
}

pub(in crate::gateway) async fn drain(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
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
    // The map must be the newest, since the client may have changed it a moment ago.
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    let map = state.router.read_map(deadline).await?;
    let node = node_number(&map, &name)?;
    // What the change would do decides whether it may begin.
    let overview = cluster::ask(&state, &call).await;
    let forecast = forecast::foresee(&overview, &map, Some(command(node)));
    if how.dry_run {
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    forecast::guard(&forecast, how.force)?;
    // To ask twice is to ask once: a change that is under way is answered like one that begins.
    match state.router.change_map(command(node), deadline).await? {
        MetaReply::Begun { operation, .. } | MetaReply::NodeKnown { operation: Some(operation), .. } => {
            let words = ChangeWords { node: Some(&name), during: words.0, after: words.1 };
            begun(&state, how, (operation, words), forecast::warnings(&forecast)).await
        }
        MetaReply::NodeKnown { operation: None, .. } => {
            let state = words.1.to_owned();
            let change = Change { operation_id: None, node_id: Some(name), state, warnings: Vec::new() };
            Ok(answer(StatusCode::OK, &change))
        }
        MetaReply::NotFound => Err(ApiError::NodeNotFound { node: name }),
        // The forecast refuses the last node, unless the map has changed since it was read.
        MetaReply::LastNode { .. } => forecast::guard(&forecast, false).and(Err(unfit(&MetaReply::LastNode { node }))),
        other => refusal(&name, other),
    }
}

pub(in crate::gateway) async fn undrain(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    // The map must be the newest, since the client may have changed it a moment ago.
    let map = state.router.read_map(deadline).await?;
    let command = MetaCommand::SetDraining { node: node_number(&map, &name)?, draining: false, at_ms: now_ms() };
    if how.dry_run {
        let forecast = forecast::foresee(&cluster::ask(&state, &call).await, &map, Some(command));
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    // A node that does not drain is a member already.
    match state.router.change_map(command, deadline).await? {
        MetaReply::Begun { operation, .. } | MetaReply::NodeKnown { operation: Some(operation), .. } => {
            let words = ChangeWords { node: Some(&name), during: "undraining", after: "member" };
            begun(&state, how, (operation, words), Vec::new()).await
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
    let map = state.router.read_map(deadline).await?;
    let command = MetaCommand::SetLabels { node: node_number(&map, &name)?, labels: body.labels };
    // Labels hold as soon as the map has them, so there is no operation to wait for.
    match state.router.change_map(command, deadline).await? {
        MetaReply::Labelled => Ok(answer(StatusCode::OK, &member_already(&map, &name))),
        other => refusal(&name, other),
    }
}

/// The nodes' reports over the map as it certainly is now, where its group answers: who has just changed it wants to see
/// that. Else over the newest map there is.
async fn seen(state: &GatewayState, call: &RequestContext) -> Overview {
    if let Err(error) = state.router.read_map(call.began + FRESH_PATIENCE).await {
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
    Ok(answer(StatusCode::OK, &member(&overview, node_number(&overview.map, &name)?)))
}

fn member(overview: &Overview, node: NodeId) -> Member {
    let map = &overview.map;
    // A node that does not answer has no report, and one that has left has no entry.
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
        state: entry.map_or("gone", |entry| node_word(entry.state)).to_owned(),
        status: overview::node_health(overview, node),
        labels: entry.map(|entry| entry.labels.clone()).unwrap_or_default(),
        // Replicas are counted as the map wants them, leaders as the nodes report them.
        shards: map.shards.values().filter(|shard| shard.placement.target.contains(&node)).count(),
        leads: map.shards.keys().filter(|shard| overview.leader(**shard).is_some_and(|(led, _)| led == node)).count(),
        vector_count: report.map_or(0, |report| report.points()),
        memory_bytes: report.map_or(0, |report| report.memory_bytes),
        disk_bytes: report.map_or(0, |report| report.disk_bytes),
        load: report.map_or(0.0, |report| f64::from(report.load).clamp(0.0, 1.0)),
    }
}
