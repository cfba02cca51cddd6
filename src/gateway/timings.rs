//! `/quiver/v1/timings`: the timings of consensus, which are the cluster's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Json, answer};
use super::door::Call;
use super::error::ApiError;
use super::state::GatewayState;
use super::{members, request};
use crate::api::{SetTimings, Timings};
use crate::placement::{MetaCommand, MetaReply, RaftTimings};

pub(super) async fn show(State(state): State<GatewayState>, call: Call) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    let timings = state.backend.read_map(deadline).await?.timings;
    let reason = "this cluster is older than the timings of clusters: each node has those that it was started with, until \
                  they are set here";
    let unset = || ApiError::NotPossible { reason: reason.to_owned() };
    Ok(answer(StatusCode::OK, &of(timings.ok_or_else(unset)?)))
}

pub(super) async fn set(
    State(state): State<GatewayState>,
    call: Call,
    Json(body): Json<SetTimings>,
) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    let now = state.backend.read_map(deadline).await?.timings.unwrap_or_default();
    let timings = RaftTimings {
        heartbeat_ms: body.heartbeat_ms.unwrap_or(now.heartbeat_ms),
        election_min_ms: body.election_min_ms.unwrap_or(now.election_min_ms),
        election_max_ms: body.election_max_ms.unwrap_or(now.election_max_ms),
    };
    timings.check().map_err(|(field, reason)| ApiError::invalid(field, reason))?;
    match state.backend.change_map(MetaCommand::SetTimings { timings }, deadline).await? {
        MetaReply::TimingsSet => Ok(answer(StatusCode::OK, &of(timings))),
        other => members::refusal("timings", other),
    }
}

fn of(timings: RaftTimings) -> Timings {
    let RaftTimings { heartbeat_ms, election_min_ms, election_max_ms } = timings;
    Timings { heartbeat_ms, election_min_ms, election_max_ms }
}
