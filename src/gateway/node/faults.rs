//! `/quiver/v1/faults`: loses and delays what passes between this node and others, for tests. Only where the node was
//! started with `--test-faults`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use raft_groups::NodeId;
use raft_groups::network::faults::LinkFaults;

use crate::api::Faults;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::state::{GatewayState, LinkSwitch};
use crate::placement::ClusterMap;

/// Longest delay of a link, in milliseconds. With a longer one, requests would be held after their clients have gone.
const MAX_DELAY_MS: u64 = 60_000;

pub(in crate::gateway) async fn show(State(state): State<GatewayState>) -> Result<Response, ApiError> {
    switch(&state).map(|switch| shown(&state, switch.as_ref()))
}

/// Where faults are off, that is the answer to any body.
pub(in crate::gateway) async fn set(
    State(state): State<GatewayState>,
    body: Result<Json<Faults>, ApiError>,
) -> Result<Response, ApiError> {
    let switch = switch(&state)?;
    let Json(faults) = body?;
    switch.set(understood(&state.router.map(), &faults)?);
    Ok(shown(&state, switch.as_ref()))
}

pub(in crate::gateway) async fn heal(State(state): State<GatewayState>) -> Result<Response, ApiError> {
    let switch = switch(&state)?;
    switch.set(LinkFaults::default());
    Ok(shown(&state, switch.as_ref()))
}

fn switch(state: &GatewayState) -> Result<Arc<dyn LinkSwitch>, ApiError> {
    state.node.faults().ok_or(ApiError::FaultsOff)
}

/// A node named twice, as in `cut` and in `cut_to`, is cut once.
fn understood(map: &ClusterMap, faults: &Faults) -> Result<LinkFaults, ApiError> {
    // An unknown name is refused with the member that names it.
    let number = |name: &str, field: String| {
        map.node_named(name).ok_or_else(|| ApiError::invalid(field, format!("there is no node `{name}`")))
    };
    let numbers = |names: &[String], field: &str| -> Result<BTreeSet<NodeId>, ApiError> {
        let nodes = names.iter().enumerate();
        nodes.map(|(position, name)| number(name, format!("{field}[{position}]"))).collect()
    };
    // A node in `cut` is lost both ways.
    let both = numbers(&faults.cut, "cut")?;
    let mut links = LinkFaults {
        lost_to: &both | &numbers(&faults.cut_to, "cut_to")?,
        lost_from: &both | &numbers(&faults.cut_from, "cut_from")?,
        ..LinkFaults::default()
    };
    // A delay has a limit, since a test must end.
    for (name, delay) in &faults.delay_ms {
        let field = format!("delay_ms.{name}");
        let node = number(name, field.clone())?;
        if *delay > MAX_DELAY_MS {
            return Err(ApiError::invalid(field, format!("is {delay}, at most {MAX_DELAY_MS} is possible")));
        }
        links.delay_to.insert(node, Duration::from_millis(*delay));
    }
    Ok(links)
}

fn shown(state: &GatewayState, switch: &dyn LinkSwitch) -> Response {
    let (map, links) = (state.router.map(), switch.current());
    let names = |nodes: BTreeSet<NodeId>| nodes.into_iter().map(|node| map.name_of(node)).collect();
    let delays = links.delay_to.iter().map(|(node, delay)| (map.name_of(*node), delay.as_millis() as u64));
    // A node that is lost both ways is shown in `cut` alone.
    let faults = Faults {
        cut: names(&links.lost_to & &links.lost_from),
        cut_to: names(&links.lost_to - &links.lost_from),
        cut_from: names(&links.lost_from - &links.lost_to),
        delay_ms: delays.collect(),
    };
    answer(StatusCode::OK, &faults)
}
