//! `/cluster/*`: what all nodes say of themselves, summed up by [`overview`](super::overview).

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::answer;
use super::door::Call;
use super::overview;
use super::state::GatewayState;
use crate::api::HealthState;
use crate::routing::Overview;

/// A page about the cluster waits no longer for a node that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn status(State(state): State<GatewayState>, call: Call) -> Response {
    answer(StatusCode::OK, &overview::status(&ask(&state, &call).await))
}

pub(super) async fn health(State(state): State<GatewayState>, call: Call) -> Response {
    let health = overview::health(&ask(&state, &call).await);
    let serves = matches!(health.status, HealthState::Healthy | HealthState::Degraded);
    answer(if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

pub(super) async fn sharding(State(state): State<GatewayState>, call: Call) -> Response {
    answer(StatusCode::OK, &overview::sharding(&ask(&state, &call).await))
}

/// What all nodes say of themselves.
pub(super) async fn ask(state: &GatewayState, call: &Call) -> Overview {
    state.backend.overview(call.began + PATIENCE).await
}
