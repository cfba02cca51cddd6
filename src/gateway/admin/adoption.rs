//! `POST /cluster/nodes`: a node that waits is taken into the cluster.
//!
//! Who cannot become a member is refused at once, with the way out: a node of another cluster, one that was removed, one
//! that leaves or drains, a member that does not answer. Nothing of it is found out by waiting.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::change::{ChangeOptions, ChangeWords, begun, node_number, node_word, now_ms, operation_name, unfit};
use super::cluster;
use crate::api::AddNode;
use crate::gateway::Introduction;
use crate::gateway::admin::forecast;
use crate::gateway::admin::nodes::member_already;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::state::GatewayState;
use crate::placement::{ClusterMap, MetaCommand, MetaReply, NodeState};

pub(in crate::gateway) async fn add(
    State(state): State<GatewayState>,
    call: RequestContext,
    how: ChangeOptions,
    Json(body): Json<AddNode>,
) -> Result<Response, ApiError> {
    // The two steps of a replacement are foreseen together. The client begins them one after the other.
    if body.replaces.is_some() && !how.dry_run {
        return Err(ApiError::invalid(
            "replaces",
            "goes with dry_run=true: take the new node in without it, and have the old one leave once the new one is a \
             member",
        ));
    }
    let deadline = request::deadline(&state, &call, None)?;
    // The node is asked before the map is read: so a node that the map does not know was removed, and is not newer.
    let introduction = state.node.introduction(&body.host, body.port).await;
    let map = state.router.read_map(deadline).await?;
    let introduction = match introduction {
        Ok(introduction) => introduction,
        Err(reason) => return silent(&state, &call, how, &map, (body, reason)).await,
    };
    let conflict = |reason: String| Err(ApiError::NodeConflict { node: body.node_id.clone(), reason });
    // Whoever answers at the address must be the node that the client means.
    if introduction.entry.name.as_str() != body.node_id {
        let name = &introduction.entry.name;
        return conflict(format!("the node at {}:{} is called `{name}`", body.host, body.port));
    }
    if let Err(reason) = check(&map, &introduction) {
        return conflict(reason);
    }
    let command = MetaCommand::AddNode { entry: introduction.entry, at_ms: now_ms() };
    // A dry run also shows what the departure of the replaced node would move.
    if how.dry_run {
        let overview = cluster::ask(&state, &call).await;
        let leave = departure(&map, body.replaces.as_deref())?;
        let forecast = forecast::foresee(&overview, &map, [command].into_iter().chain(leave));
        return Ok(answer(StatusCode::OK, &forecast::plan(&map, &forecast)));
    }
    // To ask twice is to ask once: a node that joins already is answered like one that begins to.
    match state.router.change_map(command, deadline).await? {
        MetaReply::Begun { operation, .. } | MetaReply::NodeKnown { operation: Some(operation), .. } => {
            let words = ChangeWords { node: Some(&body.node_id), during: "joining", after: "member" };
            begun(&state, how, (operation, words), Vec::new()).await
        }
        MetaReply::NodeKnown { operation: None, .. } => {
            let map = state.router.read_map(deadline).await?;
            Ok(answer(StatusCode::OK, &member_already(&map, &body.node_id)))
        }
        MetaReply::NodeConflict { entry, .. } => conflict(format!(
            "the cluster knows `{}` at {}:{} (peers {}): another node has this name or address, or this is a later life of \
             that one; remove that one first, or choose another name",
            entry.name, entry.host, entry.port, entry.peer_addr
        )),
        other => Err(unfit(&other)),
    }
}

/// The command by which the node that is replaced leaves, for a plan of both.
fn departure(map: &ClusterMap, replaced: Option<&str>) -> Result<Option<MetaCommand>, ApiError> {
    let node = replaced.map(|name| node_number(map, name)).transpose()?;
    Ok(node.map(|node| MetaCommand::RemoveNode { node, at_ms: now_ms() }))
}

/// Whether a node that answers so may be taken in, or is.
fn check(map: &ClusterMap, introduction: &Introduction) -> Result<(), String> {
    let entry = &introduction.entry;
    // A node of another cluster cannot change over.
    if introduction.taken && introduction.cluster != Some(map.cluster) {
        return Err("it forms, or belongs to, another cluster: start it with --join and an empty --data-dir".to_owned());
    }
    // The life of a data directory tells a node from another one of the same name.
    let known = map.nodes.iter().find(|(_, known)| known.incarnation == entry.incarnation);
    let Some((node, known)) = known else {
        let removed = "its directory is that of a node that was removed from this cluster, which is not taken back: stop \
                       it, start it with an empty --data-dir and --join, and ask again";
        return if introduction.taken { Err(removed.to_owned()) } else { Ok(()) };
    };
    // A node that the map knows must not be on its way out.
    match known.state {
        NodeState::Joining | NodeState::Member => Ok(()),
        NodeState::Draining => {
            Err(format!("it is a member that drains: `quiver node undrain {}` has it take replicas again", known.name))
        }
        NodeState::Leaving => {
            let cancel = map
                .running_of(*node)
                .last()
                .map(|operation| format!(", or call that off with `quiver op cancel {}`", operation_name(*operation)));
            Err(format!(
                "it is leaving the cluster: wait until it has left, and start it with an empty --data-dir and --join{}",
                cancel.unwrap_or_default()
            ))
        }
    }
}

/// Nobody answers where the node is said to be: one that is being taken in is waited for, any other must be brought up
/// first.
async fn silent(
    state: &GatewayState,
    call: &RequestContext,
    how: ChangeOptions,
    map: &ClusterMap,
    (body, reason): (AddNode, String),
) -> Result<Response, ApiError> {
    let AddNode { node_id, host, port, replaces } = body;
    // Only the map can tell who should be at this address.
    let known = map.node_named(&node_id).and_then(|node| Some((node, map.nodes.get(&node)?)));
    let Some((node, entry)) = known.filter(|(_, entry)| entry.host == host && entry.port == port) else {
        return Err(ApiError::NodeUnreachable { host, port, reason });
    };
    // A node that is being taken in may be starting still.
    if let (NodeState::Joining, Some(operation)) = (entry.state, map.running_of(node).last()) {
        if how.dry_run {
            let forecast =
                forecast::foresee(&cluster::ask(state, call).await, map, departure(map, replaces.as_deref())?);
            return Ok(answer(StatusCode::OK, &forecast::plan(map, &forecast)));
        }
        let words = ChangeWords { node: Some(&node_id), during: "joining", after: "member" };
        return begun(state, how, (*operation, words), Vec::new()).await;
    }
    // Any other one must be brought up first.
    let reason = format!(
        "the cluster knows it as {} already, and it does not answer at {host}:{port} ({reason}): start it again with the \
         data directory that it had; where that is lost, `quiver node leave {node_id}` first, then start it with an empty \
         --data-dir and --join, and ask again",
        node_word(entry.state)
    );
    Err(ApiError::NodeConflict { node: node_id, reason })
}
