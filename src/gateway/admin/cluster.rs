//! `/cluster/*`: what all nodes say of themselves, summed up by `overview`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::overview;
use crate::api::HealthState;
use crate::gateway::http::extract::answer;
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::routing::Overview;

/// A page about the cluster waits no longer for a node that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(in crate::gateway) async fn status(State(state): State<GatewayState>, call: RequestContext) -> Response {
    answer(StatusCode::OK, &overview::status(&ask(&state, &call).await))
}

pub(in crate::gateway) async fn health(State(state): State<GatewayState>, call: RequestContext) -> Response {
    let health = overview::health(&ask(&state, &call).await);
    let serves = matches!(health.status, HealthState::Healthy | HealthState::Degraded);
    answer(if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

pub(in crate::gateway) async fn sharding(State(state): State<GatewayState>, call: RequestContext) -> Response {
    answer(StatusCode::OK, &overview::sharding(&ask(&state, &call).await))
}

/// What all nodes say of themselves.
pub(in crate::gateway) async fn ask(state: &GatewayState, call: &RequestContext) -> Overview {
    state.router.overview(call.began + PATIENCE).await
}
