//! The door: HTTP and JSON in, typed requests out to routing; typed answers back in, JSON out.
//!
//! ```text
//! request ─▶ door (request id, books, error body) ─▶ body (parse) ─▶ a route's handler ─▶ Backend (routing)
//!                                                                        │
//!                                                   levels (ReadConsistency → ReadMode), error (→ status)
//! ```
//! Decided here and nowhere else: what a consistency level means ([`levels`]), which status an error has ([`error`]),
//! what one request may ask for ([`limits`]). Not here: where a point lives, who leads, whether a write is safe to
//! retry. Knows neither Raft nor storage, beyond the names of roles and read modes.

mod adopt;
pub mod arrival;
pub mod aside;
pub mod backend;
pub mod body;
pub mod books;
mod browser;
pub mod door;
pub mod error;
pub mod levels;
pub mod limits;
pub mod state;
mod strict;

mod cluster;
mod collections;
mod convert;
pub mod departure;
mod distance;
mod events;
mod faults;
mod framing;
mod front;
mod groups;
mod members;
mod meter;
mod operations;
mod overview;
mod own;
mod payload_indexes;
mod plain;
mod plan;
mod points_body;
mod queries;
mod reads;
mod request;
mod search;
mod targets;
#[cfg(test)]
mod tests;
mod timings;
mod writes;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::routing::{get, post};

use self::error::quoted;
use crate::console;

pub use backend::Backend;
pub use error::ApiError;
pub use limits::Limits;
pub use state::{GatewayState, Introduction, LinkSwitch, LocalNode, NodeHealth};

/// Every route of the native API.
pub fn router(state: GatewayState) -> Router {
    router_with(state, Router::new())
}

/// Every route of the native API, and `extra` routes of the composition root behind the same door: their bodies arrive under
/// the same limits, their answers get a request id, their [`ApiError`]s a body.
pub fn router_with(state: GatewayState, extra: Router) -> Router {
    let own = Router::new()
        .route("/", get(front::show))
        .route("/reference", get(front::reference))
        .route("/health", get(own::health))
        .route("/stats", get(own::stats))
        .route("/shards", get(own::shards))
        .route("/metrics", get(own::metrics))
        .route("/quiver/v1/events", get(events::stream))
        .route("/quiver/v1/groups/{group}/log", get(groups::log))
        .route("/quiver/v1/groups/{group}/campaign", post(groups::campaign))
        .route("/quiver/v1/groups/{group}/step-down", post(groups::step_down))
        .route("/quiver/v1/faults", get(faults::show).put(faults::set).delete(faults::heal));
    let data = data().route_layer(middleware::from_fn_with_state(state.clone(), door::data));
    let cluster = cluster().route_layer(middleware::from_fn_with_state(state.clone(), door::cluster));
    own.route_layer(middleware::from_fn(door::own))
        .merge(data)
        .merge(cluster)
        .merge(console::console())
        .with_state(state.clone())
        .merge(extra.layer(middleware::from_fn_with_state(state.clone(), door::elsewhere)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        // The extractor in `body` has its own limit, which it can name.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(state, door::pass))
}

fn data() -> Router<GatewayState> {
    Router::new()
        .route("/vectors", post(writes::upsert).delete(writes::delete))
        .route("/vectors/{collection}/{id}", get(reads::get).delete(writes::delete_one))
        .route("/search", post(search::search))
        .route("/quiver/v1/search/batch", post(search::search_batch))
        .route("/quiver/v1/scroll", post(reads::scroll))
        .route("/quiver/v1/count", post(reads::count))
}

fn cluster() -> Router<GatewayState> {
    Router::new()
        .route("/collections", get(collections::list).post(collections::create))
        .route("/collections/{name}", get(collections::show).delete(collections::remove))
        .route("/collections/{name}/index", axum::routing::put(payload_indexes::create))
        .route("/collections/{name}/index/{field}", axum::routing::delete(payload_indexes::remove))
        .route("/cluster/status", get(cluster::status))
        .route("/cluster/health", get(cluster::health))
        .route("/cluster/sharding", get(cluster::sharding))
        .route("/cluster/nodes", get(members::list).post(adopt::add))
        .route("/cluster/nodes/{node_id}", get(members::show).delete(members::remove))
        .route("/quiver/v1/nodes/{node_id}/drain", post(members::drain))
        .route("/quiver/v1/nodes/{node_id}/undrain", post(members::undrain))
        .route("/quiver/v1/nodes/{node_id}/labels", axum::routing::put(members::label))
        .route("/quiver/v1/shards/{shard}", get(operations::shard))
        .route("/quiver/v1/shards/{shard}/move", post(operations::move_replica))
        .route("/quiver/v1/shards/{shard}/leader", post(operations::transfer_leader))
        .route("/quiver/v1/rebalance", post(operations::rebalance))
        .route("/quiver/v1/timings", get(timings::show).put(timings::set))
        .route("/quiver/v1/operations", get(operations::list))
        .route("/quiver/v1/operations/{operation_id}", get(operations::show).delete(operations::cancel))
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::UnknownPath { path: quoted(request.uri().path()) }
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::MethodNotAllowed { method: quoted(request.method().as_str()), path: quoted(request.uri().path()) }
}
