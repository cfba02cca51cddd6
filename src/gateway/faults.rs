//! `/quiver/v1/faults`: cuts this node's links, for tests. Only where the node was started with `--test-faults`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Json, answer};
use super::error::ApiError;
use super::state::{GatewayState, LinkFaults};
use crate::api::Faults;

pub(super) async fn show(State(state): State<GatewayState>) -> Result<Response, ApiError> {
    switch(&state).map(|switch| cuts(&state, switch.as_ref()))
}

/// Where faults are off, that is the answer to any body.
pub(super) async fn set(
    State(state): State<GatewayState>,
    body: Result<Json<Faults>, ApiError>,
) -> Result<Response, ApiError> {
    let switch = switch(&state)?;
    let Json(faults) = body?;
    let map = state.backend.map();
    let mut nodes = BTreeSet::new();
    for (position, name) in faults.cut.iter().enumerate() {
        let node = map
            .node_named(name)
            .ok_or_else(|| ApiError::invalid(format!("cut[{position}]"), format!("there is no node `{name}`")))?;
        nodes.insert(node);
    }
    switch.cut(nodes);
    Ok(cuts(&state, switch.as_ref()))
}

pub(super) async fn heal(State(state): State<GatewayState>) -> Result<Response, ApiError> {
    let switch = switch(&state)?;
    switch.cut(BTreeSet::new());
    Ok(cuts(&state, switch.as_ref()))
}

fn switch(state: &GatewayState) -> Result<Arc<dyn LinkFaults>, ApiError> {
    state.node.faults().ok_or(ApiError::FaultsOff)
}

fn cuts(state: &GatewayState, switch: &dyn LinkFaults) -> Response {
    let map = state.backend.map();
    answer(StatusCode::OK, &Faults { cut: switch.cuts().into_iter().map(|node| map.name_of(node)).collect() })
}
