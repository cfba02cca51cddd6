//! `/quiver/v1/groups/{group}/…`: the end of a replica's log, and, only where the node was started with `--test-faults`,
//! the nudges of tests and lessons: stand for election, step down.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use raft_groups::GroupId;
use raft_groups::inspect::{EntryHead, EntryKind, LogTail, NudgeError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::events::LogPosition;
use crate::api::{EntryRow, GroupNudge, ReplicaLog, VoteRow};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Params, answer};
use crate::gateway::state::{GatewayState, LocalReplicas};
use crate::model::limits::{DEFAULT_LOG_ENTRIES, MAX_LOG_ENTRIES};
use crate::placement::{ClusterMap, group_name};

/// How much of a log is asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::gateway) struct TailOptions {
    /// Entries, counted from the end.
    #[schemars(range(min = 1, max = MAX_LOG_ENTRIES), extend("default" = DEFAULT_LOG_ENTRIES))]
    last: Option<u64>,
}

/// The replicas of this process.
///
/// # Errors
/// Where it holds none, as a gateway, or none yet.
pub(super) fn replicas(state: &GatewayState) -> Result<Arc<dyn LocalReplicas>, ApiError> {
    let reason = "this process holds no replicas (yet): ask a node that is up";
    state.node.replicas().ok_or_else(|| ApiError::NotPossible { reason: reason.to_owned() })
}

/// The map to take nodes' names from: the newest, or, before there is any, that which the cluster is formed with.
pub(super) fn names(state: &GatewayState) -> Arc<ClusterMap> {
    let map = state.router.map();
    let first = || state.node.first_map().map(Arc::new);
    if map.is_formed() { map } else { first().unwrap_or(map) }
}

pub(in crate::gateway) async fn log(
    State(state): State<GatewayState>,
    Params(end): Params<TailOptions>,
    group: Result<Path<u64>, PathRejection>,
) -> Result<Response, ApiError> {
    let group = GroupId(group?.0);
    // The bound is checked first: a refused request reads nothing from disk.
    let last = end.last.unwrap_or(DEFAULT_LOG_ENTRIES);
    if !(1..=MAX_LOG_ENTRIES).contains(&last) {
        return Err(ApiError::invalid("last", format!("must be from 1 to {MAX_LOG_ENTRIES}")));
    }
    let replicas = replicas(&state)?;
    // The log may have to be read from disk.
    let tail = tokio::task::spawn_blocking(move || replicas.log_tail(group, last)).await;
    let tail = tail.map_err(|error| ApiError::Internal { reason: error.to_string() })?;
    let tail = tail.ok_or_else(|| absent(group))?;
    let tail =
        tail.map_err(|error| ApiError::Internal { reason: format!("the log of {}: {error}", group_name(group)) })?;
    Ok(answer(StatusCode::OK, &shown(&names(&state), group, &tail)))
}

pub(in crate::gateway) async fn campaign(
    State(state): State<GatewayState>,
    group: Result<Path<u64>, PathRejection>,
) -> Result<Response, ApiError> {
    state.node.faults().ok_or(ApiError::FaultsOff)?;
    let group = GroupId(group?.0);
    replicas(&state)?.campaign(group).await.ok_or_else(|| absent(group))?.map_err(refused)?;
    Ok(answer(StatusCode::OK, &GroupNudge { group: group.0, state: "campaigns".to_owned(), asked: None }))
}

pub(in crate::gateway) async fn step_down(
    State(state): State<GatewayState>,
    group: Result<Path<u64>, PathRejection>,
) -> Result<Response, ApiError> {
    state.node.faults().ok_or(ApiError::FaultsOff)?;
    let group = GroupId(group?.0);
    let successor = replicas(&state)?.step_down(group).await.ok_or_else(|| absent(group))?.map_err(refused)?;
    let asked = Some(names(&state).name_of(successor));
    Ok(answer(StatusCode::OK, &GroupNudge { group: group.0, state: "steps_down".to_owned(), asked }))
}

fn absent(group: GroupId) -> ApiError {
    ApiError::NotPossible {
        reason: format!("this node has no open replica of {}; ask another node", group_name(group)),
    }
}

fn refused(error: NudgeError) -> ApiError {
    ApiError::NotPossible { reason: error.to_string() }
}

fn shown(map: &ClusterMap, group: GroupId, tail: &LogTail) -> ReplicaLog {
    // An entry is shown without its command, which may be large.
    let entry = |entry: &EntryHead| {
        let kind = match entry.kind {
            EntryKind::Blank => "blank",
            EntryKind::Membership => "membership",
            EntryKind::Command => "command",
        };
        EntryRow { place: LogPosition { term: entry.term, index: entry.index }, kind: kind.to_owned() }
    };
    // A vote that is committed says that its candidate was elected.
    let vote = tail.vote.map(|vote| VoteRow {
        term: vote.term,
        candidate: map.name_of(vote.candidate),
        committed: vote.elected,
    });
    ReplicaLog {
        group: group.0,
        entries: tail.entries.iter().map(entry).collect(),
        committed: tail.status.committed,
        applied: tail.status.applied,
        snapshot: tail.status.snapshot,
        purged: tail.status.purged,
        vote,
    }
}
