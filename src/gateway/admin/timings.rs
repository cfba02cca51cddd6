//! `/quiver/v1/timings`: the timings of consensus, which are the cluster's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::{SetTimings, Timings};
use crate::gateway::admin::change;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::native::request;
use crate::gateway::state::GatewayState;
use crate::placement::{MetaCommand, MetaReply, RaftTimings};

pub(in crate::gateway) async fn show(
    State(state): State<GatewayState>,
    call: RequestContext,
) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    let timings = state.router.read_map(deadline).await?.timings;
    let reason = "this cluster is older than the timings of clusters: each node has those that it was started with, until \
                  they are set here";
    let unset = || ApiError::NotPossible { reason: reason.to_owned() };
    Ok(answer(StatusCode::OK, &of(timings.ok_or_else(unset)?)))
}

pub(in crate::gateway) async fn set(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(body): Json<SetTimings>,
) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    // A member that the client leaves out keeps its value.
    let now = state.router.read_map(deadline).await?.timings.unwrap_or_default();
    let timings = RaftTimings {
        heartbeat_ms: body.heartbeat_ms.unwrap_or(now.heartbeat_ms),
        election_min_ms: body.election_min_ms.unwrap_or(now.election_min_ms),
        election_max_ms: body.election_max_ms.unwrap_or(now.election_max_ms),
    };
    // The timings are checked together, since a rule can bind two of them.
    timings.check().map_err(|(field, reason)| ApiError::invalid(field, reason))?;
    // The map only holds them. A node takes them on when it is restarted.
    match state.router.change_map(MetaCommand::SetTimings { timings }, deadline).await? {
        MetaReply::TimingsSet => Ok(answer(StatusCode::OK, &of(timings))),
        other => change::refusal("timings", other),
    }
}

fn of(timings: RaftTimings) -> Timings {
    let RaftTimings { heartbeat_ms, election_min_ms, election_max_ms } = timings;
    Timings { heartbeat_ms, election_min_ms, election_max_ms }
}
