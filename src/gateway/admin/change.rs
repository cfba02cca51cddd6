//! What all changes of the cluster have in common: how they are asked for, and how one that has begun is answered.
//!
//! Comes in: the map's reply to a command. Goes out: the answer of the API, at once or once the operation has ended, or the
//! error. Knows no single kind of change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use raft_groups::NodeId;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use tokio::time::Instant;

use crate::api::Change;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Params, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::openapi::api_route::{Described, RouteInputs};
use crate::gateway::state::GatewayState;
use crate::placement::{ClusterMap, MetaReply, NodeState, OperationState};
use crate::routing::RouteError;

/// Pause between two looks at an operation that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How a change is asked for, in the query string.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ChangeQuery {
    /// Answer when it is done.
    pub wait: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Begin although something stands in the way.
    pub force: bool,
    /// For how long to wait.
    pub timeout_ms: Option<u64>,
}

/// The same, checked. A handler has it as a parameter, so what cannot be is refused before anything begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct ChangeOptions {
    /// Answer when it is done.
    pub wait: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Begin although something stands in the way.
    pub force: bool,
    /// Until when to wait: as long as any request may where the client names no time.
    until: Instant,
}

impl FromRequestParts<GatewayState> for ChangeOptions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &GatewayState) -> Result<Self, ApiError> {
        let Params(ChangeQuery { wait, dry_run, force, timeout_ms }) = Params::from_request_parts(parts, state).await?;
        let call = RequestContext::from_request_parts(parts, state).await?;
        let until = match timeout_ms {
            Some(_) => request::deadline(state, &call, timeout_ms)?,
            None => call.began + state.limits.max_timeout,
        };
        Ok(Self { wait, dry_run, force, until })
    }
}

impl Described for ChangeOptions {
    const READS_QUERY: bool = true;

    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        Params::<ChangeQuery>::describe(inputs, schemas);
    }

    #[cfg(test)]
    fn read_query(pairs: &[(String, String)]) -> Option<Result<(), ApiError>> {
        Params::<ChangeQuery>::read_query(pairs)
    }
}

/// What an answer calls the state of the thing that is changed.
pub(super) struct ChangeWords<'a> {
    /// The node that changes, where it is one.
    pub node: Option<&'a str>,
    /// While the operation runs.
    pub during: &'a str,
    /// When it is done.
    pub after: &'a str,
}

/// The state of a node in the API's word.
pub(super) fn node_word(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Member => "member",
        NodeState::Draining => "draining",
        NodeState::Leaving => "leaving",
    }
}

/// The number of the node called `name`.
pub(super) fn node_number(map: &ClusterMap, name: &str) -> Result<NodeId, ApiError> {
    map.node_named(name).ok_or_else(|| ApiError::NodeNotFound { node: name.chars().take(64).collect() })
}

/// The state of an operation in the API's word.
pub(super) fn operation_word(state: &OperationState) -> &'static str {
    match state {
        OperationState::Running => "running",
        OperationState::Done => "done",
        OperationState::Failed { .. } => "failed",
        OperationState::Cancelled => "cancelled",
    }
}

/// An operation's name.
pub(super) fn operation_name(operation: u64) -> String {
    format!("op-{operation}")
}

/// Answers with an operation that has begun: at once, or, where that is asked for, when it has ended.
///
/// # Errors
/// [`ApiError::OperationFailed`] where it ended so.
pub(super) async fn begun(
    state: &GatewayState,
    how: ChangeOptions,
    (operation, words): (u64, ChangeWords<'_>),
    warnings: Vec<String>,
) -> Result<Response, ApiError> {
    // Wait only where the client asks for it.
    let ended = if how.wait { ended(state, how.until, operation).await } else { None };
    let (status, word) = match ended {
        None => (StatusCode::ACCEPTED, words.during),
        Some(OperationState::Done) => (StatusCode::OK, words.after),
        Some(OperationState::Running | OperationState::Cancelled) => (StatusCode::OK, "cancelled"),
        Some(OperationState::Failed { reason }) => {
            return Err(ApiError::OperationFailed { operation: operation_name(operation), reason });
        }
    };
    // Whatever came of it, the client can ask again by the operation's name.
    let (operation_id, node_id) = (Some(operation_name(operation)), words.node.map(str::to_owned));
    Ok(answer(status, &Change { operation_id, node_id, state: word.to_owned(), warnings }))
}

/// Waits until an operation has ended; how, or `None` where time ran out first.
async fn ended(state: &GatewayState, until: Instant, operation: u64) -> Option<OperationState> {
    // Whoever moves the operation tells nobody: this process sees it in the map.
    while Instant::now() < until {
        let map = state.router.map();
        match map.operations.get(&operation) {
            Some(known) if known.is_running() => {}
            Some(known) => return Some(known.state.clone()),
            // An older map than the one that began it.
            None => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

/// The map's refusal as an error.
pub(super) fn refusal(subject: &str, reply: MetaReply) -> Result<Response, ApiError> {
    Err(match reply {
        MetaReply::Refused { reason } => ApiError::NotPossible { reason },
        MetaReply::NotFound => ApiError::NodeNotFound { node: subject.to_owned() },
        MetaReply::NodeConflict { entry, .. } => {
            let reason = format!("it is {} at the moment; cancel that operation first", node_word(entry.state));
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
